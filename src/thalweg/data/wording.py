"""Names and rows as a sentence says them.

>>> in_words(["size", "town"]), rows_in_words([2, 4])
('"size", "town"', 'rows 3, 5')
>>> no_column("Prize", ["size", "price"], where="houses.csv")
'houses.csv has no column "Prize": did you mean "price"?'
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thalweg.wording import meant

MOST_NAMES = 8


def in_words(names: Sequence[str]) -> str:
    """The first names in quotation marks, and how many more there are."""
    shown = ", ".join(f'"{name}"' for name in names[:MOST_NAMES])
    return shown + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")


def rows_in_words(rows: Sequence[int] | np.ndarray) -> str:
    """``row 3`` or ``rows 3, 5, 8 and 4 more`` from row indices; people count from 1."""
    numbers = ", ".join(str(row + 1) for row in rows[:3])
    more = f" and {len(rows) - 3:,} more" if len(rows) > 3 else ""
    return f"row{'s' if len(rows) > 1 else ''} {numbers}{more}"


def no_column(name: str, there: Sequence[str], *, where: str) -> str:
    """That a column is not there, and which was probably meant."""
    hint = meant(name, there, otherwise=f"choose among {in_words(there)}")
    return f'{where} has no column "{name}": {hint}'
