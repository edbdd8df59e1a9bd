"""Monitors against the same numbers computed by hand, from a training loop written out here."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from thalweg import monitors
from thalweg.history import History
from thalweg.monitors import ALWAYS, ActivationStats, GradientNorms, Plan, Progress, UpdateRatios
from thalweg.monitors.activations import statistics
from thalweg.monitors.signals import norms
from thalweg.train import Autograd, Hook, State, train


class Batches:
    """Six mini-batches of noise, the last one smaller."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(3)
        self.inputs = torch.randn(44, 5, generator=generator)
        self.targets = torch.randint(0, 3, (44,), generator=generator)

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for rows in torch.arange(44).roll(number).split(8)[start:]:
            yield self.inputs[rows], self.targets[rows]

    def __len__(self) -> int:
        return 6


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))


def run(*hooks: Hook, epochs: int = 3, state: State | None = None, model: nn.Module | None = None) -> State:
    model = net() if model is None else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9) if state is None else state.optimizer
    gradients = Autograd(model, nn.functional.cross_entropy)
    return train(model, optimizer, gradients, Batches(), epochs=epochs, hooks=hooks, state=state)


class ByHand(Hook):
    """The formulas, spelled out: gradient norms and update ratios of every step."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.norms: list[dict[str, float]] = []
        self.ratios: list[dict[str, float]] = []

    def on_gradient(self, state: State) -> None:
        self.losses.append(state.loss.item())
        self.norms.append({n: np.sqrt((p.grad.numpy() ** 2).sum()) for n, p in state.model.named_parameters()})
        self.before = {n: p.detach().numpy().copy() for n, p in state.model.named_parameters()}

    def on_step(self, state: State) -> None:
        after = {n: p.detach().numpy() for n, p in state.model.named_parameters()}
        self.ratios.append({
            n: np.sqrt(((after[n] - w) ** 2).sum()) / np.sqrt((w**2).sum()) for n, w in self.before.items()
        })  # fmt: skip


class TestSignals:
    def test_gradient_norms_and_update_ratios_by_hand(self) -> None:
        history, hand = History(), ByHand()
        run(GradientNorms(history, plan=ALWAYS), UpdateRatios(history, plan=ALWAYS), hand)
        weights = ["0.weight", "2.weight", "4.weight"]
        assert list(history.under("grad_norm")) == weights
        assert list(history.under("update_ratio")) == weights
        for name in weights:
            steps, values = history.column(f"grad_norm/{name}")
            assert steps.tolist() == list(range(1, 19))
            np.testing.assert_allclose(values, [found[name] for found in hand.norms], rtol=1e-5)
            np.testing.assert_allclose(
                history.column(f"update_ratio/{name}").values, [found[name] for found in hand.ratios], rtol=1e-4
            )
        whole = [np.sqrt(sum(norm**2 for norm in found.values())) for found in hand.norms]
        np.testing.assert_allclose(history.column("grad_norm").values, whole, rtol=1e-5)

    def test_sampled_steps_have_the_numbers_of_all_steps(self) -> None:
        every, some = History(), History()
        plan = Plan(dense=4)
        run(GradientNorms(every, plan=ALWAYS), UpdateRatios(every, plan=ALWAYS))
        run(GradientNorms(some, plan=plan), UpdateRatios(some, plan=plan))
        assert some.columns == every.columns
        for name in some.columns:
            steps, values = some.column(name)
            assert steps.tolist() == [1, 2, 3, 4, 6, 8, 12, 16]
            assert values.tolist() == every.column(name).values[steps - 1].tolist()

    def test_what_gets_no_gradient_is_left_out(self) -> None:
        model = net()
        model[0].weight.requires_grad_(False)
        history = History()
        run(GradientNorms(history), UpdateRatios(history), model=model, epochs=1)
        assert list(history.under("grad_norm")) == ["2.weight", "4.weight"]
        assert list(history.under("update_ratio")) == ["2.weight", "4.weight"]

    def test_a_layer_frozen_later_is_left_out_from_the_next_pass(self) -> None:
        class Freeze(Hook):
            def on_epoch(self, state: State) -> None:
                state.model[0].weight.requires_grad_(False)

        history = History()
        run(UpdateRatios(history, plan=ALWAYS), Freeze(), epochs=2)
        assert history.column("update_ratio/0.weight").steps.max() == 6
        assert history.column("update_ratio/2.weight").steps.max() == 12

    def test_weights_of_zero_have_no_ratio(self) -> None:
        model = net()
        nn.init.zeros_(model[4].weight)
        history = History()
        run(UpdateRatios(history, plan=ALWAYS), model=model, epochs=1)
        assert history.column("update_ratio/4.weight").steps.tolist() == [2, 3, 4, 5, 6]

    def test_norms_of_half_precision_do_not_overflow(self) -> None:
        wide = torch.full((400,), 6e4, dtype=torch.float16)  # its norm, 1.2e6, is beyond float16
        found = norms(
            [wide, torch.tensor([3.0, 4.0], dtype=torch.bfloat16), torch.tensor([3.0, 4.0], dtype=torch.float64)]
        )
        assert found == pytest.approx([20 * float(wide[0]), 5.0, 5.0], rel=1e-6)

    def test_norms_of_sparse_gradients(self) -> None:
        table = nn.Embedding(10, 3, sparse=True)
        table(torch.tensor([1, 1, 7])).sum().backward()
        gradient = table.weight.grad
        assert gradient is not None and gradient.is_sparse
        assert norms([gradient]) == pytest.approx([float(gradient.to_dense().norm())])
        assert norms([]) == []

    def test_infinite_gradients_are_evidence(self) -> None:
        model = net()
        history = History()
        hook = GradientNorms(history)
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, float("inf"))
        hook.on_gradient(State(model, torch.optim.SGD(model.parameters())))
        assert history.last("grad_norm") == float("inf")


class TestProgress:
    def test_losses_and_rates(self) -> None:
        class Halve(Hook):
            def on_epoch(self, state: State) -> None:
                state.optimizer.param_groups[0]["lr"] *= 0.5

        history, hand = History(), ByHand()
        run(Progress(history), hand, Halve())
        assert history.column("batch/loss").values.tolist() == hand.losses
        assert history.column("lr").values.tolist() == [0.3] * 6 + [0.15] * 6 + [0.075] * 6

    def test_time_and_speed(self) -> None:
        now = [100.0]

        class Work(Hook):
            """A step takes half a second, measuring after a pass takes ten."""

            def on_gradient(self, state: State) -> None:
                now[0] += 0.5

            def on_epoch(self, state: State) -> None:
                now[0] += 10.0

        history = History()
        run(Progress(history, speed=Plan(dense=1), clock=lambda: now[0]), Work(), epochs=2)
        ends = history.column("epoch").values
        at_epoch = np.flatnonzero(np.diff(np.append(0, ends)) > 0)
        assert ends[at_epoch].tolist() == [1.0, 2.0]
        assert history.column("seconds").values[at_epoch].tolist() == [3.0, 16.0]
        # Steps 1, 2, 4 and the end of the pass: 8 examples in each half second, and 12 in the last one of 4 + 8.
        steps, speeds = history.column("samples_per_second")
        assert steps.tolist() == [1, 2, 4, 6, 8, 12]
        assert speeds.tolist() == [16.0, 16.0, 16.0, 12.0, 16.0, 14.0]

    def test_seconds_go_on_after_a_resume(self) -> None:
        history = History()
        history.record(6, {"seconds": 40.0})
        clock = iter(range(1000, 2000))
        run(Progress(history, clock=lambda: float(next(clock))), epochs=1)
        seconds = history.column("seconds").values
        assert (np.diff(seconds) >= 0).all()
        assert 40.0 <= seconds[1] <= 42.0

    @pytest.mark.parametrize("bad", [3, 301])
    def test_the_first_loss_that_is_no_number_is_kept_even_if_the_run_ends_there(self, bad: int) -> None:
        """Step 301 is none of the plan's; whoever comes after this hook may end the run before the step is made."""
        history = History()
        model = net()
        hook = Progress(history)
        state = State(model, torch.optim.SGD(model.parameters(), lr=0.1))
        for step in range(1, bad + 1):
            state.loss = torch.tensor(float("nan") if step == bad else 1.0)
            hook.on_gradient(state)
            if step < bad:
                state.step = step
                hook.on_step(state)
        steps, values = history.column("batch/loss")
        assert steps[-1] == bad
        assert np.isnan(values).tolist() == [False] * (len(values) - 1) + [True]
        state.step = bad
        hook.on_step(state)
        assert history.column("batch/loss").steps.tolist() == steps.tolist()  # not twice


