"""How fast does the same net train here and elsewhere?

    python benchmarks/training.py                                  # all frameworks, both tasks, 10 and 3 rounds
    python benchmarks/training.py --tasks digits --rounds 3 --frameworks jax,lean,loop
    python benchmarks/training.py --out benchmarks/results/training.md

digits: 64-128-128-10 with ReLU, batch 64, 30 passes. fashion: 784-256-128-10, batch 128, 3 passes. Adam, rate 1e-3, the same
standardised split; no framework looks at the held-out part until the end, except ``fit``, which measures it after every pass.

A round runs every framework once, in random order, each in a process of its own, pinned to one core with one thread. What
is timed is the fit alone: imports and a first short fit (lazy initialisation, compilation) come before. Ratios are taken
within a round, against *lean*: a hand-written PyTorch loop with tensor indexing and the fused Adam. There are two clocks, the
wall's and the processor's: on a machine that does nothing else they agree, on a busy one only the second means anything.
A framework that is not installed is skipped in plain sight.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.metadata
import itertools
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

IMAGES = Path("/usr/share/datasets/fashion-mnist")
RATE = 1e-3


@dataclass(frozen=True)
class Task:
    """A data set, a net and how long it trains."""

    widths: tuple[int, ...]
    batch: int
    epochs: int
    rounds: int


TASKS = {
    "digits": Task((64, 128, 128, 10), batch=64, epochs=30, rounds=10),
    "fashion": Task((784, 256, 128, 10), batch=128, epochs=3, rounds=3),
}


def load(task: str) -> tuple[Any, Any, Any, Any]:
    """Training inputs (float32) and classes (int64), held-out inputs and classes; standardised by the training part."""
    import numpy as np

    if task == "digits":
        from sklearn.datasets import load_digits

        x, y = load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(x))
        held, rows = order[:360], order[360:]
        x_train, y_train, x_held, y_held = x[rows], y[rows], x[held], y[held]
        centre, spread = x_train.mean(0), x_train.std(0) + 1e-8
    else:

        def idx(name: str, offset: int) -> Any:
            return np.frombuffer(gzip.decompress((IMAGES / name).read_bytes()), np.uint8, offset=offset)

        x_train = idx("train-images-idx3-ubyte.gz", 16).reshape(-1, 784).astype(np.float32)
        x_held = idx("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 784).astype(np.float32)
        y_train, y_held = idx("train-labels-idx1-ubyte.gz", 8), idx("t10k-labels-idx1-ubyte.gz", 8)
        centre, spread = x_train.mean(), x_train.std()
    scaled = [np.ascontiguousarray((x - centre) / spread, dtype=np.float32) for x in (x_train, x_held)]
    return scaled[0], y_train.astype(np.int64), scaled[1], y_held.astype(np.int64)


Fit = Callable[[int], Callable[[Any], Any]]
"""Trains a new net for some passes; gives a function from inputs to classes."""


def torch_net(widths: tuple[int, ...]) -> Any:
    from torch import nn

    layers: list[Any] = []
    for n_in, n_out in itertools.pairwise(widths[:-1]):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))


def torch_classes(model: Any) -> Callable[[Any], Any]:
    import torch

    def classes(x: Any) -> Any:
        model.eval()
        with torch.no_grad():
            return model(torch.from_numpy(x)).argmax(1).numpy()

    return classes


def torch_loop(task: Task, x: Any, y: Any, *, fused: bool, loader: bool) -> Fit:
    import torch
    from torch.nn.functional import cross_entropy
    from torch.utils.data import DataLoader, TensorDataset

    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)

    def batches() -> Any:
        if loader:
            yield from DataLoader(TensorDataset(inputs, targets), batch_size=task.batch, shuffle=True)
            return
        order = torch.randperm(len(inputs))
        for start in range(0, len(inputs), task.batch):
            rows = order[start : start + task.batch]
            yield inputs[rows], targets[rows]

    def fit(epochs: int) -> Callable[[Any], Any]:
        model = torch_net(task.widths)
        optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=fused or None)
        for _ in range(epochs):
            for a, b in batches():
                loss = cross_entropy(model(a), b)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return torch_classes(model)

    return fit


def lean(task: Task, x: Any, y: Any) -> Fit:
    return torch_loop(task, x, y, fused=True, loader=False)


def indexing(task: Task, x: Any, y: Any) -> Fit:
    return torch_loop(task, x, y, fused=False, loader=False)


def data_loader(task: Task, x: Any, y: Any) -> Fit:
    return torch_loop(task, x, y, fused=False, loader=True)


def thalweg_loop(task: Task, x: Any, y: Any, *, monitored: bool) -> Fit:
    import torch

    from thalweg.data import TensorBatches
    from thalweg.history import History
    from thalweg.models import Backprop
    from thalweg.monitors import default
    from thalweg.optim import Adam
    from thalweg.train import OBJECTIVES, train

    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)

    def fit(epochs: int) -> Callable[[Any], Any]:
        model = torch_net(task.widths)
        optimizer = Adam(model.parameters(), lr=RATE)
        gradients = Backprop(model, OBJECTIVES["multiclass"])
        batches = TensorBatches(inputs, targets, batch_size=task.batch, seed=0)
        hooks = default(History()) if monitored else ()
        train(model, optimizer, gradients, batches, epochs=epochs, hooks=hooks)
        return torch_classes(model)

    return fit


def thalweg_bare(task: Task, x: Any, y: Any) -> Fit:
    return thalweg_loop(task, x, y, monitored=False)


def thalweg_monitored(task: Task, x: Any, y: Any) -> Fit:
    return thalweg_loop(task, x, y, monitored=True)


def thalweg_fit(task: Task, x: Any, y: Any, *, own: bool = False) -> Fit:
    import torch

    import thalweg
    from thalweg.data import TensorBatches

    class Own(torch.nn.Module):
        """A module that only autograd can take."""

        def __init__(self) -> None:
            super().__init__()
            self.net = torch_net(task.widths)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x)

    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)

    class Loader:
        """The training part in batches, shuffled anew at each iteration, as ``fit`` takes loaders."""

        passes = 0

        def __iter__(self) -> Any:
            self.passes += 1
            return TensorBatches(inputs, targets, batch_size=task.batch, seed=self.passes).epoch(0)

        def __len__(self) -> int:
            return -(-len(inputs) // task.batch)

    _, _, x_held, y_held = load("digits" if task is TASKS["digits"] else "fashion")
    held = torch.from_numpy(x_held), torch.from_numpy(y_held)

    def fit(epochs: int) -> Callable[[Any], Any]:
        model = Own() if own else torch_net(task.widths)
        thalweg.fit(
            model, Loader(), dev=held, task="multiclass", rule="adam", lr=RATE, schedule="constant", warmup=0.0,
            clip_norm=None, epochs=epochs, patience=0, threads=1,
        )  # fmt: skip
        return torch_classes(model)

    return fit


def thalweg_fit_own(task: Task, x: Any, y: Any) -> Fit:
    return thalweg_fit(task, x, y, own=True)


def scikit_learn(task: Task, x: Any, y: Any) -> Fit:
    from sklearn.neural_network import MLPClassifier

    def fit(epochs: int) -> Callable[[Any], Any]:
        model = MLPClassifier(
            task.widths[1:-1], alpha=0.0, batch_size=task.batch, learning_rate_init=RATE, max_iter=epochs, tol=0.0,
            n_iter_no_change=10**6,
        )  # fmt: skip
        return model.fit(x, y).predict

    return fit


def skorch(task: Task, x: Any, y: Any) -> Fit:
    import torch
    from skorch import NeuralNetClassifier

    def fit(epochs: int) -> Callable[[Any], Any]:
        model = NeuralNetClassifier(
            torch_net(task.widths), criterion=torch.nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=RATE,
            max_epochs=epochs, batch_size=task.batch, iterator_train__shuffle=True, train_split=None, verbose=0,
        )  # fmt: skip
        return model.fit(x, y).predict

    return fit


def lightning(task: Task, x: Any, y: Any) -> Fit:
    import logging

    import lightning as L
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    dataset = TensorDataset(torch.from_numpy(x), torch.from_numpy(y))

    class Module(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = torch_net(task.widths)

        def training_step(self, batch: Any, index: int) -> Any:
            return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=RATE)

    def fit(epochs: int) -> Callable[[Any], Any]:
        module = Module()
        trainer = L.Trainer(max_epochs=epochs, accelerator="cpu", barebones=True)
        trainer.fit(module, DataLoader(dataset, batch_size=task.batch, shuffle=True))
        return torch_classes(module.net)

    return fit


def keras(task: Task, x: Any, y: Any) -> Fit:
    os.environ["KERAS_BACKEND"] = "torch"
    import keras as K

    def fit(epochs: int) -> Callable[[Any], Any]:
        layers = [K.layers.Dense(units, activation="relu") for units in task.widths[1:-1]]
        model = K.Sequential([K.layers.Input((task.widths[0],)), *layers, K.layers.Dense(task.widths[-1])])
        loss = K.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(K.optimizers.Adam(RATE), loss)
        model.fit(x, y, batch_size=task.batch, epochs=epochs, verbose=0)
        return lambda inputs: model.predict(inputs, verbose=0, batch_size=1000).argmax(1)

    return fit


def jax_scan(task: Task, x: Any, y: Any) -> Fit:
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax

    inputs, targets = jnp.asarray(x), jnp.asarray(y, dtype=jnp.int32)
    optimizer = optax.adam(RATE)
    whole = len(x) // task.batch

    def outputs(parameters: Any, h: Any) -> Any:
        for W, b in parameters[:-1]:
            h = jax.nn.relu(h @ W + b)
        W, b = parameters[-1]
        return h @ W + b

    def loss(parameters: Any, a: Any, b: Any) -> Any:
        return optax.softmax_cross_entropy_with_integer_labels(outputs(parameters, a), b).mean()

    def step(carry: Any, rows: Any) -> Any:
        parameters, state = carry
        value, gradients = jax.value_and_grad(loss)(parameters, inputs[rows], targets[rows])
        updates, state = optimizer.update(gradients, state)
        return (optax.apply_updates(parameters, updates), state), value

    @jax.jit
    def epoch(carry: Any, order: Any) -> Any:
        carry, _ = jax.lax.scan(step, carry, order[: whole * task.batch].reshape(whole, task.batch))
        return step(carry, order[whole * task.batch :])[0] if len(x) % task.batch else carry

    generator = np.random.default_rng()

    def fit(epochs: int) -> Callable[[Any], Any]:
        parameters = [
            (jnp.asarray(generator.normal(size=(i, o)) * (2 / i) ** 0.5, dtype=jnp.float32), jnp.zeros(o))
            for i, o in itertools.pairwise(task.widths)
        ]
        carry = parameters, optimizer.init(parameters)
        for _ in range(epochs):
            carry = epoch(carry, generator.permutation(len(x)))
        jax.block_until_ready(carry)
        return lambda a: np.asarray(outputs(carry[0], a)).argmax(1)

    return fit


@dataclass(frozen=True)
class Framework:
    """What the table calls it, what makes its fit, and the packages whose versions matter."""

    words: str
    make: Callable[[Task, Any, Any], Fit]
    packages: tuple[str, ...]


FRAMEWORKS = {
    "loop": Framework("**thalweg**, loop with monitors", thalweg_monitored, ("thalweg",)),
    "bare": Framework("**thalweg**, loop alone", thalweg_bare, ("thalweg",)),
    "fit": Framework("**thalweg.fit**, dev part measured each pass", thalweg_fit, ("thalweg",)),
    "own": Framework("**thalweg.fit** on a module of one's own (autograd)", thalweg_fit_own, ("thalweg",)),
    "jax": Framework("JAX, a pass in one `scan` under jit", jax_scan, ("jax", "optax")),
    "lean": Framework("lean PyTorch: indexing, fused Adam", lean, ("torch",)),
    "indexing": Framework("PyTorch, indexing, default Adam", indexing, ("torch",)),
    "loader": Framework("PyTorch, DataLoader", data_loader, ("torch",)),
    "sklearn": Framework("scikit-learn MLPClassifier", scikit_learn, ("scikit-learn",)),
    "skorch": Framework("skorch", skorch, ("skorch",)),
    "lightning": Framework("Lightning, barebones", lightning, ("lightning",)),
    "keras": Framework("Keras 3 on PyTorch", keras, ("keras",)),
}


def work(name: str, task_name: str) -> None:
    """One fit in this process; prints what was measured as JSON."""
    warnings.simplefilter("ignore")
    task, framework = TASKS[task_name], FRAMEWORKS[name]
    try:
        versions = {package: importlib.metadata.version(package) for package in framework.packages}
        if name not in ("sklearn", "jax"):
            import torch

            torch.set_num_threads(1)
        x, y, x_held, y_held = load(task_name)
        fit = framework.make(task, x, y)
    except (ImportError, importlib.metadata.PackageNotFoundError) as missing:
        print(json.dumps({"skipped": str(missing)}))
        return
    begin = time.perf_counter()
    fit(1)
    first = time.perf_counter() - begin
    wall, processor = time.perf_counter(), time.process_time()
    classes = fit(task.epochs)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    accuracy = float((classes(x_held) == y_held).mean())
    samples = len(x) * task.epochs
    numbers = {"wall": samples / wall, "processor": samples / processor, "accuracy": accuracy, "first": first}
    print(json.dumps({**numbers, "versions": versions}))


def measure(name: str, task: str, core: int) -> dict[str, Any]:
    """Runs ``work`` in a process pinned to one core, with one thread."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    flags = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, __file__, "--worker", name, "--tasks", task]
    if sys.platform == "linux":
        command = ["taskset", "-c", str(core), *command]
    done = subprocess.run(command, env={**os.environ, **one, **flags}, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"skipped": (done.stderr.strip().splitlines() or ["it failed without a word"])[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def table(task_name: str, rounds: list[dict[str, dict[str, Any]]]) -> list[str]:
    """The markdown table of one task, fastest first by the processor's clock."""
    task = TASKS[task_name]
    net = "-".join(map(str, task.widths))
    lines = [
        f"## {task_name}: {net}, batch {task.batch}, {task.epochs} passes, n = {len(rounds)} rounds",
        "",
        "| | × lean, processor (min … max) | × lean, wall (min … max) | samples/s, processor | first pass, s | accuracy, % |",
        "|---|---|---|---|---|---|",
    ]
    rows = []
    for name, framework in FRAMEWORKS.items():
        found = [r[name] for r in rounds if name in r and "skipped" not in r[name]]
        if not found:
            reasons = {r[name]["skipped"] for r in rounds if name in r}
            if reasons:
                rows.append((0.0, f"| {framework.words} | skipped: {'; '.join(reasons)} | | | | |"))
            continue
        cells = []
        for clock in ("processor", "wall"):
            ratios = [
                r[name][clock] / r["lean"][clock]
                for r in rounds
                if clock in r.get(name, {}) and clock in r.get("lean", {})
            ]
            middle = statistics.median(ratios) if ratios else float("nan")
            spread = f" ({min(ratios):.2f} … {max(ratios):.2f})" if ratios else ""
            cells.append(f"{middle:.2f}{spread}")
        speed = statistics.median(r["processor"] for r in found)
        accuracies = [100 * r["accuracy"] for r in found]
        spread = f" ± {statistics.stdev(accuracies):.1f}" if len(accuracies) > 1 else ""
        first = statistics.median(r["first"] for r in found)
        cells += [f"{speed:,.0f}", f"{first:.1f}", f"{statistics.mean(accuracies):.1f}{spread}"]
        rows.append((speed, f"| {framework.words} | {' | '.join(cells)} |"))
    return [*lines, *(row for _, row in sorted(rows, key=lambda row: -row[0])), ""]


def heading(rounds: list[dict[str, dict[str, Any]]]) -> list[str]:
    versions = {k: v for r in rounds for found in r.values() for k, v in found.get("versions", {}).items()}
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = [row for row in Path("/proc/cpuinfo").read_text().splitlines() if row.startswith("model name")]
        processor = names[0].split(":")[1].strip() if names else processor
    load = f"load {os.getloadavg()[0]:.1f} at the end, " if hasattr(os, "getloadavg") else ""
    return [
        "# Training the same net",
        "",
        *(__doc__ or "").strip().split("\n\n", 2)[2].splitlines(),
        "",
        f"{time.strftime('%Y-%m-%d')}, {processor}, {os.cpu_count()} cores ({load}one used), {platform.system()}, "
        f"Python {platform.python_version()}; " + ", ".join(f"{k} {v}" for k, v in sorted(versions.items())) + ".",
        "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--frameworks", default=",".join(FRAMEWORKS))
    parser.add_argument(
        "--rounds", type=int, help="rounds of each task; 10 for digits and 3 for fashion when not given"
    )
    parser.add_argument("--core", type=int, default=0, help="the core that every process is pinned to")
    parser.add_argument("--out", type=Path, help="where the tables are written, too")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(given.worker, given.tasks)
        return
    names = given.frameworks.split(",")
    pages, everything = [], []
    for task in given.tasks.split(","):
        if task == "fashion" and not IMAGES.exists():
            pages += [f"## fashion: skipped, there is no {IMAGES}", ""]
            continue
        rounds: list[dict[str, dict[str, Any]]] = []
        for number in range(given.rounds or TASKS[task].rounds):
            found = {}
            for name in random.sample(names, len(names)):
                found[name] = measure(name, task, given.core)
                speed = found[name].get("processor")
                words = f"{speed:,.0f} samples/s" if speed else f"skipped: {found[name]['skipped']}"
                print(f"{task} round {number + 1}: {name}: {words}", file=sys.stderr, flush=True)
            rounds.append(found)
        everything += rounds
        pages += table(task, rounds)
    text = "\n".join([*heading(everything), *pages])
    print(text)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
