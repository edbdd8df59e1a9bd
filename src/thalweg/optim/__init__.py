"""The ``torch.optim`` face: PyTorch's optimizers, from equations, in one pass.

>>> optimizer = thalweg.optim.AdamW(model.parameters(), lr=1e-3)            # as torch.optim.AdamW
>>> optimizer.load_state_dict(torch_optimizer.state_dict())                 # and back
>>> print(thalweg.optim.formula(optimizer))

``NAMED`` is the table of all classes by the name a spec uses.
"""

from thalweg.optim.named import (
    NAMED,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    AMSGrad,
    HeavyBall,
    Momentum,
    NAdam,
    Nesterov,
    RMSprop,
)
from thalweg.optim.optimizer import Optimizer
from thalweg.optim.own import FromRule

__all__ = [
    "NAMED",
    "SGD",
    "AMSGrad",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "FromRule",
    "HeavyBall",
    "Momentum",
    "NAdam",
    "Nesterov",
    "Optimizer",
    "RMSprop",
    "formula",
]


def formula(optimizer: Optimizer) -> str:
    """The equations of an optimizer's first group, with its decay and clipping."""
    from thalweg.rules import modified, variant

    rule, options, modifiers = optimizer.form(optimizer.param_groups[0])
    if isinstance(optimizer, FromRule):
        return str(modified(optimizer.rule, modifiers))
    return str(variant(rule, modifiers=modifiers, **dict(options)))
