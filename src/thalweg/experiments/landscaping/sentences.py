"""The findings of a landscape: is there a barrier, which end is flatter, is each a minimum, how far did they go.

>>> flatness(seen).title
'adam ends flatter'

A barrier counts from a fiftieth of what training gained; an end is called flatter where the paired difference over the same
random directions is surely not 0 (95 %).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from thalweg.experiments.landscaping.ends import End
from thalweg.experiments.landscaping.measuring import Seen
from thalweg.report.landscape import Told
from thalweg.report.markup import number
from thalweg.surfaces.landscape import Line

COUNTS = 0.02
"""Of the fall that training brought: a barrier below is none. Frankle et al. 2020 call runs stable below 2 % of error."""
STUDENT = {2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
"""The 97.5 % points of Student's t by degrees of freedom."""
KINDS = {
    "minimum": "in a minimum",
    "maximum": "on a maximum",
    "saddle": "on a saddle",
    "flat": "on a plain",
    "slope": "on a slope",
}


def barriers(seen: Seen) -> list[Told]:
    """One finding for each pair of ends."""
    return [_barrier(seen, seen.ends[a].name, seen.ends[b].name, found) for a, b, found in seen.lines]


def _barrier(seen: Seen, first: str, second: str, found: Line) -> Told:
    train, dev = found.barrier("train"), found.barrier("dev")
    ends = found.values["train"][[0, -1]]
    fall = max(seen.begin["train"] - float(ends.mean()), 1e-12)
    share = train.height / fall
    if not math.isfinite(share):
        return Told(
            f"A barrier between {first} and {second}", "On the way between them the loss is not finite.", "warning"
        )
    dev_words = f"The dev loss has one of {_number(dev.height)}" if dev.height > 0 else "The dev loss has none"
    if "dev error" in found.values:
        dev_words += f", the dev error {_percent(found.barrier('dev error').height)}"
    joined = f"the line that joins its ends ({_number(ends[0])} and {_number(ends[1])})"
    if share < COUNTS:
        said = (
            f"On the straight way between them the training loss is nowhere more than {_number(train.height)} above {joined}: "
            f"they lie in one connected low region. {dev_words}."
        )
        return Told(f"No barrier between {first} and {second}", said, "good")
    said = (
        f"On the straight way between them the training loss rises to {_number(train.height)} above {joined}, "
        f"{_percent(train.at)} of the way to {second}. That is {_percent(share)} of what training had gained: they lie in "
        f"different valleys, or in one that bends. {dev_words}."
    )
    return Told(f"A barrier between {first} and {second}", said, "warning")


def flatness(seen: Seen) -> Told:
    """Which end is flatter, by slices that do not depend on the scale of the weights; and whether the Hessian agrees."""
    rises = np.array([one.rises("train") for one in seen.slices])
    order = np.argsort(rises.mean(1))
    names = [end.name for end in seen.ends]
    each = ", ".join(f"{_number(rises[i].mean())} from {names[i]}" for i in order)
    said = f"One unit along a random filter-normalised direction the training loss rises by {each}, on average."
    sharp = [point.spectrum.largest for point in seen.points]
    curved = f"The sharpest direction has curvature {', '.join(f'{_number(sharp[i])} at {names[i]}' for i in order)}"
    clear = [_surely(rises[b] - rises[a]) for a, b in pairwise(order)]
    if not clear[0]:
        return Told(
            f"{names[order[0]]} and {names[order[1]]} end about equally flat",
            f"{said} The difference between the two flattest lies within the spread of {rises.shape[1]} directions. {curved}.",
        )
    agrees = int(np.argmin(sharp)) == int(order[0])
    more = (
        "which says the same"
        if agrees
        else "which says the opposite: it depends on the scale of the weights (Dinh et al. 2017), the slices do not"
    )
    return Told(f"{names[order[0]]} ends flatter", f"{said} {curved}, {more}.")


def _surely(differences: np.ndarray) -> bool:
    count = len(differences)
    error = float(np.std(differences, ddof=1)) / count**0.5 if count > 1 else math.inf
    return float(differences.mean()) > STUDENT.get(count - 1, 1.96) * error


def standing(seen: Seen) -> Told:
    """Minimum, saddle or slope, for each end."""
    kinds = [point.kind for point in seen.points]
    names = [end.name for end in seen.ends]
    everybody = f"{', '.join(names[:-1])} and {names[-1]} end"
    title = (
        f"{everybody} {KINDS[kinds[0]]}"
        if len(set(kinds)) == 1
        else "; ".join(f"{name} ends {KINDS[kind]}" for name, kind in zip(names, kinds, strict=True))
    )
    said = " ".join(
        f"{name}: {point.sentence[:1].lower()}{point.sentence[1:]}"
        for name, point in zip(names, seen.points, strict=True)
    )
    return Told(title, said, "good" if set(kinds) == {"minimum"} else "")


def ways(seen: Seen) -> Told:
    """How far each went, and how far apart they ended."""
    went = ", ".join(f"{end.name} {_number(way.distance)}" for end, way in zip(seen.ends, seen.descents, strict=True))
    apart = "; ".join(
        f"{seen.ends[a].name} and {seen.ends[b].name} end {_number(found.distance)} apart{_angle(seen.ends, a, b)}"
        for a, b, found in seen.lines
    )
    said = f"From its start each went: {went}, as the distance between weights. {apart[:1].upper()}{apart[1:]}."
    said += _inside(seen)
    return Told("How far they went", said)


def _angle(ends: Sequence[End], a: int, b: int) -> str:
    first, second = ((ends[i].point - ends[i].start).double() for i in (a, b))
    sizes = float(first.norm() * second.norm())
    if not sizes or not bool((ends[a].start == ends[b].start).all()):
        return ""
    return f", their ways at {math.degrees(math.acos(max(-1.0, min(1.0, float(first @ second) / sizes)))):.0f} degrees"


def _inside(seen: Seen) -> str:
    if seen.plane is None or not any(len(end.path) > 2 for end in seen.ends):
        return ""
    shares = ", ".join(
        f"{_percent(seen.plane.axes.share(end.path))} of {end.name}'s" for end in seen.ends if len(end.path) > 2
    )
    return f" Of the variance of their paths the plane drawn below holds {shares}."


def _number(value: float) -> str:
    return number(float(value), digits=3)


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %") if abs(share) >= 0.1 or share == 0 else f"{share:.1%}".replace("%", " %")
