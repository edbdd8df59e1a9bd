"""Samplers and studies on functions whose best point is known."""

from __future__ import annotations

import importlib.util
import itertools
import math
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from thalweg.errors import Diverged, InputError, MissingDependency
from thalweg.search import (
    CoarseToFine,
    Finished,
    Gp,
    Grid,
    Nsga2,
    Random,
    Sampler,
    Space,
    Tpe,
    importance,
    open_store,
    run_study,
    zoom,
)

SPACE = Space.parse({"lr": "1e-4..1:log", "beta1": "0.9..0.999:one-minus", "hidden": "[64, 128]"})


def score(values: dict) -> float:
    """Lowest, 0, at lr 1e-2, beta1 0.97, hidden 128."""
    rate = math.log10(values["lr"] / 1e-2) ** 2
    return rate + math.log10((1 - values["beta1"]) / 0.03) ** 2 + (values["hidden"] == 64)


def scores(sampler: Sampler, trials: int) -> list[float]:
    return [trial.score for trial in run_study(score, sampler, trials=trials).finished]


WITHOUT_OPTUNA = importlib.util.find_spec("optuna") is None
needs_optuna = pytest.mark.skipif(WITHOUT_OPTUNA, reason="Optuna is not installed")
MAKERS = [Random, CoarseToFine, pytest.param(Tpe, marks=needs_optuna)]


@pytest.mark.parametrize("make", MAKERS)
class TestEachSampler:
    def test_same_seed_same_points_and_another_seed_others(self, make) -> None:
        points = [
            [trial.values for trial in run_study(score, make(SPACE, seed=s), trials=20).finished] for s in (0, 0, 1)
        ]
        assert points[0] == points[1]
        assert points[0] != points[2]

    def test_stopped_and_gone_on_is_the_same_study(self, make) -> None:
        whole = run_study(score, make(SPACE, seed=0), trials=24)
        half = run_study(score, make(SPACE, seed=0), trials=13)
        assert run_study(score, make(SPACE, seed=0), trials=24, finished=half.finished) == whole

    def test_points_lie_in_the_space(self, make) -> None:
        for trial in run_study(score, make(SPACE, seed=3), trials=40).finished:
            assert 1e-4 <= trial.values["lr"] <= 1
            assert 0.9 <= trial.values["beta1"] <= 0.999
            assert trial.values["hidden"] in (64, 128)

    def test_failed_trials_do_not_stop_it(self, make) -> None:
        def objective(values: dict) -> float:
            if values["lr"] > 0.1:
                raise Diverged("the loss is not finite at step 3")
            return math.nan if values["lr"] < 1e-3 else score(values)

        study = run_study(objective, make(SPACE, seed=0), trials=40)
        assert len(study.finished) == 40
        assert any(not math.isfinite(trial.score) for trial in study.finished)
        assert 1e-3 <= study.best.values["lr"] <= 0.1


class TestBetterThanChance:
    """Medians over many seeds, so that no single draw decides."""

    def median_best(self, make, seeds: int) -> float:
        return float(np.median([min(scores(make(seed), 48)) for seed in range(seeds)]))

    def test_coarse_to_fine_beats_random(self) -> None:
        chance = self.median_best(lambda seed: Random(SPACE, seed), 40)
        assert self.median_best(lambda seed: CoarseToFine(SPACE, seed, stage=12), 40) < 0.5 * chance

    @needs_optuna
    def test_tpe_beats_random(self) -> None:
        chance = self.median_best(lambda seed: Random(SPACE, seed), 40)
        assert self.median_best(lambda seed: Tpe(SPACE, seed), 6) < 0.5 * chance

    def test_random_beats_grid_where_one_hyperparameter_matters(self) -> None:
        # Bergstra & Bengio 2012: 25 trials are 25 rates for random search, 5 for a grid.
        space = Space.parse({"lr": "1e-4..1:log", "other": "0.0..1.0"})

        def objective(values: dict) -> float:
            return abs(math.log10(values["lr"]) + 2.43)

        grid = run_study(objective, Grid(space, points=5), trials=25).best.score
        drawn = [run_study(objective, Random(space, seed), trials=25).best.score for seed in range(20)]
        assert np.median(drawn) < grid / 2


