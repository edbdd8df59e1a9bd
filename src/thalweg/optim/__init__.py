"""The ``torch.optim`` face: PyTorch's optimizers, from equations, in one pass.

>>> optimizer = thalweg.optim.AdamW(model.parameters(), lr=1e-3)            # as torch.optim.AdamW
>>> optimizer.load_state_dict(torch_optimizer.state_dict())                 # and back
>>> print(thalweg.optim.formula(optimizer))

``NAMED`` is the table of all classes by the name a spec uses.
"""

from thalweg import rules
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
)  # fmt: skip
from thalweg.optim.handover import HandOver
from thalweg.optim.inpass import InPass
from thalweg.optim.muon import Muon
from thalweg.optim.named import NAMED
from thalweg.optim.optimizer import Optimizer
from thalweg.optim.own import FromRule, class_from
from thalweg.optim.schedulefree import ScheduleFreeAdamW, ScheduleFreeSGD
from thalweg.optim.schedulers import Follow
from thalweg.optim.swats import SWATS, Switch
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
)  # fmt: skip

__all__ = [
    "ASGD",
    "LAMB",
    "LARS",
    "NAMED",
    "SGD",
    "SWATS",
    "AMSGrad",
    "AdaBelief",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Adan",
    "Follow",
    "FromRule",
    "HandOver",
    "HeavyBall",
    "InPass",
    "Lion",
    "Momentum",
    "Muon",
    "NAdam",
    "NAdamW",
    "Nesterov",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "ScheduleFreeAdamW",
    "ScheduleFreeSGD",
    "Switch",
    "Yogi",
    "class_from",
    "formula",
]  # fmt: skip


def formula(optimizer: Optimizer) -> str:
    """The equations of an optimizer's first group, with its decay and clipping."""
    rule, options, modifiers = optimizer.form(optimizer.param_groups[0])
    if isinstance(optimizer, FromRule):
        return str(rules.modified(optimizer.rule, modifiers))
    return rules.equations(rule, options, modifiers)
