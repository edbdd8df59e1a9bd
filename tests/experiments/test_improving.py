"""Remedies tried: what helps is found, what does not is said; trials are kept, and made once."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from thalweg.errors import InputError
from thalweg.experiments import Folder, Silent, Spec, start, trying
from thalweg.experiments.findings import write_findings
from thalweg.experiments.improving import Stopped, improve_run
from thalweg.experiments.run import Interrupted
from thalweg.experiments.trying import Gain, Trials
from thalweg.history import History

NET: dict[str, Any] = {
    "hidden": [16],
    "dropout": [0.0],
    "skip": False,
    "weight_decay": 0.01,
    "batch_size": 32,
    "epochs": 8,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs")
    generator = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    label = np.arange(600) % 3
    np.savez(path / "three.npz", X=(centres[label] + generator.normal(0, 0.5, (600, 2))).astype(np.float32), y=label)
    settings = NET | {"data": str(path / "three.npz"), "runs": str(path / "runs")}
    start(Spec(**settings, lr=1e-2, name="good"), Silent())
    start(Spec(**settings, lr=1e-6, name="low"), Silent())
    return path / "runs"


def test_a_rate_that_is_too_low_is_repaired(home: Path) -> None:
    found = improve_run(home / "low", seeds=3)
    assert found.kinds[0] == "lr_too_low" and found.metric == "accuracy"
    assert found.best is not None and found.improved is not None
    gains = [found.best.scores[seed] - found.original[seed] for seed in (1, 2, 3)]
    interval = stats.t.interval(0.95, 2, np.mean(gains), max(stats.sem(gains), 0.5 / 120))
    assert (found.best.gain.low, found.best.gain.high) == pytest.approx(interval, rel=1e-3)
    assert found.best.gain.low > 0
    spec = Spec.read(found.improved)
    assert spec.lr is not None and spec.lr > 1e-6 and spec.seed == 1 and spec.runs == str(home) and spec.name is None
    _, result = start(spec, Silent())
    assert result["metrics"]["dev"]["accuracy"] == found.best.scores[1]  # what was measured is what one gets
    made = sorted((home / "low" / "improve").iterdir())
    stamps = [path.stat().st_mtime_ns for path in made]
    again = improve_run(home / "low", seeds=3)
    assert again == found
    assert sorted((home / "low" / "improve").iterdir()) == made and [p.stat().st_mtime_ns for p in made] == stamps
    folder = Folder(home / "low")
    assert folder.read_json(folder.path / "improve.json")["best"]["words"] == found.best.words
    assert f"the best is {found.best.words}: dev accuracy" in folder.page.read_text(encoding="utf-8")


def test_a_healthy_run_is_left_alone(home: Path) -> None:
    found = improve_run(home / "good")
    assert (found.kinds, found.attempts, found.best, found.improved) == ((), (), None, None)
    assert not (home / "good" / "improve").exists() and not (home / "good" / "improved.toml").exists()


def test_what_does_not_help_is_said(home: Path, tmp_path: Path) -> None:
    """A finding that is wrong: its remedies make a good run no better."""
    from thalweg.diagnose import Finding, Verdict

    shutil.copytree(home / "good", tmp_path / "good")
    folder = Folder(tmp_path / "good")
    wrong = Finding("over_regularised", "It is not.", "decay", {}, 0.9, "Weaken it.", "", "warning")
    write_findings(folder, Verdict((wrong,)), History.read(folder.history), tested=True)
    found = improve_run(folder.path, seeds=2)
    assert found.kinds == ("over_regularised",) and found.attempts
    assert found.best is None and found.improved is None and not (folder.path / "improved.toml").exists()


def test_an_interrupted_search_goes_on(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(home / "low", tmp_path / "low", ignore=shutil.ignore_patterns("improve*"))
    made: list[Spec] = []

    def stops(spec: Spec, watcher: Any) -> Any:
        made.append(spec)
        if len(made) == 2:
            raise Interrupted(Folder(tmp_path / "low"))
        return start(spec, watcher)

    monkeypatch.setattr(trying, "start", stops)
    with pytest.raises(Stopped):
        improve_run(tmp_path / "low", seeds=2)
    first = made[0].name
    improve_run(tmp_path / "low", seeds=2)
    assert [spec.name for spec in made].count(first) == 1


def test_a_run_that_ends_in_numbers_that_are_none_has_the_score_of_its_best_pass(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "good", tmp_path / "good")
    folder = Folder(tmp_path / "good")
    folder.write_json(folder.result, folder.read_json(folder.result) | {"status": "failed: the loss became nan"})
    trials = Trials(folder, metric="accuracy", watcher=Silent())
    best = History.read(folder.history).column("dev/accuracy").values.max()
    assert trials.read(folder).score == best and trials.read(folder).failed == "failed: the loss became nan"
    by_loss = Trials(folder, metric="loss", watcher=Silent())
    assert by_loss.read(folder).score == -History.read(folder.history).column("dev/loss").values.min()


def test_far_below_the_mean_is_as_bad_as_anything(home: Path) -> None:
    trials = Trials(Folder(home / "good"), metric="r2", watcher=Silent())
    assert [trials._score(value) for value in (-1e9, -1.5, -0.5, 0.9)] == [-1.0, -1.0, -0.5, 0.9]
    assert Gain.of(dict.fromkeys((1, 2, 3), -1.0), {1: 0.5, 2: 0.45, 3: 0.55}).helps


@pytest.mark.parametrize("n", range(2, 11))
def test_the_interval_is_students(n: int) -> None:
    generator = np.random.default_rng(n)
    before, after = ({seed: float(x) for seed, x in enumerate(generator.normal(size=n))} for _ in range(2))
    differences = [after[seed] - before[seed] for seed in range(n)]
    low, high = stats.t.interval(0.95, n - 1, np.mean(differences), stats.sem(differences))
    gain = Gain.of(before, after)
    assert (gain.low, gain.high) == pytest.approx((low, high), rel=1e-3)


def test_one_pair_and_no_number_prove_nothing() -> None:
    assert not Gain.of({1: 0.1}, {1: 0.9}).helps
    assert not Gain.of({1: 0.1, 2: 0.1}, {1: 0.9, 2: math.nan}).helps
    assert Gain.of({1: 0.1, 2: 0.1, 3: 0.2}, {1: 0.9, 2: 0.9, 3: 0.99}).helps


class TestWhatCannotBeImproved:
    def test_a_number_of_seeds(self, home: Path) -> None:
        with pytest.raises(InputError, match="seeds is 1: an interval needs at least 2"):
            improve_run(home / "low", seeds=1)

    def test_a_run_that_has_not_ended(self, home: Path, tmp_path: Path) -> None:
        shutil.copytree(home / "good", tmp_path / "good")
        folder = Folder(tmp_path / "good")
        folder.write_json(folder.result, folder.read_json(folder.result) | {"status": "running"})
        with pytest.raises(InputError, match="has not ended"):
            improve_run(folder.path)
        folder.result.unlink()
        with pytest.raises(InputError, match="has no result yet"):
            improve_run(folder.path)
