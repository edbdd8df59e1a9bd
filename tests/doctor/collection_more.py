"""Healthy programs over other data, and other plain ways of writing a loop."""

from __future__ import annotations

import numpy as np
import torch
from collection import CE, MSE, H, Program, add, mlp, on_cancer, on_digits, on_fashion, on_moons, on_waves, sgd
from programs import _split, adam, fashion
from sklearn import datasets
from torch import nn


def _scaled(load):
    X, y = load(return_X_y=True)
    (a, b), (c, d) = _split(X, y, 0)
    mean, sd = a.mean(0), a.std(0)
    return ((a - mean) / sd, b), ((c - mean) / sd, d)


def on(pairs, loss=CE):
    def make(kind, m, o, **more):
        return Program(kind, m, o, loss, *pairs(), **{"epochs": 30, **more})

    return make


def circles():
    X, y = datasets.make_circles(800, noise=0.1, factor=0.4, random_state=0)
    return _split(X, y, 0)


def blobs():
    X, y = datasets.make_blobs(900, centers=4, cluster_std=2.5, random_state=3)
    return _split((X - X.mean(0)) / X.std(0), y, 0)


def table():
    X, y = datasets.make_classification(1500, 20, n_informative=8, n_classes=3, flip_y=0.03, class_sep=1.2, random_state=0)
    return _split(X, y, 0)


def friedman():
    X, y = datasets.make_friedman1(1000, noise=1.0, random_state=0)
    return _split((X - 0.5) * 3.46, ((y - y.mean()) / y.std()).astype(np.float32)[:, None], 0)


def linnerud():
    X, y = datasets.make_regression(600, 12, n_targets=3, noise=20, random_state=0)
    return _split(X, (y / y.std(0)).astype(np.float32), 0)


def digits01():
    X, y = datasets.load_digits(return_X_y=True)
    return _split(X / 16, y, 0)


def digits16():
    X, y = datasets.load_digits(return_X_y=True)
    return _split(X, y, 0)


def fashion01():
    (a, b), (c, d) = fashion()
    return (a * 0.353 + 0.286, b), (c * 0.353 + 0.286, d)


add("ok iris", on(lambda: _scaled(datasets.load_iris)), H, lambda: mlp(4, 16, 3), lambda m: adam(m, 1e-2))
add("ok wine", on(lambda: _scaled(datasets.load_wine)), H, lambda: mlp(13, 16, 3), lambda m: sgd(m, 0.1))
add("ok circles", on(circles), H, lambda: mlp(2, 32, 32, 2), lambda m: adam(m, 5e-3))
add("ok blobs", on(blobs), H, lambda: mlp(2, 16, 4), lambda m: adam(m, 1e-2))
add("ok table", on(table), H, lambda: mlp(20, 64, 3, drop=0.2), lambda m: torch.optim.AdamW(m.parameters(), 3e-3), epochs=20)
add("ok friedman", on(friedman, MSE), H, lambda: mlp(10, 64, 1), lambda m: adam(m, 5e-3))
add("ok three targets", on(linnerud, MSE), H, lambda: mlp(12, 64, 3), lambda m: adam(m, 3e-3))
add("ok digits in 0 1", on(digits01), H, lambda: mlp(64, 64, 10), lambda m: adam(m, 2e-3), epochs=20)
add("ok digits in 0 16", on(digits16), H, lambda: mlp(64, 64, 10), lambda m: adam(m), epochs=15)
add("ok fashion in 0 1", on(fashion01), H, lambda: nn.Sequential(nn.Flatten(), mlp(784, 64, 10)), lambda m: adam(m), epochs=10)
add("ok fashion linear", on_fashion, H, lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), lambda m: sgd(m, 0.01), epochs=6)
add("ok fashion long", on_fashion, H, lambda: nn.Sequential(nn.Flatten(), mlp(784, 64, 10)), lambda m: adam(m), epochs=12)
add("ok waves sgd", on_waves, H, lambda: mlp(5, 64, 64, 1), lambda m: sgd(m, 0.05, 0.9))
add("ok cancer tanh", on_cancer, H, lambda: mlp(30, 32, 16, 1, act=nn.Tanh), lambda m: torch.optim.RMSprop(m.parameters(), 1e-3))
add("ok moons short", on_moons, H, lambda: mlp(2, 64, 2), lambda m: adam(m, 2e-2), epochs=12)
add("ok digits big batch", on_digits, H, lambda: mlp(64, 128, 10), lambda m: adam(m, 5e-3), batch=256, epochs=30)
add("ok digits small batch", on_digits, H, lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.02), batch=4, epochs=8)
