"""How long does a search take: many candidates as one program, or trials one by one?

    python benchmarks/search.py --quick --json                         # the three small nets, under ten minutes
    python benchmarks/search.py --cases 64-32-32-10 --rounds 3 --out benchmarks/results/search.md

Everybody searches the same space (rate, decay, β₁) with random draws over the same data, epochs and mini-batches, on the same
cores, and keeps trials in its default storage; nobody prunes. Times are the wall's, from the call to its result, start of
workers included (imports of the driver apart):

* *thalweg*: ``thalweg tune``'s own path, storage, probe and folders of the trials included, without the refit at the end;
* *optuna*: one trial after another in this process, SQLite, the loop a careful person writes: tensors indexed, fused AdamW;
* *optuna × cores*: the same in one process for each core on one SQLite study;
* *ray*: Ray Tune, one actor for each core, reused;
* *jax*: the population step alone, ``jax.vmap`` of a scan over the mini-batches, jitted, compilation included;
* *population step*: the same training by ``train_population``, its members' making included: what jax is held against.

For nets in which arithmetic is all there is, what is compared is one process for each core.

    python benchmarks/search.py --paired --out benchmarks/results/search.md      # about eight minutes

gives Optuna, one by one, the seconds that ``thalweg tune`` took, and compares the best dev error of the trials that ended in
them, on five data sets and five seeds, with the same space, random sampler, mini-batches and epochs; a paired test is printed
and put behind the file's tables.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from torch import nn

CORES = len(os.sched_getaffinity(0))
SPACE = {"lr": "1e-4..1e-1:log", "weight_decay": "1e-4..1e-1:log", "beta1": "0.8..0.98:one-minus"}


@dataclass(frozen=True)
class Case:
    """A net, its data, and the budget."""

    data: str
    hidden: tuple[int, ...]
    batch: int
    epochs: int
    trials: int
    large: bool = False
    metric: str = "accuracy"


CASES = {
    "64-32-32-10": Case("digits", (32, 32), 32, 30, 64),
    "64-128-128-10": Case("digits", (128, 128), 64, 30, 64),
    "conv": Case("digits", (), 32, 10, 64),
    "784-256-128-10": Case("fashion-mnist", (256, 128), 128, 2, 8, large=True),
    "two million": Case("digits", (1024, 1024, 768), 64, 5, 8, large=True),
}


PAIRED = {
    "digits": Case("digits", (32, 32), 32, 30, 64),
    "breast-cancer": Case("breast-cancer", (32, 32), 32, 20, 256),
    "wine": Case("wine", (32, 32), 16, 20, 256),
    "diabetes": Case("diabetes", (32, 32), 32, 20, 256, metric="r2"),
    "fashion-mnist": Case("fashion-mnist", (64,), 128, 2, 16),
}
"""Searches of a few seconds: Optuna has as long as ``thalweg tune`` took for its ``trials``."""


def small_conv(input_shape: tuple[int, ...], n_outputs: int) -> nn.Module:
    """The convolutional net of the comparison, for images of 8 × 8."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, n_outputs),
    )  # fmt: skip


def spec_of(case: Case, runs: str) -> Any:
    from thalweg.experiments.spec import Spec

    common = {"data": case.data, "batch_size": case.batch, "epochs": case.epochs, "patience": 0, "runs": runs,
              "watch": case.metric}  # fmt: skip
    if not case.hidden:
        return Spec(model=f"{Path(__file__).resolve()}:small_conv", **common)
    return Spec(hidden=list(case.hidden), dropout=[0.0], skip=False, **common)


@dataclass(frozen=True)
class Prepared:
    """The same parts for everybody, as tensors."""

    train: tuple[torch.Tensor, torch.Tensor]
    dev: tuple[torch.Tensor, torch.Tensor]


def parts_of(case: Case, seed: int) -> Prepared:
    """As ``thalweg tune`` divides them: by the seed."""
    from thalweg.experiments.parts import prepare
    from thalweg.experiments.reading import read

    spec = spec_of(case, "unused").replace(seed=seed)
    parts = prepare(read(spec), spec, device=torch.device("cpu")).parts
    flat = tuple((inputs.reshape(len(inputs), -1), targets) for inputs, targets in (parts.train, parts.dev))
    return Prepared(*flat)


