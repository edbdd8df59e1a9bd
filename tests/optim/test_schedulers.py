"""A schedule as a torch scheduler: the closed form at every step, whatever happens on the way."""

from __future__ import annotations

import io

import pytest
import torch
from torch.optim import lr_scheduler

from thalweg.errors import InputError
from thalweg.optim.schedulers import Follow
from thalweg.schedules import constant, cosine, exponential, parse, plateau, warmup

SCHEDULE = warmup(5) >> cosine(20, end=0.1)
OPTIMIZERS = {
    "sgd": lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9, weight_decay=0.01),
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=0.1, weight_decay=0.01),
    "adam with a tensor": lambda groups: torch.optim.Adam(
        groups, lr=torch.tensor(0.1), capturable=False, foreach=False
    ),
    "rmsprop": lambda groups: torch.optim.RMSprop(groups, lr=0.1),
}


def weight() -> torch.nn.Parameter:
    parameter = torch.nn.Parameter(torch.ones(3))
    parameter.grad = torch.ones(3)
    return parameter


def made(kind: str = "sgd") -> torch.optim.Optimizer:
    return OPTIMIZERS[kind]([{"params": [weight()]}, {"params": [weight()], "lr": 0.02}])


def value(optimizer: torch.optim.Optimizer, group: int = 0, name: str = "lr") -> float:
    return float(optimizer.param_groups[group][name])


def advance(optimizer: torch.optim.Optimizer, scheduler, steps: int) -> None:
    for _ in range(steps):
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_it_is_the_schedule_at_every_step(kind: str) -> None:
    optimizer = made(kind)
    scheduler = Follow(optimizer, SCHEDULE)
    for t in range(40):
        assert value(optimizer) == pytest.approx(0.1 * SCHEDULE(t), rel=1e-6)
        assert value(optimizer, 1) == pytest.approx(0.02 * SCHEDULE(t), rel=1e-6)
        assert list(map(float, scheduler.get_last_lr())) == [value(optimizer), value(optimizer, 1)]
        advance(optimizer, scheduler, 1)


def test_it_is_exact_where_the_value_is_a_number() -> None:
    optimizer = made()
    scheduler = Follow(optimizer, repr(SCHEDULE))
    for t in range(40):
        assert value(optimizer) == 0.1 * SCHEDULE(t)
        advance(optimizer, scheduler, 1)


def test_a_tensor_is_filled_not_replaced() -> None:
    rate = torch.tensor(0.1)
    optimizer = torch.optim.Adam([weight()], lr=rate, foreach=False)
    scheduler = Follow(optimizer, SCHEDULE)
    held = optimizer.param_groups[0]["lr"]
    advance(optimizer, scheduler, 7)
    assert optimizer.param_groups[0]["lr"] is held
    assert float(held) == pytest.approx(0.1 * SCHEDULE(7))
    last = scheduler.get_last_lr()[0]
    last.fill_(9.0)
    assert float(held) == pytest.approx(0.1 * SCHEDULE(7))


@pytest.mark.parametrize("name, initial", [("weight_decay", 0.01), ("momentum", 0.9)])
def test_any_hyperparameter_follows(name: str, initial: float) -> None:
    optimizer = made()
    scheduler, rates = Follow(optimizer, SCHEDULE, name=name), Follow(optimizer, exponential(0.5))
    for t in range(10):
        assert value(optimizer, 0, name) == initial * SCHEDULE(t)
        assert value(optimizer) == 0.1 * 0.5**t
        optimizer.step()
        scheduler.step()
        rates.step()


