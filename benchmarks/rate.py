"""Does the rate that ``thalweg.search.choose_rate`` finds train as well as the best one of a grid?

    python benchmarks/rate.py                     # everything (an hour), then writes benchmarks/results/rate.md
    python benchmarks/rate.py --rules adam --seeds 2 --problems "digits;wine"

For every problem × rule × seed a grid of full runs (five rates a decade) says what each rate gives: the dev loss of the best
epoch, which is what early stopping hands to the user. A rate is *good* when that is at most 1.25 times the best of
the grid plus 0.005. Three ways to a rate are judged: ``choose_rate``; the range test's own answer (the rate at its minimum,
divided by ten); and, as the bound that chance sets, the best rate of a second whole grid with other batch orders. A rate
between two points of the grid is trained in full itself. Each seed has its own split, weights and order.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import itertools
import json
import math
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from thalweg.search import RateChoice, choose_rate

HERE = Path(__file__).parent / "results"
IMAGES = Path("/usr/share/datasets/fashion-mnist")
RULES: dict[str, Callable[[list, float], torch.optim.Optimizer]] = {
    "sgd": lambda parameters, lr: torch.optim.SGD(parameters, lr=lr),
    "momentum": lambda parameters, lr: torch.optim.SGD(parameters, lr=lr, momentum=0.9),
    "adam": lambda parameters, lr: torch.optim.Adam(parameters, lr=lr),
    "adamw": lambda parameters, lr: torch.optim.AdamW(parameters, lr=lr),
    "rmsprop": lambda parameters, lr: torch.optim.RMSprop(parameters, lr=lr),
    "adagrad": lambda parameters, lr: torch.optim.Adagrad(parameters, lr=lr),
}
SPAN = {"sgd": (-3, 1.4), "momentum": (-4, 0.8), "adagrad": (-4, 0.8)}
ADAPTIVE = (-5, 0)
WARMUP, CLIP = 0.05, 1.0
"""As ``thalweg train`` has them."""
OTHER_ORDER = 777


@dataclass(frozen=True)
class Problem:
    """A data set, a net and how long it trains."""

    name: str
    data: str
    hidden: tuple[int, ...]
    epochs: int = 50
    batch: int = 64
    norm: bool = False
    activation: type[torch.nn.Module] = torch.nn.ReLU


PROBLEMS = {
    problem.name: problem
    for problem in (
        Problem("digits", "digits", (128, 128)),
        Problem("digits, 200 epochs", "digits", (128, 128), epochs=200),
        Problem("digits, full batch", "digits", (128, 128), batch=4096, epochs=100),
        Problem("digits, batch norm", "digits", (64, 64), norm=True, epochs=20),
        Problem("digits, four tanh layers", "digits", (32, 32, 32, 32), activation=torch.nn.Tanh, epochs=30),
        Problem("breast-cancer", "breast-cancer", (64, 64)),
        Problem("wine", "wine", (64, 64)),
        Problem("diabetes", "diabetes", (64, 64)),
        Problem("moons", "moons", (64, 64)),
        Problem("friedman", "friedman", (128, 128)),
        Problem("fashion, 6,000 rows", "fashion", (256, 128), batch=128, epochs=10),
    )
}


@cache
def table(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets; real-valued targets are regression."""
    from sklearn import datasets

    if name == "moons":
        return datasets.make_moons(1000, noise=0.3, random_state=0)
    if name == "friedman":
        return datasets.make_friedman1(2000, noise=1.0, random_state=0)
    if name == "fashion":
        with gzip.open(IMAGES / "train-images-idx3-ubyte.gz") as file:
            images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)
        with gzip.open(IMAGES / "train-labels-idx1-ubyte.gz") as file:
            labels = np.frombuffer(file.read(), np.uint8, offset=8)
        return images[:8000] / 255.0, labels[:8000].astype(np.int64)
    load = {
        "digits": datasets.load_digits,
        "breast-cancer": datasets.load_breast_cancer,
        "wine": datasets.load_wine,
        "diabetes": datasets.load_diabetes,
    }[name]
    return load(return_X_y=True)


