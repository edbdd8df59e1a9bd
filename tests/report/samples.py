"""A run as its page would be told of it, from a real training: digits with a small net, a diabetes regression, a failure."""

from __future__ import annotations

import numpy as np

from diagnose.runs import FAULTY, HEALTHY
from thalweg.diagnose import Verdict, examine
from thalweg.history import History
from thalweg.report import RateReport, RunReport

ADAMW = """m ← β1 m + (1 − β1) g
v ← β2 v + (1 − β2) g²
w ← w − lr (m̂ / (√v̂ + ε) + λ w)
    m̂ = m / (1 − β1ᵗ),  v̂ = v / (1 − β2ᵗ)"""


def rate() -> RateReport:
    """A range test and three confirming runs with the shapes real ones have."""
    rng = np.random.default_rng(0)
    rates = np.geomspace(1e-6, 1.0, 100)
    curve = 2.3 - 1.7 / (1 + (3e-3 / rates) ** 1.1) + 30 * np.maximum(rates - 0.15, 0) ** 1.5
    noisy = curve * (1 + 0.05 * rng.normal(size=100))
    steps = np.arange(1, 121)
    shapes = ((1e-3, 0.31, 0.28, 40), (3.2e-3, 0.142, 0.1, 22), (1e-2, 0.151, 0.12, 15), (3e-2, 0.32, 0.3, 20))
    candidates = [
        {"rate": lr, "steps": 120, "score": score,
         "losses": list(floor + (2.3 - floor) * np.exp(-steps / pace) + 0.05 * rng.random(120))}
        for lr, score, floor, pace in shapes
    ]  # fmt: skip
    return RateReport.from_dict({
        "rate": 3.2e-3, "band": [2.4e-4, 0.11], "rates": list(rates), "losses": list(noisy), "smoothed": list(curve),
        "candidates": candidates, "steps": 680,
        "reason": "Of four short runs the one at 0.0032 had the lowest dev loss (0.142); its neighbours had 0.31 and 0.151.",
    })  # fmt: skip


def named(name: str) -> tuple[History, Verdict, object]:
    row = next(row for row in HEALTHY + FAULTY if row.name == name)
    history, facts = row.history(0)
    return history, examine(history, facts), facts


def digits() -> tuple[RunReport, History, Verdict]:
    history, verdict, _ = named("digits adam")
    rng = np.random.default_rng(1)
    matrix = np.diag(rng.integers(32, 38, 10))
    for true, said in ((8, 1), (8, 1), (9, 5), (3, 8), (1, 8), (4, 7)):
        matrix[true, said] += 1
    metrics = {
        part: {"loss": history.last(f"{part}/loss"), "accuracy": history.last(f"{part}/accuracy")}
        for part in ("train", "dev")
    }
    metrics["test"] = {"loss": 0.081, "accuracy": float(np.trace(matrix) / matrix.sum())}
    layers = [
        {"name": "0", "type": "Linear", "shape": "64×64", "parameters": 4160},
        {"name": "1", "type": "ReLU", "shape": "", "parameters": 0},
        {"name": "2", "type": "Linear", "shape": "64×64", "parameters": 4160},
        {"name": "3", "type": "ReLU", "shape": "", "parameters": 0},
        {"name": "4", "type": "Linear", "shape": "10×64", "parameters": 650},
    ]
    run = RunReport(
        name="digits-1", created="2025-11-02 14:03:51", status="finished", task="multiclass",
        data={"name": "digits", "rows": 1797, "columns": 64, "parts": {"train": 1347, "dev": 225, "test": 225},
              "classes": {str(k): int(n) for k, n in enumerate(rng.integers(174, 184, 10))}},
        spec={"data": "digits", "hidden": [64, 64], "activation": "relu", "rule": "adamw", "lr": 0.0032, "epochs": 20,
              "batch_size": 64, "schedule": "cosine", "warmup": 0.05, "options": {"beta1": 0.9}, "seed": 0},
        layers=layers, rule=ADAMW, metrics=metrics, best_epoch=18, rate=rate(),
        confusion={"classes": [str(k) for k in range(10)], "matrix": matrix.tolist()},
        choices=[("batch_size", "64", "the training part has 1,347 rows"),
                 ("hidden", "64 64", "1,347 training rows with 64 inputs each"),
                 ("init", "he_normal, xavier_normal", "fits each layer's activation"),
                 ("lr", "0.0032", "lowest dev loss of four short runs"),
                 ("threads", "1", "the arithmetic of one step decides whether more threads pay")],
        environment={"thalweg": "0.1.0", "torch": "2.13.0+cpu", "numpy": "2.3.4", "python": "3.11.2", "device": "cpu",
                     "threads": "1", "platform": "Linux-6.1-x86_64"},
        notes=["3 columns are constant and were left out: pixel_0_0, pixel_4_0, pixel_4_7."],
    )  # fmt: skip
    return run, history, verdict


def diabetes() -> tuple[RunReport, History, Verdict]:
    history, verdict, _ = named("diabetes")
    rng = np.random.default_rng(2)
    true = rng.gamma(4, 38, 89)
    said = 152 + 0.55 * (true - 152) + 40 * rng.normal(size=89)
    run = RunReport(
        name="diabetes-3", created="2025-11-02 14:10:02", task="regression", data={"name": "diabetes", "rows": 442},
        metrics={"train": {"loss": 0.42, "r2": 0.58, "rmse": 50.1}, "dev": {"loss": 0.53, "r2": 0.36, "rmse": 58.0},
                 "test": {"loss": 0.5, "r2": 0.487, "rmse": 54.3}},
        best_epoch=12, predictions=[{"name": "y", "true": true.tolist(), "predicted": said.tolist()}], rule=ADAMW,
    )  # fmt: skip
    return run, history, verdict


def failure(name: str) -> tuple[RunReport, History, Verdict]:
    history, verdict, _ = named(name)
    status = "failed: at step 5 (epoch 1) the loss became nan: use a smaller learning rate"
    return RunReport(name=name.replace(" ", "-"), status=status, data={"name": "digits"}), history, verdict
