"""A rule made ready to walk a surface: its program, its numbers, the rate that suits, and how each number is moved.

>>> one = Chosen.of("adam", {"lr": 0.3})
>>> path(RAVINE, one.maker(one.numbers(RAVINE, steps=60)), steps=60)
>>> one.numbers(RAVINE, steps=60)["beta2"]                        # as optim.Adam has it
0.999
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg import rules as named
from thalweg.engines import browser
from thalweg.errors import InputError
from thalweg.optim import NAMED, FromRule
from thalweg.optim.optimizer import Form, Optimizer
from thalweg.report.surface import Slider
from thalweg.surfaces import path
from thalweg.surfaces.functions import Surface
from thalweg.surfaces.quadratics import Make

if TYPE_CHECKING:
    from thalweg.rules import Program, Rule

COARSE, FINE = 8, 64
"""Rates to choose from, in a decade: everywhere, then around the best."""
LOWEST_RATE, HIGHEST_RATE = 1e-4, 1e2
SHARES = {"beta", "beta1", "beta2", "beta3", "momentum", "rho", "alpha", "dampening"}
MAIN = {"lr", *SHARES} - {"dampening"}
LETTERS = {
    "lr": "α", "beta": "β", "beta1": "β₁", "beta2": "β₂", "beta3": "β₃", "rho": "ρ", "alpha": "ρ", "eps": "ε", "momentum": "μ",
    "weight_decay": "λ",
}  # fmt: skip
CLASSES = {"momentum_sum": "heavy_ball", "amsgrad_single": "amsgrad"}


class Walking(FromRule):
    """An optimizer whose rule has been lowered: hundreds of walks do it once."""

    def __init__(
        self, parameters: list[torch.nn.Parameter], rule: Rule, program: Program, numbers: Mapping[str, float]
    ) -> None:
        super().__init__(parameters, rule, hyperparameters=numbers)
        self._lowered = program

    def program(self, form: Form) -> Program:
        return self._lowered


@dataclass(frozen=True)
class Chosen:
    """A rule with the hyperparameters given for it."""

    rule: Rule
    program: Program
    given: Mapping[str, float]
    code: str

    @property
    def name(self) -> str:
        return self.rule.name

    @classmethod
    def of(cls, which: str | Rule, settings: Mapping[str, Mapping[str, float]]) -> Chosen:
        """A rule by its name or its equations. Raises ``InputError`` for an unknown one, and for one that no page can walk."""
        if isinstance(which, str):
            if which not in named.names():
                raise InputError(f'there is no rule "{which}": choose among {", ".join(named.names())}')
            rule, program = named.variant(which), named.lowered(which)
            rule = rule if rule.name == which else rule.replacing(name=which)
        else:
            rule, program = which, which.program()
        given = settings.get(rule.name, {})
        for name, value in given.items():
            if name not in rule.hyperparameters:
                raise InputError(
                    f"the rule {rule.name} has no hyperparameter {name}; it has {', '.join(rule.hyperparameters)}"
                )
            if not math.isfinite(value):
                raise InputError(f"{rule.name}.{name} = {value} is no number to walk with: give a finite one")
        return cls(rule, program, given, browser.source(program))

    def numbers(self, ground: Surface, steps: int, seed: int) -> dict[str, float]:
        """All hyperparameters, as given or as its optimizer has them; the rate is looked for where it is not given."""
        from thalweg.rules.symbols import USUAL

        usual = {**USUAL, "weight_decay": 0.0, **self._of_its_class(), **(self.rule.defaults or {}), **self.given}
        missing = [name for name in self.rule.hyperparameters if name not in usual]
        if missing:
            raise InputError(
                f"the rule {self.name} needs a number for {missing[0]}: settings={{…: {{{missing[0]!r}: …}}}}"
            )
        numbers = {name: float(usual[name]) for name in self.rule.hyperparameters}
        for name, number in numbers.items():
            try:
                self._try(name, number)
            except ValueError as error:
                raise InputError(
                    f"the rule {self.name} cannot walk with {name} = {number:g} ({error}): set another"
                ) from None
        try:
            self.maker(numbers)([torch.nn.Parameter(torch.zeros(2))])
        except InputError:
            raise
        except ValueError as error:
            raise InputError(f"the rule {self.name} cannot walk with these numbers ({error}): set others") from None
        if "lr" in numbers and "lr" not in self.given:
            numbers["lr"] = self._rate(numbers, ground, steps, seed)
        return numbers

    def _class(self) -> Callable[..., Optimizer] | None:
        """The optimizer of the same name."""
        name = CLASSES.get(self.name, self.name)
        return NAMED[name] if self.rule.defaults is None and name in NAMED else None

    def _try(self, name: str, number: float) -> None:
        """Raises what the optimizer of the same name says to one number: it alone knows between what bounds that lies."""
        if (make := self._class()) is None:
            return
        weights = [torch.nn.Parameter(torch.zeros(2))]
        optimizer = make(weights)
        key, index = optimizer.place_of(name)
        if key not in (group := optimizer.param_groups[0]):
            return  # a number of the rule's own, which no argument sets
        given: Any = number
        if index is not None:
            given = tuple(number if at == index else value for at, value in enumerate(group[key]))
        make(weights, **{key: given})

    def _of_its_class(self) -> dict[str, float]:
        """The numbers that the optimizer of the same name begins with."""
        if (make := self._class()) is None:
            return {}
        optimizer = make([torch.nn.Parameter(torch.zeros(2))])
        found = {}
        for letter in self.rule.hyperparameters:
            try:
                (found[letter],) = optimizer.arguments(optimizer.param_groups[0], (letter,))
            except (KeyError, TypeError):
                continue  # a number of the rule's own, which no group has before the first step
        return found

    def maker(self, numbers: Mapping[str, float]) -> Make:
        """The optimizer of these numbers."""
        return lambda parameters: Walking(parameters, self.rule, self.program, numbers)

    def _rate(self, numbers: Mapping[str, float], ground: Surface, steps: int, seed: int) -> float:
        """The rate of two significant digits whose walk is lowest over its last quarter.

        It never climbs above the start, where noise does not push it there, and does not leave the domain, or what lies
        between a start outside and its mirror image.
        """
        (left, right), (low, high) = (
            (min(a, p, a + b - p), max(b, p, a + b - p)) for p, (a, b) in zip(ground.start, ground.domain, strict=True)
        )
        begun = float(ground.value(*ground.start))
        top = math.inf if ground.noise else begun + 1e-12 * abs(begun)

        def cost(rate: float) -> float:
            x, y = path(ground, self.maker({**numbers, "lr": rate}), steps=steps, seed=seed).T
            with np.errstate(all="ignore"):
                heights = ground.value(x, y)
            inside = (x >= left) & (x <= right) & (y >= low) & (y <= high) & (heights <= top)
            return float(heights[-(1 + steps // 4) :].mean()) if inside.all() else math.inf

        rates = np.logspace(math.log10(LOWEST_RATE), math.log10(HIGHEST_RATE), round(6 * COARSE) + 1)
        best = min((float(rate) for rate in rates), key=cost)
        around = best * 10 ** (np.arange(-FINE // COARSE, FINE // COARSE + 1) / FINE)
        return min((float(f"{rate:.2g}") for rate in around), key=cost)


def slider(name: str, value: float) -> Slider:
    """How a hyperparameter is moved."""
    letter = LETTERS.get(name, name)
    label = letter if name.startswith(("beta", "rho", "eps")) or letter == name else f"{letter} {name}"
    main = name in MAIN
    if name == "lr":
        return Slider(name, label, "log", min(LOWEST_RATE / 10, value), max(HIGHEST_RATE, value), main)
    if name in SHARES and 0 <= value < 1:
        return Slider(name, label, "share", 0.0, max(0.9999, value), main)
    if 0 < value < 1e-2:
        return Slider(name, label, "log", min(1e-12, value), 1.0, main)
    return Slider(name, label, "linear", min(0.0, 2 * value), max(1.0, 2 * value), main)
