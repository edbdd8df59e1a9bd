"""What every rule has to keep to, checked on one rule.

Six promises, each a function that raises ``BrokenContract`` with the first thing that is off:

* *equations*: what is lowered computes what was written (SymPy's own NumPy form of each equation is the other side);
* *engines*: the fused engine gives the reference's numbers, in float32 and float64, for empty, single and many elements;
* *nan*: a NaN in a gradient reaches its weight and, in a rule without sums, no other: divergence is seen where it began;
* *standstill*: with rate 0 and zero gradients no weight changes (checkpoint loaders call such a step to make the state);
* *groups*: parameters in groups of their own take the same steps as in one;
* *checkpoint*: saved, loaded into a new optimizer and gone on with, it is the same run to the bit.

>>> check_rule(thalweg.rules.adam)
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy
import torch

from thalweg.engines import MATRICES
from thalweg.optim import FromRule
from thalweg.rules import Rule
from thalweg.rules.symbols import Sum, orthogonal

SHAPES = ((7, 5), (), (1,), (0, 3), (257,), (1 << 16, 1), (70_001,))
"""Empty, single, odd; as long as a chunk of the fused engine, and a little longer."""
STEPS = 12
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12}
"""Between engines, relative to the largest weight: rounding of a dozen steps."""


class BrokenContract(AssertionError):
    """A rule does not keep a promise. The message says which, and where it is off."""


def check_rule(rule: Rule, *, hyperparameters: Mapping[str, float] | None = None) -> tuple[str, ...]:
    """Runs the suite and returns the names of the promises kept.

    ``hyperparameters`` are the numbers to run with, beside the rule's defaults. Raises ``BrokenContract`` at the first promise
    broken, ``InputError`` where a number is missing. Takes about a second, most of it to compile the kernels.
    """
    for name, promise in PROMISES.items():
        found = promise(rule, hyperparameters or {})
        if found:
            raise BrokenContract(f"the rule {rule.name} breaks the promise of {name}: {found}")
    return tuple(PROMISES)


def _shapes(rule: Rule) -> tuple[tuple[int, ...], ...]:
    """Tensors for a rule: any, or matrices where it works on whole ones."""
    matrices = any(value.has(orthogonal) for _, value in rule.assignments)
    return tuple(shape for shape in SHAPES if len(shape) > 1) if matrices else SHAPES


def _weights(dtype: torch.dtype, shapes: tuple[tuple[int, ...], ...] = SHAPES) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(1)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype)) for shape in shapes]


def _step(weights: list[torch.nn.Parameter], optimizer: FromRule, number: int) -> None:
    """One step on gradients of different sizes, the same for the same number."""
    generator = torch.Generator().manual_seed(100 + number)
    for index, weight in enumerate(weights):
        noise = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        weight.grad = (noise * 10.0 ** (index % 3 - 1)).to(weight.dtype)
    optimizer.step()


def _run(weights: list[torch.nn.Parameter], optimizer: FromRule, first: int, last: int) -> None:
    for number in range(first, last):
        _step(weights, optimizer, number)


def _equations(rule: Rule, numbers: Mapping[str, float]) -> str:
    (weight,) = weights = _weights(torch.float64, ((4, 6),))
    optimizer = FromRule(weights, rule, hyperparameters=numbers, engine="reference")
    fixed = {name: float(optimizer.defaults[name]) for name in rule.hyperparameters} | {"n_rows": 4.0, "n_columns": 6.0}
    now: dict[str, Any] = {"w": weight.detach().numpy().copy()} | fixed
    now |= {name: np.zeros((4, 6)) for name, _ in rule.states} | dict.fromkeys(rule.uniform, np.float64(0))
    for name, start in rule.starts.items():
        now[name] = np.broadcast_to(_value(start, now), np.shape(now[name])).copy()
    for step in range(1, STEPS + 1):
        _step(weights, optimizer, step)
        assert weight.grad is not None
        now |= fixed | {"g": weight.grad.numpy().copy(), "t": np.float64(step)}
        with np.errstate(all="ignore"):
            for name, value in rule.assignments:
                now[name] = _value(value, now)
        apart = _apart(weight.detach().numpy(), now["w"])
        if apart > (1e-9 if not any(value.has(orthogonal) for _, value in rule.assignments) else 1e-2):
            return f"after step {step} the weights are {apart:.1g} off what the equations give"
    return ""


def _value(value: sympy.Basic, now: Mapping[str, Any]) -> Any:
    """An equation's right side in NumPy, of one parameter that is all there is: every sum is over the same elements."""
    found = dict(now)
    for node in value.atoms(sympy.Symbol):
        found.setdefault(node.name, 0.0)
    inner: dict[sympy.Basic, sympy.Symbol] = {}
    for node in sympy.postorder_traversal(value):
        if isinstance(node, (Sum, orthogonal)) and node not in inner:
            name = f"inner{len(inner)}"
            parts = [np.asarray(_value(part.xreplace(inner), found), dtype=np.float64) for part in node.args]
            if isinstance(node, Sum):
                axis = 1 if node.scope == "unit" else None
                found[name] = np.broadcast_to(parts[0], np.shape(now["w"])).sum(axis=axis, keepdims=axis is not None)
            else:
                matrix = torch.from_numpy(np.broadcast_to(parts[0], np.shape(now["w"])).copy())
                MATRICES["orthogonal"](matrix, *(float(part) for part in parts[1:]))
                found[name] = matrix.numpy()
            inner[node] = sympy.Symbol(name, real=True)
    plain = value.xreplace(inner)
    symbols = sorted(plain.free_symbols, key=str)
    return np.asarray(
        sympy.lambdify(symbols, plain, "numpy")(*(found[symbol.name] for symbol in symbols)), dtype=np.float64
    )


