"""Rules on a surface: each walks it, is measured on it where it is a quadratic, and goes into a page that walks by itself.

>>> survey = thalweg.surface("ravine", rules=["sgd", "momentum", "adam"], settings={"sgd": {"lr": 0.95}})
>>> survey.walks["sgd"][-1]                                       # float64 (2,)
>>> survey["sgd"].exact_limit, survey["sgd"].measured_limit
(1.0, 1.0003)
>>> survey.page("surface.html")

A rule without a rate gets, of a grid, the one that leads lowest within the steps and never climbs above the start.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.engines import browser
from thalweg.errors import InputError
from thalweg.experiments.walking import LETTERS, Chosen, slider
from thalweg.report.surface import SurfaceReport, Walker, surface_page
from thalweg.rules.formula import SUPERSCRIPT
from thalweg.surfaces import path
from thalweg.surfaces.expression import as_javascript, surface_of
from thalweg.surfaces.functions import SURFACES, Point, Surface
from thalweg.surfaces.noise import JAVASCRIPT
from thalweg.surfaces.quadratics import Quadratic, centred, measured_contraction, measured_limit, quadratic
from thalweg.wording import listed

if TYPE_CHECKING:
    from sympy import Expr

    from thalweg.rules import Rule

USUAL_RULES = ("sgd", "momentum", "adam")
MOST_RULES, MOST_STEPS = 20, 2000
NEAR = 1e-3
"""How close to the lowest loss a walk counts as arrived."""
COLUMNS, ROWS = 141, 106
ASPECT = 4 / 3
WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


@dataclass(frozen=True)
class Survey:
    """What came of it. ``walks`` are float64 ``(steps + 1, 2)`` by rule, the start first; ``survey[rule]`` what is known."""

    surface: Surface
    walks: Mapping[str, np.ndarray]
    report: SurfaceReport

    def __getitem__(self, rule: str) -> Walker:
        return next(walker for walker in self.report.walkers if walker.name == rule)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        known = ("linear", "final", "arrived", "exact_limit", "measured_limit", "predicted", "contraction")
        return {
            "surface": self.report.name, "formula": self.report.formula, "start": list(self.report.start),
            "steps": self.report.steps, "lowest": self.report.lowest, "curvatures": self.report.curvatures,
            "rules": {
                walker.name: {"numbers": dict(walker.numbers), **{name: getattr(walker, name) for name in known},
                              "path": self.walks[walker.name].tolist()}
                for walker in self.report.walkers
            },
        }  # fmt: skip

    def page(self, path: str | Path) -> None:
        """Writes the page. Raises ``InputError`` where the file cannot be written."""
        from thalweg.report.page import write

        write(path, surface_page(self.report))


def surface(
    on: str | Surface,
    *,
    rules: Sequence[str | Rule] = USUAL_RULES,
    settings: Mapping[str, Mapping[str, float]] | None = None,
    start: Point | None = None,
    steps: int = 60,
    noise: float | None = None,
    seed: int = 0,
) -> Survey:
    """Lets rules walk a surface: one of ``surfaces.SURFACES``, or an expression of ``x`` and ``y``.

    ``settings`` are hyperparameters by rule, ``{"sgd": {"lr": 0.95}}``; ``noise`` the standard deviation of what every gradient
    has on top. Raises ``InputError`` for an unknown surface, rule or hyperparameter, and for a rule that no page can walk.
    """
    if not 1 <= steps <= MOST_STEPS:
        raise InputError(f"a walk has 1 to {MOST_STEPS} steps, not {steps}")
    if seed < 0:
        raise InputError(f"seed is {seed}: it must be 0 or more")
    ground = _surface(on, start, noise)
    chosen = [Chosen.of(rule, settings or {}) for rule in rules]
    names = [one.name for one in chosen]
    _check_names(names, settings or {})
    shape = quadratic(ground)
    walks, walkers = {}, []
    for one in chosen:
        numbers = one.numbers(ground, steps, seed)
        walks[one.name] = path(ground, one.maker(numbers), steps=steps, seed=seed)
        walkers.append(_walker(one, numbers, walks[one.name], ground, shape))
    report = _report(ground, on, walkers, walks, shape, steps=steps, seed=seed)
    return Survey(ground, walks, report)


def _surface(on: str | Surface, start: Point | None, noise: float | None) -> Surface:
    if noise is not None and not (math.isfinite(noise) and noise >= 0):
        raise InputError(f"noise = {noise} is no standard deviation: give a number from 0 on")
    if isinstance(on, Surface):
        found = on
    else:
        names = {name.lower(): value for name, value in SURFACES.items()}
        if on.lower() not in names:
            if on.isidentifier() and on not in ("x", "y"):
                raise InputError(
                    f'there is no surface "{on}": choose among {", ".join(names)}, or write a formula of x and y'
                )
            return surface_of(on, start=start, noise=noise or 0.0) if start else surface_of(on, noise=noise or 0.0)
        found = names[on.lower()]
    begin = found.start if start is None else start
    with np.errstate(all="ignore"):
        there = len(begin) == 2 and all(map(math.isfinite, (*begin, float(found.value(*map(np.float64, begin))))))
    if not there:
        raise InputError(f"a walk starts at two finite numbers x,y where the loss is finite, not at {begin}")
    return dataclasses.replace(found, start=begin, noise=found.noise if noise is None else noise)


def _check_names(names: Sequence[str], settings: Mapping[str, object]) -> None:
    if not 1 <= len(names) <= MOST_RULES:
        raise InputError(f"a page shows 1 to {MOST_RULES} rules, not {len(names)}")
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"the rule {name} is named twice: name it once")
    for name in settings:
        if name not in names:
            raise InputError(
                f"a setting is for {name}, which is not among the rules {', '.join(names)}: add it to them"
            )


def _walker(
    one: Chosen, numbers: Mapping[str, float], walk: np.ndarray, ground: Surface, shape: Quadratic | None
) -> Walker:
    """What is known and measured of a rule."""
    from thalweg.rules.formula import written

    says = one.rule.stability()
    with np.errstate(all="ignore"):
        heights = ground.value(*walk.T)
    lowest = _lowest(ground)
    known: dict[str, Any] = {}
    if says.limit is not None and says.matrix is not None:
        states = {name for name, _ in one.rule.states}
        known |= {
            "limit": _javascript(says.limit),
            "limit_words": _lettered(written(says.limit, states)).replace("lambda", "λ"),
            "matrix": [[_javascript(cell) for cell in row] for row in says.matrix.tolist()],
        }
    if shape is not None and shape.bowl and "lr" in numbers:
        bowl = centred(ground, shape, ground.start)
        if says.limit is not None and says.matrix is not None:
            known["exact_limit"] = says.largest_rate(shape.curvatures[1], **numbers)
            known["predicted"] = max(says.contraction(curvature, **numbers) for curvature in shape.curvatures)
        known["measured_limit"] = measured_limit(
            bowl, lambda rate: one.maker({**numbers, "lr": rate}), fades=says.limit is not None
        )
        known["contraction"] = measured_contraction(bowl, one.maker(numbers))
    near = np.zeros(len(heights), dtype=bool) if lowest is None else heights - lowest <= NEAR
    arrived = len(near) - int(np.argmin(near[::-1])) if near.any() and not near.all() else 0
    return Walker(
        name=one.name,
        equations=_lettered(str(one.rule).partition("\n")[2].replace("\n  ", "\n").strip()),
        program=one.code,
        numbers=numbers,
        sliders=[slider(name, value) for name, value in numbers.items()],
        linear=says.linear,
        final=float(heights[-1]),
        arrived=arrived if near[-1] else None,
        **known,
    )


def _lettered(formula: str) -> str:
    """With letters for the hyperparameters that have one, as on the sliders."""
    return WORD.sub(lambda word: LETTERS.get(word[0], word[0]), formula)


def _javascript(formula: Expr) -> str:
    """A formula of hyperparameters and ``curvature`` (``lambda`` is a word of Python's)."""
    import sympy

    from thalweg.rules.emit import emit
    from thalweg.rules.stability import curvature

    return browser.expression(emit(formula.xreplace({curvature: sympy.Symbol("curvature", positive=True)})))


def _lowest(ground: Surface) -> float | None:
    return None if ground.minimum is None else float(ground.value(*ground.minimum))


def _report(
    ground: Surface, on: str | Surface, walkers: Sequence[Walker], walks: Mapping[str, np.ndarray],
    shape: Quadratic | None, *, steps: int, seed: int,
) -> SurfaceReport:  # fmt: skip
    (left, right), (low, high) = _frame(ground, walks)
    across, up = np.linspace(left, right, COLUMNS), np.linspace(low, high, ROWS)
    bend = [] if shape is None else shape.hessian.ravel().tolist()
    value, *slopes = as_javascript(ground)
    return SurfaceReport(
        name=ground.name,
        formula=_printed(ground.formula),
        difficulty=ground.difficulty,
        sentence=_sentence(walkers, steps, noisy=ground.noise > 0),
        centre=None if shape is None or not shape.bowl else shape.centre,
        start=ground.start,
        minimum=ground.minimum,
        lowest=_lowest(ground),
        noise=ground.noise,
        seed=seed % 2**32,  # all that the noise takes of it, and no more than JavaScript can hold
        steps=steps,
        hessian=None if shape is None else (bend[0], bend[1], bend[3]),
        curvatures=None if shape is None else shape.curvatures,
        across=across,
        up=up,
        heights=ground.value(*np.meshgrid(across, up)),
        value=value,
        slopes=(slopes[0], slopes[1]),
        functions=browser.FUNCTIONS + JAVASCRIPT,
        walkers=walkers,
        source=on if isinstance(on, str) else ground.formula,
    )


def _printed(formula: str) -> str:
    """``x**4 - x*y`` → ``x⁴ − x·y``."""
    raised = re.sub(r"\*\*([0-9]+)\b(?!\.)", lambda power: power[1].translate(SUPERSCRIPT), formula)
    return raised.replace("*", "·").replace("··", "**").replace("-", "−")


def _frame(ground: Surface, walks: Mapping[str, np.ndarray]) -> tuple[Point, Point]:
    """What to draw: all walks as far as they stay in the domain, and the lowest point, with air around; to one scale."""
    (left, right), (low, high) = ground.domain
    points = np.concatenate([*walks.values(), np.array([ground.start, ground.minimum or ground.start])])
    inside = (points >= (left, low)).all(axis=1) & (points <= (right, high)).all(axis=1)
    seen = np.concatenate([points[inside], np.array([ground.start])])
    middle, extent = (seen.max(axis=0) + seen.min(axis=0)) / 2, np.ptp(seen, axis=0)
    half = 0.65 * max(extent[0], ASPECT * extent[1], 0.1 * (right - left))
    x, y = middle.tolist()
    return (x - half, x + half), (y - half / ASPECT, y + half / ASPECT)


def _sentence(walkers: Sequence[Walker], steps: int, *, noisy: bool) -> str:
    """Who came lowest, and how well the measured limits agree with the exact ones."""
    there = sorted((walker for walker in walkers if math.isfinite(walker.final)), key=lambda walker: walker.final)
    if not there:
        return f"No rule stays finite for {steps} steps."
    first, *others = there
    said = f"After {steps} steps {first.name} stands at a loss of {first.final:.3g}."
    if noisy:
        said = f"After {steps} steps {first.name} happens to stand lowest: under noise, look at how far each strays instead."
    elif others:
        last = others[-1]
        said = f"After {steps} steps {first.name} stands lowest, at {first.final:.3g}; {last.name} at {last.final:.3g}."
    held = [(w.name, w.measured_limit / w.exact_limit) for w in walkers if w.exact_limit and w.measured_limit]
    if held:
        off = max(abs(ratio - 1) for _, ratio in held)
        what = "limits" if len(held) > 1 else "limit"
        ones = "ones" if len(held) > 1 else "one"
        who = listed([name for name, _ in held])
        said += f" Measured, the {what} of {who} equal{'s' * (len(held) == 1)} the exact {ones} to {100 * off:.1g} %."
    return said
