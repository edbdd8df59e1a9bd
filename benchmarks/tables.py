"""How good is the default on tables, beside scikit-learn's networks and its boosted trees?

    python benchmarks/tables.py                                    # all tables, ten splits
    python benchmarks/tables.py --tables wine,diabetes --splits 3
    python benchmarks/tables.py --out benchmarks/results/tables.md

Nine tables, bundled with scikit-learn or made from real data: numbers, categories, missing values, imbalance, regression. In
each split a quarter of the rows (stratified) is held out and seen by nobody before the end. Ours is ``thalweg.fit("mlp", frame,
target=…)`` with no setting but the seed. The peers get the rows as raw numbers and texts: MLPClassifier or MLPRegressor behind
imputing, scaling and one-hot encoding, with their defaults (200 passes) and, beside it, with ``early_stopping=True``;
HistGradientBoosting with its own way with missing values and categories. Differences are taken split by split; ± is one
standard error of their mean.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import polars as pl

IMAGES = Path("/usr/share/datasets/fashion-mnist")


@dataclass(frozen=True)
class Table:
    """A frame with the column ``target``; ``metric`` is accuracy, auc or r2, higher is better in all."""

    frame: pl.DataFrame
    metric: str
    what: str


def _bundled(name: str) -> tuple[pl.DataFrame, np.ndarray]:
    from sklearn import datasets

    loaded = getattr(datasets, f"load_{name}")()
    columns = {str(key): loaded.data[:, index] for index, key in enumerate(loaded.feature_names)}
    return pl.DataFrame(columns), loaded.target


def _labelled(frame: pl.DataFrame, target: np.ndarray, *, classes: bool) -> pl.DataFrame:
    return frame.with_columns(target=pl.Series([f"c{value}" for value in target]) if classes else pl.Series(target))


def _mixed(frame: pl.DataFrame, seed: int, *, missing: float) -> pl.DataFrame:
    """Every third column cut at its quartiles and named by words, every fifth made yes or no, values missing at random."""
    generator = np.random.default_rng(seed)
    columns = []
    for index, column in enumerate(frame.iter_columns()):
        values = column.to_numpy()
        if index % 3 == 0:
            places = np.searchsorted(np.quantile(values, (0.25, 0.5, 0.75)), values)
            column = pl.Series(column.name, [("low", "fair", "good", "high")[place] for place in places])
        elif index % 5 == 1:
            column = pl.Series(column.name, values > np.median(values))
        gone = generator.random(len(column)) < missing
        columns.append(pl.Series(column.name, [None if g else v for g, v in zip(gone, column.to_list(), strict=True)]))
    return pl.DataFrame(columns)


def _fashion(rows: int) -> tuple[np.ndarray, np.ndarray]:
    def idx(name: str, offset: int) -> np.ndarray:
        return np.frombuffer(gzip.decompress((IMAGES / name).read_bytes()), np.uint8, offset=offset)

    images = idx("train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)[:rows]
    pooled = images.reshape(rows, 7, 4, 7, 4).mean((2, 4))
    return pooled, idx("train-labels-idx1-ubyte.gz", 8)[:rows]


def _frame(matrix: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame({f"x{index}": matrix[:, index] for index in range(matrix.shape[1])})


def _plain(name: str, metric: str, what: str) -> Table:
    frame, target = _bundled(name)
    return Table(_labelled(frame, target, classes=metric != "r2"), metric, what)


def _cut(name: str, metric: str, what: str, missing: float) -> Table:
    frame, target = _bundled(name)
    return Table(_labelled(_mixed(frame, 0, missing=missing), target, classes=metric != "r2"), metric, what)


def _eights() -> Table:
    frame, target = _bundled("digits")
    generator = np.random.default_rng(0)
    holes = frame.select(
        pl.Series(column.name, np.where(generator.random(len(column)) < 0.05, np.nan, column.to_numpy())).fill_nan(None)
        for column in frame.iter_columns()
    )
    return Table(_labelled(holes, target == 8, classes=True), "auc", "is it an 8? 9.7 % are, 5 % of all values missing")


def _fashion_classes() -> Table:
    pooled, labels = _fashion(6000)
    return Table(_labelled(_frame(pooled.reshape(len(pooled), -1)), labels, classes=True), "accuracy", "49 grey values")


def _fashion_amount() -> Table:
    pooled, labels = _fashion(6000)
    names = pl.Series("kind", [f"k{label}" for label in labels])
    frame = _frame(pooled[:, :, :4].reshape(len(pooled), -1)).with_columns(names)
    return Table(
        _labelled(frame, pooled[:, :, 4:].mean((1, 2)), classes=False),
        "r2",
        "brightness of the right side from the left",
    )


TABLES: dict[str, Callable[[], Table]] = {
    "breast-cancer": lambda: _plain("breast_cancer", "accuracy", "30 numbers"),
    "wine": lambda: _plain("wine", "accuracy", "13 numbers"),
    "digits": lambda: _plain("digits", "accuracy", "64 grey values"),
    "diabetes": lambda: _plain("diabetes", "r2", "10 numbers"),
    "breast-cancer, mixed": lambda: _cut("breast_cancer", "accuracy", "numbers, words, yes/no; 10 % missing", 0.1),
    "diabetes, mixed": lambda: _cut("diabetes", "r2", "numbers, words, yes/no; 10 % missing", 0.1),
    "digits, 8 or not": _eights,
    "fashion, 7×7": _fashion_classes,
    "fashion, amount": _fashion_amount,
}


def score(metric: str, truth: np.ndarray, said: np.ndarray, probability: np.ndarray | None) -> float:
    from sklearn.metrics import accuracy_score, r2_score, roc_auc_score

    if metric == "auc":
        return float(roc_auc_score(truth == sorted(set(truth))[1], probability))
    return float(r2_score(truth, said) if metric == "r2" else accuracy_score(truth, said))


def ours(train: pl.DataFrame, test: pl.DataFrame, metric: str, seed: int) -> tuple[Any, Any]:
    import thalweg

    fitted = thalweg.fit("mlp", train, target="target", split=[0.8, 0.2, 0.0], seed=seed)
    frame = fitted.predict(test.drop("target"))
    return frame["prediction"].to_numpy(), frame["p(cTrue)"].to_numpy() if metric == "auc" else None


def _columns(frame: pl.DataFrame) -> tuple[list[str], list[str]]:
    words = [c.name for c in frame.iter_columns() if c.dtype in (pl.String, pl.Boolean) and c.name != "target"]
    return [name for name in frame.columns if name not in (*words, "target")], words


def peer(kind: str) -> Callable[[pl.DataFrame, pl.DataFrame, str, int], tuple[Any, Any]]:
    def run(train: pl.DataFrame, test: pl.DataFrame, metric: str, seed: int) -> tuple[Any, Any]:
        from sklearn.compose import ColumnTransformer
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
        from sklearn.impute import SimpleImputer
        from sklearn.neural_network import MLPClassifier, MLPRegressor
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

        numbers, words = _columns(train)
        places = list(range(len(numbers))), list(range(len(numbers), len(numbers) + len(words)))

        def matrix(frame: pl.DataFrame) -> np.ndarray:
            texts = [frame[name].cast(pl.String).fill_null("missing").to_numpy().astype(object) for name in words]
            return np.column_stack([*(frame[name].to_numpy().astype(object) for name in numbers), *texts])

        if kind == "boosting":
            code = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
            before = ColumnTransformer([("n", "passthrough", places[0]), ("w", code, places[1])])
            chosen = HistGradientBoostingRegressor if metric == "r2" else HistGradientBoostingClassifier
            marks = [False] * len(numbers) + [True] * len(words)
            model = make_pipeline(before, chosen(categorical_features=marks, random_state=seed))
        else:
            number = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
            word = OneHotEncoder(handle_unknown="ignore")
            before = ColumnTransformer([("n", number, places[0]), ("w", word, places[1])], sparse_threshold=0)
            chosen = MLPRegressor if metric == "r2" else MLPClassifier
            model = make_pipeline(before, chosen(random_state=seed, early_stopping=kind == "mlp, stopping"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(matrix(train), train["target"].to_numpy())
            said = model.predict(matrix(test))
            return said, model.predict_proba(matrix(test))[:, 1] if metric == "auc" else None

    return run


RUNNERS: dict[str, Callable[[pl.DataFrame, pl.DataFrame, str, int], tuple[Any, Any]]] = {
    "thalweg": ours,
    "MLP": peer("mlp"),
    "MLP, early stopping": peer("mlp, stopping"),
    "HistGradientBoosting": peer("boosting"),
}


def measure(table: Table, splits: int) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Scores ``(splits,)`` and mean seconds of each."""
    from sklearn.model_selection import train_test_split

    rows = np.arange(table.frame.height)
    labels = None if table.metric == "r2" else table.frame["target"].to_numpy()
    found: dict[str, list[float]] = {name: [] for name in RUNNERS}
    clock = dict.fromkeys(RUNNERS, 0.0)
    for seed in range(splits):
        fit_rows, held = train_test_split(rows, test_size=0.25, random_state=seed, stratify=labels)
        train, test = table.frame[fit_rows], table.frame[held]
        for name, run in RUNNERS.items():
            start = time.perf_counter()
            said, probability = run(train, test, table.metric, seed)
            clock[name] += (time.perf_counter() - start) / splits
            found[name].append(score(table.metric, test["target"].to_numpy(), said, probability))
    return {name: np.array(values) for name, values in found.items()}, clock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", default=",".join(TABLES), type=str)
    parser.add_argument("--splits", default=10, type=int)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    wanted = [name for name in TABLES if name in arguments.tables]
    lines = [
        "# Tables: the default beside scikit-learn",
        "",
        f"`python benchmarks/tables.py --splits {arguments.splits}`. {platform.processor() or platform.machine()}, one thread, "
        f"Python {platform.python_version()}. Mean over {arguments.splits} splits (a quarter held out); in brackets ours minus "
        f"theirs, ± one standard error of the paired difference. Last: seconds of one fit, ours / MLP / boosting.",
        "",
        "| table | metric | thalweg | MLP | MLP, early stopping | HistGradientBoosting | s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in wanted:
        table = TABLES[name]()
        scores, clock = measure(table, arguments.splits)
        cells = [f"{scores['thalweg'].mean():.4f}"]
        for other in list(RUNNERS)[1:]:
            off = scores["thalweg"] - scores[other]
            error = off.std(ddof=1) / np.sqrt(len(off))
            cells.append(f"{scores[other].mean():.4f} ({off.mean():+.4f} ± {error:.4f})")
        seconds = " / ".join(f"{clock[one]:.1f}" for one in ("thalweg", "MLP", "HistGradientBoosting"))
        size = f"{table.frame.height:,}×{table.frame.width - 1}"
        lines.append(f"| {name} ({size}; {table.what}) | {table.metric} | {' | '.join(cells)} | {seconds} |")
        print(lines[-1], flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
