"""Results as tables on standard output."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from thalweg.errors import InputError
from thalweg.experiments.folder import Folder

if TYPE_CHECKING:
    import polars

NAMES = {
    "loss": "loss", "accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "f1": "F1", "auc": "AUC", "r2": "R²",
    "rmse": "RMSE", "mae": "MAE",
}  # fmt: skip


def output() -> Console:
    """Standard output; where it is no terminal, tables are as wide as they need to be."""
    return Console(soft_wrap=True, width=None if sys.stdout.isatty() else 200)


def show_result(folder: Folder, result: dict[str, Any]) -> None:
    """What a run reached, what was chosen for it, and where its page is."""
    console = output()
    parts = result["metrics"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for part in parts:
        table.add_column(f"{part} ({result['parts'][part]:,})" if "parts" in result else part, justify="right")
    for metric in next(iter(parts.values())):
        table.add_row(NAMES.get(metric, metric), *(shown(metric, values[metric]) for values in parts.values()))
    console.print(table)
    for finding in result.get("findings", []):
        console.print(f"doctor  {finding['title']}: {finding['sentence']}", markup=False, highlight=False)
    stopped = f", {result['stopped']}" if result.get("stopped") else ""
    console.print(
        f"best epoch {result['best_epoch']} of {result['epochs']}{stopped}; {result['seconds']:.1f} s of training",
        highlight=False, markup=False,
    )  # fmt: skip
    console.print(f"page  {folder.page}", highlight=False, markup=False)


def show_folds(folder: Folder, result: dict[str, Any]) -> None:
    """Mean and spread over the folds, each fold, and where the predictions are."""
    console = output()
    folds = result["folds"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for heading in ("mean", "sd", *(f"fold {number}" for number in range(1, min(len(folds), 10) + 1))):
        table.add_column(heading, justify="right")
    for metric, mean in result["mean"].items():
        each = (shown(metric, fold["metrics"][metric]) for fold in folds[:10])
        table.add_row(NAMES.get(metric, metric), shown(metric, mean), shown(metric, result["sd"][metric]), *each)
    console.print(table)
    rows = result["parts"]["held_out"]
    console.print(
        f"{rows:,} rows, each predicted by a network that had not seen it: {folder.path / 'predictions.csv'}",
        highlight=False, markup=False,
    )  # fmt: skip
    console.print(f"page  {folder.page}", highlight=False, markup=False)


def show_predictions(frame: polars.DataFrame, rows: int, path: Path) -> None:
    """The first predictions, of ``rows``, and where all are."""
    console = output()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in frame.columns[:8]:
        table.add_column(name, justify="right")
    for row in frame.head(5).iter_rows():
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row[:8]))
    console.print(table)
    console.print(f"{rows:,} predictions in {path}", highlight=False, markup=False)


def summaries(folder: str) -> list[dict[str, Any]]:
    """One plain record for each run."""
    rows = []
    result: dict[str, Any]
    for run in Folder.all(folder):
        try:
            result = run.read_json(run.result) if run.result.exists() else {"status": _unfinished(run)}
        except InputError as error:  # one damaged run hides no other
            result = {"status": str(error)}
        metrics: dict[str, dict[str, float]] = result.get("metrics", {})
        part = next((part for part in ("test", "held_out", "dev") if part in metrics), "")
        final = metrics.get(part, {})
        rows.append(
            {
                "run": str(run.path),
                "created": result.get("created", ""),
                "task": result.get("task", "race" if (run.path / "race.toml").is_file() else ""),
                "status": result.get("status", "damaged")
                + (f", {result['trials']} trials" if "trials" in result else ""),
                "part": part.replace("_", " "),
                "metrics": final,
                "winners": {one["name"]: one["winner"] for one in result.get("problems", ())},
            }
        )
    return rows


def _unfinished(run: Folder) -> str:
    """What a run without a result does. The processes of a study take turns, so that nobody holds it means nothing."""
    return "running" if run.held or (run.path / "study.toml").is_file() else "interrupted"


def show_runs(rows: list[dict[str, Any]], folder: str) -> None:
    """The runs as a table."""
    console = output()
    if not rows:
        console.print(f"no runs in {folder} yet: try  thalweg train digits", highlight=False, markup=False)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("run", "created", "task", "status", "result"):
        table.add_column(name)
    for row in rows:
        numbers = "  ".join(f"{NAMES.get(name, name)} {shown(name, value)}" for name, value in row["metrics"].items())
        won = ", ".join(f"{winner or 'nobody'} on {problem}" for problem, winner in row["winners"].items())
        result = f"{row['part']}: {numbers}" if numbers else f"won: {won}" if won else ""
        table.add_row(row["run"], row["created"], row["task"], row["status"], result)
    console.print(table)


def shown(metric: str, value: float) -> str:
    return f"{100 * value:.2f} %" if metric in ("accuracy", "balanced_accuracy") else f"{value:.4g}"
