"""Explicit back-propagation against autograd: losses, gradients, masks, modes, changes of the parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.models import ACTIVATIONS, Backprop, mlp
from thalweg.models.backprop import Eager
from thalweg.models.compiled import Compiled

WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 0.1])
LOSSES: dict[str, Callable[[], nn.Module]] = {
    "cross-entropy": nn.CrossEntropyLoss,
    "smoothed": lambda: nn.CrossEntropyLoss(label_smoothing=0.1),
    "weighted": lambda: nn.CrossEntropyLoss(weight=WEIGHTS),
    "weighted and smoothed": lambda: nn.CrossEntropyLoss(weight=WEIGHTS, label_smoothing=0.2),
    "binary": nn.BCEWithLogitsLoss,
    "squares": nn.MSELoss,
}
CLASSES = 4
TOLERANCE = {torch.float32: {"rtol": 1e-4, "atol": 1e-6}, torch.float64: {"rtol": 1e-11, "atol": 1e-13}}


def problem(loss: str, rows: int, n_in: int, dtype: torch.dtype) -> tuple[int, Tensor, Tensor]:
    """Outputs of the net, inputs, targets."""
    x = torch.randn(rows, n_in, dtype=dtype)
    if loss == "binary":
        return 1, x, (torch.rand(rows) < 0.4).to(dtype)
    if loss == "squares":
        return 1, x, torch.randn(rows, dtype=dtype)
    return CLASSES, x, torch.randint(0, CLASSES, (rows,))


def by_autograd(model: nn.Module, criterion: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, list[Tensor | None]]:
    twin = copy.deepcopy(model)
    for parameter in twin.parameters():
        parameter.grad = None
    outputs = twin(x)
    value = criterion(outputs if outputs.ndim > y.ndim and y.dtype == torch.int64 else outputs.reshape(y.shape), y)
    value.backward()
    return value.detach(), [parameter.grad for parameter in twin.parameters()]


def assert_equal_to_autograd(backprop: Backprop, model: nn.Module, criterion: nn.Module, x: Tensor, y: Tensor) -> None:
    before = torch.get_rng_state()
    value, gradients = by_autograd(model, criterion, x, y)
    after = torch.get_rng_state()
    torch.set_rng_state(before)
    loss = backprop(x, y)
    assert torch.equal(torch.get_rng_state(), after), "it draws otherwise than autograd does"
    tolerance = TOLERANCE[x.dtype]
    assert loss.ndim == 0 and not loss.requires_grad
    torch.testing.assert_close(loss, value, **tolerance)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        if gradient is None:
            assert parameter.grad is None
        else:
            torch.testing.assert_close(parameter.grad, gradient, **tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_those_of_autograd(activation: str, loss: str, dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    n_out, x, y = problem(loss, 21, 6, dtype)
    model = mlp(6, n_out, hidden=(9, 5), activation=activation, dropout=0.3).to(dtype)
    criterion = LOSSES[loss]().to(dtype)
    backprop = Backprop(model, criterion)
    for start in (0, 8, 16):  # the last batch is partial, and the first size comes back
        rows = slice(start, start + 8)
        assert_equal_to_autograd(backprop, model, criterion, x[rows], y[rows])
    assert_equal_to_autograd(backprop, model, criterion, x[:8], y[:8])
    model.eval()
    assert_equal_to_autograd(backprop, model, criterion, x[:8], y[:8])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_targets_may_be_distributions(activation: str, smoothing: float) -> None:
    """As mixup makes them; class numbers and distributions may take turns."""
    torch.manual_seed(3)
    model = mlp(6, CLASSES, hidden=(9, 5), activation=activation, dropout=0.3)
    criterion = nn.CrossEntropyLoss(label_smoothing=smoothing)
    assert Backprop.refuses(model, criterion, soft=True) == ""
    backprop = Backprop(model, criterion)
    x, y = torch.randn(8, 6), torch.randint(0, CLASSES, (8,))
    for targets in (torch.rand(8, CLASSES).softmax(1), y, F.one_hot(y, CLASSES).float(), y):
        twin = copy.deepcopy(model)
        state = torch.get_rng_state()
        value = criterion(twin(x), targets)
        value.backward()
        torch.set_rng_state(state)
        torch.testing.assert_close(backprop(x, targets), value.detach(), **TOLERANCE[x.dtype])
        for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad, **TOLERANCE[x.dtype])
    with pytest.raises(InputError, match=r"distributions \(8, 3\): explicit back-propagation needs \(8, 4\)"):
        backprop(x, torch.rand(8, 3))


def test_distributions_with_class_weights_are_refused_beforehand() -> None:
    model, criterion = mlp(6, CLASSES), nn.CrossEntropyLoss(weight=WEIGHTS)
    assert Backprop.refuses(model, criterion) == "" and "not for distributions" in Backprop.refuses(
        model, criterion, soft=True
    )
    with pytest.raises(InputError, match="no class weights; use autograd"):
        Backprop(model, criterion)(torch.randn(3, 6), torch.rand(3, CLASSES))


def test_against_formulas_typed_by_hand() -> None:
    torch.manual_seed(0)
    model = mlp(3, 4, hidden=(5,), activation="tanh").double()
    x, y = torch.randn(7, 3, dtype=torch.float64), torch.randint(0, 4, (7,))
    W1, b1, W2, b2 = (p.detach().numpy() for p in model.parameters())
    h = torch.tanh(x @ torch.from_numpy(W1).T + torch.from_numpy(b1)).numpy()
    logits = h @ W2.T + b2
    p = torch.softmax(torch.from_numpy(logits), 1).numpy()
    p[range(7), y.numpy()] -= 1
    g = p / 7
    g_hidden = (g @ W2) * (1 - h**2)
    Backprop(model, nn.CrossEntropyLoss())(x, y)
    for parameter, wanted in zip(
        model.parameters(), (g_hidden.T @ x.numpy(), g_hidden.sum(0), g.T @ h, g.sum(0)), strict=True
    ):
        torch.testing.assert_close(parameter.grad, torch.from_numpy(wanted), rtol=1e-12, atol=1e-14)


layers = st.lists(
    st.one_of(
        st.sampled_from([nn.ReLU, nn.Tanh, nn.Sigmoid, nn.SiLU, nn.Identity]).map(lambda kind: kind),
        st.floats(0, 0.9).map(lambda p: lambda: nn.Dropout(p)),
        st.floats(-0.5, 0.5).map(lambda slope: lambda: nn.LeakyReLU(slope)),
        st.sampled_from(["none", "tanh"]).map(lambda how: lambda: nn.GELU(approximate=how)),
        st.tuples(st.integers(1, 6), st.booleans()),
    ),
    max_size=8,
)


@settings(max_examples=120, deadline=None)
@given(
    layers,
    st.booleans(),
    st.integers(1, 6),
    st.sampled_from(sorted(LOSSES)),
    st.integers(0, 10**6),
    st.sets(st.integers(0, 9)),
)
def test_any_order_of_layers(kinds: list, nested: bool, rows: int, loss: str, seed: int, frozen: set[int]) -> None:
    """Activations on activations, dropout first or last, layers without bias, frozen parameters: still autograd's numbers."""
    torch.manual_seed(seed)
    n_out, x, y = problem(loss, rows, 4, torch.float64)
    modules: list[nn.Module] = []
    width = 4
    for kind in kinds:
        if isinstance(kind, tuple):
            modules.append(nn.Linear(width, kind[0], bias=kind[1]))
            width = kind[0]
        else:
            modules.append(kind())
    modules.append(nn.Linear(width, n_out))
    tail = nn.Sequential(nn.Linear(n_out, n_out), nn.Tanh()) if nested else nn.Tanh()
    model = nn.Sequential(*modules, tail).double()
    for index, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(index not in frozen)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        next(iter(model.parameters())).requires_grad_(True)
    criterion = LOSSES[loss]().double()
    backprop = Backprop(model, criterion)
    assert_equal_to_autograd(backprop, model, criterion, x, y)
    assert_equal_to_autograd(backprop, model, criterion, x, y)


