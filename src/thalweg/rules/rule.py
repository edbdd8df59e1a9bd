"""A rule: an optimizer as its equations, in the order in which they are carried out.

Each assignment gives a state, the gradient or the weight its new value, and may use what was assigned before it; the step
is taken off the weight at the end.

>>> adam = Rule("adam",
...     exp_avg=beta1 * exp_avg + (1 - beta1) * g,
...     exp_avg_sq=beta2 * exp_avg_sq + (1 - beta2) * g**2,
...     step=lr * (exp_avg / (1 - beta1**t)) / (sqrt(exp_avg_sq / (1 - beta2**t)) + eps))
>>> print(adam)                      # the formula; adam.latex() for a paper, adam.program() for the machine
>>> Rule("mine", defaults={"lr": 0.01, "beta": 0.9}, m=beta * m + g, step=lr * sign(m))   # thalweg.optim.FromRule runs it

What is read before it is assigned is kept from step to step: a *state* where it differs from element to element, a *host*
number, one for a group, where it is made of hyperparameters, ``t`` and sums alone (NAdam's product of momenta). What is
assigned first and read later is only a name for a value. ``before`` holds assignments that come first (decay, clipping),
``after`` those that follow the step (shrinking, averaging; see ``modifiers``); in ``after``, ``w`` is the new weight.
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
from thalweg.rules.symbols import SHAPES, Sum, hyper, orthogonal, t

if TYPE_CHECKING:
    from thalweg.rules.program import Program
    from thalweg.rules.stability import Stability

Equations = tuple[tuple[str, sympy.Expr], ...]
ELEMENTWISE = (
    sympy.Add, sympy.Mul, sympy.Pow, sympy.Abs, sympy.sign, sympy.Max, sympy.Min, sympy.exp, sympy.log, sympy.tanh,
    sympy.Piecewise, sympy.functions.elementary.piecewise.ExprCondPair, sympy.Mod, Sum, orthogonal,
    sympy.core.relational.Relational, sympy.logic.boolalg.Boolean,
)  # fmt: skip
LETTERS = {"w", "g", "t", "step", *SHAPES}
FILE_NAME = re.compile(r"[\w. ()+-]{1,80}")
"""What a rule may be called: its name is that of a file in the cache folder."""
TAKEN = re.compile(
    r"[qrsxy]\d+|\w+_\d+_\d+|(at|old|new|scale|key|sum)_\w+|i|T|np|KERNELS|job|table|addresses|scalars|partial|counter|end|"
    r"passed|into|chunk|count|row|tensor|first|block|base|size|top|largest|seed|pointer|carray|range|sqrt|square|absolute|sign|"
    r"exp|log|tanh|maximum|minimum|where|power|take|bits|number|mixed|widened|narrowed|nearest|decoded|encoded|random_bits|"
    r"finite_size|block_buffer|job_address|min|max|evaluate|float|self|"
    r"tl|triton|REGISTER|inside|start|line|tensors|seed_of|key_of|divided|share_of|block_scale|number_of"
    r""
)
"""Names that generated code gives to other things."""


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Rule:
    """An optimizer's equations.

    ``equations`` are keyword arguments, ``name=next value``, in their order. With ``defaults`` (hyperparameter → number) every
    other symbol but ``lr`` must have an equation; without, every other symbol is a hyperparameter. ``starts`` says what a
    state begins as where it is not 0: a number, an expression of hyperparameters, or ``w``. Raises ``InputError``
    where the equations cannot be a rule: an unknown symbol, a state never updated or never used, a term not element-wise.
    """

    name: str
    equations: Equations
    step: sympy.Expr
    before: Equations
    after: Equations
    starts: Mapping[str, sympy.Expr]
    defaults: Mapping[str, float] | None

    def __init__(
        self,
        name: str,
        *,
        step: sympy.Expr,
        defaults: Mapping[str, float] | None = None,
        before: Equations = (),
        after: Equations = (),
        starts: Mapping[str, sympy.Expr | float] | None = None,
        **equations: sympy.Expr,
    ) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "equations", tuple((key, _canonical(value)) for key, value in equations.items()))
        object.__setattr__(self, "step", _canonical(step))
        object.__setattr__(self, "before", tuple((key, _canonical(value)) for key, value in before))
        object.__setattr__(self, "after", tuple((key, _canonical(value)) for key, value in after))
        object.__setattr__(self, "starts", {key: _canonical(value) for key, value in (starts or {}).items()})
        object.__setattr__(self, "defaults", None if defaults is None else dict(defaults))
        self._check()

    def replacing(
        self, *, name: str | None = None, before: Equations | None = None, after: Equations | None = None,
        starts: Mapping[str, sympy.Expr | float] | None = None,
    ) -> Rule:  # fmt: skip
        """The same rule with another name, other assignments around it, or other starts."""
        return Rule(
            name or self.name,
            step=self.step,
            defaults=self.defaults,
            before=self.before if before is None else before,
            after=self.after if after is None else after,
            starts=self.starts if starts is None else starts,
            **dict(self.equations),
        )

    @property
    def assignments(self) -> Equations:
        """All assignments in order."""
        return (*self.before, *self.equations, ("w", hyper("w") - self.step), *self.after)

    @property
    def uniform(self) -> frozenset[str]:
        """Assigned names that are one number for a whole group: made of hyperparameters, ``t``, sums and one another."""
        assigned = {name for name, _ in self.assignments} - {"w", "g"}
        uniform = set(assigned)
        while True:
            varied = {"w", "g", *(assigned - uniform)}
            found = {name for name, value in self.assignments if name in uniform and _per_element(value) & varied}
            if not found:
                return frozenset(uniform)
            uniform -= found

    @property
    def persistent(self) -> tuple[str, ...]:
        """Names kept from step to step, in the order of their equations: read before they are assigned."""
        read: set[str] = set()
        assigned: set[str] = set()
        for name, value in self.assignments:
            read |= {symbol.name for symbol in value.free_symbols} - assigned
            assigned.add(name)
        return tuple(dict.fromkeys(name for name, _ in self.assignments if name in read and name not in ("w", "g")))

    @property
    def states(self) -> Equations:
        """What is kept for each element, with its equations."""
        kept = set(self.persistent) - self.uniform
        return tuple((name, value) for name, value in (*self.equations, *self.after) if name in kept)

    @property
    def hyperparameters(self) -> tuple[str, ...]:
        """Names the user sets, in alphabetical order with ``lr`` first."""
        known = {name for name, _ in self.assignments} | LETTERS
        return tuple(sorted(self._symbols() - known, key=lambda name: (name != "lr", name)))

    def _symbols(self) -> set[str]:
        values = [value for _, value in self.assignments] + list(self.starts.values())
        return {symbol.name for value in values for symbol in value.free_symbols}

    def _check(self) -> None:
        if not FILE_NAME.fullmatch(self.name):
            raise InputError(
                f"a rule cannot be called {self.name!r}: at most 80 letters, digits, spaces and . ( ) + - _"
            )
        names = [name for name, _ in (*self.equations, *self.after)]
        for name, _ in self.equations:
            if name in LETTERS or not _usable(name):
                raise InputError(f'rule {self.name}: a state cannot be called "{name}"; choose another name')
        for name, value in (*self.before, *self.equations, ("the step", self.step), *self.after):
            self._check_nodes(name, value)
        for name in self._symbols() - set(names) - LETTERS:
            if not _usable(name):
                raise InputError(f'rule {self.name}: a symbol cannot be called "{name}"; choose another name')
        for name, _ in self.states:
            if name.endswith("_scale") and name.removesuffix("_scale") in names:
                raise InputError(
                    f'rule {self.name}: a state cannot be called "{name}" beside {name.removesuffix("_scale")}, whose scales '
                    f"have that name where they are kept in 8 bits; choose another"
                )
        for name, value in self.starts.items():
            letters = {symbol.name for symbol in value.free_symbols}
            whole = letters == {"w"} and value.is_Symbol and name not in self.uniform
            if value.has(Sum, orthogonal) or not (whole or letters <= set(self.hyperparameters)):
                raise InputError(
                    f"rule {self.name}: {name} starts as {value}; a start is a number, an expression of hyperparameters, "
                    f"or the weight itself (w, for what is kept by element)"
                )
        for name in self.starts:
            if name not in names:
                raise InputError(f"rule {self.name}: starts has {name}, which has no equation")
        used = {symbol.name for _, value in self.assignments for symbol in value.free_symbols}
        elsewhere = {
            symbol.name for own, value in self.assignments for symbol in value.free_symbols if symbol.name != own
        }
        for name, value in self.equations:
            if not {symbol.name for symbol in value.free_symbols} - set(self.hyperparameters):
                raise InputError(
                    f"rule {self.name}: the state {name} is never updated from the gradient, the weight or a state; "
                    f"a constant is a hyperparameter"
                )
            if name not in used:
                raise InputError(f"rule {self.name}: the state {name} is never used; remove it")
            if name not in elsewhere and name not in self.uniform:  # a number may be kept for its own sake
                raise InputError(f"rule {self.name}: the state {name} is used only in its own equation; remove it")
        reached = {symbol.name for symbol in self.step.free_symbols}
        if not reached & {"g", *names}:
            raise InputError(f"rule {self.name}: the step depends neither on the gradient nor on a state")
        if self.defaults is not None:
            self._check_symbols()

    def _check_nodes(self, name: str, value: sympy.Basic) -> None:
        for node in sympy.preorder_traversal(value):
            if node.is_finite is False and node.is_number:
                raise InputError(f"rule {self.name}: {name} contains {node}, which is not a number to compute with")
            if node is sympy.I or (not node.is_Atom and not isinstance(node, ELEMENTWISE)):
                raise InputError(
                    f"rule {self.name}: {name} uses {type(node).__name__}, which does not act on each element by itself; "
                    f"what reaches further is a sum (sum_tensor, sum_all …) or orthogonal"
                )
            if isinstance(node, orthogonal):
                varied = {"w", "g", *(name for name, _ in self.assignments)} - self.uniform
                if any(_per_element(part) & varied for part in node.args[1:]):
                    raise InputError(f"rule {self.name}: {name} gives orthogonal a number that differs by element")

    def _check_symbols(self) -> None:
        """With ``defaults`` every symbol is accounted for. What a modifier brings (around the rule) is its own affair."""
        assert self.defaults is not None
        brought = {symbol.name for _, value in (*self.before, *self.after) for symbol in value.free_symbols}
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
        return f"{self.name}:\n" + "\n".join(f"  {word} ← {value}" for word, value in self._rows(TEXT))

    def __repr__(self) -> str:
        return f"<Rule {self.name}({', '.join(self.hyperparameters)})>"

    def latex(self) -> str:
        """The equations in LaTeX, one aligned environment."""
        rows = [f"{word} &\\leftarrow {value}" for word, value in self._rows(LATEX)]
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def _rows(self, style: Style) -> list[tuple[str, str]]:
        """Every assignment as written: what is given a value, and the value."""
        states = {name for name, _ in self.assignments} - self.uniform - {"w", "g"}

        def rows(equations: Equations) -> list[tuple[str, str]]:
            return [(symbol(word, style), written(value, states, style)) for word, value in equations]

        step = written(self.step, states, style)
        bracketed = style.bracket.format(step) if isinstance(self.step, sympy.Add) else step
        taken = ("w", f"w {'−' if style is TEXT else '-'} {bracketed}")
        return [*rows((*self.before, *self.equations)), taken, *rows(self.after)]

    def program(self) -> Program:
        """The rule lowered to what an engine runs."""
        from thalweg.rules.lower import lower

        return lower(self)

    def stability(self) -> Stability:
        """What the equations say about a quadratic: the largest stable rate, the contraction of a step."""
        from thalweg.rules.stability import analyse

        return analyse(self)


def _per_element(value: sympy.Basic) -> set[str]:
    """Names on which the value depends at its own element; what stands under a sum is the same for all of them."""
    if isinstance(value, Sum):
        return set()
    if isinstance(value, sympy.Symbol):
        return {value.name}
    inner = set().union(*map(_per_element, value.args)) if value.args else set()
    return inner | {"w"} if isinstance(value, orthogonal) else inner


def _usable(name: str) -> bool:
    """Whether generated code can call something so."""
    return name.isascii() and name.isidentifier() and not keyword.iskeyword(name) and not TAKEN.fullmatch(name)


def _canonical(value: sympy.Expr | float) -> sympy.Expr:
    """The expression with this room's symbols: a user's ``sympy.symbols("beta m")`` means the same letters."""
    try:
        expression = sympy.sympify(value)
    except (sympy.SympifyError, TypeError, AttributeError):
        expression = None
    if not isinstance(expression, sympy.Expr):
        raise InputError(f"{value!r} is no expression: write equations with the letters of thalweg.rules.symbols")
    letters = {symbol: t if symbol.name == "t" else hyper(symbol.name) for symbol in expression.free_symbols}
    return expression.xreplace({symbol: letter for symbol, letter in letters.items() if symbol != letter})
