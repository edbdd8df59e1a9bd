"""How many steps of how many candidates a second: one program, or one after another?

    python benchmarks/population.py                                     # all nets, K = 1, 8, 64, five rounds
    python benchmarks/population.py --nets 64-32-32-10 --ks 64 --rounds 3 --out benchmarks/results/population.md

A member-step is one mini-batch of one candidate: gather, forward, back, update with Adam (decay decoupled), the rate its own.
Each round times every way once, in random order, on one core and one thread; a ratio is taken within a round. The clock
is the processor's: on a shared machine the wall's says more about the neighbours. Compilation is not counted, but told.

* *eager*: a hand-written PyTorch loop, ``torch.optim.Adam``, one candidate after another (what a search does one by one);
* *eager fused*: the same with ``fused=True``;
* *one by one*: thalweg's own loop, one candidate after another;
* *one per core*: the same in two processes at once, each on a core of its own; what a core does there, against the population
  on one core (compiled members share nothing, so two threads do twice as much);
* *population*: ``train_population``'s way for this net, all K together;
* *jax*: ``jax.vmap`` over the candidates of a ``lax.scan`` over the mini-batches, jitted; *jax, compiled first*: a search of
  ``BUDGET`` steps of every candidate, tracing and compiling (and our start) included.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np
import torch
from torch import nn

STEPS = 20
BUDGET = 1000


@dataclass(frozen=True)
class Net:
    """A net, the size of its mini-batches and the shape of an example."""

    widths: tuple[int, ...]
    batch: int
    shape: tuple[int, ...]
    ks: tuple[int, ...] = (1, 8, 64)
    activation: str = "relu"


NETS = {
    "64-32-32-10": Net((64, 32, 32, 10), 32, (64,)),
    "64-32-32-10 tanh": Net((64, 32, 32, 10), 32, (64,), activation="tanh"),
    "64-32-32-10 gelu": Net((64, 32, 32, 10), 32, (64,), (64,), "gelu"),
    "64-128-128-10": Net((64, 128, 128, 10), 64, (64,)),
    "conv": Net((), 32, (1, 8, 8)),
    "784-256-128-10": Net((784, 256, 128, 10), 128, (784,), (1, 8, 16)),
}


def build(net: Net, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    if net.widths:
        from thalweg.models import mlp

        return mlp(net.widths[0], net.widths[-1], hidden=net.widths[1:-1], activation=net.activation)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def data(net: Net) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    rows = STEPS * net.batch
    return torch.randn(rows, *net.shape, generator=generator), torch.randint(0, 10, (rows,), generator=generator)


def rate_of(k: int) -> float:
    return 1e-3 * (1 + k % 7)


Pass = Callable[[], object]


def eager(net: Net, fused: bool) -> Pass:
    """One pass of one candidate: the others would each take as long."""
    x, y = data(net)
    model = build(net, 0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=fused)
    order = torch.randperm(len(x))

    def run() -> None:
        for rows in order.split(net.batch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()

    return run


def ours(net: Net, members: int, way: str) -> tuple[Pass, str]:
    from thalweg.optim import AdamW
    from thalweg.population.members import Member, Part, Seat, orders_of
    from thalweg.population.ways import choose
    from thalweg.train.objectives import CrossEntropy

    x, y = data(net)
    part = Part(x, y)
    seats = [
        Seat(Member(build(net, k), lambda p, k=k: AdamW(p, lr=rate_of(k)), CrossEntropy(), part))  # type: ignore[misc]
        for k in range(members)
    ]
    chosen, _ = choose(seats, batch_size=net.batch, way=way)
    return lambda: chosen.train(orders_of(seats, 0)), chosen.name


def with_jax(net: Net, members: int) -> Pass:
    import jax
    import jax.numpy as jnp
    import optax

    x, y = (tensor.numpy() for tensor in data(net))
    modules = [build(net, k) for k in range(members)]
    weights = [
        jnp.stack([p.detach().numpy() for p in column])
        for column in zip(*(m.parameters() for m in modules), strict=True)
    ]
    rates = jnp.array([rate_of(k) for k in range(members)])
    order = np.random.default_rng(0).permutation(len(x)).reshape(STEPS, net.batch)
    between = {"relu": jax.nn.relu, "tanh": jnp.tanh, "gelu": partial(jax.nn.gelu, approximate=False)}[net.activation]

    def outputs(w: list[Any], z: Any) -> Any:
        if net.widths:
            layers = [*zip(w[::2], w[1::2], strict=True)]
        else:
            for weight, bias in ((w[0], w[1]), (w[2], w[3])):
                z = jax.lax.conv(z, weight, (1, 1), "SAME") + bias[:, None, None]
                z = jax.lax.reduce_window(jax.nn.relu(z), -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
            z, layers = z.reshape(len(z), -1), [(w[4], w[5])]
        for index, (weight, bias) in enumerate(layers):
            z = z @ weight.T + bias
            z = between(z) if index + 1 < len(layers) else z
        return z

    def loss(w: list[Any], inputs: Any, targets: Any) -> Any:
        return optax.softmax_cross_entropy_with_integer_labels(outputs(w, inputs), targets).mean()

    rule = optax.scale_by_adam()

    def passes(w: list[Any], state: Any, rate: Any, inputs: Any, targets: Any) -> Any:
        def step(carry: Any, rows: Any) -> Any:
            w, state = carry
            value, gradient = jax.value_and_grad(loss)(w, inputs[rows], targets[rows])
            update, state = rule.update(gradient, state)
            w = [p * (1 - rate * 0.01) - rate * u for p, u in zip(w, update, strict=True)]
            return (w, state), value

        return jax.lax.scan(step, (w, state), order)

    program = jax.jit(jax.vmap(passes, in_axes=(0, 0, 0, None, None)))
    held = [weights, jax.vmap(rule.init)(weights)]
    inputs, targets = jnp.asarray(x), jnp.asarray(y)

    def run() -> None:
        carry, _ = program(held[0], held[1], rates, inputs, targets)
        held[:] = jax.block_until_ready(carry)

    return run


def _core(name: str, core: int, seconds: float, start: Any, found: Any) -> None:
    """One process of two: processor seconds of a step of one candidate after another, on a core of its own."""
    os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)
    run, _ = ours(NETS[name], 1, "one by one")
    run()
    start.wait()
    found.put(timed(run, seconds) / STEPS)


def one_per_core(name: str, cores: list[int], seconds: float = 0.5) -> float:
    """Processor seconds of a step where each of two cores trains one candidate after another."""
    import multiprocessing

    spawned = multiprocessing.get_context("spawn")
    start, found = spawned.Barrier(2), spawned.Queue()
    workers = [spawned.Process(target=_core, args=(name, core, seconds, start, found)) for core in cores[:2]]
    for worker in workers:
        worker.start()
    steps = [found.get() for _ in workers]
    for worker in workers:
        worker.join()
    return statistics.mean(steps)


def timed(run: Pass, seconds: float = 0.15) -> float:
    """Processor seconds of a pass: the median of as many as there is time for, two at least."""
    taken: list[float] = []
    while len(taken) < 2 or sum(taken) < seconds:
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def spread(values: list[float], digits: str = ".3g") -> str:
    return f"{statistics.median(values):{digits}} ({min(values):{digits}}–{max(values):{digits}})"


def compare(name: str, members: int, rounds: int, *, jax: bool, apart: float | None) -> tuple[str, dict[str, Any]]:
    net = NETS[name]
    start = time.process_time()
    population, way = ours(net, members, "auto")
    population()
    made = time.process_time() - start
    runs: dict[str, tuple[Pass, int]] = {
        "eager": (eager(net, False), 1), "eager fused": (eager(net, True), 1), "one by one": (ours(net, 1, "one by one")[0], 1),
        "population": (population, members),
    }  # fmt: skip
    compiling = 0.0
    if jax:
        start = time.process_time()
        runs["jax"] = (with_jax(net, members), members)
        runs["jax"][0]()
        compiling = time.process_time() - start
    for run, _ in runs.values():
        run()
    taken: dict[str, list[float]] = {which: [] for which in runs}
    for _ in range(rounds):
        for which in random.sample(list(runs), len(runs)):
            run, count = runs[which]
            taken[which].append(timed(run) / (count * STEPS))
    own = taken["population"]
    ratios = [
        spread([other / mine for other, mine in zip(taken[which], own, strict=True)]) if which in taken else "–"
        for which in ("eager", "eager fused", "one by one", "jax")
    ]
    mine = statistics.median(own)
    beside = "–" if apart is None else f"{apart / mine:.3g}"
    whole = None
    if jax:
        theirs = statistics.median(taken["jax"])
        whole = (compiling + theirs * members * BUDGET) / (made + mine * members * BUDGET)
    row = [
        name, str(members), way, f"{1 / mine:,.0f}", *ratios[:3], beside, ratios[3], "–" if whole is None else f"{whole:.3g}",
        f"{made:.1f}", f"{compiling:.1f}" if jax else "–",
    ]  # fmt: skip
    numbers = {
        "net": name,
        "members": members,
        "way": way,
        "member_steps_per_second": 1 / mine,
        "vs_jax_compiled_first": whole,
    }
    for which in ("eager fused", "one by one", "jax"):
        if which in taken:
            numbers[f"vs_{which.replace(' ', '_')}"] = statistics.median(taken[which]) / mine
    return f"| {' | '.join(row)} |", numbers | {"vs_one_per_core": None if apart is None else apart / mine}


COLUMNS = (
    "net", "K", "way", "member-steps/s", "× eager", "× eager fused", "× one by one", "× one per core", "× jax",
    "× jax, compiled first", "start s", "jax compiles s",
)  # fmt: skip
HEAD = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", default=",".join(NETS))
    parser.add_argument("--ks", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-jax", action="store_true")
    parser.add_argument("--out", default="")
    parser.add_argument("--json", action="store_true", help="end with one JSON object: a record for each row")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, {random.choice(cores)})
    jax = not options.no_jax
    if jax:
        try:
            import jax as _  # noqa: F401
        except ImportError:
            print("jax is not installed: its column stays empty")
            jax = False
    lines, records = [HEAD], []
    print(HEAD)
    for name in options.nets.split(","):
        apart = one_per_core(name, cores) if len(cores) > 1 else None
        for members in map(int, options.ks.split(",")) if options.ks else NETS[name].ks:
            line, record = compare(name, members, options.rounds, jax=jax, apart=apart)
            lines.append(line)
            records.append(record)
            print(line, flush=True)
    if options.out:
        about = f"""# Member-steps a second

`python benchmarks/population.py --rounds {options.rounds}`, torch {torch.__version__}, one thread on one core; processor
time, median of {options.rounds} rounds (smallest–largest), ratios taken within a round: above 1, the population is faster.
Batches: 32 for 64-32-32-10 and conv (8 and 16 channels, 8 × 8 images), 64 for 64-128-128-10, 128 for 784-256-128-10.
*start*: making the way and its first pass, machine code from the cache if it was there; *jax compiles*: tracing and compiling.

"""
        with open(options.out, "w", encoding="utf-8") as file:
            file.write(about + "\n".join(lines) + "\n")
    if options.json:
        print(json.dumps({"rows": records}))


if __name__ == "__main__":
    main()