def ready(loss: str = "cross-entropy", **options) -> tuple[Backprop, nn.Sequential, nn.Module, Tensor, Tensor]:
    torch.manual_seed(1)
    n_out, x, y = problem(loss, 8, 6, torch.float32)
    model = mlp(6, n_out, hidden=(7,), **options)
    criterion = LOSSES[loss]()
    return Backprop(model, criterion), model, criterion, x, y


def test_gradients_stay_in_the_same_tensors() -> None:
    backprop, model, _, x, y = ready()
    backprop(x, y)
    before = [p.grad for p in model.parameters()]
    first = backprop(x[:5], y[:5])
    value = float(first)
    backprop(x, y)
    assert all(p.grad is g for p, g in zip(model.parameters(), before, strict=True))
    assert float(first) == value, "a loss handed out earlier must not change"


def test_inputs_are_left_alone() -> None:
    backprop, _, _, x, y = ready()
    model = nn.Sequential(nn.ReLU(), nn.Linear(6, CLASSES))
    kept = x.clone()
    backprop(x, y)
    Backprop(model, nn.CrossEntropyLoss())(x, y)
    assert torch.equal(x, kept)


def test_an_optimizer_may_clear_the_gradients() -> None:
    backprop, model, criterion, x, y = ready()
    backprop(x, y)
    model.zero_grad(set_to_none=True)
    assert_equal_to_autograd(backprop, model, criterion, x, y)


