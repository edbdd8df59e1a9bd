"""One optimizer after another: as if each had been used by hand."""

from __future__ import annotations

import copy
import io
import pickle
from functools import partial

import pytest
import torch

from optim.stories import assert_close, learn, net, weights
from thalweg import optim
from thalweg.errors import InputError

ADAM, SGD = partial(optim.Adam, lr=0.01), partial(optim.SGD, lr=0.1, momentum=0.9)


def by_hand(at: int, steps: int, first=ADAM, second=SGD) -> list[torch.Tensor]:
    model = net()
    learn(model, first(model.parameters()), range(at))
    learn(model, second(model.parameters()), range(at, steps))
    return weights(model)


@pytest.mark.parametrize("how", [{"at": 7}, {"when": lambda step: step == 7}], ids=["at", "when"])
@pytest.mark.parametrize("second", [SGD, partial(torch.optim.SGD, lr=0.1)], ids=["ours", "torch's"])
def test_the_second_goes_on_from_the_firsts_weights(how, second) -> None:
    model = net()
    optimizer = optim.HandOver(model.parameters(), ADAM, second, **how)
    learn(model, optimizer, range(7))
    assert optimizer.handed_over == 7 and optimizer.leading is optimizer.phases[1]
    learn(model, optimizer, range(7, 15))
    assert_close(weights(model), by_hand(7, 15, second=second))


@pytest.mark.parametrize("cut", [3, 7, 11])
def test_a_checkpoint_goes_on_in_either_phase(cut) -> None:
    model = net()
    optimizer = optim.HandOver(model.parameters(), ADAM, SGD, at=7)
    learn(model, optimizer, range(cut))
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    buffer.seek(0)
    again = net()
    again.load_state_dict(model.state_dict())
    taken = optim.HandOver(again.parameters(), ADAM, SGD, at=7)
    taken.load_state_dict(torch.load(buffer, weights_only=True))
    learn(again, taken, range(cut, 15))
    assert_close(weights(again), by_hand(7, 15))


def test_copies_go_their_own_way() -> None:
    model = net()
    optimizer = optim.HandOver(model.parameters(), ADAM, SGD, at=7)
    learn(model, optimizer, range(5))
    for twin_model, twin in (copy.deepcopy((model, optimizer)), pickle.loads(pickle.dumps((model, optimizer)))):
        learn(twin_model, twin, range(5, 15))
        assert_close(weights(twin_model), by_hand(7, 15))
        assert twin.handed_over == 7 and optimizer.handed_over is None


def test_schedules_groups_and_later_parameters_act_on_the_one_that_leads() -> None:
    model = net()
    first, last = model[0], model[2]
    optimizer = optim.HandOver([{"params": list(first.parameters()), "lr": 0.02}], ADAM, SGD, at=2)
    optimizer.add_param_group({"params": list(last.parameters()), "lr": 0.05})
    assert [group["lr"] for phase in optimizer.phases for group in phase.param_groups] == [0.02, 0.05, 0.02, 0.05]
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    for step in range(4):
        learn(model, optimizer, range(step, step + 1))
        schedule.step()
    assert optimizer.phases[1].param_groups[0]["lr"] < 0.02
    assert len(optimizer.state) == 4


@pytest.mark.parametrize("how", [{}, {"at": 3, "when": bool}, {"at": 0}])
def test_a_moment_is_asked_for(how) -> None:
    with pytest.raises(InputError, match="HandOver: "):
        optim.HandOver(net().parameters(), ADAM, SGD, **how)


def test_another_optimizers_state_is_refused() -> None:
    model = net()
    with pytest.raises(InputError, match="not written by a HandOver"):
        optim.HandOver(model.parameters(), ADAM, SGD, at=3).load_state_dict(ADAM(model.parameters()).state_dict())
