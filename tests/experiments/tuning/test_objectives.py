"""Several objectives: what is measured, which trials are on the front, how such a study is kept, gone on with and shared."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch

import thalweg
from thalweg.errors import InputError
from thalweg.experiments import Folder, Spec
from thalweg.experiments.tuning import Plan, Tuned, start_study
from thalweg.experiments.tuning.objectives import best_of, directions
from thalweg.experiments.tuning.study import Study
from thalweg.experiments.tuning.trainer import Ended, Event, Passed
from thalweg.experiments.watcher import Silent
from thalweg.search import Random, Space, Told, open_store

SPACE = Space.parse({"lr": "1e-3..0.1:log", "hidden": "[2, 4, 8]"})


def tuned(where: Path, **more: object) -> Tuned:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(160, 6)).astype(np.float32)
    targets = (inputs[:, 0] + inputs[:, 1] ** 2 > 0.8).astype(int)
    settings: dict = {
        "space": SPACE, "trials": 9, "epochs": 3, "batch_size": 32, "runs": str(where), "skip": False, "dropout": [0.0],
        "objectives": ("accuracy", "size"), "confirm": 0, "members": 4,
    }  # fmt: skip
    return thalweg.tune("mlp", (inputs, targets), **{**settings, **more})


def undominated(trials: list[dict]) -> set[int]:
    """By hand: accuracy up, size down."""
    done = [(one["number"], one["metrics"]["dev"]["accuracy"], one["costs"]["size"]) for one in trials]
    return {
        n for n, a, s in done
        if not any(b >= a and t <= s and (b > a or t < s) for _, b, t in done)
    }  # fmt: skip


@pytest.mark.parametrize("sampler", ["random", "grid", "sobol", "tpe", "nsga2", "gp"])
def test_the_front_holds_what_no_other_beats(tmp_path: Path, sampler: str) -> None:
    found = tuned(tmp_path, sampler=sampler, trials=14 if sampler in ("tpe", "gp") else 9)
    assert {one["number"] for one in found.front} == undominated(found.trials)
    assert all(one["status"] == "finished" for one in found.trials)  # none ends early
    result = json.loads(found.folder.result.read_text())
    assert result["objectives"] == {"accuracy": "maximize", "size": "minimize"}
    assert result["front"] == found.front
    assert result["best"]["number"] == found.front[0]["number"]
    accuracies = [one["scores"]["accuracy"] for one in found.front]
    assert accuracies == sorted(accuracies, reverse=True)
    assert "Beaten by no other" in found.folder.page.read_text()


def test_size_counts_what_is_trained(tmp_path: Path) -> None:
    for trial in tuned(tmp_path, trials=3, sampler="grid", space={"lr": "0.01..0.1:log", "hidden": [2, 8]}).trials:
        width = trial["values"]["hidden"]
        assert trial["costs"] == {"size": (6 * width + width) + (width * width + width) + (width + 1)}


def test_time_is_that_of_the_architecture(tmp_path: Path) -> None:
    found = tuned(tmp_path, objectives=("loss", "time"), name="timed", trials=6)
    times: dict[int, set[float]] = {}
    for trial in found.trials:
        times.setdefault(trial["values"]["hidden"], set()).add(trial["costs"]["time"])
    assert all(len(several) == 1 and min(several) > 0 for several in times.values())
    more = tuned(tmp_path, objectives=("loss", "time"), name="timed", trials=9)
    for trial in more.trials:
        assert trial["costs"]["time"] in times.setdefault(trial["values"]["hidden"], {trial["costs"]["time"]})


def test_further_metrics_are_measured(tmp_path: Path) -> None:
    found = tuned(tmp_path, objectives=("auc", "f1", "balanced_accuracy"), trials=3)
    assert set(found.trials[0]["metrics"]["dev"]) >= {"loss", "accuracy", "auc", "f1", "balanced_accuracy"}
    assert found.spec.watch == "auc"
    assert set(found.metrics["dev"]) >= {"auc", "f1"}


def test_members_of_the_front_can_be_trained_again(tmp_path: Path) -> None:
    found = tuned(tmp_path, trials=4)
    last = found.front[-1]
    spec = Spec.read(found.folder.trial(last["number"]).spec)
    assert spec.hidden == [last["values"]["hidden"]] * 2
    assert f"thalweg train {found.folder.trials}/NUMBER/spec.toml" in found.folder.page.read_text()


def test_a_study_goes_on_with_its_own_objectives_alone(tmp_path: Path) -> None:
    whole = tuned(tmp_path, name="whole", trials=9, sampler="sobol")
    tuned(tmp_path, name="parts", trials=4, sampler="sobol")
    found = tuned(tmp_path, name="parts", trials=9, sampler="sobol")
    assert [one["values"] for one in found.trials] == [one["values"] for one in whole.trials]
    assert found.front == whole.front
    for other in (("accuracy",), ("accuracy", "time"), ("accuracy", "size", "time")):
        with pytest.raises(InputError, match="has other objectives: give --objectives accuracy,size"):
            tuned(tmp_path, name="parts", objectives=other)


def test_optuna_reads_the_study(tmp_path: Path) -> None:
    found = tuned(tmp_path, name="kept", storage=f"sqlite:///{tmp_path}/kept.db")
    study = optuna.load_study(study_name="kept", storage=f"sqlite:///{tmp_path}/kept.db")
    assert study.directions == [optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE]
    assert {trial.number for trial in study.best_trials} == {one["number"] for one in found.front}


def test_trials_of_another_machine_count(tmp_path: Path) -> None:
    taken: list[int] = []

    def elsewhere(event: Event, study: Study) -> None:
        if isinstance(event, Passed) and not taken:
            aims = {"accuracy": "maximize", "size": "minimize"}
            with open_store(str(study.folder.log), name="shared", space=SPACE, objectives=aims) as other:  # type: ignore[arg-type]
                taken.extend(ticket.number for ticket in other.ask(Random(SPACE, 1), 2, most=12))
                other.tell([Told(number, "finished", (0.99, 5.0)) for number in taken])

    found = tuned(tmp_path, name="shared", sampler="tpe", on_event=elsewhere, trials=12, members=3)
    assert len(taken) == 2
    assert {one["number"] for one in found.front} == set(taken)
    assert found.front[0]["scores"] == {"accuracy": 0.99, "size": 5.0}


def test_candidates_end_early_where_it_is_asked(tmp_path: Path) -> None:
    found = tuned(tmp_path, prune="halving", epochs=9)
    statuses = [one["status"] for one in found.trials]
    assert "pruned" in statuses
    assert {one["number"] for one in found.front} <= {n for n, status in enumerate(statuses) if status == "finished"}


def test_a_diverged_candidate_is_on_no_front(tmp_path: Path) -> None:
    found = tuned(
        tmp_path, space={"lr": "[0.01, 1e30]", "hidden": "[8]"}, sampler="grid", trials=2, rule="sgd", clip_norm=None
    )
    assert [one["number"] for one in found.front] == [
        one["number"] for one in found.trials if one["status"] == "finished"
    ]
    assert len(found.front) == 1


def test_a_module_of_ones_own(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 1), torch.nn.Flatten(0))
    module[0].bias.requires_grad_(False)
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(80, 6)).astype(np.float32)
    found = thalweg.tune(
        module, (inputs, inputs[:, 0] + 1), task="regression", objectives=("loss", "size"), trials=2, epochs=2, confirm=0,
        runs=str(tmp_path), space={"lr": "1e-3..0.1:log"},
    )  # fmt: skip
    assert {one["costs"]["size"] for one in found.trials} == {30 + 5 + 1}


def test_of_equal_trials_the_smaller_is_the_best() -> None:
    def record(number: int, score: float, size: float, status: str = "finished") -> dict:
        dev = {"accuracy": 1 - score, "loss": 0.1 * number}
        return {"number": number, "values": {}, "status": status, "score": score, "epochs": 1, "metrics": {"dev": dev},
                "costs": {"size": size}}  # fmt: skip

    records = [record(0, 0.1, 90.0), record(1, 0.1, 50.0), record(2, 0.2, 10.0), record(3, 0.0, 5.0, "pruned")]
    aims = directions(("accuracy", "size"), task="multiclass")
    assert best_of(records, aims)["number"] == 1
    assert best_of(records, {"accuracy": "maximize"})["number"] == 0
    assert best_of(records[3:], aims) is None


def test_workers_measure_the_same(tmp_path: Path) -> None:
    spec = Spec(data="wine", dropout=[0.0], epochs=2, runs=str(tmp_path), name="two", batch_size=64)
    plan = Plan(SPACE, trials=4, confirm=0, objectives=("accuracy", "f1", "size"), members=2, workers=2)
    ended: list[int] = []
    folder, result = start_study(
        spec, plan, Silent(), lambda event, study: ended.append(event.number) if isinstance(event, Ended) else None
    )
    assert sorted(ended) == list(range(4))
    assert all(math.isfinite(one["scores"][name]) for one in result["front"] for name in ("f1", "size"))
    assert Folder.open("two", tmp_path).path == folder.path / "best"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"objectives": ("accuracy", "speed")}, 'no objective "speed": choose among loss'),
        ({"objectives": ("size", "accuracy")}, "begin with a metric of the dev part, as in accuracy,size"),
        ({"objectives": ("accuracy", "rmse")}, 'the metric "rmse" is for regression'),
        ({"objectives": ("accuracy", "accuracy")}, "give each once"),
        ({"sampler": "cmaes"}, "the sampler cmaes follows the best trial of one objective, and there are 2"),
        ({"watch": "loss"}, "watch is loss and the first objective accuracy: give one of the two"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path: Path, more: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        tuned(tmp_path, **more)
    assert not list(tmp_path.glob("*/trials/*"))
