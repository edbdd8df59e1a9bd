"""Arrays and images on every scale, against the scale of one number and against tables."""

from __future__ import annotations

import datetime
import json
import math

import numpy as np
import polars as pl
import pytest
from tests.data.fitted import ROWS, fitted, repeated

from thalweg.data import Preprocessor
from thalweg.data.scales import Scale
from thalweg.errors import InputError

GENERATOR = np.random.default_rng(0)


@pytest.mark.parametrize("scale", ["standard", "robust", "quantile", "none"])
@pytest.mark.parametrize("kind", [np.float64, np.uint8])
def test_arrays_and_tables_come_on_the_same_scale(scale, kind) -> None:
    array = GENERATOR.lognormal(2, 1, (50, 3)).astype(kind).astype(np.float64)
    array[3, 1] = array[45, 0] = math.nan
    train = np.arange(40)
    of_array = fitted(array, 50, train=train, scale=scale)
    of_table = fitted({f"x{n}": array[:, n] for n in range(3)}, 50, train=train, scale=scale)
    assert of_table.feature_names == ("x0", "x1", "x1 missing", "x2")
    assert np.allclose(
        of_array.inputs(array), of_table.inputs(pl.from_numpy(array, ["x0", "x1", "x2"]))[:, [0, 1, 3, 2]]
    )
    if scale == "none":
        assert of_array.inputs(array)[45, 0] == np.float32(array[:40, 0].mean())
    again = Preprocessor.from_dict(json.loads(json.dumps(of_array.to_dict(), allow_nan=False)))
    assert np.array_equal(again.inputs(array), of_array.inputs(array))


@pytest.mark.parametrize("scale", ["robust", "quantile", "none"])
def test_channels_of_bytes_on_other_scales(scale) -> None:
    images = GENERATOR.integers(0, 256, (40, 2, 3, 5), dtype=np.uint8)
    preprocessor = fitted(images, 40, scale=scale)
    found = preprocessor.inputs(images)
    assert np.allclose(preprocessor.inputs(images.astype(np.float64)), found, atol=1e-6)
    for channel in range(2):
        values = images[:, channel].ravel().astype(float)
        assert np.array_equal(found[:, channel].ravel(), Scale.fit(values, scale).scaled(values))
    pixels = images.reshape(40, -1)
    everything = Scale.fit(pixels.ravel().astype(float), scale)
    assert np.array_equal(fitted(pixels, 40, scale=scale).inputs(pixels), everything.scaled(pixels.astype(float)))


def test_yes_or_no_and_dates_are_standardised_on_any_scale() -> None:
    columns = {"b": repeated([True, False]), "d": repeated([datetime.date(2024, 1, 1), datetime.date(2025, 1, 1)])}
    for scale in ("robust", "quantile"):
        assert np.array_equal(fitted(columns, scale=scale).inputs(columns), fitted(columns).inputs(columns))


@pytest.mark.parametrize("kind", [np.uint8, np.float64])
def test_images_channel_by_channel(kind) -> None:
    images = (GENERATOR.integers(0, 256, (40, 3, 5, 4)) * np.array([1, 0.5, 0.1])[:, None, None]).astype(kind)
    train = np.arange(25)
    preprocessor = fitted(images, 40, train=train)
    mean = images[train].astype(np.float64).mean((0, 2, 3))[:, None, None]
    sd = images[train].astype(np.float64).std((0, 2, 3))[:, None, None]
    found = preprocessor.inputs(images)
    assert np.allclose(found, (images - mean) / sd, atol=1e-5)
    assert preprocessor.input_shape == (3, 5, 4)
    assert preprocessor.feature_names == ()


def test_pixels_share_one_scale() -> None:
    pixels = GENERATOR.integers(0, 17, (40, 6), dtype=np.uint8)
    pixels[:, 0] = 0
    found = fitted(pixels, 40).inputs(pixels)
    assert np.allclose(found, (pixels - pixels.mean()) / pixels.std(), atol=1e-6)
    assert np.allclose(fitted(pixels, 40).inputs(pixels.astype(float)), found, atol=1e-6)


def test_sequences_feature_by_feature() -> None:
    sequences = GENERATOR.normal([1, 20], [3, 0.1], (30, 7, 2))
    found = fitted(sequences).inputs(sequences)
    assert np.allclose(found.mean((0, 1)), 0, atol=1e-5)
    assert np.allclose(found.std((0, 1)), 1, atol=1e-5)


def test_large_arrays_are_scaled_in_pieces(monkeypatch) -> None:
    array = GENERATOR.normal(size=(50, 4))
    array[3, 1] = math.nan
    whole = fitted(array, 50)
    monkeypatch.setattr("thalweg.data.scaling.NUMBERS_AT_ONCE", 12)
    pieces = fitted(array, 50)
    assert np.allclose(pieces.inputs(array), whole.inputs(array), atol=1e-6)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (np.zeros((5, 3)), r"the inputs have shape \(5, 3\): the model was trained on \(n, 4\)"),
        (np.zeros(4), "one row for each example"),
        (np.full((2, 4), np.inf), "infinite in row 1, column 1"),
        (np.full((2, 4), 0.5), "between 0 and 1"),
    ],
)
def test_arrays_that_do_not_fit(source, sentence) -> None:
    preprocessor = fitted(GENERATOR.integers(0, 256, (30, 4), dtype=np.uint8))
    with pytest.raises(InputError, match=sentence):
        preprocessor.inputs(source)


def test_one_image_without_its_batch() -> None:
    images = GENERATOR.normal(size=(30, 3, 4, 4))
    with pytest.raises(InputError, match="put one example into a batch of 1"):
        fitted(images).inputs(images[0])


def test_arrays_of_too_large_numbers_are_refused() -> None:
    array = GENERATOR.normal(size=(ROWS, 3))
    array[4, 1] = 1e200
    with pytest.raises(InputError, match="too large to be squared in feature 2"):
        fitted(array)
