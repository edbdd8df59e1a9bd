"""The remedies of a run's findings, tried: which one helps, by how much, and the spec that it makes.

>>> found = improve_run("runs/digits-1", seeds=3)
>>> found.best.words, found.best.gain.mean, found.best.gain.low
('lr = 0.01', 0.87, 0.85)
>>> found.improved                                                  # for  thalweg train runs/digits-1/improved.toml
PosixPath('runs/digits-1/improved.toml')

Changes are tried in pairs with the run as it was (``attempts``). What the one that helps leaves to be found is treated again
from there, once: a run of one pass at too low a rate needs two remedies. Trials are runs in ``improve/`` under the run: an
``improve`` that was interrupted goes on with them, and one with more seeds adds to them.

What decides is the dev part, never the test part. The best of several has the luck of the draw in it: the gain to expect is
nearer the lower end of its interval.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.diagnose.remedies import remedies
from thalweg.errors import InputError
from thalweg.experiments.attempts import Attempt, Change, Round
from thalweg.experiments.diagnosing import chosen_by_us, diagnose_run
from thalweg.experiments.findings import read_findings
from thalweg.experiments.folder import Folder
from thalweg.experiments.spec import Spec
from thalweg.experiments.trying import Gain, Stopped
from thalweg.experiments.watcher import Silent, Watcher
from thalweg.history import History

if TYPE_CHECKING:
    from thalweg.diagnose import Finding

MOST = 6
"""Changes tried at most, without the two best together."""


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
    return _improved(folder, seeds, onlooker)


def _improved(folder: Folder, seeds: int, watcher: Watcher) -> Improvement:
    from thalweg.experiments.page import write_page

    findings = _findings(folder, watcher)
    kinds = tuple(dict.fromkeys(finding.kind for finding in findings))
    metric = _metric(folder, kinds)
    first = Round(folder, seeds=seeds, metric=metric, watcher=watcher)
    attempts = first.run(_changes(folder, findings), healthy=lambda trial: not _findings(trial, watcher))
    best = next((attempt for attempt in attempts if attempt.gain.helps), None)
    if best is not None:
        further = _further(best, seeds, metric, watcher)
        if further is not None:
            gain = Gain.of(first.original, further.scores)
            best = replace(further, kind=f"{best.kind}, {further.kind}", change=best.change | further.change, gain=gain)
            attempts.insert(0, best)
    improved = None
    if best is not None:
        improved, own = folder.path / "improved.toml", Spec.read(folder.spec)
        folder.write(improved, best.spec.replace(name=None, runs=own.runs, seed=own.seed).to_toml())
    found = Improvement(folder, metric, kinds, first.original, tuple(attempts), best, improved)
    folder.write_json(folder.path / "improve.json", found.to_dict())
    write_page(folder)
    return found


def _further(best: Attempt, seeds: int, metric: str, watcher: Watcher) -> Attempt | None:
    """What the best change leaves to be found is treated once more, from there."""
    again = Round(best.folder, seeds=seeds, metric=metric, watcher=watcher, known=best.scores)
    changes = _changes(best.folder, _findings(best.folder, watcher))
    attempts = again.run(changes, healthy=lambda trial: not _findings(trial, watcher))
    return next((attempt for attempt in attempts if attempt.gain.helps), None)


def _findings(folder: Folder, watcher: Watcher) -> tuple[Finding, ...]:
    """What tests found of a run; they are made where nobody has."""
    verdict = read_findings(folder, History.read(folder.history)) if folder.history.exists() else None
    return verdict.findings if verdict is not None else diagnose_run(folder.path, watcher=watcher).findings


def _changes(folder: Folder, findings: tuple[Finding, ...]) -> list[tuple[str, Change]]:
    settings, chosen = Spec.read(folder.spec).model_dump(), chosen_by_us(folder)
    return _in_turn([(f.kind, remedies(f.kind, settings, evidence=f.evidence, chosen=chosen)) for f in findings])


def _metric(folder: Folder, kinds: tuple[str, ...]) -> str:
    """What is comparable between the original and its remedies, whatever they do to the loss."""
    history = History.read(folder.history)
    wanted = ["balanced_accuracy"] if "class_imbalance" in kinds else []
    watched = Spec.read(folder.spec).watch
    wanted += [watched] if watched not in (None, "loss") else []
    return next((name for name in [*wanted, "r2", "accuracy"] if f"dev/{name}" in history), "loss")


def _in_turn(changes: list[tuple[str, list[Change]]]) -> list[tuple[str, Change]]:
    """Of the first finding twice as many as of those after it, none twice."""
    found: list[tuple[str, Change]] = []
    for place in range(max((len(each) for _, each in changes), default=0)):
        for rank, (kind, each) in enumerate(changes):
            at = place * 2 if rank == 0 else place
            for change in each[at : at + (2 if rank == 0 else 1)]:
                if all(change != known for _, known in found):
                    found.append((kind, change))
    return found[:MOST]


__all__ = ["Improvement", "Stopped", "improve_run"]
