"""Loops of every kind, with a doctor beside them and without: the same bits, the same random state, no false alarm."""

from __future__ import annotations

import copy
import io
import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

import thalweg

CE = nn.functional.cross_entropy


def blobs(n: int = 200, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (n,), generator=g)
    return torch.randn(n, 4, generator=g) + 2.5 * y[:, None] - 1.25, y


X, Y = blobs()
GIVEN = {"loss": CE, "train": (X, Y), "dev": blobs(100, 1)}


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 2))


def batches(epochs: int = 4):
    for _ in range(epochs):
        for rows in torch.randperm(len(X)).split(20):
            yield X[rows], Y[rows]


def plain(model, optimizer):
    for inputs, targets in batches():
        optimizer.zero_grad()
        CE(model(inputs), targets).backward()
        optimizer.step()


def accumulating(model, optimizer):
    for step, (inputs, targets) in enumerate(batches(), 1):
        (CE(model(inputs), targets) / 2).backward()
        if step % 2 == 0:
            optimizer.step()
            optimizer.zero_grad()


def with_closures(model, optimizer):
    for inputs, targets in batches(2):

        def closure(inputs=inputs, targets=targets):
            optimizer.zero_grad()
            value = CE(model(inputs), targets)
            value.backward()
            return value

        optimizer.step(closure)


def scaled(model, optimizer):
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    for inputs, targets in batches():
        optimizer.zero_grad()
        scaler.scale(CE(model(inputs), targets)).backward()
        scaler.step(optimizer)
        scaler.update()


def averaging(model, optimizer):
    """Copies the model while it trains, as averages and checkpoints of whole models do."""
    plain(model, optimizer)
    twin = copy.deepcopy(model)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    read = torch.load(file, weights_only=False)
    with torch.no_grad():
        for other in (twin, read):
            other(X)
    plain(model, optimizer)


