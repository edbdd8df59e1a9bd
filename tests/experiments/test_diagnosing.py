"""A run's own findings: tested on the run rebuilt, kept in its folder, shown on its page; nothing around it is touched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from thalweg.errors import InputError
from thalweg.experiments import Folder, Silent, Spec, diagnosing, start
from thalweg.experiments.diagnosing import diagnose_run
from thalweg.experiments.findings import read_findings
from thalweg.history import History

NET: dict[str, Any] = {
    "hidden": [32, 32],
    "dropout": [0.0],
    "skip": False,
    "weight_decay": 0.01,
    "batch_size": 32,
    "epochs": 12,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and three runs: at a good rate, at one that is too high, and one whose numbers end."""
    path = tmp_path_factory.mktemp("runs")
    generator = np.random.default_rng(0)
    angle, label = generator.uniform(0, np.pi, 900), np.arange(900) % 2
    sign = 1 - 2 * label
    points = np.stack([sign * np.cos(angle) + label, sign * np.sin(angle) + 0.5 * label], 1)
    np.savez(path / "moons.npz", X=(points + generator.normal(0, 0.15, points.shape)).astype(np.float32), y=label)
    settings = NET | {"data": str(path / "moons.npz"), "runs": str(path / "runs")}
    start(Spec(**settings, lr=1e-2, name="good"), Silent())
    start(Spec(**settings, lr=1.0, name="high"), Silent())
    start(Spec(**settings | {"dropout": [0.3], "l2": 1.0}, lr=1e-2, name="dropped"), Silent())
    with pytest.raises(InputError, match="became"):
        start(Spec(**settings, lr=1e30, rule="sgd", clip_norm=None, warmup=0.0, name="broken"), Silent())
    return path / "runs"


def test_a_healthy_run_has_no_findings(home: Path) -> None:
    found = diagnose_run(home / "good")
    assert found.tested and found.findings == ()
    assert not [note for note in found.notes if "otherwise than recorded" in note.sentence]
    assert not [note for note in found.notes if "biases" in note.sentence]  # the groups are thalweg's, not the user's


def test_the_first_steps_are_those_that_were_made(home: Path) -> None:
    """With what modules draw, too: the losses made again are the recorded ones."""
    for name in ("good", "dropped"):
        folder = Folder(home / name)
        spec, history = Spec.read(folder.spec), History.read(folder.history)
        experiment = diagnosing._rebuilt(folder, spec)
        optimizer, hooks = experiment.build_optimizer(experiment.model, lr=spec.lr or 0.0)
        losses: list[float] = []
        torch.manual_seed(spec.seed + 1)
        diagnosing.train(
            experiment.model,
            optimizer,
            diagnosing.Autograd(experiment.model, experiment.objective),
            experiment.batches,
            epochs=9,
            hooks=(*hooks, diagnosing._Recorded(history, losses, last=32)),
        )
        np.testing.assert_allclose(losses, history.column("batch/loss").values[:32], rtol=1e-4)


def test_a_rate_that_is_too_high_is_found_by_a_test(home: Path) -> None:
    found = diagnose_run(home / "high")
    first = found.findings[0]
    assert first.kind == "lr_too_high"
    assert "from the same start" in str(first.evidence["test"])
    assert "lr = " in first.remedy
    folder = Folder(home / "high")
    written = json.loads((folder.path / "findings.json").read_text())
    assert written["tested"] and [one["kind"] for one in written["findings"]] == [one.kind for one in found.findings]
    assert folder.read_json(folder.result)["findings"][0]["sentence"] == first.sentence
    assert first.sentence in folder.page.read_text(encoding="utf-8")
    kept = read_findings(folder, History.read(folder.history))
    assert kept is not None and kept.tested and kept.findings == found.findings
    for one, other in zip(kept.findings, found.findings, strict=True):
        assert (one.chart is None) == (other.chart is None)
        if one.chart is not None and other.chart is not None:
            assert (one.chart.y, one.chart.ticks) == (other.chart.y, other.chart.ticks)
            for line, drawn in zip(one.chart.series, other.chart.series, strict=True):
                np.testing.assert_array_equal(line.values, drawn.values)


