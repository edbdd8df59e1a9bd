"""Do signals come through the layers before training, forwards and backwards?

>>> layers = (Layer("0", "Linear", sd=0.8, gradient=0.01, …), Layer("1", "Sigmoid", saturated=0.93, …), …)
>>> activations(layers).kind
'saturated_activation'
>>> gradients(layers).sentence
'The gradient falls from 1.2e-02 at the last layer to 3.1e-09 at the first.'

What is compared is layer with layer: in a net that trains well, neither the spread of what layers put out nor the gradient
at their outputs changes by orders of magnitude from one end to the other (Glorot & Bengio 2010; He et al. 2015).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from thalweg.diagnose.checks.check import Check, Status, passed

FAINT, GONE = 1e-3, 1e-5
"""A signal's share of what it was at its origin that is worth a word, and that is as good as nothing. PyTorch's own draw takes
a factor of 0.4 a layer of ReLU, which 7 layers survive."""
MOST, NEARLY_ALL = 0.5, 0.9
"""Shares of units that are dead, or of outputs at the rails."""
LOUD = 1e3


@dataclass(frozen=True)
class Layer:
    """What a layer puts out for some training rows before the first step.

    ``mean``, ``sd``, ``zeros`` over all outputs; ``spread``: over the rows, unit by unit, their mean: what tells rows apart;
    ``dead``: share of units that are zero for every row (of a ReLU); ``saturated``: share of outputs at the rails;
    ``gradient``: norm of the loss's gradient at the outputs of a row (root mean square over rows).
    ``edges`` ``(b + 1,)`` with ``counts`` ``(b,)`` are the histogram of the outputs; ``sizes`` ``(b,)`` that of log₁₀ of the
    gradients' sizes over ``size_edges``. What does not apply is NaN. ``weighted``: it has weights of its own.
    """

    name: str
    kind: str
    weighted: bool
    mean: float
    sd: float
    spread: float
    zeros: float
    dead: float
    saturated: float
    gradient: float
    edges: np.ndarray
    counts: np.ndarray
    size_edges: np.ndarray
    sizes: np.ndarray

    @property
    def label(self) -> str:
        return f"{self.name} {self.kind}".strip()


def chain(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The layers signals are compared between: those with weights, the output too, but for those that signals go around.

    A branch that ends in zeros (residual blocks, a linear path) says nothing at the start, and none is told anything.
    """
    weighted = [layer for layer in layers if layer.weighted]
    return tuple(
        layer
        for at, layer in enumerate(weighted)
        if not (layer.spread == 0 and any(later.spread > 0 for later in weighted[at + 1 :]))
        and not (layer.gradient == 0 and any(earlier.gradient > 0 for earlier in weighted[:at]))
    )


def activations(layers: tuple[Layer, ...]) -> Check:
    """Neither dead, nor at the rails, nor fading or swelling from layer to layer."""
    name = "activations"
    if bad := [layer for layer in layers if not math.isfinite(layer.sd)]:
        said = f"{bad[0].label} puts out numbers that are not finite before the first step."
        return Check(name, "failed", said, "nan", bad[0].name)
    if stuck := _stuck(layers, NEARLY_ALL):
        return stuck
    weighted = chain(layers)
    if len(weighted) > 1 and (fading := _fading(weighted)):
        return fading
    if stuck := _stuck(layers, MOST):
        return stuck
    if len(weighted) < 2:
        return passed(name, _alone(layers, "there is nothing to fade between"))
    first, last = weighted[0], weighted[-1]
    said = f"Rows differ by {first.spread:.2g} at the first layer and {last.spread:.2g} at the output; none is dead."
    return passed(name, said, first=first.spread, last=last.spread)


def _alone(layers: tuple[Layer, ...], said: str) -> str:
    """Of a net with one layer that signals go through."""
    others = sum(layer.weighted for layer in layers) > 1
    return f"One layer: {said}" + ("; the others stand in a branch that begins at zero." if others else ".")


def _stuck(layers: tuple[Layer, ...], most: float) -> Check | None:
    """A layer of which more than this share is dead or at the rails."""
    for kind, share, words in (
        ("dead_relu", "dead", "of the units of {} are zero for every row looked at, before training"),
        ("saturated_activation", "saturated", "of the outputs of {} are at the rails before training"),
    ):
        worst = max(layers, key=lambda layer: _known(getattr(layer, share)))
        value = _known(getattr(worst, share))
        if value > most:
            status: Status = "failed" if value > NEARLY_ALL else "warned"
            said = f"{value:.0%} {words.format(worst.label)}."
            return Check("activations", status, said, kind, worst.name, evidence={"share": value})
    return None


