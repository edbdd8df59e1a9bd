"""What the checks before training say to given numbers: every threshold from both sides, formulas typed by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from thalweg.diagnose import KINDS
from thalweg.diagnose.checks import one_batch, program, rate, signals, start
from thalweg.diagnose.checks.check import Check, gravest, passed
from thalweg.diagnose.checks.signals import Layer

NO = np.zeros(1)


def layer(name: str, spread: float = 1.0, gradient: float = 1.0, **more) -> Layer:
    given = {"mean": 0.0, "sd": spread, "zeros": 0.0, "dead": math.nan, "saturated": math.nan} | more
    return Layer(
        name, "Linear", True, given["mean"], given["sd"], spread, given["zeros"], given["dead"], given["saturated"],
        gradient, np.array([0.0, 1.0]), NO, np.array([0.0, 1.0]), NO,
    )  # fmt: skip


class TestAnAnswer:
    def test_takes_remedy_and_reference_from_its_kind(self) -> None:
        answer = Check("rate", "failed", "It is too high.", "lr_too_high")
        kind = KINDS["lr_too_high"]
        assert (answer.remedy, answer.reference) == (kind.remedy, kind.reference)
        assert Check("rate", "failed", "…", "lr_too_high", remedy="Mine.").remedy == "Mine."

    def test_the_gravest_counts(self) -> None:
        fine, odd, bad = passed("a", ""), Check("b", "warned", ""), Check("c", "failed", "")
        assert [gravest(group) for group in ((), (fine,), (fine, odd), (fine, bad, odd))] == [
            "passed", "passed", "warned", "failed",
        ]  # fmt: skip


class TestSignals:
    def test_level_ones_pass(self) -> None:
        layers = (layer("0"), layer("1", 0.4, 0.5), layer("2", 0.1, 1.0))
        assert signals.activations(layers).status == signals.gradients(layers).status == "passed"

    @pytest.mark.parametrize("share, status", [(0.5, "passed"), (2e-3, "passed"), (5e-4, "warned"), (5e-6, "failed")])
    def test_that_fade(self, share: float, status: str) -> None:
        assert signals.activations((layer("0"), layer("1", share))).status == status
        assert signals.gradients((layer("0", gradient=share), layer("1"), layer("2"))).status == status

    def test_that_explode(self) -> None:
        assert signals.activations((layer("0"), layer("1", 2e3))).kind == "bad_init"
        found = signals.gradients((layer("0", gradient=2e3), layer("1", gradient=1.0)))
        assert (found.kind, found.where) == ("exploding_gradient", "0")

    @pytest.mark.parametrize("share, status", [(0.5, "passed"), (0.51, "warned"), (0.95, "failed")])
    def test_that_are_stuck(self, share: float, status: str) -> None:
        dead = signals.activations((layer("0"), layer("1", dead=share), layer("2")))
        railed = signals.activations((layer("0"), layer("1", saturated=share), layer("2")))
        assert dead.status == railed.status == status
        if status != "passed":
            assert (dead.kind, railed.kind, dead.where) == ("dead_relu", "saturated_activation", "1")

    def test_a_branch_that_ends_in_zeros_is_gone_around(self) -> None:
        branch, end = layer("branch.0", 0.8, gradient=0.0), layer("branch.2", 0.0, gradient=0.3)
        layers = (layer("stem"), branch, end, layer("head"))
        assert [one.name for one in signals.chain(layers)] == ["stem", "head"]
        assert signals.activations(layers).status == signals.gradients(layers).status == "passed"

    def test_nothing_at_all_is_no_branch(self) -> None:
        layers = (layer("0", 0.0, 0.0), layer("1", 0.0, 0.0))
        assert signals.gradients(layers).kind == "vanishing_gradient"
        assert signals.unevenness(layers) == math.inf

    def test_unevenness_in_powers_of_ten(self) -> None:
        layers = (layer("0", 1.0, 1e-3), layer("1", 1e-2, 1.0), layer("2", 1e-9, 1.0))  # the output may be small
        assert signals.unevenness(layers) == pytest.approx(2 + 3)

    def test_numbers_that_are_none(self) -> None:
        assert signals.activations((layer("0", math.nan), layer("1"))).kind == "nan"
        assert signals.gradients((layer("0", gradient=math.inf), layer("1"))).kind == "exploding_gradient"


START = start.Start("multiclass", (64,), (10,), 1000, 1.0, 2.31, math.log(10), math.log(10), (0.1,) * 10)


class TestTheStart:
    def test_of_one_that_knows_nothing(self) -> None:
        found = start.start(START)
        assert found.status == "passed" and "ln 10" in found.sentence and found.evidence["blank"] == math.log(10)

    @pytest.mark.parametrize("loss, status", [(6.8, "passed"), (7.0, "warned"), (70.0, "failed"), (math.nan, "failed")])
    def test_of_one_that_shouts(self, loss: float, status: str) -> None:
        assert start.start(replace(START, loss=loss)).status == status

    def test_unequal_classes_are_called_by_their_entropy(self) -> None:
        shares = (0.9, 0.1)
        blank = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
        found = start.start(replace(START, loss=0.7, blank=blank, uniform=math.log(2), class_shares=shares))
        assert found.status == "passed" and "entropy of the class shares" in found.sentence

    def test_outputs_that_are_not_finite(self) -> None:
        found = start.shapes(replace(START, finite=0.75))
        assert (found.status, found.kind) == ("failed", "nan") and "25.0 %" in found.sentence


class TestTheProgram:
    def test_parameters(self) -> None:
        assert program.parameters(program.Reach(100)).status == "passed"
        frozen = program.parameters(program.Reach(100, frozen={"0.weight": 90}))
        lost = program.parameters(program.Reach(100, unused={"0.weight": 90}))
        unheld = program.parameters(program.Reach(100, unheld={"0.weight": 90}, frozen={"1.weight": 5}))
        assert [one.status for one in (frozen, lost, unheld)] == ["warned", "failed", "failed"]
        assert {one.kind for one in (frozen, lost, unheld)} == {"frozen_params"} and unheld.where == "0.weight"

    @pytest.mark.parametrize("ratio, status", [(1e-8, "passed"), (1e-5, "passed"), (1e-4, "warned"), (1e-2, "failed")])
    def test_the_bands_of_a_gradient_check(self, ratio: float, status: str) -> None:
        found = [
            program.Gradient("0.weight", ratio, "(0, 1): 8 given, 12 measured"),
            program.Gradient("0.bias", 0.0, ""),
        ]
        assert program.gradient(found, of=2).status == status

    def test_the_last_wrong_parameter_is_the_culprit(self) -> None:
        found = [program.Gradient(name, ratio, "") for name, ratio in (("0", 0.9), ("1", 0.2), ("2", 0.0))]
        assert program.gradient(found, of=3).where == "1"

    @pytest.mark.parametrize(
        "modes, status",
        [
            (program.Modes(1, 32, 32, False), "passed"),
            (program.Modes(0, 32, 1, False), "passed"),
            (program.Modes(1, 2, 2, False), "warned"),
            (program.Modes(1, 1, 1, False), "failed"),
            (program.Modes(1, 32, 1, False), "warned"),
            (program.Modes(0, 1, 1, False), "warned"),
            (program.Modes(0, 32, 32, True), "failed"),
        ],
    )
    def test_modes(self, modes: program.Modes, status: str) -> None:
        assert program.modes(modes).status == status

    def test_classes(self) -> None:
        assert program.classes((100, 11), weighted=False).status == "passed"
        assert program.classes((100, 9), weighted=False).kind == "class_imbalance"
        assert program.classes((100, 9), weighted=True).status == "passed"
        assert program.classes((100, 0), weighted=False).status == "failed"

    def test_a_leak_is_graver_than_a_constant(self) -> None:
        found = program.data(
            [("constant", "It says nothing."), ("copy of the target", "It gives all away.")], rows=9, name="x"
        )
        assert (found.status, found.kind) == ("failed", "leakage") and found.sentence.startswith(
            "It gives all away. And 1"
        )
        assert program.data([("constant", "It says nothing.")], rows=9, name="x").status == "warned"


RATES = np.geomspace(1e-4, 1e1, 51)


def swept(losses: np.ndarray, blank: float = math.nan) -> rate.RangeTest:
    low = int(np.nanargmin(losses))
    broken = np.flatnonzero(~(losses[low:] <= losses[0]))
    end = RATES[low + broken[0]] if len(broken) else RATES[-1]
    return rate.read(RATES, losses, losses, band=(RATES[0], float(end)), blank=blank)


class TestTheRangeTest:
    def test_of_a_quadratic(self) -> None:
        """Steepest in the logarithm where a logistic is, lowest at its floor, out where it rises again."""
        x = np.log10(RATES)
        losses = 2.3 - 2.0 / (1 + np.exp(-4 * (x + 2))) + np.where(x > 0, 10 * x, 0)
        found = swept(losses)
        assert found.steepest == pytest.approx(1e-2, rel=0.3)
        assert found.minimum == pytest.approx(1.0, rel=0.3)
        assert 1.0 < found.diverges < 3.0
        assert found.band[0] < found.valley < found.minimum
        begin = -2 - math.log(9) / 4  # where a tenth of the fall is made
        assert math.log10(found.band[0]) == pytest.approx(begin, abs=0.15)

    @pytest.mark.parametrize(
        "given, status, kind",
        [(None, "passed", ""), (0.1, "passed", ""), (5.0, "failed", "lr_too_high"), (1e-5, "warned", "lr_too_low")],
    )
    def test_where_a_given_rate_stands(self, given: float | None, status: str, kind: str) -> None:
        x = np.log10(RATES)
        found = rate.judge(swept(2.3 - 2.0 / (1 + np.exp(-4 * (x + 2))) + np.where(x > 0, 10 * x, 0)), given=given)
        assert (found.status, found.kind) == (status, kind)

    def test_of_a_net_that_never_ends(self) -> None:
        x = np.log10(RATES)
        assert math.isnan(swept(2.3 - 2.0 / (1 + np.exp(-4 * x))).diverges)
        losses = np.where(RATES < 1, 2.3 - 0.3 * (x + 4), np.nan)
        assert 0.5 < swept(losses).diverges <= 1.1

    def test_learning_the_class_shares_is_no_learning(self) -> None:
        losses = np.linspace(2.5, 2.3, 51)
        assert swept(losses).falls and not swept(losses, blank=2.302).falls
        assert rate.judge(swept(losses, blank=2.302), given=None).status == "warned"
        assert rate.judge(swept(losses, blank=2.302), given=None, learns=True).status == "skipped"


def batch(*curves: tuple[float, list[float]], **more) -> one_batch.OneBatch:
    trials = tuple(one_batch.Trial(rate, np.array(losses)) for rate, losses in curves)
    return one_batch.OneBatch(**({"rows": 32, "blank": 2.0, "floor": 0.0, "trials": trials, "weights": 1000} | more))


FALLS, STAYS, CREEPS = [2.3] + [0.01] * 3, [2.3] * 301, list(np.linspace(2.3, 1.0, 301))


class TestOneBatch:
    def test_learned(self) -> None:
        found = one_batch.judge(batch((0.1, FALLS)))
        assert found.status == "passed" and "in 1 steps" in found.sentence

    def test_learned_at_another_rate_than_the_one_given(self) -> None:
        lower = one_batch.judge(batch((1.0, STAYS), (0.1, FALLS), given=1.0))
        higher = one_batch.judge(batch((1e-6, STAYS), (0.1, FALLS), given=1e-6))
        assert (lower.kind, higher.kind) == ("lr_too_high", "lr_too_low")

    def test_another_failed_check_explains_it(self) -> None:
        cause = Check("output and loss", "failed", "Behind the softmax …", "wrong_activation")
        found = one_batch.judge(batch((0.1, CREEPS), suspicions=[cause]))
        assert (found.status, found.kind) == ("failed", "wrong_activation") and "Behind the softmax" in found.sentence

    def test_causes_in_their_order(self) -> None:
        free = one_batch.Trial(0.1, np.array(FALLS))
        assert one_batch.judge(batch((0.1, CREEPS), unfrozen=free)).kind == "frozen_params"
        assert one_batch.judge(batch((0.1, CREEPS), floor=0.5, contradictory_all=9, looked=99)).kind == "label_noise"
        assert one_batch.judge(batch((0.1, STAYS))).kind == "vanishing_gradient"
        assert one_batch.judge(batch((0.1, CREEPS))).kind == "high_bias"
        assert one_batch.judge(batch((0.1, CREEPS), weights=11)).status == "passed"
        assert one_batch.judge(batch((0.1, CREEPS[::8]))).status == "passed"  # so few steps do not tell

    def test_contradictions_elsewhere_are_said_where_they_are_many(self) -> None:
        few, many = (one_batch.judge(batch((0.1, FALLS), contradictory_all=n, looked=1000)) for n in (20, 21))
        assert (few.status, many.kind) == ("passed", "label_noise")
