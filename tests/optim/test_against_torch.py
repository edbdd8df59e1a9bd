"""One table of optimizers and options: each against ``torch.optim``, on every engine and type."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch

from thalweg import optim
from thalweg.errors import InputError

TABLE: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.4, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "maximize": True, "weight_decay": 0.1}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.3, "eps": 1e-6}),
    ("Adagrad", {"maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.95, "eps": 1e-5, "weight_decay": 0.1, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"alpha": 0.9, "eps": 1e-6, "weight_decay": 0.1}),
    ("RMSprop", {"momentum": 0.9}),
    ("RMSprop", {"momentum": 0.9, "centered": True, "weight_decay": 0.1, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.01, "betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.01, "amsgrad": True, "weight_decay": 0.1, "maximize": True}),
    ("Adam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("Adam", {"lr": torch.tensor(0.01)}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.3, "amsgrad": True, "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.01, "betas": (0.8, 0.99), "weight_decay": 0.1, "momentum_decay": 0.01}),
    ("NAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.1}),
    ("RAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.1, "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lr": 0.05, "lambd": 0.01, "alpha": 0.6, "t0": 10.0, "weight_decay": 0.1, "maximize": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.1, "etas": (0.4, 1.5), "step_sizes": (1e-4, 0.5), "maximize": True}),
]
EXACT = 1e-10


def exactness(name: str, options: dict[str, Any]) -> float:
    """How close float64 can come: torch keeps NAdam's product, ASGD's rate and a tensor's rate in float32."""
    return 1e-8 if name in ("NAdam", "ASGD") or isinstance(options.get("lr"), torch.Tensor) else EXACT


SHAPES = [(7, 5), (5,), (3, 2, 4), (), (1,), (0, 3), (300,)]
rows = pytest.mark.parametrize(
    ("name", "options"), TABLE, ids=lambda value: value if isinstance(value, str) else "-".join(value)
)
engines = pytest.mark.parametrize("engine", ["cpu", "reference"])
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


def parameters(dtype: torch.dtype = torch.float32, shapes=SHAPES) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype)) for shape in shapes]


def set_gradients(tensors: list[torch.nn.Parameter], step: int) -> None:
    """Gradients of very different sizes, the same for the same step."""
    generator = torch.Generator().manual_seed(step)
    for index, tensor in enumerate(tensors):
        noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        tensor.grad = (noise * 10.0 ** (index % 5 - 3)).to(tensor.dtype)


def both(name: str, options: dict[str, Any], *, engine: str = "auto", dtype: torch.dtype = torch.float32):
    theirs, ours = parameters(dtype), parameters(dtype)
    return (
        (theirs, getattr(torch.optim, name)(theirs, **copy.deepcopy(options))),
        (ours, getattr(optim, name)(ours, **copy.deepcopy(options), engine=engine)),
    )


def run(tensors, optimizer, steps) -> None:
    for step in steps:
        set_gradients(tensors, step)
        optimizer.step()


def assert_close(ours, theirs, tolerance: float, *, began=None) -> None:
    """Equal relative to the tensor's largest element, now or where it began: that is the size at which rounding happened."""
    for index, (mine, their) in enumerate(zip(ours, theirs, strict=True)):
        if their.numel():
            sizes = [their.detach().abs().max()] + ([began[index].detach().abs().max()] if began is not None else [])
            assert float((mine - their).detach().abs().max()) <= tolerance * float(max(sizes))


@rows
@engines
@dtypes
def test_a_hundred_steps_give_torchs_numbers(name, options, engine, dtype) -> None:
    (theirs, their_optimizer), (ours, our_optimizer) = both(name, options, engine=engine, dtype=dtype)
    run(theirs, their_optimizer, range(100))
    run(ours, our_optimizer, range(100))
    assert_close(ours, theirs, 1e-6 if dtype == torch.float32 else exactness(name, options), began=parameters(dtype))


