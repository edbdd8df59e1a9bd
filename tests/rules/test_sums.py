"""How what reaches beyond one element is lowered: sums and matrix functions make phases, hosts keep numbers."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from programs import carried_out, substituted
from thalweg import rules
from thalweg.rules import Program, Rule
from thalweg.rules.symbols import (
    Sum,
    beta,
    g,
    hyper,
    lr,
    n_columns,
    n_rows,
    norm,
    orthogonal,
    state,
    sum_all,
    sum_group,
    sum_tensor,
    sum_unit,
    t,
    w,
)

m = state("m")
NUMBERS = {"lr": 0.3, "beta": 0.7, "gamma": 1.3}


def stored(program: Program, shape: tuple[int, ...] = (3, 2)) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(4)
    return {name: generator.normal(size=shape) for name in ("w", "g", *program.states)}


def check(rule: Rule, step: int = 3, shape: tuple[int, ...] = (3, 2), **hosts: float) -> Program:
    """The rule's program, which computes what its equations say."""
    program = rule.program()
    before = stored(program, shape)
    numbers = {name: NUMBERS[name] for name in program.arguments}
    found, after = carried_out(program, before, numbers, step, hosts)
    expected = substituted(rule, before, numbers, step, hosts)
    assert set(found) == {"w", *program.states}
    for name, array in found.items():
        assert array == pytest.approx(expected[name], rel=1e-9, abs=1e-12), name
    for name, value in after.items():
        spread = np.reshape(np.broadcast_to(value, shape[0]), (-1, *(1,) * (len(shape) - 1)))
        assert np.broadcast_to(spread, shape) == pytest.approx(expected[name], rel=1e-9, abs=1e-12), name
    return program


def test_a_rule_without_sums_is_one_phase() -> None:
    for name in ("adam", "rprop", "schedule_free_adamw", "asgd"):
        program = rules.variant(name).program()
        assert len(program.phases) == 1
        assert program.reductions == () and program.scratch == ()


@pytest.mark.parametrize("scope", [sum_all, sum_group, sum_tensor, sum_unit], ids=lambda scope: scope.scope)
def test_a_sum_makes_a_phase_that_only_reads(scope: type[Sum]) -> None:
    program = check(Rule("mine", m=beta * m + g, step=lr * m / (1 + norm(m * g, scope))))
    first, last = program.phases
    assert first.results == () and len(first.sums) == 1 and last.sums == ()
    assert first.sums[0].scope == scope.scope
    assert dict(last.results).keys() == {"w", "m"}


def test_sums_inside_sums_make_a_phase_for_each_depth() -> None:
    inner = sum_tensor(g**2)
    middle = sum_tensor(w**2 / inner)
    outer = sum_tensor(g * w / middle)
    program = check(Rule("mine", step=lr * g * outer))
    assert [len(phase.sums) for phase in program.phases] == [1, 1, 1, 0]


def test_sums_side_by_side_share_a_phase() -> None:
    program = check(
        Rule("mine", step=lr * g * sum_all(g) / sum_tensor(w**2) + lr * sum_group(g * w) + lr * g * sum_unit(w))
    )
    assert [len(phase.sums) for phase in program.phases] == [4, 0]
    assert {found.scope for found in program.reductions} == {"all", "tensor", "group", "unit"}


def test_a_sum_of_what_a_sum_changed_comes_after_it() -> None:
    """Two clips, one after the other: the second measures what the first has left."""
    rule = rules.variant("sgd", modifiers=("clip_norm", "clip_tensor_norm"))
    phases = rule.program().phases
    assert [[found.scope for found in phase.sums] for phase in phases] == [["all"], ["tensor"], []]
    assert "g" in dict(phases[1].lines)["g_1"]  # computed anew, from what is stored


def test_sums_of_the_same_thing_are_one() -> None:
    length = norm(g)
    program = check(Rule("mine", m=beta * m + g / length, step=lr * m * length + lr * g * sum_tensor(g**2)))
    assert len(program.reductions) == 1


def test_the_same_letters_after_an_assignment_are_another_sum() -> None:
    program = check(Rule("mine", m=beta * m / sum_tensor(m**2) + g, step=lr * m / sum_tensor(m**2)))
    assert [len(phase.sums) for phase in program.phases] == [1, 1, 0]


def test_scopes_are_told_apart() -> None:
    program = check(Rule("mine", step=lr * g * sum_unit(g**2) / sum_tensor(g**2)))
    assert sorted(found.scope for found in program.phases[0].sums) == ["tensor", "unit"]