def test_training_equals_training_by_autograd() -> None:
    backprop, model, criterion, x, y = ready(dropout=0.2)
    twin = copy.deepcopy(model)
    ours, theirs = (torch.optim.Adam(net.parameters(), lr=0.01) for net in (model, twin))
    for step in range(50):
        torch.manual_seed(step)
        backprop(x, y)
        ours.step()
        torch.manual_seed(step)
        theirs.zero_grad()
        criterion(twin(x), y).backward()
        theirs.step()
    for parameter, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(parameter, other, rtol=1e-3, atol=1e-5)


def test_loaded_weights_are_noticed() -> None:
    for assign in (False, True):
        backprop, model, criterion, x, y = ready()
        backprop(x, y)
        state = {name: torch.randn_like(value) for name, value in model.state_dict().items()}
        model.load_state_dict(state, assign=assign)
        assert_equal_to_autograd(backprop, model, criterion, x, y)


def test_a_replaced_parameter_is_noticed() -> None:
    backprop, model, criterion, x, y = ready()
    backprop(x, y)
    model[1].weight = nn.Parameter(torch.randn_like(model[1].weight))
    model[3].bias.data = torch.randn_like(model[3].bias)
    assert_equal_to_autograd(backprop, model, criterion, x, y)


def test_a_converted_model_is_noticed() -> None:
    backprop, model, criterion, x, y = ready()
    backprop(x, y)
    model.double()
    assert_equal_to_autograd(backprop, model, criterion, x.double(), y)
    assert all(p.grad is not None and p.grad.dtype == torch.float64 for p in model.parameters())


def test_freezing_on_the_way_is_noticed() -> None:
    backprop, model, criterion, x, y = ready()
    backprop(x, y)
    model[1].requires_grad_(False)
    assert_equal_to_autograd(backprop, model, criterion, x, y)
    model[1].requires_grad_(True)
    assert_equal_to_autograd(backprop, model, criterion, x, y)


def test_images_are_flattened() -> None:
    torch.manual_seed(0)
    model = mlp(12, CLASSES, hidden=(5,))
    x, y = torch.randn(6, 3, 2, 2), torch.randint(0, CLASSES, (6,))
    assert_equal_to_autograd(Backprop(model, nn.CrossEntropyLoss()), model, nn.CrossEntropyLoss(), x, y)


def test_many_batch_sizes_do_not_pile_up() -> None:
    backprop, model, criterion, x, y = ready()
    for rows in (1, 2, 3, 4, 5, 6, 7, 8, 1, 8):
        assert_equal_to_autograd(backprop, model, criterion, x[:rows], y[:rows])
    assert len(backprop._plans) <= 4


def test_functions_are_the_losses_they_are() -> None:
    _, model, _, x, y = ready()
    assert_equal_to_autograd(Backprop(model, F.cross_entropy), model, nn.CrossEntropyLoss(), x, y)


class Smoothed:
    """A loss of another class that says what it equals."""

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets, label_smoothing=0.3)

    def torch_criterion(self) -> nn.Module:
        return nn.CrossEntropyLoss(label_smoothing=0.3)


def test_a_loss_can_say_what_it_equals() -> None:
    _, model, _, x, y = ready()
    assert_equal_to_autograd(Backprop(model, Smoothed()), model, nn.CrossEntropyLoss(label_smoothing=0.3), x, y)


