"""What is said of the best trial after fresh seeds."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.experiments.tuning.confirm import said


@pytest.mark.parametrize(
    ("metric", "own", "values", "end"),
    [
        ("accuracy", 0.9, [0.9, 0.9, 0.9], "no stroke of luck"),  # whose mean is 0.9 only to rounding
        ("accuracy", 0.9, [0.8, 0.9, 0.8], "flatters it by 0.067"),
        ("accuracy", 0.8, [0.9, 0.9, 0.8], "no stroke of luck"),
        ("rmse", 0.5, [0.7, 0.7, 0.7], "flatters it by 0.2"),
        ("rmse", 0.7, [0.5, 0.5, 0.5], "no stroke of luck"),
    ],
)
def test_flattery(metric: str, own: float, values: list[float], end: str) -> None:
    mean = float(np.mean(values)) + 2e-16
    confirmed = {"metric": metric, "values": values, "mean": mean - 4e-16 * (metric == "accuracy"), "sd": 0.01}
    sentence = said(confirmed, {"metrics": {"dev": {metric: own}}}, 8)
    assert sentence.endswith(end)
    assert "e-1" not in sentence
