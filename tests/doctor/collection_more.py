"""Healthy programs over other data, and other plain ways of writing a loop."""

from __future__ import annotations

import numpy as np
import torch
from ailing import _split, adam, fashion
from collection import CE, MSE, H, Program, add, mlp, on_cancer, on_digits, on_fashion, on_moons, on_waves, sgd
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
    X, y = datasets.make_classification(
        1500, 20, n_informative=8, n_classes=3, flip_y=0.03, class_sep=1.2, random_state=0
    )
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
add(
    "ok table",
    on(table),
    H,
    lambda: mlp(20, 64, 3, drop=0.2),
    lambda m: torch.optim.AdamW(m.parameters(), 3e-3),
    epochs=20,
)
add("ok friedman", on(friedman, MSE), H, lambda: mlp(10, 64, 1), lambda m: adam(m, 5e-3))
add("ok three targets", on(linnerud, MSE), H, lambda: mlp(12, 64, 3), lambda m: adam(m, 3e-3))
add("ok digits in 0 1", on(digits01), H, lambda: mlp(64, 64, 10), lambda m: adam(m, 2e-3), epochs=20)
add("ok digits in 0 16", on(digits16), H, lambda: mlp(64, 64, 10), lambda m: adam(m), epochs=15)
add(
    "ok fashion in 0 1",
    on(fashion01),
    H,
    lambda: nn.Sequential(nn.Flatten(), mlp(784, 64, 10)),
    lambda m: adam(m),
    epochs=10,
)
add(
    "ok fashion linear",
    on_fashion,
    H,
    lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)),
    lambda m: sgd(m, 0.01),
    epochs=6,
)
add(
    "ok fashion long",
    on_fashion,
    H,
    lambda: nn.Sequential(nn.Flatten(), mlp(784, 64, 10)),
    lambda m: adam(m),
    epochs=12,
)
add("ok waves sgd", on_waves, H, lambda: mlp(5, 64, 64, 1), lambda m: sgd(m, 0.05, 0.9))
add(
    "ok cancer tanh",
    on_cancer,
    H,
    lambda: mlp(30, 32, 16, 1, act=nn.Tanh),
    lambda m: torch.optim.RMSprop(m.parameters(), 1e-3),
)
add("ok moons short", on_moons, H, lambda: mlp(2, 64, 2), lambda m: adam(m, 2e-2), epochs=12)
add("ok digits big batch", on_digits, H, lambda: mlp(64, 128, 10), lambda m: adam(m, 5e-3), batch=256, epochs=30)
add("ok digits small batch", on_digits, H, lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.02), batch=4, epochs=8)


# the same faults on data that nothing was tuned on
def bent(pairs, change, dev=False, loss=CE):
    def make(kind, m, o, **more):
        (a, b), (c, d) = pairs()
        a, b = (a, b) if dev else change(a, b)
        c, d = change(c, d) if dev else (c, d)
        return Program(kind, m, o, loss, (a, b), (c, d), **{"epochs": 30, **more})

    return make


def swap(a, b):
    g = torch.Generator().manual_seed(5)
    return a, torch.where(
        torch.rand(len(b), generator=g) < 0.3, (b + 1 + torch.randint(0, 2, b.shape, generator=g)) % 3, b
    )


def fewer(a, b):
    keep = (b != 2) | (torch.rand(len(b), generator=torch.Generator().manual_seed(5)) < 0.03)
    return a[keep], b[keep]


