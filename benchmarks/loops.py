"""Inside a real training loop: what a step of the whole loop costs with our optimizer and with PyTorch's.

    python benchmarks/loops.py --out benchmarks/results/loops.md

Forward, backward, ``zero_grad`` and the optimizer's step, on nets of three sizes; the same net is trained by the contestants in
turn, round after round, in one process. Gradients are new tensors in each step, threads go to and fro between torch's
operations and ours: what a step measured alone does not show. Ratios are their time / ours, for the whole loop.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch

from thalweg import optim

NETS: dict[str, tuple[tuple[int, ...], int]] = {
    "9 thousand weights, batch 32": ((64, 64, 64, 10), 32),
    "270 thousand weights, batch 64": ((784, 300, 100, 10), 64),
    "4 million weights, batch 64": ((784, 1500, 1500, 10), 64),
}
RULES: dict[str, list[dict]] = {
    "SGD": [{"fused": True}, {"foreach": False}],
    "Adam": [{"fused": True}, {"foreach": True}],
    "NAdam": [{"foreach": True}, {"foreach": False}],
    "RMSprop": [{"foreach": True}, {"foreach": False}],
}


def loop(optimizer: torch.optim.Optimizer, model: torch.nn.Module, batch: int, width: int) -> Callable[[], None]:
    inputs, targets = torch.randn(batch, width), torch.randint(0, 10, (batch,))

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()

    return step


def measure(net: str, rule: str, rounds: int, seconds: float) -> tuple[float, dict[str, tuple[float, float, float]]]:
    widths, batch = NETS[net]
    torch.manual_seed(0)
    layers: list[torch.nn.Module] = []
    for before, after in pairwise(widths):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    contestants = {"thalweg": getattr(optim, rule)(model.parameters(), lr=1e-6)}
    for how in RULES[rule]:
        name = " ".join("for-loop" if (k, v) == ("foreach", False) else k for k, v in how.items())
        contestants[name] = getattr(torch.optim, rule)(model.parameters(), lr=1e-6, **how)
    acts = {name: loop(optimizer, model, batch, widths[0]) for name, optimizer in contestants.items()}
    repeats = {}
    for name, act in acts.items():
        act()
        start = time.perf_counter()
        act()
        repeats[name] = max(1, int(seconds / (time.perf_counter() - start)))
    times: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(rounds):
        for name, act in acts.items():
            start = time.perf_counter()
            for _ in range(repeats[name]):
                act()
            times[name].append((time.perf_counter() - start) / repeats[name])
    ours = times.pop("thalweg")
    ratios = {}
    for name, them in times.items():
        low, middle, high = statistics.quantiles([t / o for t, o in zip(them, ours, strict=True)], n=4)
        ratios[name] = (middle, low, high)
    return statistics.median(ours) * 1e6, ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.2, help="a contestant's turn")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--note", default="")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = [
        "# Inside a training loop",
        "",
        f"{platform.machine()}, {arguments.threads} threads, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}. "
        f"{arguments.note}",
        "",
        "Whole loop: forward, backward, step. Ratios are their time / ours, median (quartiles) over the rounds.",
        "",
        "| net | rule | thalweg, µs a step | PyTorch's forms | rounds |",
        "|---|---|---:|---|---:|",
    ]
    for net in NETS:
        for rule in RULES:
            microseconds, ratios = measure(net, rule, arguments.rounds, arguments.seconds)
            shown = ", ".join(f"{name} {m:.2f} ({low:.2f}–{high:.2f})" for name, (m, low, high) in ratios.items())
            rows.append(f"| {net} | {rule} | {microseconds:,.0f} | {shown} | {arguments.rounds} |")
            print(rows[-1], flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
