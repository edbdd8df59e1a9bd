"""The remedies of a run's findings, tried: which one helps, by how much, and the spec that it makes.

>>> found = improve_run("runs/digits-1", seeds=3)
>>> found.best.words, found.best.gain.mean, found.best.gain.low
('lr = 0.01', 0.87, 0.85)
>>> found.improved                                                  # for  thalweg train runs/digits-1/improved.toml
PosixPath('runs/digits-1/improved.toml')

Each change is tried with the run's own seed first; the best few that gain something are then tried with further seeds beside
the original with the same seeds, so that what is compared is paired: the same rows in the same parts, the same first weights
where the net is the same. Where two changes help, both together are tried too. Where the best gains with every seed
and may yet be chance, three more seeds decide. Trials are runs in ``improve/`` under the run:
an ``improve`` that was interrupted goes on with them, and one with more seeds adds to them.

What decides is the dev part, never the test part. The best of several has the luck of the draw in it: the gain to expect is
nearer the lower end of its interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thalweg.diagnose.remedies import remedies, words
from thalweg.errors import InputError
from thalweg.experiments.diagnosing import chosen_by_us, diagnose_run
from thalweg.experiments.findings import read_findings
from thalweg.experiments.folder import Folder
from thalweg.experiments.spec import Spec
from thalweg.experiments.trying import Gain, Stopped, Trial, Trials
from thalweg.experiments.watcher import Silent, Watcher
from thalweg.history import History

MOST = 6
"""Changes tried at most, without the two best together."""
KEPT = 3
"""Changes tried with further seeds."""
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
    change: dict[str, Any]
    spec: Spec
    scores: dict[int, float]
    gain: Gain
    said: str = ""

    @property
    def words(self) -> str:
        return words(self.change)

    def to_dict(self) -> dict[str, Any]:
        scores = {str(seed): score for seed, score in self.scores.items()}
        known = {"kind": self.kind, "change": self.change, "words": self.words, "scores": scores, "said": self.said}
        return known | {name: value if math.isfinite(value) else None for name, value in self.gain.to_dict().items()}


@dataclass(frozen=True)
class Improvement:
    """``attempts``, best first; ``best`` is the one that surely helps, None where none does. ``original``: scores by seed.

    ``metric`` of the dev part is what was compared; ``improved`` the file with the better spec.
    """

    folder: Folder
    metric: str
    kinds: tuple[str, ...]
    original: dict[int, float]
    attempts: tuple[Attempt, ...]
    best: Attempt | None
    improved: Path | None

    def to_dict(self) -> dict[str, Any]:
        """As ``improve.json`` in the run's folder holds it."""
        return {
            "metric": self.metric,
            "findings": list(self.kinds),
            "original": {str(seed): score for seed, score in self.original.items()},
            "attempts": [attempt.to_dict() for attempt in self.attempts],
            "best": None if self.best is None else self.best.to_dict(),
            "improved": None if self.improved is None else str(self.improved),
        }


def improve_run(
    run: str | Path, *, runs: str | Path = "runs", seeds: int = 3, watcher: Watcher | None = None
) -> Improvement:
    """Tries the remedies of a run's findings (diagnosing it first where nobody has) and writes the better spec.

    ``improved.toml`` is written where a change surely helps: the 95 % interval of its paired gain lies above 0.
    Raises ``InputError`` for a run that cannot be examined, ``trying.Stopped`` when the user stops it.
    """
    if not 2 <= seeds <= 10:
        raise InputError(
            f"seeds is {seeds}: an interval needs at least 2, and more than 10 are not needed to see a remedy"
        )
    folder, onlooker = Folder.open(run, runs), watcher or Silent()
    if not folder.result.exists():
        raise InputError(f"the run {folder.path} has no result yet: let it train first")
    status = folder.read_json(folder.result)["status"]
    if status != "finished" and not status.startswith("failed"):
        raise InputError(f"the run {folder.path} has not ended ({status}): go on with it first, with  thalweg resume")
    spec = Spec.read(folder.spec)
    verdict = read_findings(folder, History.read(folder.history)) if folder.history.exists() else None
    findings = verdict.findings if verdict is not None else diagnose_run(folder.path, watcher=onlooker).findings
    kinds = tuple(dict.fromkeys(finding.kind for finding in findings))
    search = _Search(folder, spec, seeds, _metric(folder, kinds), onlooker)
    settings, chosen = spec.model_dump(), chosen_by_us(folder)
    changes = [(f.kind, remedies(f.kind, settings, evidence=f.evidence, chosen=chosen)) for f in findings]
    return search.run(kinds, _in_turn(changes))


def _metric(folder: Folder, kinds: tuple[str, ...]) -> str:
    """What is comparable between the original and its remedies, whatever they do to the loss."""
    history = History.read(folder.history)
    wanted = ["balanced_accuracy"] if "class_imbalance" in kinds else []
    watched = Spec.read(folder.spec).watch
    wanted += [watched] if watched not in (None, "loss") else []
    return next((name for name in [*wanted, "r2", "accuracy"] if f"dev/{name}" in history), "loss")


def _in_turn(changes: list[tuple[str, list[dict[str, Any]]]]) -> list[tuple[str, dict[str, Any]]]:
    """Of the first finding twice as many as of those after it, none twice."""
    found: list[tuple[str, dict[str, Any]]] = []
    for place in range(max((len(each) for _, each in changes), default=0)):
        for rank, (kind, each) in enumerate(changes):
            at = place * 2 if rank == 0 else place
            for change in each[at : at + (2 if rank == 0 else 1)]:
                if all(change != known for _, known in found):
                    found.append((kind, change))
    return found[:MOST]


