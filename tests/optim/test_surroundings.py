"""What stands around an optimizer in a training script, and must not notice whose optimizer it is."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.distributed.checkpoint import state_dict as checkpoint
from torch.optim import lr_scheduler
from torch.optim.optimizer import register_optimizer_step_pre_hook

from optim.stories import assert_close, assert_told_alike, build, learn, loss_of, net, rules, weights
from thalweg import optim
from thalweg.errors import InputError


class Noted:
    """A compiler that runs what it is given as it is, and notes from which lines of code that came."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, graph: torch.fx.GraphModule, inputs: Any) -> Any:
        self.lines += [node.meta.get("stack_trace") or "" for node in graph.graph.nodes]
        return graph.forward


@pytest.fixture
def compiler() -> Iterator[Noted]:
    torch._dynamo.reset()
    yield Noted()
    torch._dynamo.reset()


@rules
@pytest.mark.filterwarnings("ignore")  # the compiler looks at gradients of tensors that have none, and warns of it
class TestCompiler:
    def test_a_compiled_model(self, name, options, compiler) -> None:
        def story(library) -> list[torch.Tensor]:
            model = net()
            learn(torch.compile(model, backend="aot_eager"), build(library, name, options, model), range(6))
            return weights(model)

        assert_told_alike(story)

    @pytest.mark.parametrize("what", ["a training step", "the step alone"])
    def test_the_step_is_left_out(self, name, options, what, compiler) -> None:
        """In every call, and with a rate that changes; the rest is compiled."""

        def story(library) -> list[torch.Tensor]:
            model = net()
            optimizer = build(library, name, options, model)
            step = optimizer.step

            def train_step(inputs: torch.Tensor) -> torch.Tensor:
                optimizer.zero_grad()
                loss = model(inputs).square().mean()
                loss.backward()
                step()
                return loss.detach() * 2

            run = train_step
            if library is optim and what == "the step alone":
                step = torch.compile(step, backend=compiler)
            elif library is optim:
                run = torch.compile(train_step, backend=compiler)
            for number in range(6):
                if number == 3:
                    optimizer.param_groups[0]["lr"] *= 0.5
                run(torch.randn(8, 6, generator=torch.Generator().manual_seed(number)))
            return weights(model)

        assert_told_alike(story)
        assert bool(compiler.lines) == (what == "a training step")
        assert not [line for line in compiler.lines if "/thalweg/" in line and "in zero_grad" not in line]


@rules
class TestGradients:
    @pytest.mark.parametrize("set_to_none", [True, False])
    def test_gathered_over_several_backward_passes(self, name, options, set_to_none) -> None:
        def story(library) -> list[torch.Tensor]:
            model = net()
            optimizer = build(library, name, options, model)
            for step in range(6):
                for part in (slice(0, 3), slice(3, 5), slice(5, 8)):
                    (loss_of(model, step, part) / 3).backward()
                optimizer.step()
                optimizer.zero_grad(set_to_none=set_to_none)
            return weights(model)

        assert_told_alike(story)

    @pytest.mark.parametrize("kept", ["a stale gradient", "zeros", "none"])
    def test_a_layer_frozen_and_thawed(self, name, options, kept) -> None:
        """What counts is the gradient: a frozen weight that keeps one is updated, as in torch."""

        def story(library) -> list[torch.Tensor]:
            model = net()
            optimizer = build(library, name, options, model)
            for step in range(9):
                model[0].requires_grad_(not 3 <= step < 6)
                if kept == "a stale gradient":
                    model[2].zero_grad()
                    if not 3 <= step < 6:
                        model[0].zero_grad()
                else:
                    optimizer.zero_grad(set_to_none=kept == "none")
                loss_of(model, step).backward()
                optimizer.step()
            return weights(model)

        assert_told_alike(story)

    def test_a_layer_added_mid_run(self, name, options) -> None:
        def story(library) -> list[torch.Tensor]:
            model = net()
            optimizer = getattr(library, name)(model[2].parameters(), **options)
            learn(model, optimizer, range(4))
            model[0].zero_grad()
            optimizer.add_param_group({"params": model[0].parameters(), "lr": 0.05})
            learn(model, optimizer, range(4, 8))
            return weights(model)

        assert_told_alike(story)


TYPES = {torch.float64: 1e-6, torch.bfloat16: 3e-2, torch.float16: 2e-2}
"""How close a type comes to what torch gives in float64; torch's own half precision is far from it."""


