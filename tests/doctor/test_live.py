"""What is said while a loop runs: faults early and once, nothing of a healthy run; pages and event files of it afterwards."""

from __future__ import annotations

import logging
import sys

import pytest
import torch
from torch import nn

import thalweg
from thalweg.errors import InputError

CE = nn.functional.cross_entropy


def blobs(n: int = 200, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (n,), generator=g)
    return torch.randn(n, 4, generator=g) + 2.5 * y[:, None] - 1.25, y


X, Y = blobs()


class Headless(nn.Module):
    """The first layer's output is detached: no gradient reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(4, 16), nn.Linear(16, 2)

    def forward(self, x):
        return self.head(torch.relu(self.body(x)).detach())


def net(act=nn.ReLU, drop: float = 0.1) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 16), act(), nn.Dropout(drop), nn.Linear(16, 2))


def dead() -> nn.Module:
    model = net()
    nn.init.constant_(model[0].bias, -100.0)
    return model


def run(model=None, *, rate=0.05, epochs=20, zero=True, mode=True, inputs=X, **given):
    torch.manual_seed(0)
    model = net() if model is None else model()
    optimizer = torch.optim.SGD(model.parameters(), rate)
    said: list[tuple[int, str]] = []
    doctor = thalweg.watch(model, optimizer, live=lambda f: said.append((doctor._tape.steps, f.kind)), **given)
    with doctor:
        for _ in range(epochs):
            model.train(mode)
            for rows in torch.randperm(len(inputs)).split(20):
                if zero:
                    optimizer.zero_grad()
                CE(model(inputs[rows]), Y[rows]).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                model(inputs)
            doctor.epoch_end()
    return doctor, said


FAULTS = {
    "no_zero_grad": {"zero": False},
    "frozen_params": {"model": Headless},
    "wrong_mode": {"mode": False},
    "dead_relu": {"model": dead, "epochs": 30},
    "exploding_gradient or lr_too_high": {"rate": 3e3, "model": lambda: net(nn.Identity, 0.0)},
    "nan": {"inputs": torch.where(torch.arange(200)[:, None] == 17, torch.nan, X)},
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_said_early_and_once(kind, caplog):
    doctor, said = run(**FAULTS[kind])
    kinds = [found for _, found in said]
    assert set(kinds) & set(kind.split(" or "))
    assert len(kinds) == len(set(kinds)) == len(caplog.records)
    assert said[0][0] < 300
    assert all(record.name == "thalweg.doctor" and record.levelno == logging.WARNING for record in caplog.records)
    assert set(kind.split(" or ")) & {finding.kind for finding in doctor.findings()}


@pytest.mark.parametrize("given", [{}, {"loss": CE, "train": (X, Y), "dev": blobs(100, 1)}])
def test_a_healthy_run_hears_nothing(given, caplog):
    doctor, said = run(**given)
    assert said == [] and caplog.records == [] and doctor.findings() == []


def test_quiet_is_quiet(caplog):
    _, said = run(zero=False, quiet=True)
    assert said and caplog.records == []


def test_a_page_of_it(tmp_path):
    doctor, _ = run(zero=False, quiet=True, loss=CE, train=(X, Y))
    doctor.page(tmp_path / "doctor.html", title="my <loop>")
    page = (tmp_path / "doctor.html").read_text(encoding="utf-8")
    assert "my &lt;loop&gt;" in page and doctor.findings()[0].sentence in page


def test_tensorboard_has_every_number_and_the_findings(tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    doctor, _ = run(zero=False, quiet=True)
    doctor.to_tensorboard(tmp_path)
    read = events.EventAccumulator(str(tmp_path), size_guidance={"scalars": 0, "tensors": 0}).Reload()
    for name in doctor.history.columns:
        steps, values = doctor.history.column(name)
        found = read.Scalars(name)
        assert [event.step for event in found] == steps.tolist()
        assert [event.value for event in found] == pytest.approx(values.tolist(), rel=1e-6, nan_ok=True)
    text = read.Tensors("finding/no_zero_grad/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "optimizer.zero_grad" in text
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path / "own")) as writer:
        doctor.to_tensorboard(writer)
        writer.add_scalar("mine", 1.0, 1)
    assert {"mine", "grad_norm"} <= set(events.EventAccumulator(str(tmp_path / "own")).Reload().Tags()["scalars"])


def test_without_tensorboard_a_sentence_says_what_to_install(tmp_path, monkeypatch):
    doctor, _ = run(quiet=True, epochs=1)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)
    with pytest.raises(InputError, match="pip install tensorboard"):
        doctor.to_tensorboard(tmp_path)
