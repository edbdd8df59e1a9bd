"""Sixty layers: a plain ReLU net that fails, and what makes it train; six sigmoid layers, and pre-training.

    python benchmarks/deep.py --out benchmarks/results/deep.md

Digits (1,797 images of 8 × 8, 10 classes), 1,297 to train on and 500 to test, split anew for each seed. Every net is trained
by Adam on the same batches, its rate chosen by mean training accuracy, so that no remedy is blamed for a rate that
does not suit it. He alone moves a net of 60 layers but does not finish; batch norm alone stops between 20 and 60 layers, where
its gradients explode (Yang et al. 2019, a mean field theory of batch normalization); residual branches that begin at 0 train.
"""

from __future__ import annotations

import argparse
import copy
import math
import platform
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from scipy.stats import t
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from thalweg import optim
from thalweg.initializers import initialize
from thalweg.models import mlp, pretrain

Data = tuple[Tensor, Tensor, Tensor, Tensor]
RATES = (3e-3, 1e-3, 3e-4)


@dataclass(frozen=True)
class Remedy:
    """A row of the table: the net's settings, how it is initialised ("" leaves PyTorch's own), what is done before training."""

    name: str
    init: str = ""
    norm: str | None = None
    residual: bool = False
    clip: float | None = None
    warmup: float = 0.0
    pretrain: int = 0
    noise: float = 0.3
    still: bool = False


def made(remedy: Remedy, layers: int, width: int, activation: str, seed: int, x: Tensor) -> nn.Sequential:
    torch.manual_seed(seed)
    model = mlp(64, 10, hidden=(width,) * layers, activation=activation, norm=remedy.norm, residual=remedy.residual)
    if remedy.init:
        generator = torch.Generator().manual_seed(seed)
        initialize(model, scheme=remedy.init, generator=generator, batch=x[:256])
    if remedy.pretrain:

        def optimizer(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
            return optim.Adam(parameters, lr=0.0 if remedy.still else 3e-3)

        batches = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))].split(64)
        pretrain(
            model,
            lambda epoch: batches,
            epochs=remedy.pretrain,
            make_optimizer=optimizer,
            seed=seed,
            noise=remedy.noise,
        )
    return model


