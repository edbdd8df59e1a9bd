"""Several processes train as one would: the same weights from the same global mini-batches, one folder written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port"]
SETTINGS = [
    "--epochs",
    "4",
    "--lr",
    "0.003",
    "--dropout",
    "0",
    "--batch-size",
    "50",
    "--hidden",
    "32,16",
    "--threads",
    "1",
]


def run(words: list[str], folder: Path, *, launch: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [*(launch or [sys.executable]), "-m", "thalweg", *words]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)


def free_port() -> str:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def together(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return run(words, folder, launch=[*LAUNCH, free_port()])


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Path:
    """The same run as ``one`` alone and as ``two`` together."""
    folder = tmp_path_factory.mktemp("parallel")
    alone = run(["train", "digits", *SETTINGS, "--name", "one"], folder)
    assert alone.returncode == 0, alone.stderr
    two = together(["train", "digits", *SETTINGS, "--name", "two"], folder)
    assert two.returncode == 0, two.stderr
    return folder


def test_the_same_weights_as_one_process(both) -> None:
    one, two = (load_file(both / "runs" / name / "model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=2e-4, atol=2e-5)


def test_the_same_losses_step_by_step(both) -> None:
    def losses(name: str) -> np.ndarray:
        lines = (both / "runs" / name / "history.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        return np.array([record["batch/loss"] for record in records if "batch/loss" in record])

    one, two = losses("one"), losses("two")
    assert len(one) == len(two) > 20
    np.testing.assert_allclose(one, two, rtol=2e-3)


def test_one_folder_is_written(both) -> None:
    assert sorted(path.name for path in (both / "runs").iterdir()) == ["one", "two"]


def test_weighted_rows_batch_norm_and_a_found_rate(tmp_path) -> None:
    """Shares of unequal size, sample weights, buffers that differ between processes, a rate that the first one finds."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(157, 5))
    frame = pl.DataFrame({f"x{index}": x[:, index] for index in range(5)}).with_columns(
        y=pl.Series(x[:, 0] * x[:, 1] + x[:, 2]), w=pl.Series(generator.random(157))
    )
    frame.write_csv(tmp_path / "table.csv")
    words = ["train", "table.csv", "--target", "y", "--weights", "w", "--norm", "batch", "--epochs", "3", "--json"]
    done = together(words, tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["run"] == "runs/table-1"
    again = together([*words, "--name", "again"], tmp_path)
    first, second = (load_file(tmp_path / "runs" / name / "model.safetensors") for name in ("table-1", "again"))
    assert again.returncode == 0
    assert all(torch.equal(first[name], second[name]) for name in first), "two runs give the same bits"


def test_a_mistake_is_said_once(tmp_path) -> None:
    done = together(["train", "digits", "--rule", "adammm", "--runs", "runs"], tmp_path)
    assert done.returncode != 0
    assert done.stderr.count('there is no rule "adammm"') == 1
