"""Test functions as problems: exact gradients in float64, the noise of mini-batches drawn, every candidate a row of a matrix.

>>> quadratic(dimension=10, condition=1e3).run([Candidate("momentum", {"lr": 0.5}, seed=k) for k in range(10)])
>>> noisy_quadratic().metric
'log10 loss'

All candidates of a rule are groups of one optimizer: a step is one call, however many there are. The metric is the decimal
logarithm of the height above the minimum, cut off at 1e-12: a race to the bottom is a race through orders of magnitude.
"""

from __future__ import annotations

import inspect
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from thalweg.experiments.build import averaged_weights, build_optimizer, build_schedule, look_up
from thalweg.experiments.racing.problem import Candidate, Curve, OnPass, nobody
from thalweg.experiments.spec import Spec
from thalweg.experiments.tuning.candidate import candidate as with_values

FLOOR = 1e-12
Heights = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class FunctionProblem:
    """A function of ``(K, d)`` points: ``height`` gives ``(K,)`` above the minimum, ``gradient`` gives ``(K, d)``.

    A seed starts at ``start + spread · N(0, 1)`` and its gradients have ``noise · N(0, 1)`` added, the same for all rules.
    """

    name: str
    height: Heights
    gradient: Callable[[np.ndarray], np.ndarray]
    start: tuple[float, ...]
    spread: float = 0.1
    noise: float = 0.0
    steps: int = 500
    passes: int = 100
    metric: str = "log10 loss"
    more: bool = False

    def run(self, candidates: Sequence[Candidate], on_pass: OnPass = nobody) -> list[Curve] | None:
        return self._walk(candidates, self.steps, on_pass)

    def pace(self, candidate: Candidate) -> float:
        few = min(self.steps, 50)
        self._walk([candidate], few, nobody)
        taken = []
        for _ in range(3):
            began = time.perf_counter()
            self._walk([candidate], few, nobody)
            taken.append((time.perf_counter() - began) / few)
        return statistics.median(taken)

    def _walk(self, candidates: Sequence[Candidate], steps: int, on_pass: OnPass) -> list[Curve] | None:
        count, every = len(candidates), max(self.steps // self.passes, 1)
        draws = {one.seed: np.random.default_rng([one.seed, 1]) for one in candidates}
        first = {
            seed: np.asarray(self.start)
            + self.spread * np.random.default_rng([seed, 0]).standard_normal(len(self.start))
            for seed in draws
        }
        points = torch.from_numpy(np.stack([first[one.seed] for one in candidates]))
        slopes = torch.zeros_like(points)
        rows = [torch.nn.Parameter(row) for row in points]
        for row, slope in zip(rows, slopes, strict=True):
            row.grad = slope
        optimizer = _optimizer(candidates, rows)
        factors = [self._factors(one) for one in candidates]
        full = [float(group["lr"]) for group in optimizer.param_groups]
        where, measured = points.numpy(), np.full((steps // every, count), np.nan)
        with np.errstate(all="ignore"):
            for step in range(steps):
                found = self.gradient(where)
                if self.noise:
                    drawn = {seed: draw.standard_normal(len(self.start)) for seed, draw in draws.items()}
                    found = found + self.noise * np.stack([drawn[one.seed] for one in candidates])
                slopes.numpy()[:] = np.nan_to_num(found, nan=0.0, posinf=1e300, neginf=-1e300)
                for group, rate, factor in zip(optimizer.param_groups, full, factors, strict=True):
                    group["lr"] = rate * factor[step]
                optimizer.step()
                if (step + 1) % every == 0:
                    with averaged_weights(optimizer):
                        measured[step // every] = self.height(where)
                    if on_pass(count):
                        return None
        return [self._curve(values, every) for values in measured.T]

    def _factors(self, one: Candidate) -> list[float]:
        schedule = build_schedule(Spec(data="", schedule=one.schedule, warmup=one.warmup), steps=self.steps)
        return [schedule(step) for step in range(self.steps)]

    def _curve(self, heights: np.ndarray, every: int) -> Curve:
        """The curve up to the first height that is no number."""
        broken = np.flatnonzero(~np.isfinite(heights))
        kept = heights[: broken[0]] if len(broken) else heights
        dev = np.log10(np.maximum(kept, FLOOR))
        steps = tuple(every * (1 + place) for place in range(len(kept)))
        return Curve(steps, tuple(dev.tolist()), tuple(kept.tolist()), diverged=bool(len(broken)))


def _optimizer(candidates: Sequence[Candidate], rows: Sequence[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """One optimizer of all rows, each a group with its candidate's settings."""
    groups = []
    for one, row in zip(candidates, rows, strict=True):
        spec = with_values(Spec(data="", rule=one.rule, clip_norm=None), one.values)
        own = build_optimizer(spec, [row], lr=spec.lr or default_rate(one.rule))
        groups.append(own.param_groups[0])
    optimizer = build_optimizer(Spec(data="", rule=candidates[0].rule, clip_norm=None), [rows[0]], lr=1.0)
    optimizer.param_groups.clear()
    for group in groups:
        optimizer.add_param_group(group)
    return optimizer


def default_rate(rule: str) -> float:
    """The learning rate that the rule's class has where none is given."""
    from thalweg import optim

    default = inspect.signature(look_up(rule, optim.NAMED, "rule")).parameters["lr"].default
    return float(default) if isinstance(default, int | float) else 1e-3


def quadratic(
    *, dimension: int = 20, condition: float = 1e3, noise: float = 0.0, steps: int = 500, name: str = "quadratic"
) -> FunctionProblem:
    """``½ wᵀ H w``; the eigenvalues of H go from 1/condition to 1, evenly in the logarithm, and its axes are turned at random:
    on straight axes a rate for each coordinate would be a rate for each eigenvalue."""
    axes, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((dimension, dimension)))
    matrix = (axes * np.logspace(-math.log10(condition), 0.0, dimension)) @ axes.T
    return FunctionProblem(
        name,
        lambda w: 0.5 * np.einsum("ki,ki->k", w @ matrix, w),
        lambda w: w @ matrix,
        start=(1.0,) * dimension,
        spread=0.3,
        noise=noise,
        steps=steps,
    )


def noisy_quadratic(*, condition: float = 100.0, noise: float = 0.1, steps: int = 500) -> FunctionProblem:
    """The same with noise in each gradient, the model of mini-batches of Zhang et al. (2019, arXiv 1907.04164)."""
    return quadratic(condition=condition, noise=noise, steps=steps, name="noisy quadratic")


def ravine(*, steps: int = 100) -> FunctionProblem:
    """``x²/20 + y²`` from about (-7, 2): twenty times as curved across as along."""
    curved = np.array([0.1, 2.0])
    return FunctionProblem(
        "ravine",
        lambda w: 0.5 * (w**2 @ curved),
        lambda w: w * curved,
        start=(-7.0, 2.0),
        spread=0.3,
        steps=steps,
        passes=steps,
    )


def rosenbrock(*, steps: int = 1000) -> FunctionProblem:
    """``(1 − x)² + 100 (y − x²)²`` from about (-1.2, 1): a curved valley whose floor hardly falls."""

    def gradient(w: np.ndarray) -> np.ndarray:
        x, y = w.T
        return np.stack([2 * (x - 1) - 400 * x * (y - x**2), 200 * (y - x**2)], axis=1)

    return FunctionProblem(
        "Rosenbrock",
        lambda w: (1 - w[:, 0]) ** 2 + 100 * (w[:, 1] - w[:, 0] ** 2) ** 2,
        gradient,
        start=(-1.2, 1.0),
        spread=0.1,
        steps=steps,
    )


FUNCTIONS: dict[str, Callable[[], FunctionProblem]] = {
    "quadratic": quadratic,
    "noisy-quadratic": noisy_quadratic,
    "ravine": ravine,
    "rosenbrock": rosenbrock,
}
"""Functions by the name that ``thalweg race`` takes in place of data."""
