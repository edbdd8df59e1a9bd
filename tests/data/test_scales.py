"""Each scale against scikit-learn's or NumPy's formula, and the way back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import QuantileTransformer

from thalweg.data.scales import SCALES, Scale, to_normal
from thalweg.errors import InputError

GENERATOR = np.random.default_rng(0)
SKEWED = GENERATOR.lognormal(3, 2, 3000)
AMOUNTS = st.lists(st.floats(-1e6, 1e6).map(lambda value: round(value, 2)), min_size=3, max_size=60, unique=True)


def test_standard_and_robust_by_hand() -> None:
    low, median, high = np.percentile(SKEWED, (25, 50, 75))
    for kind, expected in (
        ("standard", (SKEWED - SKEWED.mean()) / SKEWED.std()),
        ("robust", (SKEWED - median) / ((high - low) / 1.349)),
        ("none", SKEWED),
    ):
        found = Scale.fit(SKEWED, kind).scaled(SKEWED)
        assert found.dtype == np.float32
        assert np.allclose(found, expected, rtol=1e-5, atol=1e-6), kind


def test_outliers_do_not_move_the_robust_scale() -> None:
    values = GENERATOR.normal(5, 2, 1001)
    spoiled = np.r_[values[:-20], np.full(20, 1e9)]
    assert Scale.fit(spoiled, "robust").spread == pytest.approx(Scale.fit(values, "robust").spread, rel=0.1)
    assert Scale.fit(values, "robust").spread == pytest.approx(2, rel=0.1)  # 1.349 is the range of a normal one


def test_half_of_the_values_the_same() -> None:
    values = np.r_[np.zeros(80), np.arange(1.0, 21)]
    scale = Scale.fit(values, "robust")
    assert (scale.center, scale.spread) == (0, values.std())


@settings(max_examples=60, deadline=None)
@given(AMOUNTS, AMOUNTS)
def test_quantiles_as_scikit_learn_does_it(values, others) -> None:
    values, others = np.array(values), np.array(others)
    theirs = QuantileTransformer(output_distribution="normal", n_quantiles=len(values), subsample=None)
    theirs.fit(values[:, None])
    found = Scale.fit(values, "quantile").scaled(np.r_[values, others])
    expected = theirs.transform(np.r_[values, others][:, None])[:, 0]
    # Levels close to 0 and 1 are far apart after the normal quantile: compared where a rounding error is one.
    assert np.allclose(found, expected, atol=2e-3)
    assert np.abs(found).max() <= 5.2


def test_many_values_make_a_thousand_quantiles() -> None:
    scale = Scale.fit(SKEWED, "quantile")
    assert len(scale.quantiles) == 1000
    theirs = QuantileTransformer(output_distribution="normal", n_quantiles=1000, subsample=None).fit(SKEWED[:, None])
    assert np.allclose(scale.scaled(SKEWED), theirs.transform(SKEWED[:, None])[:, 0], atol=1e-4)
    scaled = scale.scaled(SKEWED)
    assert abs(scaled.mean()) < 0.01
    assert abs(scaled.std() - 1) < 0.02


@given(AMOUNTS, AMOUNTS)
def test_quantiles_are_monotone(values, others) -> None:
    scale = Scale.fit(np.array(values), "quantile")
    assert (np.diff(scale.scaled(np.sort(np.array(others)))) >= 0).all()


@pytest.mark.parametrize("kind", SCALES)
def test_there_and_back(kind) -> None:
    scale = Scale.fit(SKEWED, kind)
    inside = np.r_[SKEWED, np.linspace(SKEWED.min(), SKEWED.max(), 500)]
    assert np.allclose(
        scale.restored(scale.scaled(inside)), inside, rtol=2e-3 if kind == "quantile" else 1e-5, atol=1e-3
    )
    assert scale.restored(scale.scaled(SKEWED)).dtype == np.float64
    ends = np.array([SKEWED.min(), SKEWED.max()])
    assert np.allclose(scale.restored(scale.scaled(ends)), ends, rtol=1e-5, atol=1e-4)


def test_quantiles_come_back_to_the_last_digits_of_float32() -> None:
    scale = Scale.fit(SKEWED, "quantile")
    inner = np.sort(SKEWED)[100:-100]
    assert np.allclose(scale.restored(scale.scaled(inner)), inner, rtol=1e-5)
    assert np.allclose(scale.restored(to_normal(SKEWED, np.array(scale.quantiles))), SKEWED, rtol=1e-7)


def test_a_run_of_equal_values_comes_back() -> None:
    values = np.r_[np.zeros(500), np.arange(1.0, 501)]
    scale = Scale.fit(values, "quantile")
    assert scale.restored(scale.scaled(np.array([0.0, 250, 500]))).tolist() == pytest.approx([0, 250, 500], rel=1e-4)


@pytest.mark.parametrize("kind", SCALES)
def test_missing_values(kind) -> None:
    values = np.array([1.0, 2, 4, 9])
    found = Scale.fit(values, kind).scaled(np.array([np.nan, 2]))
    assert found[0] == (4 if kind == "none" else 0)
    assert np.isfinite(found).all()
    assert Scale.fit(values[:0], kind).scaled(np.array([3.0, np.nan])).tolist() == [0, 0]


@pytest.mark.parametrize("kind", ["standard", "robust", "quantile"])
def test_constants_and_two_values(kind) -> None:
    assert Scale.fit(np.full(9, 7.0), kind).scaled(np.array([7.0, 8])).tolist() == [0, 0]
    assert Scale.fit(np.full(9, 7.0), kind).for_targets().scaled(np.array([7.0, 8])).tolist() == [0, 1]
    if kind != "robust":
        assert Scale.fit(np.array([0.0, 1] * 9), kind).scaled(np.array([0.0, 1])).tolist() == [-1, 1]


def test_an_unknown_scale() -> None:
    with pytest.raises(InputError, match='there is no scale "minmax": choose among standard, robust'):
        Scale.fit(SKEWED, "minmax")


@pytest.mark.parametrize("kind", ["standard", "robust", "quantile"])
def test_numbers_whose_squares_are_no_float64(kind) -> None:
    values = GENERATOR.normal(size=500)
    found = Scale.fit(values * 1e300, kind).scaled(values * 1e300)
    assert np.allclose(found, Scale.fit(values, kind).scaled(values), atol=1e-5)
    widest = Scale.fit(np.array([-1e308, 1e308, 1e308, 3.0]), kind)
    assert np.isfinite(widest.scaled(np.array([-1e308, 0, 1e308]))).all()