@rows
@pytest.mark.parametrize("direction", ["from torch", "to torch"])
def test_checkpoints_cross_over(name, options, direction) -> None:
    (theirs, their_optimizer), (ours, our_optimizer) = both(name, options, dtype=torch.float64)
    run(theirs, their_optimizer, range(7))
    run(ours, our_optimizer, range(7))
    old, new = (their_optimizer, our_optimizer) if direction == "from torch" else (our_optimizer, their_optimizer)
    buffer = io.BytesIO()
    torch.save(old.state_dict(), buffer)
    buffer.seek(0)
    fresh = parameters(torch.float64)
    for tensor, source in zip(fresh, theirs, strict=True):
        tensor.data.copy_(source.data)
    taken = type(new)(fresh, **copy.deepcopy(options))
    taken.load_state_dict(torch.load(buffer, weights_only=True))
    run(fresh, taken, range(7, 20))
    run(theirs, their_optimizer, range(7, 20))
    assert_close(fresh, theirs, exactness(name, options))


@rows
def test_state_and_group_keys_are_torchs(name, options) -> None:
    (theirs, their_optimizer), (ours, our_optimizer) = both(name, options)
    run(theirs, their_optimizer, range(2))
    run(ours, our_optimizer, range(2))
    their_saved, our_saved = their_optimizer.state_dict(), our_optimizer.state_dict()
    assert {index: set(state) for index, state in our_saved["state"].items()} == {
        index: {key for key, value in state.items() if value is not None}
        for index, state in their_saved["state"].items()
        if any(value is not None for value in state.values())
    }
    for index, state in our_saved["state"].items():
        for key, value in state.items():
            their_value = their_saved["state"][index][key]
            assert value.shape == their_value.shape and value.dtype == their_value.dtype, key
    assert set(our_saved["param_groups"][0]) == set(their_saved["param_groups"][0])


