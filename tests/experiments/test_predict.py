"""A run put to use: every kind of input that holds the same rows gives the same predictions."""

from __future__ import annotations

import numpy as np
import pandas
import polars as pl
import pytest
import torch
from PIL import Image

from predictors import predictor_of
from thalweg.errors import InputError
from thalweg.experiments import predict
from thalweg.experiments.predict import Predictor, probabilities_of


def table(rows: int = 60) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame({
        "size": rng.normal(100, 30, rows),
        "kind": rng.choice(["01", "2", "3"], rows),
        "garden": rng.random(rows) < 0.5,
    })  # fmt: skip


@pytest.fixture
def by_table() -> Predictor:
    return predictor_of(table(), np.arange(60) % 3, "multiclass", ("a", "b", "c"))


@pytest.fixture
def by_array() -> Predictor:
    x = np.random.default_rng(1).normal(5, 2, (40, 4))
    return predictor_of(x, x.sum(1) * 1000, "regression")


class TestTables:
    def test_every_frame_is_the_same_frame(self, by_table, tmp_path) -> None:
        frame = table(20)
        expected = by_table.predict(frame)
        assert expected.columns == ["prediction", "p(a)", "p(b)", "p(c)"]
        frame.write_parquet(tmp_path / "new.parquet")
        frame.write_csv(tmp_path / "new.csv")
        others = (
            frame.lazy(), frame.to_dict(as_series=False), frame.to_arrow(), pandas.DataFrame(frame.to_dict(as_series=False)),
            frame.select("garden", "kind", "size"), tmp_path / "new.parquet", str(tmp_path / "new.csv"),
        )  # fmt: skip
        for other in others:
            assert by_table.predict(other).equals(expected), type(other)

    def test_probabilities(self, by_table) -> None:
        frame = table(20)
        logits = by_table.outputs(frame).double().numpy()
        expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        assert np.allclose(by_table.probabilities(frame), expected, atol=1e-12)
        plain = by_table.predict(frame, probabilities=False)
        assert plain.columns == ["prediction"]
        assert plain["prediction"].to_list() == ["abc"[index] for index in expected.argmax(1)]

    @pytest.mark.parametrize("kind", ["frame", "parquet"])
    def test_blocks_make_no_difference(self, by_table, monkeypatch, tmp_path, kind) -> None:
        frame = table(50)
        path = tmp_path / "new.parquet"
        frame.write_parquet(path)
        whole = by_table.predict(frame)
        monkeypatch.setattr(predict, "ROWS_AT_ONCE", 7)
        source = frame if kind == "frame" else path
        blocks = list(by_table.stream(source))
        assert [block.height for block in blocks] == [7] * 7 + [1]
        joined = pl.concat(blocks)
        assert joined["prediction"].equals(whole["prediction"])
        assert np.allclose(joined.drop("prediction"), whole.drop("prediction"), atol=1e-6)

    def test_a_fault_in_a_later_block_says_where_rows_are_counted_from(self, by_table, monkeypatch) -> None:
        monkeypatch.setattr(predict, "ROWS_AT_ONCE", 7)
        frame = table(20).with_columns(
            pl.when(pl.int_range(20) == 15).then(np.inf).otherwise(pl.col("size")).alias("size")
        )
        with pytest.raises(InputError, match='counted from row 15 on, the column "size" is infinite in row 2'):
            by_table.predict(frame)

    @pytest.mark.parametrize(
        ("source", "sentence"),
        [
            (table().drop("size"), 'the column "size", which the model was trained on, is missing'),
            (np.zeros((3, 3)), "give a frame or a file, no array"),
            (table().head(0), "no rows"),
            (3, "int is no data that can be read"),
            ("nothing.csv", r"nothing\.csv does not exist"),
        ],
    )
    def test_faults(self, by_table, source, sentence) -> None:
        with pytest.raises(InputError, match=sentence):
            by_table.predict(source)

    def test_a_broken_parquet_file_is_one_sentence(self, by_table, tmp_path) -> None:
        (tmp_path / "new.parquet").write_bytes(b"PAR1 no table")
        with pytest.raises(InputError, match=r"new\.parquet cannot be read as Parquet"):
            by_table.predict(tmp_path / "new.parquet")


