"""Optimizer states in bfloat16 and in 8 bits: memory, speed, and where training ends on Fashion-MNIST.

    python benchmarks/narrow.py --data /usr/share/datasets/fashion-mnist --out benchmarks/results/narrow.md

The same net is trained by AdamW on the same batches with states in float32, bfloat16 and 8 bits, for several seeds; the final
losses are compared seed by seed. Memory is counted from the state tensors.
"""

from __future__ import annotations

import argparse
import gzip
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from thalweg import optim

STORAGES = ("float32", "bfloat16", "8bit")


def images(folder: Path, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    def read(name: str, offset: int) -> np.ndarray:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.exists():
                raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
                return np.frombuffer(raw, np.uint8, offset=offset)
        raise SystemExit(f"{folder / name} is not there: install dataset-fashion-mnist or give --data")

    x = read(f"{part}-images-idx3-ubyte", 16).reshape(-1, 784).astype(np.float32) / 255
    return torch.from_numpy((x - 0.286) / 0.353), torch.from_numpy(
        read(f"{part}-labels-idx1-ubyte", 8).astype(np.int64)
    )


def train(storage: str, seed: int, epochs: int, data: tuple[torch.Tensor, ...]) -> dict[str, float]:
    inputs, targets, test_inputs, test_targets = data
    torch.manual_seed(seed)
    model = torch.nn.Sequential(
        torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10)
    )
    optimizer = optim.AdamW(model.parameters(), lr=1e-3, state_dtype=storage)
    generator = torch.Generator().manual_seed(seed)
    spent = 0.0
    for _ in range(epochs):
        for batch in torch.randperm(len(inputs), generator=generator).split(128):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs[batch]), targets[batch]).backward()
            start = time.perf_counter()
            optimizer.step()
            spent += time.perf_counter() - start
    with torch.no_grad():
        loss = float(torch.nn.functional.cross_entropy(model(inputs), targets))
        scores = model(test_inputs)
        test = float(torch.nn.functional.cross_entropy(scores, test_targets))
        accuracy = float((scores.argmax(1) == test_targets).float().mean())
    states = [v for state in optimizer.state.values() for name, v in state.items() if name != "step"]
    weights = sum(parameter.numel() for parameter in model.parameters())
    size = sum(v.numel() * v.element_size() for v in states) / weights
    return {"train": loss, "test": test, "accuracy": accuracy, "bytes": size, "step": spent}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--note", default="")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    data = (*images(arguments.data, "train"), *images(arguments.data, "t10k"))
    rows = [
        "# Narrow states",
        "",
        f"{platform.machine()}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}. {arguments.note}",
        "",
        f"AdamW on Fashion-MNIST, MLP 784-256-256-10, batch 128, {arguments.epochs} epochs, {arguments.seeds} seeds. Against "
        "float32 states: ratio of the final losses, seed by seed, mean (smallest–largest).",
        "",
        "| states | bytes a weight | train loss | ratio | test loss | ratio | accuracy | time of steps, to float32's |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    found = {s: [] for s in STORAGES}
    for seed in range(arguments.seeds):
        for storage in STORAGES:
            found[storage].append(train(storage, seed, arguments.epochs, data))
            print(storage, seed, found[storage][-1], flush=True)
    for storage in STORAGES:
        cells = [storage, f"{found[storage][0]['bytes']:.2f}"]
        for name in ("train", "test"):
            cells.append(f"{statistics.fmean(run[name] for run in found[storage]):.4f}")
            ratios = [a[name] / b[name] for a, b in zip(found[storage], found["float32"], strict=True)]
            cells.append(f"{statistics.fmean(ratios):.4f} ({min(ratios):.4f}–{max(ratios):.4f})")
        cells.append(f"{statistics.fmean(run['accuracy'] for run in found[storage]):.2%}")
        ratios = [a["step"] / b["step"] for a, b in zip(found[storage], found["float32"], strict=True)]
        cells.append(f"{statistics.median(ratios):.2f}")
        rows.append("| " + " | ".join(cells) + " |")
    print("\n".join(rows))
    if arguments.out:
        arguments.out.write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
