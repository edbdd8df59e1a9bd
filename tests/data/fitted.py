"""Preprocessors of small tables and arrays, for the tests of what was learned."""

from __future__ import annotations

import numpy as np
import polars as pl

from thalweg.data import Preprocessor, load

ROWS = 30


def fitted(columns, rows: int = ROWS, *, train=None, scale: str = "standard", embed: bool = True) -> Preprocessor:
    """A preprocessor of a table or array with two classes in turn."""
    data = load((pl.DataFrame(columns) if isinstance(columns, dict) else columns, np.arange(rows) % 2))
    return Preprocessor.fit(data, np.arange(rows) if train is None else train, scale=scale, embed=embed)


def repeated(values, rows: int = ROWS) -> list:
    return [values[row % len(values)] for row in range(rows)]
