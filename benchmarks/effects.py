"""What does each regulariser bring, on real data?

    python benchmarks/effects.py                                   # all, five seeds
    python benchmarks/effects.py --only dropout,l2 --seeds 2
    python benchmarks/effects.py --out benchmarks/effects.md

Fashion-MNIST with few examples: 2,000 to train on, 2,000 to choose by, 10,000 to measure on (its own test part). A net of
784-256-128-10 with ReLU, AdamW without decay, rate 1e-3, batch 64, 60 passes, no choice of ours left open. What is measured is the
net at the end of the last pass, but for early stopping, which measures the net of its best pass. Each seed draws other
examples, other weights and another order, the same for all techniques: differences to the plain net are taken seed by seed, with
95 % intervals (Student's t). The convolutional net stands last, for what the images themselves are worth.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

import thalweg
from thalweg.train import Hook, State
from thalweg.train.objectives import predict

IMAGES = Path("/usr/share/datasets/fashion-mnist")
TRAIN, DEV = 2000, 2000
EPOCHS = 60


@dataclass(frozen=True)
class Technique:
    """Settings added to the plain net's; ``stopping`` measures the best pass instead of the last."""

    settings: dict[str, Any] = field(default_factory=dict)
    stopping: bool = False


PLAIN: dict[str, Any] = {
    "hidden": [256, 128], "dropout": 0.0, "skip": False, "rule": "adamw", "lr": 1e-3, "weight_decay": 0.0, "batch_size": 64,
    "epochs": EPOCHS, "patience": 0, "schedule": "constant", "warmup": 0.0, "clip_norm": None,
}  # fmt: skip
TOGETHER: dict[str, Any] = {
    "dropout": 0.3, "norm": "batch", "weight_decay": 0.1, "label_smoothing": 0.1, "augment": ["crop(2)", "rotate(8)", "zoom(0.1)"],
    "schedule": "cosine",
}  # fmt: skip
TECHNIQUES: dict[str, Technique] = {
    "plain": Technique(),
    "L2, λ = 10": Technique({"l2": 10.0}),
    "decoupled decay, 0.3": Technique({"weight_decay": 0.3}),
    "L1, λ = 2": Technique({"l1": 2.0}),
    "max-norm, 1.5": Technique({"max_norm": 1.5}),
    "dropout, keep 0.5": Technique({"dropout": 0.5}),
    "dropout, keep 0.8 / 0.5 / 0.5": Technique({"dropout": 0.5, "input_dropout": 0.2}),
    "batch norm": Technique({"norm": "batch"}),
    "batch norm and dropout": Technique({"norm": "batch", "dropout": 0.5}),
    "layer norm": Technique({"norm": "layer"}),
    "early stopping": Technique({"patience": 10}, stopping=True),
    "label smoothing, 0.1": Technique({"label_smoothing": 0.1}),
    "augmentation": Technique({"augment": ["crop(2)", "rotate(8)", "zoom(0.1)"]}),
    "flip": Technique({"augment": ["flip"]}),
    "cutout, 8": Technique({"augment": ["cutout(8)"]}),
    "elastic": Technique({"augment": ["elastic(1.0)"]}),
    "mixup, 0.4": Technique({"augment": ["mixup(0.4)"]}),
    "noise, 0.3": Technique({"augment": ["noise(0.3)"]}),
    "pre-training": Technique({"pretrain": True}),
    "cosine schedule": Technique({"schedule": "cosine"}),
    "together": Technique(TOGETHER),
    "together, early stopping": Technique(TOGETHER | {"patience": 15}, stopping=True),
}


class Last(Hook):
    """Measures the net at the end of the last pass."""

    def __init__(self, model_inputs: torch.Tensor, labels: torch.Tensor) -> None:
        self.inputs, self.labels = model_inputs, labels
        self.error = float("nan")

    def on_epoch(self, state: State) -> None:
        if state.epoch == EPOCHS:
            self.error = error_of(state.model, self.inputs, self.labels)


def error_of(model: torch.nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> float:
    with torch.no_grad():
        return float((predict(model, inputs).argmax(1) != labels).float().mean())


def images(part: str) -> tuple[np.ndarray, np.ndarray]:
    def idx(name: str, offset: int) -> np.ndarray:
        return np.frombuffer(gzip.decompress((IMAGES / name).read_bytes()), np.uint8, offset=offset)

    pixels = idx(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
    return pixels, idx(f"{part}-labels-idx1-ubyte.gz", 8).astype(np.int64)


def run(technique: Technique, seed: int) -> tuple[float, float, float]:
    """Error of the measured net on the training rows and on the test part, and the share of weights that are 0."""
    pixels, labels = images("train")
    test_pixels, test_labels = images("t10k")
    rows = np.random.default_rng(seed).permutation(len(labels))[: TRAIN + DEV]
    fit_rows, dev_rows = rows[:TRAIN], rows[TRAIN:]
    mean, sd = pixels[fit_rows].mean(), pixels[fit_rows].std()
    test = torch.from_numpy((test_pixels - mean) / sd).float()
    hook = Last(test, torch.from_numpy(test_labels))
    fitted = thalweg.fit(
        "mlp", (pixels[fit_rows], labels[fit_rows]), dev=(pixels[dev_rows], labels[dev_rows]), hooks=[hook],
        **{**PLAIN, **technique.settings, "seed": seed},
    )  # fmt: skip
    weights = torch.cat([p.detach().flatten() for p in fitted.model.parameters() if p.ndim > 1])
    error = error_of(fitted.model, test, hook.labels) if technique.stopping else hook.error
    return 1 - fitted.history.column("train/accuracy").values[-1], error, float((weights == 0).float().mean())


def interval(values: np.ndarray) -> float:
    """Half of a 95 % interval of the mean, by Student's t."""
    from scipy import stats

    return float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", default=5, type=int)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if not IMAGES.is_dir():
        sys.exit("Fashion-MNIST is not installed: apt-get install dataset-fashion-mnist")
    torch.set_num_threads(1)
    asked = arguments.only.split(",") if arguments.only else [""]
    wanted = ["plain", *(name for name in TECHNIQUES if name != "plain" and any(word in name for word in asked))]
    lines = [
        "# What each regulariser brings",
        "",
        f"`python benchmarks/effects.py --seeds {arguments.seeds}`. Fashion-MNIST, {TRAIN:,} training images, 784-256-128-10, "
        f"{EPOCHS} passes; errors in per cent on the 10,000 test images, mean of {arguments.seeds} seeds; ± is half of a 95 % interval; "
        f"differences to the plain net are paired by seed. {platform.machine()}, Python {platform.python_version()}, torch "
        f"{torch.__version__}.",
        "",
        "| technique | test error, % | − plain | training error, % | weights at 0, % |",
        "|---|---|---|---|---|",
    ]
    base = np.zeros(0)
    for name in wanted:
        found = np.array([run(TECHNIQUES[name], seed) for seed in range(arguments.seeds)])
        train, test, zeros = 100 * found.T
        base = test if name == "plain" else base
        off = "" if name == "plain" else f"{(test - base).mean():+.2f} ± {interval(test - base):.2f}"
        lines.append(
            f"| {name} | {test.mean():.2f} ± {interval(test):.2f} | {off} | {train.mean():.2f} | {zeros.mean():.1f} |"
        )
        print(lines[-1], flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
