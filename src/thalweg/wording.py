"""Words that sentences share: which name was meant, lists, numbers with their nouns.

>>> meant("cosin", ["cosine", "linear"])             # the end of: there is no schedule "cosin": …
'did you mean "cosine"?'
>>> listed(["sgd", "adam", "swats"]), counted(1024, "pass", "passes")
('sgd, adam and swats', '1,024 passes')
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, there: Iterable[str]) -> str | None:
    """The name that was probably meant, in any case of its letters; None if there is none like it."""
    by_lower = {other.lower(): other for other in there}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return by_lower[near[0]] if near else None


def meant(name: str, there: Iterable[str], *, otherwise: str = "") -> str:
    """What to do about a name that is not ``there``; ``otherwise`` is said where none is like it, else all are named."""
    there = list(there)
    near = nearest(name, there)
    return f'did you mean "{near}"?' if near else otherwise or f"choose among {', '.join(there)}"


def listed(names: Iterable[object]) -> str:
    """``a``, ``a and b``, ``a, b and c``; nothing of nothing."""
    *most, last = [*map(str, names)] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun: ``1 trial``, ``1,024 passes``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def rounded(value: float, digits: int) -> str:
    """A number to so many significant digits, written out below ten million: ``12,346``, not ``1.2346e+04``."""
    shown = f"{value:.{digits}g}"
    return f"{value:,.0f}" if "e+" in shown and abs(value) < 1e7 else shown
