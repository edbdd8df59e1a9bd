"""The loop against a loop typed by hand, and against itself when interrupted."""

from __future__ import annotations

import copy

import pytest
import torch

from thalweg.errors import Diverged, InputError
from thalweg.train import (
    OBJECTIVES,
    Autograd,
    ClipNorm,
    EarlyStopping,
    Guard,
    Hook,
    Reacting,
    Repeated,
    Scheduled,
    State,
    train,
)
from thalweg.train.checkpoint import Checkpoints

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
}


class ShuffledBatches:
    """Order from (seed, epoch), as thalweg's own batches."""

    def __init__(self, inputs: torch.Tensor, targets: torch.Tensor, size: int) -> None:
        self.inputs, self.targets, self.size = inputs, targets, size

    def epoch(self, number: int, start: int = 0):
        order = torch.randperm(len(self.inputs), generator=torch.Generator().manual_seed(number))
        for index in range(start, len(self)):
            rows = order[index * self.size : (index + 1) * self.size]
            yield self.inputs[rows], self.targets[rows]

    def __len__(self) -> int:
        return -(-len(self.inputs) // self.size)


class StopAt(Hook):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, state: State) -> None:
        if state.step == self.step:
            state.stop = "enough"


@pytest.fixture
def problem():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(70, 5, generator=generator)
    targets = (inputs[:, 0] * inputs[:, 1] > 0).long()
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(16, 2))
    return model, ShuffledBatches(inputs, targets, 16)


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten().clone() for p in model.parameters()])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equals_a_loop_typed_by_hand(problem, name) -> None:
    model, batches = problem
    twin = copy.deepcopy(model)
    objective = OBJECTIVES["multiclass"]
    torch.manual_seed(1)
    state = train(model, OPTIMIZERS[name](model.parameters()), Autograd(model, objective), batches, epochs=3)
    torch.manual_seed(1)
    optimizer = OPTIMIZERS[name](twin.parameters())
    for epoch in range(3):
        for inputs, targets in batches.epoch(epoch):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(twin(inputs), targets).backward()
            optimizer.step()
    assert torch.equal(weights(model), weights(twin))
    assert (state.epoch, state.step, state.examples, state.position) == (3, 15, 210, 0)


@pytest.mark.parametrize("stop_at", [1, 5, 7, 14])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_resumed_run_has_the_same_bits(problem, name, stop_at, tmp_path) -> None:
    model, batches = problem
    objective = OBJECTIVES["multiclass"]
    whole, first, second = (copy.deepcopy(model) for _ in range(3))

    def hooks(network):
        return EarlyStopping(lambda: {"loss": float(weights(network).square().sum())})

    torch.manual_seed(3)
    optimizer = OPTIMIZERS[name](whole.parameters())
    early_whole = hooks(whole)
    train(whole, optimizer, Autograd(whole, objective), batches, epochs=3, hooks=(early_whole,))

    torch.manual_seed(3)
    optimizer = OPTIMIZERS[name](first.parameters())
    early = hooks(first)
    state = train(first, optimizer, Autograd(first, objective), batches, epochs=3, hooks=(early, StopAt(stop_at)))
    assert state.step == stop_at
    path = tmp_path / "checkpoint.pt"
    Checkpoints(path, remember={"model": first, "optimizer": optimizer, "early": early}, offset=lambda: 17).save(state)
    torch.manual_seed(99)

    optimizer = OPTIMIZERS[name](second.parameters())
    early = hooks(second)
    checkpoints = Checkpoints(path, remember={"model": second, "optimizer": optimizer, "early": early})
    state, offset = checkpoints.load(second, optimizer)
    assert offset == 17
    state = train(second, optimizer, Autograd(second, objective), batches, epochs=3, hooks=(early,), state=state)
    assert torch.equal(weights(whole), weights(second))
    assert state.step == 15 and state.examples == 210
    assert early.best.epoch == early_whole.best.epoch
    assert all(torch.equal(early.best.weights[k], early_whole.best.weights[k]) for k in early.best.weights)


def test_a_damaged_checkpoint_is_one_sentence(problem, tmp_path) -> None:
    model, _ = problem
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match=r"checkpoint\.pt cannot be resumed from"):
        Checkpoints(path, remember={"model": model}).load(model, torch.optim.SGD(model.parameters(), lr=0.1))


def test_a_checkpoint_never_holds_weights_that_are_not_finite(problem, tmp_path) -> None:
    model, _ = problem
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    checkpoints = Checkpoints(tmp_path / "c.pt", remember={"model": model})
    checkpoints.save(State(model, optimizer, step=3))
    with torch.no_grad():
        model[0].weight[0, 0] = float("nan")
    checkpoints.save(State(model, optimizer, step=4))
    state, _ = checkpoints.load(model, optimizer)
    assert state.step == 3 and bool(torch.isfinite(weights(model)).all())


