"""Several pictures over one axis, one above the other, which fits narrow screens too.

>>> traces, axes = stacked({"tanh": curve(…), "ReLU": curve(…)})
>>> picture("…", traces, x=across(axes, "output"), y=axes.pop("yaxis"), **axes)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from draw import Traces

GAP = 0.2
"""Of a panel's height."""


def stacked(panels: Mapping[str, Traces], **style: Any) -> tuple[Traces, dict[str, Any]]:
    """The traces of all panels, the first at the top, each on an axis of its own with the panel's name as its title;
    and those axes. A name has one entry in the legend. ``style`` belongs to every axis."""
    traces: Traces = []
    axes: dict[str, Any] = {}
    named: set[str] = set()
    for row, (title, drawn) in enumerate(panels.items()):
        number = str(row + 1) if row else ""
        top = 1 - row / len(panels)
        axes[f"yaxis{number}"] = {
            "domain": [top - (1 - GAP) / len(panels), top], "title": {"text": title, "font": {"size": 11, "color": "--muted"}},
            "gridcolor": "--line", "zerolinecolor": "--line", "tickfont": {"color": "--muted"}, "automargin": True, **style,
        }  # fmt: skip
        for trace in drawn:
            name = trace.get("name", "")
            shown = trace.get("showlegend", True) and name not in named
            traces.append(trace | {"yaxis": f"y{number}", "legendgroup": name, "showlegend": shown})
            named.add(name)
    return traces, axes


def across(axes: Mapping[str, Any], title: str, **style: Any) -> dict[str, Any]:
    """The common axis, below the last panel."""
    return {"title": {"text": title}, "anchor": list(axes)[-1].replace("axis", ""), **style}
