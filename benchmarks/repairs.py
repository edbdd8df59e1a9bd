"""Does the remedy repair? Faulty specs are diagnosed and improved, and held against their healthy twins.

    python benchmarks/repairs.py                                    # all cases, three seeds
    python benchmarks/repairs.py --cases digits --seeds 3
    python benchmarks/repairs.py --out benchmarks/results/repairs.md

Each case is a healthy spec with one fault in it: a rate that is too high or too low, a deep net of sigmoids, weights drawn far
too large or all zero, inputs as they come, too few passes, decay or dropout that leaves nothing to learn, a net of two units, a
class that is ignored, a schedule that dies, plain gradient descent at Adam's rate. Train, diagnose and improve see the faulty
spec alone. The error is 1 − accuracy (balanced where a class is rare) or 1 − R² of the dev part.

A fault counts where it does harm: an error more than a tenth above the healthy twin's and beyond the seeds' noise (one standard
error of the paired difference). It is repaired where the error of ``improved.toml`` is within a tenth of the healthy twin's, or
within that noise. The last column says so with the noise left out.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

IMAGES = Path("/usr/share/datasets/fashion-mnist")
WITHIN = 1.1
NET: dict[str, Any] = {"hidden": [64, 64], "dropout": [0.0], "skip": False, "weight_decay": 0.01, "patience": 0}
HEALTHY: dict[str, dict[str, Any]] = {
    "digits": NET | {"data": "digits", "lr": 3e-3, "epochs": 15, "batch_size": 32},
    "fashion": NET | {"data": "fashion.npz", "lr": 2e-3, "epochs": 15, "batch_size": 32, "hidden": [128, 64]},
    "moons": NET | {"data": "moons.npz", "lr": 1e-2, "epochs": 30, "batch_size": 32, "hidden": [32, 32]},
    "rare": NET | {"data": "rare.npz", "lr": 5e-3, "epochs": 30, "batch_size": 32, "hidden": [32, 32],
                   "class_weights": "balanced", "watch": "balanced_accuracy"},
    "breast-cancer": NET | {"data": "breast-cancer", "lr": 3e-3, "epochs": 30, "batch_size": 32, "hidden": [32]},
    "wine": NET | {"data": "wine", "lr": 1e-2, "epochs": 30, "batch_size": 16, "hidden": [32]},
    "diabetes": NET | {"data": "diabetes", "lr": 3e-3, "epochs": 30, "batch_size": 32, "hidden": [32], "dropout": [0.3],
                       "skip": True, "weight_decay": 1.0},
}  # fmt: skip
SIGMOIDS = {"activation": "sigmoid", "hidden": [32] * 7, "lr": 1e-3}


@dataclass(frozen=True)
class Case:
    """A healthy spec, what is done to it, and the word for it."""

    data: str
    fault: str
    change: dict[str, Any]


CASES = (
    Case("digits", "rate 1", {"lr": 1.0}),
    Case("digits", "rate 30", {"lr": 30.0}),
    Case("digits", "rate 1e-5", {"lr": 1e-5}),
    Case("digits", "rate 1e-7", {"lr": 1e-7}),
    Case("digits", "seven layers of sigmoids", SIGMOIDS),
    Case("digits", "weights from normal(3)", {"init": "normal(3)"}),
    Case("digits", "all weights zero", {"init": "zeros"}),
    Case("digits", "one pass, rate 1e-4", {"epochs": 1, "lr": 1e-4}),
    Case("digits", "decay 100", {"weight_decay": 100.0}),
    Case("digits", "dropout 0.95", {"dropout": [0.95]}),
    Case("digits", "two units", {"hidden": [2, 2]}),
    Case("digits", "sgd at Adam's rate", {"rule": "sgd", "lr": 1e-3}),
    Case("digits", "rate dies after 20 steps", {"schedule": "staircase((20,), (1.0, 0.000001))"}),
    Case("fashion", "rate 0.3", {"lr": 0.3}),
    Case("fashion", "rate 3e-6", {"lr": 3e-6}),
    Case("fashion", "seven layers of sigmoids", SIGMOIDS),
    Case("fashion", "weights from normal(1)", {"init": "normal(1)"}),
    Case("fashion", "inputs as they come, sgd", {"scale": "none", "rule": "sgd", "lr": 0.03}),
    Case("fashion", "dropout 0.95", {"dropout": [0.95]}),
    Case("fashion", "one unit", {"hidden": [1]}),
    Case("moons", "rate 3", {"lr": 3.0}),
    Case("moons", "rate 1e-5", {"lr": 1e-5}),
    Case("moons", "linear model", {"model": "linear", "hidden": None, "dropout": None, "skip": None}),
    Case("moons", "L2 of 3000", {"l2": 3000.0, "weight_decay": None}),
    Case("moons", "rate dies after 20 steps", {"schedule": "staircase((20,), (1.0, 0.000001))"}),
    Case("rare", "class weights and watch left out", {"class_weights": None, "watch": None}),
    Case("breast-cancer", "inputs as they come, sgd", {"scale": "none", "rule": "sgd", "lr": 0.03}),
    Case("breast-cancer", "rate 30", {"lr": 30.0}),
    Case("breast-cancer", "decay 300", {"weight_decay": 300.0}),
    Case("wine", "inputs as they come, sgd", {"scale": "none", "rule": "sgd", "lr": 0.01}),
    Case("wine", "one pass, rate 1e-3", {"epochs": 1, "lr": 1e-3}),
    Case("wine", "rate 1e-6", {"lr": 1e-6}),
    Case("diabetes", "rate 3", {"lr": 3.0}),
    Case("diabetes", "rate 1e-6", {"lr": 1e-6}),
    Case("diabetes", "decay 1000", {"weight_decay": 1000.0}),
    Case("diabetes", "no regularisation, 512 units, 150 passes",
         {"weight_decay": 0.0, "dropout": [0.0], "hidden": [512, 512], "skip": False, "epochs": 150}),
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """What came of a case: errors by seed, the findings, the change that was written."""

    case: Case
    healthy: np.ndarray
    faulty: np.ndarray
    repaired: np.ndarray
    kinds: tuple[str, ...]
    words: str
    seconds: float

    def near(self, errors: np.ndarray, *, noise: bool = True) -> bool:
        """Whether errors are back at the healthy twin's."""
        difference = errors - self.healthy
        se = float(difference.std(ddof=1) / np.sqrt(len(difference))) if noise else 0.0
        return float(errors.mean()) <= WITHIN * float(self.healthy.mean()) + se

    @property
    def harmful(self) -> bool:
        return not self.near(self.faulty)


