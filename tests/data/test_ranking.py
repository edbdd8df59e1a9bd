"""The AUC and its interval against scikit-learn, SciPy, the definition and the bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, rankdata
from sklearn.metrics import roc_auc_score

from thalweg.data.profile.ranking import auc, midranks


def drawn(seed: int, m: int = 60, n: int = 90, gap: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    positive = np.arange(m + n) < m
    return np.round(generator.normal(size=m + n) + gap * positive, 1), positive


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=2, max_size=40), st.integers(1, 39))
def test_is_scikit_learns_and_scipys(values: list[int], first: int) -> None:
    scores, positive = np.array(values, float), np.arange(len(values)) < min(first, len(values) - 1)
    found = auc(scores, positive)
    assert found.value == pytest.approx(roc_auc_score(positive, scores))
    statistic = mannwhitneyu(scores[positive], scores[~positive]).statistic
    assert found.value == pytest.approx(statistic / positive.sum() / (~positive).sum())
    assert midranks(scores) == pytest.approx(rankdata(scores))
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_the_error_is_delongs_definition() -> None:
    scores, positive = drawn(0)
    x, y = scores[positive], scores[~positive]
    wins = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    variance = wins.mean(1).var(ddof=1) / len(x) + wins.mean(0).var(ddof=1) / len(y)
    assert auc(scores, positive).se == pytest.approx(np.sqrt(variance))


def test_the_interval_is_the_bootstraps() -> None:
    scores, positive = drawn(1)
    generator = np.random.default_rng(2)
    x, y = scores[positive], scores[~positive]
    again = [
        auc(np.concatenate([generator.choice(x, len(x)), generator.choice(y, len(y))]), positive).value
        for _ in range(1500)
    ]
    found = auc(scores, positive)
    assert found.se == pytest.approx(np.std(again), rel=0.08)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(again, [0.025, 0.975])), abs=0.02)


def test_the_interval_holds_as_often_as_it_says() -> None:
    truth = 0.7141961  # Φ(0.8 / √2), for two normal distributions 0.8 apart
    held = [found.low <= truth <= found.high for found in (auc(*drawn(seed)) for seed in range(1000))]
    assert 0.92 < np.mean(held) < 0.98


def test_groups_of_one_row_are_rows_and_copied_rows_are_groups() -> None:
    scores, positive = drawn(3)
    alone, rows = auc(scores, positive), np.arange(len(scores))
    assert auc(scores, positive, groups=rows).se == pytest.approx(alone.se)
    four = auc(np.repeat(scores, 4), np.repeat(positive, 4), groups=np.repeat(rows, 4))
    assert four.value == pytest.approx(alone.value) and four.se == pytest.approx(alone.se)
    assert auc(np.repeat(scores, 4), np.repeat(positive, 4)).se == pytest.approx(alone.se / 2, rel=0.02)


def test_one_group_on_a_side_says_nothing() -> None:
    scores, positive = drawn(4)
    found = auc(scores, positive, groups=np.where(positive, 0, np.arange(len(scores))))
    assert (found.low, found.high) == (0, 1) and found.chance == 0.5


def test_folds_widen_and_chance_is_a_normal_tail() -> None:
    scores, positive = drawn(5)
    plain, folded = auc(scores, positive), auc(scores, positive, folds=5)
    assert folded.se == pytest.approx(1.5 * plain.se)
    assert auc(-scores, positive).chance > 0.99 > 0.01 > plain.chance
