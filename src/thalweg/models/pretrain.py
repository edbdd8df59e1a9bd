"""Greedy layer-wise pre-training without labels: each hidden layer learns to rebuild what the layers below it give.

From the bottom up, a layer becomes the encoder of a denoising autoencoder (Bengio et al. 2007; Vincent et al. 2008;
2010): its input is x, the clean output of the layers below, standardised; noise is put on x; the layer with its norm
and activation encodes, and a decoder, ``Wᵀh + c`` with the layer's own W or another matrix, is to give x back, with the
smallest squared error. A loss of 1 is that of the mean alone. Then μ and σ are folded into W and b, for without them
codes of sigmoids shrink from layer to layer until nothing is left to rebuild. The weights stay in the model, decoders
are thrown away, and fine-tuning begins from there.

>>> pretrain(model, passes, epochs=10, make_optimizer=lambda parameters: optim.Adam(parameters, lr=1e-3), seed=0)
[Pretrained("1", 0.85, 0.24), Pretrained("3", 1.00, 0.19)]
>>> pretrain(resnet((1, 28, 28), 10), passes, ...)
InputError: layer stem.0 is Conv2d: pre-training is for fully connected layers …
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thalweg.errors import InputError
from thalweg.models.linear_path import LinearPath
from thalweg.models.tabular import Tabular

CORRUPTIONS = ("masking", "gaussian")
FLATTEST = 0.01
"""Share of the usual spread below which a number counts as constant: dividing by it would magnify noise."""
DROPS = (nn.Dropout, nn.AlphaDropout)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class Pretrained(NamedTuple):
    """A layer's name, and its error, as a share of the variance: of the first mini-batch, and of the last pass."""

    layer: str
    first_loss: float
    last_loss: float


class Link(NamedTuple):
    """One step of a chain; ``module`` where it is one."""

    name: str
    run: Callable[[Tensor], Tensor]
    module: nn.Module | None = None


def pretrain(
    model: nn.Module,
    epoch_batches: Callable[[int], Iterable[Tensor]],
    *,
    epochs: int,
    make_optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
    seed: int,
    noise: float = 0.3,
    corruption: str = "masking",
    tied: bool = True,
    tell: Callable[[str, int, float], None] | None = None,
) -> list[Pretrained]:
    """Trains each Linear but the last, ``epochs`` passes each, in place; ``epoch_batches(pass)`` gives inputs as the
    model takes them.

    ``corruption`` is ``masking``: each number is 0, its mean, with probability ``noise``; or ``gaussian``: noise of
    that standard deviation is added. ``make_optimizer`` is given what one autoencoder trains. ``tell(layer, pass,
    loss)`` hears of each pass. Frozen layers are left as they are. What is random comes from ``seed`` alone.

    For ``mlp``, ``LinearPath`` and ``Tabular``, and any module whose traced graph is a chain. Raises ``InputError`` for
    another, for one without hidden layers, and where a loss is no longer finite.
    """
    if corruption not in CORRUPTIONS:
        raise InputError(f'there is no corruption "{corruption}": choose masking or gaussian')
    if not 0 <= noise < (1 if corruption == "masking" else math.inf):
        raise InputError(f"noise is {noise}: masking takes a probability below 1, gaussian a standard deviation")
    if epochs < 1:
        raise InputError(f"pre-training for {epochs} epochs does nothing: give at least 1")
    reason = refuses(model)
    if reason:
        raise InputError(reason)
    links = chain(model)
    linears = [index for index, link in enumerate(links) if isinstance(link.module, nn.Linear)]
    generator = torch.Generator().manual_seed(seed)

    def corrupt(x: Tensor) -> Tensor:
        drawn = torch.empty(x.shape, dtype=x.dtype)
        if corruption == "gaussian":
            return x + drawn.normal_(0.0, noise, generator=generator).to(x.device)
        return x * drawn.bernoulli_(1 - noise, generator=generator).to(x.device)

    done = []
    with _modes_put_back(model):
        for at, after in pairwise(linears):
            linear = links[at].module
            assert isinstance(linear, nn.Linear)
            if not linear.weight.requires_grad:
                continue
            model.eval()
            encoder = links[at:after]
            for link in encoder:
                if link.module is not None and not isinstance(link.module, DROPS):
                    link.module.train()
            with torch.no_grad():
                scale = _Scale.of(_through(links[:at], inputs) for inputs in epoch_batches(0))
            decoder = _Decoder(linear, tied=tied)
            trained = [p for link in encoder if link.module is not None for p in link.module.parameters()]
            optimizer = make_optimizer([p for p in [*trained, *decoder.own] if p.requires_grad])
            first, mean = math.nan, math.nan
            for epoch in range(epochs):
                total, count = 0.0, 0
                for inputs in epoch_batches(epoch):
                    with torch.no_grad():
                        clean = scale.standardised(_through(links[:at], inputs))
                    optimizer.zero_grad()
                    loss = F.mse_loss(decoder(_through(encoder, corrupt(clean))), clean)
                    loss.backward()
                    optimizer.step()
                    value = float(loss.detach())
                    if not math.isfinite(value):
                        raise InputError(
                            f"pre-training layer {links[at].name} has a loss of {value} in pass {epoch}: take a smaller rate"
                        )
                    first = value if math.isnan(first) else first
                    total, count = total + value * len(inputs), count + len(inputs)
                if not count:
                    raise InputError(f"pass {epoch} of pre-training has no examples: give at least one mini-batch")
                mean = total / count
                if tell is not None:
                    tell(links[at].name, epoch, mean)
            scale.fold_into(linear)
            done.append(Pretrained(links[at].name, first, mean))
            optimizer.zero_grad()
    return done


