"""Data larger than memory: how much memory a pass takes as the data grow, and how fast it is beside data in memory.

    python benchmarks/stream.py --folder /tmp/stream --sizes 0.25 1.25 5 10 --out benchmarks/results/stream.md

*Memory*: Parquet files of 40 numbers, a category and a target are written (numbers are random, so compression gains nothing),
and a process of its own opens one, prepares it and trains a net for one pass; most resident is the peak that the system
counts for it (``VmHWM``, which is ``ru_maxrss`` without what the parent process once held).
Each file is deleted before the next one is written. *Throughput*: in one process, passes over the same encoded rows in
memory and from the files, in turn, with the same net, optimizer and batch size; the ratio of each two neighbours.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from thalweg.data import TensorBatches
from thalweg.data.streaming import Streamed, open_stream
from thalweg.models import Backprop
from thalweg.optim import AdamW
from thalweg.train import train

NUMBERS = 40
GROUP = 1 << 17
LIMIT_MB = 2000


def write_table(path: Path, gigabytes: float) -> int:
    """Rows of a Parquet file of about that size on disk, written group by group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    generator = np.random.default_rng(0)
    direction = generator.standard_normal(NUMBERS, dtype=np.float32)
    base = generator.standard_normal((GROUP, NUMBERS), dtype=np.float32)
    towns, answers = pa.array(["Ulm", "Bonn", "Kiel", "Jena"]), pa.array(["no", "yes"])
    writer, rows = None, 0
    while not path.exists() or path.stat().st_size < gigabytes * 1e9 - 10e6:
        # Other numbers in every group, at a tenth of the price of normal ones; a page compresses no better for it.
        x = np.roll(base, generator.integers(GROUP), axis=0) * np.float32(generator.uniform(0.9, 1.1))
        columns = {f"x{k}": np.ascontiguousarray(x[:, k]) for k in range(NUMBERS)}
        columns["town"] = towns.take(pa.array(generator.integers(0, 4, GROUP, np.int8)))
        bought = x @ direction + generator.standard_normal(GROUP, dtype=np.float32) > 0
        columns["bought"] = answers.take(pa.array(bought.view(np.int8)))
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="snappy", use_dictionary=["town", "bought"])
        writer.write_table(table)
        rows += GROUP
    if writer is not None:
        writer.close()
    return rows


def write_images(folder: Path, rows: int) -> None:
    """Bytes 28 × 28 of ten classes in ``X.npy`` and ``y.npy``."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    y = generator.integers(0, 10, rows)
    centres = generator.integers(0, 256, (10, 28, 28))
    images = np.lib.format.open_memmap(folder / "X.npy", "w+", np.uint8, (rows, 28, 28))
    for start in range(0, rows, 10_000):
        labels = y[start : start + 10_000]
        images[start : start + 10_000] = (centres[labels] + generator.integers(0, 256, (len(labels), 28, 28))) // 2
    np.save(folder / "y.npy", y)


def net(streamed: Streamed, widths: tuple[int, ...]) -> tuple[torch.nn.Module, torch.nn.Module]:
    torch.manual_seed(0)
    width = int(np.prod(streamed.preprocessor.input_shape))
    layers: list[torch.nn.Module] = [torch.nn.Flatten()]
    for size in widths:
        layers += [torch.nn.Linear(width, size), torch.nn.ReLU()]
        width = size
    layers.append(torch.nn.Linear(width, streamed.preprocessor.n_outputs))
    binary = streamed.preprocessor.task == "binary"
    return torch.nn.Sequential(*layers), torch.nn.BCEWithLogitsLoss() if binary else torch.nn.CrossEntropyLoss()


def most_resident() -> float:
    """Megabytes (10⁶ bytes), the peak of this process."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found, "Linux alone counts this"
    return int(found[1]) * 1024 / 1e6


def one_pass(path: Path) -> None:
    """What the child process does; prints its figures as JSON."""
    begin = most_resident()
    start = time.perf_counter()
    stream = open_stream(path, target="bought")
    opened = time.perf_counter()
    streamed = stream.prepare(seed=0, batch_size=256)
    prepared = time.perf_counter()
    ready = most_resident()
    model, loss = net(streamed, (64,))
    state = train(model, AdamW(model.parameters(), lr=1e-3), Backprop(model, loss), streamed.batches, epochs=1)
    trained = time.perf_counter()
    model.eval()
    with torch.inference_mode():
        said = model(torch.from_numpy(streamed.dev[0]))[:, 0] > 0
    figures = {
        "rows": len(stream),
        "steps": state.step,
        "open": opened - start,
        "prepare": prepared - opened,
        "train": trained - prepared,
        "dev": float((said.numpy() == streamed.dev[1].astype(bool)).mean()),
        "import_mb": begin,
        "ready_mb": ready,
        "most_mb": most_resident(),
    }
    print(json.dumps(figures))


