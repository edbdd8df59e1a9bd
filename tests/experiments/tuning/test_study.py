"""A study: the same twice, each trial kept, killed and gone on with, each member what it would be alone."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import thalweg
from thalweg.errors import InputError
from thalweg.experiments import Folder, Spec, start
from thalweg.experiments.tuning import Plan, start_study
from thalweg.experiments.tuning.study import Study
from thalweg.experiments.tuning.trainer import Ended, Event, Passed
from thalweg.experiments.watcher import Silent
from thalweg.search import Random, Space, Told, open_store

RATES = Space.parse({"lr": "1e-3..0.1:log", "beta1": "0.8..0.98:one-minus"})


def tuned(where: Path, **more: object) -> thalweg.experiments.tuning.Tuned:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(160, 6)).astype(np.float32)
    targets = (inputs[:, 0] + inputs[:, 1] ** 2 > 0.8).astype(int)
    settings: dict = {
        "space": RATES,
        "trials": 9,
        "epochs": 9,
        "hidden": [8],
        "batch_size": 32,
        "runs": str(where),
        "skip": False,
        "dropout": [0.0],
    }
    return thalweg.tune("mlp", (inputs, targets), **{**settings, **more})


@pytest.mark.parametrize("sampler", ["random", "sobol", "tpe"])
def test_the_same_study_twice_gives_the_same_trials_and_numbers(tmp_path: Path, sampler: str) -> None:
    first, second = (tuned(tmp_path, sampler=sampler, confirm=0, trials=12, epochs=3, members=4) for _ in range(2))
    keys = ("number", "values", "status", "score", "epochs", "metrics")
    assert [[trial[key] for key in keys] for trial in first.trials] == [
        [trial[key] for key in keys] for trial in second.trials
    ]
    assert len({json.dumps(trial["values"]) for trial in first.trials}) == 12
    assert first.folder.path != second.folder.path


def test_every_trial_is_a_light_run(tmp_path: Path) -> None:
    found = tuned(tmp_path, prune="none", confirm=2)
    for trial in found.trials:
        folder = found.folder.trial(trial["number"])
        assert Spec.read(folder.spec).lr == trial["values"]["lr"]
        history = thalweg.History.read(folder.history)
        assert len(history.column("dev/loss").values) == trial["epochs"]
        best = history.column("dev/accuracy").values[trial["best_epoch"] - 1]
        assert 1 - best == pytest.approx(trial["score"])
    assert len(list(found.folder.trials.glob("*/model.safetensors"))) == 1
    assert found.confirmed is not None
    assert found.confirmed["mean"] == pytest.approx(np.mean(found.confirmed["values"]))
    assert found.folder.page.exists()


def test_a_member_is_what_the_same_settings_give_alone(tmp_path: Path) -> None:
    spec = Spec(
        data="wine", hidden=[8], dropout=[0.0], batch_size=32, epochs=4, runs=str(tmp_path), schedule="constant"
    )
    folder, _ = start_study(spec, Plan(RATES, trials=3, prune="none", confirm=0), Silent())
    for number in range(3):
        alone, _ = start(Spec.read(folder.trial(number).spec, name=None), Silent())
        ours, theirs = (
            thalweg.History.read(one.history).column("dev/loss").values for one in (folder.trial(number), alone)
        )
        np.testing.assert_allclose(ours, theirs[-len(ours) :], rtol=1e-3)


def test_the_winner_keeps_the_weights_that_won(tmp_path: Path) -> None:
    folder, result = start_study(
        Spec(data="wine", hidden=[8], epochs=4, runs=str(tmp_path), name="study"),
        Plan(RATES, trials=4, confirm=0),
        Silent(),
    )
    winner = Folder.open("study", tmp_path)
    assert winner.path == folder.path / "best"
    metrics = winner.read_json(winner.result)["metrics"]["dev"]
    assert metrics["accuracy"] == pytest.approx(result["best"]["metrics"]["dev"]["accuracy"])
    assert metrics["loss"] == pytest.approx(result["best"]["metrics"]["dev"]["loss"], rel=1e-4)
    assert thalweg.load(winner.path).predict("wine").height == 178
    assert Spec.read(folder.best).lr == result["best"]["values"]["lr"]


class Killed(BaseException):
    """Stands for a process that ends in the middle."""


def test_a_study_that_is_killed_goes_on_and_loses_nothing(tmp_path: Path) -> None:
    ended: list[int] = []

    def kill(event: Event, study: object) -> None:
        if isinstance(event, Ended):
            ended.append(event.number)
            if len(ended) == 5:
                raise Killed

    whole = tuned(tmp_path, confirm=0, members=3, name="whole", prune="none")
    with pytest.raises(Killed):
        tuned(tmp_path, confirm=0, members=3, name="killed", prune="none", on_event=kill)
    again: list[int] = []
    found = tuned(
        tmp_path, confirm=0, members=3, name="killed", prune="none",
        on_event=lambda event, study: again.append(event.number) if isinstance(event, Ended) else None,
    )  # fmt: skip
    assert not set(ended) & set(again)
    assert sorted(ended + again) == list(range(9))
    assert {one["number"]: one["score"] for one in found.trials} == {
        one["number"]: one["score"] for one in whole.trials
    }
    assert found.values == whole.values


def test_more_trials_of_a_study_that_has_finished(tmp_path: Path) -> None:
    few = tuned(tmp_path, confirm=0, trials=4, name="grows")
    more = tuned(tmp_path, confirm=0, trials=7, name="grows")
    assert more.trials[:4] == few.trials
    assert len(more.trials) == 7


def test_a_diverged_candidate_is_marked_and_the_others_do_not_notice(tmp_path: Path) -> None:
    space = {"lr": "[0.01, 1e30, 0.02]"}
    options = {"rule": "sgd", "clip_norm": None, "prune": "none", "confirm": 0, "sampler": "grid", "trials": 3}
    found = tuned(tmp_path, space=space, **options)
    assert [one["status"] for one in found.trials] == ["finished", "diverged", "finished"] or {
        one["values"]["lr"]: one["status"] for one in found.trials
    } == {0.01: "finished", 1e30: "diverged", 0.02: "finished"}
    bad = next(one for one in found.trials if one["status"] == "diverged")
    assert "loss became" in bad["why"]
    calm = tuned(tmp_path, space={"lr": "[0.01, 0.02]"}, **options | {"trials": 2})
    assert {one["score"] for one in calm.trials} == {
        one["score"] for one in found.trials if one["status"] == "finished"
    }


def test_bad_candidates_end_early(tmp_path: Path) -> None:
    passes: list[int] = []
    found = tuned(
        tmp_path, confirm=0, trials=9, epochs=9,
        on_event=lambda event, study: passes.append(event.number) if isinstance(event, Passed) else None,
    )  # fmt: skip
    statuses = [one["status"] for one in found.trials]
    assert statuses.count("pruned") == 8
    assert len(passes) == 9 + 2 * 3 + 6 * 1
    assert all(math.isfinite(one["score"]) for one in found.trials)


def test_what_a_population_cannot_train_goes_one_by_one(tmp_path: Path) -> None:
    found = tuned(tmp_path, confirm=0, trials=3, epochs=3, prune="none", l2=0.1, workers=1, weight_decay=None)
    assert [one["status"] for one in found.trials] == ["finished"] * 3
    assert [one["epochs"] for one in found.trials] == [3, 3, 3]
    result = json.loads(found.folder.result.read_text())
    assert "l2 acts on each candidate" in result["decision"]["sentence"]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"space": {"lrr": "1e-3..1:log"}}, "lrr"),
        ({"space": {"seed": "1..3"}}, "seed is the same for all candidates"),
        ({"space": {"lr": "1..1e-3"}}, "lr:"),
        ({"sampler": "annealing"}, "choose among random, grid"),
        ({"prune": "hard"}, 'no pruner "hard"'),
        ({"trials": 0}, "trials is 0"),
        ({"address": "auto"}, "an address is that of a Ray cluster"),
        ({"space": {"momentum": "0.5..0.9"}}, "momentum"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path: Path, more: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        tuned(tmp_path, **more)
    assert not list(tmp_path.glob("*/trials/*"))


def test_trials_of_another_machine_count(tmp_path: Path) -> None:
    taken: list[int] = []

    def elsewhere(event: Event, study: Study) -> None:
        if isinstance(event, Passed) and not taken:
            place = str(study.folder.log)
            with open_store(place, name="shared", space=RATES, objectives={"accuracy": "maximize"}) as other:
                tickets = other.ask(Random(RATES, 1), 2, most=12)
                taken.extend(ticket.number for ticket in tickets)
                other.tell([Told(number, "finished", (0.99,)) for number in taken])

    more = {"sampler": "tpe", "prune": "none", "trials": 12}
    found = tuned(tmp_path, name="shared", members=3, confirm=0, on_event=elsewhere, **more)
    assert len(taken) == 2
    assert [one["number"] for one in found.trials] == list(range(12))
    assert [one["number"] for one in found.trials if one["why"] == "trained on another machine"] == taken
    assert found.values == found.trials[taken[0]]["values"]
    assert found.metrics["dev"]["accuracy"] < 0.99  # its weights were elsewhere: trained again here
    assert found.folder.page.exists()


def test_other_settings_or_data_are_another_study(tmp_path: Path) -> None:
    tuned(tmp_path, name="one", trials=2, epochs=2, confirm=0)
    with pytest.raises(InputError, match="made with another epochs"):
        tuned(tmp_path, name="one", trials=2, epochs=3, confirm=0)
    with pytest.raises(InputError, match="searches another space"):
        tuned(tmp_path, name="one", trials=2, epochs=2, confirm=0, space={"lr": "1e-3..0.2:log"})


def test_a_rate_that_is_neither_given_nor_searched_is_searched(tmp_path: Path) -> None:
    found = tuned(tmp_path, space={"hidden": [4, 8]}, trials=2, epochs=2, confirm=0)
    assert set(found.values) == {"lr", "hidden"}
    fixed = tuned(tmp_path, space={"hidden": [4, 8]}, trials=2, epochs=2, confirm=0, lr=0.01)
    assert set(fixed.values) == {"hidden"}
    assert fixed.spec.lr == 0.01