class _Decoder:
    """``h V + c``, where V is the layer's own ``W`` (as ``Wᵀh``), or a matrix that begins as it."""

    def __init__(self, linear: nn.Linear, *, tied: bool) -> None:
        self.weight = linear.weight if tied else nn.Parameter(linear.weight.detach().clone())
        self.bias = nn.Parameter(linear.weight.new_zeros(linear.in_features, requires_grad=False))
        self.own = [self.bias] if tied else [self.weight, self.bias]

    def __call__(self, h: Tensor) -> Tensor:
        return h @ self.weight + self.bias


class _Scale(NamedTuple):
    """Mean and spread of each number over a pass: what is between two layers is standardised while they learn."""

    mean: Tensor
    spread: Tensor

    @staticmethod
    def of(batches: Iterable[Tensor]) -> _Scale:
        count, total, squares = 0, None, None
        for x in batches:
            flat = x.reshape(-1, x.shape[-1]).double()
            count += len(flat)
            total = flat.sum(0) if total is None else total + flat.sum(0)
            squares = flat.square().sum(0) if squares is None else squares + flat.square().sum(0)
        if total is None or squares is None or not count:
            raise InputError("pass 0 of pre-training has no examples: give at least one mini-batch")
        mean = total / count
        spread = (squares / count - mean.square()).clamp(min=0).sqrt()
        floor = FLATTEST * float(spread.square().mean().sqrt())
        return _Scale(mean, torch.where(spread > floor, spread, 1.0))

    def standardised(self, x: Tensor) -> Tensor:
        return ((x - self.mean) / self.spread).to(x.dtype)

    @torch.no_grad()
    def fold_into(self, linear: nn.Linear) -> None:
        """``W x̃ + b`` with standardised inputs is ``(W/σ) x + (b − (W/σ) μ)``."""
        linear.weight.copy_(linear.weight / self.spread)
        if linear.bias is not None:
            linear.bias.sub_(linear.weight.double() @ self.mean)


def refuses(model: nn.Module) -> str:
    """Why a model cannot be pre-trained layer by layer, in a sentence; empty where it can."""
    try:
        links = chain(model)
    except InputError as error:
        return str(error)
    for link in links:
        if isinstance(link.module, CONVOLUTIONS):
            kind = type(link.module).__name__
            return (
                f"layer {link.name} is {kind}: pre-training is for fully connected layers; train the model without it"
            )
    if sum(isinstance(link.module, nn.Linear) for link in links) < 2:
        return "the model has no hidden Linear layer: there is nothing to pre-train"
    return ""


def chain(model: nn.Module, prefix: str = "") -> list[Link]:
    """The steps of a model in their order, each reading what the one before gives. Raises ``InputError`` for other graphs."""
    if isinstance(model, Tabular):
        return [Link(f"{prefix}embeddings", model.concatenated), *chain(model.net, f"{prefix}net.")]
    if isinstance(model, LinearPath):
        return chain(model.deep, f"{prefix}deep.")
    from torch import fx

    try:
        with torch.random.fork_rng(devices=[]):  # tracing runs the user's forward, which may draw
            nodes = list(fx.symbolic_trace(model).graph.nodes)
    except Exception as error:  # the user's code on symbols may fail in any way
        raise InputError(
            f"the code of {type(model).__name__} cannot be traced, so its layers' order is not known: pre-train an mlp, or none"
        ) from error
    links, modules = [], dict(model.named_modules())
    for before, node in pairwise(nodes):
        if node.all_input_nodes != [before] or node.op == "get_attr":
            raise InputError(
                f"the layers of {type(model).__name__} are no chain (at {node.name}), each reading the one before: "
                f"pre-train an mlp without residual, or none"
            )
        if node.op != "output":
            module = modules[node.target] if node.op == "call_module" else None
            links.append(Link(f"{prefix}{node.target}", _step(node) if module is None else module, module))
    return links


def _step(node: Any) -> Callable[[Tensor], Tensor]:
    from torch import fx

    def run(x: Tensor) -> Tensor:
        arguments = fx.node.map_arg(node.args, lambda _: x)
        named = fx.node.map_arg(node.kwargs, lambda _: x)
        function = getattr(arguments[0], node.target) if node.op == "call_method" else node.target
        return function(*(arguments[1:] if node.op == "call_method" else arguments), **named)

    return run


def _through(links: list[Link], x: Tensor) -> Tensor:
    for link in links:
        x = link.run(x)
    return x


@contextmanager
def _modes_put_back(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
