"""Changes of a spec, tried beside the spec itself: first with its own seed, the best few with more, always in pairs.

>>> attempts = Round(folder, seeds=3, metric="accuracy", watcher=Silent()).run([("lr_too_high", {"lr": 0.01})])
>>> attempts[0].words, attempts[0].gain.mean, attempts[0].gain.low
('lr = 0.01', 0.87, 0.85)

Paired: with the same seed the rows are in the same parts and, where the net is the same, the first weights are. Where the two
best changes speak of different settings, both together are tried too. Where the best gains with every seed and may yet be
chance, more seeds decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thalweg.diagnose.remedies import words
from thalweg.errors import InputError
from thalweg.experiments.folder import Folder
from thalweg.experiments.spec import Spec
from thalweg.experiments.trying import Gain, Trial, Trials
from thalweg.experiments.watcher import Watcher
from thalweg.history import History

Change = dict[str, Any]
KEPT = 2
"""Changes tried with further seeds."""
CLEAR = 3.0
"""Standard errors of the dev part that a gain is beyond chance from."""
EXTRA = 3
"""Seeds more where the best change gains with every seed and its interval still holds 0."""
NOTHING = 0.0
"""The accuracy, or R², of a run whose numbers were none from the start."""
SEARCHES = 2.0
"""A trial that looks for its rate takes so many times as long."""


@dataclass(frozen=True)
class Attempt:
    """A change of the spec and what came of it. ``scores`` by seed, higher is better; ``gain`` over the original, paired.

    ``said``: why it was given up, empty where it was tried with every seed.
    """

    kind: str
    change: Change
    spec: Spec
    scores: dict[int, float]
    gain: Gain
    said: str = ""

    @property
    def folder(self) -> Folder:
        """Of the run with the original's seed."""
        return Folder(Path(self.spec.runs) / str(self.spec.name))

    @property
    def words(self) -> str:
        return words(self.change)

    def to_dict(self) -> dict[str, Any]:
        scores = {str(seed): score for seed, score in self.scores.items()}
        known = {"kind": self.kind, "change": self.change, "words": self.words, "scores": scores, "said": self.said}
        return known | {name: value if math.isfinite(value) else None for name, value in self.gain.to_dict().items()}


