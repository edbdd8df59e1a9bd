"""Where each rule's hyperparameters are looked for: one published space a rule, the same for every race.

>>> space_of("adam").to_dict()
{'lr': '1e-05..0.1:log', 'beta1': '0.5..0.98:one-minus', 'weight_decay': 0.0}
>>> extended(space_of("adam"), {"lr": "high"})["lr"].text                  # the best rate was at the edge: a decade more
'1e-05..1.0:log'

The space decides a race more than anything else (Choi et al. 2019), so it is written down here, with its source, before any
race is run. Where AlgoPerf (Dahl et al. 2023, external tuning) has a range it stands, widened towards small problems,
whose best rates and momenta lie outside (our digits: SGD 0.56, Adam 0.0056). Decay is searched for all rules or for none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from thalweg.errors import InputError
from thalweg.search import Range, Space, Value

Side = Literal["low", "high"]
BEYOND = 10.0
"""An extension adds a decade beyond the edge, of the value or, for an averaging factor β, of 1 − β."""
NEAR = 0.1
"""A value is at the edge of its range within this share of the scale."""

ALGOPERF = "AlgoPerf, external tuning (Dahl et al. 2023)"
WIDER = f"{ALGOPERF}; widened for small problems"


@dataclass(frozen=True)
class Published:
    """A rule's space as it is written down: ``ranges`` by the rule's own names, the rate first; ``decay`` the range of its
    weight decay (empty: it takes none), in its own sense (decoupled where the rule decouples it); and where it comes from."""

    ranges: Mapping[str, str]
    source: str
    decay: str = ""


_L2, _LARGE_L2, _DECOUPLED = "1e-7..1e-2:log", "1e-5..1e-1:log", "5e-3..1.0:log"
"""L2 in the gradient: AlgoPerf's 1e-7..5e-5 for momentum, widened for small nets; Sivaprasad et al. 2020 for adaptive
rules. Decoupled: AlgoPerf's for AdamW."""
_HEAVY = "0.5..0.995:one-minus"
"""1 − β from AlgoPerf's 5e-3 to 0.5 instead of 0.3, as Adam's: where there are only hundreds of steps, little momentum is best
(on ``x²/20 + y²`` β = 0.4)."""
_ADAM, _ADAM_BETA, _NADAM_BETA = "1e-5..1e-1:log", "0.5..0.98:one-minus", "0.9..0.996:one-minus"


def _adam(source: str = "as Adam", decay: str = _LARGE_L2, rate: str = _ADAM, beta: str = _ADAM_BETA) -> Published:
    return Published({"lr": rate, "beta1": beta}, source, decay)


_SGD = Published({"lr": "1e-3..10.0:log"}, "a decade on each side of the usual 0.01 to 1", _L2)
_HEAVY_BALL = Published({"lr": "1e-3..5.0:log", "beta": _HEAVY}, WIDER, _L2)

TABLE: dict[str, Published] = {
    "sgd": _SGD,
    "asgd": Published(_SGD.ranges, "as SGD", _L2),
    "momentum": Published(
        {"lr": "1e-3..10.0:log", "beta": _HEAVY},
        f"β: {ALGOPERF}; the rate of an averaged gradient is SGD's, 1/(1 − β) times that of a sum",
        _L2,
    ),
    "momentum_sum": _HEAVY_BALL,
    "heavy_ball": _HEAVY_BALL,
    "nesterov": _HEAVY_BALL,
    "adagrad": Published({"lr": "1e-3..1.0:log"}, "around the 0.01 of Duchi et al.; Sivaprasad et al. 2020", _L2),
    "adadelta": Published(
        {"lr": "1e-2..10.0:log", "rho": "0.7..0.99:one-minus"}, "a decade around Zeiler's 1, his 0.95 within", _L2
    ),
    "rmsprop": Published(
        {"lr": "1e-5..1e-1:log", "alpha": "0.7..0.999:one-minus"}, "Schmidt et al. 2021, the decay as 1 − α", _LARGE_L2
    ),
    "rprop": Published({"lr": "1e-5..1e-1:log"}, "the first step of each weight; Riedmiller & Braun's 0.1 is the end"),
    "adam": _adam(WIDER + "; decay: Sivaprasad et al. 2020"),
    "adamw": _adam(WIDER, _DECOUPLED),
    "amsgrad": _adam(),
    "amsgrad_single": _adam(),
    "radam": _adam(),
    "adamax": _adam(),
    "adabelief": _adam(),
    "swats": _adam("as Adam, which leads until the switch"),
    "nadam": _adam(WIDER, beta=_NADAM_BETA),
    "nadamw": _adam(WIDER, _DECOUPLED, beta=_NADAM_BETA),
    "yogi": _adam("Adam's a decade up, as its authors' 0.01 is", rate="1e-4..1.0:log"),
    "adan": _adam("NadamW's; the authors' 0.98 within", _DECOUPLED, beta=_NADAM_BETA),
    "lion": _adam("Adam's a decade down, its decay a decade up (Chen et al. 2023)", "5e-2..10.0:log", "1e-6..1e-2:log"),
    "lamb": _adam(WIDER, "1e-3..1.0:log", beta="0.7..0.95:one-minus"),
    "lars": Published(
        {"lr": "1e-1..100.0:log", "momentum": _HEAVY}, "You et al. 2017: rates up to 30 beside a trust of 0.001", _L2
    ),
    "muon": Published(
        {"lr": "1e-4..1.0:log", "momentum": "0.8..0.99:one-minus", "rest_lr": _ADAM},
        "around Jordan et al.'s 0.02 and 0.95; what is no matrix takes AdamW's rate",
        _DECOUPLED,
    ),
    "schedule_free_sgd": Published(
        {"lr": "1e-2..100.0:log", "momentum": "0.7..0.98:one-minus"}, "SGD's a decade up (Defazio et al. 2024)", _L2
    ),
    "schedule_free_adamw": _adam(
        "AdamW's with the β of Defazio et al. 2024", _DECOUPLED, beta="0.7..0.98:one-minus"
    ),
}  # fmt: skip
"""THE table: what is searched for each rule."""