class TestActivations:
    def test_by_hand(self) -> None:
        model, history = net(), History()
        hook = ActivationStats(history, model, plan=ALWAYS)
        seen: list[torch.Tensor] = []
        for name in ("1", "3"):
            model.get_submodule(name).register_forward_hook(lambda _m, _i, output: seen.append(output.detach().clone()))
        run(hook, model=model, epochs=1)
        for name, outputs in (("1", seen[0::2]), ("3", seen[1::2])):
            column = {key: history.column(f"activation/{name}/{key}").values for key in ("mean", "sd", "zeros")}
            np.testing.assert_allclose(column["mean"], [o.numpy().mean() for o in outputs], atol=1e-6)
            np.testing.assert_allclose(column["sd"], [o.numpy().std() for o in outputs], rtol=1e-5)
            np.testing.assert_allclose(column["zeros"], [(o.numpy() == 0).mean() for o in outputs], rtol=1e-6)
        assert "activation/3/saturated" not in history  # a ReLU has no rails
        assert history.column("activation/1/saturated").steps.tolist() == list(range(1, 7))

    def test_saturation(self) -> None:
        found = statistics(torch.tensor([-0.99, -0.5, 0.0, 0.98]), rails=(-0.97, 0.97))
        assert found == pytest.approx({"mean": -0.1275, "sd": 0.72895, "zeros": 0.25, "saturated": 0.5}, abs=1e-4)

    def test_hooks_are_there_only_when_needed(self) -> None:
        model, history = net(), History()
        hook = ActivationStats(history, model, plan=Plan(dense=2), layers=("3",))
        run(hook, model=model, epochs=3)
        assert history.column("activation/3/mean").steps.tolist() == [1, 2, 4, 8, 16]
        assert not any(module._forward_hooks for module in model.modules())  # step 19 is none of the plan's

    def test_evaluation_leaves_no_trace(self) -> None:
        model, history = net(), History()
        hook = ActivationStats(history, model, plan=ALWAYS)

        class Look(Hook):
            def on_step(self, state: State) -> None:
                model.eval()
                model(torch.full((4, 5), 1e9))
                model.train()

        run(hook, Look(), model=model, epochs=1)
        assert history.column("activation/0/mean").values.max() < 100