def memory(folder: Path, sizes: list[float]) -> list[str]:
    lines = [
        "| Parquet on disk | rows | most resident, MB | after preparing | after imports | open, s | prepare, s | pass, s "
        "| rows/s | dev accuracy |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for size in sizes:
        path = folder / "table.parquet"
        path.unlink(missing_ok=True)
        write_table(path, size)
        on_disk = path.stat().st_size / 1e9
        child = subprocess.run(
            [sys.executable, __file__, "--child", str(path)], capture_output=True, text=True, check=True
        )
        path.unlink()
        got = json.loads(child.stdout)
        assert got["most_mb"] < LIMIT_MB, f"{got['most_mb']:.0f} MB at {on_disk:.2f} GB"
        lines.append(
            f"| {on_disk:.2f} GB | {got['rows']:,} | {got['most_mb']:,.0f} | {got['ready_mb']:,.0f} | "
            f"{got['import_mb']:,.0f} | {got['open']:.1f} | {got['prepare']:.1f} | {got['train']:.0f} | "
            f"{got['rows'] / got['train']:,.0f} | {got['dev']:.4f} |"
        )
        print(lines[-1], flush=True)
    return lines


def throughput(streamed: Streamed, widths: tuple[int, ...], rounds: int) -> list[tuple[float, ...]]:
    """Of each round seconds and processor seconds of a pass over rows in memory, then of one over the same rows streamed."""
    model, loss = net(streamed, widths)
    x, y = (torch.cat(parts) for parts in zip(*streamed.batches.epoch(0), strict=True))
    held = TensorBatches(x, y, batch_size=streamed.batches.batch_size, seed=0)
    found = []
    for _ in range(rounds + 1):
        figures: list[float] = []
        for batches in (held, streamed.batches):
            optimizer, gradients = AdamW(model.parameters(), lr=1e-4), Backprop(model, loss)
            start, used = time.perf_counter(), time.process_time()
            train(model, optimizer, gradients, batches, epochs=1)
            figures += [time.perf_counter() - start, time.process_time() - used]
        found.append(tuple(figures))
    return found[1:]  # the first one warms caches and compiles


def compare(folder: Path, rounds: int, gigabytes: float, images: int) -> list[str]:
    lines = [
        "| data | net, batch | in memory, rows/s | streamed, rows/s | streamed / in memory: median (range) | n "
        "| processor, µs a row: in memory | streamed |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    path = folder / "table.parquet"
    path.unlink(missing_ok=True)
    write_table(path, gigabytes)
    write_images(folder / "images", images)
    cases = [
        ("table, Parquet", open_stream(path, target="bought"), (128, 64), 256),
        ("images, X.npy", open_stream(folder / "images"), (256,), 128),
    ]
    for name, stream, widths, batch_size in cases:
        streamed = stream.prepare(seed=0, batch_size=batch_size)
        shape = "-".join(map(str, (int(np.prod(streamed.preprocessor.input_shape)), *widths)))
        rows = streamed.rows_train
        rounds_ = throughput(streamed, widths, rounds)
        held, held_used, read, read_used = (statistics.median(figures) for figures in zip(*rounds_, strict=True))
        ratios = [figures[0] / figures[2] for figures in rounds_]
        lines.append(
            f"| {name}, {rows:,} rows | {shape}-{streamed.preprocessor.n_outputs}, {batch_size} | {rows / held:,.0f} | "
            f"{rows / read:,.0f} | {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}) | {rounds} | "
            f"{held_used / rows * 1e6:.2f} | {read_used / rows * 1e6:.2f} |"
        )
        print(lines[-1], f"load {os.getloadavg()[0]:.1f}", flush=True)
    path.unlink()
    shutil.rmtree(folder / "images")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/thalweg-stream"))
    parser.add_argument("--sizes", type=float, nargs="*", default=[0.25, 1.25, 5, 10], help="gigabytes on disk")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--gigabytes", type=float, default=0.7, help="of the table that throughput is measured with")
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--note", default="")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.child:
        one_pass(arguments.child)
        return
    arguments.folder.mkdir(parents=True, exist_ok=True)
    head = [
        "# Data larger than memory",
        "",
        f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}. "
        f"{arguments.note}".strip(),
        "",
    ]
    speed = (
        compare(arguments.folder, arguments.rounds, arguments.gigabytes, arguments.images) if arguments.rounds else []
    )
    flat = memory(arguments.folder, arguments.sizes) if arguments.sizes else []
    text = "\n".join([*head, *flat, "", *speed, ""])
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
