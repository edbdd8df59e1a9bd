"""Equations as a person writes them, in text or in LaTeX.

SymPy orders factors by name, which puts ``g`` before ``lr`` and ``−1 + t`` for ``t − 1``. Here hyperparameters stand before
states, states before the gradient, and what is subtracted comes last.

>>> written(lr * exp_avg / (sqrt(exp_avg_sq) + eps), states)
'lr·exp_avg/(√exp_avg_sq + eps)'
>>> written(beta * m + (1 - beta) * g, states, LATEX)
'\\\\beta m + \\\\left(1 - \\\\beta\\\\right) g'
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sympy
from sympy.core.relational import Relational

from thalweg.rules.symbols import Sum, orthogonal

GREEK = {
    "lr": r"\alpha", "alpha": r"\rho", "beta": r"\beta", "eps": r"\epsilon", "rho": r"\rho", "momentum": r"\mu",
    "weight_decay": r"\lambda", "momentum_decay": r"\psi", "mu_product": r"\Pi",
} | {f"beta{n}": rf"\beta_{n}" for n in (1, 2, 3)}  # fmt: skip
SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
SUM, PRODUCT, ATOM = 0, 1, 2  # how tightly a piece of text holds together


@dataclass(frozen=True)
class Style:
    """The marks of a notation; ``{}`` stands for what is written inside."""

    bracket: str
    times: str
    quotient: str
    root: str
    root_of_name: str
    power: str
    branch: str
    otherwise: str
    comma: str
    gap: str
    absolute: str = "|{}|"


TEXT = Style("({})", "·", "{}/{}", "√({})", "√{}", "{}^{}", "{} if {}", "else {}", ", ", " ")
LATEX = Style(
    r"\left({}\right)", r" \, ", r"\frac{{{}}}{{{}}}", r"\sqrt{{{}}}", r"\sqrt{{{}}}", "{}^{{{}}}", r"{}\ \text{{if}}\ {}",
    r"\text{{else}}\ {}", r",\ ", r"\ ",
)  # fmt: skip


def written(value: sympy.Expr, states: Collection[str], style: Style = TEXT) -> str:
    """An expression in a notation; ``states`` are the names that change from element to element, besides ``w`` and ``g``."""
    return _Writer(frozenset(states), style).piece(value)[0]


def symbol(word: str, style: Style) -> str:
    """A symbol's name: Greek letters and upright words in LaTeX."""
    if style is TEXT or len(word) == 1:
        return word
    return GREEK.get(word) or r"\mathrm{" + word.replace("_", r"\_") + "}"


