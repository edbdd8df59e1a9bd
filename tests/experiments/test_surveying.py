"""Rules on surfaces: paths are the optimizers', rates are chosen openly, mistakes are one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sympy import sign

import thalweg
from thalweg.errors import InputError
from thalweg.experiments.walking import Chosen
from thalweg.rules import Rule
from thalweg.rules.symbols import beta, g, lr, state
from thalweg.surfaces import BEALE, RAVINE, SADDLE, path


class TestWalks:
    def test_they_are_the_optimizers(self) -> None:
        survey = thalweg.surface(
            "Beale", rules=["sgd", "adam"], settings={"sgd": {"lr": 0.01}, "adam": {"lr": 0.1}}, steps=30
        )
        wanted = {
            "sgd": path(BEALE, lambda w: torch.optim.SGD(w, lr=0.01), steps=30),
            "adam": path(BEALE, lambda w: torch.optim.Adam(w, lr=0.1), steps=30),
        }
        for rule, walk in wanted.items():
            np.testing.assert_allclose(survey.walks[rule], walk, rtol=1e-9)
            assert survey[rule].final == pytest.approx(float(BEALE.value(*walk[-1])))

    def test_start_noise_and_seed(self) -> None:
        given = {"rules": ["sgd"], "settings": {"sgd": {"lr": 0.1}}, "start": (1.0, 2.0), "noise": 1.0, "steps": 9}
        one, same, other = (thalweg.surface("ravine", seed=seed, **given) for seed in (1, 1, 2))
        assert tuple(one.walks["sgd"][0]) == (1.0, 2.0)
        np.testing.assert_array_equal(one.walks["sgd"], same.walks["sgd"])
        assert np.abs(one.walks["sgd"] - other.walks["sgd"]).max() > 0.01
        assert "noise" in one.report.sentence

    def test_a_rule_of_ones_own(self) -> None:
        m = state("m")
        signum = Rule("signum", defaults={"beta": 0.5}, m=beta * m + (1 - beta) * g, step=lr * sign(m))
        survey = thalweg.surface("x**2 + y**2", rules=[signum], settings={"signum": {"lr": 0.5}}, steps=4)
        np.testing.assert_allclose(survey.walks["signum"][:, 0], [-4, -3.5, -3, -2.5, -2])
        assert not survey["signum"].linear and survey["signum"].numbers == {"lr": 0.5, "beta": 0.5}

    def test_step_of_arrival(self) -> None:
        """(1 − 2α)ᵗ·5 squared is first below 0.001 at step 7 for α = 0.4."""
        survey = thalweg.surface("x**2 + y**2", rules=["sgd"], settings={"sgd": {"lr": 0.4}}, steps=20)
        assert survey["sgd"].arrived == next(t for t in range(20) if 25 * 0.2 ** (2 * t) <= 1e-3)
        assert thalweg.surface(SADDLE, rules=["sgd"], settings={"sgd": {"lr": 0.1}}, steps=5)["sgd"].arrived is None


class TestTheRate:
    def test_it_is_near_the_best_of_theory(self) -> None:
        """Descent on a quadratic contracts fastest at 2/(λ₁ + λ₂); a rate of two digits comes close."""
        survey = thalweg.surface("ravine", rules=["sgd"])
        assert survey["sgd"].numbers["lr"] == pytest.approx(2 / 2.1, rel=0.05)

    @pytest.mark.parametrize("name", ["momentum", "adagrad", "adam"])
    def test_no_step_stands_higher_than_the_start(self, name: str) -> None:
        survey = thalweg.surface("ravine", rules=[name])
        heights = RAVINE.value(*survey.walks[name].T)
        assert heights.max() <= heights[0] * (1 + 1e-9) and heights[-1] < 0.01 * heights[0]

    def test_one_that_is_given_stays(self) -> None:
        assert thalweg.surface("ravine", rules=["sgd"], settings={"sgd": {"lr": 1.03}})["sgd"].numbers["lr"] == 1.03


class TestQuadratics:
    @pytest.mark.parametrize("name", ["sgd", "momentum", "momentum_sum", "nesterov"])
    def test_measured_and_exact_agree_to_one_percent(self, name: str) -> None:
        survey = thalweg.surface(
            "2*x**2 + x*y + y**2/4 - x", rules=[name], settings={name: {"lr": 0.3}}, start=(1.0, -2.0)
        )
        found = survey[name]
        assert found.linear
        assert found.measured_limit == pytest.approx(found.exact_limit, rel=0.01)
        assert found.contraction == pytest.approx(found.predicted, rel=0.01)
        assert "Measured, the limit of" in survey.report.sentence

    def test_a_rule_that_is_not_linear_has_measured_ones_alone(self) -> None:
        found = thalweg.surface("ravine", rules=["adam"], settings={"adam": {"lr": 0.3}})["adam"]
        assert found.exact_limit is None and found.predicted is None and not found.linear
        assert found.measured_limit > 1 and 0 < found.contraction < 1.1

    def test_other_surfaces_have_neither(self) -> None:
        for on in ("Beale", "saddle"):
            found = thalweg.surface(on, rules=["sgd"], settings={"sgd": {"lr": 0.01}}, steps=3)["sgd"]
            assert found.measured_limit is None and found.contraction is None


@pytest.mark.parametrize(("on", "start"), [("ravine", (100.0, 1.0)), ("x", (-4.0, 3.0)), ("saddle", (0.1, 0.5))])
def test_a_rate_is_found_also_outside_and_below_zero(on: str, start: tuple[float, float]) -> None:
    survey = thalweg.surface(on, rules=["sgd"], start=start, steps=3)
    assert survey["sgd"].numbers["lr"] > 0.05
    assert survey["sgd"].final < float(survey.surface.value(*start))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"on": "rvine"}, 'no surface "rvine": choose among ravine, beale'),
        ({"on": "import os"}, "no formula of x and y"),
        ({"rules": ["adm"]}, 'no rule "adm": choose among sgd'),
        ({"rules": ["muon"]}, "works on whole matrices"),
        ({"rules": []}, "1 to 20 rules, not 0"),
        ({"rules": ["sgd", "sgd"]}, "sgd is named twice"),
        ({"settings": {"adam": {"lr": 0.1}}}, "a setting is for adam, which is not among the rules sgd"),
        ({"settings": {"sgd": {"beta": 0.1}}}, "sgd has no hyperparameter beta; it has lr"),
        ({"settings": {"sgd": {"lr": float("nan")}}}, "sgd.lr = nan is no number to walk with"),
        ({"steps": 0}, "1 to 2000 steps, not 0"),
        ({"seed": -1}, "seed is -1: it must be 0 or more"),
        ({"noise": -1.0}, "noise = -1.0 is no standard deviation"),
        ({"start": (1.0, float("inf"))}, "two finite numbers"),
        ({"start": (1.0,)}, "two finite numbers"),
        ({"start": (1e200, 1.0)}, "where the loss is finite"),
        ({"settings": {"sgd": {"lr": -1.0}}}, "sgd cannot walk with lr = -1 .Invalid learning rate: -1.0"),
        ({"on": "log(x)"}, "no finite value and slope at the start"),
    ],
)
def test_mistakes(arguments: dict, why: str) -> None:
    with pytest.raises(InputError, match=why):
        thalweg.surface(**{"on": "ravine", "rules": ["sgd"], **arguments})


@pytest.mark.parametrize(
    ("rule", "name", "value", "why"),
    [
        ("adam", "beta1", 2.0, "Invalid beta parameter at index 0: 2.0"),
        ("adan", "beta3", 1.0, "Invalid beta parameter at index 2: 1.0"),
        ("amsgrad_single", "beta2", -1.0, "Invalid beta parameter at index 1: -1.0"),
        ("momentum_sum", "beta", 1.0, "Invalid beta parameter: 1.0"),
        ("adadelta", "rho", 3.0, "Invalid rho value: 3.0"),
        ("rprop", "eta_minus", 2.0, "Invalid eta values: 2.0, 1.2"),
        ("swats", "tol", 0.0, "tol = 0.0 must be above 0"),
    ],
)
def test_a_number_out_of_its_range_is_refused_as_the_optimizer_refuses_it(
    rule: str, name: str, value: float, why: str
) -> None:
    with pytest.raises(InputError, match=f"{rule} cannot walk with {name} = {value:g} .*{why}"):
        thalweg.surface("ravine", rules=[rule], settings={rule: {name: value}}, steps=1)


def test_every_rule_that_a_page_can_walk_takes_its_own_numbers() -> None:
    for name in set(thalweg.rules.names()) - {"lars", "lamb", "muon"}:
        numbers = Chosen.of(name, {name: {"lr": 0.01}}).numbers(RAVINE, steps=1, seed=0)
        assert Chosen.of(name, {name: numbers}).numbers(RAVINE, steps=1, seed=0) == numbers


class TestWhatThePageIsTold:
    def test_letters_are_those_of_the_papers(self) -> None:
        found = thalweg.surface("ravine", rules=["adam"], settings={"adam": {"lr": 0.3}}, steps=3)["adam"]
        assert "exp_avg ← β₁·exp_avg + (1 − β₁)·g" in found.equations
        assert "beta" not in found.equations and "lr" not in found.equations
        assert [slider.label for slider in found.sliders] == ["α lr", "β₁", "β₂", "ε"]

    def test_numbers_are_those_of_the_optimizer_of_that_name(self) -> None:
        settings = {name: {"lr": 0.01} for name in ("lion", "adadelta", "momentum_sum")}
        survey = thalweg.surface("ravine", rules=list(settings), settings=settings, steps=3)
        assert survey["lion"].numbers == {"lr": 0.01, "beta1": 0.9, "beta2": 0.99}
        assert survey["adadelta"].numbers == {"lr": 0.01, "eps": 1e-6, "rho": 0.9}
        assert survey["momentum_sum"].numbers == {"lr": 0.01, "beta": 0.9}

    def test_the_frame_holds_every_walk_and_the_lowest_point(self) -> None:
        survey = thalweg.surface("Rosenbrock", rules=["sgd", "adam"], steps=30)
        points = np.concatenate([*survey.walks.values(), [survey.surface.minimum]])
        for column, side in zip(points.T, (survey.report.across, survey.report.up), strict=True):
            assert side[0] < column.min() and column.max() < side[-1]
        assert survey.report.heights.shape == (len(survey.report.up), len(survey.report.across))

    def test_a_rule_without_a_rate(self, tmp_path: Path) -> None:
        fixed = Rule("fixed", defaults={"beta": 0.1}, step=beta * g)
        survey = thalweg.surface("x**2 + y**2", rules=[fixed], steps=2)
        np.testing.assert_allclose(survey.walks["fixed"][:, 1], [3, 2.4, 1.92])
        survey.page(tmp_path / "page.html")
        assert survey["fixed"].measured_limit is None
