"""An optimizer from any rule: composed of parts, or written as equations.

>>> signum = Rule("signum", defaults={"beta": 0.9}, m=beta * m + (1 - beta) * g, step=lr * sign(m))
>>> optimizer = FromRule(model.parameters(), signum, lr=1e-3, hyperparameters={"beta": 0.95}, weight_decay=0.01)
>>> FromRule(model.parameters(), compose(first=nesterov(momentum), second=running_max(beta2)), lr=1e-3)

It runs on the same engines as the named classes; each hyperparameter is a key of the parameter groups, so groups may differ in
it and schedulers may change it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from torch import Tensor

from thalweg.errors import InputError
from thalweg.optim.inpass import OURS, InPass
from thalweg.optim.optimizer import Form, Optimizer

if TYPE_CHECKING:
    from thalweg.rules import Program, Rule


BROUGHT = {
    "params", "param_names", "decoupled_weight_decay", "maximize", "schedules", "updates", "betas", "differentiable", "foreach",
    "fused", "capturable", "engine", *OURS,
}  # fmt: skip
"""Keys of a parameter group that have a meaning here."""


class FromRule(Optimizer):
    """``torch.optim``'s interface over a rule. The numbers are those given, else the rule's ``defaults``, else the usual ones.

    Raises ``InputError`` for a hyperparameter without a number and for a number that the rule does not use.
    """

    def __init__(
        self, params: Iterable[Any], rule: Rule, lr: float | Tensor | None = None, *,
        hyperparameters: Mapping[str, float] | None = None, weight_decay: float = 0.0, decoupled_weight_decay: bool = False,
        maximize: bool = False, **in_pass: Unpack[InPass],
    ) -> None:  # fmt: skip
        from thalweg.rules.symbols import USUAL

        self.rule = rule
        given = {**(hyperparameters or {}), **({} if lr is None else {"lr": lr})}
        for name in given:
            if name not in rule.hyperparameters:
                raise InputError(
                    f"the rule {rule.name} has no hyperparameter {name}; it has {', '.join(rule.hyperparameters)}"
                )
        numbers = {**USUAL, "weight_decay": weight_decay, **(rule.defaults or {}), **given}
        for name in rule.hyperparameters:
            if name in BROUGHT:
                raise InputError(
                    f"the rule {rule.name} has {name} in its equations, which means something else to FromRule: "
                    f"give it the rule without, and FromRule({name}=…), or another name"
                )
            if name not in numbers:
                raise InputError(f'the rule {rule.name} needs a number for {name}: hyperparameters={{"{name}": …}}')
        defaults = {name: numbers[name] for name in rule.hyperparameters} | {
            "weight_decay": numbers["weight_decay"], "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize,
        }  # fmt: skip
        self._programs: dict[tuple[str, ...], Program] = {}
        super().__init__(params, defaults, in_pass)

    def rule_of(self, group: dict[str, Any]) -> str:
        return self.rule.name

    def form(self, group: dict[str, Any]) -> Form:
        form = super().form(group)
        if "weight_decay" not in self.rule.hyperparameters:
            return form
        own = tuple(name for name in form.modifiers if name != self.decay_of(group))
        return form._replace(modifiers=own)  # the rule decays by itself, as adamw

    def program(self, form: Form) -> Program:
        if form.modifiers not in self._programs:
            from thalweg.rules.modifiers import modified

            self._programs[form.modifiers] = modified(self.rule, form.modifiers).program()
        return self._programs[form.modifiers]

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "rule": self.rule}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._programs = {}
        super().__setstate__(state)


def class_from(rule: Rule) -> type[FromRule]:
    """An optimizer class of a rule, its hyperparameters as named arguments with the rule's defaults.

    >>> Signum = class_from(signum)
    >>> Signum(model.parameters(), lr=1e-3, beta=0.95, weight_decay=0.01)
    """
    from thalweg.rules.symbols import USUAL

    numbers = {**USUAL, **(rule.defaults or {})}
    own = [name for name in rule.hyperparameters if name not in BROUGHT]
    keyword = inspect.Parameter.KEYWORD_ONLY
    arguments = [inspect.Parameter("params", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    arguments += [inspect.Parameter(name, keyword, default=numbers.get(name, inspect.Parameter.empty)) for name in own]
    common = {"weight_decay": 0.0, "decoupled_weight_decay": False, "maximize": False, **OURS, "engine": "auto"}
    arguments += [inspect.Parameter(name, keyword, default=value) for name, value in common.items() if name not in own]
    signature = inspect.Signature(arguments)

    def begin(self: FromRule, *args: Any, **kwargs: Any) -> None:
        given = signature.bind(*args, **kwargs).arguments
        params = given.pop("params")
        hyperparameters = {name: given.pop(name) for name in own if name in given}
        FromRule.__init__(self, params, rule, hyperparameters=hyperparameters, **given)

    title = "".join(part.capitalize() for part in re.split(r"\W+|_", rule.name)) or "Own"
    body = {"__init__": begin, "__signature__": signature, "__doc__": str(rule), "__reduce_ex__": _as_from_rule}
    return type(title, (FromRule,), body)


def _as_from_rule(self: FromRule, protocol: int) -> tuple[Any, ...]:
    """A class made at run time cannot be found by name: what is pickled is the ``FromRule`` that it is."""
    return _empty, (), self.__getstate__()


def _empty() -> FromRule:
    return FromRule.__new__(FromRule)
