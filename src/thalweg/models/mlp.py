"""The fully connected net of any depth; without hidden layers it is logistic, softmax or linear regression.

>>> mlp(64, 10, hidden=(128, 128), activation="relu", dropout=0.2)
>>> mlp(30, 1, hidden=())                                            # logistic regression: one logit
>>> mlp(64, 10, hidden=(64,) * 60, norm="batch", residual=True)      # a shortcut beside each hidden layer but the first
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from thalweg.errors import InputError
from thalweg.models.residual import Residual

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.01),
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}
NORMS: dict[str, Callable[[int], nn.Module]] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


def mlp(
    n_in: int,
    n_out: int,
    *,
    hidden: Sequence[int] = (128, 128),
    activation: str = "relu",
    dropout: float | Sequence[float] = 0.0,
    input_dropout: float = 0.0,
    norm: str | None = None,
    residual: bool = False,
) -> nn.Sequential:
    """Inputs ``(B, …)`` with ``n_in`` numbers each, outputs ``(B, n_out)`` without a final activation (logits).

    ``hidden`` holds the units of each hidden layer. ``dropout`` is the probability of dropping a hidden unit, one for all
    hidden layers or one for each, ``input_dropout`` that of dropping an input (Srivastava et al. 2014, inverted form).
    ``norm`` is None, ``batch`` or ``layer``: it stands before each activation; a layer before batch normalisation has no bias,
    which the normalisation would cancel.

    Layer i is ``x ← W φ(x) + b``, where φ is norm, activation and dropout; with ``residual`` it is ``x ← x + W φ(x) +
    b`` (He et al. 2016, full pre-activation), and a linear projection of x where widths differ. The shortcut spans one
    layer, so that ``hidden`` means the same with it and without.

    Raises ``InputError`` for an activation or norm that does not exist, and for sizes or probabilities out of range.
    """
    if activation not in ACTIVATIONS:
        raise InputError(f'there is no activation "{activation}": choose among {", ".join(ACTIVATIONS)}')
    if norm is not None and norm not in NORMS:
        raise InputError(f'there is no norm "{norm}": choose batch or layer')
    if min(n_in, n_out, *hidden) < 1:
        raise InputError(
            f"a net of {n_in} inputs, hidden layers {tuple(hidden)}, {n_out} outputs: each needs at least 1 unit"
        )
    dropped = [dropout] * len(hidden) if isinstance(dropout, int | float) else list(dropout)
    if len(dropped) != len(hidden):
        raise InputError(
            f"{len(dropped)} dropout probabilities for {len(hidden)} hidden layers: give one for each, or one number"
        )
    for name, probability in (("input_dropout", input_dropout), *(("dropout", each) for each in dropped)):
        if not 0 <= probability < 1:
            raise InputError(f"{name} is {probability}: a probability of dropping must be at least 0 and below 1")
    layers: list[nn.Module] = [nn.Flatten()]
    if input_dropout:
        layers.append(nn.Dropout(input_dropout))
    width = n_in
    between: list[nn.Module] = []  # φ
    for units, probability in zip(hidden, dropped, strict=True):
        linear = nn.Linear(width, units, bias=norm != "batch")
        if residual and between:
            projection = None if width == units else nn.Linear(width, units, bias=False)
            layers.append(Residual(nn.Sequential(*between, linear), projection))
        else:
            layers += [*between, linear]
        between = [] if norm is None else [NORMS[norm](units)]
        between.append(ACTIVATIONS[activation]())
        if probability:
            between.append(nn.Dropout(probability))
        width = units
    return nn.Sequential(*layers, *between, nn.Linear(width, n_out))
