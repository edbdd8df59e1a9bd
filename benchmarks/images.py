"""How far does the residual net get on Fashion-MNIST, in eight passes and in half an hour?

    python benchmarks/images.py                                    # both, one after the other
    python benchmarks/images.py --only eight --out benchmarks/results/images.md

Two commands that anyone can type, each in a process of its own. The test part (10,000 images) is looked at once, at the end of
each. ``eight`` leaves all but the net, the passes and the number format open; ``half-hour`` is the best that was found to fit
into thirty minutes of two cores: random shifts and flips, and twice the passes.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = {
    "eight": "train fashion-mnist --model resnet --epochs 8 --precision bfloat16",
    "half-hour": "train fashion-mnist --model resnet --epochs 16 --precision bfloat16 --augment standard,flip",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(COMMANDS))
    parser.add_argument("--note", default=platform.machine(), help="the machine, in words")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    lines = [
        "# Fashion-MNIST, residual convolutional net",
        "",
        f"`python benchmarks/images.py`. {arguments.note}, Python {platform.python_version()}. Minutes include reading the "
        "data and the search for the rate.",
        "",
        "| command | training accuracy | dev | test | minutes |",
        "|---|---|---|---|---|",
    ]
    for name in arguments.only.split(","):
        with tempfile.TemporaryDirectory() as runs:
            start = time.perf_counter()
            words = [sys.executable, "-m", "thalweg", *COMMANDS[name].split(), "--runs", runs, "--json"]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            minutes = (time.perf_counter() - start) / 60
        metrics = json.loads(done.stdout.splitlines()[-1])["metrics"]
        shares = " | ".join(f"{metrics[part]['accuracy']:.2%}" for part in ("train", "dev", "test"))
        lines.append(f"| `thalweg {COMMANDS[name]}` | {shares} | {minutes:.0f} |")
        print(lines[-1], flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