@rules
@pytest.mark.parametrize("dtype", TYPES, ids=str)
class TestModelTo:
    @pytest.mark.parametrize("clip", [None, 0.1])
    @pytest.mark.parametrize("before", [0, 3], ids=["at first", "between steps"])
    def test_weights_of_another_type(self, name, options, dtype, clip, before) -> None:
        """Right numbers or a sentence, never a wrong number."""

        def story(library) -> list[torch.Tensor]:
            model = net(torch.float32 if library is optim else torch.float64)
            optimizer = build(library, name, options if name == "SGD" else {**options, "eps": 1e-2}, model)
            if library is optim:
                optimizer.param_groups[0]["clip_norm"] = clip
            for step in range(8):
                if step == before and library is optim:
                    model.half() if dtype == torch.float16 else model.to(dtype)
                optimizer.zero_grad()
                loss_of(model, step).backward()
                if clip and library is torch.optim:
                    torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
                optimizer.step()
            return [weight.to(dtype) for weight in weights(model)]

        try:
            ours = story(optim)
        except InputError as error:
            assert str(dtype).removeprefix("torch.") in str(error)
        else:
            assert_close(ours, story(torch.optim), TYPES[dtype])


@rules
class TestScaler:
    @pytest.mark.parametrize("unscaled", [False, True])
    def test_steps_with_an_infinite_gradient_are_left_out(self, name, options, unscaled) -> None:
        scales: list[list[float]] = []

        def story(library) -> list[torch.Tensor]:
            model, seen = net(), []
            optimizer = build(library, name, options, model)
            scaler = torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=3)
            for step in range(9):
                optimizer.zero_grad()
                scaler.scale(loss_of(model, step)).backward()
                if step in (0, 4):
                    model[2].bias.grad[1] = float("inf") if step else float("nan")
                if unscaled:
                    scaler.unscale_(optimizer)
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
                scaler.step(optimizer)
                scaler.update()
                seen.append(scaler.get_scale())
            scales.append(seen)
            return weights(model)

        assert_told_alike(story)
        assert scales[0] == scales[1]

    def test_clip_norm_sees_the_unscaled_gradient(self, name, options) -> None:
        def story(library) -> list[torch.Tensor]:
            model = net()
            own = {"clip_norm": 0.1} if library is optim else {}
            optimizer = build(library, name, {**options, **own}, model)
            scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
            for step in range(5):
                optimizer.zero_grad()
                scaler.scale(loss_of(model, step)).backward()
                if not own:
                    scaler.unscale_(optimizer)
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
                scaler.step(optimizer)
                scaler.update()
            return weights(model)

        assert_told_alike(story)


SCHEDULERS = {
    "LambdaLR": lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda step: 0.9**step),
    "OneCycleLR": lambda optimizer: lr_scheduler.OneCycleLR(optimizer, max_lr=0.05, total_steps=12),
    "CyclicLR": lambda optimizer: lr_scheduler.CyclicLR(optimizer, 0.01, 0.1, step_size_up=3),
    "CosineAnnealingWarmRestarts": lambda optimizer: lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 4),
    "ReduceLROnPlateau": lambda optimizer: lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=0.3),
    "SequentialLR": lambda optimizer: lr_scheduler.SequentialLR(
        optimizer, [lr_scheduler.LinearLR(optimizer), lr_scheduler.ExponentialLR(optimizer, 0.8)], milestones=[4]
    ),
}