class TestGrid:
    def test_every_combination_once(self) -> None:
        grid = Grid(SPACE, points=5)
        assert grid.size == 50
        study = run_study(score, grid, trials=1000)
        rates = [1e-4, 1e-3, 1e-2, 1e-1, 1.0]
        factors = [1 - x for x in np.logspace(-1, -3, 5)]
        expected = list(itertools.product(rates, factors, (64, 128)))
        assert len(study.finished) == 50
        np.testing.assert_allclose([tuple(trial.values.values()) for trial in study.finished], expected, rtol=1e-9)

    def test_whole_numbers_are_not_repeated(self) -> None:
        assert Grid(Space.parse({"layers": "1..3"}), points=10).size == 3

    def test_no_points(self) -> None:
        with pytest.raises(InputError, match="at least 1 point"):
            Grid(SPACE, points=0)


class TestZoom:
    def trials(self, *points: tuple[float, float, int]) -> list[Finished]:
        return [
            Finished(number, values := {"lr": lr, "beta1": beta1, "hidden": hidden}, (score(values),))
            for number, (lr, beta1, hidden) in enumerate(points)
        ]

    def test_holds_the_best_and_drops_the_rest(self) -> None:
        trials = self.trials((1e-2, 0.97, 128), (2e-2, 0.96, 128), (1e-4, 0.9, 64), (1.0, 0.999, 64))
        zoomed = zoom(SPACE, trials, keep=0.5)
        assert 1e-4 < zoomed["lr"].low < 1e-2 < 2e-2 < zoomed["lr"].high < 1
        assert 0.9 < zoomed["beta1"].low < 0.96 < 0.97 < zoomed["beta1"].high < 0.999
        assert zoomed["hidden"].values == (128,)

    def test_never_leaves_the_space(self) -> None:
        zoomed = zoom(SPACE, self.trials((1e-4, 0.9, 64), (1.0, 0.999, 128)))
        assert (zoomed["lr"].low, zoomed["lr"].high) == (1e-4, 1.0)
        assert (zoomed["beta1"].low, zoomed["beta1"].high) == (0.9, 0.999)

    def test_stays_where_too_little_succeeded(self) -> None:
        assert zoom(SPACE, []) == SPACE
        failed = [Finished(n, {"lr": 0.1, "beta1": 0.9, "hidden": 64}, (math.inf,)) for n in range(5)]
        assert zoom(SPACE, failed) == SPACE

    def test_a_stage_needs_two_trials(self) -> None:
        with pytest.raises(InputError, match="at least 2 trials"):
            CoarseToFine(SPACE, stage=1)


class TestStudy:
    def test_best_and_told(self) -> None:
        told: list[Finished] = []
        study = run_study(score, Random(SPACE), trials=10, tell=told.append)
        assert tuple(told) == study.finished
        assert study.best.score == min(trial.score for trial in study.finished)
        assert [trial.number for trial in study.finished] == list(range(10))

    def test_nothing_succeeded(self) -> None:
        study = run_study(lambda values: math.nan, Random(SPACE), trials=3)
        with pytest.raises(InputError, match="none of 3 trials succeeded"):
            _ = study.best

    def test_other_errors_end_it(self) -> None:
        with pytest.raises(ZeroDivisionError):
            run_study(lambda values: 1 / 0, Random(SPACE), trials=3)

    @pytest.mark.parametrize(
        ("purpose", "use"),
        [
            ("a search by TPE", lambda: Tpe(SPACE).suggest([], [], 1)),
            ("a search by a Gaussian process", lambda: Gp(SPACE, startup=0).suggest([], [], 1)),
            ("a search by NSGA-II", lambda: Nsga2(SPACE).suggest([], [], 1)),
            ("a study that is kept", lambda: open_store("study.db", name="s", space=SPACE)),
            ("the importance of hyperparameters", lambda: importance(SPACE, [])),
        ],
    )
    def test_without_optuna_there_is_a_polite_sentence(
        self, monkeypatch: pytest.MonkeyPatch, purpose: str, use: Callable[[], object]
    ) -> None:
        monkeypatch.setitem(sys.modules, "optuna", None)
        monkeypatch.delitem(sys.modules, "thalweg.search.kept", raising=False)
        with pytest.raises(MissingDependency, match=rf"{purpose} needs the package optuna.*thalweg\[search\]"):
            use()

    def test_without_optuna_the_rest_works(self) -> None:
        program = (
            "import sys; sys.modules['optuna'] = None\n"
            "from thalweg.search import *\n"
            "space = Space.parse({'x': '0.0..1.0'})\n"
            "for name in ('random', 'sobol', 'grid', 'coarse-to-fine', 'ordered'):\n"
            "    store, sampler = Memory(space), sampler_named(name, space)\n"
            "    store.tell([Told(one.number, 'finished', (1.0,)) for one in store.ask(sampler, 4)])\n"
            "    assert len(store.finished()) == 4\n"
        )
        subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
