"""A schedule given as a hyperparameter: ``AdamW(…, lr=1e-3 * (warmup(500) >> cosine(10_000)), betas=(0.9, linear(…)))``.

It is evaluated in closed form before each step, from the number of steps the optimizer has made, which is kept in the group:
there is no order of calls to get wrong, and a resumed run goes on where it stopped. The group holds the present value
under the usual key, the schedules as text under ``schedules`` and the count under ``updates``; so they are in every checkpoint.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from thalweg.errors import InputError
from thalweg.schedules import Schedule, parse

parsed = lru_cache(maxsize=256)(parse)


def scheduled(value: Any) -> Any:
    """A hyperparameter's value at the first step."""
    if isinstance(value, Schedule):
        return value(0)
    return tuple(map(scheduled, value)) if isinstance(value, (tuple, list)) else value


def unpack(group: dict[str, Any]) -> bool:
    """Puts a new group's schedules apart from their values; whether there are any."""
    texts: dict[str, str] = {}
    for name, value in list(group.items()):
        if isinstance(value, Schedule):
            texts[name] = _text(name, value)
        elif isinstance(value, (tuple, list)):
            texts |= {f"{name}.{i}": _text(name, part) for i, part in enumerate(value) if isinstance(part, Schedule)}
        if any(key.split(".")[0] == name for key in texts):
            group[name] = scheduled(value)
    if texts:
        group["schedules"], group["updates"] = texts, 0
    return bool(texts)


def _text(name: str, schedule: Schedule) -> str:
    if schedule.watches():
        raise InputError(
            f"{name} = {schedule!r} follows what a run measures, which an optimizer does not see: "
            f"let thalweg.optim.Follow drive it, or thalweg.fit"
        )
    return repr(schedule)


def advance(groups: list[dict[str, Any]]) -> None:
    """Sets what is scheduled to its value for the step to come."""
    for group in groups:
        for key, text in group.get("schedules", {}).items():
            name, _, index = key.partition(".")
            value = parsed(text)(group["updates"])
            if index:
                parts = list(group[name])
                parts[int(index)] = value
                group[name] = tuple(parts)
            else:
                group[name] = value
        if "updates" in group:
            group["updates"] += 1
