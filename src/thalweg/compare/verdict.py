"""Which rule won a race, in a sentence, and which differences are noise.

>>> verdict = judge({"adam": adam, "nadam": nadam, "sgd": sgd}, what="dev loss")             # ten seeds each, pair by pair
>>> verdict.sentences[0]
"adam beat sgd; from nadam it can't be told; dev loss: 0.1313 [0.1299, 0.1326] over 10 seeds."
>>> verdict.sentences[1]
'nadam: 0.1313 [0.1298, 0.1322]; P(adam better) = 0.5 [0.2, 0.8], p = 0.99: the difference is noise.'

The best of a few trials owes something to luck, and a rule raced against itself finds settings that differ: where a rule's
other good settings are told (``others``), whoever beats the rule must beat each of them too.

Two rules differ where three say so: the sign-flip test after Holm's correction for all pairs of the race, the BCa interval of
the mean difference, and a chance of at least ``GAMMA`` to be better on a seed (Bouthillier et al. 2021). All pairs, because
the leader is chosen by the same numbers: corrected for the leader's pairs alone, one race in ten of eight equal rules found a
winner. A difference that every seed shows but that is less than a tenth of what seeds do (half of Cohen's 1988 "small") is no
victory: SWATS beats the Adam that it begins as in the fifth digit. A rule whose best setting lay at the edge of its range is
unsettled: better ones may lie beyond.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from thalweg.compare.paired import Estimate, better, holm, mean_difference, mean_of, sign_flip
from thalweg.errors import InputError
from thalweg.wording import listed, rounded

GAMMA = 0.75
TRIFLE = 0.1
"""Of the standard deviation over seeds: a smaller difference is none to anybody who trains."""
LEVEL = 0.05
Kind = Literal["score", "time"]


@dataclass(frozen=True)
class Standing:
    """A rule's place: its mean over seeds with a BCa interval and its median, in the measure that was given; how many of
    its ``seeds`` were a ``hit`` (a finite score, or the target reached)."""

    rule: str
    mean: Estimate
    median: float
    hits: int
    seeds: int


@dataclass(frozen=True)
class Duel:
    """Two rules, the one with the better mean first. ``difference`` is better − worse in the measure given, ``chance`` how
    probably the first is better on a seed; ``p`` is corrected for all pairs, ``plain_p`` is not; ``differ`` is the verdict.
    ``tuning`` says that they would differ, but for another setting of the second that the first does not beat, ``trifling``
    that they would, were the difference not so small beside what seeds do."""

    better: str
    worse: str
    difference: Estimate
    chance: Estimate
    plain_p: float
    p: float
    differ: bool
    tuning: bool = False
    trifling: bool = False


@dataclass(frozen=True)
class Verdict:
    """Every rule's standing, the best first; every pair; and what to say. ``tied`` are those that can't be told from the
    leader, the leader not among them; ``unsettled`` those whose settings lay at an edge, and which."""

    what: str
    kind: Kind
    standings: tuple[Standing, ...]
    duels: tuple[Duel, ...]
    tied: tuple[str, ...]
    unsettled: Mapping[str, str]
    sentences: tuple[str, ...]

    @property
    def leader(self) -> str:
        """The rule with the best mean, whether or not others can be told from it."""
        return self.standings[0].rule

    @property
    def sentence(self) -> str:
        """All that is to be said."""
        return " ".join(self.sentences)

    def duel(self, one: str, other: str) -> Duel:
        """The pair of these two, in whichever order. Raises ``InputError`` for rules that did not race."""
        for pair in self.duels:
            if {pair.better, pair.worse} == {one, other}:
                return pair
        names = ", ".join(standing.rule for standing in self.standings)
        raise InputError(f"{one} and {other} did not race each other: there are {names}")


def judge(
    results: Mapping[str, Sequence[float]],
    *,
    what: str = "dev loss",
    kind: Kind = "score",
    more: bool = False,
    horizon: float | None = None,
    unsettled: Mapping[str, str] | None = None,
    others: Mapping[str, Sequence[Sequence[float]]] | None = None,
    gamma: float = GAMMA,
    level: float = LEVEL,
    seed: int = 0,
) -> Verdict:
    """Compares rules by one number a seed: ``results[rule][k]`` is that of seed k, the same seeds for all.

    ``more`` says that more is better. A run that diverged, or never reached the target, is infinite (−∞ where more is
    better). Where a mean needs a number, a time is cut off at ``horizon``, the steps everybody had (the restricted mean of
    survival analysis), and a score lies beyond the worst finite one of the race, by a hundredth of their spread. ``what`` is
    the measure's name, for a time with its unit ("steps to dev loss 0.2"). ``unsettled`` names rules and what of theirs lay
    at an edge.
    ``others`` has the results of a rule's other good settings on the same seeds.

    Raises ``InputError`` for fewer than two rules, lengths that differ, or NaN.
    """
    table = _table(results, more)
    names = list(table)
    if kind == "time" and horizon is None:
        raise InputError("times that were cut off are compared up to a horizon: give the steps that every run had")
    finite = np.concatenate([row[np.isfinite(row)] for row in table.values()])
    # Beyond every finite score: else a rule that always diverges would tie with the worst run of one that never does.
    worst = float(finite.max() + 0.01 * (np.ptp(finite) or abs(finite.max()) or 1.0)) if len(finite) else 0.0
    if horizon is not None and kind == "time":
        worst = horizon
    filled = {rule: np.where(np.isfinite(row), row, worst) for rule, row in table.items()}
    names.sort(key=lambda rule: (float(filled[rule].mean()), -np.count_nonzero(np.isfinite(table[rule]))))
    standings = tuple(_standing(rule, table[rule], filled[rule], more, seed) for rule in names)
    pairs = list(itertools.combinations(names, 2))
    ps = [sign_flip(filled[one], filled[other], seed=seed) for one, other in pairs]
    duels = []
    for (one, other), plain_p, p in zip(pairs, ps, holm(ps), strict=True):
        difference = mean_difference(filled[one], filled[other], level=1 - level, seed=seed)
        chance = better(table[one], table[other], level=1 - level, seed=seed)
        differ = p <= level and difference.high < 0 and chance.value >= gamma
        trifling = differ and abs(difference.value) < TRIFLE * _spread(filled[one], filled[other])
        differ, tuning = differ and not trifling, False
        for given in (others or {}).get(other, ()) if differ else ():
            row = _table({one: results[one], other: given}, more)[other]
            whole = np.where(np.isfinite(row), row, worst)
            against = sign_flip(filled[one], whole, seed=seed) * p / plain_p
            lower = mean_difference(filled[one], whole, level=1 - level, seed=seed).high < 0
            tuning |= against > level or not lower or better(table[one], row, seed=seed).value < gamma
        apart = _as_given(difference, more)
        duels.append(Duel(one, other, apart, chance, plain_p, p, differ and not tuning, tuning, trifling))
    tied = tuple(duel.worse for duel in duels if duel.better == names[0] and not duel.differ)
    edges = {rule: edge for rule, edge in (unsettled or {}).items() if rule in table}
    verdict = Verdict(what, kind, standings, tuple(duels), tied, edges, ())
    return Verdict(what, kind, standings, tuple(duels), tied, edges, tuple(_said(verdict, level)))


def fewest_seeds(rules: int, *, level: float = LEVEL) -> int:
    """Seeds from which a difference can be shown among so many rules: 2/2ⁿ times the number of pairs must reach the level.

    >>> [fewest_seeds(rules) for rules in (2, 4, 7, 8)]
    [6, 8, 10, 11]
    """
    return math.ceil(math.log2(rules * (rules - 1) / level))


def _table(results: Mapping[str, Sequence[float]], more: bool) -> dict[str, np.ndarray]:
    """Lower is better, whatever was given."""
    if len(results) < 2:
        raise InputError("a race has at least two rules: name another")
    table = {rule: (-1.0 if more else 1.0) * np.asarray(row, dtype=float) for rule, row in results.items()}
    first = next(iter(table))
    for rule, row in table.items():
        if row.shape != table[first].shape or not row.size:
            raise InputError(
                f"{rule} has {row.size} results and {first} has {table[first].size}: give one for each seed, at least one"
            )
        if np.isnan(row).any():
            raise InputError(f"{rule}: a result is NaN: give what diverged as infinite")
    return table


def _spread(one: np.ndarray, other: np.ndarray) -> float:
    """The standard deviation over seeds, pooled; 0 for a single seed."""
    return math.sqrt((one.var(ddof=1) + other.var(ddof=1)) / 2) if len(one) > 1 else 0.0


def _standing(rule: str, row: np.ndarray, filled: np.ndarray, more: bool, seed: int) -> Standing:
    # The middle of the sorted runs, a miss above all: between a number and a miss there is no mean.
    median = (
        float(np.median(row)) if np.isfinite(np.sort(row)[(len(row) - 1) // 2 : len(row) // 2 + 1]).all() else math.inf
    )
    hits = int(np.count_nonzero(np.isfinite(row)))
    sign = -1.0 if more else 1.0
    return Standing(rule, _as_given(mean_of(filled, seed=seed), more), sign * median, hits, len(row))


def _as_given(estimate: Estimate, more: bool) -> Estimate:
    return Estimate(-estimate.value, -estimate.high, -estimate.low) if more else estimate


def _said(verdict: Verdict, level: float) -> list[str]:
    """The leader and whom it beat; then each other rule beside it; then the edges."""
    by_name = {standing.rule: standing for standing in verdict.standings}
    leader = verdict.standings[0]
    if not any(standing.hits for standing in verdict.standings):
        none = "No rule got there" if verdict.kind == "time" else "Every run diverged"
        return [f"{none}: {verdict.what}, {leader.seeds} seeds each."]
    enough = fewest_seeds(len(verdict.standings), level=level)
    untold = "too few seeds to tell" if leader.seeds < enough else "the difference is noise"
    duels = [duel for duel in verdict.duels if duel.better == leader.rule]
    beaten = [duel.worse for duel in duels if duel.differ]
    result = f"{verdict.what}: {_result(leader, verdict)} over {leader.seeds} seeds"
    if not beaten:
        said = [f"{leader.rule} can't be told from {listed(verdict.tied)}, {untold}; {result}."]
    elif verdict.tied:
        said = [f"{leader.rule} beat {listed(beaten)}; from {listed(verdict.tied)} it can't be told; {result}."]
    else:
        said = [f"{leader.rule} was best, it beat {listed(beaten)}; {result}."]
    if leader.seeds < enough:
        said.append(f"With {leader.seeds} seeds no difference can be shown: run at least {enough}.")
    for duel in duels:
        chance = f"P({leader.rule} better) = {_estimate(duel.chance, 2)}, p = {duel.p:.2g}"
        told = "" if duel.differ else f": {untold}"
        if duel.trifling:
            told = ": a difference on nearly all seeds, but less than a tenth of what seeds do: practically equal"
        if duel.tuning:
            told = f": another good setting of {duel.worse} is not beaten, so the difference may be one of tuning"
        said.append(f"{duel.worse}: {_result(by_name[duel.worse], verdict)}; {chance}{told}.")
    for rule, edge in verdict.unsettled.items():
        said.append(f"{rule} is unsettled: its best {edge} lay at the edge of the range, and better may lie beyond.")
    return said


def _result(standing: Standing, verdict: Verdict) -> str:
    """The mean with its interval; where some missed, how many did not; where all did, that alone."""
    if not standing.hits:
        return f"none of {standing.seeds} got there" if verdict.kind == "time" else f"all {standing.seeds} diverged"
    shown = _estimate(standing.mean, 3 if verdict.kind == "time" else 4)
    if standing.hits == standing.seeds:
        return shown
    return (
        f"{shown}, {standing.hits} of {standing.seeds} {'got there' if verdict.kind == 'time' else 'did not diverge'}"
    )


def _estimate(estimate: Estimate, digits: int) -> str:
    value, low, high = (rounded(number, digits) for number in (estimate.value, estimate.low, estimate.high))
    return value if math.isnan(estimate.low) else f"{value} [{low}, {high}]"
