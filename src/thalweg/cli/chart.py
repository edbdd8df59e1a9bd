"""A curve in the terminal: braille dots, two across and four down in a character, within axes of characters.

>>> print("\\n".join(chart(lambda step: 1 - step / 100, 100, width=30, height=3)))
1 ┤⠑⠢⣀
  │   ⠑⠢⣀
0 ┤      ⠑⠢⢄…
  └┬──────────┬
   0        100

Each column of dots shows all values between its steps, so that a short dip is not lost between two dots. Where the output
cannot show braille, a star stands for a character with dots in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite

from thalweg.errors import InputError

DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bit of each dot of a braille character, by column and row."""
SAMPLES = 9
"""Steps looked at for each column of dots."""
PLAIN = str.maketrans("┤│┊└─┬", "||:+-+")


def chart(
    value: Callable[[int], float],
    steps: int,
    *,
    width: int,
    height: int,
    marks: Sequence[int] = (),
    plain: bool = False,
) -> list[str]:
    """The lines of a chart of ``value(step)`` for steps 0 … ``steps``; dotted verticals stand at ``marks``.

    No line is longer than ``width``. Lowest and highest value stand at the axis.
    """
    samples = _samples(value, steps, max(width, 20))
    low, high = min(map(min, samples)), max(map(max, samples))
    if not (isfinite(low) and isfinite(high)):
        raise InputError("the schedule has values that are too large to draw: use smaller numbers in it")
    names = {0: short(high), height - 1: short(low)} if high > low else {(2 * height - 1) // 4: short(low)}
    margin = max(map(len, names.values())) + 2
    across = max(width - margin, 8)
    cells = _dots(_samples(value, steps, across), low, high, across, height)
    columns = {min(mark * across // (steps + 1), across - 1) for mark in marks if 0 < mark <= steps}
    lines = []
    for row in range(height):
        axis = names.get(row, "").rjust(margin - 2) + (" ┤" if row in names else " │")
        inside = "".join(
            _cell(cells[row][column], plain) if cells[row][column] else "┊" if column in columns else " "
            for column in range(across)
        )
        lines.append((axis + inside).rstrip())
    ticks = {0: 0, across - 1: steps} | {min(m * across // (steps + 1), across - 1): m for m in marks if 0 < m < steps}
    rule = "".join("┬" if column in ticks else "─" for column in range(across))
    lines.append(" " * (margin - 1) + "└" + rule)
    lines.append((" " * margin + _labels(ticks, across)).rstrip())
    return [line.translate(PLAIN) for line in lines] if plain else lines


def short(value: float) -> str:
    """A number in few characters."""
    return f"{value:.4g}"


def _samples(value: Callable[[int], float], steps: int, across: int) -> list[list[float]]:
    """The values that each column of dots stands for."""
    columns = 2 * across
    found = []
    for column in range(columns):
        first, last = column * (steps + 1) // columns, max((column + 1) * (steps + 1) // columns - 1, 0)
        last = max(first, last)
        stride = max((last - first) // (SAMPLES - 1), 1)
        found.append([value(step) for step in {*range(first, last + 1, stride), last}])
    return found


def _dots(samples: list[list[float]], low: float, high: float, across: int, height: int) -> list[list[int]]:
    """The braille bits of each character; a column of dots reaches to where the one before it stood."""
    rows = 4 * height - 1
    span = high - low

    def row_of(value: float) -> int:
        return round(rows * ((high - value) / span)) if span > 0 else rows // 2

    cells = [[0] * across for _ in range(height)]
    before: tuple[int, int] | None = None
    for column, values in enumerate(samples):
        top, bottom = row_of(max(values)), row_of(min(values))
        first, last = top, bottom
        if before is not None:
            # The gap to the column before is closed from this side: a jump becomes a vertical line.
            first, last = min(top, before[1] + 1), max(bottom, before[0] - 1)
        for row in range(first, last + 1):
            cells[row // 4][column // 2] |= DOTS[column % 2][row % 4]
        before = top, bottom
    return cells


def _cell(bits: int, plain: bool) -> str:
    return "*" if plain else chr(0x2800 + bits)


def _labels(ticks: dict[int, int], across: int) -> str:
    """The steps below the axis; first and last always, the others where they do not run into one another."""
    line = [" "] * across

    def write(column: int, text: str) -> None:
        start = min(max(column - len(text) // 2, 0), across - len(text))
        if start >= 0 and all(line[at] == " " for at in range(max(start - 1, 0), min(start + len(text) + 1, across))):
            line[start : start + len(text)] = text

    ordered = sorted(ticks)
    for column in (ordered[0], ordered[-1], *ordered[1:-1]):
        write(column, f"{ticks[column]:,}")
    return "".join(line)