def numbers(history: History) -> dict[str, tuple[list[int], list[float]]]:
    clocks = {"seconds", "samples_per_second"}
    columns = {name: history.column(name) for name in history.columns if name not in clocks}
    return {name: (column.steps.tolist(), column.values.tolist()) for name, column in columns.items()}


@pytest.mark.parametrize("stop", [1, 5, 6, 7, 17])
def test_a_run_in_two_pieces_records_what_one_in_a_whole_does(stop: int) -> None:
    class StopAt(Hook):
        def on_step(self, state: State) -> None:
            if state.step == stop:
                state.stop = "enough"

    whole, pieces = History(), History()
    run(*monitors.default(whole), epochs=4)
    state = run(*monitors.default(pieces), StopAt(), epochs=4)
    state = run(*monitors.default(pieces), epochs=4, state=state, model=state.model)
    assert state.step == 24
    assert numbers(pieces) == numbers(whole)


def test_watching_changes_nothing() -> None:
    plain, watched = net(), net()
    run(model=plain)
    history = History()
    run(*monitors.default(history), ActivationStats(history, watched), model=watched)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), watched.parameters(), strict=True))


def test_a_long_run_costs_next_to_nothing() -> None:
    """From step 1000 on most steps write nothing at all."""
    history = History()
    model = net()
    state = State(model, torch.optim.SGD(model.parameters(), lr=0.1), loss=torch.tensor(1.0))
    hooks = monitors.default(history)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    for step in range(100_000, 101_000):
        state.step = step - 1
        for hook in hooks:
            hook.on_gradient(state)
        state.step = step
        for hook in hooks:
            hook.on_step(state)
    assert len(history.column("grad_norm").steps) <= 1
    assert len(history.column("batch/loss").steps) <= 2