class Setting:
    """One problem × rule × seed: split, scaled, with the untrained weights; makes runs of any rate and length."""

    def __init__(self, problem: Problem, rule: str, seed: int) -> None:
        self.problem, self.rule, self.seed = problem, rule, seed
        inputs, targets = table(problem.data)
        order = np.random.default_rng(seed).permutation(len(inputs))
        cut = int(0.75 * len(inputs)) if len(inputs) > 5000 else int(0.6 * len(inputs))
        end = len(inputs) if len(inputs) > 5000 else int(0.8 * len(inputs))
        train, dev = order[:cut], order[cut:end]
        mean, std = inputs[train].mean(0), inputs[train].std(0)
        scaled = torch.tensor((inputs - mean) / np.where(std > 0, std, 1.0), dtype=torch.float32)
        regression = targets.dtype.kind == "f"
        if regression:
            answers = torch.tensor((targets - targets[train].mean()) / targets[train].std(), dtype=torch.float32)[
                :, None
            ]
        else:
            answers = torch.tensor(targets, dtype=torch.int64)
        self.loss = torch.nn.functional.mse_loss if regression else torch.nn.functional.cross_entropy
        self.train = scaled[train], answers[train]
        self.dev = scaled[dev], answers[dev]
        torch.manual_seed(seed)
        outputs = 1 if regression else int(targets.max()) + 1
        self.weights = self._net(outputs)
        self.batch = min(problem.batch, len(train))
        self.steps_per_epoch = math.ceil(len(train) / self.batch)

    def _net(self, outputs: int) -> torch.nn.Sequential:
        layers: list[torch.nn.Module] = []
        widths = (self.train[0].shape[1], *self.problem.hidden)
        for fan_in, width in itertools.pairwise(widths):
            layers.append(torch.nn.Linear(fan_in, width))
            layers += [torch.nn.BatchNorm1d(width)] if self.problem.norm else []
            layers.append(self.problem.activation())
        return torch.nn.Sequential(*layers, torch.nn.Linear(widths[-1], outputs))

    def make(self, rate: float, steps: int = 0, order: int = 0) -> Run:
        return Run(self, rate, steps, order)

    def full(self, rate: float, order: int = 0) -> float:
        """Dev loss of the best epoch of a whole run."""
        run = self.make(rate, self.problem.epochs * self.steps_per_epoch, order)
        best = math.inf
        for _ in range(self.problem.epochs):
            if not np.isfinite(run.run(self.steps_per_epoch)).all():
                break
            best = min(best, run.score())
        return best

    def choose(self) -> RateChoice:
        return choose_rate(self.make, steps_per_epoch=self.steps_per_epoch, epochs=self.problem.epochs, rule=self.rule)


class Run:
    """``search.Trial`` in plain PyTorch: warm-up, then cosine decay where the number of steps is given."""

    def __init__(self, setting: Setting, rate: float, steps: int, order: int) -> None:
        self.setting, self.rate, self.steps, self.done = setting, rate, steps, 0
        self.model = copy.deepcopy(setting.weights).train()
        self.optimizer = RULES[setting.rule](list(self.model.parameters()), rate)
        self.batches = self._endless(order)

    def _endless(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        inputs, targets = self.setting.train
        for number in itertools.count(epoch):
            generator = torch.Generator().manual_seed(1000 * self.setting.seed + number)
            order = torch.randperm(len(inputs), generator=generator)
            for rows in order.split(self.setting.batch):
                yield inputs[rows], targets[rows]

    def set_rate(self, rate: float) -> None:
        self.rate = rate

    def _factor(self) -> float:
        if not self.steps:
            return 1.0
        rising = round(WARMUP * self.steps)
        if self.done < rising:
            return (self.done + 1) / rising
        return 0.5 * (1 + math.cos(math.pi * (self.done - rising) / max(self.steps - rising, 1)))

    def run(self, steps: int) -> np.ndarray:
        losses = np.full(steps, np.nan)
        parameters = list(self.model.parameters())
        for index in range(steps):
            inputs, targets = next(self.batches)
            loss = self.setting.loss(self.model(inputs), targets)
            losses[index] = float(loss.detach())
            if not math.isfinite(losses[index]):
                break
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, CLIP)
            self.optimizer.param_groups[0]["lr"] = self.rate * self._factor()
            self.optimizer.step()
            self.done += 1
        return losses

    def score(self) -> float:
        self.model.eval()
        with torch.no_grad():
            loss = float(self.setting.loss(self.model(self.setting.dev[0]), self.setting.dev[1]))
        self.model.train()
        return loss if math.isfinite(loss) else math.inf


@dataclass(frozen=True)
class Judgement:
    """How the rates for one problem × rule × seed came out. Losses are dev losses of the best epoch of a full run."""

    problem: str
    rule: str
    seed: int
    best: float
    chosen_rate: float
    chosen: float
    minimum_tenth: float
    second_grid: float | None
    share: float
    seconds: float

    def good(self, loss: float) -> bool:
        return loss <= 1.25 * self.best + 0.005