class Round:
    """Changes of one run's spec tried, the best few with all seeds. ``known``: its own scores by seed, as far as they are."""

    def __init__(
        self, folder: Folder, *, seeds: int, metric: str, watcher: Watcher, known: Mapping[int, float] | None = None
    ) -> None:
        self.folder, self.spec, self.watcher, self.metric = folder, Spec.read(folder.spec), watcher, metric
        self.seeds = [self.spec.seed + k for k in range(seeds)]
        self.trials = Trials(folder, metric=metric, watcher=watcher)
        own = self.trials.read(folder).score
        self.original = {self.spec.seed: own if math.isfinite(own) else NOTHING} | dict(known or {})
        self.n_dev = folder.read_json(folder.result).get("parts", {}).get("dev", 0)
        self.least = 0.0 if metric in ("r2", "loss") or not self.n_dev else 0.5 / self.n_dev

    def run(self, changes: Sequence[tuple[str, Change]], *, healthy: Callable[[Folder], bool]) -> list[Attempt]:
        """Attempts, best first; the first of them that ``gain.helps`` is the one to take. ``changes``: for which kind, what.

        Where one of the first two gains far more than chance would and leaves a run that is ``healthy``, the others are not
        tried; so with those that follow.
        """
        if changes:
            self._say_budget(changes)
        attempts: list[Attempt] = []
        for kind, change in changes:
            attempt = self._first(kind, change)
            if attempt is not None and all(_asked(attempt.spec) != _asked(other.spec) for other in attempts):
                attempts.append(attempt)
            if len(attempts) > 1 and any(self._is_clear(one) and healthy(one.folder) for one in attempts):
                break
        gaining = self._ranked([attempt for attempt in attempts if attempt.gain.mean > 0])
        tried = [self._whole(attempt) for attempt in gaining[:KEPT]]
        tried += self._together(tried)
        changed = [attempt.change for attempt in tried]
        ranked = self._ranked(tried) + self._ranked([attempt for attempt in attempts if attempt.change not in changed])
        if ranked and not any(attempt.gain.helps for attempt in ranked) and self._gains_always(ranked[0]):
            ranked[0] = self._more(ranked[0])
        return ranked

    def _is_clear(self, attempt: Attempt) -> bool:
        return attempt.gain.mean > CLEAR * self._noise(attempt.scores[self.spec.seed])

    def _made(self, seed: int) -> None:
        """The spec itself with another seed."""
        if seed not in self.original:
            score = self.trials.make(self.spec.replace(seed=seed), "original").score
            self.original[seed] = score if math.isfinite(score) else NOTHING

    def _ranked(self, attempts: list[Attempt]) -> list[Attempt]:
        """Best first. Those within the noise of the dev part come in the order of the findings."""
        best = max((attempt.gain.mean for attempt in attempts), default=0.0)
        least = best - self._noise(self.original[self.spec.seed] + best)
        return sorted(attempts, key=lambda attempt: -min(attempt.gain.mean, least))

    def _noise(self, score: float) -> float:
        """One standard error of a score on the dev part: of a share √(p(1−p)/n)."""
        if self.metric in ("r2", "loss"):
            return 0.01 * abs(score)
        share = min(max(score, 0.0), 1.0)
        return math.sqrt(share * (1 - share) / max(self.n_dev, 1))

    def _say_budget(self, changes: Sequence[tuple[str, Change]]) -> None:
        seconds = self.folder.read_json(self.folder.result).get("seconds", 0.0) or _recorded_seconds(self.folder)
        more = len(self.seeds) - 1
        runs = len(changes) + more * (1 + KEPT) + 1 + more + 2 * EXTRA
        cost = sum((SEARCHES if change.get("lr", 0) is None else 1.0) * self._longer(change) for _, change in changes)
        cost += runs - len(changes)
        self.watcher.note(
            f"{len(changes)} changes to try, at most {runs} runs, about {max(seconds * cost, 1):,.0f} s in all; Ctrl-C keeps "
            f"what is done."
        )

    def _longer(self, change: Change) -> float:
        return float(change.get("epochs", self.spec.epochs)) / self.spec.epochs

    def _changed(self, change: Change) -> Spec | None:
        try:
            return self.spec.replace(**change)
        except InputError:
            return None

    def _first(self, kind: str, change: Change) -> Attempt | None:
        """A change with the run's own seed; None where it makes no spec that can be trained."""
        spec = self._changed(change)
        if spec is None:
            return None
        trial = self.trials.make(spec, words(change))
        return None if math.isnan(trial.score) else self._attempt(kind, change, trial, {spec.seed: trial.score})

    def _attempt(self, kind: str, change: Change, trial: Trial, scores: dict[int, float]) -> Attempt:
        gain = Gain.of(self.original, scores, least=self.least)
        said = trial.failed or ("" if gain.mean > 0 else "no better with the first seed")
        return Attempt(kind, change, trial.spec, scores, gain, said)

    def _whole(self, attempt: Attempt) -> Attempt:
        """With every seed. What was left open was chosen with the first one and stays: that is the spec to be judged."""
        scores = dict(attempt.scores)
        for seed in self.seeds[1:]:
            self._made(seed)
            if seed not in scores:
                scores[seed] = self.trials.make(attempt.spec.replace(seed=seed), attempt.words).score
        gain = Gain.of(self.original, scores, least=self.least)
        return Attempt(attempt.kind, attempt.change, attempt.spec, scores, gain)

    def _gains_always(self, attempt: Attempt) -> bool:
        return all(seed in attempt.scores and attempt.scores[seed] > self.original[seed] for seed in self.seeds)

    def _more(self, attempt: Attempt) -> Attempt:
        """A gain with every seed that may yet be chance, for the original itself differs so much: more seeds decide."""
        self.seeds += [self.seeds[-1] + 1 + k for k in range(EXTRA)]
        return self._whole(attempt)

    def _together(self, tried: list[Attempt]) -> list[Attempt]:
        """The two best at once, where both gain something and do not speak of the same settings."""
        gaining = sorted((a for a in tried if a.gain.mean > 0), key=lambda a: -a.gain.mean)
        if len(gaining) < 2 or set(gaining[0].change) & set(gaining[1].change):
            return []
        both = gaining[1].change | gaining[0].change
        first = self._first(f"{gaining[0].kind} + {gaining[1].kind}", both)
        if first is None or first.gain.mean <= gaining[0].scores[self.spec.seed] - self.original[self.spec.seed]:
            return []
        return [self._whole(first)]


def _asked(spec: Spec) -> dict[str, Any]:
    """A spec without what does not tell it from another."""
    return {name: value for name, value in spec.model_dump().items() if name not in ("name", "runs", "seed", "threads")}


def _recorded_seconds(folder: Folder) -> float:
    return History.read(folder.history).last("seconds", 0.0) if folder.history.exists() else 0.0
