"""How one column differs between training and a held-out part, in words.

>>> difference(view(pl.Series("age", [30, 32, 53, 55])), np.array([False, False, True, True]), "dev")
'"age": mean 31 in training, 54 in dev'
>>> difference(view(pl.Series("town", ["Ulm", "Bonn", "Ulm", "Ulm"])), np.array([False, False, True, True]), "dev")
'"town": "Ulm" 50 % in training, 100 % in dev'

Said is what differs most: the missing share, a category's share, the mean, or the spread.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from thalweg.data.profile.views import View


def difference(look: View, held: np.ndarray, part: str) -> str:
    """One line on how ``look`` differs where ``held`` (booleans ``(n,)``) is true."""
    sides = look.values[~held], look.values[held]
    absent = [float(np.isnan(side).mean()) for side in sides]
    known = [side[~np.isnan(side)] for side in sides]
    if abs(absent[0] - absent[1]) > 0.1 or not all(len(side) for side in known):
        return _said(look, "missing", *_percent(*absent), part)
    if look.category:
        shares = [np.bincount(side.astype(np.int64), minlength=len(look.labels)) / len(side) for side in known]
        most = int(np.abs(shares[0] - shares[1]).argmax())
        return _said(look, f'"{look.labels[most]}"', *_percent(shares[0][most], shares[1][most]), part)
    means, spreads = [float(side.mean()) for side in known], [float(side.std()) for side in known]
    wide = max(min(spreads), 1e-300)
    if abs(means[0] - means[1]) > 0.2 * wide:
        return _said(look, "mean", *_distinguishable(*means, days=look.days), part)
    if max(spreads) > 1.15 * wide:
        return _said(look, "standard deviation", *_distinguishable(*spreads), part)
    medians = [float(np.median(side)) for side in known]
    if abs(medians[0] - medians[1]) > 0.1 * wide:
        return _said(look, "median", *_distinguishable(*medians, days=look.days), part)
    return f'"{look.name}": the values are spread otherwise in {part} than in training'


def _said(look: View, what: str, train: str, held: str, part: str) -> str:
    return f'"{look.name}": {what} {train} in training, {held} in {part}'


def _percent(one: float, other: float) -> tuple[str, str]:
    return f"{100 * one:.3g} %", f"{100 * other:.3g} %"


def _distinguishable(one: float, other: float, *, days: bool = False) -> tuple[str, str]:
    """Two numbers with as few digits as tell them apart."""
    if days:
        return _day(one), _day(other)
    for digits in range(3, 17):
        texts = _number(one, digits), _number(other, digits)
        if abs(float(texts[0]) - float(texts[1])) >= 0.8 * abs(one - other) and texts[0] != texts[1]:
            return texts
    return repr(one), repr(other)


def _number(value: float, digits: int) -> str:
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.{digits}g}"
    return np.format_float_positional(value, precision=digits, fractional=False, trim="-")


def _day(days: float) -> str:
    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=days)).date().isoformat()
    except OverflowError:
        return f"day {days:.0f}"
