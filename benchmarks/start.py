"""How long until the first step: importing, a rule never seen, a rule in the cache.

    python benchmarks/start.py --out benchmarks/results/start.md

Each number is the median over fresh processes. ``new`` has an empty cache folder: SymPy lowers the rule, Numba compiles it.
``cached`` finds program and machine code there and imports neither.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

CODE = """
import json, sys, time
a = time.perf_counter(); import torch
b = time.perf_counter(); from thalweg import optim
c = time.perf_counter()
parameters = [torch.nn.Parameter(torch.randn(64, 64)) for _ in range(6)]
for p in parameters: p.grad = torch.randn_like(p)
optimizer = getattr(optim, sys.argv[1])(parameters)
d = time.perf_counter(); optimizer.step()
print(json.dumps({"torch": b - a, "thalweg.optim": c - b, "first step": time.perf_counter() - d}))
"""


def once(rule: str, cache: str) -> dict[str, float]:
    environment = {**os.environ, "THALWEG_CACHE": cache, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "-c", CODE, rule], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--note", default="")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = [
        "# Until the first step",
        "",
        f"{platform.machine()}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}. {arguments.note}",
        "",
        "Seconds, median (smallest–largest) over fresh processes.",
        "",
        "| rule | importing thalweg.optim after torch | first step, new | first step, cached | processes |",
        "|---|---:|---:|---:|---:|",
    ]
    for rule in ("SGD", "AdamW", "NAdam", "LAMB"):
        new, cached = [], []
        for _ in range(arguments.rounds):
            with tempfile.TemporaryDirectory() as folder:
                new.append(once(rule, folder))
                cached.append(once(rule, folder))
        columns = [
            [run["thalweg.optim"] for run in new + cached],
            [run["first step"] for run in new],
            [run["first step"] for run in cached],
        ]
        cells = [f"{statistics.median(c):.3f} ({min(c):.3f}–{max(c):.3f})" for c in columns]
        rows.append(f"| {rule} | {' | '.join(cells)} | {arguments.rounds} |")
        print(rows[-1], flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
