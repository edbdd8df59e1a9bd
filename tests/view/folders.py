"""Folders as runs and studies leave them, written by hand: no training is needed to list them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from thalweg.experiments.spec import Spec
from thalweg.history import History


def run(
    runs: Path, name: str = "digits-1", *, passes: int = 3, status: str | None = "finished", **settings: Any
) -> Path:
    """A run of ``passes`` epochs of four steps; without a ``status`` it has no ``result.json``."""
    folder = runs / name
    folder.mkdir(parents=True)
    spec = Spec(**({"data": "digits", "lr": 0.01, "epochs": 8, "batch_size": 32, "watch": "accuracy"} | settings))
    (folder / "spec.toml").write_text(spec.to_toml(), encoding="utf-8")
    grow(folder, 0, passes)
    if status is not None:
        result = {
            "status": status,
            "created": "2026-01-02 03:04:05",
            "task": "multiclass",
            "seconds": 1.5,
            "epochs": passes,
        }
        (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    return folder


def grow(folder: Path, first: int, last: int) -> None:
    """Passes ``first`` … ``last`` − 1 of a history; the one before the first pass too, where it begins."""
    history = History(folder / "history.jsonl")
    if first == 0:
        history.record(0, {"train/loss": 2.3, "dev/loss": 2.3, "dev/accuracy": 0.1})
    for number in range(first, last):
        for step in range(4 * number + 1, 4 * number + 5):
            history.record(step, {"batch/loss": 2.0 / step, "lr": 0.01, "grad_norm/0.weight": 0.5})
        accuracy = 1.0 - 0.5 / (number + 1)
        at = 4 * number + 4
        history.record(
            at, {"train/loss": 1.0 / at, "train/accuracy": accuracy, "dev/loss": 2.0 / at, "dev/accuracy": accuracy}
        )
        history.record(at, {"epoch": float(number + 1), "seconds": 0.5 * (number + 1)})
    history.close()


def study(runs: Path, name: str = "digits-study-1", *, scores: tuple[float, ...] = (0.8, 0.9, 0.85)) -> Path:
    """A study of eight trials, some of which have ended."""
    folder = runs / name
    for number, score in enumerate(scores):
        trial = folder / "trials" / f"{number:04}"
        trial.mkdir(parents=True)
        (trial / "spec.toml").write_text('data = "digits"\n', encoding="utf-8")
        values = {"lr": 10.0 ** -(number % 4 + 1)}
        ended = {
            "number": number, "values": values, "status": "finished", "score": 1 - score, "why": "", "epochs": 3,
            "best_epoch": 2,
            "metrics": {"dev": {"loss": 1 - score, "accuracy": score}}, "costs": {}, "ended": 100.0 + number, "seconds": 0.25,
        }  # fmt: skip
        (trial / "result.json").write_text(json.dumps(ended), encoding="utf-8")
        history = History(trial / "history.jsonl")
        for epoch in range(1, 4):
            history.record(epoch, {"dev/accuracy": score - 0.1 / epoch, "dev/loss": math.exp(-epoch)})
        history.close()
    settings = (
        'data = "digits"\nrule = "adamw"\nwatch = "accuracy"\nseed = 1\nruns = "runs"\n[search]\ntrials = 8\n'
        '[space]\nlr = "0.0001..1.0:log"\n'
    )
    (folder / "study.toml").write_text(settings, encoding="utf-8")
    return folder


def race(runs: Path, name: str = "digits-race-1", *, trained: int = 5) -> Path:
    """A race of two rules on one problem, ``trained`` runs of each kept: four trials and the rest on fresh seeds."""
    folder = runs / name
    (folder / "runs").mkdir(parents=True)
    (folder / "race.toml").write_text(
        "[race]\ntrials = 4\nseeds = 6\nfinalists = 1\nrepeats = 2\nsweep = [0.5, 2.0]\n[problems.digits]\n"
        'metric = "accuracy"\nsteps = 170\npasses = 5\n[entrants.sgd]\nname = "sgd"\n[entrants.adam]\nname = "adam"\n',
        encoding="utf-8",
    )
    more_of_a_race(folder, 0, trained)
    return folder


def more_of_a_race(folder: Path, first: int, last: int) -> None:
    """Runs ``first`` … ``last`` − 1 of each rule."""
    with (folder / "runs" / "digits.jsonl").open("a", encoding="utf-8") as file:
        for rule, gain in (("sgd", 0.02), ("adam", 0.03)):
            file.write(json.dumps({"entrant": rule, "pace": 1e-4}) + "\n")
            for number in range(first, last):
                curve = {
                    "steps": [34, 68],
                    "dev": [0.5, None if number == 1 else 0.8 + gain * number],
                    "diverged": False,
                }
                stage = "tuning" if number < 4 else "fresh seeds"
                file.write(json.dumps({"entrant": rule, "stage": stage, "candidate": {}, "curve": curve}) + "\n")


def page(path: Path, title: str = "check digits") -> Path:
    """A page that lies in the runs folder by itself."""
    path.write_text(f"<!doctype html><html><head><title>{title} · thalweg</title></head><body>Here.</body></html>")
    return path
