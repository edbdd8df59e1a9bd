"""Arrays and images on every scale, against the scale of one number and against tables."""

from __future__ import annotations

import datetime
import json
import math

import numpy as np
import polars as pl
import pytest
from tests.data.fitted import fitted, repeated

from thalweg.data import Preprocessor
from thalweg.data.scales import Scale

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
