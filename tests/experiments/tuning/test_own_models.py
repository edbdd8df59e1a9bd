"""Modules of one's own in a search: their arguments, their seeds, what each trial starts with."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import thalweg
from thalweg.errors import InputError
from thalweg.experiments import Spec
from thalweg.experiments.tuning import Plan, Tuned, start_study
from thalweg.experiments.tuning.start import is_portable
from thalweg.experiments.watcher import Silent
from thalweg.search import Space

CODE = """
from torch import nn
ACTS = {"relu": nn.ReLU, "tanh": nn.Tanh}
def build(n_inputs, n_outputs, width=4, act="relu"):
    return nn.Sequential(nn.Flatten(), nn.Linear(n_inputs, width), ACTS[act](), nn.Linear(width, n_outputs))
"""


def make(n_inputs: int, n_outputs: int, width: int = 4) -> nn.Module:
    return nn.Sequential(nn.Linear(n_inputs, width), nn.Tanh(), nn.Linear(width, n_outputs), nn.Flatten(0))


def tuned(where: Path, model: object, **more: object) -> Tuned:
    inputs = np.random.default_rng(0).normal(size=(120, 6)).astype(np.float32)
    settings: dict = {"trials": 4, "epochs": 2, "confirm": 0, "runs": str(where), "batch_size": 32, "prune": "none"}
    data = (inputs, inputs[:, 0] * inputs[:, 1])
    return thalweg.tune(model, data, task="regression", **settings | more)  # type: ignore[arg-type]


def test_arguments_of_a_file_are_searched(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(CODE)
    spec = Spec(data="wine", model=f"{tmp_path}/net.py:build", epochs=2, runs=str(tmp_path / "runs"), batch_size=32)
    space = Space.parse({"lr": "1e-3..0.1:log", "model.width": "[3, 7]", "model.act": ["relu", "tanh"]})
    folder, result = start_study(spec, Plan(space, trials=4, sampler="grid", points=1, confirm=0), Silent())
    for number in range(4):
        options = Spec.read(folder.trial(number).spec).model_options
        assert (options["width"], options["act"]) == [(3, "relu"), (3, "tanh"), (7, "relu"), (7, "tanh")][number]
    width = result["best"]["values"]["model.width"]
    assert load_file(folder.winner.model)["1.weight"].shape == (width, 13)
    assert thalweg.load(folder.winner.path).predict("wine").height == 178  # its arguments are in the spec


@pytest.mark.parametrize(
    ("space", "sentence"),
    [
        ({"model.depth": "[1, 2]"}, "build has no argument depth: it takes width, act"),
        ({"model_options": "[1, 2]"}, "model_options is the same for all candidates"),
    ],
)
def test_arguments_that_are_not_there(tmp_path: Path, space: dict, sentence: str) -> None:
    (tmp_path / "net.py").write_text(CODE)
    spec = Spec(data="wine", model=f"{tmp_path}/net.py:build", epochs=1, runs=str(tmp_path / "runs"), lr=0.01)
    with pytest.raises(InputError, match=sentence):
        start_study(spec, Plan(Space.parse(space), trials=2, confirm=0), Silent())
    with pytest.raises(InputError, match=r"model.width is an argument of a module of your own, and the model is mlp"):
        start_study(spec.replace(model="mlp"), Plan(Space.parse({"model.width": "[1, 2]"})), Silent())


def test_a_function_is_called_for_each_trial_with_its_arguments(tmp_path: Path) -> None:
    found = tuned(
        tmp_path, make, space={"lr": "[0.01]", "model.width": "[2, 5]"}, sampler="grid", objectives=("loss", "size")
    )
    assert [trial["costs"]["size"] for trial in found.trials] == [8 * width + 1 for width in (2, 5)]
    assert found.spec.model_options == {"width": found.values["model.width"]}
    assert found.predict(np.zeros((3, 6), np.float32)).height == 3


def test_a_function_gives_each_seed_its_weights_and_a_module_keeps_its_own(tmp_path: Path) -> None:
    """Without a step of training (rate next to nothing) the fresh seeds show what they began with."""
    still: dict = {"space": {"weight_decay": "[0.0]"}, "lr": 1e-12, "trials": 1, "confirm": 3, "rule": "sgd"}
    fresh = tuned(tmp_path, make, **still)
    again = tuned(tmp_path, make, **still)
    kept = tuned(tmp_path, make(6, 1), **still)
    assert fresh.confirmed is not None
    assert again.confirmed is not None
    assert kept.confirmed is not None
    assert len(set(fresh.confirmed["values"])) == 3
    assert fresh.confirmed["values"] == again.confirmed["values"]
    np.testing.assert_allclose(kept.confirmed["values"], kept.confirmed["values"][0], rtol=1e-5)


def test_what_makes_no_module_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model.width is an argument of a function, and the model is a module"):
        tuned(tmp_path, make(6, 1), space={"lr": "[0.01]", "model.width": "[2, 5]"})
    with pytest.raises(InputError, match="the model is int, not a torch"):
        tuned(tmp_path, 3)
    with pytest.raises(InputError, match="returned int, not a torch"):
        tuned(tmp_path, lambda: 3, space={"lr": "[0.01]"})


def test_what_another_process_can_have() -> None:
    assert is_portable(None)
    assert is_portable(make)
    assert is_portable(torch.nn.Linear)
    assert not is_portable(lambda: nn.Linear(1, 1))
    assert is_portable(functools.partial(make, width=2))