def build(case: Case, seed: int, inputs: int = 0, outputs: int = 10) -> nn.Module:
    torch.manual_seed(seed)
    if not case.hidden:
        return small_conv((64,), 10)
    widths = (inputs or (784 if case.data == "fashion-mnist" else 64), *case.hidden, outputs)
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def trained(case: Case, parts: Prepared, lr: float, weight_decay: float, beta1: float) -> float:
    """One trial as a careful person writes it: the best dev accuracy, or R²."""
    (x, y), (dev_x, dev_y) = parts.train, parts.dev
    numbers = case.metric == "r2"
    several = 1 if numbers else max(int(y.max()) + 1, 2)
    model = build(case, 1, x.shape[1], several)
    y, dev_y = (y.reshape(len(y), 1), dev_y.reshape(len(dev_y), 1)) if numbers else (y.long(), dev_y.long())
    loss = nn.functional.mse_loss if numbers else nn.functional.cross_entropy
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=lr, betas=(beta1, 0.999), weight_decay=weight_decay, fused=True
    )
    steps = case.epochs * -(-len(x) // case.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    generator = torch.Generator().manual_seed(1)
    best = -math.inf
    for _ in range(case.epochs):
        for rows in torch.randperm(len(x), generator=generator).split(case.batch):
            optimizer.zero_grad()
            loss(model(x[rows]), y[rows]).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            told = model(dev_x)
            if numbers:
                good = 1 - ((told - dev_y) ** 2).sum() / ((dev_y - dev_y.mean()) ** 2).sum()
            else:
                good = (told.argmax(1) == dev_y).double().mean()
            best = max(best, float(good))
    return best


Race = list[tuple[float, float]]
"""(seconds since the start, dev error) of each trial."""


def with_thalweg(case: Case, seed: int, where: str) -> tuple[float, Race, dict[str, Any]]:
    from thalweg.experiments.tuning import Plan, start_study
    from thalweg.experiments.tuning.record import Trials
    from thalweg.experiments.watcher import Silent
    from thalweg.search import Space

    plan = Plan(Space.parse(SPACE), trials=case.trials, prune="none", confirm=0)
    spec = spec_of(case, where).replace(seed=seed)
    start = time.time()
    folder, result = start_study(spec, plan, Silent())
    seconds = result["ended"] - start  # the page comes after it, and has no counterpart
    race = [
        (record["ended"] - start, 1.0 if record["score"] is None else record["score"])
        for record in Trials(folder).read()
    ]
    return seconds, sorted(race), result


def _objective(case: Case, parts: Prepared) -> Any:
    def objective(trial: Any) -> float:
        lr = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
        decay = trial.suggest_float("weight_decay", 1e-4, 1e-1, log=True)
        rest = trial.suggest_float("one_minus_beta1", 0.02, 0.2, log=True)
        return 1.0 - trained(case, parts, lr, decay, 1.0 - rest)

    return objective


def with_optuna(case: Case, parts: Prepared, seed: int, where: str) -> tuple[float, Race]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    clock = time.perf_counter()
    study = optuna.create_study(
        storage=f"sqlite:///{where}/optuna-{seed}.db", sampler=optuna.samplers.RandomSampler(seed=seed)
    )
    race: Race = []
    study.optimize(
        _objective(case, parts),
        n_trials=case.trials,
        callbacks=[lambda _, trial: race.append((time.perf_counter() - clock, trial.value))],
    )
    return time.perf_counter() - clock, race


def optuna_worker(name: str, seed: int, storage: str, trials: int) -> None:
    """What each process of *optuna × cores* does."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(1)
    case = CASES[name]
    study = optuna.load_study(study_name="study", storage=storage, sampler=optuna.samplers.RandomSampler(seed=seed))
    study.optimize(_objective(case, parts_of(case, seed // 100)), n_trials=trials)


def with_optuna_processes(name: str, case: Case, seed: int, where: str) -> tuple[float, Race]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = f"sqlite:///{where}/processes-{seed}.db"
    start = time.time()
    optuna.create_study(study_name="study", storage=storage)
    shares = [len(part) for part in np.array_split(np.arange(case.trials), CORES)]
    running = [
        subprocess.Popen([sys.executable, __file__, "--worker", name, str(100 * seed + at), storage, str(share)])
        for at, share in enumerate(shares)
    ]
    for process in running:
        if process.wait():
            raise SystemExit("a process of Optuna has failed")
    seconds = time.time() - start
    study = optuna.load_study(study_name="study", storage=storage)
    race = [
        (trial.datetime_complete.timestamp() - start, trial.value) for trial in study.trials if trial.value is not None
    ]
    return seconds, sorted(race)


def with_ray(name: str, case: Case, seed: int, where: str) -> tuple[float, Race]:
    import ray
    from ray import tune

    if not ray.is_initialized():
        ray.init(num_cpus=CORES, include_dashboard=False, log_to_driver=False, logging_level="ERROR")

    class Trainable(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            torch.set_num_threads(1)
            self.parts = parts_of(case, seed)
            self.values = config

        def reset_config(self, config: dict[str, Any]) -> bool:
            self.values = config
            return True

        def step(self) -> dict[str, Any]:
            found = trained(case, self.parts, self.values["lr"], self.values["weight_decay"], 1 - self.values["rest"])
            return {"error": 1.0 - found, "at": time.time(), "done": True}

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            """Ray asks for one at the end; the trial's number is all that is wanted of it."""

        def load_checkpoint(self, checkpoint: Any) -> None:
            pass

    start = time.time()
    space = {
        "lr": tune.loguniform(1e-4, 1e-1),
        "weight_decay": tune.loguniform(1e-4, 1e-1),
        "rest": tune.loguniform(0.02, 0.2),
    }
    config = tune.TuneConfig(
        metric="error", mode="min", num_samples=case.trials, max_concurrent_trials=CORES, reuse_actors=True
    )
    results = tune.Tuner(
        Trainable, param_space=space, tune_config=config,
        run_config=tune.RunConfig(storage_path=f"{where}/ray-{name}-{seed}", verbose=0),
    ).fit()  # fmt: skip
    race = [(one.metrics["at"] - start, one.metrics["error"]) for one in results]
    return time.time() - start, sorted(race)


def with_jax(case: Case, parts: Prepared) -> tuple[float, float]:
    """Seconds of all candidates' training as one jitted program, with its compilation and without; no dev part is looked at."""
    import jax
    import jax.numpy as jnp
    import optax

    x, y = (tensor.numpy() for tensor in parts.train)
    drawn = np.random.default_rng(0).random((case.trials, 3))
    rates, decays = 10 ** (-4 + 3 * drawn[:, 0]), 10 ** (-4 + 3 * drawn[:, 1])
    betas = 1 - 10 ** (math.log10(0.02) + drawn[:, 2])
    model = build(case, 1)
    weights = [jnp.stack([p.detach().numpy()] * case.trials) for p in model.parameters()]
    per_epoch = len(x) // case.batch
    steps = case.epochs * per_epoch

    def outputs(w: list[Any], z: Any) -> Any:
        layers = [*zip(w[::2], w[1::2], strict=True)]
        if not case.hidden:
            z = z.reshape(-1, 1, 8, 8)
            for weight, bias in layers[:2]:
                z = jax.lax.conv(z, weight, (1, 1), "SAME") + bias[:, None, None]
                z = jax.lax.reduce_window(jax.nn.relu(z), -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
            z, layers = z.reshape(len(z), -1), layers[2:]
        for index, (weight, bias) in enumerate(layers):
            z = z @ weight.T + bias
            z = jax.nn.relu(z) if index + 1 < len(layers) else z
        return z

    def loss(w: list[Any], inputs: Any, targets: Any) -> Any:
        return optax.softmax_cross_entropy_with_integer_labels(outputs(w, inputs), targets).mean()

    def candidate(w: list[Any], rate: Any, decay: Any, beta: Any, inputs: Any, targets: Any, order: Any) -> Any:
        def step(carry: Any, at: Any) -> Any:
            w, m, v, t = carry
            gradient = jax.grad(loss)(w, inputs[at], targets[at])
            factor = jnp.minimum(1.0, 1.0 / (jnp.sqrt(sum((g**2).sum() for g in gradient)) + 1e-6))
            lr = rate * 0.5 * (1 + jnp.cos(jnp.pi * t / steps))
            t = t + 1
            m = [beta * a + (1 - beta) * g * factor for a, g in zip(m, gradient, strict=True)]
            v = [0.999 * a + 0.001 * (g * factor) ** 2 for a, g in zip(v, gradient, strict=True)]
            w = [
                p * (1 - lr * decay) - lr * (a / (1 - beta**t)) / (jnp.sqrt(b / (1 - 0.999**t)) + 1e-8)
                for p, a, b in zip(w, m, v, strict=True)
            ]
            return (w, m, v, t), None

        zeros = [jnp.zeros_like(p) for p in w]
        (w, *_), _ = jax.lax.scan(step, (w, zeros, zeros, 0), order)
        return w

    generator = np.random.default_rng(1)
    order = np.concatenate([
        generator.permutation(len(x))[: per_epoch * case.batch].reshape(per_epoch, case.batch) for _ in range(case.epochs)
    ])  # fmt: skip
    program = jax.jit(jax.vmap(candidate, in_axes=(0, 0, 0, 0, None, None, None)))
    arguments = (
        weights,
        jnp.array(rates),
        jnp.array(decays),
        jnp.array(betas),
        jnp.array(x),
        jnp.array(y),
        jnp.array(order),
    )
    clock = time.perf_counter()
    jax.block_until_ready(program(*arguments))
    whole = time.perf_counter() - clock
    clock = time.perf_counter()
    jax.block_until_ready(program(*arguments))
    return whole, time.perf_counter() - clock


def with_population(case: Case, parts: Prepared) -> float:
    """Seconds of all candidates' training as ``train_population`` does it; nothing is measured on dev."""
    from thalweg.optim import AdamW
    from thalweg.population import Member, Part, train_population
    from thalweg.train.objectives import CrossEntropy

    drawn = np.random.default_rng(0).random((case.trials, 3))
    part = Part(*parts.train)
    steps = case.epochs * -(-len(part) // case.batch)
    table = [0.5 * (1 + math.cos(math.pi * step / steps)) for step in range(steps)]

    def member(a: float, b: float, c: float) -> Member:
        rate, decay, beta = 10 ** (-4 + 3 * a), 10 ** (-4 + 3 * b), 1 - 10 ** (math.log10(0.02) + c)
        return Member(
            build(case, 1),
            lambda p: AdamW(p, lr=rate, betas=(beta, 0.999), weight_decay=decay, clip_norm=1.0),
            CrossEntropy(),
            part,
            schedule=lambda step: rate * table[step],
        )

    torch.set_num_threads(CORES)
    clock = time.perf_counter()
    train_population([member(*row) for row in drawn.tolist()], batch_size=case.batch, epochs=case.epochs)
    seconds = time.perf_counter() - clock
    torch.set_num_threads(1)
    return seconds


def best_by(race: Race, seconds: float) -> float:
    """The best dev error of trials that had ended by then; 1 where none had."""
    return min((error for at, error in race if at <= seconds), default=1.0)


def theirs_in(case: Case, parts: Prepared, seed: int, seconds: float, where: str) -> Race:
    """Optuna one by one in as many seconds."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    start = time.time()
    sampler = optuna.samplers.RandomSampler(seed=seed)
    study = optuna.create_study(storage=f"sqlite:///{where}/paired.db", sampler=sampler)
    study.optimize(_objective(case, parts), timeout=seconds)
    return [(one.datetime_complete.timestamp() - start, one.value) for one in study.trials if one.value is not None]


def paired(seeds: int) -> list[str]:
    """Best dev error at equal time, and whether the differences are luck."""
    from scipy import stats

    lines = [
        "\n## At equal time\n",
        "`python benchmarks/search.py --paired`: the best dev error (1 − accuracy, 1 − R² on diabetes) of trials ended in the "
        "time that thalweg took, start, probe and storage included; the same space, random sampler, epochs and batches.\n",
        "| data | seed | seconds | thalweg | Optuna one by one | trials | trials of Optuna |",
        "|---|---|---|---|---|---|---|",
    ]
    pairs: list[tuple[float, float]] = []
    for name, case in PAIRED.items():
        for seed in range(1, seeds + 1):
            parts = parts_of(case, seed)
            with tempfile.TemporaryDirectory() as where:
                seconds, ours, _ = with_thalweg(case, seed, where)
                theirs = theirs_in(case, parts, seed, seconds, where)
            theirs = [one for one in theirs if one[0] <= seconds]
            pairs.append((best_by(ours, seconds), best_by(theirs, seconds)))
            words = f"{seconds:.1f} | {pairs[-1][0]:.4f} | {pairs[-1][1]:.4f} | {len(ours)} | {len(theirs)}"
            lines.append(f"| {name} | {seed} | {words} |")
            print(lines[-1], flush=True)
    better = sum(a < b for a, b in pairs)
    worse = sum(a > b for a, b in pairs)
    sign = stats.binomtest(better, max(better + worse, 1)).pvalue
    differences = [a - b for a, b in pairs]
    rank = stats.wilcoxon(differences).pvalue if any(differences) else 1.0
    lines.append(
        f"\nLower in {better} of {len(pairs)}, equal in {len(pairs) - better - worse}, higher in {worse}: sign test "
        f"p = {sign:.2g}, Wilcoxon's signed-rank test p = {rank:.2g}. Mean difference {statistics.mean(differences):+.4f}."
    )
    return lines


def compare(name: str, rounds: int, others: set[str]) -> dict[str, Any]:
    case = CASES[name]
    taken: dict[str, list[float]] = {}
    races: dict[str, list[Race]] = {}
    shares, decision = [], ""
    for seed in range(1, rounds + 1):
        parts = parts_of(case, seed)
        with tempfile.TemporaryDirectory() as where:
            seconds, race, result = with_thalweg(case, seed, where)
            taken.setdefault("thalweg", []).append(seconds)
            races.setdefault("thalweg", []).append(race)
            shares.append(result["storage_seconds"] / result["seconds"])
            decision = result["decision"]["sentence"]
            found: dict[str, tuple[float, Race]] = {}
            if "optuna" in others and not case.large:
                found["optuna"] = with_optuna(case, parts, seed, where)
            if "processes" in others:
                found["optuna × cores"] = with_optuna_processes(name, case, seed, where)
            if "ray" in others and not case.large:
                found["ray"] = with_ray(name, case, seed, where)
            for who, (spent, run) in found.items():
                taken.setdefault(who, []).append(spent)
                races.setdefault(who, []).append(run)
            if "jax" in others and not case.large:
                taken.setdefault("jax", []).append(with_jax(case, parts)[0])
            if not case.large:
                taken.setdefault("population step", []).append(with_population(case, parts))
    own = taken["thalweg"]
    rows = {}
    for who, seconds in taken.items():
        at_our_time = [best_by(run, mine) for run, mine in zip(races.get(who, []), own, strict=False)]
        rows[who] = {
            "seconds": statistics.median(seconds),
            "trials_per_second": case.trials / statistics.median(seconds),
            "speedup": statistics.median([theirs / mine for theirs, mine in zip(seconds, own, strict=True)]),
            "error_at_our_time": statistics.mean(at_our_time) if at_our_time else None,
            "best_error": statistics.mean([min(e for _, e in run) for run in races[who]]) if who in races else None,
        }
    return {"rows": rows, "decision": decision, "storage_share": statistics.median(shares), "trials": case.trials}


def table(name: str, found: dict[str, Any]) -> list[str]:
    lines = [
        f"\n**{name}**, {found['trials']} trials of {CASES[name].epochs} epochs. {found['decision']}; storage and brain "
        f"{found['storage_share']:.1%} of the time.\n",
        "| | seconds | trials/s | thalweg is faster by | dev error when thalweg is done | best dev error |",
        "|---|---|---|---|---|---|",
    ]
    for who, row in found["rows"].items():
        errors = (f"{row[key]:.4f}" if row[key] is not None else "–" for key in ("error_at_our_time", "best_error"))
        lines.append(
            f"| {who} | {row['seconds']:.1f} | {row['trials_per_second']:.2g} | {row['speedup']:.2f} | {' | '.join(errors)} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--others", default="optuna,processes,ray,jax")
    parser.add_argument("--quick", action="store_true", help="The three small nets, once each; under ten minutes.")
    parser.add_argument("--json", action="store_true", help="The last line is one JSON object.")
    parser.add_argument("--out", default="")
    parser.add_argument("--paired", action="store_true", help="Best dev error at equal time, tested.")
    parser.add_argument("--seeds", type=int, default=5, help="Seeds of each paired data set.")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.worker:
        name, seed, storage, trials = options.worker
        optuna_worker(name, int(seed), storage, int(trials))
        return
    if options.paired:
        written = paired(options.seeds)
        print(written[-1])
        if options.out:
            out = Path(options.out)
            kept = (
                out.read_text(encoding="utf-8").partition("\n## At equal time")[0] if out.exists() else "# Searches\n"
            )
            out.write_text(kept.rstrip("\n") + "\n" + "\n".join(written) + "\n", encoding="utf-8")
        shutil.rmtree("unused", ignore_errors=True)
        return
    names = (
        options.cases.split(",")
        if options.cases
        else [n for n, case in CASES.items() if not (options.quick and case.large)]
    )
    others = set(options.others.split(","))
    results: dict[str, Any] = {}
    lines: list[str] = []
    for name in names:
        results[name] = compare(name, 1 if options.quick else options.rounds, others)
        lines += table(name, results[name])
        print("\n".join(table(name, results[name])), flush=True)
    if options.out:
        about = f"# Searches\n\n`python benchmarks/search.py`, torch {torch.__version__}, {CORES} cores.\n"
        Path(options.out).write_text(about + "\n".join(lines) + "\n", encoding="utf-8")
    if options.json:
        speedup = {
            name: found["rows"]["optuna"]["speedup"] for name, found in results.items() if "optuna" in found["rows"]
        }
        print(json.dumps({"speedup_vs_optuna": speedup, "cases": results}))
    shutil.rmtree("unused", ignore_errors=True)


if __name__ == "__main__":
    main()