class Own(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def hooked(where: int | None) -> nn.Module:
    model = mlp(4, 2)
    (model if where is None else model[where]).register_forward_hook(lambda *_: None)
    return model


def tied() -> nn.Module:
    layer = nn.Linear(4, 4)
    return nn.Sequential(layer, nn.ReLU(), layer)


def watched() -> nn.Module:
    model = mlp(4, 2)
    model[1].weight.register_hook(lambda g: g)
    return model


@pytest.mark.parametrize(
    "model, loss, words",
    [
        (lambda: nn.LSTM(4, 4), nn.MSELoss(), "the model is LSTM"),
        (lambda: Own(nn.Linear(4, 4)), nn.MSELoss(), "the model is Own"),
        (lambda: nn.Sequential(nn.ReLU()), nn.MSELoss(), "no Linear"),
        (lambda: mlp(4, 2, norm="batch"), nn.CrossEntropyLoss(), "layer 2 is BatchNorm1d"),
        (lambda: nn.Sequential(Own(nn.Linear(4, 4))), nn.MSELoss(), "layer 0 is Own"),
        (lambda: nn.Sequential(nn.Linear(4, 4), nn.Flatten(0)), nn.MSELoss(), "layer 1 flattens"),
        (lambda: nn.Sequential(nn.Dropout(1.0), nn.Linear(4, 4)), nn.MSELoss(), "drops everything"),
        (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)), nn.MSELoss(), "ParametrizedLinear"),
        (tied, nn.MSELoss(), "a parameter twice"),
        (watched, nn.CrossEntropyLoss(), "a parameter has hooks"),
        (lambda: hooked(None), nn.CrossEntropyLoss(), "the model has hooks"),
        (lambda: hooked(3), nn.CrossEntropyLoss(), "layer 3 has hooks"),
        (lambda: mlp(4, 2).bfloat16(), nn.CrossEntropyLoss(), "float32"),
        (lambda: nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4).double()), nn.MSELoss(), "float32"),
        (lambda: mlp(4, 5000, hidden=()), nn.CrossEntropyLoss(), "5000 classes"),
        (lambda: mlp(4, 2), nn.L1Loss(), "the loss is L1Loss"),
        (lambda: mlp(4, 2), lambda outputs, targets: outputs.sum(), "the loss is function"),
        (lambda: mlp(4, 2), nn.MSELoss(reduction="sum"), 'reduction "sum"'),
        (lambda: mlp(4, 2), nn.CrossEntropyLoss(ignore_index=0), "ignores class 0"),
        (lambda: mlp(4, 1), nn.BCEWithLogitsLoss(pos_weight=torch.ones(1)), "weights"),
    ],
)
def test_what_it_does_not_know_is_refused_in_a_sentence(model: Callable[[], nn.Module], loss, words: str) -> None:
    network = model()
    reason = Backprop.refuses(network, loss)
    assert words in reason and "\n" not in reason
    with pytest.raises(InputError, match="use autograd"):
        Backprop(network, loss)


