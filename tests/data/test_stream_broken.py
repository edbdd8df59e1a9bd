"""Files that are broken, hostile or of the wrong kind: one sentence that says which, where and what to do."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thalweg.data.streaming import open_stream, stream
from thalweg.data.streaming.footer import read_footer
from thalweg.errors import InputError


def frame(rows: int = 400) -> pl.DataFrame:
    generator = np.random.default_rng(0)
    return pl.DataFrame({"a": generator.normal(size=rows), "b": generator.normal(size=rows), "y": np.arange(rows) % 2})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.parquet"


def refused(source: object, match: str, **options: object) -> None:
    with pytest.raises(InputError, match=match):
        open_stream(str(source), **options).prepare(seed=0, batch_size=16)  # type: ignore[arg-type]


class TestTables:
    def test_a_file_cut_short(self, path: Path) -> None:
        frame().write_parquet(path)
        whole = path.read_bytes()
        for length in (0, 3, 8, 100, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:length])
            refused(path, "t.parquet is no whole Parquet file", target="y")
        path.write_bytes(whole[: len(whole) // 3] + whole[-2000:])
        with pytest.raises(InputError, match=r"t\.parquet"):
            read_footer(path)

    @given(place=st.integers(0, 1 << 16), byte=st.integers(0, 255))
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_a_footer_with_a_wrong_byte_is_read_or_refused(self, path: Path, place: int, byte: int) -> None:
        frame(40).write_parquet(path, row_group_size=10)
        content = bytearray(path.read_bytes())
        length = int.from_bytes(content[-8:-4], "little")
        content[len(content) - 8 - place % (length + 8)] = byte
        path.write_bytes(content)
        try:
            groups = read_footer(path).groups
        except InputError as error:
            assert "t.parquet" in str(error)
        else:
            assert all(group.rows > 0 for group in groups)

    @given(places=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=3), byte=st.integers(0, 255))
    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_a_file_with_wrong_bytes_is_read_or_refused(self, path: Path, places: list[float], byte: int) -> None:
        content = bytearray(_written(frame(200), path).read_bytes())
        for place in places:
            content[int(place * len(content))] = byte
        path.write_bytes(content)
        try:
            streamed = open_stream(path, target="y").prepare(seed=0, batch_size=16)
            assert sum(len(targets) for _, targets in streamed.batches.epoch(0)) == streamed.rows_train
        except InputError as error:
            assert "\n" not in str(error)

    def test_a_damaged_row_group_is_named(self, path: Path) -> None:
        frame().write_parquet(path, row_group_size=100, compression="zstd")
        content = bytearray(path.read_bytes())
        content[4:300] = b"\xff" * 296
        path.write_bytes(content)
        refused(path, r"t\.parquet, row 1 to .* cannot be read", target="y")

    def test_another_type_in_one_file(self, tmp_path: Path) -> None:
        frame().write_parquet(tmp_path / "1.parquet")
        frame().with_columns(pl.col("b").cast(pl.String)).write_parquet(tmp_path / "2.parquet")
        refused(tmp_path, r'2\.parquet: the column "b" holds String values, and Float64', target="y")
        frame().drop("b").write_parquet(tmp_path / "2.parquet")
        refused(tmp_path, r'2\.parquet has no column "b"', target="y")

    def test_no_target(self, path: Path) -> None:
        frame().write_parquet(path)
        refused(path, "which column is to be predicted")
        refused(path, 'no column "Y": did you mean "y"', target="Y")
        refused(path, 'no column "w": choose among', target="y", weights="w")
        refused(path, 'no column beside the target "y"', target="y", drop=["a", "b"])

    @pytest.mark.parametrize(
        ("value", "what"), [(None, "has no value"), (np.nan, "has no value"), (np.inf, "infinite")]
    )
    def test_a_target_that_is_missing(self, path: Path, value: float | None, what: str) -> None:
        values = frame()["a"].to_list()
        values[317] = value
        frame().with_columns(pl.Series("a", values)).write_parquet(path, row_group_size=100)
        refused(path, rf't\.parquet, row 318: the target "a" .*{what}', target="a")

    def test_an_infinite_input_is_named_in_the_loop(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("MOST_HELD", "MOST_SAMPLED"):
            monkeypatch.setattr(stream, name, 100)
        values = frame(4000)["a"].to_numpy().copy()
        values[3333] = np.inf
        _written(frame(4000).with_columns(a=values), path)
        batches = open_stream(path, target="y").prepare(seed=0, batch_size=16).batches
        with pytest.raises(InputError, match=r't\.parquet, row 1 and below.* column "a" is infinite in row 3334'):
            list(batches.epoch(0))

    def test_a_weight_below_zero(self, path: Path) -> None:
        _written(frame().with_columns(w=pl.Series([1.0] * 211 + [-1.0] * 189)), path)
        refused(path, r"t\.parquet, row 212: the weight", target="y", weights="w")

    def test_one_class_and_too_few_rows(self, path: Path) -> None:
        refused(_written(frame().with_columns(y=pl.lit("a")), path), "in every row", target="y")
        refused(_written(frame(5), path), "has 5 rows", target="y")
        refused(_written(frame().clear(), path), "has 0 rows", target="y")

    def test_too_many_texts(self, path: Path) -> None:
        _written(frame().with_columns(y=pl.Series([f"name {row}" for row in range(400)])), path)
        refused(path, "400 different texts", target="y")


class TestOthers:
    def test_objects_are_never_unpickled(self, tmp_path: Path) -> None:
        class Harm:
            def __reduce__(self) -> tuple:
                return (Path.touch, (tmp_path / "harmed",))

        np.save(tmp_path / "X.npy", np.array([[Harm()] * 2] * 20, object), allow_pickle=True)
        np.save(tmp_path / "y.npy", np.arange(20) % 2)
        refused(tmp_path, "Python objects, which could run code")
        (tmp_path / "X.npy").write_bytes(pickle.dumps(Harm()))
        refused(tmp_path, r"X\.npy is no whole \.npy file")
        assert not (tmp_path / "harmed").exists()

    def test_arrays_that_do_not_fit(self, tmp_path: Path) -> None:
        def saved(x: np.ndarray, y: np.ndarray) -> Path:
            np.save(tmp_path / "X.npy", x)
            np.save(tmp_path / "y.npy", y)
            return tmp_path

        y = np.arange(20) % 2
        refused(saved(np.zeros((20, 3)), y[:-1]), "one target for each row")
        refused(saved(np.zeros(20), y), "one row for each example")
        refused(saved(np.asfortranarray(np.random.rand(20, 3)), y), "ascontiguousarray")  # noqa: NPY002
        refused(saved(np.array([["a"] * 3] * 20), y), "save an array of numbers")
        saved(np.zeros((20, 3)), y)
        (tmp_path / "X.npy").write_bytes((tmp_path / "X.npy").read_bytes()[:-4])
        refused(tmp_path, r"X\.npy is cut short")
        refused(tmp_path / "X.npy", 'give both files, as "X.npy,y.npy"')
        saved(np.zeros((20, 3)), y)
        (tmp_path / "y.npy").unlink()
        refused(tmp_path, r"y\.npy is missing")

    def test_idx(self, tmp_path: Path) -> None:
        images = tmp_path / "a-images-idx3-ubyte"
        images.write_bytes(b"\0\0\x08\x03" + np.array([20, 2, 2], ">u4").tobytes() + bytes(79))
        refused(images, "no labels beside it")
        (tmp_path / "a-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + np.array([20], ">u4").tobytes() + bytes(20))
        refused(images, "is cut short")
        images.write_bytes(b"PNG")
        refused(images, "is no IDX file")
        images.with_name(images.name + ".gz").write_bytes(b"\x1f\x8b\x08")
        (tmp_path / "a-labels-idx1-ubyte.gz").write_bytes(b"")
        refused(images.with_name(images.name + ".gz"), r"ubyte\.gz cannot be read")
        huge = b"\0\0\x08\x03" + np.array([1 << 31, 1 << 15, 1], ">u4").tobytes()
        images.with_name(images.name + ".gz").write_bytes(gzip.compress(huge))
        refused(images.with_name(images.name + ".gz"), "are free for temporary files")

    def test_what_cannot_be_streamed(self, tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_text("a,y\n1,2\n")
        refused(tmp_path / "t.csv", "sink_parquet", target="y")
        refused(tmp_path / "gone.parquet", "does not exist", target="y")
        refused(tmp_path / "*.parquet", "check the pattern", target="y")
        refused(tmp_path, "neither Parquet files nor X.npy", target="y")


def _written(rows: pl.DataFrame, path: Path) -> Path:
    rows.write_parquet(path, row_group_size=100)
    return path
