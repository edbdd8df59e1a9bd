"""The fully connected net of any depth; without hidden layers it is logistic, softmax or linear regression.

>>> mlp(64, 10, hidden=(128, 128), activation="relu", dropout=0.2)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from thalweg.errors import InputError

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
    dropout: float = 0.0,
    norm: str | None = None,
) -> nn.Sequential:
    """Inputs ``(B, …)`` with ``n_in`` numbers each, outputs ``(B, n_out)`` without a final activation (logits).

    ``norm`` is None, ``batch`` or ``layer``: it stands before each activation, and the layer before it has no bias, which it would
    cancel. Raises ``InputError`` for an activation or norm that does not exist.
    """
    if activation not in ACTIVATIONS:
        raise InputError(f'there is no activation "{activation}": choose among {", ".join(ACTIVATIONS)}')
    if norm is not None and norm not in NORMS:
        raise InputError(f'there is no norm "{norm}": choose batch or layer')
    layers: list[nn.Module] = [nn.Flatten()]
    width = n_in
    for units in hidden:
        layers.append(nn.Linear(width, units, bias=norm != "batch"))
        if norm is not None:
            layers.append(NORMS[norm](units))
        layers.append(ACTIVATIONS[activation]())
        if dropout:
            layers.append(nn.Dropout(dropout))
        width = units
    layers.append(nn.Linear(width, n_out))
    return nn.Sequential(*layers)