def train(
    models: list[nn.Sequential],
    remedy: Remedy,
    data: list[Data],
    *,
    rates: Sequence[float],
    epochs: int,
    batch: int = 64,
) -> list[list[tuple[float, float]]]:
    """Accuracies on the training and the test part, for each rate and each model.

    All nets run as one, stacked: each operation then serves them all. Adam works number by number, so a stack of nets takes
    the very steps that each would take alone.
    """
    seeds = len(models)
    copies = [copy.deepcopy(model) for _ in rates for model in models]
    parameters, buffers = stack_module_state(copies)
    x, y, x_test, y_test = (torch.stack([part[index] for part in data] * len(rates)) for index in range(4))
    generators = [torch.Generator().manual_seed(seed) for seed in range(seeds)]
    own_rates = torch.tensor(rates).repeat_interleave(seeds)
    means = [torch.zeros_like(p) for p in parameters.values()]
    squares = [torch.zeros_like(p) for p in parameters.values()]
    net = copies[0]

    def outputs(own: dict[str, Tensor], kept: dict[str, Tensor], inputs: Tensor) -> Tensor:
        return functional_call(net, (own, kept), (inputs,))

    def loss(own: dict[str, Tensor], kept: dict[str, Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs(own, kept, inputs), targets)

    n, step = x.shape[1], 0
    steps = epochs * math.ceil(n / batch)
    rising = remedy.warmup * steps
    for _ in range(epochs):
        order = torch.stack([torch.randperm(n, generator=generator) for generator in generators] * len(rates))
        for rows in order.split(batch, dim=1):
            inputs = torch.take_along_dim(x, rows[..., None], 1)
            vmap(loss)(parameters, buffers, inputs, torch.take_along_dim(y, rows, 1)).sum().backward()
            factor = min((step + 1) / rising, 1.0) if rising else 1.0
            step += 1
            lr = own_rates * factor * 0.5 * (1 + math.cos(math.pi * (step - 1) / steps))
            adam(list(parameters.values()), means, squares, lr, step, clip=remedy.clip)
    net.eval()
    with torch.no_grad():
        found = [
            (vmap(outputs)(parameters, buffers, inputs).argmax(2) == wanted).double().mean(1)
            for inputs, wanted in ((x, y), (x_test, y_test))
        ]
    pairs = list(zip(*(each.tolist() for each in found), strict=True))
    return [pairs[at : at + seeds] for at in range(0, len(pairs), seeds)]


@torch.no_grad()
def adam(
    parameters: list[Tensor], means: list[Tensor], squares: list[Tensor], lr: Tensor, step: int, *, clip: float | None
) -> None:
    """A step of Adam (Kingma & Ba 2015, algorithm 1), each net of the stack with its own rate and norm."""
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    if clip is not None:
        norms = sum((g.flatten(1).square().sum(1) for g in gradients), torch.zeros_like(lr)).sqrt()
        share = (clip / (norms + 1e-6)).clamp(max=1.0)
        gradients = [g * share.view(-1, *[1] * (g.ndim - 1)) for g in gradients]
    for p, g, m, v in zip(parameters, gradients, means, squares, strict=True):
        m.lerp_(g, 0.1)
        v.mul_(0.999).addcmul_(g, g, value=0.001)
        p.sub_(lr.view(-1, *[1] * (p.ndim - 1)) / (1 - 0.9**step) * m / ((v / (1 - 0.999**step)).sqrt() + 1e-8))
        p.grad = None


def first_signals(model: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Before training: spread of the logits, and the gradient's norm in the first layer over that in the last."""
    model.train()
    outputs = model(x)
    F.cross_entropy(outputs, y).backward()
    norms = [float(p.grad.norm()) for p in model.parameters() if p.ndim == 2 and p.grad is not None]
    model.zero_grad()
    return float(outputs.detach().std(0).mean()), norms[0] / norms[-1] if norms[-1] else 0.0


def split(seed: int, labelled: int, test: int) -> Data:
    digits = load_digits()
    x = torch.tensor(digits.data, dtype=torch.float32) / 16
    y = torch.tensor(digits.target, dtype=torch.int64)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    x, y = (x[order] - x.mean()) / x.std(), y[order]
    return x[test : test + labelled], y[test : test + labelled], x[:test], y[:test]


def interval(values: Sequence[float]) -> str:
    """Mean and the half width of its 95 % interval, in percent."""
    half = float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{100 * statistics.mean(values):.1f} ± {100 * half:.1f}"


@dataclass(frozen=True)
class Trial:
    """A row to be measured."""

    remedy: Remedy
    layers: int
    activation: str
    labelled: int
    epochs: int
    seeds: int

    def row(self) -> str:
        torch.set_num_threads(1)
        models = [
            made(self.remedy, self.layers, 64, self.activation, seed, split(seed, 1297, 500)[0])
            for seed in range(self.seeds)
        ]
        data = [split(seed, self.labelled, 500) for seed in range(self.seeds)]
        spread, ratio = first_signals(copy.deepcopy(models[0]), *data[0][:2])
        found = train(models, self.remedy, data, rates=RATES, epochs=self.epochs)
        best = max(range(len(RATES)), key=lambda index: sum(on_train for on_train, _ in found[index]))
        on_train, on_test = zip(*found[best], strict=True)
        row = (
            f"| {self.remedy.name} | {RATES[best]:g} | {interval(on_train)} | {interval(on_test)} | {100 * min(on_test):.1f} "
            f"| {spread:.1e} | {ratio:.1e} |"
        )
        print(row, flush=True)
        return row


HEAD = (
    "| net | rate | training accuracy % | test accuracy % | worst seed % | spread of first logits "
    "| first gradients, first to last layer |",
    "|---|---:|---:|---:|---:|---:|---:|",
)


DEEP = (
    Remedy("plain, PyTorch's default"),
    Remedy("plain, normal(0.01)", init="normal(0.01)"),
    Remedy("plain, Xavier", init="xavier"),
    Remedy("plain, He", init="he"),
    Remedy("plain, auto (He, small output layer)", init="auto"),
    Remedy("plain, He, warm-up 20 %, clipped at 1", init="he", warmup=0.2, clip=1.0),
    Remedy("plain, LSUV", init="lsuv"),
    Remedy("batch norm, auto", init="auto", norm="batch"),
    Remedy("layer norm, auto", init="auto", norm="layer"),
    Remedy("residual, He", init="he", residual=True),
    Remedy("residual, auto (branches begin at 0)", init="auto", residual=True),
    Remedy("residual, batch norm, auto", init="auto", norm="batch", residual=True),
)
SHALLOWER = (
    Remedy("plain, PyTorch's default"),
    Remedy("plain, He", init="he"),
    Remedy("batch norm, auto", init="auto", norm="batch"),
    Remedy("layer norm, auto", init="auto", norm="layer"),
)
SIGMOID = (
    Remedy("PyTorch's default"),
    Remedy("auto", init="auto"),
    Remedy("LSUV", init="lsuv"),
    Remedy("auto, standardised between layers, not trained", init="auto", pretrain=1, still=True),
    Remedy("auto, pre-trained 20 passes, masking 0.3", init="auto", pretrain=20),
    Remedy("auto, pre-trained 20 passes, no noise", init="auto", pretrain=20, noise=0.0),
    Remedy("batch norm, auto", init="auto", norm="batch"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--note", default="")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = [
        "# Sixty layers, and six of sigmoids",
        "",
        f"{platform.machine()}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}. {arguments.note}",
        "",
        f"Digits, Adam with a cosine to zero, batch 64, {arguments.seeds} seeds (weights, batches and split). "
        f"Mean ± half of the 95 % interval. The rate is the best of {', '.join(f'{rate:g}' for rate in RATES)} "
        f"by mean training accuracy.",
        "",
    ]
    epochs, seeds = arguments.epochs, arguments.seeds
    deep = [Trial(remedy, 60, "relu", 1297, epochs, seeds) for remedy in DEEP]
    shallower = [Trial(remedy, layers, "relu", 1297, epochs, seeds) for layers in (30, 20) for remedy in SHALLOWER]
    sigmoid = [Trial(remedy, 6, "sigmoid", 200, 4 * epochs, seeds) for remedy in SIGMOID]
    with ProcessPoolExecutor(arguments.processes) as pool:
        found = iter(list(pool.map(Trial.row, deep + shallower + sigmoid)))
    for title, trials in (
        (f"60 hidden ReLU layers of 64 units, {epochs} epochs", deep),
        ("30 hidden layers", shallower[: len(SHALLOWER)]),
        ("20 hidden layers", shallower[len(SHALLOWER) :]),
        (f"6 hidden sigmoid layers of 64 units, 200 labels, 1,297 examples without, {4 * epochs} epochs", sigmoid),
    ):
        rows += [f"## {title}", "", *HEAD, *(next(found) for _ in trials), ""]
    if arguments.out:
        arguments.out.write_text("\n".join(rows).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
