"""The one subclass of ``torch.optim.Optimizer``, and the one ``step``.

A class in ``named`` says which rule its groups follow and how PyTorch's names map to the rule's; everything else is here: the
state PyTorch knows, checkpoints that cross over in both directions, hooks, closures, clipping, and a *plan* that turns all
parameters into one table for one kernel call.

>>> optimizer = Adam(model.parameters(), lr=1e-3, clip_norm=1.0)
>>> optimizer.step()
>>> optimizer.gradient_norm                 # of this step, before clipping: clipping measures it anyway
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from inspect import unwrap
from typing import Any, ClassVar, NamedTuple

import torch
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from thalweg.errors import InputError
from thalweg.optim.checks import check, check_engine
from thalweg.optim.inpass import OURS, PARTS, InPass, modifiers_of, taken
from thalweg.optim.plan import Plan
from thalweg.optim.scheduled import advance, scheduled, unpack
from thalweg.optim.states import WEIGHTS
from thalweg.rules import Program, lowered

# torch hides these from its compiler, and the first call imports that compiler, which takes a second: here they stand bare.
_add_param_group = unwrap(torch.optim.Optimizer.add_param_group)
_state_dict = unwrap(torch.optim.Optimizer.state_dict)
_load_state_dict = unwrap(torch.optim.Optimizer.load_state_dict)
KIND = ("decoupled_weight_decay", "amsgrad", "nesterov", "centered")
"""Keys of a group that say what optimizer it is."""


class Form(NamedTuple):
    """Which form of which rule a group follows: what decides the kernel, not the numbers in it."""

    rule: str
    options: tuple[tuple[str, bool | str], ...]
    modifiers: tuple[str, ...]


class Optimizer(torch.optim.Optimizer):
    """PyTorch's optimizer interface over a rule. Subclasses declare the five attributes and ``options``."""

    rule_name: ClassVar[str]
    renamed: ClassVar[dict[str, tuple[str, int | None]]] = {}
    """The rule's hyperparameter → the group's key, and the index in it where it is a tuple."""
    ranges: ClassVar[dict[str, tuple[float, float]]] = {}
    """Between what bounds the class's own numbers lie, ends included."""
    decay: ClassVar[str] = "coupled_decay"
    decays_itself: ClassVar[bool] = False
    """Whether the rule's own equations have the weight decay."""
    keeps_step: ClassVar[bool] = True
    """Whether PyTorch's state has ``step`` for this class; see ``counts``."""

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any], in_pass: InPass) -> None:
        ours, engine = taken(in_pass)
        defaults = {**ours, **defaults}
        if defaults.get("differentiable"):
            raise InputError(
                f"{type(self).__name__}: differentiable=True is not supported; use torch.optim for this one"
            )
        check_engine(engine, type(self).__name__)
        check(defaults, defaults, type(self))
        self.engine = engine
        self.gradient_norm = math.nan
        self._plan: Plan | None = None
        self._scheduled = False
        self._averaged = False
        self.loaded = False
        super().__init__(
            params, {name: value for name, value in defaults.items() if name not in OURS or value != OURS[name]}
        )

    def options(self, group: dict[str, Any]) -> tuple[tuple[str, bool | str], ...]:
        """The form of the rule that a group's flags choose."""
        return ()

    def rule_of(self, group: dict[str, Any]) -> str:
        """The rule a group follows."""
        return self.rule_name

    def decay_of(self, group: dict[str, Any]) -> str:
        """How a group's weight decay acts: as the class says, or the group itself where PyTorch gives it a key for that."""
        asked = group.get("decoupled_weight_decay")
        return self.decay if asked is None else "decoupled_decay" if asked else "coupled_decay"

    def form(self, group: dict[str, Any]) -> Form:
        """What decides the group's kernel."""
        modifiers = modifiers_of(group, "" if self.decays_itself else self.decay_of(group))
        return Form(self.rule_of(group), self.options(group), modifiers)

    def counts(self, group: dict[str, Any]) -> bool:
        """Whether a group's checkpoint has ``step``: where PyTorch's has it, and where an average or dice depend on it."""
        narrow = group.get("state_dtype") in ("bfloat16", "8bit") or group.get("stochastic_rounding")
        return self.keeps_step or group.get("swa") is not None or bool(narrow)

    def arguments(self, group: dict[str, Any], names: tuple[str, ...]) -> list[float]:
        """The numbers of a group for the hyperparameters ``names``."""
        values = []
        for name in names:
            key, index = self.place_of(name)
            value = group[key] if index is None else group[key][index]
            values.append(float(value))
        return values

    def place_of(self, name: str) -> tuple[str, int | None]:
        """The group's key of the rule's hyperparameter ``name``, and the index in it where it is a tuple."""
        return self.renamed.get(name) or PARTS.get(name, (name, None))

    def program(self, form: Form) -> Program:
        """The program of a form; from the cache folder where it is there."""
        return lowered(*form)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; ``closure`` recomputes the loss, as in PyTorch."""
        if torch.compiler.is_dynamo_compiling():
            return _untraced_step(self, closure)
        arguments: tuple[Any, ...] = (self,) if closure is None else (self, closure)
        keywords: dict[str, Any] = {}
        if _global_optimizer_pre_hooks or self._optimizer_step_pre_hooks:
            for hook in (*_global_optimizer_pre_hooks.values(), *self._optimizer_step_pre_hooks.values()):
                changed = hook(self, arguments, keywords)
                if changed is not None:
                    if not (isinstance(changed, tuple) and len(changed) == 2):
                        raise RuntimeError(
                            f"{hook} must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                        )
                    arguments, keywords = changed
            closure = arguments[1] if len(arguments) > 1 else keywords.get("closure")
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if self._averaged:
            raise InputError(f"{type(self).__name__}: step() inside averaged(): the weights hold their average there")
        if self._scheduled:
            advance(self.param_groups)
        plan = self._plan
        if plan is None or not plan.fits() or not plan.point():
            plan = self._plan = Plan(self)
            if not plan.point():
                raise InputError(f"{type(self).__name__}: a gradient changed while the step was being prepared")
        plan.run()
        self.stepped(plan)
        if self._optimizer_step_post_hooks or _global_optimizer_post_hooks:
            for hook in (*self._optimizer_step_post_hooks.values(), *_global_optimizer_post_hooks.values()):
                hook(self, arguments, keywords)
        return loss

    # torch would wrap ``step`` in a profiler range that costs as much as a small net's whole step; hooks are called above.
    step.hooked = True  # type: ignore[attr-defined]

    def stepped(self, plan: Plan) -> None:
        """Called after each step: what an optimizer does with the numbers its rule keeps on the host."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds parameters, as in PyTorch; they begin with their own first step."""
        self._plan = None
        given = {name: value for name, value in param_group.items() if name not in ("params", "param_names")}
        check({**self.defaults, **given}, self.defaults, type(self))
        _add_param_group(self, param_group)
        self._scheduled = unpack(self.param_groups[-1]) or self._scheduled

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within it, the weights are their average (``ema``, ``swa``, ASGD's, a schedule-free rule's); others stay as they are.

        >>> with optimizer.averaged():
        ...     evaluate(model)
        """
        kept = [(parameter, parameter.detach().clone(), average) for parameter, average in self.averages()]
        inside, self._averaged = self._averaged, True
        try:
            with torch.no_grad():
                for parameter, _, average in kept if not inside else ():
                    parameter.copy_(average)
            yield
        finally:
            self._averaged = inside
            with torch.no_grad():
                for parameter, weight, _ in kept:
                    parameter.copy_(weight)

    def averages(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Each parameter that has an average, and the average."""
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state.get(parameter, {})
                for name, key in WEIGHTS.items():
                    if isinstance(state.get(name), torch.Tensor) and group.get(key) is not None:
                        yield parameter, state[name]
                        break

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients; with ``set_to_none=False`` they are kept and filled with zeros."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none:
                    parameter.grad = None
                elif parameter.grad is not None:
                    parameter.grad = parameter.grad.detach().zero_()

    def state_dict(self) -> dict[str, Any]:
        """The state as the ``torch.optim`` class of the same name would write it."""
        saved = _state_dict(self)
        counted = {index for group in saved["param_groups"] if self.counts(group) for index in group["params"]}
        saved["state"] = {
            index: {
                name: value.clone() if isinstance(value, torch.Tensor) and value._is_view() else value
                for name, value in state.items()
                if index in counted or name != "step"
            }
            for index, state in saved["state"].items()
        }
        saved["state"] = {index: state for index, state in saved["state"].items() if state}
        return saved

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes a state written by this class or by the ``torch.optim`` class of the same name."""
        before = [dict(group) for group in self.param_groups]
        _load_state_dict(self, state_dict)
        for group in self.param_groups:
            if not self.counts(group):
                for parameter in group["params"]:
                    self.state.get(parameter, {}).pop("step", None)
        self._plan = None
        self.loaded = True
        self._keep_types(state_dict)
        self._keep_ours(before)
        self._scheduled = any("schedules" in group for group in self.param_groups)
        self._tell_what_changed(before)

    def _keep_ours(self, before: list[dict[str, Any]]) -> None:
        """What a checkpoint of PyTorch's class cannot have stays: our options of each group, and its schedules."""
        for old, new in zip(before, self.param_groups, strict=True):
            for name in (*OURS, "schedules"):
                if name in old and name not in new:
                    new[name] = old[name]
            if "schedules" in new and "updates" not in new:
                steps = [self.state.get(parameter, {}).get("step", 0.0) for parameter in new["params"]]
                new["updates"] = int(max(map(float, steps), default=0.0))

    def _keep_types(self, saved: dict[str, Any]) -> None:
        """PyTorch gives states their parameter's type, which would widen or cut what is stored otherwise."""
        indices = [index for group in saved["param_groups"] for index in group["params"]]
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        for index, parameter in zip(indices, parameters, strict=True):
            for name, value in saved["state"].get(index, {}).items():
                found = self.state[parameter].get(name, value)
                if isinstance(value, torch.Tensor) and name != "step" and found.dtype != value.dtype:
                    self.state[parameter][name] = value.detach().clone().to(found.device)

    def _tell_what_changed(self, before: list[dict[str, Any]]) -> None:
        """A checkpoint of another kind of optimizer changes what this one is; PyTorch says nothing of it."""
        changed = [
            f"{name} from {old[name]!r} to {new[name]!r}"
            for old, new in zip(before, self.param_groups, strict=True)
            for name in KIND
            if name in old and name in new and old[name] != new[name]
        ]
        if changed:
            warnings.warn(
                f"{type(self).__name__}: the checkpoint changes {', '.join(dict.fromkeys(changed))}: it was written by an "
                f"optimizer of another kind; set it back in optimizer.param_groups if that is not what you want",
                stacklevel=3,
            )

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "engine": self.engine, "gradient_norm": self.gradient_norm}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._plan = None
        self._averaged = False
        self.loaded = False
        self.__dict__.setdefault("engine", "auto")
        self.__dict__.setdefault("gradient_norm", math.nan)
        self._scheduled = any("schedules" in group for group in self.param_groups)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                if name not in OURS:
                    group.setdefault(name, scheduled(value))


_untraced_step = torch._disable_dynamo(Optimizer.step)
"""``step`` as torch's compiler leaves it alone: what it would trace is ours, down to the machine code."""
