"""Small pieces of HTML, escaped: text, tables that sort, figures with captions, data for scripts.

>>> text("<script>")
'&lt;script&gt;'
>>> table("Errors", ["class", "n"], [["<b>", 3]])
'<div class="scroll" …><table><caption>Errors</caption>…&lt;b&gt;…'

What goes in is plain data; what comes out may be put into a page as it is.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

LABELS = {
    "accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "f1": "F1", "auc": "AUC", "loss": "loss", "r2": "R²",
    "rmse": "RMSE", "mae": "MAE",
    "train": "training", "dev": "dev", "test": "test", "held_out": "held-out",
}  # fmt: skip


def text(value: object) -> str:
    """Plain text as HTML, safe within elements and quoted attributes."""
    return html.escape(str(value), quote=True)


def label(name: str) -> str:
    """The name of a metric or part as a reader knows it."""
    return LABELS.get(name, name)


def number(value: float, *, digits: int = 4) -> str:
    """A number for reading: thousands separated, ``digits`` significant ones."""
    if isinstance(value, int | np.integer):
        return f"{int(value):,}"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    if value != 0 and not 1e-4 <= abs(value) < 1e6:
        mantissa, exponent = f"{value:.{max(digits - 2, 0)}e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(exponent)}".replace("-", "−")
    shown = f"{value:,.{digits}g}" if abs(value) < 10**digits else f"{value:,.0f}"
    return shown.replace("-", "−")


SHARES = ("accuracy", "balanced_accuracy")
"""Metrics that are told in percent."""


def measure(name: str, value: float) -> str:
    """The value of a metric: an accuracy in percent, others as numbers."""
    if name in SHARES and math.isfinite(value):
        return f"{value:.2%}".replace("%", " %")
    return f"{value:.3f}".replace("-", "−") if name == "r2" and math.isfinite(value) else number(value)


def duration(seconds: float) -> str:
    """A time in the two units that matter."""
    if not math.isfinite(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


LONG = 20
"""Rows from which a table scrolls within the page."""


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]], *, sortable: bool = True) -> str:
    """A table whose columns sort by click; the first cell of a row is its heading. Numbers are set to the right."""
    rows = [list(row) for row in rows]
    numeric = [
        at > 0 and any(_sort_key(value) for value in column) for at, column in enumerate(zip(*rows, strict=True))
    ]
    body = [
        f'<tr><th scope="row"{_sort_key(first)}>{_written(first)}</th>'
        + "".join(_cell(value, right) for value, right in zip(rest, numeric[1:], strict=True)) + "</tr>"
        for first, *rest in rows
    ]  # fmt: skip
    numeric = numeric or [False] * len(head)
    wrap = '<button type="button">{}</button>' if sortable and len(body) > 1 else "{}"
    heads = "".join(
        f'<th scope="col"{" class=number" if right else ""}>{wrap.format(text(name)) if name else ""}</th>'
        for name, right in zip(head, numeric, strict=False)
    )
    size = "scroll long" if len(body) > LONG else "scroll"
    return (
        f'<div class="{size}" tabindex="0" role="region" aria-label="{text(caption)}"><table>'
        f"<caption>{text(caption)}</caption><thead><tr>{heads}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


class Shown(float):
    """A number in a table that is written in words of its own and sorted as the number it is."""

    words: str

    def __new__(cls, value: float, words: str) -> Shown:
        made = super().__new__(cls, value)
        made.words = words
        return made

    def __str__(self) -> str:
        return self.words


class Linked(str):
    """Words in a table that lead somewhere, such as ``#zigzag`` on the same page."""

    href: str

    def __new__(cls, words: str, href: str) -> Linked:
        made = super().__new__(cls, words)
        made.href = href
        return made


def measured(name: str, value: float) -> Shown:
    """The value of a metric in a table."""
    return Shown(value, measure(name, value))


def _written(value: object) -> str:
    words = text(_shown(value))
    return f'<a href="{text(value.href)}">{words}</a>' if isinstance(value, Linked) else words


def _shown(value: object) -> object:
    plain = isinstance(value, int | float | np.number) and not isinstance(value, bool | Shown)
    return number(value) if plain else value  # type: ignore[arg-type]


def _sort_key(value: object) -> str:
    numeric = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return f' data-value="{float(value)!r}"' if numeric else ""  # type: ignore[arg-type]


def _cell(value: object, right: bool) -> str:
    kind = ' class="number"' if right else ""
    return f"<td{kind}{_sort_key(value)}>{_written(value)}</td>"


def tiled(pairs: Iterable[tuple[str, str]], *, big: bool = True) -> str:
    """What is most worth knowing as large figures with their names, the first the largest unless not ``big``."""
    tiles: list[str] = []
    for what, value in pairs:
        large = f' big" style="--letters: {len(value)}' if big and not tiles else ""
        tiles.append(f'<div class="tile{large}"><dt>{text(what)}</dt><dd>{text(value)}</dd></div>')
    return f'<dl class="tiles">{"".join(tiles)}</dl>'


def facts(pairs: Mapping[str, object]) -> str:
    """A list of names and values; nothing where there are none."""
    rows = "".join(f"<div><dt>{text(name)}</dt><dd>{text(_shown(value))}</dd></div>" for name, value in pairs.items())
    if not rows:
        return ""
    return f'<dl class="facts">{rows}</dl>'


def data(value: Any) -> str:
    """Plain data as JSON that no text can break out of, within a script element."""
    encoded = json.dumps(_plain(value), separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return encoded.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").replace("\u2028", "\\u2028")


def _plain(value: Any) -> Any:
    """Lists and dicts all the way; five significant digits are more than a chart shows; what is no number is a gap."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