class WrongLeaky(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.where(x > 0, x, 0.1 * x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return torch.where(x > 0, g, g)


def table_net(**more):
    return lambda: mlp(20, 64, 64, 3, **more)


add("new circles linear", on(circles), "high_bias", lambda: nn.Linear(2, 2), lambda m: adam(m, 1e-2))
add("new table swapped", bent(table, swap), "label_noise", table_net(), lambda m: adam(m, 2e-3))
add("new friedman low", on(friedman, MSE), "lr_too_low", lambda: mlp(10, 64, 64, 1), lambda m: sgd(m, 1e-5, 0.9))
add("new table dropout", on(table), "over_regularised", table_net(drop=0.9), lambda m: adam(m, 2e-3))
add(
    "new friedman sigmoid",
    on(friedman, MSE),
    "wrong_activation",
    lambda: nn.Sequential(mlp(10, 64, 1), nn.Sigmoid()),
    lambda m: adam(m, 5e-3),
)
add(
    "new blobs softmax",
    on(blobs),
    "wrong_activation",
    lambda: nn.Sequential(mlp(2, 16, 4), nn.Softmax(1)),
    lambda m: adam(m, 1e-2),
)
add(
    "new circles stale", on(circles), "no_zero_grad", lambda: mlp(2, 32, 32, 2), lambda m: sgd(m, 0.05, 0.9), zero=False
)
add(
    "new table sorted",
    bent(table, lambda a, b: (a[b.argsort()], b[b.argsort()])),
    "data_order",
    table_net(),
    lambda m: adam(m, 2e-3),
    shuffle=False,
)
add(
    "new table dev",
    bent(table, lambda a, b: (4 * a + 2, b), dev=True),
    "train_dev_mismatch",
    table_net(),
    lambda m: adam(m, 2e-3),
    epochs=12,
)
add(
    "new iris short",
    on(lambda: _scaled(datasets.load_iris)),
    "undertrained",
    lambda: mlp(4, 16, 3),
    lambda m: adam(m, 2e-3),
    epochs=2,
)
add(
    "new friedman column",
    bent(friedman, lambda a, b: (a * torch.tensor([1.0] * 9 + [3e3]), b), loss=MSE),
    "unnormalised_input",
    lambda: mlp(10, 64, 1),
    lambda m: sgd(m, 0.01),
)
add("new blobs dead", on(blobs), "dead_relu", lambda: _lowered(mlp(2, 32, 32, 4)), lambda m: adam(m, 3e-3))
add("new table backward", on(table), "wrong_gradient", table_net(act=lambda: _Own()), lambda m: adam(m, 2e-3))
add(
    "new friedman held",
    on(friedman, MSE),
    "frozen_params",
    lambda: mlp(10, 16, 16, 1),
    lambda m: torch.optim.Adam(m[4].parameters(), 5e-3),
)
add(
    "new table few",
    bent(table, lambda a, b: (a[:50], b[:50])),
    "high_variance",
    table_net(),
    lambda m: adam(m, 2e-3),
    epochs=150,
)
add("new circles high", on(circles), "lr_too_high", lambda: mlp(2, 32, 32, 2), lambda m: sgd(m, 20.0))
add("new table high", on(table), "lr_too_high", table_net(), lambda m: adam(m, 0.3))
add("new table decay", on(table), "over_regularised", table_net(), lambda m: sgd(m, 0.1, weight_decay=0.2))
add(
    "new wine eval",
    on(lambda: _scaled(datasets.load_wine)),
    "wrong_mode",
    lambda: mlp(13, 16, 3, norm=True),
    lambda m: adam(m, 5e-3),
    mode="eval",
)
add("new table rare", bent(table, fewer), "class_imbalance", lambda: mlp(20, 16, 3), lambda m: adam(m, 1e-3), epochs=10)
add(
    "new friedman momentum",
    on(friedman, MSE),
    "wrong_optimizer",
    lambda: mlp(10, 64, 1),
    lambda m: sgd(m, 0.01, 0.9995),
)
add(
    "new table deep",
    on(table),
    "vanishing_gradient",
    lambda: mlp(20, *[32] * 9, 3, act=nn.Sigmoid),
    lambda m: sgd(m, 0.1, 0.9),
)
add(
    "new blobs tanh",
    on(blobs),
    "saturated_activation",
    lambda: _times(mlp(2, 64, 64, 4, act=nn.Tanh), 40),
    lambda m: sgd(m, 0.01),
)
add("new table steep", on(table), "exploding_gradient", lambda: _times(mlp(20, *[64] * 10, 3), 6), lambda m: adam(m))
add("new table constant", on(table), "bad_init", lambda: _constant(mlp(20, 64, 64, 3)), lambda m: adam(m, 2e-3))
add(
    "new friedman gone",
    on(friedman, lambda o, y: ((o - y) / (y - y)).square().mean()),
    "nan",
    lambda: mlp(10, 16, 1),
    adam,
    epochs=3,
)
add(
    "new friedman pairs",
    on(friedman, lambda o, y: MSE(o.reshape(-1), y.reshape(-1, 1).expand(-1, len(y)).mean(0))),
    "wrong_loss",
    lambda: mlp(10, 64, 1),
    adam,
)
add(
    "new table hinge",
    on(table, lambda o, y: (o.gather(1, y[:, None])).mean()),
    "wrong_loss",
    table_net(),
    adam,
    epochs=10,
)
add(
    "new blobs met",
    bent(blobs, lambda a, b: (torch.cat([a, blobs()[1][0]]), torch.cat([b, blobs()[1][1]]))),
    "leakage",
    lambda: mlp(2, 16, 4),
    lambda m: adam(m, 1e-2),
)


class _Own(nn.Module):
    def forward(self, x):
        return WrongLeaky.apply(x)


def _lowered(m):
    for layer in m:
        if isinstance(layer, nn.Linear) and layer.out_features == 32:
            nn.init.constant_(layer.bias, -15.0)
    return m


def _times(m, factor):
    with torch.no_grad():
        for p in m.parameters():
            if p.ndim > 1:
                p.mul_(factor)
    return m


def _constant(m):
    for p in m.parameters():
        nn.init.constant_(p, 0.05)
    return m