def _engines(rule: Rule, numbers: Mapping[str, float]) -> str:
    for dtype, tolerance in TOLERANCE.items():
        runs = {}
        for engine in ("reference", "cpu"):
            runs[engine] = _weights(dtype, _shapes(rule))
            _run(runs[engine], FromRule(runs[engine], rule, hyperparameters=numbers, engine=engine), 1, STEPS + 1)
        for slow, fast in zip(runs["reference"], runs["cpu"], strict=True):
            apart = _apart(fast.detach().numpy(), slow.detach().numpy())
            if apart > (tolerance if _shapes(rule) is SHAPES else 1e-2):  # orthogonal works in bfloat16
                return f"for a {dtype} tensor of shape {tuple(slow.shape)} the fused engine is {apart:.1g} off the reference"
    return ""


def _nan(rule: Rule, numbers: Mapping[str, float]) -> str:
    if any(value.has(Sum, orthogonal) for _, value in rule.assignments):
        return ""  # a norm that is NaN is NaN for all
    for engine in ("reference", "cpu"):
        (weight,) = weights = _weights(torch.float32, ((101,),))
        optimizer = FromRule(weights, rule, hyperparameters=numbers, engine=engine)
        weight.grad = torch.linspace(0.1, 1.0, 101)
        weight.grad[17] = torch.nan
        optimizer.step()
        bad = torch.nonzero(~weight.detach().isfinite()).flatten().tolist()
        if bad != [17]:
            return (
                f"element 17 of a gradient was NaN; in the {engine} engine the weights that are not finite were {bad}"
            )
    return ""


def _standstill(rule: Rule, numbers: Mapping[str, float]) -> str:
    if "lr" not in rule.hyperparameters:
        return ""
    weights = _weights(torch.float32, _shapes(rule))
    optimizer = FromRule(weights, rule, 0.0, hyperparameters={name: n for name, n in numbers.items() if name != "lr"})
    before = [weight.detach().clone() for weight in weights]
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    for old, weight in zip(before, weights, strict=True):
        if not torch.equal(old, weight):
            return f"a weight of shape {tuple(weight.shape)} changed at rate 0 with a gradient of zeros"
    return ""


def _groups(rule: Rule, numbers: Mapping[str, float]) -> str:
    together, apart = (_weights(torch.float32, _shapes(rule)) for _ in range(2))
    _run(together, FromRule(together, rule, hyperparameters=numbers), 1, STEPS)
    _run(apart, FromRule([{"params": [weight]} for weight in apart], rule, hyperparameters=numbers), 1, STEPS)
    for one, other in zip(together, apart, strict=True):
        if not torch.equal(one, other):
            return f"a weight of shape {tuple(one.shape)} takes other steps in a group of its own"
    return ""


def _checkpoint(rule: Rule, numbers: Mapping[str, float]) -> str:
    through, stopped = (_weights(torch.float32, _shapes(rule)) for _ in range(2))
    _run(through, FromRule(through, rule, hyperparameters=numbers), 1, STEPS)
    first = FromRule(stopped, rule, hyperparameters=numbers)
    _run(stopped, first, 1, 5)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = FromRule(stopped, rule, hyperparameters=numbers)
    second.load_state_dict(torch.load(file, weights_only=True))
    _run(stopped, second, 5, STEPS)
    for one, other in zip(through, stopped, strict=True):
        if not torch.equal(one, other):
            return f"a weight of shape {tuple(one.shape)} differs after saving and loading between steps 4 and 5"
    return ""


def _apart(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference relative to the largest value; infinite where only one side is finite."""
    if not found.size:
        return 0.0
    if not np.array_equal(np.isfinite(found), np.isfinite(expected)):
        return np.inf
    finite = np.isfinite(expected)
    if not finite.any():
        return 0.0
    return float(np.abs(found - expected)[finite].max() / max(np.abs(expected[finite]).max(), 1e-30))


PROMISES: dict[str, Callable[[Rule, Mapping[str, float]], str]] = {
    "equations": _equations,
    "engines": _engines,
    "nan": _nan,
    "standstill": _standstill,
    "groups": _groups,
    "checkpoint": _checkpoint,
}