ORDERS = ["scheduler, states", "states, scheduler", "optimizer state, scheduler, its state", "scheduler state first"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("stopped", [0, 1, 5, 13, 30])
def test_it_is_resumed_at_any_step_in_any_order(kind: str, stopped: int, order: str) -> None:
    optimizer = made(kind)
    scheduler = Follow(optimizer, SCHEDULE)
    advance(optimizer, scheduler, stopped)
    file = io.BytesIO()
    torch.save({"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    again = made(kind)
    if order in ("scheduler, states", "scheduler state first"):
        resumed = Follow(again, SCHEDULE)
        for part, one in (("optimizer", again), ("scheduler", resumed))[:: 1 if order == ORDERS[0] else -1]:
            one.load_state_dict(saved[part])
    else:
        again.load_state_dict(saved["optimizer"])
        resumed = Follow(again, SCHEDULE)
        resumed.load_state_dict(saved["scheduler"])
    for t in range(stopped, 40):
        assert value(again) == pytest.approx(0.1 * SCHEDULE(t), rel=1e-6)
        assert value(again, 1) == pytest.approx(0.02 * SCHEDULE(t), rel=1e-6)
        advance(again, resumed, 1)


def test_last_epoch_says_where_to_begin() -> None:
    optimizer = made()
    scheduler = Follow(optimizer, SCHEDULE)
    advance(optimizer, scheduler, 9)
    again = made()
    again.load_state_dict(optimizer.state_dict())
    resumed = Follow(again, SCHEDULE, last_epoch=9)
    assert resumed.last_epoch == 10 and value(again) == 0.1 * SCHEDULE(10)
    with pytest.raises(InputError, match="load the optimizer's state first"):
        Follow(made(), SCHEDULE, last_epoch=9)


@pytest.mark.parametrize("added", [0, 1, 8])
def test_a_group_added_later_follows_from_the_value_it_brings(added: int) -> None:
    optimizer = made()
    scheduler = Follow(optimizer, SCHEDULE)
    advance(optimizer, scheduler, added)
    optimizer.add_param_group({"params": [weight()], "lr": 0.5})
    assert value(optimizer, 2) == 0.5
    for t in range(added + 1, 30):
        advance(optimizer, scheduler, 1)
        assert [value(optimizer, group) for group in range(3)] == [base * SCHEDULE(t) for base in (0.1, 0.02, 0.5)]
    assert scheduler.base_lrs == [0.1, 0.02, 0.5]


def test_each_group_can_have_its_own() -> None:
    optimizer = made()
    scheduler = Follow(optimizer, [constant(), "exponential(0.5)"])
    advance(optimizer, scheduler, 3)
    assert (value(optimizer), value(optimizer, 1)) == (0.1, 0.02 * 0.5**3)


def test_it_follows_within_torchs_sequence() -> None:
    first, then = warmup(5), cosine(10)
    optimizer = made()
    sequence = lr_scheduler.SequentialLR(optimizer, [Follow(optimizer, first), Follow(optimizer, then)], milestones=[5])
    for t in range(20):
        assert value(optimizer) == 0.1 * (first >> then)(t)
        assert sequence.get_last_lr()[0] == value(optimizer)
        advance(optimizer, sequence, 1)


@pytest.mark.parametrize("stopped", [0, 2, 5, 9])
def test_torchs_sequence_of_them_is_resumed(stopped: int) -> None:
    def sequence(optimizer):
        parts = [Follow(optimizer, warmup(5)), Follow(optimizer, cosine(10))]
        return lr_scheduler.SequentialLR(optimizer, parts, milestones=[5])

    optimizer, again = made(), made()
    before, after = sequence(optimizer), sequence(again)
    advance(optimizer, before, stopped)
    after.load_state_dict(before.state_dict())
    for t in range(stopped, 20):
        assert value(again) == 0.1 * (warmup(5) >> cosine(10))(t)
        advance(again, after, 1)


def test_it_chains_with_torchs_own() -> None:
    optimizer = made()
    parts = [lr_scheduler.LinearLR(optimizer, 1 / 5, 1.0, total_iters=4), Follow(optimizer, cosine(10))]
    sequence = lr_scheduler.SequentialLR(optimizer, parts, milestones=[5])
    for t in range(20):
        assert value(optimizer) == pytest.approx(0.1 * (warmup(5) >> cosine(10))(t), abs=1e-15)
        advance(optimizer, sequence, 1)


def test_one_that_reacts_hears_and_remembers() -> None:
    optimizer, again = made(), made()
    scheduler, resumed = (Follow(one, warmup(2) >> plateau(0.5, patience=0)) for one in (optimizer, again))
    advance(optimizer, scheduler, 3)
    for loss in (1.0, 2.0):
        scheduler.observe({"dev/loss": loss})
    assert value(optimizer) == 0.05
    resumed.load_state_dict(scheduler.state_dict())
    for one, follows in ((optimizer, scheduler), (again, resumed)):
        follows.observe({"dev/loss": 3.0})
        advance(one, follows, 1)
        assert value(one) == 0.025


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda o: Follow(o, SCHEDULE, name="betas"), 'no hyperparameter "betas": choose among lr, momentum'),
        (lambda o: Follow(o, SCHEDULE, name="nesterov"), "not a number"),
        (lambda o: Follow(o, [SCHEDULE]), "2 parameter groups and there are 1 schedules"),
        (lambda o: Follow(o, "cosin(5)"), 'did you mean "cosine"'),
        (lambda o: Follow(o, [SCHEDULE, 3]), "3 is no schedule"),
        (lambda o: Follow(o, SCHEDULE).load_state_dict(Follow(o, SCHEDULE, name="momentum").state_dict()), "momentum"),
    ],
)
def test_nonsense_is_refused_in_a_sentence(make, words: str) -> None:
    with pytest.raises(InputError) as caught:
        make(made())
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_group_too_many_for_a_list_is_said() -> None:
    optimizer = made()
    scheduler = Follow(optimizer, [parse("constant()"), SCHEDULE])
    optimizer.add_param_group({"params": [weight()]})
    optimizer.step()
    with pytest.raises(InputError, match="3 parameter groups"):
        scheduler.step()
