"""THE table: every named rule, as its equations. A new row is tested, compiled and offered everywhere at once.

``descent`` holds those that follow the gradient or its mean, ``adaptive`` those that divide by its running size,
``schedulefree`` and ``switching`` what their names say.
"""

from __future__ import annotations

from collections.abc import Callable

from thalweg.rules import adaptive, descent, schedulefree, switching
from thalweg.rules.rule import Rule

TABLE: dict[str, Callable[..., Rule]] = {
    "sgd": descent.sgd,
    "momentum": descent.momentum_average,
    "momentum_sum": descent.momentum_sum,
    "nesterov": descent.nesterov,
    "asgd": descent.asgd,
    "rprop": descent.rprop,
    "lion": descent.lion,
    "lars": descent.lars,
    "muon": descent.muon,
    "adagrad": adaptive.adagrad,
    "adadelta": adaptive.adadelta,
    "rmsprop": adaptive.rmsprop,
    "adam": adaptive.adam,
    "amsgrad_single": adaptive.amsgrad_single,
    "nadam": adaptive.nadam,
    "radam": adaptive.radam,
    "adamax": adaptive.adamax,
    "adabelief": adaptive.adabelief,
    "yogi": adaptive.yogi,
    "adan": adaptive.adan,
    "lamb": adaptive.lamb,
    "schedule_free_sgd": schedulefree.schedule_free_sgd,
    "schedule_free_adamw": schedulefree.schedule_free_adamw,
    "swats": switching.swats,
}