@pytest.mark.parametrize(
    "name", ["SGD", "Adagrad", "Adadelta", "RMSprop", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "ASGD", "Rprop"]
)
class TestLife:
    def test_group_options_frozen_late_and_missing_gradients(self, name) -> None:
        def story(cls) -> list[torch.Tensor]:
            tensors = parameters(torch.float64)
            tensors[1].requires_grad_(False)
            optimizer = cls(
                [{"params": tensors[:3], "lr": 0.05}, {"params": tensors[3:], "weight_decay": 0.2}], lr=0.01
            )
            for step in range(12):
                set_gradients(tensors, step)
                tensors[1].grad = None
                if 3 <= step < 6:
                    tensors[4].grad = None
                if step == 5:
                    late = torch.nn.Parameter(torch.full((4,), 2.0, dtype=torch.float64))
                    tensors.append(late)
                    late.grad = torch.ones(4, dtype=torch.float64)
                    optimizer.add_param_group({"params": [late], "lr": 0.2})
                if step == 8:
                    optimizer.param_groups[0]["lr"] = 0.5
                    optimizer.param_groups[0]["weight_decay"] = 0.3
                optimizer.step()
                optimizer.zero_grad()
            return tensors

        assert_close(story(getattr(optim, name)), story(getattr(torch.optim, name)), exactness(name, {}))

    def test_schedulers_closures_and_hooks(self, name) -> None:
        def story(cls) -> tuple[list[torch.Tensor], list[str], list[float]]:
            tensors = parameters(torch.float64)
            optimizer = cls(tensors, lr=0.01)
            heard: list[str] = []
            optimizer.register_step_pre_hook(lambda *_: heard.append("before"))
            optimizer.register_step_post_hook(lambda *_: heard.append("after"))
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
            losses = []

            def closure():
                optimizer.zero_grad()
                loss = sum((tensor.square().sum() for tensor in tensors), torch.tensor(0.0, dtype=torch.float64))
                loss.backward()
                heard.append("closure")
                return loss

            for _ in range(10):
                losses.append(float(optimizer.step(closure).detach()))
                schedule.step()
            return tensors, heard, losses

        ours, theirs = story(getattr(optim, name)), story(getattr(torch.optim, name))
        assert_close(ours[0], theirs[0], exactness(name, {}))
        assert ours[1] == theirs[1]
        assert ours[2] == pytest.approx(theirs[2], rel=1e-9)

    def test_deepcopy_goes_its_own_way(self, name) -> None:
        (theirs, their_optimizer), (ours, our_optimizer) = both(name, {"lr": 0.01}, dtype=torch.float64)
        run(theirs, their_optimizer, range(4))
        run(ours, our_optimizer, range(4))
        their_twin, our_twin = copy.deepcopy((theirs, their_optimizer)), copy.deepcopy((ours, our_optimizer))
        run(*our_twin, range(50, 60))
        run(*their_twin, range(50, 60))
        run(theirs, their_optimizer, range(4, 9))
        run(ours, our_optimizer, range(4, 9))
        assert_close(ours, theirs, exactness(name, {}))
        assert_close(our_twin[0], their_twin[0], exactness(name, {}))

    def test_nan_and_infinity_spread_as_in_torch(self, name) -> None:
        def story(cls) -> torch.Tensor:
            tensor = torch.nn.Parameter(torch.ones(40))
            optimizer = cls([tensor], lr=0.1)
            for step in range(4):
                tensor.grad = torch.linspace(-1, 1, 40)
                if step == 1:
                    tensor.grad[3], tensor.grad[11], tensor.grad[20] = float("nan"), float("inf"), -float("inf")
                optimizer.step()
            return tensor.detach()

        ours, theirs = story(getattr(optim, name)), story(getattr(torch.optim, name))
        if name == "Rprop":  # torch takes the sign of NaN for 0, which hides it
            assert torch.nonzero(ours.isnan()).flatten().tolist() == [3]
        elif name == "RAdam":  # torch's lerp makes NaN of infinity one step later, where ours stays infinite
            assert torch.equal(ours.isfinite(), theirs.isfinite())
        else:
            assert torch.equal(ours.isnan(), theirs.isnan()) and torch.equal(ours.isinf(), theirs.isinf())

    def test_layouts_the_fused_kernel_does_not_take(self, name) -> None:
        def story(cls, dtype=torch.float32) -> list[torch.Tensor]:
            tensors = [
                torch.nn.Parameter(torch.arange(12.0).reshape(3, 4).to(dtype).t()),
                torch.nn.Parameter(torch.ones(6, dtype=dtype)),
            ]
            optimizer = cls(tensors, lr=0.01)
            for step in range(5):
                tensors[0].grad = torch.full((3, 4), step + 1.0).to(dtype).t()
                tensors[1].grad = (
                    torch.ones(1, dtype=dtype).expand(6) * (step + 1)
                    if step % 2
                    else torch.ones(1, dtype=dtype).expand(6)
                )
                optimizer.step()
            return [tensor.detach() for tensor in tensors]

        assert_close(story(getattr(optim, name)), story(getattr(torch.optim, name)), 1e-6)
        assert_close(
            [t.float() for t in story(getattr(optim, name), torch.bfloat16)],
            [t.float() for t in story(getattr(torch.optim, name), torch.bfloat16)],
            3e-2,  # bfloat16 has 8 bits: torch rounds after each operation, we once
        )

    def test_complex_parameters(self, name) -> None:
        def story(cls) -> torch.Tensor:
            tensor = torch.nn.Parameter(torch.complex(torch.linspace(-1, 1, 10), torch.linspace(2, 3, 10)))
            optimizer = cls([tensor], lr=0.01)
            for step in range(6):
                tensor.grad = torch.complex(torch.linspace(1, 2, 10) * (step + 1), -torch.linspace(0, 1, 10))
                optimizer.step()
            return torch.view_as_real(tensor.detach())

        assert_close([story(getattr(optim, name))], [story(getattr(torch.optim, name))], 1e-6)

    @pytest.mark.parametrize("limit", [0.05, 1e6])
    def test_clip_norm_is_torchs(self, name, limit) -> None:
        ours, theirs = parameters(torch.float64), parameters(torch.float64)
        our_optimizer = getattr(optim, name)(ours, lr=0.01, clip_norm=limit)
        their_optimizer = getattr(torch.optim, name)(theirs, lr=0.01)
        for step in range(20):
            set_gradients(ours, step)
            set_gradients(theirs, step)
            norm = torch.nn.utils.clip_grad_norm_(theirs, limit)
            their_optimizer.step()
            our_optimizer.step()
            assert our_optimizer.gradient_norm == pytest.approx(float(norm), rel=1e-9)
        assert_close(ours, theirs, 1e-9)

    def test_clip_value_is_torchs(self, name) -> None:
        ours, theirs = parameters(torch.float64), parameters(torch.float64)
        our_optimizer = getattr(optim, name)(ours, lr=0.01, clip_value=0.02)
        their_optimizer = getattr(torch.optim, name)(theirs, lr=0.01)
        for step in range(20):
            set_gradients(ours, step)
            set_gradients(theirs, step)
            torch.nn.utils.clip_grad_value_(theirs, 0.02)
            their_optimizer.step()
            our_optimizer.step()
        assert_close(ours, theirs, exactness(name, {}))

    def test_bad_hyperparameters_are_refused_in_torchs_words(self, name) -> None:
        for options in (
            {"lr": -1.0},
            {"eps": -1.0},
            {"weight_decay": -0.1},
            {"betas": (1.0, 0.9)},
            {"rho": 1.1},
            {"alpha": -1.0},
        ):
            try:
                getattr(torch.optim, name)(parameters(), **options)
            except TypeError:
                continue
            except ValueError as error:
                with pytest.raises(ValueError) as caught:
                    getattr(optim, name)(parameters(), **options)
                assert str(caught.value) == str(error)