@dataclass(frozen=True)
class _Writer:
    states: frozenset[str]
    style: Style

    def piece(self, value: sympy.Basic) -> tuple[str, int]:
        """The text and how tightly it holds."""
        style = self.style
        if isinstance(value, sympy.Symbol):
            return symbol(value.name, style), ATOM
        if isinstance(value, sympy.Number):
            return self._number(value)
        if isinstance(value, sympy.NumberSymbol):
            return self._number(sympy.Float(value))
        if isinstance(value, sympy.Add):
            return self._sum(value)
        if isinstance(value, sympy.Mul) or (isinstance(value, sympy.Pow) and _below(value)):
            return self._product(value)
        if isinstance(value, sympy.Pow):
            return self._power(value.base, value.exp)
        if isinstance(value, sympy.Piecewise):
            cases = [(self.piece(part)[0], condition) for part, condition in value.args]
            branches = [style.branch.format(text, self.piece(case)[0]) for text, case in cases if case != True]  # noqa: E712
            otherwise = [style.otherwise.format(text) for text, case in cases if case == True]  # noqa: E712
            return style.bracket.format(style.gap.join([style.comma.join(branches), *otherwise])), ATOM
        if isinstance(value, Relational):
            mark = {"==": "=", "!=": "≠", "<=": "≤", ">=": "≥"}.get(value.rel_op, value.rel_op)
            return f"{self.piece(value.lhs)[0]} {mark} {self.piece(value.rhs)[0]}", SUM
        if isinstance(value, sympy.Abs):
            return style.absolute.format(self.piece(value.args[0])[0]), ATOM
        if isinstance(value, Sum):
            mark = f"Σ_{value.scope} " if style is TEXT else rf"\sum_{{\mathrm{{{value.scope}}}}} "
            return mark + self.held(value.args[0], PRODUCT), SUM
        if isinstance(value, (sympy.And, sympy.Or)):
            both = isinstance(value, sympy.And)
            mark = (" and " if both else " or ") if style is TEXT else (r" \land " if both else r" \lor ")
            texts = (self._condition(part, inside_and=both) for part in sorted(value.args, key=str))
            return mark.join(texts), SUM
        word = type(value).__name__.lower()
        if isinstance(value, (orthogonal, sympy.Mod)):
            arguments = ", ".join(self.piece(part)[0] for part in value.args)
            return (word if style is TEXT else rf"\operatorname{{{word}}}") + style.bracket.format(arguments), ATOM
        arguments = ", ".join(self.piece(part)[0] for part in sorted(value.args, key=self._rank))
        return (word if style is TEXT else rf"\operatorname{{{word}}}") + style.bracket.format(arguments), ATOM

    def _condition(self, value: sympy.Basic, *, inside_and: bool) -> str:
        text = self.piece(value)[0]
        return self.style.bracket.format(text) if inside_and and isinstance(value, sympy.Or) else text

    def held(self, value: sympy.Basic, tightness: int) -> str:
        """The text, in brackets where it holds less tightly than its place asks for."""
        text, tight = self.piece(value)
        return text if tight >= tightness else self.style.bracket.format(text)

    def _number(self, value: sympy.Number) -> tuple[str, int]:
        if value < 0:
            return ("-" if self.style is LATEX else "−") + self._number(-value)[0], SUM
        if isinstance(value, sympy.Rational) and value.q != 1:
            return (f"{value.p}/{value.q}", SUM) if self.style is TEXT else (rf"\frac{{{value.p}}}{{{value.q}}}", ATOM)
        return f"{float(value):.12g}", ATOM

    def _sum(self, value: sympy.Add) -> tuple[str, int]:
        parts = sorted(value.args, key=lambda part: (part.could_extract_minus_sign(), *self._place(part)))
        text = self.held(parts[0], SUM)
        for part in parts[1:]:
            away = part.could_extract_minus_sign()
            text += f" {'−' if away else '+'} {self.held(-part if away else part, PRODUCT)}"
        return text.replace("−", "-") if self.style is LATEX else text, SUM

    def _product(self, value: sympy.Expr) -> tuple[str, int]:
        if value.could_extract_minus_sign():
            return ("-" if self.style is LATEX else "−") + self.held(-value, PRODUCT), SUM
        factors = sympy.Mul.make_args(value)
        above = sorted((part for part in factors if not _below(part)), key=self._rank)
        below = sorted((sympy.Pow(part.base, -part.exp) for part in factors if _below(part)), key=self._rank)
        if not below:
            return self._times(above, PRODUCT if len(above) > 1 else SUM), PRODUCT
        if self.style is LATEX:
            return self.style.quotient.format(self._times(above, SUM), self._times(below, SUM)), ATOM
        under = self._times(below, PRODUCT if len(below) > 1 else ATOM)
        return self.style.quotient.format(
            self._times(above, PRODUCT), f"({under})" if len(below) > 1 else under
        ), PRODUCT

    def _times(self, parts: list[sympy.Expr], tightness: int) -> str:
        if not parts:
            return "1"
        return (
            self.held(parts[0], tightness)
            if len(parts) == 1
            else self.style.times.join(self.held(p, PRODUCT) for p in parts)
        )

    def _power(self, base: sympy.Expr, exponent: sympy.Expr) -> tuple[str, int]:
        style = self.style
        if exponent == sympy.Rational(1, 2):
            return (style.root_of_name if base.is_Symbol else style.root).format(self.piece(base)[0]), ATOM
        if style is TEXT and (exponent.is_Integer or exponent.is_Symbol):
            raised = (
                str(exponent).translate(SUPERSCRIPT) if exponent.is_Integer else "ᵗ" if str(exponent) == "t" else ""
            )
            if raised:
                return self.held(base, ATOM) + raised, ATOM
        inside = self.piece(exponent)[0] if style is LATEX else self.held(exponent, ATOM)
        return style.power.format(self.held(base, ATOM), inside), ATOM

    def _place(self, value: sympy.Basic) -> tuple[int, str]:
        """In a sum, what is only hyperparameters comes last: ``√V + eps``."""
        rank, text = self._rank(value)
        return (6 if rank in (1, 2) else rank), text

    def _rank(self, value: sympy.Basic) -> tuple[int, str]:
        """Numbers, then the rate, hyperparameters, states, the gradient, the weight."""
        names = {symbol.name for symbol in value.free_symbols}
        if not names:
            return 0, str(value)
        if names & self.states:
            return 3, str(value)
        if "g" in names:
            return 4, str(value)
        if "w" in names:
            return 5, str(value)
        return (1 if names == {"lr"} else 2), str(value)


def _below(part: sympy.Basic) -> bool:
    return isinstance(part, sympy.Pow) and part.exp.is_number and bool(part.exp < 0)