def test_hooks_hear_only_the_moments_they_define(problem) -> None:
    model, batches = problem
    heard = []

    class Listener(Hook):
        def on_gradient(self, state):
            heard.append(("gradient", state.step, all(p.grad is not None for p in state.model.parameters())))

        def on_epoch(self, state):
            heard.append(("epoch", state.epoch, True))

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train(model, optimizer, Autograd(model, OBJECTIVES["multiclass"]), batches, epochs=1, hooks=(Listener(),))
    assert heard == [("gradient", step, True) for step in range(5)] + [("epoch", 1, True)]


def test_scheduled_sets_every_group_in_proportion(problem) -> None:
    model, batches = problem
    optimizer = torch.optim.SGD(
        [{"params": model[0].parameters()}, {"params": model[3].parameters(), "lr": 0.05}], lr=0.1
    )
    seen = []

    class See(Hook):
        def on_step(self, state):
            seen.append([group["lr"] for group in state.optimizer.param_groups])

    hooks = (Scheduled("lr", lambda step: 1.0 / (1 + step), optimizer=optimizer), See())
    train(model, optimizer, Autograd(model, OBJECTIVES["multiclass"]), batches, epochs=1, hooks=hooks)
    assert seen == [pytest.approx([1 / (1 + t), 0.5 / (1 + t)]) for t in range(5)]


class Halves:
    """Half as much after each pass whose loss is not below the last one's."""

    def __init__(self) -> None:
        self.value, self.last = 1.0, float("inf")

    def __call__(self, step: int) -> float:
        return self.value

    def observe(self, step, measured) -> None:
        self.value, self.last = self.value if measured["loss"] < self.last else self.value / 2, measured["loss"]

    def state_dict(self) -> dict:
        return vars(self).copy()

    def load_state_dict(self, saved: dict) -> None:
        vars(self).update(saved)


def test_a_schedule_that_reacts_hears_of_each_pass(problem) -> None:
    model, batches = problem
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    losses = iter([3.0, 2.0, 2.5, 1.0, 1.0])
    seen = []

    class See(Hook):
        def on_step(self, state):
            seen.append(state.optimizer.param_groups[0]["lr"])

    scheduled = Reacting("lr", Halves(), optimizer=optimizer, measured=lambda: {"loss": next(losses)})
    hooks = (scheduled, See())
    train(model, optimizer, Autograd(model, OBJECTIVES["multiclass"]), batches, epochs=5, hooks=hooks)
    assert seen[:: len(batches)] == [1.0, 1.0, 1.0, 0.5, 0.5]
    again = Reacting("lr", Halves(), optimizer=optimizer, measured=dict)
    again.load_state_dict(scheduled.state_dict())
    again.on_gradient(State(model, optimizer, step=99))
    assert optimizer.param_groups[0]["lr"] == 0.25


def test_clip_norm_is_torchs(problem) -> None:
    model, batches = problem
    inputs, targets = next(batches.epoch(0))
    Autograd(model.eval(), OBJECTIVES["multiclass"])(inputs, targets)
    before = torch.cat([p.grad.flatten() for p in model.parameters()])
    ClipNorm(0.01).on_gradient(State(model, torch.optim.SGD(model.parameters(), lr=0.1)))
    after = torch.cat([p.grad.flatten() for p in model.parameters()])
    torch.testing.assert_close(after, before * 0.01 / (before.norm() + 1e-6))


def test_early_stopping_stops_and_restores() -> None:
    model = torch.nn.Linear(1, 1)
    losses = iter([3.0, 2.0, 2.5, float("nan"), 2.1])
    early = EarlyStopping(lambda: {"loss": next(losses)}, patience=3)
    state = State(model, torch.optim.SGD(model.parameters(), lr=0.1))
    for epoch in range(1, 6):
        with torch.no_grad():
            model.weight.fill_(epoch)
        state.epoch = epoch
        early.on_epoch(state)
        if state.stop:
            break
    assert state.epoch == 5 and "3 epochs" in state.stop
    early.restore(model)
    assert float(model.weight.detach()) == 2.0 and early.best.metrics == {"loss": 2.0}


def test_early_stopping_breaks_ties_by_loss() -> None:
    model = torch.nn.Linear(1, 1)
    scores = iter([(0.9, 0.5), (0.9, 0.4), (0.9, 0.45), (0.8, 0.1)])
    early = EarlyStopping(lambda: dict(zip(("accuracy", "loss"), next(scores), strict=True)), watch="accuracy")
    for epoch in range(1, 5):
        early.on_epoch(State(model, torch.optim.SGD(model.parameters(), lr=0.1), epoch=epoch))
    assert early.best.epoch == 2


