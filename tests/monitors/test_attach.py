"""Monitors in a loop that knows nothing of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from thalweg.history import History
from thalweg.monitors import ALWAYS, Attached, GradientNorms, Progress, UpdateRatios
from thalweg.train import Autograd, Hook, State, train


class Batches:
    def __init__(self) -> None:
        g = torch.Generator().manual_seed(0)
        self.pairs = [(torch.randn(8, 3, generator=g), torch.randn(8, 1, generator=g)) for _ in range(5)]

    def epoch(self, number: int, start: int = 0):
        return iter(self.pairs[start:])

    def __len__(self) -> int:
        return 5


def parts() -> tuple[nn.Module, torch.optim.Optimizer, History]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    return model, torch.optim.Adam(model.parameters(), lr=0.01), History()


def hooks(history: History) -> tuple[Hook, ...]:
    return Progress(history, losses=ALWAYS), GradientNorms(history, plan=ALWAYS), UpdateRatios(history, plan=ALWAYS)


def test_a_plain_loop_gives_the_numbers_of_ours() -> None:
    model, optimizer, ours = parts()
    train(model, optimizer, Autograd(model, nn.functional.mse_loss), Batches(), epochs=2, hooks=hooks(ours))
    model, optimizer, plain = parts()
    with Attached(model, optimizer, *hooks(plain)) as attached:
        for epoch in range(2):
            for X, y in Batches().epoch(epoch):
                optimizer.zero_grad()
                loss = nn.functional.mse_loss(model(X), y)
                loss.backward()
                attached.state.loss = loss.detach()
                optimizer.step()
            attached.epoch_end()
    for name in set(ours.columns) - {"seconds", "samples_per_second"}:
        assert plain.column(name).steps.tolist() == ours.column(name).steps.tolist(), name
        assert plain.column(name).values.tolist() == ours.column(name).values.tolist(), name
    assert not optimizer._optimizer_step_pre_hooks and not optimizer._optimizer_step_post_hooks


class Broken(Hook):
    def on_step(self, state: State) -> None:
        raise ValueError("no")


def test_a_hook_that_raises_is_heard_where_nobody_takes_it() -> None:
    model, optimizer, _ = parts()
    with pytest.raises(ValueError, match="no"), Attached(model, optimizer, Broken()):
        optimizer.step()
    told = []
    with Attached(model, optimizer, Broken(), failed=lambda moment, error: told.append((moment, str(error)))):
        optimizer.step()
    assert told == [("step", "no")]