def test_a_sum_that_nobody_needs_makes_no_phase() -> None:
    """Its name stands in the equations, its value in no result."""
    for around in (
        {"before": (("g", g / norm(g)), ("g", w + 1))},  # overwritten before it is read
        {"after": (("length", norm(w)),)},  # a name for a value that is never read
    ):
        program = check(Rule("mine", m=beta * m + g, step=lr * m, **around))
        assert len(program.phases) == 1 and program.reductions == ()


def test_a_value_that_only_a_host_needs_is_still_summed() -> None:
    longest = hyper("longest")
    program = check(Rule("mine", longest=sympy.Max(longest, norm(g, sum_group)), step=lr * g), longest=0.1)
    assert [len(phase.sums) for phase in program.phases] == [1, 0]
    assert program.hosts == (("longest", "longest_1"),)
    assert program.states == ()


def test_sums_over_all_parameters_carry_their_meaning() -> None:
    """Two rules that clip by the norm of everything mean the same sum, whatever surrounds it."""
    (plain,) = rules.variant("sgd", modifiers=("clip_norm",)).program().reductions
    (other,) = rules.variant("adam", modifiers=("maximize", "clip_norm", "coupled_decay")).program().reductions
    assert plain.scope == other.scope == "all"
    assert plain.meaning == other.meaning == "g**2"


def test_two_sums_of_one_rule_never_share_a_meaning() -> None:
    """Before and after an assignment the same letters mean different numbers: added up they would be neither."""
    before = hyper("before_it")
    rule = Rule("mine", before_it=sum_all(m**2), m=beta * m + g, step=lr * m / (1 + before + sum_all(m**2)))
    program = check(rule)
    assert [len(phase.sums) for phase in program.phases] == [2, 0]
    assert len({found.meaning for found in program.reductions}) == 2


class TestGrain:
    def test_without_fine_sums_a_group_shares_its_scalars(self) -> None:
        assert rules.adam.program().grain == "group"
        assert rules.variant("adam", modifiers=("clip_norm",)).program().grain == "group"
        assert rules.variant("swats", scope="group").program().grain == "group"

    def test_each_tensor_has_its_own(self) -> None:
        assert rules.lamb.program().grain == "tensor"
        assert rules.variant("swats", scope="tensor").program().grain == "tensor"
        assert rules.muon.program().grain == "tensor"  # its rate is one for each shape
        assert rules.muon.program().shapes == ("n_rows", "n_columns")

    def test_the_finest_sum_decides(self) -> None:
        assert rules.variant("lamb", modifiers=("clip_adaptive", "clip_norm")).program().grain == "unit"

    def test_a_host_may_differ_from_unit_to_unit(self) -> None:
        smooth = hyper("smooth")
        rule = Rule("mine", smooth=beta * smooth + (1 - beta) * norm(g, sum_unit), step=lr * g / (1 + smooth))
        assert check(rule, smooth=0.4).grain == "unit"
        assert rule.persistent == ("smooth",) and rule.states == ()

    def test_a_host_of_a_tensors_sum(self) -> None:
        smooth = hyper("smooth")
        rule = Rule("mine", smooth=beta * smooth + (1 - beta) * norm(g), step=lr * g / (1 + smooth))
        assert check(rule, smooth=0.4).grain == "tensor"


class TestStarts:
    def test_what_nothing_is_said_of_starts_at_zero(self) -> None:
        assert rules.adam.program().start("exp_avg", {"lr": 1.0, "beta1": 0.9, "beta2": 0.9, "eps": 1e-8}) == 0.0

    def test_a_number_and_an_expression_of_hyperparameters(self) -> None:
        gamma = hyper("gamma")
        rule = Rule(
            "mine",
            m=beta * m + g,
            kept=hyper("kept") * beta,
            step=lr * m * hyper("kept"),
            starts={"m": 3, "kept": gamma / lr},
        )
        program = rule.program()
        assert program.arguments == ("lr", "beta", "gamma")  # what only a start needs is a hyperparameter too
        assert program.start("m", NUMBERS) == 3.0
        assert program.start("kept", NUMBERS) == pytest.approx(1.3 / 0.3)

    def test_the_weight(self) -> None:
        program = rules.schedule_free_sgd.program()
        assert dict(program.starts) == {"z": "w"}
        assert program.start("z", {}) is None

    def test_a_start_of_what_is_not_kept_is_left_out(self) -> None:
        program = Rule("mine", m=g * 2, step=lr * m, starts={"m": 1}).program()
        assert program.states == () and program.starts == ()

    def test_named_rules_start_as_pytorchs(self) -> None:
        numbers = {"lr": 0.5, "initial_accumulator_value": 0.25}
        for name, word, value in (("nadam", "mu_product", 1.0), ("asgd", "eta", 0.5), ("asgd", "mu", 1.0),
                                  ("rprop", "step_size", 0.5), ("adagrad", "sum", 0.25)):  # fmt: skip
            program = rules.variant(name).program()
            assert program.start(word, dict.fromkeys(program.arguments, 0.0) | numbers) == value, (name, word)


