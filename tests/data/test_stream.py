"""Streams against the same data in memory: same targets, same rows, every row once a pass."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from thalweg.data.preprocess import Preprocessor
from thalweg.data.sources.load import load
from thalweg.data.streaming import Stream, Streamed, answers, is_large, open_stream, opening
from thalweg.errors import InputError

ROWS = 3000


def table(rows: int = ROWS, seed: int = 0) -> pl.DataFrame:
    """``number`` tells rows apart."""
    generator = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "number": np.arange(rows) * 0.5,
            "size": generator.normal(size=rows).astype(np.float32),
            "town": np.array(["Ulm", "Bonn", "Kiel"])[generator.integers(0, 3, rows)],
            "bought": np.array(["yes", "no"])[generator.integers(0, 2, rows)],
            "price": generator.normal(10, 3, rows),
        }
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "clicks.parquet"
    table().write_parquet(path, row_group_size=250)
    return path


def arrays(folder: Path, rows: int = 500) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(1).normal(size=(rows, 6)).astype(np.float32)
    y = np.arange(rows) % 3
    np.save(folder / "X.npy", x)
    np.save(folder / "y.npy", y)
    return x, y


def idx(path: Path, numbers: np.ndarray) -> None:
    content = bytes([0, 0, 8, numbers.ndim]) + np.array(numbers.shape, ">u4").tobytes() + numbers.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def rows_of(streamed: Streamed, epoch: int = 0, start: int = 0) -> Counter[bytes]:
    return Counter(
        bytes(row) + bytes(answer)
        for inputs, targets in streamed.batches.epoch(epoch, start)
        for row, answer in zip(inputs.numpy(), targets.numpy(), strict=True)
    )


def part_rows(part: tuple[np.ndarray, ...]) -> Counter[bytes]:
    return Counter(bytes(row) + bytes(answer) for row, answer in zip(*part, strict=True))


def check_parts(stream: Stream, inputs: object, targets: np.ndarray, preprocessor: Preprocessor, got: Streamed) -> None:
    """All rows of the files, encoded together, are those of the three parts, each once."""
    whole = part_rows((preprocessor.inputs(inputs), preprocessor.targets(targets)))
    assert rows_of(got) + part_rows(got.dev) + part_rows(got.test) == whole
    assert sum(whole.values()) == len(stream) == got.rows_train + len(got.dev[0]) + len(got.test[0])
    assert not part_rows(got.sample) - rows_of(got)


class TestParquet:
    @pytest.mark.parametrize(
        ("target", "task"), [("bought", "binary"), ("price", "regression"), ("town", "multiclass")]
    )
    def test_the_same_as_in_memory(self, file: Path, target: str, task: str) -> None:
        stream, data = open_stream(file, target=target), load(file, target=target)
        assert (stream.task, stream.classes, len(stream)) == (data.task, data.classes, len(data)) and data.task == task
        streamed = stream.prepare(seed=3, batch_size=64)
        check_parts(stream, data.inputs, data.targets, streamed.preprocessor, streamed)
        ours, theirs = stream.profile(), data.profile()
        for key in ("mean", "sd", "minimum", "maximum"):
            assert ours.get(key, 0) == pytest.approx(theirs.get(key, 0), rel=1e-12)
        assert ours.get("classes") == theirs.get("classes")
        assert [c["missing"] for c in ours["columns"]] == [c["missing"] for c in theirs["columns"]]

    def test_a_folder_of_files_and_a_pattern(self, tmp_path: Path, file: Path) -> None:
        whole = table()
        folder = tmp_path / "parts" / "year=2020"
        folder.mkdir(parents=True)
        for part in range(7):
            whole[part * 500 : (part + 1) * 500].write_parquet(folder / f"part-{part}.parquet")
        (folder / "_metadata.parquet").write_bytes(b"no data")
        streams = [open_stream(source, target="bought") for source in (file, folder.parent, f"{folder}/part*.parquet")]
        passes = [rows_of(stream.prepare(seed=1, batch_size=50)) for stream in streams]
        assert passes[0] == passes[1] == passes[2]
        assert "year=2020" in streams[1].source.notes[0]

    def test_files_that_hold_whole_numbers_where_others_hold_fractions(self, tmp_path: Path) -> None:
        table().write_parquet(tmp_path / "a.parquet")
        table().with_columns(pl.col("number").cast(pl.Int64)).write_parquet(tmp_path / "b.parquet")
        streamed = open_stream(tmp_path, target="bought").prepare(seed=0, batch_size=64)
        assert sum(rows_of(streamed).values()) == streamed.rows_train

    def test_files_that_hold_nothing_in_a_column_and_categories_in_another(self, tmp_path: Path) -> None:
        table().with_columns(size=None, town=pl.col("town").cast(pl.Categorical)).write_parquet(tmp_path / "a.parquet")
        table().write_parquet(tmp_path / "b.parquet")
        table().with_columns(number=None).write_parquet(tmp_path / "c.parquet")
        stream = open_stream(tmp_path, target="bought")
        streamed = stream.prepare(seed=0, batch_size=64)
        assert sum(rows_of(streamed).values()) == streamed.rows_train
        assert "town=Ulm" in streamed.preprocessor.feature_names
        assert [column["missing"] for column in stream.profile()["columns"]] == [ROWS, ROWS, 0, 0]

    def test_columns_left_out_and_weights(self, tmp_path: Path) -> None:
        frame = table().with_columns(pl.col("number").alias("counts"), pl.int_range(ROWS).alias("id"))
        frame.write_parquet(tmp_path / "t.parquet")
        stream = open_stream(tmp_path / "t.parquet", target="bought", weights="counts", drop=["price", "size"])
        streamed = stream.prepare(seed=0, batch_size=64)
        assert streamed.preprocessor.feature_names[0] == "number"
        assert not {"price", "size", "counts", "id"} & set(streamed.preprocessor.feature_names)
        assert any('"id"' in note for note in streamed.notes)
        mean, sd = frame["number"].mean(), frame["number"].std()
        for inputs, targets in streamed.batches.epoch(0):
            np.testing.assert_allclose(inputs[:, 0] * sd + mean, targets[:, 1] * mean, rtol=0.1, atol=30)
        assert set(streamed.sample[1][:, 0]) == {0, 1}
        assert streamed.sample[1][:, 1].mean() == pytest.approx(1, abs=0.02)

    def test_numbers_and_booleans_and_categories_are_classes(self, tmp_path: Path) -> None:
        for name, values in {
            "bool": pl.Series([True, False] * 50),
            "whole": pl.Series([1.0, 2.0, 10.0, 1.0] * 25),
            "category": pl.Series(["b", "a"] * 50, dtype=pl.Categorical),
            "texts": pl.Series([" 3", "20"] * 50),
        }.items():
            path = tmp_path / f"{name}.parquet"
            pl.DataFrame({"x": np.random.default_rng(0).normal(size=100), "y": values}).write_parquet(path)
            stream, data = open_stream(path, target="y"), load(path, target="y")
            assert (stream.task, stream.classes) == (data.task, data.classes)
            streamed = stream.prepare(seed=0, batch_size=7)
            check_parts(stream, data.inputs, data.targets, streamed.preprocessor, streamed)

    def test_a_target_of_more_values_than_are_kept(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(answers, "MOST_VALUES", 50)
        stream, data = open_stream(file, target="price"), load(file, target="price")
        streamed = stream.prepare(seed=0, batch_size=64)
        check_parts(stream, data.inputs, data.targets, streamed.preprocessor, streamed)
        assert stream.profile()["sd"] == pytest.approx(data.targets.std(), rel=1e-12)
        with pytest.raises(InputError, match="more than 50 different values, too many for classes"):
            open_stream(file, target="price", task="multiclass")

    def test_preprocessing_comes_from_training_rows_alone(self, tmp_path: Path) -> None:
        """Rows held out are made extreme, and nothing that was learned changes."""
        frame = table()
        frame.write_parquet(tmp_path / "a.parquet", row_group_size=100)
        before = open_stream(tmp_path / "a.parquet", target="bought").prepare(seed=5, batch_size=64)
        scale = before.preprocessor.inputs(frame)[:, 0]
        held = np.isin(scale, np.concatenate([before.dev[0][:, 0], before.test[0][:, 0]]))
        assert held.sum() == 1200
        frame = frame.with_columns(size=pl.when(pl.Series(held)).then(1e6).otherwise("size").cast(pl.Float32))
        frame.write_parquet(tmp_path / "b.parquet", row_group_size=300)
        after = open_stream(tmp_path / "b.parquet", target="bought").prepare(seed=5, batch_size=64)
        assert after.preprocessor.to_dict() == before.preprocessor.to_dict()

    def test_fractions(self, file: Path) -> None:
        stream = open_stream(file, target="bought")
        streamed = stream.prepare(seed=0, batch_size=64, fractions=(0.9, 0.1, 0))
        assert (streamed.rows_train, len(streamed.dev[0]), len(streamed.test[0])) == (2700, 300, 0)
        with pytest.raises(InputError, match="sum to"):
            stream.prepare(seed=0, batch_size=64, fractions=(0.9, 0.3, 0))

    def test_what_is_held_in_memory_is_bounded(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from thalweg.data.streaming import stream as module

        monkeypatch.setattr(module, "MOST_HELD", 70)
        monkeypatch.setattr(module, "MOST_SAMPLED", 200)
        streamed = open_stream(file, target="bought").prepare(seed=0, batch_size=64, fractions=(0.5, 0.25, 0.25))
        assert (len(streamed.dev[0]), len(streamed.test[0]), streamed.rows_train) == (70, 70, ROWS - 140)
        assert any("cut to 70 rows" in note for note in streamed.notes)

    def test_fingerprint_follows_the_content(self, tmp_path: Path, file: Path) -> None:
        def fingerprint(frame: pl.DataFrame) -> str:
            frame.write_parquet(tmp_path / "f.parquet", row_group_size=100)
            return open_stream(tmp_path / "f.parquet", target="bought").fingerprint

        frame = table()
        assert fingerprint(frame) == fingerprint(frame)
        others = {fingerprint(frame[:-1]), fingerprint(frame.with_columns(pl.col("size") * 2)), fingerprint(frame)}
        assert len(others) == 3
        assert open_stream(file, target="price").fingerprint != open_stream(file, target="bought").fingerprint


class TestArrays:
    def test_the_same_as_in_memory(self, tmp_path: Path) -> None:
        x, y = arrays(tmp_path)
        stream, data = open_stream(tmp_path), load((x, y))
        assert (stream.task, stream.classes) == (data.task, data.classes)
        streamed = stream.prepare(seed=0, batch_size=32)
        check_parts(stream, x, y, streamed.preprocessor, streamed)
        assert stream.profile()["shape"] == [6]
        pair = open_stream(f"{tmp_path}/X.npy,{tmp_path}/y.npy")
        assert pair.fingerprint == stream.fingerprint

    def test_every_version_and_byte_order_of_the_format(self, tmp_path: Path) -> None:
        x, _ = arrays(tmp_path)
        expected = rows_of(open_stream(tmp_path).prepare(seed=0, batch_size=32))
        for version in ((1, 0), (2, 0), (3, 0)):
            with (tmp_path / "X.npy").open("wb") as file:
                np.lib.format.write_array(file, x.astype(">f4"), version=version)
            assert rows_of(open_stream(tmp_path).prepare(seed=0, batch_size=32)) == expected

    @pytest.mark.parametrize("end", ["", ".gz"])
    def test_idx(self, tmp_path: Path, end: str) -> None:
        images = np.random.default_rng(0).integers(0, 256, (200, 5, 4), np.uint8)
        labels = np.arange(200, dtype=np.uint8) % 10
        idx(tmp_path / f"few-images-idx3-ubyte{end}", images)
        idx(tmp_path / f"few-labels-idx1-ubyte{end}", labels)
        stream = open_stream(tmp_path / f"few-images-idx3-ubyte{end}")
        data = load(tmp_path / f"few-images-idx3-ubyte{end}")
        assert (stream.classes, stream.name) == (data.classes, "few")
        streamed = stream.prepare(seed=0, batch_size=32)
        assert streamed.dev[0].shape[1:] == (1, 5, 4)
        check_parts(stream, data.inputs, data.targets, streamed.preprocessor, streamed)
        assert len(stream.source.notes) == 2 * bool(end)

    def test_a_later_block_that_changed_gives_another_fingerprint(self, tmp_path: Path) -> None:
        x, _ = arrays(tmp_path)
        first = open_stream(tmp_path).fingerprint
        x[400] += 1
        np.save(tmp_path / "X.npy", x)
        assert open_stream(tmp_path).fingerprint != first


class TestIsLarge:
    def test_against_the_free_memory(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert opening.free_memory() > 1 << 20
        assert not is_large(file) and not is_large("no such file")
        monkeypatch.setattr(opening, "free_memory", lambda: 12 * 5 * ROWS * 4 - 1)
        assert is_large(file)
        monkeypatch.setattr(opening, "free_memory", lambda: 12 * 5 * ROWS * 4 + 1)
        assert not is_large(file)


class TestWideRows:
    def test_fewer_rows_are_held(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from thalweg.data.streaming import stream as module

        monkeypatch.setattr(module, "MOST_NUMBERS", 6 * 150)
        arrays(tmp_path, rows=2000)
        streamed = open_stream(tmp_path).prepare(seed=0, batch_size=32)
        assert [len(part[0]) for part in (streamed.dev, streamed.test, streamed.sample)] == [150, 150, 150]
        assert "150 training rows" in " ".join(streamed.notes)
