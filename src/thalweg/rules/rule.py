"""A rule: an optimizer as its equations, in the order in which they are carried out.

Each assignment gives a state, the gradient or the weight its new value, and may use what was assigned before it; the step
is taken off the weight at the end.

>>> adam = Rule("adam",
...     exp_avg=beta1 * exp_avg + (1 - beta1) * g,
...     exp_avg_sq=beta2 * exp_avg_sq + (1 - beta2) * g**2,
...     step=lr * (exp_avg / (1 - beta1**t)) / (sqrt(exp_avg_sq / (1 - beta2**t)) + eps))
>>> print(adam)                      # the formula; adam.latex() for a paper, adam.program() for the machine
>>> Rule("mine", defaults={"lr": 0.01, "beta": 0.9}, m=beta * m + g, step=lr * sign(m))   # thalweg.optim.FromRule runs it

``before`` holds assignments to ``g`` and ``w`` that come first (decay, clipping; see ``modifiers``). ``scalars`` are
recurrences of one number for a whole group, kept on the host (NAdam's product of momenta): name → (start, next value).
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy

from thalweg.errors import InputError
from thalweg.rules.formula import LATEX, TEXT, Style, symbol, written
from thalweg.rules.symbols import hyper, t

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
FILE_NAME = re.compile(r"[\w. ()+-]{1,80}")
"""What a rule may be called: its name is that of a file in the cache folder."""
TAKEN = re.compile(
    r"[sx]\d+|at_\w+|i|T|np|table|addresses|scalars|chunk|count|row|tensor|offset|pointer|carray|range|prange|njit|"
    r"sqrt|square|absolute|sign|exp|log|tanh|maximum|minimum|where|power"
)
"""Names that generated code gives to other things."""


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Rule:
    """An optimizer's equations.

    ``states`` are keyword arguments, ``name=next value``, in their order. With ``defaults`` (hyperparameter → number) every
    other symbol but ``lr`` must have an equation; without, every other symbol is a hyperparameter. Raises ``InputError``
    where the equations cannot be a rule: an unknown symbol, a state never updated or never used, a term not element-wise.
    """

    name: str
    states: Equations
    step: sympy.Expr
    before: Equations
    scalars: tuple[tuple[str, float, sympy.Expr], ...]
    reductions: tuple[str, ...]
    defaults: Mapping[str, float] | None

    def __init__(
        self,
        name: str,
        *,
        step: sympy.Expr,
        defaults: Mapping[str, float] | None = None,
        before: Equations = (),
        scalars: Mapping[str, tuple[float, sympy.Expr]] | None = None,
        reductions: tuple[str, ...] = (),
        **states: sympy.Expr,
    ) -> None:
        hosts = tuple((key, start, _canonical(value)) for key, (start, value) in (scalars or {}).items())
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "states", tuple((key, _canonical(value)) for key, value in states.items()))
        object.__setattr__(self, "step", _canonical(step))
        object.__setattr__(self, "before", tuple((key, _canonical(value)) for key, value in before))
        object.__setattr__(self, "scalars", hosts)
        object.__setattr__(self, "reductions", reductions)
        object.__setattr__(self, "defaults", None if defaults is None else dict(defaults))
        self._check()

    def replacing(
        self, *, name: str | None = None, before: Equations | None = None, reductions: tuple[str, ...] | None = None
    ) -> Rule:
        """The same rule with another name, other assignments before it, or other reductions."""
        return Rule(
            name or self.name,
            step=self.step,
            defaults=self.defaults,
            before=self.before if before is None else before,
            scalars={key: (start, value) for key, start, value in self.scalars},
            reductions=self.reductions if reductions is None else reductions,
            **dict(self.states),
        )

    @property
    def assignments(self) -> Equations:
        """All assignments in order; the last one is the weight's."""
        return (*self.before, *self.states, ("w", hyper("w") - self.step))

    @property
    def hyperparameters(self) -> tuple[str, ...]:
        """Names the user sets, in alphabetical order with ``lr`` first."""
        known = (
            {name for name, _ in self.states}
            | {name for name, *_ in self.scalars}
            | {"w", "g", "t"}
            | set(self.reductions)
        )
        return tuple(sorted(self._symbols() - known, key=lambda name: (name != "lr", name)))

    def _symbols(self) -> set[str]:
        values = [value for _, value in self.assignments] + [value for _, _, value in self.scalars]
        return {symbol.name for value in values for symbol in value.free_symbols}

    def _check(self) -> None:
        if not FILE_NAME.fullmatch(self.name):
            raise InputError(
                f"a rule cannot be called {self.name!r}: at most 80 letters, digits, spaces and . ( ) + - _"
            )
        names = [name for name, _ in self.states]
        for name in names:
            if name in LETTERS or not _usable(name):
                raise InputError(f'rule {self.name}: a state cannot be called "{name}"; choose another name')
        for name, value in (*self.before, *self.states, ("the step", self.step)):
            for node in sympy.preorder_traversal(value):
                if node.is_finite is False and node.is_number:
                    raise InputError(f"rule {self.name}: {name} contains {node}, which is not a number to compute with")
                if node is sympy.I or (not node.is_Atom and not isinstance(node, ELEMENTWISE)):
                    raise InputError(
                        f"rule {self.name}: {name} uses {type(node).__name__}, which does not act on each element by itself"
                    )
        for name in self._symbols() - set(names) - LETTERS:
            if not _usable(name):
                raise InputError(f'rule {self.name}: a symbol cannot be called "{name}"; choose another name')
        for name, value in self.states:
            if not {symbol.name for symbol in value.free_symbols} & {"g", "w", *names}:
                raise InputError(
                    f"rule {self.name}: the state {name} is never updated from the gradient, the weight or a state; "
                    f"a constant is a hyperparameter"
                )
            if name not in self._symbols():
                raise InputError(f"rule {self.name}: the state {name} is never used; remove it")
        if not {symbol.name for symbol in self.step.free_symbols} & {"g", *names}:
            raise InputError(f"rule {self.name}: the step depends neither on the gradient nor on a state")
        if self.defaults is not None:
            self._check_symbols()

    def _check_symbols(self) -> None:
        """With ``defaults`` every symbol is accounted for. What a modifier brings (``before``) is its own affair."""
        assert self.defaults is not None
        brought = {symbol.name for _, value in self.before for symbol in value.free_symbols}
        for name in self.hyperparameters:
            if name != "lr" and name not in self.defaults and name not in brought:
                raise InputError(
                    f"rule {self.name}: {name} is unknown; give it a value in defaults if it is a hyperparameter, an equation "
                    f"({name}=…) if it is a state"
                )
        for name in self.defaults:
            if name not in self.hyperparameters:
                raise InputError(f"rule {self.name}: {name} has a default, but no equation uses it as a hyperparameter")

    def __str__(self) -> str:
        reduced = ["gradient_norm ← ‖g‖₂ over all parameters"] if "gradient_norm" in self.reductions else []
        lines = [f"{word} ← {value}" for word, value in self._rows(TEXT)]
        return f"{self.name}:\n" + "\n".join("  " + line for line in (*reduced, *lines))

    def __repr__(self) -> str:
        return f"<Rule {self.name}({', '.join(self.hyperparameters)})>"

    def latex(self) -> str:
        """The equations in LaTeX, one aligned environment."""
        rows = [f"{word} &\\leftarrow {value}" for word, value in self._rows(LATEX)]
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def _rows(self, style: Style) -> list[tuple[str, str]]:
        """Every assignment as written: what is given a value, and the value."""
        states = {word for word, _ in self.states}
        equations = [(word, value) for word, _, value in self.scalars] + [*self.before, *self.states]
        rows = [(symbol(word, style), written(value, states, style)) for word, value in equations]
        step = written(self.step, states, style)
        bracketed = style.bracket.format(step) if isinstance(self.step, sympy.Add) else step
        return [*rows, ("w", f"w {'−' if style is TEXT else '-'} {bracketed}")]

    def program(self) -> Program:
        """The rule lowered to what an engine runs."""
        from thalweg.rules.program import lower

        return lower(self)

    def stability(self) -> Stability:
        """What the equations say about a quadratic: the largest stable rate, the contraction of a step."""
        from thalweg.rules.stability import analyse

        return analyse(self)


def _usable(name: str) -> bool:
    """Whether generated code can call something so."""
    return name.isidentifier() and not keyword.iskeyword(name) and not TAKEN.fullmatch(name)


def _canonical(value: sympy.Expr) -> sympy.Expr:
    """The expression with this room's symbols: a user's ``sympy.symbols("beta m")`` means the same letters."""
    expression = sympy.sympify(value)
    letters = {symbol: t if symbol.name == "t" else hyper(symbol.name) for symbol in expression.free_symbols}
    return expression.xreplace({symbol: letter for symbol, letter in letters.items() if symbol != letter})
