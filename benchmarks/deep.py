"""Sixty layers: a plain ReLU net that fails, and what makes it train; six sigmoid layers, and pre-training.

    python benchmarks/deep.py --out benchmarks/results/deep.md

Digits (1,797 images of 8 × 8, 10 classes), 1,297 to train on and 500 to test, split anew for each seed. Every net is trained
by Adam on the same batches, its rate chosen by the first seed's training accuracy, so that no remedy is blamed for a rate that
does not suit it.
"""

from __future__ import annotations

import argparse
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
    model: nn.Module, remedy: Remedy, data: Data, *, rate: float, epochs: int, seed: int, batch: int = 64
) -> tuple[float, float]:
    """Accuracy on the training part and the test part."""
    x, y, x_test, y_test = data
    optimizer = optim.Adam(model.parameters(), lr=rate, clip_norm=remedy.clip)
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * math.ceil(len(x) / batch)
    rising = remedy.warmup * steps
    step = 0
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=generator).split(batch):
            factor = min((step + 1) / rising, 1.0) if rising else 1.0
            optimizer.param_groups[0]["lr"] = rate * factor * 0.5 * (1 + math.cos(math.pi * step / steps))
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            step += 1
    model.eval()
    with torch.no_grad():
        return tuple(float((model(a).argmax(1) == b).double().mean()) for a, b in ((x, y), (x_test, y_test)))  # type: ignore[return-value]


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

    def run(self, seed: int, rate: float) -> tuple[float, float]:
        return train(
            self.model(seed), self.remedy, split(seed, self.labelled, 500), rate=rate, epochs=self.epochs, seed=seed
        )

    def model(self, seed: int) -> nn.Sequential:
        return made(self.remedy, self.layers, 64, self.activation, seed, split(seed, 1297, 500)[0])

    def row(self) -> str:
        torch.set_num_threads(1)
        first = {rate: self.run(0, rate) for rate in RATES}
        rate = max(RATES, key=lambda rate: first[rate][0])
        measured = [first[rate], *(self.run(seed, rate) for seed in range(1, self.seeds))]
        spread, ratio = first_signals(self.model(0), *split(0, self.labelled, 500)[:2])
        on_train, on_test = zip(*measured, strict=True)
        row = (
            f"| {self.remedy.name} | {rate:g} | {interval(on_train)} | {interval(on_test)} | {100 * min(on_test):.1f} "
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
        f"by the training accuracy of the first seed.",
        "",
    ]
    epochs, seeds = arguments.epochs, arguments.seeds
    deep = [Trial(remedy, 60, "relu", 1297, epochs, seeds) for remedy in DEEP]
    sigmoid = [Trial(remedy, 6, "sigmoid", 200, 4 * epochs, seeds) for remedy in SIGMOID]
    with ProcessPoolExecutor(arguments.processes) as pool:
        found = list(pool.map(Trial.row, deep + sigmoid))
    rows += [f"## 60 hidden ReLU layers of 64 units, {epochs} epochs", "", *HEAD, *found[: len(deep)], ""]
    rows += [f"## 6 hidden sigmoid layers of 64 units, 200 labels, 1,297 examples without, {4 * epochs} epochs", ""]
    rows += [*HEAD, *found[len(deep) :]]
    if arguments.out:
        arguments.out.write_text("\n".join(rows).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
