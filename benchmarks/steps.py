"""What does one step of an optimizer cost, beside PyTorch's own forms, other libraries and a plain copy?

    python benchmarks/steps.py --out benchmarks/results/steps.md
    python benchmarks/steps.py --sizes small --rules Adam,NAdam --rounds 30 --peers

For each rule and size, thalweg, PyTorch's fused, foreach and for-loop forms (and with ``--peers`` pytorch-optimizer and
HeavyBall, where they are installed and have the rule) step the same weights in turn, round after round, in one process. A
ratio is *their time / ours* within a round; the table gives its median and its quartiles, so a disturbance that lasts
longer than a round falls on all. ``copy`` is the time of a plain copy that moves as many bytes as the step must read and
write, over the time of the step: 1.0 is the speed of memory.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import math
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from thalweg import optim

SIZES: dict[str, tuple[str, list[tuple[int, ...]]]] = {
    "small": ("9 thousand, 6 tensors", [(64, 64), (64,), (64, 64), (64,), (64, 10), (10,)]),
    "middle": ("18 million, 24 tensors", [(1000, 750)] * 24),
    "large": ("50 million, 2 tensors", [(5000, 5000)] * 2),
}
RULES: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {}),
    "SGD momentum": ("SGD", {"momentum": 0.9}),
    "SGD Nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "ASGD": ("ASGD", {}),
    "Rprop": ("Rprop", {}),
    "Adagrad": ("Adagrad", {}),
    "Adadelta": ("Adadelta", {}),
    "RMSprop": ("RMSprop", {}),
    "RMSprop centered": ("RMSprop", {"centered": True, "momentum": 0.9}),
    "Adam": ("Adam", {}),
    "Adam amsgrad": ("Adam", {"amsgrad": True}),
    "AdamW": ("AdamW", {}),
    "Adamax": ("Adamax", {}),
    "NAdam": ("NAdam", {}),
    "RAdam": ("RAdam", {}),
}
"""What PyTorch has. Its Muon works on matrices alone and is bound by their products, not by memory: see ``--rules Muon``."""
MORE: dict[str, tuple[str, dict[str, Any]]] = {
    "Muon": ("Muon", {}), "Lion": ("Lion", {}), "LAMB": ("LAMB", {}), "Adan": ("Adan", {}), "AdaBelief": ("AdaBelief", {}),
    "ScheduleFreeAdamW": ("ScheduleFreeAdamW", {}), "SWATS": ("SWATS", {}),
}  # fmt: skip
FUSED = {"SGD", "Adagrad", "Adam", "AdamW"}
LONE = {"Muon"}
"""PyTorch's classes that know no foreach, and only matrices."""
PEERS: dict[str, dict[str, str]] = {
    "pytorch_optimizer": {
        "Adam": "AdamW", "AdamW": "AdamW", "Adan": "Adan", "AdaBelief": "AdaBelief", "Lion": "Lion",
        "LAMB": "Lamb", "ScheduleFreeAdamW": "ScheduleFreeAdamW", "SWATS": "SWATS", "RAdam": "RAdam", "Adamax": "AdaMax",
    },
    "heavyball": {
        "SGD momentum": "SGD", "AdamW": "AdamW", "RMSprop": "RMSprop", "NAdam": "NAdam", "Adan": "ADAN", "Lion": "Lion",
    },
}  # fmt: skip
"""Classes of the same rule; details (where ε stands, what is corrected) may differ, the memory they walk does not."""
COLUMNS = (
    "rule", "weights", "thalweg, µs", "PyTorch's fastest", "fused", "foreach", "for-loop", "copy", "pytorch-optimizer",
    "HeavyBall", "rounds",
)  # fmt: skip
SECONDS_A_ROUND = 0.05
"""A contestant's turn: as many steps as fit, at least one."""


class Line(NamedTuple):
    """A row of the table; ratios are (median, lower quartile, upper quartile)."""

    rule: str
    size: str
    microseconds: float
    ratios: dict[str, tuple[float, float, float]]
    rounds: int


def contestants(rule: str, parameters: list[torch.nn.Parameter], peers: bool) -> dict[str, torch.optim.Optimizer]:
    name, options = {**RULES, **MORE}[rule]
    if name in LONE:
        parameters = [parameter for parameter in parameters if parameter.ndim == 2]
    found = {"thalweg": getattr(optim, name)(parameters, lr=1e-6, **options)}
    theirs = getattr(torch.optim, name, None)
    forms: dict[str, dict[str, Any]] = (
        {} if theirs is None else {"foreach": {"foreach": True}, "for-loop": {"foreach": False}}
    )
    if theirs is not None and name in LONE:
        forms = {"for-loop": {}}
    if name in FUSED:
        forms["fused"] = {"fused": True}
    found |= {form: theirs(parameters, lr=1e-6, **options, **how) for form, how in forms.items()}
    for library, classes in PEERS.items() if peers else ():
        if rule in classes and importlib.util.find_spec(library) is not None:
            more = (
                {"consume_grad": False} if library == "heavyball" else {}
            )  # it would take the gradients away from all
            found[library] = getattr(importlib.import_module(library), classes[rule])(parameters, lr=1e-6, **more)
    return found