class _Search:
    """The trials of one ``improve``."""

    def __init__(self, folder: Folder, spec: Spec, seeds: int, metric: str, watcher: Watcher) -> None:
        self.folder, self.spec, self.watcher, self.metric = folder, spec, watcher, metric
        self.seeds = [spec.seed + k for k in range(seeds)]
        self.trials = Trials(folder, metric=metric, watcher=watcher)
        self.original: dict[int, float] = {}
        self.n_dev = folder.read_json(folder.result).get("parts", {}).get("dev", 0)
        self.least = 0.0 if metric in ("r2", "loss") or not self.n_dev else 0.5 / self.n_dev

    def run(self, kinds: tuple[str, ...], changes: list[tuple[str, dict[str, Any]]]) -> Improvement:
        own = self.trials.read(self.folder)
        self.original = {self.spec.seed: own.score if math.isfinite(own.score) else NOTHING}
        if changes:
            self._say_budget(changes)
        attempts: list[Attempt] = []
        for kind, change in changes:
            attempt = self._first(kind, change)
            if attempt is not None and all(_asked(attempt.spec) != _asked(other.spec) for other in attempts):
                attempts.append(attempt)
        gaining = self._ranked([attempt for attempt in attempts if attempt.gain.mean > 0])
        tried: list[Attempt] = []
        if gaining:
            for seed in self.seeds[1:]:
                self.original[seed] = self.trials.make(self.spec.replace(seed=seed), "original").score
            tried = [self._whole(attempt) for attempt in gaining[:KEPT]]
            tried += self._together(tried)
        changed = [attempt.change for attempt in tried]
        ranked = self._ranked(tried) + self._ranked([attempt for attempt in attempts if attempt.change not in changed])
        best = next((attempt for attempt in ranked if attempt.gain.helps), None)
        if best is None and ranked and self._gains_always(ranked[0]):
            ranked[0] = self._more(ranked[0])
            best = ranked[0] if ranked[0].gain.helps else None
        improved = None if best is None else self._write(best)
        found = Improvement(self.folder, self.metric, kinds, self.original, tuple(ranked), best, improved)
        self.folder.write_json(self.folder.path / "improve.json", found.to_dict())
        return found

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

    def _say_budget(self, changes: list[tuple[str, dict[str, Any]]]) -> None:
        seconds = self.folder.read_json(self.folder.result).get("seconds", 0.0) or _recorded_seconds(self.folder)
        more = len(self.seeds) - 1
        runs = len(changes) + more * (1 + KEPT) + 1 + more + 2 * EXTRA
        cost = sum((SEARCHES if change.get("lr", 0) is None else 1.0) * self._longer(change) for _, change in changes)
        cost += runs - len(changes)
        self.watcher.note(
            f"{len(changes)} changes to try, at most {runs} runs, about {max(seconds * cost, 1):,.0f} s in all; Ctrl-C keeps "
            f"what is done."
        )

    def _longer(self, change: dict[str, Any]) -> float:
        return float(change.get("epochs", self.spec.epochs)) / self.spec.epochs

    def _changed(self, change: dict[str, Any]) -> Spec | None:
        try:
            return self.spec.replace(**change)
        except InputError:
            return None

    def _first(self, kind: str, change: dict[str, Any]) -> Attempt | None:
        """A change with the run's own seed; None where it makes no spec that can be trained."""
        spec = self._changed(change)
        if spec is None:
            return None
        trial = self.trials.make(spec, words(change))
        return None if math.isnan(trial.score) else self._attempt(kind, change, trial, {spec.seed: trial.score})

    def _attempt(self, kind: str, change: dict[str, Any], trial: Trial, scores: dict[int, float]) -> Attempt:
        gain = Gain.of(self.original, scores, least=self.least)
        said = trial.failed or ("" if gain.mean > 0 else "no better with the first seed")
        return Attempt(kind, change, trial.spec, scores, gain, said)

    def _whole(self, attempt: Attempt) -> Attempt:
        """With every seed. What was left open was chosen with the first one and stays: that is the spec to be judged."""
        scores = dict(attempt.scores)
        for seed in self.seeds[1:]:
            if seed not in scores:
                scores[seed] = self.trials.make(attempt.spec.replace(seed=seed), attempt.words).score
        gain = Gain.of(self.original, scores, least=self.least)
        return Attempt(attempt.kind, attempt.change, attempt.spec, scores, gain)

    def _gains_always(self, attempt: Attempt) -> bool:
        return all(seed in attempt.scores and attempt.scores[seed] > self.original[seed] for seed in self.seeds)

    def _more(self, attempt: Attempt) -> Attempt:
        """A gain with every seed that may yet be chance, for the original itself differs so much: more seeds decide."""
        self.seeds += [self.seeds[-1] + 1 + k for k in range(EXTRA)]
        for seed in self.seeds[-EXTRA:]:
            self.original[seed] = self.trials.make(self.spec.replace(seed=seed), "original").score
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

    def _write(self, best: Attempt) -> Path:
        path = self.folder.path / "improved.toml"
        spec = best.spec.replace(name=None, runs=self.spec.runs, seed=self.spec.seed)
        self.folder.write(path, spec.to_toml())
        return path


def _asked(spec: Spec) -> dict[str, Any]:
    """A spec without what does not tell it from another."""
    return {name: value for name, value in spec.model_dump().items() if name not in ("name", "runs", "seed", "threads")}


def _recorded_seconds(folder: Folder) -> float:
    return History.read(folder.history).last("seconds", 0.0) if folder.history.exists() else 0.0


__all__ = ["Attempt", "Improvement", "Stopped", "improve_run"]