layers_of_the_kernel = st.lists(
    st.tuples(
        st.integers(1, 40), st.booleans(), st.sampled_from([None, 0.0, 0.01, 0.4]), st.sampled_from([None, 0.0, 0.3])
    ),
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(
    layers_of_the_kernel,
    st.integers(1, 40),
    st.sampled_from(sorted(LOSSES)),
    st.integers(0, 10**6),
    st.sets(st.integers(0, 9)),
)
def test_the_kernel_gives_the_numbers_of_autograd(
    kinds: list, rows: int, loss: str, seed: int, frozen: set[int]
) -> None:
    """Any depth, width and batch size, with and without bias, activation and dropout, some parameters frozen."""
    torch.manual_seed(seed)
    n_out, x, y = problem(loss, rows, 20, torch.float32)
    modules: list[nn.Module] = []
    width = 20
    for units, bias, slope, dropped in kinds:
        modules.append(nn.Linear(width, units, bias=bias))
        if slope is not None:
            modules.append(nn.LeakyReLU(slope) if slope else nn.ReLU())
        if dropped is not None:
            modules.append(nn.Dropout(dropped))
        width = units
    model = nn.Sequential(*modules, nn.Linear(width, n_out))
    for index, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(index not in frozen)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        next(iter(model.parameters())).requires_grad_(True)
    criterion = LOSSES[loss]()
    backprop = Backprop(model, criterion)
    assert_equal_to_autograd(backprop, model, criterion, x, y)
    model.eval()
    assert_equal_to_autograd(backprop, model, criterion, x, y)
    assert isinstance(backprop._plans[rows], Compiled)


def test_each_way_is_taken_where_it_should_be() -> None:
    x, y = torch.randn(8, 6), torch.randint(0, CLASSES, (8,))
    for options, kind in (({}, Compiled), ({"activation": "gelu"}, Compiled), ({"input_dropout": 0.1}, Eager)):
        backprop = Backprop(mlp(6, CLASSES, **options), nn.CrossEntropyLoss())
        backprop(x, y)
        assert isinstance(backprop._plans[8], kind)
    double = Backprop(mlp(6, CLASSES).double(), nn.CrossEntropyLoss())
    double(x.double(), y)
    assert isinstance(double._plans[8], Eager)


def test_the_same_step_gives_the_same_bits_wherever_it_lies_in_memory() -> None:
    """What makes a resumed run equal to one that was never stopped."""
    found = []
    for offset in range(4):
        torch.manual_seed(2)
        model = mlp(6, CLASSES, hidden=(37, 21))
        x, y = torch.randn(29, 6), torch.randint(0, CLASSES, (29,))
        moved = torch.empty(29 * 6 + offset)[offset:].view(29, 6).copy_(x)
        loss = Backprop(model, nn.CrossEntropyLoss())(moved, y)
        found.append([loss, *(p.grad for p in model.parameters())])
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_inputs_and_targets_may_lie_in_any_way() -> None:
    backprop, model, criterion, x, y = ready()
    sideways = x.t().contiguous().t()
    every_other = torch.stack([y, y], 1)[:, 0]
    assert_equal_to_autograd(backprop, model, criterion, sideways, every_other)
    wide = torch.zeros(8, 12)
    wide[:, ::2] = x
    assert_equal_to_autograd(backprop, model, criterion, wide[:, ::2], y)
    x.requires_grad_(True)
    assert_equal_to_autograd(backprop, model, criterion, x, y)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_said(value: float) -> None:
    for activation in ("relu", "tanh"):
        backprop, _, _, x, y = ready(activation=activation)
        if activation == "relu":
            x[3, 2] = value
        else:
            x[3, 2] = float("nan")
        assert not torch.isfinite(backprop(x, y))


def test_what_the_kernel_cannot_read_is_refused() -> None:
    """It reads memory as it is told to, so nothing may reach it that is not as told."""
    backprop, _, _, x, y = ready()
    for inputs, targets, words in (
        (x[:, :5], y, r"takes torch.float32 \(B, 6\)"),
        (x.double(), y, "torch.float64"),
        (x, y[:7], "class numbers"),
        (x, y.int(), "class numbers"),
        (x, torch.full((8,), CLASSES), f"class {CLASSES} in the targets"),
        (x, torch.full((8,), -1), "class -1 in the targets"),
    ):
        with pytest.raises(InputError, match=words):
            backprop(inputs, targets)


def test_targets_that_do_not_fit_are_named() -> None:
    backprop, _, _, x, _ = ready()
    with pytest.raises(InputError, match="class numbers"):
        backprop(x, torch.rand(8))
    backprop, _, _, x, y = ready("squares")
    with pytest.raises(InputError, match="8 numbers for 16 targets"):
        backprop(x, torch.cat([y, y]))
    with pytest.raises(InputError, match="Flatten"):
        Backprop(nn.Sequential(nn.Linear(6, 1)), nn.MSELoss())(x[:, None], y)


def small(width: int = 16) -> tuple[nn.Sequential, Backprop]:
    model = nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, CLASSES))
    return model, Backprop(model, nn.CrossEntropyLoss())


def assert_as_autograd(model: nn.Module, gradients: Backprop) -> None:
    _, x, y = problem("cross-entropy", 12, 8, torch.float32)
    value = gradients(x, y)
    expected, wanted = by_autograd(model, nn.CrossEntropyLoss(), x, y)
    torch.testing.assert_close(value, expected)
    for parameter, gradient in zip(model.parameters(), wanted, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, **TOLERANCE[torch.float32])


def test_weights_turned_where_they_lay() -> None:
    model, gradients = small(8)
    assert_as_autograd(model, gradients)
    model[0].weight.data = model[0].weight.data.t()
    assert_as_autograd(model, gradients)


@pytest.mark.parametrize("in_place", [True, False])
def test_a_layer_pruned_by_hand(in_place) -> None:
    """Its ``out_features`` stay as they were: the kernel must not read as far as they say."""
    model, gradients = small()
    assert_as_autograd(model, gradients)
    for module, name, cut in (
        (model[0], "weight", slice(10)), (model[0], "bias", slice(10)), (model[2], "weight", (slice(None), slice(10))),
    ):  # fmt: skip
        pruned = getattr(module, name).data[cut]
        if in_place:
            getattr(module, name).data = pruned
        else:
            setattr(module, name, nn.Parameter(pruned.clone()))
    assert_as_autograd(model, gradients)


def test_layers_that_do_not_meet() -> None:
    gradients = Backprop(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(1000, CLASSES)), nn.CrossEntropyLoss())
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        gradients(torch.zeros(3, 8), torch.zeros(3, dtype=torch.int64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_empty_batch_is_refused(dtype) -> None:
    model, gradients = small()
    model.to(dtype)
    with pytest.raises(InputError, match="the mini-batch is empty"):
        gradients(torch.zeros(0, 8, dtype=dtype), torch.zeros(0, dtype=torch.int64))
