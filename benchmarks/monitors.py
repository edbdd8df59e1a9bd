"""What monitors and ``thalweg.watch`` cost: the same loop with and without them, as a ratio of time.

    python benchmarks/monitors.py                 # everything (some minutes), then writes benchmarks/results/monitors.md
    python benchmarks/monitors.py --runs 3 --nets small --what watch

Two runs of the same net from the same seed go side by side, one with the monitor, one without, and take turns pass by pass
(20 mini-batches each, the first one changing), so that both meet the same moods of the machine; processor time is counted.
``plain`` is the same loop against itself: what the measurement itself errs by. Monitors look at fewer steps the longer a run
goes, so a longer run than the one here costs less. Of ``watch`` it is the loop that is measured, not the probes when it ends.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import thalweg
from thalweg import monitors
from thalweg.history import History
from thalweg.train import Autograd, Hook, State, train

HERE = Path(__file__).parent / "results"
PASS = 20


@dataclass(frozen=True)
class Net:
    """A net, what it is fed, and for how many passes of 20 steps."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    batch: int
    passes: int


def mlp(*sizes: int) -> nn.Module:
    layers = [part for i, o in itertools.pairwise(sizes) for part in (nn.Linear(i, o), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def conv() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(784, 10),
    )  # fmt: skip


NETS = {
    "small": Net(lambda: mlp(64, 64, 10), (64,), 32, 50),
    "medium": Net(lambda: mlp(784, 256, 128, 10), (784,), 128, 15),
    "conv": Net(conv, (1, 28, 28), 64, 15),
}
NAMES = {
    "small": "64-64-10, batch 32",
    "medium": "784-256-128-10, batch 128",
    "conv": "two convolutions, batch 64",
}


class Batches:
    """Twenty mini-batches of noise, the same in each pass."""

    def __init__(self, net: Net) -> None:
        g = torch.Generator().manual_seed(1)
        self.inputs = torch.randn(PASS, net.batch, *net.shape, generator=g)
        self.targets = torch.randint(0, 10, (PASS, net.batch), generator=g)

    def epoch(self, number: int, start: int = 0):
        return iter(list(zip(self.inputs, self.targets, strict=True))[start:])

    def __len__(self) -> int:
        return PASS


class Run:
    """One run of a net, made pass by pass; ``hooks`` makes its monitors."""

    def __init__(self, net: Net, hooks: Callable[[nn.Module, Batches, History], tuple[Hook, ...]]) -> None:
        torch.manual_seed(0)
        self.model, self.batches = net.make(), Batches(net)
        optimizer = torch.optim.SGD(self.model.parameters(), 0.01, momentum=0.9)
        self.state = State(self.model, optimizer)
        self.gradients = Autograd(self.model, nn.functional.cross_entropy)
        self.folder = tempfile.TemporaryDirectory()
        self.history = History(Path(self.folder.name) / "history.jsonl")  # as ``thalweg train`` keeps it
        self.hooks = hooks(self.model, self.batches, self.history)

    def go(self) -> None:
        train(
            self.model,
            self.state.optimizer,
            self.gradients,
            self.batches,
            epochs=self.state.epoch + 1,
            hooks=self.hooks,
            state=self.state,
        )

    def close(self) -> None:
        """Ends the run."""
        self.history.close()
        self.folder.cleanup()


class Loop:
    """The loop a PyTorch user writes, watched or not."""

    def __init__(self, net: Net, *, watched: bool) -> None:
        torch.manual_seed(0)
        self.model = net.make()
        batches = Batches(net)
        self.pairs = list(zip(batches.inputs, batches.targets, strict=True))
        self.optimizer = torch.optim.SGD(self.model.parameters(), 0.01, momentum=0.9)
        self.loss = nn.CrossEntropyLoss()
        self.doctor = thalweg.watch(self.model, self.optimizer, loss=self.loss) if watched else None
        if self.doctor:
            self.doctor.__enter__()

    def go(self) -> None:
        for inputs, targets in self.pairs:
            self.optimizer.zero_grad()
            self.loss(self.model(inputs), targets).backward()
            self.optimizer.step()
        if self.doctor:
            self.doctor.epoch_end()

    def close(self) -> None:
        if self.doctor:
            self.doctor._tape.close()


Pair = Callable[[Net], tuple[Run | Loop, Run | Loop]]


def beside(hooks: Callable[[nn.Module, Batches, History], tuple[Hook, ...]]) -> Pair:
    return lambda net: (Run(net, hooks), Run(net, lambda model, batches, history: ()))


WHAT: dict[str, Pair] = {
    "plain": beside(lambda model, batches, history: ()),
    "default set": beside(lambda model, batches, history: monitors.default(history)),
    "Progress": beside(lambda model, batches, history: (monitors.Progress(history),)),
    "GradientNorms": beside(lambda model, batches, history: (monitors.GradientNorms(history),)),
    "UpdateRatios": beside(lambda model, batches, history: (monitors.UpdateRatios(history),)),
    "ActivationStats": beside(lambda model, batches, history: (monitors.ActivationStats(history, model),)),
    "GradCosine": beside(lambda model, batches, history: (monitors.GradCosine(history),)),
    "NoiseScale": beside(
        lambda model, batches, history: (
            monitors.NoiseScale(history, nn.functional.cross_entropy, (batches.inputs[0], batches.targets[0])),
        )
    ),
    "Curvature": beside(
        lambda model, batches, history: (
            monitors.Curvature(history, nn.functional.cross_entropy, (batches.inputs[0], batches.targets[0])),
        )
    ),
    "watch": lambda net: (Loop(net, watched=True), Loop(net, watched=False)),
}


def measured(pair: Pair, net: Net) -> tuple[list[float], list[float]]:
    """Seconds of each pass with, and without, of one pair of runs."""
    sides = pair(net)
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(net.passes):
        for which in (0, 1) if number % 2 else (1, 0):
            begin = time.process_time()
            sides[which].go()
            taken[which].append(time.process_time() - begin)
    for side in sides:
        side.close()
    return taken


def quietest(runs: list[list[float]]) -> float:
    """The least each pass took in any run, added up: what other programs on the machine add is left out."""
    return sum(min(times) for times in zip(*runs, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--nets", default=";".join(NETS))
    parser.add_argument("--what", default=";".join(WHAT))
    parser.add_argument(
        "--out", type=Path, help="where the table goes; results/monitors.md when everything is measured"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    nets, what = arguments.nets.split(";"), arguments.what.split(";")
    rows: dict[str, list[str]] = {}
    steps: dict[str, float] = {}
    for each in what:
        rows[each] = []
        for name in nets:
            net = NETS[name]
            measured(WHAT[each], net)  # the first run of a process warms up
            found = [measured(WHAT[each], net) for _ in range(arguments.runs)]
            with_it, without = zip(*found, strict=True)
            steps[name] = min(steps.get(name, 9e9), quietest(without) / net.passes / PASS * 1e6)
            low, middle, high = statistics.quantiles([sum(a) / sum(b) for a, b in found], n=4)
            least = quietest(with_it) / quietest(without)
            rows[each].append(f"**{middle:.3f}** ({low:.3f} … {high:.3f}); {least:.3f}")
            print(each, name, rows[each][-1], f"step {steps[name]:.0f} µs", flush=True)
    out = arguments.out or (HERE / "monitors.md" if (what, nets) == (list(WHAT), list(NETS)) else None)
    if out is not None:
        out.write_text(table(rows, steps, runs=arguments.runs), encoding="utf-8")


def table(rows: dict[str, list[str]], steps: dict[str, float], *, runs: int) -> str:
    """The measurements as Markdown."""
    head = [f"{NAMES[name]}, {NETS[name].passes * PASS} steps" for name in steps]
    lines = [
        "# What monitors cost",
        "",
        "`python benchmarks/monitors.py`; what is measured stands at the top of that file. Time with over time without: the "
        f"median of {runs} pairs of runs that took turns (and its quartiles); then that of each pass's least time in any run, "
        "which leaves out what other programs on the machine added. The target is 1.10 for the default set and for `watch`.",
        "",
        f"| | {' | '.join(head)} |",
        "|---" * (len(head) + 1) + "|",
        *(f"| {each} | {' | '.join(cells)} |" for each, cells in rows.items()),
        "",
        "A step without takes " + ", ".join(f"{step:.0f} µs ({name})" for name, step in steps.items()) + ".",
        "",
        f"Machine: {platform.machine()}, one thread; torch {torch.__version__}, python {platform.python_version()}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