def judge(problem: Problem, rule: str, seed: int, *, twice: bool) -> Judgement:
    setting = Setting(problem, rule, seed)
    low, high = SPAN.get(rule, ADAPTIVE)
    rates = 10.0 ** np.arange(low, high + 1e-9, 0.2)
    first = {rate: setting.full(rate) for rate in rates}
    second = {rate: setting.full(rate, order=OTHER_ORDER) for rate in rates} if twice else {}
    begin = time.perf_counter()
    choice = setting.choose()
    seconds = time.perf_counter() - begin
    tenth = float(choice.rates[int(np.nanargmin(choice.smoothed))]) / 10
    return Judgement(
        problem=problem.name,
        rule=rule,
        seed=seed,
        best=min(first.values()),
        chosen_rate=choice.rate,
        chosen=setting.full(choice.rate),
        minimum_tenth=setting.full(tenth),
        second_grid=first[min(second, key=lambda rate: second[rate])] if twice else None,
        share=choice.steps / (problem.epochs * setting.steps_per_epoch),
        seconds=seconds,
    )


def share_of(judgements: list[Judgement], way: str) -> str:
    losses = [(judgement, getattr(judgement, way)) for judgement in judgements if getattr(judgement, way) is not None]
    good = sum(judgement.good(loss) for judgement, loss in losses)
    return f"{good}/{len(losses)}" if losses else "–"


def report(judgements: list[Judgement]) -> str:
    rules = list(dict.fromkeys(judgement.rule for judgement in judgements))
    seeds = len({judgement.seed for judgement in judgements})
    lines = [
        "# The chosen learning rate against a grid of full runs",
        "",
        "`python benchmarks/rate.py`; what is measured stands at the top of that file. In each cell: how many of "
        f"up to {seeds} seeds have a good rate, by `choose_rate` · by the minimum of the range test divided by ten · by the "
        "best rate of a second grid with other batch orders (the bound that chance sets; run for fewer seeds).",
        "",
        "| problem | " + " | ".join(rules) + " | updates spent, share of the run | seconds |",
        "|---|" + "---|" * (len(rules) + 2),
    ]
    for name in dict.fromkeys(judgement.problem for judgement in judgements):
        rows = [judgement for judgement in judgements if judgement.problem == name]
        lines.append(_row(name, rules, rows))
    lines.append(_row("**all**", rules, judgements))
    finite = [judgement for judgement in judgements if math.isfinite(judgement.chosen)]
    ratios = np.array([judgement.chosen / max(judgement.best, 1e-3) for judgement in finite])
    overall = {way: share_of(judgements, way) for way in ("chosen", "minimum_tenth", "second_grid")}
    large = [judgement for judgement in judgements if judgement.problem not in ("wine", "breast-cancer")]
    lines += [
        "",
        f"All together: choose_rate {overall['chosen']}, range test alone {overall['minimum_tenth']}, second grid "
        f"{overall['second_grid']}. Without wine (36 dev rows) and breast-cancer (114), where the lowest of 23 dev losses is "
        f"in part luck: {', '.join(share_of(large, way) for way in overall)}.",
        "",
        f"Dev loss at the chosen rate over the lowest of the grid: median {np.median(ratios):.2f}, nine in ten at most "
        f"{np.quantile(ratios, 0.9):.2f}; diverged: {len(judgements) - len(finite)}.",
        "",
        f"Machine: {platform.machine()}, one thread; torch {torch.__version__}, numpy {np.__version__}, "
        f"python {platform.python_version()}.",
        "",
    ]
    return "\n".join(lines)


def _row(name: str, rules: list[str], rows: list[Judgement]) -> str:
    cells = []
    for rule in rules:
        own = [row for row in rows if row.rule == rule]
        cells.append(" · ".join(share_of(own, way) for way in ("chosen", "minimum_tenth", "second_grid")))
    share, seconds = np.median([row.share for row in rows]), np.median([row.seconds for row in rows])
    return f"| {name} | {' | '.join(cells)} | {share:.2f} | {seconds:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", default=";".join(PROBLEMS), help="names separated by ;")
    parser.add_argument("--rules", default="sgd,momentum,adam")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--twice", type=int, default=2, help="seeds for which the second grid is run")
    parser.add_argument("--record", type=Path, help="keep finished judgements here, a line each, and go on from them")
    parser.add_argument("--out", type=Path, default=HERE / "rate.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    judgements = []
    if arguments.record and arguments.record.exists():
        judgements = [Judgement(**json.loads(line)) for line in arguments.record.read_text().splitlines()]
    known = {(judgement.problem, judgement.rule, judgement.seed) for judgement in judgements}
    for seed in range(arguments.seeds):
        for name, rule in itertools.product(arguments.problems.split(";"), arguments.rules.split(",")):
            if (name, rule, seed) in known:
                continue
            judgement = judge(PROBLEMS[name], rule, seed, twice=seed < arguments.twice)
            judgements.append(judgement)
            print(judgement, "good" if judgement.good(judgement.chosen) else "not good", flush=True)
            if arguments.record:
                with arguments.record.open("a") as file:
                    file.write(json.dumps(asdict(judgement)) + "\n")
    arguments.out.write_text(report(judgements))
    print(arguments.out.read_text())


if __name__ == "__main__":
    main()