def looked(early: EarlyStopping, values: list[float]) -> State:
    model = torch.nn.Linear(1, 1)
    state = State(model, torch.optim.SGD(model.parameters(), lr=0.1))
    scores = iter(values)
    early.measure = lambda: {"loss": 1.0, early.best.watch: next(scores)}
    for epoch in range(1, len(values) + 1):
        state.epoch = epoch
        early.on_epoch(state)
        if state.stop:
            break
    return state


def test_a_gain_too_small_is_kept_but_not_waited_for() -> None:
    early = EarlyStopping(dict, patience=3, min_gain=0.1)
    state = looked(early, [1.0, 0.95, 0.85, 0.84, 0.80, 0.76, 0.1])
    # 0.85 is more than 0.1 below 1.0, and 0.84, 0.80, 0.76 are not below 0.75
    assert state.epoch == 6 and "has not improved by more than 0.1 for 3 epochs" in state.stop
    assert early.best.epoch == 6 and early.best.metrics["loss"] == 0.76


@pytest.mark.parametrize(("watch", "best"), [("auc", 3), ("balanced_accuracy", 3), ("rmse", 2), ("mae", 2)])
def test_every_metric_has_its_direction(watch, best) -> None:
    early = EarlyStopping(dict, watch=watch)
    looked(early, [0.5, 0.4, 0.7, 0.6])
    assert early.best.epoch == best
    with pytest.raises(InputError, match=r'did you mean "'):
        EarlyStopping(dict, watch=watch[:-1])


def test_patience_goes_on_from_a_checkpoint_even_an_older_one() -> None:
    early, values = EarlyStopping(dict, patience=3, min_gain=0.1), [1.0, 0.95, 0.94]
    looked(early, values)
    saved = early.state_dict()
    assert (saved["best_epoch"], saved["gain_epoch"]) == (3, 1)
    for name in (None, "gain_epoch", "gain_score"):
        saved.pop(name, None)
        again = EarlyStopping(dict, patience=3, min_gain=0.1)
        again.load_state_dict(saved)
        assert again.best.gain_epoch == (3 if "gain_epoch" not in saved else 1)
        assert again.best.gain_score == (-0.94 if "gain_score" not in saved else -1.0)


class TestGuard:
    def model(self) -> torch.nn.Module:
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))

    def test_names_step_and_layer_when_the_loss_goes(self) -> None:
        model = self.model()
        inputs, targets = torch.randn(8, 3), torch.randn(8)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e30)
        with pytest.raises(
            Diverged, match=r"at step 2 .* the loss became (inf|nan), first in the gradient of [02]\.(bias|weight)"
        ):
            gradients, batches = Autograd(model, OBJECTIVES["regression"]), Repeated([(inputs, targets)])
            train(model, optimizer, gradients, batches, epochs=9, hooks=(Guard(),))

    def test_finds_a_gradient_that_overflows_under_a_finite_loss(self) -> None:
        model = self.model()

        class Poison(Hook):
            def on_gradient(self, state):
                if state.step == 2:
                    model[0].weight.grad[0, 0] = float("inf")

        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        data = Repeated([(torch.randn(8, 3), torch.randn(8))])
        with pytest.raises(Diverged, match=r"at step 3 .* first in the gradient of 0\.weight"):
            train(
                model, optimizer, Autograd(model, OBJECTIVES["regression"]), data, epochs=9, hooks=(Poison(), Guard())
            )


class TestRepeated:
    def test_a_shuffling_loader_has_an_order_for_each_pass(self) -> None:
        data = torch.utils.data.TensorDataset(torch.arange(20.0)[:, None], torch.arange(20))
        batches = Repeated(torch.utils.data.DataLoader(data, batch_size=6, shuffle=True), seed=5)
        orders = [torch.cat([targets for _, targets in batches.epoch(number)]).tolist() for number in (0, 1, 0)]
        assert orders[0] == orders[2] != orders[1]
        assert sorted(orders[1]) == list(range(20))
        before = torch.get_rng_state()
        later = torch.cat([targets for _, targets in batches.epoch(1, start=2)]).tolist()
        assert later == orders[1][12:]
        assert torch.equal(before, torch.get_rng_state())
        assert len(batches) == 4

    def test_an_iterator_is_refused(self) -> None:
        with pytest.raises(InputError, match="read only once"):
            Repeated(iter([1, 2]))

    def test_a_batch_that_is_no_pair(self) -> None:
        with pytest.raises(InputError, match="batch 0 of the data is no pair"):
            list(Repeated([torch.zeros(3)]).epoch(0))
