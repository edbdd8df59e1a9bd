"""What answers at once: the help of every command, and drawing a schedule, import nothing that is slow."""

from __future__ import annotations

import json
import subprocess
import sys

SLOW = {
    "matplotlib", "numba", "optuna", "pandas", "plotly", "polars", "PIL", "rich", "scipy", "sklearn", "sympy", "torch",
}  # fmt: skip
ASK = f"""
import contextlib, io, json, sys
import thalweg
from thalweg.cli.commands import app
from typer.main import get_command

def says(*words):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        app(list(words), prog_name="thalweg")
    return out.getvalue(), sorted({SLOW!r} & set(sys.modules))

answers = {{name: says(name, "--help") for name in get_command(app).commands}}
answers[""] = says("--help")
answers["drawn"] = says("schedule", "warmup(5) >> cosine(100)")
print(json.dumps(answers))
"""


def test_nothing_slow_is_imported() -> None:
    asked = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    answers = json.loads(asked.stdout)
    drawn, imported = answers.pop("drawn")
    assert "cosine(100)" in drawn and imported == ["rich"]  # for its table
    overview = answers[""][0]
    for name, (help_, imported) in answers.items():
        assert f"Usage: thalweg {name}" in help_, name
        assert name in overview and not imported, (name, imported)
