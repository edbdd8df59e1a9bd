"""Problems to race on together: from a quadratic to a transformer, all small enough for two cores and half an hour.

>>> problems, notes = problems_of("small")
>>> [one.name for one in problems]
['quadratic', 'Rosenbrock', 'noisy quadratic', 'logistic', 'digits', 'Fashion-MNIST', 'residual', 'transformer']

One problem says who wins there; eight, each of another kind, say how often that happens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from thalweg.errors import InputError
from thalweg.experiments.racing.functions import noisy_quadratic, quadratic, rosenbrock
from thalweg.experiments.racing.networks import NetworkProblem, data_problem
from thalweg.experiments.racing.problem import Problem
from thalweg.experiments.racing.text import text_problem
from thalweg.experiments.spec import Spec

FASHION_ROWS = 3_000
"""Of 70,000: enough for rules to differ, few enough for hundreds of runs."""


def logistic() -> NetworkProblem:
    """Logistic regression on the breast-cancer table: convex, 30 weights."""
    spec = Spec(data="breast-cancer", model="linear", epochs=30, batch_size=32, watch="loss", clip_norm=None)
    return replace(data_problem(spec), name="logistic")


def digits() -> NetworkProblem:
    """A hidden layer of 32 on scikit-learn's digits."""
    spec = Spec(data="digits", hidden=[32], dropout=[0.0], epochs=25, batch_size=32, clip_norm=None)
    return replace(data_problem(spec), name="digits")


def fashion_mnist() -> NetworkProblem:
    """A hidden layer of 64 on 3,000 images of Fashion-MNIST. Raises ``InputError`` where its files are not found."""
    from thalweg.data import load

    whole = load("fashion-mnist")
    assert isinstance(whole.inputs, np.ndarray)
    chosen = np.sort(np.random.default_rng(0).permutation(len(whole.inputs))[:FASHION_ROWS])
    data = load((whole.inputs[chosen], whole.targets[chosen]))
    spec = Spec(data="Fashion-MNIST", hidden=[64], dropout=[0.0], epochs=20, batch_size=64, clip_norm=None)
    return replace(data_problem(spec, data), name="Fashion-MNIST")


def residual() -> NetworkProblem:
    """Six residual layers of 24 on the digits: as deep as eight layers, and trainable because of its shortcuts."""
    spec = Spec(data="digits", hidden=[24] * 6, residual=True, dropout=[0.0], epochs=20, batch_size=32, clip_norm=None)
    return replace(data_problem(spec), name="residual")


SUITES: dict[str, tuple[Callable[[], Problem], ...]] = {
    "small": (quadratic, rosenbrock, noisy_quadratic, logistic, digits, fashion_mnist, residual, text_problem)
}


def problems_of(suite: str) -> tuple[list[Problem], list[str]]:
    """The problems of a suite, and a sentence for each that can't be raced on here. Raises ``InputError`` for another suite."""
    if suite not in SUITES:
        raise InputError(f'there is no suite "{suite}": choose among {", ".join(SUITES)}')
    problems: list[Problem] = []
    notes = []
    for make in SUITES[suite]:
        try:
            problems.append(make())
        except InputError as error:
            notes.append(f"The suite goes on without {make.__name__.replace('_', '-')}: {error}")
    return problems, notes
