"""The contract of ``thalweg.watch``: three lines in anyone's loop, nothing changed by them."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

import thalweg
from thalweg.diagnose.kinds import KINDS
from thalweg.errors import InputError

ISSUED = [
    "vanishing_gradient",
    "exploding_gradient",
    "nan",
    "dead_relu",
    "saturated_activation",
    "bad_init",
    "lr_too_high",
    "lr_too_low",
    "undertrained",
    "unnormalised_input",
    "high_bias",
    "over_regularised",
    "high_variance",
    "label_noise",
    "train_dev_mismatch",
    "class_imbalance",
    "data_order",
    "plateau",
    "wrong_loss",
    "wrong_activation",
    "wrong_gradient",
    "wrong_optimizer",
    "no_zero_grad",
    "frozen_params",
    "leakage",
    "wrong_mode",
]


def blobs(n: int = 200, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (n,), generator=g)
    return torch.randn(n, 4, generator=g) + 2.5 * y[:, None] - 1.25, y


def net(drop: float = 0.0) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(drop), nn.Linear(16, 2))


def loop(model, optimizer, loss, X, y, *, epochs=6, zero=True, doctor=None):
    for _ in range(epochs):
        for rows in torch.randperm(len(X)).split(20):
            if zero:
                optimizer.zero_grad()
            loss(model(X[rows]), y[rows]).backward()
            optimizer.step()
        if doctor is not None:
            doctor.epoch_end()


def test_every_kind_has_a_remedy():
    assert set(KINDS) == set(ISSUED)
    assert all(kind.remedy.endswith(".") and kind.reference for kind in KINDS.values())


def test_a_healthy_run_has_no_findings_and_a_faulty_one_says_all_it_should():
    X, y = blobs()
    loss = nn.CrossEntropyLoss()
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    with thalweg.watch(model, optimizer, loss=loss, train=(X, y), dev=blobs(100, 1)) as doctor:
        loop(model, optimizer, loss, X, y, doctor=doctor)
    assert doctor.findings() == []
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with thalweg.watch(model, optimizer, loss=loss, train=(X, y), dev=blobs(100, 1)) as doctor:
        loop(model, optimizer, loss, X, y, zero=False)
    finding = doctor.findings()[0]
    assert finding.kind == "no_zero_grad"
    assert finding.where and finding.remedy and finding.evidence["test"]
    assert 0 < finding.confidence <= 1


def test_bits_and_random_states_are_as_without_a_doctor():
    X, y = blobs()
    loss = nn.CrossEntropyLoss()

    def trained(watched: bool):
        torch.manual_seed(3)
        random.seed(3)
        np.random.seed(3)  # noqa: NPY002
        model = net(0.3)
        optimizer = torch.optim.SGD(model.parameters(), 3.0, momentum=0.9)
        if watched:
            with thalweg.watch(model, optimizer, loss=loss, train=(X, y), dev=blobs(50, 1)) as doctor:
                loop(model, optimizer, loss, X, y, doctor=doctor)
            assert not model._forward_hooks and not model._forward_pre_hooks
            assert not optimizer._optimizer_step_pre_hooks and not optimizer._optimizer_step_post_hooks
        else:
            loop(model, optimizer, loss, X, y)
        gradients = [p.grad.clone() for p in model.parameters()]
        after = torch.rand(1).item(), random.random(), np.random.rand()  # noqa: NPY002
        return (
            [p.detach().clone() for p in model.parameters()],
            gradients,
            optimizer.state_dict()["state"],
            after,
            model.training,
        )

    plain, watched = trained(False), trained(True)
    for a, b in zip(plain[0] + plain[1], watched[0] + watched[1], strict=True):
        assert torch.equal(a, b)
    for key, state in plain[2].items():
        assert torch.equal(state["momentum_buffer"], watched[2][key]["momentum_buffer"])
    assert plain[3:] == watched[3:]


def test_data_are_left_alone():
    X, y = blobs()
    before = X.clone(), y.clone()
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    loss = nn.CrossEntropyLoss()
    with thalweg.watch(model, optimizer, loss=loss, train=(X.double().numpy(), y.int().numpy())) as doctor:
        loop(model, optimizer, loss, X, y)
    assert "trial/same/loss" in doctor.history or "train/loss" in doctor.history
    assert not [note for note in doctor.notes() if note.kind == "note"]
    assert torch.equal(X, before[0]) and torch.equal(y, before[1])


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.out = nn.LSTM(3, 8, batch_first=True), nn.Linear(8, 2)

    def forward(self, x):
        return self.out(self.lstm(x)[0][:, -1])


class Attentive(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
        self.out = nn.Linear(4, 2)

    def forward(self, x):
        return self.out(self.layer(x).mean(1))


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(4, 2)

    def forward(self, given):
        return {"logits": self.out(given["a"] + given["b"])}


@pytest.mark.parametrize(
    "which", ["lstm", "transformer", "dict", "lbfgs", "accumulation", "autocast", "nothing", "no loss"]
)
def test_any_loop_goes_through(which):
    torch.manual_seed(0)
    loss = nn.CrossEntropyLoss()
    X, y = torch.randn(40, 5, 3 if which == "lstm" else 4), torch.randint(0, 2, (40,))
    if which == "dict":
        X = {"a": X[:, 0], "b": X[:, 1]}
        loss = lambda out, y: nn.functional.cross_entropy(out["logits"], y)  # noqa: E731
    elif which not in ("lstm", "transformer"):
        X = X[:, 0]
    model = {"lstm": Recurrent, "transformer": Attentive, "dict": Named}.get(which, net)()
    rule = torch.optim.LBFGS if which == "lbfgs" else torch.optim.Adam
    optimizer = rule(model.parameters(), lr=0.01)
    given = (
        {}
        if which == "nothing"
        else {"train": (X, y)}
        if which == "no loss"
        else {"loss": loss, "train": (X, y), "dev": (X, y)}
    )
    with thalweg.watch(model, optimizer, **given) as doctor:
        for step in range(4):

            def closure():
                optimizer.zero_grad()
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=which == "autocast"):
                    value = loss(model(X), y)
                value.backward()
                return value

            if which == "lbfgs":
                optimizer.step(closure)
            elif which == "accumulation":
                loss(model(X), y).backward()
                if step % 2:
                    optimizer.step()
                    optimizer.zero_grad()
            else:
                closure()
                optimizer.step()
    assert all(finding.kind in KINDS for finding in doctor.findings())
    assert not [f for f in doctor.findings() if f.kind in ("no_zero_grad", "wrong_gradient", "frozen_params")]


def test_a_loop_that_raises_still_raises_its_own_error():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(ZeroDivisionError), thalweg.watch(model, optimizer):
        raise ZeroDivisionError


def test_what_is_no_pair_is_refused():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(InputError, match="train"):
        thalweg.watch(model, optimizer, train=torch.zeros(3))
    with pytest.raises(InputError, match="3 rows"):
        thalweg.watch(model, optimizer, dev=(torch.zeros(3, 2), torch.zeros(4)))


@pytest.mark.parametrize("targets", ["classes", "binary", "numbers"])
def test_a_loss_that_is_not_given_is_recognised(targets):
    X, y = blobs()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2 if targets == "classes" else 1))
    loss = {"classes": nn.CrossEntropyLoss(), "binary": nn.BCEWithLogitsLoss(), "numbers": nn.MSELoss()}[targets]
    y = y if targets == "classes" else (y[:, None].float() if targets == "binary" else X[:, :1] * X[:, 1:2])
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    with thalweg.watch(model, optimizer, train=(X, y)) as doctor:
        loop(model, optimizer, loss, X, y, zero=False)
    assert doctor.findings()[0].kind == "no_zero_grad"
    assert "train/loss" in doctor.history
    assert not [note for note in doctor.notes() if "loss" in note.sentence and note.kind == "note"]


def test_rows_scaled_by_the_loop_are_scaled_for_the_probes_too():
    X, y = blobs(400)
    raw = X * 40 + 128
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    loss = nn.CrossEntropyLoss()
    with thalweg.watch(model, optimizer, loss=loss, train=(raw, y), dev=(raw[:100], y[:100])) as doctor:
        loop(model, optimizer, loss, (raw - 128) / 40, y)
    assert doctor.history.last("train/error") < 0.05
    assert "unnormalised_input" not in [finding.kind for finding in doctor.findings()]
    assert any("scaled" in note.sentence for note in doctor.notes())


def test_a_probe_that_fails_is_a_note(monkeypatch):
    from thalweg.doctor import watcher

    def broken(case):
        raise ValueError("no")

    monkeypatch.setattr(watcher, "PROBES", (broken,))
    X, y = blobs()
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with thalweg.watch(model, optimizer, loss=nn.CrossEntropyLoss(), train=(X, y)) as doctor:
        loop(model, optimizer, nn.CrossEntropyLoss(), X, y, epochs=1)
    assert doctor.findings() == []
    assert "no" in doctor.notes()[0].sentence
