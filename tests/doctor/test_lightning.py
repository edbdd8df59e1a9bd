"""The callback beside Lightning's own loop: it sees what a plain loop shows, and changes nothing."""

from __future__ import annotations

import importlib
import sys
import warnings

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from thalweg.errors import InputError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pl = pytest.importorskip("lightning.pytorch")
    older = pytest.importorskip("pytorch_lightning")
pytestmark = pytest.mark.filterwarnings("ignore")


def blobs(n: int = 200, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (n,), generator=g)
    return torch.randn(n, 4, generator=g) + 2.5 * y[:, None] - 1.25, y


def module(which, *, zero: bool = True, own_forward: bool = True, manual: bool = False):
    class Classifier(which.LightningModule):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 2))
            self.extra = nn.Linear(2, 2)
            self.automatic_optimization = not manual

        def training_step(self, batch, number):
            X, y = batch
            loss = nn.functional.cross_entropy(self(X) if own_forward else self.net(X), y)
            if manual:
                first, second = self.optimizers()
                for optimizer in (first, second):
                    optimizer.zero_grad()
                self.manual_backward(loss)
                for optimizer in (first, second):
                    optimizer.step()
            return loss

        def validation_step(self, batch, number):
            self(batch[0]) if own_forward else self.net(batch[0])

        def configure_optimizers(self):
            if manual:
                return [torch.optim.Adam(part.parameters(), 1e-2) for part in (self.net[0], self.net[3])]
            return torch.optim.Adam(self.net.parameters(), 1e-2)

        def optimizer_zero_grad(self, epoch, number, optimizer):
            if zero:
                optimizer.zero_grad()

    if own_forward:
        Classifier.forward = lambda self, x: self.net(x)
    return Classifier()


def fit(which, model, *callbacks, epochs=6):
    torch.manual_seed(1)
    trainer = which.Trainer(
        max_epochs=epochs, callbacks=list(callbacks), logger=False, enable_checkpointing=False, accelerator="cpu",
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(
        model,
        DataLoader(TensorDataset(*blobs()), batch_size=20, shuffle=True),
        DataLoader(TensorDataset(*blobs(40, 2)), batch_size=20),
    )


def callback(which, **given):
    sys.modules.pop("thalweg.doctor.lightning", None)
    made = importlib.import_module("thalweg.doctor.lightning").DoctorCallback(**given)
    assert isinstance(made, which.Callback)
    return made


GIVEN = {"loss": nn.functional.cross_entropy, "train": blobs(), "dev": blobs(100, 1)}


@pytest.mark.parametrize("which", [pl, older], ids=["lightning", "pytorch_lightning"])
def test_a_healthy_run_is_healthy_and_ends_with_the_same_bits(which):
    watched, plain = module(which), module(which)
    doctor = callback(which, **GIVEN)
    fit(which, watched, doctor)
    after = torch.rand(1)
    fit(which, plain)
    assert torch.equal(after, torch.rand(1))
    for a, b in zip(watched.state_dict().values(), plain.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert [finding.kind for finding in doctor.doctor.findings()] == []
    tape = doctor.doctor._tape
    assert tape.steps == 60 and tape.forwards["training"] == 60 and tape.forwards["judged in eval"] == 12
    assert doctor.doctor.history.last("n/epochs") == 6
    assert tape.samples and tape.samples[0].gradient and not tape.faults
    assert not watched._forward_hooks and not watched.net._forward_hooks


@pytest.mark.parametrize("own_forward", [True, False])
def test_gradients_nobody_clears_are_found(own_forward, caplog):
    doctor = callback(pl, **GIVEN)
    fit(pl, module(pl, zero=False, own_forward=own_forward), doctor)
    assert doctor.doctor.findings()[0].kind == "no_zero_grad"
    assert sum("gradient of the step before" in line for line in caplog.messages) == 1


def test_one_of_several_optimizers_is_watched_and_a_note_says_so():
    doctor = callback(pl, optimizer=1, quiet=True)
    fit(pl, module(pl, manual=True), doctor, epochs=2)
    assert doctor.doctor.findings() == []
    assert any("of 2 optimizers, number 1 is watched" in note.sentence for note in doctor.doctor.notes())


def test_an_error_passes_through():
    class Breaks(pl.Callback):
        def on_train_batch_end(self, *_):
            raise ZeroDivisionError

    doctor = callback(pl, **GIVEN)
    with pytest.raises(ZeroDivisionError):
        fit(pl, module(pl), doctor, Breaks())
    assert "trial/same/loss" not in doctor.doctor.history
    assert any("ZeroDivisionError" in note.sentence for note in doctor.doctor.notes())


@pytest.mark.parametrize(("given", "words"), [({"module": "nets"}, "no such part"), ({"optimizer": 3}, "has 1")])
def test_what_is_not_there_is_refused(given, words):
    with pytest.raises(InputError, match=words):
        fit(pl, module(pl), callback(pl, **given))
