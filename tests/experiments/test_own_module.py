"""The user's own network: each way to get it wrong is one sentence."""

from __future__ import annotations

import pytest
import torch

from thalweg.errors import InputError
from thalweg.experiments.own_module import build_own, is_own

GOOD = """
import torch
from torch import nn

def build(n_inputs, n_outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(n_inputs, n_outputs))

def fixed():
    return nn.Linear(3, 2)

class Net(nn.Module):
    def __init__(self, input_shape, n_outputs, width=5):
        super().__init__()
        self.layer = nn.Linear(input_shape[0], width)
        self.out = nn.Linear(width, n_outputs)

    def forward(self, x):
        return self.out(self.layer(x).relu())

def number():
    return 3

def empty():
    return nn.ReLU()

def asks(width):
    return nn.Linear(width, 1)

def breaks():
    raise RuntimeError("no such layer")
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mymodel.py"
    path.write_text(GOOD)
    return path


@pytest.mark.parametrize("function", ["build", "fixed", "Net"])
def test_builds(file, function) -> None:
    module = build_own(f"{file}:{function}", input_shape=(3,), n_outputs=2)
    assert module(torch.zeros(4, 3)).shape == (4, 2)


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        ("nothing", r"mymodel\.py has no function nothing"),
        ("number", r"number returned int, not a torch\.nn\.Module"),
        ("empty", "has no parameters to train"),
        ("asks", "asks asks for width, but only input_shape, n_inputs and n_outputs are given"),
        ("breaks", "breaks failed: RuntimeError: no such layer"),
    ],
)
def test_faults(file, function, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        build_own(f"{file}:{function}", input_shape=(3,), n_outputs=2)


def test_file_faults(tmp_path, file) -> None:
    with pytest.raises(InputError, match="does not exist"):
        build_own(f"{tmp_path}/none.py:build", input_shape=(3,), n_outputs=2)
    with pytest.raises(InputError, match="names no function"):
        build_own(str(file), input_shape=(3,), n_outputs=2)
    file.write_text("import torch\n1/0\n")
    with pytest.raises(InputError, match="cannot be imported: ZeroDivisionError"):
        build_own(f"{file}:build", input_shape=(3,), n_outputs=2)


def test_which_models_are_own() -> None:
    assert is_own("a/b.py:build") and is_own("b.py") and not is_own("mlp")


def test_arguments_of_its_own(file) -> None:
    module = build_own(f"{file}:Net", input_shape=(3,), n_outputs=2, given={"width": 7})
    assert module.layer.out_features == 7
    assert build_own(f"{file}:asks", input_shape=(3,), n_outputs=2, given={"width": 4}).in_features == 4
    for function, name, takes in (
        ("Net", "widht", "width"),
        ("build", "width", "none of its own"),
        ("Net", "n_outputs", "w"),
    ):
        with pytest.raises(InputError, match=f"{function} has no argument {name}: it takes {takes}"):
            build_own(f"{file}:{function}", input_shape=(3,), n_outputs=2, given={name: 1})
