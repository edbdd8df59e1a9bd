"""``thalweg.check``: each fault by its name, nothing on what is sound, nothing of anybody's changed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

import thalweg
from thalweg.diagnose import KINDS
from thalweg.errors import InputError
from thalweg.experiments.checkup import Checkup

DIGITS = load_digits()
X, Y = (DIGITS.data / 16).astype(np.float32)[:700], DIGITS.target[:700]
rng = np.random.default_rng(0)
A = rng.normal(size=(300, 8)).astype(np.float32)
B = (A[:, 0] + A[:, 1] ** 2).astype(np.float32)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def net(*hidden: nn.Module, width: int = 64, outputs: int = 10) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 32), *hidden, nn.Linear(32, outputs))


class WrongSigmoid(torch.autograd.Function):
    """σ' = σ."""

    @staticmethod
    def forward(context, inputs):
        context.save_for_backward(torch.sigmoid(inputs))
        return torch.sigmoid(inputs)

    @staticmethod
    def backward(context, gradient):
        return gradient * context.saved_tensors[0]


class Applied(nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.function(inputs)


def changed(model: nn.Module, change: Callable[[nn.Module], object]) -> nn.Module:
    with torch.no_grad():
        change(model)
    return model


def drawn(std: float) -> Callable[[nn.Module], object]:
    return lambda model: [nn.init.normal_(p, 0, std) for p in model.parameters() if p.ndim > 1]


FAULTS: dict[str, tuple[Callable[[], nn.Module], str, str]] = {
    "softmax twice": (lambda: nn.Sequential(net(nn.ReLU()), nn.Softmax(1)), "output and loss", "wrong_activation"),
    "final relu": (lambda: nn.Sequential(net(nn.ReLU()), nn.ReLU()), "output and loss", "wrong_activation"),
    "no activation": (lambda: net(nn.Linear(32, 32)), "output and loss", "wrong_activation"),
    "frozen": (lambda: changed(net(nn.ReLU()), lambda m: m[0].requires_grad_(False)), "parameters", "frozen_params"),
    "detached": (lambda: net(nn.ReLU(), Applied(torch.detach)), "parameters", "frozen_params"),
    "zeros": (lambda: changed(net(nn.ReLU()), lambda m: [nn.init.zeros_(p) for p in m.parameters()]), "weights", "bad_init"),
    "alike": (
        lambda: changed(net(nn.ReLU()), lambda m: [nn.init.constant_(p, 0.05) for p in m.parameters()]), "weights", "bad_init",
    ),
    "large weights": (lambda: changed(net(nn.ReLU(), nn.Linear(32, 32), nn.ReLU()), drawn(2.0)), "start", "bad_init"),
    "tiny weights": (lambda: changed(net(nn.ReLU(), nn.Linear(32, 32), nn.ReLU()), drawn(1e-5)), "activations", "bad_init"),
    "deep sigmoids": (
        lambda: net(nn.Sigmoid(), *[m for _ in range(9) for m in (nn.Linear(32, 32), nn.Sigmoid())]),
        "gradients", "vanishing_gradient",
    ),
    "rails": (lambda: changed(net(nn.Tanh(), nn.Linear(32, 32), nn.Tanh()), drawn(4.0)), "activations", "saturated_activation"),
    "dead": (lambda: changed(net(nn.ReLU()), lambda m: nn.init.constant_(m[0].bias, -9.0)), "activations", "dead_relu"),
    "wrong backward": (lambda: net(Applied(WrongSigmoid.apply)), "gradient check", "wrong_gradient"),
    "dropout left on": (lambda: net(nn.ReLU(), Applied(nn.functional.dropout)), "modes", "wrong_mode"),
    "not finite": (lambda: nn.Sequential(net(nn.ReLU()), Applied(torch.log)), "shapes", "nan"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named(name: str) -> None:
    torch.manual_seed(0)
    make, check, kind = FAULTS[name]
    found = thalweg.check(make(), (X, Y))
    assert found[check].status in ("warned", "failed") and found[check].kind == kind, found.checks
    assert found[check].remedy


SOUND: dict[str, Callable[[], dict[str, Any]]] = {
    "relu": lambda: {"model": net(nn.ReLU(), nn.Linear(32, 32), nn.ReLU())},
    "tanh": lambda: {"model": net(nn.Tanh())},
    "batch norm": lambda: {"model": net(nn.BatchNorm1d(32), nn.ReLU())},
    "in place": lambda: {"model": net(nn.ReLU(inplace=True), nn.Dropout(0.3))},
    "functional": lambda: {"model": net(Applied(torch.relu))},
    "convolution": lambda: {
        "model": nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 10)
        )
    },
    "built in": lambda: {"model": "mlp"},
    "residual": lambda: {"model": "mlp", "residual": True, "hidden": [32] * 4},
    "linear": lambda: {"model": "linear"},
    "own loss": lambda: {"model": net(nn.ReLU()), "loss": nn.functional.cross_entropy},
    "weights": lambda: {"model": "mlp", "weights": np.linspace(0.5, 1.5, len(Y)).astype(np.float32)},
    "regression": lambda: {"model": net(nn.ReLU(), width=8, outputs=1), "data": (A, B)},
    "a table": lambda: {"model": "mlp", "data": (A, B)},
}


@pytest.mark.parametrize("name", SOUND)
def test_what_is_sound_passes(name: str) -> None:
    torch.manual_seed(0)
    arguments = SOUND[name]()
    model = arguments.pop("model")
    found = thalweg.check(model, arguments.pop("data", (X, Y)), **arguments)
    assert [check for check in found.checks if check.status in ("warned", "failed")] == []
    assert found.ok and found["one batch"].status == "passed"


class TestWithAnOptimizerOfOnesOwn:
    def test_its_rate_is_judged(self) -> None:
        torch.manual_seed(0)
        model = net(nn.ReLU())
        fine = thalweg.check(model, (X, Y), optimizer=torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
        wild = thalweg.check(model, (X, Y), optimizer=torch.optim.SGD(model.parameters(), lr=50.0, momentum=0.9))
        assert fine["rate"].status == "passed"
        assert (wild["rate"].status, wild["rate"].kind) == ("failed", "lr_too_high")

    def test_parameters_it_does_not_hold(self) -> None:
        model = net(nn.ReLU())
        found = thalweg.check(model, (X, Y), optimizer=torch.optim.Adam(model[2].parameters()))
        assert found["parameters"].where == "0.weight" and "does not hold" in found["parameters"].sentence

    def test_everything_is_left_as_it_was(self) -> None:
        model = net(nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.5))
        optimizer = torch.optim.Adam(model.parameters())
        before = {name: value.clone() for name, value in model.state_dict().items()}
        random, threads = torch.get_rng_state(), torch.get_num_threads()
        thalweg.check(model, (X, Y), optimizer=optimizer)
        assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
        assert torch.equal(random, torch.get_rng_state()) and threads == torch.get_num_threads()
        assert model.training and all(p.grad is None for p in model.parameters())
        assert not optimizer.state and optimizer.param_groups[0]["lr"] == 1e-3


def told(found: Checkup) -> list[tuple[str, str, str]]:
    return [(check.name, check.status, check.sentence) for check in found.checks]


def test_same_seed_same_words() -> None:
    assert told(thalweg.check("mlp", (X, Y), seed=3)) == told(thalweg.check("mlp", (X, Y), seed=3))


def test_the_loss_at_the_start_by_hand() -> None:
    torch.manual_seed(0)
    model = net(nn.ReLU())
    found = thalweg.check(model, (X, Y), scale="none")["start"]
    shares = np.bincount(Y) / len(Y)
    assert found.evidence["blank"] == pytest.approx(-float(np.sum(shares * np.log(shares))), abs=2e-3)
    with torch.no_grad():
        whole = nn.functional.cross_entropy(model(torch.from_numpy(X)), torch.from_numpy(Y)).item()
    assert found.evidence["loss"] == pytest.approx(whole, abs=0.02)


def test_unscaled_inputs() -> None:
    wide = np.concatenate([A[:, :4], A[:, 4:] * 1e4], axis=1)
    found = thalweg.check("mlp", (wide, B), scale="none")
    assert found["inputs"].kind == "unnormalised_input"


def test_rare_classes_and_their_weights() -> None:
    kept = (Y < 2) | (np.arange(len(Y)) % 20 == 0)
    assert thalweg.check("mlp", (X[kept], Y[kept]))["classes"].kind == "class_imbalance"
    assert thalweg.check("mlp", (X[kept], Y[kept]), class_weights="balanced")["classes"].status == "passed"


def test_rows_that_contradict_each_other() -> None:
    twice = np.concatenate([X[:300], X[:300]]), np.concatenate([Y[:300], (Y[:300] + 1) % 10])
    found = thalweg.check("mlp", twice)["one batch"]
    assert found.kind == "label_noise" and "have the inputs of another row" in found.sentence


def test_a_suggestion_is_measured_and_helps() -> None:
    deep = {"hidden": [32] * 12, "activation": "sigmoid", "init": "xavier", "skip": False}
    found = thalweg.check("mlp", (X, Y), **deep)  # type: ignore[arg-type]
    assert found["gradients"].kind == "vanishing_gradient" and found.suggestion is not None
    assert found.suggestion.words in found["gradients"].remedy
    better = thalweg.check("mlp", (X, Y), **deep | found.suggestion.settings)  # type: ignore[arg-type]
    assert better["gradients"].status == "passed"


def test_a_large_network_is_asked_less(monkeypatch) -> None:
    from thalweg.experiments import rehearsal

    monkeypatch.setattr(rehearsal, "BUDGET", 1e5)
    found = thalweg.check(net(nn.ReLU()), (X, Y))
    assert {check.name for check in found.checks if check.status == "skipped"} == {
        "gradient check",
        "rate",
        "one batch",
    }
    assert found.ok and found["output and loss"].status == "passed"


def test_a_checkup_in_plain_values() -> None:
    found = thalweg.check("mlp", (X, Y))
    plain = found.to_dict()
    assert plain["status"] == "passed" and plain["checks"][0]["name"] == "shapes"
    assert all(check["kind"] in KINDS or check["kind"] == "" for check in plain["checks"])
    assert len(plain["layers"]) == len(found.layers) and math.isfinite(plain["layers"][0]["gradient"])


def test_what_fit_refuses_is_refused() -> None:
    with pytest.raises(InputError, match=r"torch\.nn\.Module"):
        thalweg.check(3, (X, Y))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="one column for each"):
        thalweg.check(net(nn.ReLU(), outputs=3), (X, Y))
    with pytest.raises(TypeError, match="check"):
        thalweg.check("mlp", (X, Y), epoch=3)  # type: ignore[call-arg]


def test_the_work_of_a_forward_pass_by_hand() -> None:
    from thalweg.experiments.fitting import assembled
    from thalweg.experiments.reading import Beside
    from thalweg.experiments.rehearsal import Rehearsal, Work
    from thalweg.experiments.watcher import Silent

    model = nn.Sequential(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    experiment, prepared = assembled(model, (X, Y), Beside(), loss=None, optimizer=None, watcher=Silent(), settings={})
    work = Work.of(Rehearsal.of(experiment, prepared, own_loss=False))
    assert work.each == 2 * (4 * 9 * 36) + 2 * 1440 and work.weights == 40 + 1450