@rules
class TestScriptParts:
    @pytest.mark.parametrize("scheduler", SCHEDULERS)
    def test_schedulers(self, name, options, scheduler) -> None:
        groups: list[list[dict[str, Any]]] = []

        def story(library) -> list[torch.Tensor]:
            model, seen = net(), []
            optimizer = build(library, name, options, model)
            schedule = SCHEDULERS[scheduler](optimizer)
            for step in range(11):
                learn(model, optimizer, range(step, step + 1))
                schedule.step(*([loss_of(model, 0).detach()] if scheduler == "ReduceLROnPlateau" else []))
                seen.append({key: optimizer.param_groups[0].get(key) for key in ("lr", "betas", "momentum")})
            groups.append(seen)
            return weights(model)

        assert_told_alike(story)
        assert groups[0][0]["lr"] == pytest.approx(groups[1][0]["lr"]) and groups[0][0] != groups[0][-1]

    @pytest.mark.parametrize("way", ["deepcopy", "pickle"])
    def test_twins_under_a_scheduler(self, name, options, way) -> None:
        """Model, optimizer and scheduler copied together stay tied to each other."""

        def story(library) -> list[torch.Tensor]:
            model = net()
            optimizer = build(library, name, options, model)
            schedule = lr_scheduler.StepLR(optimizer, 2)
            learn(model, optimizer, range(3))
            schedule.step()
            group = (model, optimizer, schedule)
            model, optimizer, schedule = (
                copy.deepcopy(group) if way == "deepcopy" else pickle.loads(pickle.dumps(group))
            )
            for step in range(3, 9):
                learn(model, optimizer, range(step, step + 1))
                schedule.step()
            return weights(model)

        assert_told_alike(story)

    @pytest.mark.parametrize(
        "way",
        [
            "position",
            "keyword",
            "hook's keyword",
            "hook's position",
            "global hook",
        ],
    )
    def test_closures_reach_the_step(self, name, options, way) -> None:
        calls: list[list[Any]] = []

        def story(library) -> list[torch.Tensor]:
            model = net()
            optimizer = build(library, name, options, model)
            heard: list[Any] = []

            def closure() -> torch.Tensor:
                optimizer.zero_grad()
                loss = loss_of(model, 0)
                loss.backward()
                return loss

            def change(optimizer, arguments, keywords):
                heard.append(len(arguments) + len(keywords))
                if way == "hook's keyword":
                    return arguments, {"closure": closure}
                return ((*arguments, closure), keywords) if way == "hook's position" else None

            register = register_optimizer_step_pre_hook if way == "global hook" else optimizer.register_step_pre_hook
            handle = register(change)
            optimizer.register_step_post_hook(lambda _, args, kwargs: heard.append(len(args) + len(kwargs)))
            for _ in range(4):
                if way in ("position", "global hook"):
                    loss = optimizer.step(closure)
                elif way == "keyword":
                    loss = optimizer.step(closure=closure)
                else:
                    loss = optimizer.step()
                heard.append(None if loss is None else round(float(loss.detach()), 5))
            handle.remove()
            calls.append(heard)
            return weights(model)

        assert_told_alike(story)
        assert calls[0] == calls[1]

    def test_a_hook_that_returns_nonsense_is_told(self, name, options) -> None:
        for library in (torch.optim, optim):
            optimizer = build(library, name, options, net())
            optimizer.register_step_pre_hook(lambda *_: 3)
            with pytest.raises(RuntimeError, match="must return None or a tuple"):
                optimizer.step()


@rules
class TestStateDictOfCheckpoint:
    """``torch.distributed.checkpoint`` makes a state by a step with rate 0 and gradients of zero."""

    def test_reading_changes_nothing(self, name, options) -> None:
        def story(library) -> list[torch.Tensor]:
            model = net()
            optimizer = build(library, name, options, model)
            before = weights(model)
            checkpoint.get_optimizer_state_dict(model, optimizer)
            assert all(map(torch.equal, weights(model), before))
            assert optimizer.param_groups[0]["lr"] == options["lr"]
            learn(model, optimizer, range(3))
            checkpoint.get_optimizer_state_dict(model, optimizer)
            learn(model, optimizer, range(3, 6))
            return weights(model)

        assert_told_alike(story)

    @pytest.mark.parametrize(
        ("direction", "flat"),
        [
            ("from torch", False),
            ("to torch", False),
            ("ours", False),
            ("from torch", True),
            ("to torch", True),
            ("ours", True),
        ],
    )
    def test_states_cross_over(self, name, options, direction, flat) -> None:
        """Whole, or flat with one key for each number of each weight, as pipelines keep it."""
        old, new = {"from torch": (torch.optim, optim), "to torch": (optim, torch.optim), "ours": (optim, optim)}[
            direction
        ]
        settings = checkpoint.StateDictOptions(flatten_optimizer_state_dict=flat)
        first, reference = net(), net()
        optimizer = build(old, name, options, first)
        learn(first, optimizer, range(4))
        saved = checkpoint.get_optimizer_state_dict(first, optimizer, options=settings)
        second = net()
        second.load_state_dict(first.state_dict())
        taken = build(new, name, {**options, "lr": 0.5}, second)
        checkpoint.set_optimizer_state_dict(second, taken, copy.deepcopy(saved), options=settings)
        learn(second, taken, range(4, 8))
        learn(reference, build(torch.optim, name, options, reference), range(8))
        assert_close(weights(second), weights(reference))
