"""How a race goes: who takes part, how many trials each has to find its settings, how many seeds decide.

>>> entrants = entrants_of(["adam", "adam"], ["cosine"])
>>> [one.name for one in entrants], [one.salt > 0 for one in entrants]
(['adam', 'adam (2)'], [True, True])
>>> RacePlan(entrants, trials=16, seeds=10).runs(more=0)
142
"""

from __future__ import annotations

import difflib
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from thalweg.compare import fewest_seeds, space_of
from thalweg.errors import InputError
from thalweg.experiments.assemble import check_words
from thalweg.experiments.racing.problem import Candidate
from thalweg.experiments.spec import Spec
from thalweg.experiments.tuning.candidate import candidate as with_values
from thalweg.search import Space
from thalweg.search.dimensions import Value

FRESH = 1_000
"""Added to the seed of the race: no trial has seen those from here on."""
BASELINES = ("sgd", "momentum", "heavy_ball", "nesterov", "adam", "adamw")
"""Rules of which the best one sets the target, where they race."""
USUAL_SEEDS = 10
ROUNDS = (0.2, 0.1)
"""How far from the best so far the rounds of nearer trials reach, as a share of each scale. Sixteen points in two dimensions
miss the optimum by more than rules differ: in the ravine momentum lost three races of fifteen to descent, which has one."""
LEVEL = 0.025
"""Of each of the two questions asked of the fresh seeds, who was sooner and who ended better: together one in twenty."""


@dataclass(frozen=True)
class Entrant:
    """A rule under a name, with the space in which it looks for its settings, and a schedule.

    ``salt`` is added to every seed: entrants that differ in nothing but their names have luck of their own each, or there
    would be nothing to compare. All others share their seeds and are pairs.
    """

    name: str
    rule: str
    space: Space
    schedule: str = "cosine"
    warmup: float = 0.05
    salt: int = 0

    def candidate(self, values: Mapping[str, Value], seed: int, *, test: bool = False) -> Candidate:
        """The rule with these settings on a seed."""
        return Candidate(self.rule, dict(values), seed + self.salt, self.schedule, self.warmup, test)


Rules = Sequence[str] | Mapping[str, "str | tuple[str, Mapping[str, Any]]"]


def entrants_of(
    rules: Rules, schedules: Sequence[str] = ("cosine",), *, warmup: float | None = None, decay: bool = False
) -> tuple[Entrant, ...]:
    """Who takes part: rules by name, or names of one's own for rules, or for a rule with a space of one's own; each with every
    schedule. ``warmup`` None is a twentieth of the steps before a rate that falls, none before a constant one.

    Raises ``InputError`` for a rule or a space that there is not, and for fewer than two entrants.
    """
    if isinstance(rules, str) or not isinstance(rules, Sequence | Mapping):
        raise InputError(
            f'rules are a list of names, or a mapping of names to rules, as in ["sgd", "adam"], not {rules!r}'
        )
    if not schedules or isinstance(schedules, str) or len(set(schedules)) < len(schedules):
        raise InputError("the schedules of a race are different, at least one: as in cosine,constant")
    given = list(rules.items()) if isinstance(rules, Mapping) else [(rule, rule) for rule in rules]
    named: list[Entrant] = []
    for name, entry in given:
        rule, own = _rule_and_space(name, entry)
        space = space_of(rule, with_decay=decay) if own is None else Space.parse(own)
        for schedule in schedules:
            for place in (0.0, 1.0):
                spec = Spec(data="", rule=rule, schedule=schedule, clip_norm=None)
                check_words(with_values(spec, space.at(dict.fromkeys(space, place))))
        for schedule in schedules:
            said = name if len(schedules) == 1 else f"{name} with {schedule}"
            rising = warmup if warmup is not None else 0.0 if schedule == "constant" else 0.05
            named.append(Entrant(said, rule, space, schedule, rising))
    found: list[Entrant] = []
    for place, one in enumerate(named):
        before = sum(other.name == one.name for other in named[:place])
        found.append(replace(one, name=f"{one.name} ({before + 1})" if before else one.name))
    if len(found) < 2:
        raise InputError("a race needs at least two rules: as in --rules sgd,adam")
    twins = [one for one in found if sum(replace(other, name=one.name) == one for other in found) > 1]
    return tuple(
        replace(one, salt=10_000 * (1 + zlib.crc32(one.name.encode()))) if one in twins else one for one in found
    )