def _fading(weighted: tuple[Layer, ...]) -> Check | None:
    """Outputs that swell, or that no longer tell one row from another."""
    first = weighted[0]
    faintest = min(weighted, key=lambda layer: layer.spread)
    loudest = max(weighted, key=lambda layer: layer.spread)
    evidence = {"first": first.spread, "last": weighted[-1].spread}
    if loudest.spread > LOUD * max(first.spread, 1.0):
        said = f"Outputs swell from a spread of {first.spread:.2g} at {first.label} to {loudest.spread:.2g} at {loudest.label}."
        return Check("activations", "failed", said, "bad_init", loudest.name, evidence=evidence)
    if faintest.spread < FAINT * first.spread:
        said = (
            f"Rows grow alike: their spread falls from {first.spread:.2g} at {first.label} to {faintest.spread:.2g} at "
        )
        said += f"{faintest.label}."
        status: Status = "failed" if faintest.spread < GONE * first.spread else "warned"
        return Check("activations", status, said, "bad_init", faintest.name, evidence=evidence)
    return None


def gradients(layers: tuple[Layer, ...]) -> Check:
    """They reach the first layer, neither vanished nor exploded."""
    name = "gradients"
    weighted = [layer for layer in chain(layers) if math.isfinite(layer.gradient)]
    if bad := [layer for layer in layers if math.isinf(layer.gradient)]:
        said = f"The gradient at {bad[0].label} is not finite before the first step."
        return Check(name, "failed", said, "exploding_gradient", bad[0].name)
    if len(weighted) < 2:
        return passed(name, _alone(layers, "its gradient has no way to go"))
    first, last = weighted[0], weighted[-1]
    early = min(weighted[: len(weighted) // 2 + 1], key=lambda layer: layer.gradient)
    loudest = max(weighted, key=lambda layer: layer.gradient)
    evidence = {"first": first.gradient, "last": last.gradient}
    if early.gradient == 0 and last.gradient == 0:
        return Check(
            name, "failed", "No gradient reaches any layer.", "vanishing_gradient", last.name, evidence=evidence
        )
    if early.gradient < FAINT * last.gradient:
        ends = "nothing" if early.gradient == 0 else f"{early.gradient:.1e}"
        said = f"The gradient falls from {last.gradient:.1e} at the output to {ends} at {early.label}."
        status: Status = "failed" if early.gradient < GONE * last.gradient else "warned"
        return Check(name, status, said, "vanishing_gradient", early.name, evidence=evidence)
    if loudest.gradient > LOUD * last.gradient:
        said = (
            f"The gradient grows from {last.gradient:.1e} at the output to {loudest.gradient:.1e} at {loudest.label}."
        )
        return Check(name, "failed", said, "exploding_gradient", loudest.name, evidence=evidence)
    return passed(name, f"Size {last.gradient:.1e} at the output, {first.gradient:.1e} at the first layer.", **evidence)


def unevenness(layers: tuple[Layer, ...]) -> float:
    """How far signals are from equal in all layers, in powers of ten, forwards and backwards; dead and railed units count.

    0 is a net in which nothing fades; infinite where nothing comes through.
    """
    weighted = chain(layers)
    if not weighted:
        return 0.0
    found = 0.0
    for values in ([layer.spread for layer in weighted[:-1]], [layer.gradient for layer in weighted]):
        known = [value for value in values if not math.isnan(value)]
        if known and (min(known) <= 0 or not math.isfinite(max(known))):
            return math.inf
        found += math.log10(max(known) / min(known)) if known else 0.0
    lost = max((_known(value) for layer in layers for value in (layer.dead, layer.saturated)), default=0.0)
    return found + (max(lost - MOST, 0.0) * 4)


def summary(layers: tuple[Layer, ...]) -> str:
    """How far signals come, in a few words."""
    weighted = chain(layers)
    if not weighted:
        return "no layer with weights"
    first, last = weighted[0], weighted[-1]
    return (
        f"rows differ by {first.spread:.2g} at the first layer and {last.spread:.2g} at the output, the gradient is "
        f"{last.gradient:.1e} at the output and {first.gradient:.1e} at the first layer"
    )


def _known(value: float) -> float:
    return value if math.isfinite(value) else 0.0
