"""The table of all classes by the name a spec uses. A new row is tested and offered everywhere at once."""

from __future__ import annotations

from thalweg.optim.beyond import (
    LAMB,
    LARS,
    AdaBelief,
    Adan,
    AMSGrad,
    HeavyBall,
    Lion,
    Momentum,
    NAdamW,
    Nesterov,
    Yogi,
)
from thalweg.optim.muon import Muon
from thalweg.optim.optimizer import Optimizer
from thalweg.optim.schedulefree import ScheduleFreeAdamW, ScheduleFreeSGD
from thalweg.optim.swats import SWATS
from thalweg.optim.torchs import (
    ASGD,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    NAdam,
    RAdam,
    RMSprop,
    Rprop,
)

NAMED: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "heavy_ball": HeavyBall,
    "nesterov": Nesterov,
    "asgd": ASGD,
    "rprop": Rprop,
    "adagrad": Adagrad,
    "adadelta": Adadelta,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
    "amsgrad": AMSGrad,
    "adamax": Adamax,
    "nadam": NAdam,
    "nadamw": NAdamW,
    "radam": RAdam,
    "adabelief": AdaBelief,
    "adan": Adan,
    "yogi": Yogi,
    "lion": Lion,
    "lamb": LAMB,
    "lars": LARS,
    "muon": Muon,
    "schedule_free_sgd": ScheduleFreeSGD,
    "schedule_free_adamw": ScheduleFreeAdamW,
    "swats": SWATS,
}