def write_data(folder: Path) -> None:
    """The arrays that are not bundled."""
    from sklearn.datasets import make_moons

    inputs, targets = make_moons(1500, noise=0.25, random_state=0)
    np.savez(folder / "moons.npz", X=inputs.astype(np.float32), y=targets)
    inputs, targets = make_moons(6000, noise=0.4, random_state=1)
    kept = np.concatenate([np.flatnonzero(targets == 0), np.flatnonzero(targets == 1)[:150]])
    np.savez(folder / "rare.npz", X=inputs[kept].astype(np.float32), y=targets[kept])
    from thalweg.data import load

    whole = load("fashion-mnist")
    rows = np.random.default_rng(0).permutation(60_000)[:2000]
    np.savez(folder / "fashion.npz", X=np.asarray(whole.inputs)[rows].astype(np.float32), y=whole.targets[rows])


def error_of(metrics: dict[str, float], metric: str) -> float:
    return 1 - metrics[metric]


def run_case(case: Case, seeds: int, twins: dict[str, np.ndarray], folder: Path) -> Row:
    from thalweg.errors import Diverged, InputError
    from thalweg.experiments import Silent, Spec, start
    from thalweg.experiments.folder import Folder
    from thalweg.experiments.improving import improve_run

    begin = time.perf_counter()
    metric = "r2" if case.data == "diabetes" else "balanced_accuracy" if case.data == "rare" else "accuracy"
    settings = HEALTHY[case.data] | {"runs": str(folder / "runs"), "threads": 1}
    if case.data not in twins:
        scores = [
            start(Spec(**settings | {"seed": seed}), Silent())[1]["metrics"]["dev"] for seed in range(1, seeds + 1)
        ]
        twins[case.data] = np.array([error_of(score, metric) for score in scores])
    name = "".join(letter if letter.isalnum() else "-" for letter in f"{case.data}-{case.fault}")
    run = Folder(folder / "runs" / name)
    try:
        start(Spec(**settings | case.change | {"name": name, "seed": 1}), Silent())
    except (InputError, Diverged):
        if not run.result.exists():
            raise
    found = improve_run(run.path, seeds=seeds)
    original = dict(found.original)
    for seed in range(1, seeds + 1):  # what improve had no need to know, for the table
        if seed not in original:
            original[seed] = _score(settings | case.change | {"seed": seed}, metric)
    faulty = 1 - np.array([original[seed] for seed in range(1, seeds + 1)])
    repaired, words = faulty, ""
    if found.best is not None:
        assert found.metric == metric, f"{case}: compared by {found.metric}"
        repaired, words = 1 - np.array([found.best.scores[seed] for seed in range(1, seeds + 1)]), found.best.words
    return Row(case, twins[case.data], faulty, repaired, found.kinds, words, time.perf_counter() - begin)