def published(rule: str) -> Published:
    """The row of a rule. Raises ``InputError`` for one that has none."""
    if rule not in TABLE:
        raise InputError(
            f'there is no space for the rule "{rule}": give one, or choose among {", ".join(sorted(TABLE))}'
        )
    return TABLE[rule]


def space_of(rule: str, *, with_decay: bool = False) -> Space:
    """What is searched for a rule, the rate first. Decay comes last: a range, or fixed at zero where it is left out, since a
    decay in one rule alone would be a different problem. Raises ``InputError`` for a rule without a space."""
    row = published(rule)
    decay: dict[str, object] = {} if not row.decay else {"weight_decay": row.decay if with_decay else 0.0}
    return Space.parse({**row.ranges, **decay})


def is_at_edge(
    values: Mapping[str, Value], space: Space, *, names: Iterable[str] = ("lr",), near: float = NEAR
) -> dict[str, Side]:
    """Which of these hyperparameters lie within ``near`` of an end of their range, and at which end.

    The rate alone by default: for the others an end is often where they stop to matter. With n points of a Sobol sequence the
    outermost lies within 1/n of the end, and nothing beyond was tried: ``near=1 / n`` asks for that.
    """
    found: dict[str, Side] = {}
    for name in names:
        dimension = space.dimensions.get(name)
        if isinstance(dimension, Range) and name in values:
            place = dimension.place(values[name])
            if min(place, 1.0 - place) <= near:
                found[name] = "low" if place < 0.5 else "high"
    return found


def extended(space: Space, edges: Mapping[str, Side]) -> Space:
    """The space with a decade more at these ends. Every rule of a race gets as many extra trials, whether its space grew or
    not. Raises ``InputError`` for a hyperparameter that is no range of the space."""
    return _replaced(space, {name: _grown(name, space, side)[0] for name, side in edges.items()})


def beyond(space: Space, edges: Mapping[str, Side]) -> Space:
    """What ``extended`` added alone: where the extra trials of a rule at its edge are drawn."""
    return _replaced(space, {name: _grown(name, space, side)[1] for name, side in edges.items()})


def _replaced(space: Space, ranges: Mapping[str, Range]) -> Space:
    return Space({**space.dimensions, **ranges}, space.when)


def _grown(name: str, space: Space, side: Side) -> tuple[Range, Range]:
    """The whole range after it grew, and the new part."""
    old = space.dimensions.get(name)
    if not isinstance(old, Range):
        raise InputError(f"{name}: only a range can be extended, and the space has {', '.join(space.searched)}")
    low, high = _end(old, "low"), _end(old, "high")
    if side == "low":
        return Range(low, old.high, old.scale), Range(low, old.low, old.scale)
    return Range(old.low, high, old.scale), Range(old.high, high, old.scale)


def _end(old: Range, side: Side) -> float:
    """Where the range ends after it grew to one side."""
    up = side == "high"
    if old.scale == "log":
        return float(f"{old.high * BEYOND if up else old.low / BEYOND:.12g}")
    if old.scale == "one-minus":
        return float(f"{1 - (1 - old.high) / BEYOND:.12g}") if up else max(1 - (1 - old.low) * BEYOND, 0.0)
    return old.high + (old.high - old.low) if up else old.low - (old.high - old.low)