def test_sparse_gradients_get_a_sentence() -> None:
    embedding = torch.nn.Embedding(5, 3, sparse=True)
    embedding(torch.tensor([1, 2])).sum().backward()
    with pytest.raises(InputError, match="parameter group 0 has a sparse gradient"):
        optim.Adam(embedding.parameters()).step()


def test_differentiable_is_refused() -> None:
    with pytest.raises(InputError, match="differentiable=True is not supported"):
        optim.Adam(parameters(), differentiable=True)


def test_a_large_net_uses_threads_and_gives_the_same_numbers() -> None:
    def story(threads: int) -> torch.Tensor:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            tensors = parameters(shapes=[(700, 900), (13,)])
            optimizer = optim.Adam(tensors, lr=0.01, clip_norm=0.1)
            run(tensors, optimizer, range(3))
            return torch.cat([tensor.detach().flatten() for tensor in tensors])
        finally:
            torch.set_num_threads(before)

    assert torch.equal(story(1), story(2))


def test_the_model_may_move_to_another_type() -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    for dtype in (torch.float32, torch.float64):
        model.to(dtype)
        model(torch.ones(1, 3, dtype=dtype)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert model.weight.dtype == torch.float64


def test_loading_where_it_is_not_torchs_class() -> None:
    tensors = parameters()
    optimizer = optim.AMSGrad(tensors, lr=0.01)
    run(tensors, optimizer, range(3))
    theirs = parameters()
    other = torch.optim.Adam(theirs, lr=0.01, amsgrad=True)
    run(theirs, other, range(3))
    assert_close(tensors, theirs, 1e-6)


def test_average_momentum_and_nesterov_by_hand() -> None:
    for name, beta in (("Momentum", 0.9), ("Nesterov", 0.8), ("HeavyBall", 0.7)):
        tensors = parameters(torch.float64)
        optimizer = getattr(optim, name)(tensors, lr=0.1, beta=beta)
        expected = [tensor.detach().clone().numpy() for tensor in tensors]
        buffers = [0.0 * value for value in expected]
        for step in range(15):
            set_gradients(tensors, step)
            for index, tensor in enumerate(tensors):
                gradient = tensor.grad.numpy()
                buffers[index] = beta * buffers[index] + ((1 - beta) if name == "Momentum" else 1.0) * gradient
                direction = gradient + beta * buffers[index] if name == "Nesterov" else buffers[index]
                expected[index] = expected[index] - 0.1 * direction
            optimizer.step()
        assert_close(tensors, [torch.tensor(value) for value in expected], EXACT)