class TestMatrices:
    def test_a_matrix_function_fills_a_scratch_slot_between_two_phases(self) -> None:
        program = rules.muon.program()
        first, last = program.phases
        assert program.scratch == ("y0",)
        assert first.results == (("y0", "y0_1"),)
        assert [matrix.function for matrix in first.matrices] == ["orthogonal"]
        assert "y0" in str(last.lines) and last.matrices == ()
        assert program.states == ("momentum_buffer",)

    def test_the_same_matrix_is_made_once(self) -> None:
        matrix = orthogonal(m, 3, -4, 2, 1e-7, 5)
        program = check(Rule("mine", m=beta * m + g, step=lr * matrix + lr * matrix * w))
        assert program.scratch == ("y0",)

    def test_sums_of_a_matrix_come_after_it_and_matrices_of_sums_too(self) -> None:
        y = orthogonal(g / norm(g), 3, -4, 2, 1e-7, 3)
        program = check(Rule("mine", step=lr * y / norm(y * w)))
        assert [(len(phase.sums), len(phase.matrices)) for phase in program.phases] == [(1, 0), (0, 1), (1, 0), (0, 0)]

    def test_a_matrix_of_a_matrix(self) -> None:
        inner = orthogonal(g, 3, -4, 2, 1e-7, 2)
        program = check(Rule("mine", step=lr * orthogonal(inner + w, 2, -1, lr, 1e-7, 2)))
        assert program.scratch == ("y0", "y1")
        assert [len(phase.matrices) for phase in program.phases] == [1, 1, 0]

    def test_numbers_of_a_matrix_function_may_come_from_sums(self) -> None:
        """The function waits for its numbers, though what it works on is known before."""
        program = check(Rule("mine", step=lr * orthogonal(g, 3, -4, 1 / (1 + sum_tensor(g**2)), 1e-7, 3)))
        assert [(len(phase.sums), len(phase.matrices)) for phase in program.phases] == [(1, 0), (0, 1), (0, 0)]

    def test_a_matrix_that_nobody_needs_is_not_made(self) -> None:
        around = (("spare", orthogonal(g, 3, -4, 2, 1e-7, 3)),)
        program = check(Rule("mine", m=beta * m + g, step=lr * m, before=around))
        assert program.scratch == () and len(program.phases) == 1

    def test_shapes_are_numbers_of_a_tensor(self) -> None:
        program = check(Rule("mine", step=lr * g * sympy.sqrt(n_rows) / n_columns), shape=(4, 3))
        assert program.shapes == ("n_rows", "n_columns")
        assert program.inputs == ("lr", "t", "n_rows", "n_columns")


def test_a_uniform_name_is_a_scalar_of_its_own() -> None:
    speed = hyper("speed")
    program = check(Rule("mine", speed=lr / (1 + t), m=beta * m + speed * g, step=m * speed))
    assert dict(program.last.scalars)["speed_1"] == "(lr/(1.0 + t))"
    assert program.hosts == () and program.states == ("m",)
    assert not any("/" in text for _, text in program.last.lines)


INNER = st.recursive(
    st.sampled_from([w, g, m, lr, beta, sympy.Integer(2), t]),
    lambda inner: (
        st.tuples(inner, inner).map(lambda pair: pair[0] + pair[1])
        | st.tuples(inner, inner).map(lambda pair: pair[0] * pair[1])
        | inner.map(lambda value: value / (1 + value**2))
        | st.tuples(st.sampled_from([sum_all, sum_group, sum_tensor, sum_unit]), inner).map(
            lambda pair: pair[0](pair[1])
        )
        | inner.map(lambda value: sympy.Piecewise((value, value > 0), (1, True)))
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(update=INNER, step=INNER)
def test_any_sums_are_lowered_to_what_they_mean(update, step) -> None:
    rule = Rule("any", m=beta * m + g + update / (1 + update**2), step=step / (1 + step**2) + lr * m * g)
    check(rule)