class Pair(nn.Module):
    """Puts out a tuple, or a dict with the number that comes first in it."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.net, self.form = net(), form

    def forward(self, x):
        out = self.net(x)
        return (out, x.sum()) if self.form == "tuple" else {"size": x.mean(), "logits": out}


def unpacking(model, optimizer):
    for inputs, targets in batches():
        optimizer.zero_grad()
        out = model(inputs)
        CE(out[0] if isinstance(out, tuple) else out["logits"], targets).backward()
        optimizer.step()


def sgd(model):
    return torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)


def lbfgs(model):
    return torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)


LOOPS: dict[str, tuple[Callable, Callable, Callable]] = {
    "plain": (net, sgd, plain),
    "adam with closures": (net, lambda model: torch.optim.Adam(model.parameters(), 0.01), with_closures),
    "lbfgs": (net, lbfgs, with_closures),
    "accumulation": (net, sgd, accumulating),
    "scaler": (net, sgd, scaled),
    "copies": (net, sgd, averaging),
    "tuple": (lambda: Pair("tuple"), sgd, unpacking),
    "dict": (lambda: Pair("dict"), sgd, unpacking),
    "parallel": (lambda: nn.DataParallel(net()), sgd, plain),
    "compiled": (lambda: torch.compile(net(), backend="eager"), sgd, plain),
}


def everything(model, optimizer) -> list:
    """All that a doctor must leave alone, as tensors and numbers."""
    states = [v for s in optimizer.state.values() for v in s.values() if isinstance(v, torch.Tensor)]
    hooks = [len(h) for m in model.modules() for h in (m._forward_hooks, m._forward_pre_hooks, m._backward_hooks)]
    steps = [len(optimizer._optimizer_step_pre_hooks), len(optimizer._optimizer_step_post_hooks)]
    draws = [torch.rand(1).item(), random.random(), np.random.rand()]  # noqa: NPY002
    modes = [m.training for m in model.modules()]
    gradients = [p.grad for p in model.parameters()]
    return [*model.state_dict().values(), *gradients, *states, *hooks, *steps, *draws, *modes]


def run(name: str, *, watch: bool) -> tuple[list, thalweg.doctor.Doctor | None]:
    make, rule, loop = LOOPS[name]
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    model = make()
    optimizer = rule(model)
    if not watch:
        loop(model, optimizer)
        return everything(model, optimizer), None
    with thalweg.watch(model, optimizer, quiet=True, **GIVEN) as doctor:
        loop(model, optimizer)
    return everything(model, optimizer), doctor


def same(first: list, second: list) -> bool:
    return len(first) == len(second) and all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("name", LOOPS)
def test_the_same_bits_and_no_fault_of_the_program(name):
    without, _ = run(name, watch=False)
    beside, doctor = run(name, watch=True)
    assert same(without, beside)
    assert doctor is not None and doctor._tape is not None
    tape = doctor._tape
    assert tape.faults == [] and tape.steps > 0 and tape.batches and tape.stale == 0 and tape.first_bad == -1
    program = {"no_zero_grad", "wrong_gradient", "frozen_params", "wrong_mode", "wrong_optimizer", "nan", "data_order"}
    assert not program & {finding.kind for finding in doctor.findings()}


def test_what_a_step_with_a_closure_was_made_with_is_kept():
    _, doctor = run("adam with closures", watch=True)
    samples = doctor._tape.samples
    assert len(samples) > 3 and all(sample.gradient and sample.pull is not None for sample in samples)


def test_copies_and_files_of_a_watched_model_hear_nothing():
    torch.manual_seed(0)
    model = net()
    optimizer = sgd(model)
    with thalweg.watch(model, optimizer, quiet=True) as doctor:
        with torch.no_grad():
            copy.deepcopy(model)(X)
        assert doctor._tape.forwards == dict.fromkeys(doctor._tape.forwards, 0)


def test_two_optimizers_on_one_model_take_turns_without_alarm():
    """The second one's backward pass meets the first one's gradients, which are cleared before they are used."""
    torch.manual_seed(0)
    judge, maker = net(), nn.Linear(4, 4)
    first = torch.optim.SGD(judge.parameters(), 0.05)
    second = torch.optim.SGD(maker.parameters(), 0.05)
    with thalweg.watch(judge, first, quiet=True) as of_judge, thalweg.watch(maker, second, quiet=True) as of_maker:
        for inputs, targets in batches():
            first.zero_grad()
            CE(judge(inputs), targets).backward()
            CE(judge(maker(inputs).detach()), targets).backward()
            first.step()
            second.zero_grad()
            CE(judge(maker(inputs)), 1 - targets).backward()
            second.step()
    for doctor in (of_judge, of_maker):
        assert doctor._tape.asked >= 2 and doctor._tape.stale == 0
        assert doctor.findings() == []


def test_nested_doctors_say_the_same():
    torch.manual_seed(0)
    model = net()
    optimizer = sgd(model)
    with (
        thalweg.watch(model, optimizer, quiet=True, **GIVEN) as outer,
        thalweg.watch(model, optimizer, quiet=True, **GIVEN) as inner,
    ):
        plain(model, optimizer)
    assert [f.kind for f in outer.findings()] == [f.kind for f in inner.findings()]
    assert outer.history.last("train/loss") == inner.history.last("train/loss")
    assert not model._forward_hooks and not optimizer._optimizer_step_pre_hooks


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, SystemExit])
def test_an_error_passes_through_at_once(error):
    torch.manual_seed(0)
    model = net()
    optimizer = sgd(model)
    with pytest.raises(error), thalweg.watch(model, optimizer, quiet=True, **GIVEN) as doctor:
        plain(model, optimizer)
        before = copy.deepcopy(everything(model, optimizer))
        state = torch.get_rng_state()
        raise error
    assert torch.equal(torch.get_rng_state(), state)
    after = everything(model, optimizer)
    assert same(before[: len(model.state_dict())], after[: len(model.state_dict())])
    assert not model._forward_hooks
    assert "dev/loss" not in doctor.history
    assert any(error.__name__ in note.sentence for note in doctor.notes())
    doctor.examine()
    assert "dev/loss" in doctor.history
    assert not any(error.__name__ in note.sentence for note in doctor.notes())


def test_an_error_about_numbers_that_are_none_is_examined():
    torch.manual_seed(0)
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 1e25)
    with pytest.raises(RuntimeError, match="none"), thalweg.watch(model, optimizer, quiet=True, **GIVEN) as doctor:
        for inputs, targets in batches():
            optimizer.zero_grad()
            loss = CE(model(inputs), targets)
            if not torch.isfinite(loss):
                raise RuntimeError("the loss is none")
            loss.backward()
            optimizer.step()
    assert doctor.findings()[0].kind in ("lr_too_high", "nan")
    assert any(name.startswith("trial/") for name in doctor.history.columns)
