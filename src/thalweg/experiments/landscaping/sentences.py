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
from thalweg.surfaces.critical import Critical
from thalweg.surfaces.landscape import Line

COUNTS = 0.02
"""Of the fall that training brought: a barrier below is none. Frankle et al. 2020 call runs stable below 2 % of error."""
ALIKE = 1.2
"""Curvatures whose ratio is below are called the same."""
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
    """A finding for each barrier, and one for all pairs that have none."""
    high = [pair for pair in seen.lines if not _share(seen, pair[2]) < COUNTS]
    low = [pair for pair in seen.lines if _share(seen, pair[2]) < COUNTS]
    names = [end.name for end in seen.ends]
    found = [_barrier(seen, names[a], names[b], way) for a, b, way in high]
    if low:
        said = " ".join(
            _low(seen, names[a], names[b], way, first_one=place == 0) for place, (a, b, way) in enumerate(low)
        )
        which = (
            "any two of them"
            if len(low) == len(names) == 3
            else both_of([f"{names[a]} and {names[b]}" for a, b, _ in low])
        )
        found.append(Told(f"No barrier between {which}", said, "good"))
    return found


def _share(seen: Seen, found: Line) -> float:
    """The barrier, as a share of what training gained."""
    fall = seen.begin["train"] - float(found.values["train"][[0, -1]].mean())
    return found.barrier("train").height / max(fall, 1e-12)


def _barrier(seen: Seen, first: str, second: str, found: Line) -> Told:
    title = f"A barrier between {first} and {second}"
    train = found.barrier("train")
    if not math.isfinite(train.height):
        return Told(title, "On the straight way between them the training loss is not finite.", "warning")
    said = (
        f"On the straight way between them the training loss rises to {_number(train.height)} above {_joined(found)}, "
        f"{_percent(train.at)} of the way to {second}. That is {_percent(_share(seen, found))} of what training had gained: "
        f"they lie in different valleys, or in one that bends. {_of_dev(found)}"
    )
    return Told(title, said, "warning")


def _low(seen: Seen, first: str, second: str, found: Line, *, first_one: bool) -> str:
    height, share = _number(found.barrier("train").height), _percent(_share(seen, found))
    if not first_one:
        return f"Between {first} and {second} it is {height} ({share}). {_of_dev(found)}"
    return (
        f"On the straight way from {first} to {second} the training loss is nowhere more than {height} above {_joined(found)}, "
        f"{share} of what training had gained: they lie in one connected low region. {_of_dev(found)}"
    )


def _joined(found: Line) -> str:
    ends = found.values["train"][[0, -1]]
    return f"the line that joins its ends ({_number(ends[0])} and {_number(ends[1])})"


def _of_dev(found: Line) -> str:
    height = found.barrier("dev").height
    said = f"The dev loss has a barrier of {_number(height)}" if height > 0 else "The dev loss has none"
    if "dev error" in found.values:
        said += f", the dev error one of {_percent(found.barrier('dev error').height)}"
    return f"{said}."


def both_of(names: Sequence[str]) -> str:
    """Names as they are said together."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


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
    if max(sharp) < ALIKE * min(sharp):
        more = "about the same"
    elif sharp[int(order[0])] == min(sharp):
        more = "which says the same"
    else:
        more = "which says otherwise: it depends on the scale of the weights (Dinh et al. 2017), the slices do not"
    return Told(f"{names[order[0]]} ends flatter", f"{said} {curved}, {more}.{_depth(seen, int(order[0]))}")


def _depth(seen: Seen, flattest: int) -> str:
    """A warning where the flattest end is also the one that has not gone far down."""
    losses = [float(way.values["train"][-1]) for way in seen.descents]
    if losses[flattest] - min(losses) < COUNTS * (seen.begin["train"] - min(losses)):
        return ""
    return (
        f" But {seen.ends[flattest].name} also stands higher, at a training loss of {_number(losses[flattest])} against "
        f"{_number(min(losses))}: a place that is less deep is flatter."
    )


def _surely(differences: np.ndarray) -> bool:
    count = len(differences)
    error = float(np.std(differences, ddof=1)) / count**0.5 if count > 1 else math.inf
    return float(differences.mean()) > STUDENT.get(count - 1, 1.96) * error


def standing(seen: Seen) -> Told:
    """Minimum, saddle or slope, for each end."""
    kinds = [point.kind for point in seen.points]
    names = [end.name for end in seen.ends]
    title = (
        f"{both_of(names)} end {KINDS[kinds[0]]}"
        if len(set(kinds)) == 1
        else "; ".join(f"{name} ends {KINDS[kind]}" for name, kind in zip(names, kinds, strict=True))
    )
    said = [_stands(name, point) for name, point in zip(names, seen.points, strict=True)]
    if len(set(kinds)) == 1 and kinds[0] != "slope":
        said.insert(0, "The gradient is as good as zero there.")
    return Told(title, " ".join(said), "good" if set(kinds) == {"minimum"} else "")


def _stands(name: str, point: Critical) -> str:
    slope = (
        f" (where a step on the quadratic model could still gain {_number(point.gain)})"
        if point.kind == "slope"
        else ""
    )
    found = point.spectrum
    if found.smallest >= -point.tolerance:
        return f"At {name}{slope} no direction was found that curves downwards."
    part = f", {_number(-found.smallest / found.largest)} of the sharpest upwards" if found.largest > 0 else ""
    return (
        f"At {name}{slope} about {_percent(point.negative)} of the directions curve downwards, the steepest by "
        f"{_number(-found.smallest)}{part}."
    )


def ways(seen: Seen) -> Told:
    """How far each went, and how far apart they ended."""
    went = ", ".join(f"{end.name} {_number(way.distance)}" for end, way in zip(seen.ends, seen.descents, strict=True))
    names = [end.name for end in seen.ends]
    apart = "; ".join(
        f"{names[a]} and {names[b]} {_number(found.distance)}{_angle(seen.ends, a, b)}" for a, b, found in seen.lines
    )
    said = f"From its start each went: {went}, as the distance between weights. Between the ends it is: {apart}."
    said += _inside(seen)
    return Told("How far they went", said)


def _angle(ends: Sequence[End], a: int, b: int) -> str:
    first, second = ((ends[i].point - ends[i].start).double() for i in (a, b))
    sizes = float(first.norm() * second.norm())
    if not sizes or not bool((ends[a].start == ends[b].start).all()):
        return ""
    return (
        f" with their ways at {math.degrees(math.acos(max(-1.0, min(1.0, float(first @ second) / sizes)))):.0f} degrees"
    )


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