class TestArrays:
    def test_arrays_tensors_and_lists(self, by_array, tmp_path) -> None:
        x = np.random.default_rng(2).normal(5, 2, (9, 4)).astype(np.float32)
        expected = by_array.predict(x)
        standardised = by_array.outputs(x)[:, 0].double().numpy()
        preprocessor = by_array.preprocessor
        assert np.allclose(expected["prediction"], standardised * preprocessor.target_scale + preprocessor.target_mean)
        np.savez(tmp_path / "new.npz", X=x)
        for other in (torch.from_numpy(x), x.tolist(), tmp_path / "new.npz", np.asfortranarray(x)):
            assert by_array.predict(other).equals(expected), type(other)

    def test_blocks_make_no_difference(self, by_array, monkeypatch, tmp_path) -> None:
        x = np.random.default_rng(2).normal(5, 2, (50, 4))
        np.save(tmp_path / "x.npy", x)
        whole = by_array.predict(x)["prediction"]
        monkeypatch.setattr(predict, "ROWS_AT_ONCE", 16)
        for source in (x, tmp_path / "x.npy"):
            assert [block.height for block in by_array.stream(source)] == [16, 16, 16, 2]
            assert np.allclose(by_array.predict(source)["prediction"], whole, rtol=1e-6)

    @pytest.mark.parametrize("held", [np.array({"a": 1}), np.zeros((0, 4)), np.zeros((3, 5)), np.float64(3)])
    def test_npy_files_that_cannot_be_predicted_on(self, by_array, tmp_path, held) -> None:
        np.save(tmp_path / "x.npy", held, allow_pickle=True)
        with pytest.raises(InputError, match=r"could run code|no rows|was trained on"):
            by_array.predict(tmp_path / "x.npy")

    @pytest.mark.parametrize(
        ("source", "sentence"),
        [
            (np.zeros(4), r"shape \(4,\)"),
            (np.zeros((3, 5)), r"the model was trained on \(n, 4\)"),
            (np.zeros((0, 4)), "no rows to predict on"),
            (np.full((2, 4), np.inf), "infinite in row 1"),
        ],
    )
    def test_faults(self, by_array, source, sentence) -> None:
        with pytest.raises(InputError, match=sentence):
            by_array.predict(source)

    def test_amounts_have_no_probabilities(self, by_array) -> None:
        with pytest.raises(InputError, match="no probabilities: use predict"):
            by_array.probabilities(np.zeros((3, 4)))


class TestImages:
    def test_predictions_name_their_files(self, tmp_path, monkeypatch) -> None:
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (12, 1, 6, 5), dtype=np.uint8)
        predictor = predictor_of(pixels, np.arange(12) % 2, "binary", ("cat", "dog"))
        (tmp_path / "b").mkdir()
        names = [f"{number:02}.png" for number in range(6)] + [f"b/{number:02}.png" for number in range(6)]
        for name, image in zip(names, pixels, strict=True):
            Image.fromarray(image[0]).save(tmp_path / name)
        frame = predictor.predict(tmp_path)
        assert frame.columns == ["file", "prediction", "p(cat)", "p(dog)"] and frame["file"].to_list() == names
        assert np.array_equal(frame["p(dog)"], predictor.predict(pixels)["p(dog)"])
        one = predictor.predict(tmp_path / "b/03.png")
        assert one["file"].to_list() == ["03.png"]
        assert np.allclose(one["p(dog)"], frame["p(dog)"][9], atol=1e-6)
        monkeypatch.setattr(predict, "NUMBERS_AT_ONCE", 5 * 30)
        assert [block.height for block in predictor.stream(tmp_path)] == [5, 5, 2]

    def test_a_folder_without_images(self, tmp_path) -> None:
        predictor = predictor_of(np.zeros((12, 1, 6, 5), np.uint8), np.arange(12) % 2, "binary", ("cat", "dog"))
        with pytest.raises(InputError, match="give images to predict on"):
            predictor.predict(tmp_path)


def test_one_logit_stands_for_two_classes() -> None:
    logit = torch.tensor([[-2.0], [0.0], [300.0]], dtype=torch.float64)
    expected = 1 / (1 + np.exp(-np.array([-2.0, 0.0, 300.0])))
    found = probabilities_of(logit, 2).numpy()
    assert np.allclose(found[:, 1], expected) and np.allclose(found.sum(1), 1)
