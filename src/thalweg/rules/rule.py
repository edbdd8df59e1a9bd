"""A rule: an optimizer as its equations, in the order in which they are carried out.

Each assignment gives a state, the gradient or the weight its new value, and may use what was assigned before it; the step
is taken off the weight at the end.

>>> adam = Rule("adam",
...     exp_avg=beta1 * exp_avg + (1 - beta1) * g,
...     exp_avg_sq=beta2 * exp_avg_sq + (1 - beta2) * g**2,
...     step=lr * (exp_avg / (1 - beta1**t)) / (sqrt(exp_avg_sq / (1 - beta2**t)) + eps))
>>> print(adam)                      # the formula; adam.latex() for a paper, adam.source("cpu") for the kernel

``before`` holds assignments to ``g`` and ``w`` that come first (decay, clipping: see ``modifiers``); ``scalars`` are recurrences
of one number for a whole group, kept on the host (NAdam's product of momenta): name → (start, next value).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sympy

from thalweg.errors import InputError
from thalweg.rules.symbols import g, state, t, w

if TYPE_CHECKING:
    from thalweg.rules.program import Program
    from thalweg.rules.stability import Stability

Equations = tuple[tuple[str, sympy.Expr], ...]
ELEMENTWISE = (
    sympy.Add, sympy.Mul, sympy.Pow, sympy.Abs, sympy.sign, sympy.Max, sympy.Min, sympy.exp, sympy.log, sympy.tanh,
    sympy.Piecewise, sympy.functions.elementary.piecewise.ExprCondPair,
    sympy.core.relational.Relational, sympy.logic.boolalg.Boolean,
)  # fmt: skip
LETTERS = {"w", "g", "t", "step"}


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Rule:
    """An optimizer's equations. Raises ``InputError`` where they cannot be a rule: see ``_check``."""

    name: str
    states: Equations
    step: sympy.Expr
    before: Equations = ()
    scalars: tuple[tuple[str, float, sympy.Expr], ...] = ()
    reductions: tuple[str, ...] = ()

    def __init__(
        self,
        name: str,
        *,
        step: sympy.Expr,
        before: Equations = (),
        scalars: Mapping[str, tuple[float, sympy.Expr]] | None = None,
        reductions: tuple[str, ...] = (),
        **states: sympy.Expr,
    ) -> None:
        equations = tuple((key, sympy.sympify(value)) for key, value in states.items())
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "states", equations)
        object.__setattr__(self, "step", sympy.sympify(step))
        object.__setattr__(self, "before", tuple(before))
        object.__setattr__(self, "scalars", tuple((key, *value) for key, value in (scalars or {}).items()))
        object.__setattr__(self, "reductions", reductions)
        self._check()

    def replacing(self, *, name: str | None = None, before: Equations | None = None, reductions: tuple[str, ...] | None = None) -> Rule:
        """The same rule with another name, other assignments before it, or other reductions."""
        return Rule(
            name or self.name,
            step=self.step,
            before=self.before if before is None else before,
            scalars={key: (start, value) for key, start, value in self.scalars},
            reductions=self.reductions if reductions is None else reductions,
            **dict(self.states),
        )

    @property
    def assignments(self) -> Equations:
        """All assignments in order; the last one is the weight's."""
        return (*self.before, *self.states, ("w", w - self.step))

    @property
    def hyperparameters(self) -> tuple[str, ...]:
        """Names the user sets, in alphabetical order with ``lr`` first."""
        known = {name for name, _ in self.states} | {name for name, *_ in self.scalars} | {"w", "g", "t"} | set(self.reductions)
        expressions = [value for _, value in self.assignments] + [value for _, _, value in self.scalars]
        free = {symbol.name for value in expressions for symbol in value.free_symbols} - known
        return tuple(sorted(free, key=lambda name: (name != "lr", name)))

    def _check(self) -> None:
        names = [name for name, _ in self.states]
        for name in names:
            if name in LETTERS or not name.isidentifier():
                raise InputError(f'rule {self.name}: a state cannot be called "{name}"; choose another name')
        for name, value in (*self.before, *self.states, ("the step", self.step)):
            for node in sympy.preorder_traversal(value):
                if not node.is_Atom and not isinstance(node, ELEMENTWISE):
                    raise InputError(
                        f"rule {self.name}: {name} uses {type(node).__name__}, which does not act on each element by itself"
                    )
        for name, value in self.states:
            if not value.free_symbols & {g, state(name), w} | {symbol for symbol in value.free_symbols if symbol.name in names}:
                raise InputError(
                    f"rule {self.name}: the state {name} is never updated from the gradient, the weight or a state; "
                    f"a constant is a hyperparameter"
                )
        used = {symbol.name for _, value in self.assignments for symbol in value.free_symbols}
        for name in names:
            if name not in used:
                raise InputError(f"rule {self.name}: the state {name} is never used; remove it")
        if not self.step.free_symbols & ({g} | {state(name) for name in names}):
            raise InputError(f"rule {self.name}: the step depends neither on the gradient nor on a state")

    def __str__(self) -> str:
        lines = [f"{name} ← {_text(value)}" for name, _, value in self.scalars]
        if "gradient_norm" in self.reductions:
            lines.append("gradient_norm ← ‖g‖₂ over all parameters")
        lines += [f"{name} ← {_text(value)}" for name, value in self.before]
        lines += [f"{name} ← {_text(value)}" for name, value in self.states]
        lines.append(f"w ← w − {_text(self.step, factor=True)}")
        return f"{self.name}:\n" + "\n".join("  " + line for line in lines)

    def __repr__(self) -> str:
        return f"<Rule {self.name}({', '.join(self.hyperparameters)})>"

    def latex(self) -> str:
        """The equations in LaTeX, one aligned environment."""
        greek = {f"beta{n}": rf"\beta_{n}" for n in (1, 2, 3)} | {"lr": r"\alpha", "eps": r"\epsilon", "weight_decay": r"\lambda"}
        names = {
            symbol: greek.get(symbol.name) or r"\mathrm{" + symbol.name.replace("_", r"\_") + "}"
            for _, value in self.assignments
            for symbol in value.free_symbols | {sympy.Symbol(symbol) for symbol in ()}
            if len(symbol.name) > 1
        }
        rows = [
            f"{names.get(state(name), name)} &\\leftarrow {sympy.latex(value, symbol_names=names)}"
            for name, value in (*self.before, *self.states)
        ]
        rows.append(f"w &\\leftarrow w - {sympy.latex(self.step, symbol_names=names)}")
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def program(self) -> Program:
        """The rule lowered to what an engine runs."""
        from thalweg.rules.program import lower

        return lower(self)

    def source(self, engine: str = "cpu") -> str:
        """The generated source of the rule's kernel: ``cpu`` or ``reference``."""
        program = self.program()
        return program.kernel_source() if engine == "cpu" else program.listing()

    def stability(self) -> Stability:
        """What the equations say about a quadratic: the largest stable rate, the contraction of a step."""
        from thalweg.rules.stability import analyse

        return analyse(self)


def _text(value: sympy.Expr, *, factor: bool = False) -> str:
    """An expression as a person writes it: √, ·, ²."""
    text = sympy.sstr(value, order="none")
    text = text.replace("**2", "²").replace("**t", "ᵗ").replace("sqrt", "√").replace("*", "·")
    return f"({text})" if factor and isinstance(value, sympy.Add) else text


__all__ = ["Equations", "Rule", "replace", "t"]