def copier(optimizer: torch.optim.Optimizer, parameters: list[torch.nn.Parameter]) -> Callable[[], object]:
    """A copy that moves the bytes of a step: weight, gradient and states read, weight and states written."""
    moved = [
        parameter.numel()
        * (3 + 2 * len([v for v in optimizer.state[parameter].values() if v.shape == parameter.shape]))
        for parameter in parameters
    ]
    elements = sum(moved) // 2
    source, target = torch.ones(elements), torch.empty(elements)
    return lambda: target.copy_(source)


def timed(act: Callable[[], object], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        act()
    return (time.perf_counter() - start) / repeats


def measure(rule: str, size: str, rounds: int, peers: bool) -> Line:
    torch.manual_seed(0)
    label, shapes = SIZES[size]
    parameters = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    optimizers = contestants(rule, parameters, peers)
    acts: dict[str, Callable[[], object]] = {name: optimizer.step for name, optimizer in optimizers.items()}
    for act in acts.values():
        act()
        act()
    acts["copy"] = copier(optimizers["thalweg"], parameters)
    acts["copy"]()
    repeats = {name: max(1, int(SECONDS_A_ROUND / timed(act, 1))) for name, act in acts.items()}
    times: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(rounds):
        for name, act in acts.items():
            times[name].append(timed(act, repeats[name]))
    ours = times.pop("thalweg")
    torchs = [name for name in times if name in ("fused", "foreach", "for-loop")]
    if torchs:
        fastest = min(torchs, key=lambda name: statistics.median(times[name]))
        times[f"fastest ({fastest})"] = times[fastest]
    ratios = {name: quartiles([t / o for t, o in zip(them, ours, strict=True)]) for name, them in times.items()}
    return Line(rule, label, statistics.median(ours) * 1e6, ratios, rounds)


def quartiles(values: list[float]) -> tuple[float, float, float]:
    low, middle, high = statistics.quantiles(values, n=4)
    return middle, low, high


def report(lines: list[Line], threads: int, note: str) -> str:
    count = f"{threads} thread{'s' * (threads > 1)}"
    rows = [
        "# One step of an optimizer",
        "",
        f"{platform.machine()}, {count}, torch {torch.__version__}, Python {platform.python_version()}, "
        f"{time.strftime('%Y-%m-%d')}. {note}",
        "",
        "Ratios are their time / ours, median (quartiles) over the rounds: above 1 we are faster.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for line in lines:
        fastest = next((name for name in line.ratios if name.startswith("fastest")), None)
        best = "–" if fastest is None else f"{shown(line.ratios[fastest])} {fastest.split()[1]}"
        cells = [line.rule, line.size, f"{line.microseconds:,.1f}", best]
        cells += [
            shown(line.ratios[name]) if name in line.ratios else "–"
            for name in ("fused", "foreach", "for-loop", "copy", *PEERS)
        ]
        rows.append("| " + " | ".join([*cells, str(line.rounds)]) + " |")
    for size in dict.fromkeys(line.size for line in lines):
        best = [
            ratio[0]
            for line in lines
            if line.size == size
            for name, ratio in line.ratios.items()
            if name.startswith("fastest")
        ]
        if best:
            rows += [
                "",
                f"{size}: geometric mean over the {len(best)} rules {mean(best):.1f} × PyTorch's fastest form.",
            ]
    every = [r[0] for line in lines for name, r in line.ratios.items() if name.startswith("fastest")]
    if every:
        rows += ["", f"All sizes and rules: geometric mean {mean(every):.1f} ×; slowest {min(every):.2f} ×."]
    return "\n".join(rows) + "\n"


def mean(ratios: list[float]) -> float:
    """The geometric mean."""
    return math.exp(statistics.fmean(map(math.log, ratios)))


def shown(ratio: tuple[float, float, float]) -> str:
    middle, low, high = ratio
    return f"{middle:.2f} ({low:.2f}–{high:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--rules", default=",".join(RULES), help=f"of {', '.join({**RULES, **MORE})}")
    parser.add_argument("--peers", action="store_true", help="other libraries too (HeavyBall compiles for minutes)")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--note", default="", help="a sentence about the machine for the head of the table")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    lines = []
    for size in arguments.sizes.split(","):
        for rule in arguments.rules.split(","):
            lines.append(measure(rule, size, arguments.rounds, arguments.peers))
            ratios = {name: shown(ratio) for name, ratio in lines[-1].ratios.items()}
            print(rule, size, f"{lines[-1].microseconds:.1f} µs", ratios, flush=True)
    text = report(lines, arguments.threads, arguments.note)
    print(text)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
