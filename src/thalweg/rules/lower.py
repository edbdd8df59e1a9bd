"""From equations to a program, in four steps.

1. *name*: assignments become static single assignment; each sum and matrix function gets a name for its argument and one
   for its value.
2. *hoist*: every largest subexpression of hyperparameters, ``t``, hosts and sums becomes one scalar.
3. *phase*: a value's level is the number of sums or matrix functions that lie before it, one after another. Phase k takes the
   sums whose arguments are of level k; the last phase stores. Each phase computes anew, from what is stored, the lines
   it needs: reading memory once more is all it costs, and no phase but the last changes anything.
4. *share*: subexpressions that stand in several lines of a phase become a line of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy
from sympy.functions.elementary.piecewise import ExprCondPair

from thalweg.rules.emit import emit
from thalweg.rules.program import Matrix, Phase, Program, Reduction
from thalweg.rules.symbols import SHAPES, Sum, orthogonal

if TYPE_CHECKING:
    from thalweg.rules.rule import Rule


def lower(rule: Rule) -> Program:
    """Lowers a rule: name, hoist, phase, share."""
    return _Lowering(rule).program()


class _Lowering:
    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.uniform = {*rule.hyperparameters, "t", *rule.uniform, *SHAPES}
        self.version: dict[sympy.Symbol, sympy.Symbol] = {}
        self.level: dict[str, int] = {}
        self.scalars: dict[str, sympy.Expr] = {}
        self.hoisted: dict[sympy.Expr, sympy.Symbol] = {}
        self.lines: dict[str, sympy.Expr] = {}
        self.sums: dict[tuple[str, sympy.Expr], Reduction] = {}
        self.matrices: dict[sympy.Expr, Matrix] = {}
        count: dict[str, int] = {}
        for name, value in rule.assignments:
            renamed = self._named(value)
            count[name] = count.get(name, 0) + 1
            fresh = _symbol(f"{name}_{count[name]}")
            if name in rule.uniform:
                self.uniform.add(fresh.name)
                self.scalars[fresh.name] = renamed
            else:
                self.lines[fresh.name] = renamed = self._hoist(renamed)
            self.level[fresh.name] = self._level(renamed)
            self.version[_symbol(name)] = fresh

    def _named(self, value: sympy.Basic) -> sympy.Basic:
        """The value over names that exist so far: earlier assignments by their version, sums and matrices by their name."""
        if isinstance(value, Sum):
            return self._sum(value)
        if isinstance(value, orthogonal):
            return self._matrix(value)
        if value.is_Atom:
            return self.version.get(value, value)
        return value.func(*map(self._named, value.args))

    def _sum(self, value: Sum) -> sympy.Symbol:
        argument = self._hoist(self._named(value.args[0]))
        key = (value.scope, argument)
        if key not in self.sums:
            number = len(self.sums)
            meaning = str(value.args[0])
            while any((found.scope, found.meaning) == (value.scope, meaning) for found in self.sums.values()):
                meaning += "′"  # the same letters after an assignment: another sum
            self.sums[key] = Reduction(f"r{number}", value.scope, f"q{number}", meaning)
            self.lines[f"q{number}"] = argument
            self.level[f"q{number}"] = self._level(argument)
            self.level[f"r{number}"] = self.level[f"q{number}"] + 1
            self.uniform.add(f"r{number}")
        return _symbol(self.sums[key].name)

    def _matrix(self, value: orthogonal) -> sympy.Symbol:
        named = value.func(*map(self._named, value.args))
        if named not in self.matrices:
            slot = f"y{len(self.matrices)}"
            argument = self._hoist(named.args[0])
            numbers = tuple(self._scalar(part).name for part in named.args[1:])
            self.matrices[named] = Matrix(slot, type(value).__name__, numbers)
            self.lines[f"{slot}_1"] = argument
            self.level[f"{slot}_1"] = max(self._level(argument), *(self.level.get(name, 0) for name in numbers))
            self.level[slot] = self.level[f"{slot}_1"] + 1
        return _symbol(self.matrices[named].slot)

    def _level(self, value: sympy.Basic) -> int:
        return max((self.level.get(symbol.name, 0) for symbol in value.free_symbols), default=0)

    def _same(self, value: sympy.Basic) -> bool:
        return all(symbol.name in self.uniform for symbol in value.free_symbols)

    def _hoist(self, value: sympy.Basic) -> sympy.Basic:
        """Replaces subexpressions that are the same for all elements by scalars ``s0``, ``s1`` …"""
        if not isinstance(value, sympy.Expr) or isinstance(value, ExprCondPair):
            return value if value.is_Atom else value.func(*map(self._hoist, value.args))  # only numbers can be scalars
        if self._same(value):
            return self._scalar(value)
        if isinstance(value, (sympy.Add, sympy.Mul)):
            same = [part for part in value.args if self._same(part)]
            rest = [self._hoist(part) for part in value.args if part not in same]
            return value.func(*([self._scalar(value.func(*same))] if same else []), *rest)
        if isinstance(value, sympy.Pow):
            return sympy.Pow(self._hoist(value.base), value.exp if value.exp.is_number else self._hoist(value.exp))
        if value.is_Atom:
            return value
        return value.func(*map(self._hoist, value.args))

    def _scalar(self, value: sympy.Expr) -> sympy.Symbol:
        if value not in self.hoisted:
            symbol = self.hoisted[value] = _symbol(f"s{len(self.hoisted)}")
            self.scalars[symbol.name] = value
            self.level[symbol.name] = self._level(value)
            self.uniform.add(symbol.name)
        return self.hoisted[value]

    def program(self) -> Program:
        rule, final = self.rule, {symbol.name: fresh.name for symbol, fresh in self.version.items()}
        states = tuple(name for name in rule.persistent if name not in rule.uniform)
        results = tuple((name, final[name]) for name in (*states, "w") if name in final)
        hosts = tuple((name, final[name]) for name in rule.persistent if name in rule.uniform)
        needed = self._needed({line for _, line in (*results, *hosts)})
        sums = [found for found in self.sums.values() if found.name in needed]
        matrices = [matrix for matrix in self.matrices.values() if matrix.slot in needed]
        last = max((self.level[line] for _, line in (*results, *hosts)), default=0)
        phases = []
        for number in range(last):
            taken = tuple(found for found in sums if self.level[found.line] == number)
            filled = tuple(matrix for matrix in matrices if self.level[f"{matrix.slot}_1"] == number)
            stored = tuple((matrix.slot, f"{matrix.slot}_1") for matrix in filled)
            arguments = {name for matrix in filled for name in matrix.arguments}
            phases.append(self._phase(stored, arguments, taken, filled))
        phases.append(self._phase(results, {line for _, line in hosts}))
        starts = tuple((name, emit(value)) for name, value in rule.starts.items() if name in rule.persistent)
        used = {
            symbol.name for value in (*self.scalars.values(), *self.lines.values()) for symbol in value.free_symbols
        }
        return Program(
            rule.name, states, starts, rule.hyperparameters, hosts, tuple(name for name in SHAPES if name in used),
            tuple(matrix.slot for matrix in matrices), tuple(phases),
        )  # fmt: skip

    def _needed(self, names: set[str]) -> set[str]:
        """All names that the given ones depend on."""
        before: dict[str, set[str]] = {found.name: {found.line} for found in self.sums.values()}
        before |= {matrix.slot: {f"{matrix.slot}_1", *matrix.arguments} for matrix in self.matrices.values()}
        for name, value in (*self.scalars.items(), *self.lines.items()):
            before[name] = {symbol.name for symbol in value.free_symbols}
        waiting, needed = set(names), set()
        while waiting:
            name = waiting.pop()
            needed.add(name)
            waiting |= before.get(name, set()) - needed
        return needed

    def _phase(
        self,
        results: tuple[tuple[str, str], ...],
        more: set[str],
        sums: tuple[Reduction, ...] = (),
        matrices: tuple[Matrix, ...] = (),
    ) -> Phase:
        used = {line for _, line in results} | {found.line for found in sums}
        lines = _share(self.lines, used)
        named = {symbol.name for _, value in lines for symbol in value.free_symbols}
        passed = tuple(name for name in self.scalars if name in named)
        needed, scalars = {*passed, *more}, []
        for name, value in reversed(self.scalars.items()):
            if name in needed:
                needed |= {symbol.name for symbol in value.free_symbols}
                scalars.append((name, emit(value)))
        texts = tuple((name, emit(value)) for name, value in lines)
        return Phase(tuple(reversed(scalars)), passed, texts, results, sums, matrices)


def _symbol(name: str) -> sympy.Symbol:
    return sympy.Symbol(name, integer=True, positive=True) if name == "t" else sympy.Symbol(name, real=True)


def _share(every: dict[str, sympy.Expr], used: set[str]) -> list[tuple[str, sympy.Expr]]:
    """The lines that ``used`` depends on; common subexpressions as lines of their own, each just before its first use."""
    ssa = _only_needed(list(every.items()), used)
    shared, values = sympy.cse(
        [value for _, value in ssa], symbols=(sympy.Symbol(f"x{i}", real=True) for i in range(10**6))
    )
    waiting = dict(shared)
    lines: list[tuple[str, sympy.Expr]] = []

    def need(value: sympy.Expr) -> None:
        for symbol in sorted(value.free_symbols, key=lambda symbol: symbol.name):
            if symbol in waiting:
                found = waiting.pop(symbol)
                need(found)
                lines.append((symbol.name, found))

    for (name, _), value in zip(ssa, values, strict=True):
        need(value)
        lines.append((name, value))
    return _only_needed(lines, used)


def _only_needed(lines: list[tuple[str, sympy.Expr]], used: set[str]) -> list[tuple[str, sympy.Expr]]:
    needed, kept = set(used), []
    for name, value in reversed(lines):
        if name in needed:
            needed |= {symbol.name for symbol in value.free_symbols}
            kept.append((name, value))
    return kept[::-1]
