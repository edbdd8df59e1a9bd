"""What does each regulariser bring, on real data?

    python benchmarks/effects.py                                   # all, five seeds
    python benchmarks/effects.py --only dropout,L2 --seeds 2
    python benchmarks/effects.py --out benchmarks/effects.md

Fashion-MNIST with few examples: 2,000 to train on, 2,000 to choose by, 10,000 to measure on (its own test part). A net of
784-256-128-10 with ReLU, 60 passes at rate 1e-3, and below it the built-in residual convolutional net of 8 layers, 20 passes at
1e-2; AdamW without decay, batch 64, a cosine schedule, no choice of ours left open. What is measured is the net at the end of
the last pass, but for early stopping, which measures that of its best pass. Each seed draws other examples, other weights and
another order, the same for all techniques: differences to the plain net are taken seed by seed, with 95 % intervals (Student's
t). Strengths were chosen from two or three values on three of the seeds.
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


@dataclass(frozen=True)
class Technique:
    """Settings added to the plain net's; ``stopping`` measures the best pass instead of the last."""

    settings: dict[str, Any] = field(default_factory=dict)
    stopping: bool = False


PLAIN: dict[str, Any] = {
    "rule": "adamw", "lr": 1e-3, "weight_decay": 0.0, "batch_size": 64, "patience": 0, "schedule": "cosine", "warmup": 0.0,
    "clip_norm": None,
}  # fmt: skip
MLP: dict[str, Any] = {"hidden": [256, 128], "dropout": 0.0, "skip": False, "epochs": 60}
RESNET: dict[str, Any] = {"epochs": 20, "dropout": 0.0, "width": 16, "lr": 1e-2}
TOGETHER: dict[str, Any] = {"dropout": 0.5, "label_smoothing": 0.1, "augment": ["crop(1)"], "l1": 20.0}
TECHNIQUES: dict[str, Technique] = {
    "plain": Technique(),
    "L2, λ = 1": Technique({"l2": 1.0}),
    "decoupled decay, 0.1": Technique({"weight_decay": 0.1}),
    "L1, λ = 100": Technique({"l1": 100.0}),
    "max-norm, 1": Technique({"max_norm": 1.0}),
    "dropout, keep 0.5": Technique({"dropout": 0.5}),
    "dropout, keep 0.8 / 0.5 / 0.5": Technique({"dropout": 0.5, "input_dropout": 0.2}),
    "batch norm": Technique({"norm": "batch"}),
    "batch norm and dropout": Technique({"norm": "batch", "dropout": 0.5}),
    "layer norm": Technique({"norm": "layer"}),
    "early stopping": Technique({"patience": 10}, stopping=True),
    "label smoothing, 0.1": Technique({"label_smoothing": 0.1}),
    "crop, 1 pixel": Technique({"augment": ["crop(1)"]}),
    "flip": Technique({"augment": ["flip"]}),
    "rotate and zoom": Technique({"augment": ["rotate(5)", "zoom(0.05)"]}),
    "elastic": Technique({"augment": ["elastic(1.0)"]}),
    "cutout, 8": Technique({"augment": ["cutout(8)"]}),
    "mixup, 0.2": Technique({"augment": ["mixup(0.2)"]}),
    "noise, 0.1": Technique({"augment": ["noise(0.1)"]}),
    "pre-training": Technique({"pretrain": True}),
    "together": Technique(TOGETHER),
    "together, early stopping": Technique(TOGETHER | {"patience": 15}, stopping=True),
}
IMAGE_TECHNIQUES: dict[str, Technique] = {
    "plain": Technique(),
    "crop, 2 pixels": Technique({"augment": ["crop(2)"]}),
    "crop and flip": Technique({"augment": ["crop(2)", "flip"]}),
}


class Last(Hook):
    """Measures the net at the end of the last pass."""

    def __init__(self, inputs: torch.Tensor, labels: torch.Tensor, epochs: int) -> None:
        self.inputs, self.labels, self.epochs = inputs, labels, epochs
        self.error = float("nan")

    def on_epoch(self, state: State) -> None:
        if state.epoch == self.epochs:
            self.error = error_of(state.model, self.inputs, self.labels)


def error_of(model: torch.nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> float:
    with torch.no_grad():
        return float((predict(model, inputs).argmax(1) != labels).float().mean())


def images(part: str) -> tuple[np.ndarray, np.ndarray]:
    def idx(name: str, offset: int) -> np.ndarray:
        return np.frombuffer(gzip.decompress((IMAGES / name).read_bytes()), np.uint8, offset=offset)

    pixels = idx(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
    return pixels, idx(f"{part}-labels-idx1-ubyte.gz", 8).astype(np.int64)


def run(model: str, technique: Technique, seed: int) -> tuple[float, float, float]:
    """Error of the measured net on the training rows and on the test part, and the share of weights that are 0."""
    pixels, labels = images("train")
    test_pixels, test_labels = images("t10k")
    rows = np.random.default_rng(seed).permutation(len(labels))[: TRAIN + DEV]
    fit_rows, dev_rows = rows[:TRAIN], rows[TRAIN:]
    mean, sd = pixels[fit_rows].mean(), pixels[fit_rows].std()
    test = torch.from_numpy((test_pixels - mean) / sd).float()
    settings = PLAIN | (MLP if model == "mlp" else RESNET) | technique.settings
    hook = Last(test, torch.from_numpy(test_labels), settings["epochs"])
    fitted = thalweg.fit(
        model, (pixels[fit_rows], labels[fit_rows]), dev=(pixels[dev_rows], labels[dev_rows]), hooks=[hook],
        threads=1, seed=seed, **settings,
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
    parser.add_argument("--models", default="mlp,resnet")
    parser.add_argument("--note", default="", help="the machine, in words")
    arguments = parser.parse_args()
    if not IMAGES.is_dir():
        sys.exit("Fashion-MNIST is not installed: apt-get install dataset-fashion-mnist")
    torch.set_num_threads(1)
    asked = arguments.only.split(",") if arguments.only else [""]
    lines = [
        "# What each regulariser brings",
        "",
        f"`python benchmarks/effects.py --seeds {arguments.seeds}`. Fashion-MNIST, {TRAIN:,} training images; errors in "
        f"per cent on the 10,000 test images, mean of {arguments.seeds} seeds; ± is half of a 95 % interval; differences "
        f"to the plain net are paired by seed. {arguments.note or platform.machine()}, Python {platform.python_version()}, "
        f"torch {torch.__version__}.",
    ]
    for model, title, techniques in (
        ("mlp", f"784-256-128-10, {MLP['epochs']} passes", TECHNIQUES),
        ("resnet", f"Residual convolutional net, 8 layers, {RESNET['epochs']} passes", IMAGE_TECHNIQUES),
    ):
        if model not in arguments.models.split(","):
            continue
        lines += [
            "",
            f"## {title}, {arguments.seeds} seeds",
            "",
            "| technique | test error, % | − plain | training error, % | weights at 0, % |",
        ]
        lines += ["|---|---|---|---|---|"]
        base = np.zeros(0)
        for name in [
            "plain",
            *(name for name in techniques if name != "plain" and any(word in name for word in asked)),
        ]:
            found = np.array([run(model, techniques[name], seed) for seed in range(arguments.seeds)])
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
