"""Workers: the same study as in one process, and a worker that is killed loses nothing; so does a cluster of Ray."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

import thalweg
from thalweg.errors import InputError
from thalweg.experiments.tuning import Tuned, workers
from thalweg.experiments.tuning.trainer import Ended, Event, Lost, Passed

SETTINGS: dict = {
    "space": {"lr": "1e-3..0.1:log"}, "trials": 6, "epochs": 4, "hidden": [8], "batch_size": 32, "skip": False,
    "dropout": [0.0], "prune": "none", "confirm": 0,
}  # fmt: skip


def tuned(where: Path, **more: object) -> Tuned:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(160, 6)).astype(np.float32)
    targets = (inputs[:, 0] + inputs[:, 1] ** 2 > 0.8).astype(int)
    return thalweg.tune("mlp", (inputs, targets), runs=str(where), **SETTINGS | more)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    return tuned(tmp_path_factory.mktemp("here"), workers=1)


def scores(found: Tuned) -> list[tuple]:
    return [(one["number"], one["values"]["lr"], one["status"], one["score"]) for one in found.trials]


def test_two_workers_of_which_one_is_killed_find_the_same(
    tmp_path: Path, here: Tuned, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen] = []
    popen = subprocess.Popen

    def watched(*words: object, **more: object) -> subprocess.Popen:
        started.append(popen(*words, **more))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(workers.subprocess, "Popen", watched)
    lost: list[int] = []
    ended: list[int] = []

    def kill_one(event: Event, study: object) -> None:
        if isinstance(event, Passed) and len(started) == 2:
            os.kill(started[0].pid, signal.SIGKILL)
            started.append(started[0])
        if isinstance(event, Lost):
            lost.extend(event.numbers)
        if isinstance(event, Ended):
            ended.append(event.number)

    found = tuned(tmp_path, workers=2, members=1, on_event=kill_one)
    assert scores(found) == scores(here)
    assert sorted(ended) == list(range(6))  # nobody twice
    assert len({process.pid for process in started}) >= 2
    assert all(process.poll() is not None for process in started)


def test_a_worker_that_cannot_begin_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.sys, "executable", "/bin/false")
    with pytest.raises(InputError, match="a worker ended with status 1 before it began"):
        tuned(tmp_path, workers=2)


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_finds_the_same(tmp_path: Path, here: Tuned) -> None:
    found = tuned(tmp_path, engine="ray", workers=1)
    assert scores(found) == scores(here)
    assert "Ray cluster" in found.folder.read_json(found.folder.result)["decision"]["sentence"]


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
@pytest.mark.filterwarnings("ignore")
def test_a_lost_actor_s_trials_are_asked_again(tmp_path: Path, here: Tuned) -> None:
    killed: list[int] = []
    lost: list[int] = []
    ended: list[int] = []

    def kill_one(event: Event, study: object) -> None:
        if isinstance(event, Passed) and not killed:
            from ray._private import state

            actors = [one for one in state.actors().values() if one["ActorClassName"] == "Trainer"]
            killed.extend(one["Pid"] for one in actors if one["State"] == "ALIVE")
            os.kill(killed[0], signal.SIGKILL)
        if isinstance(event, Lost):
            lost.extend(event.numbers)
        if isinstance(event, Ended):
            ended.append(event.number)

    found = tuned(tmp_path, engine="ray", workers=1, members=1, epochs=600, patience=0, trials=2, on_event=kill_one)
    assert killed
    assert len(lost) == 1
    assert sorted(ended) == [0, 1]
    assert scores(found) == scores(tuned(tmp_path / "alone", workers=1, members=1, epochs=600, patience=0, trials=2))