def _rule_and_space(name: Any, entry: Any) -> tuple[str, Mapping[str, Any] | None]:
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"a rule's name is {name!r}: give each a word")
    if isinstance(entry, str):
        _check_rule(entry)
        return entry, None
    if not (
        isinstance(entry, tuple | list)
        and len(entry) == 2
        and isinstance(entry[0], str)
        and isinstance(entry[1], Mapping)
    ):
        raise InputError(
            f'{name} is {entry!r}: give a rule, or a rule with its space, as in ("adam", {{"lr": "1e-4..0.1:log"}})'
        )
    _check_rule(entry[0])
    return entry[0], entry[1]


def _check_rule(rule: str) -> None:
    from thalweg import optim

    if rule not in optim.NAMED:
        near = difflib.get_close_matches(rule, optim.NAMED, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose among {', '.join(optim.NAMED)}"
        raise InputError(f'there is no rule "{rule}": {hint}')


@dataclass(frozen=True)
class RacePlan:
    """The budget of a race, the same for every entrant.

    ``trials`` settings are tried, ``wide`` of them all over the space, the others around the best so far. ``repeats`` further
    tuning seeds say which of the ``finalists`` best is the best; all of these run on ``seeds`` fresh seeds (None: ten, or as
    many as a difference among so many rules needs), and the rule's own defaults too. Rates of ``sweep`` factors around the best
    say how wide the good range is. Where any best setting lies at the edge of its range, ``more`` trials follow for everybody.
    ``goal`` is the target, in the problem's metric; None: what the best tuned baseline reaches in half of its runs, ``relax``
    of it given away.
    """

    entrants: tuple[Entrant, ...]
    trials: int = 16
    seeds: int | None = None
    goal: float | None = None
    seed: int = 1
    finalists: int = 3
    repeats: int = 3
    relax: float = 0.01
    sweep: tuple[float, ...] = (0.1, 0.2, 0.5, 2.0, 5.0, 10.0)

    def __post_init__(self) -> None:
        for name, number, least in (("trials", self.trials, 2), ("seeds", self.fresh, 2), ("seed", self.seed, 0)):
            if not isinstance(number, int) or number < least:
                raise InputError(f"{name} is {number!r}: it must be a whole number, {least} or more")
        if self.goal is not None and not (isinstance(self.goal, int | float) and math.isfinite(self.goal)):
            raise InputError(f"goal is {self.goal!r}: it must be a number, the dev metric to reach")

    @property
    def fresh(self) -> int:
        """Fresh seeds of each entrant."""
        return self.seeds if self.seeds is not None else max(USUAL_SEEDS, self.enough)

    @property
    def enough(self) -> int:
        """Seeds with which a difference among so many can be shown at all."""
        return fewest_seeds(len(self.entrants), level=LEVEL)

    @property
    def near(self) -> int:
        """Trials of each round around the best."""
        return self.trials // 4

    @property
    def wide(self) -> int:
        """Trials all over the space."""
        return self.trials - len(ROUNDS) * self.near

    @property
    def more(self) -> int:
        """Trials that follow for everybody where a best setting lies at the edge of its range."""
        return max(self.wide // 2, 1)

    @property
    def finals(self) -> int:
        """Finalists that there can be."""
        return min(self.finalists, self.trials)

    def runs(self, *, more: int) -> int:
        """Runs of the whole race, with ``more`` extra trials each."""
        each = self.trials + more + self.finals * (self.repeats + self.fresh) + self.fresh + len(self.sweep)
        return len(self.entrants) * each

    def names(self) -> Iterable[str]:
        """The entrants' names."""
        return [one.name for one in self.entrants]