def _score(settings: dict[str, Any], metric: str) -> float:
    from thalweg.errors import InputError
    from thalweg.experiments import Silent, Spec, start

    try:
        return float(start(Spec(**settings), Silent())[1]["metrics"]["dev"][metric])
    except InputError:
        return 0.0


def table(rows: list[Row], seeds: int) -> str:
    harmful = [row for row in rows if row.harmful]
    repaired = sum(row.near(row.repaired) for row in harmful)
    strictly = sum(row.near(row.repaired, noise=False) for row in harmful)
    lines = [
        "# Repairs: what `thalweg improve` makes of faulty specs",
        "",
        f"`python benchmarks/repairs.py`. {platform.machine()}, one thread, Python {platform.python_version()}, {seeds} seeds. "
        f"Error of the dev part (1 − accuracy, balanced for `rare`; 1 − R² for diabetes), mean over seeds ± one standard error "
        f"of the difference to the healthy twin. Of {len(harmful)} faults that do harm, **{repaired} are repaired "
        f"({repaired / max(len(harmful), 1):.0%})**: back within a tenth of the healthy twin's error or one standard error; "
        f"{strictly} ({strictly / max(len(harmful), 1):.0%}) within a tenth with no allowance for noise.",
        "",
        "| data | fault | first findings | healthy | faulty | improved | what helped | repaired | strictly | s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: CASES.index(row.case)):
        mark = ("yes" if row.near(row.repaired) else "**no**") if row.harmful else "no harm"
        strict = ("yes" if row.near(row.repaired, noise=False) else "no") if row.harmful else ""
        lines.append(
            f"| {row.case.data} | {row.case.fault} | {', '.join(row.kinds[:2]) or 'none'} | {row.healthy.mean():.3f} | "
            f"{_with(row.faulty, row)} | {_with(row.repaired, row)} | {row.words or 'nothing'} | {mark} | {strict} | "
            f"{row.seconds:.0f} |"
        )
    return "\n".join(lines) + "\n"


def _with(errors: np.ndarray, row: Row) -> str:
    se = float((errors - row.healthy).std(ddof=1) / np.sqrt(len(errors)))
    return f"{errors.mean():.3f} ± {se:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--cases", default="", help="words that a case's data or fault must contain one of, with commas"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    words = [word for word in arguments.cases.split(",") if word]
    chosen = [case for case in CASES if not words or any(word in f"{case.data}: {case.fault}" for word in words)]
    chosen.sort(
        key=lambda case: [one for one in CASES if one.data == case.data].index(case)
    )  # of each data set in turn
    folder = Path(tempfile.mkdtemp(prefix="repairs-"))
    before = Path.cwd()
    rows: list[Row] = []
    twins: dict[str, np.ndarray] = {}
    out = arguments.out.resolve() if arguments.out else None
    try:
        os.chdir(folder)
        write_data(folder)
        for case in chosen:
            rows.append(run_case(case, arguments.seeds, twins, folder))
            row = rows[-1]
            print(
                f"{case.data}: {case.fault}: {row.healthy.mean():.3f} {row.faulty.mean():.3f} → {row.repaired.mean():.3f} "
                f"{'' if row.harmful else '(no harm) '}{'ok' if row.near(row.repaired) else 'NOT'} {row.kinds} [{row.words}] "
                f"{row.seconds:.0f} s",
                flush=True,
            )
            if out:
                out.write_text(table(rows, arguments.seeds), encoding="utf-8")
    finally:
        os.chdir(before)
        shutil.rmtree(folder, ignore_errors=True)
    print(table(rows, arguments.seeds))


if __name__ == "__main__":
    main()