def test_history_alone_takes_nothing_back(home: Path) -> None:
    tested = diagnose_run(home / "high")
    recorded = diagnose_run(home / "high", recorded=True)
    assert not recorded.tested and not any("test" in finding.evidence for finding in recorded.findings)
    kept = read_findings(Folder(home / "high"), History.read(home / "high" / "history.jsonl"))
    assert kept is not None and kept.findings == tested.findings


def test_what_was_found_of_a_run_that_has_gone_on_since_is_not_shown(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "high", tmp_path / "high")
    folder = Folder(tmp_path / "high")
    diagnose_run(folder.path)
    history = History(folder.history)
    assert read_findings(folder, history) is not None
    history.record(10_000, {"batch/loss": 0.1})
    assert read_findings(folder, history) is None
    history.close()


def test_numbers_that_end(home: Path) -> None:
    found = diagnose_run(home / "broken")
    assert found.findings[0].kind in ("nan", "lr_too_high")
    assert json.loads(json.dumps(found.content, allow_nan=False))


def test_a_killed_run_is_examined_by_its_checkpoint(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "high", tmp_path / "killed")
    folder = Folder(tmp_path / "killed")
    folder.model.unlink()
    folder.write_json(folder.result, folder.read_json(folder.result) | {"status": "running"})
    assert diagnose_run(folder.path).findings[0].kind == "lr_too_high"


def test_nothing_around_is_touched(home: Path) -> None:
    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    weights = (home / "good" / "model.safetensors").read_bytes(), (home / "good" / "history.jsonl").read_bytes()
    diagnose_run(home / "good")
    assert torch.equal(torch.get_rng_state(), before) and torch.get_num_threads() == threads
    assert weights == (
        (home / "good" / "model.safetensors").read_bytes(),
        (home / "good" / "history.jsonl").read_bytes(),
    )


def test_weights_of_rows_and_smoothed_labels_are_no_swapped_labels(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(400, 2))
    frame = pl.DataFrame(
        {"a": x[:, 0], "b": x[:, 1], "w": generator.uniform(0.5, 2, 400), "k": np.where(x.sum(1) > 0, "y", "n")}
    )
    frame.write_csv(tmp_path / "k.csv")
    settings = NET | {
        "data": str(tmp_path / "k.csv"),
        "target": "k",
        "weights": "w",
        "label_smoothing": 0.1,
        "lr": 1e-2,
    }
    start(Spec(**settings, runs=str(tmp_path), name="weighted"), Silent())
    found = diagnose_run(tmp_path / "weighted")
    assert [finding.kind for finding in found.findings] == []
    assert any("weights of the rows are left out" in note.sentence for note in found.notes)


class TestWhatCannotBeExamined:
    def test_data_that_changed(self, home: Path, tmp_path: Path) -> None:
        shutil.copytree(home / "good", tmp_path / "good")
        folder = Folder(tmp_path / "good")
        folder.write_json(folder.result, folder.read_json(folder.result) | {"fingerprint": "another"})
        with pytest.raises(InputError, match=r"have changed since the run .* with --recorded"):
            diagnose_run(folder.path)
        assert not diagnose_run(folder.path, recorded=True).tested

    def test_a_run_without_a_step(self, home: Path, tmp_path: Path) -> None:
        shutil.copytree(home / "good", tmp_path / "good")
        (tmp_path / "good" / "history.jsonl").write_text("")
        with pytest.raises(InputError, match="has made no step yet"):
            diagnose_run(tmp_path / "good")
        (tmp_path / "good" / "history.jsonl").unlink()
        with pytest.raises(InputError, match="has no history yet"):
            diagnose_run(tmp_path / "good")

    def test_weights_that_are_gone(self, home: Path, tmp_path: Path) -> None:
        """The first weights in their place would make any run one that has learned nothing."""
        shutil.copytree(home / "good", tmp_path / "good")
        for path in (Folder(tmp_path / "good").model, Folder(tmp_path / "good").checkpoint):
            path.unlink(missing_ok=True)
        with pytest.raises(InputError, match=r"weights of the run .* are gone .* --recorded"):
            diagnose_run(tmp_path / "good")
        assert not diagnose_run(tmp_path / "good", recorded=True).tested

    def test_folds(self, home: Path, tmp_path: Path) -> None:
        folder = Folder.create(tmp_path, "folds", "x")
        folder.write(folder.spec, Spec.read(home / "good" / "spec.toml").replace(folds=3).to_toml())
        with pytest.raises(InputError, match="is a cross-validation"):
            diagnose_run(folder.path)
