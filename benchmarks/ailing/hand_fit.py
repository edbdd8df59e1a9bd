"""Faulty programs by a second hand: the rate, the size of network and data, the rows."""

from __future__ import annotations

import torch
from torch import nn

import thalweg.optim
from ailing.hand import (
    CE,
    RMS,
    SGD,
    Adam,
    AdamW,
    Bag,
    Recur,
    cnn,
    curve,
    diabetes,
    digits,
    fashion,
    fitted,
    ill,
    mlp,
    moons,
    sequences,
    table,
    words,
)
from ailing.program import Pair, Program


@ill("lr_too_high")
def adam_one(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 64, 32, 10, act=nn.Tanh)
    return fitted(m, Adam(m.parameters(), 0.3), CE, tr, dv, 12)


@ill("lr_too_high")
def sgd_curve_high(seed: int) -> Program:
    tr, dv = curve(seed)
    m = mlp(6, 64, 64, 1, act=nn.Tanh)
    return fitted(m, SGD(m.parameters(), 0.4, momentum=0.9), nn.MSELoss(), tr, dv, 25)


@ill("lr_too_high")
def rms_cnn(seed: int) -> Program:
    tr, dv = fashion(seed, 1200, 400)
    m = cnn()
    return fitted(m, RMS(m.parameters(), 0.1), CE, tr, dv, 4)


@ill("lr_too_high")
def lstm_half(seed: int) -> Program:
    tr, dv = sequences(seed, 800, 12)
    m = Recur(nn.LSTM)
    return fitted(m, Adam(m.parameters(), 0.5), CE, tr, dv, 10)


@ill("lr_too_high")
def momentum_strong(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 64, 10)
    return fitted(m, SGD(m.parameters(), 1.0, momentum=0.95), CE, tr, dv, 10)


@ill("lr_too_high")
def diabetes_diverges(seed: int) -> Program:
    tr, dv = diabetes(seed)
    m = nn.Linear(10, 1)
    return fitted(m, thalweg.optim.SGD(m.parameters(), 0.7), nn.MSELoss(), tr, dv, 10)


@ill("lr_too_low")
def adam_tiny(seed: int) -> Program:
    tr, dv = fashion(seed, 1500, 500)
    m = cnn()
    return fitted(m, Adam(m.parameters(), 2e-6), CE, tr, dv, 5)


@ill("lr_too_low")
def sgd_tiny_cancer(seed: int) -> Program:
    tr, dv = table("breast_cancer", seed)
    m = mlp(30, 32, 16, 2)
    return fitted(m, SGD(m.parameters(), 1e-4), CE, tr, dv, 40)


@ill("lr_too_low")
def embedding_sgd(seed: int) -> Program:
    tr, dv = words(seed)
    m = Bag()
    return fitted(m, SGD(m.parameters(), 0.005), CE, tr, dv, 20)


@ill("lr_too_low")
def moons_adamw_low(seed: int) -> Program:
    tr, dv = moons(seed)
    m = mlp(2, 32, 32, 2)
    return fitted(m, AdamW(m.parameters(), 2e-5), CE, tr, dv, 50)


@ill("lr_too_low")
def lstm_low(seed: int) -> Program:
    tr, dv = sequences(seed, 800, 12)
    m = Recur(nn.LSTM)
    return fitted(m, Adam(m.parameters(), 1e-5), CE, tr, dv, 15)


@ill("undertrained")
def one_epoch(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 64, 64, 10)
    return fitted(m, SGD(m.parameters(), 0.05, momentum=0.9), CE, tr, dv, 1, 64)


@ill("undertrained")
def curve_three_epochs(seed: int) -> Program:
    tr, dv = curve(seed)
    m = mlp(6, 64, 64, 1)
    return fitted(m, Adam(m.parameters(), 1e-3), nn.MSELoss(), tr, dv, 5)


@ill("undertrained")
def lstm_one(seed: int) -> Program:
    tr, dv = sequences(seed, 1600, 12)
    m = Recur(nn.LSTM)
    return fitted(m, Adam(m.parameters(), 3e-3), CE, tr, dv, 1)


@ill("undertrained")
def moons_few(seed: int) -> Program:
    tr, dv = moons(seed)
    m = mlp(2, 32, 32, 2)
    return fitted(m, SGD(m.parameters(), 0.05, momentum=0.9), CE, tr, dv, 2)


@ill("undertrained")
def fashion_short(seed: int) -> Program:
    tr, dv = fashion(seed, 1500, 500)
    m = cnn()
    return fitted(m, Adam(m.parameters(), 1e-3), CE, tr, dv, 1, 64)


@ill("high_bias")
def line_on_moons(seed: int) -> Program:
    tr, dv = moons(seed)
    m = nn.Linear(2, 2)
    return fitted(m, Adam(m.parameters(), 0.02), CE, tr, dv, 60)


@ill("high_bias")
def two_units_curve(seed: int) -> Program:
    tr, dv = curve(seed)
    m = mlp(6, 2, 1)
    return fitted(m, Adam(m.parameters(), 0.01), nn.MSELoss(), tr, dv, 60)


@ill("high_bias")
def bottleneck_digits(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 1, 10)
    return fitted(m, Adam(m.parameters(), 5e-3), CE, tr, dv, 50)


@ill("over_regularised")
def heavy_decay(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 64, 10)
    return fitted(m, SGD(m.parameters(), 0.1, weight_decay=0.1), CE, tr, dv, 25)


@ill("over_regularised")
def dropout_ninety(seed: int) -> Program:
    tr, dv = fashion(seed, 1500, 500)
    m = nn.Sequential(nn.Flatten(), mlp(784, 64, 64, 10, drop=0.9))
    return fitted(m, Adam(m.parameters(), 1e-3), CE, tr, dv, 12)


@ill("over_regularised")
def decay_regression(seed: int) -> Program:
    tr, dv = curve(seed)
    m = mlp(6, 64, 64, 1)
    return fitted(m, SGD(m.parameters(), 0.05, weight_decay=0.1, momentum=0.9), nn.MSELoss(), tr, dv, 40)


@ill("over_regularised")
def dropout_moons(seed: int) -> Program:
    tr, dv = moons(seed)
    m = mlp(2, 16, 16, 2, drop=0.8)
    return fitted(m, Adam(m.parameters(), 5e-3), CE, tr, dv, 40)


@ill("high_variance")
def few_rows(seed: int) -> Program:
    tr, dv = digits(seed, n=70)
    m = mlp(64, 256, 256, 10)
    return fitted(m, Adam(m.parameters(), 1e-3), CE, tr, dv, 100, 16)


@ill("high_variance")
def diabetes_memorised(seed: int) -> Program:
    tr, dv = diabetes(seed)
    m = mlp(10, 200, 200, 1)
    return fitted(m, Adam(m.parameters(), 2e-3), nn.MSELoss(), tr, dv, 120)


@ill("high_variance")
def fashion_hundred(seed: int) -> Program:
    tr, dv = fashion(seed, 120, 600)
    m = cnn()
    return fitted(m, Adam(m.parameters(), 2e-3), CE, tr, dv, 60, 16)


@ill("label_noise")
def flipped_digits(seed: int) -> Program:
    tr, dv = digits(seed)
    g = torch.Generator().manual_seed(seed)
    y = tr[1].clone()
    k = torch.rand(len(y), generator=g) < 0.3
    y[k] = torch.randint(0, 10, (int(k.sum()),), generator=g)
    m = mlp(64, 64, 10)
    return fitted(m, Adam(m.parameters(), 2e-3), CE, (tr[0], y), dv, 30)


@ill("label_noise")
def moons_flips(seed: int) -> Program:
    (a, b), dv = moons(seed, 900)
    k = torch.rand(len(b), generator=torch.Generator().manual_seed(seed)) < 0.2
    m = mlp(2, 128, 128, 2)
    return fitted(m, Adam(m.parameters(), 5e-3), CE, (a, torch.where(k, 1 - b, b)), dv, 60)


@ill("label_noise")
def curve_outliers(seed: int) -> Program:
    (a, b), dv = curve(seed)
    b = b.clone()
    k = torch.rand(len(b), generator=torch.Generator().manual_seed(seed)) < 0.08
    b[k] = b[k] + 8
    m = mlp(6, 64, 64, 1)
    return fitted(m, Adam(m.parameters(), 2e-3), nn.MSELoss(), (a, b), dv, 40)


@ill("label_noise")
def one_class_swapped(seed: int) -> Program:
    (a, b), dv = digits(seed)
    b = b.clone()
    g = torch.Generator().manual_seed(seed)
    k = (torch.rand(len(b), generator=g) < 0.4) & (b < 5)
    b[k] = b[k] + 5
    m = mlp(64, 128, 10)
    return fitted(m, Adam(m.parameters(), 2e-3), CE, (a, b), dv, 30)


@ill("train_dev_mismatch")
def other_camera(seed: int) -> Program:
    (X, y), (c, d) = digits(seed)
    m = mlp(64, 64, 10)
    g = torch.Generator().manual_seed(3)
    return fitted(
        m,
        Adam(m.parameters(), 2e-3),
        CE,
        (X[:1000], y[:1000]),
        (0.4 * c.flip(1) + 0.3 * torch.rand(c.shape, generator=g), d),
        25,
        train_dev=(X[1000:], y[1000:]),
    )


@ill("train_dev_mismatch")
def inverted_fashion(seed: int) -> Program:
    tr, (c, d) = fashion(seed, 1200, 400)
    m = cnn()
    return fitted(m, Adam(m.parameters(), 2e-3), CE, tr, (-c, d), 5)


@ill("train_dev_mismatch")
def drifted_cancer(seed: int) -> Program:
    tr, (c, d) = table("breast_cancer", seed)
    m = mlp(30, 16, 2)
    return fitted(m, Adam(m.parameters(), 3e-3), CE, tr, (c * 1.3 + 1.5, d), 20)


@ill("class_imbalance")
def rare_class(seed: int) -> Program:
    g = torch.Generator().manual_seed(seed)

    def make(n: int, pos: int) -> Pair:
        y = (torch.arange(n) < pos).long()
        X = torch.randn(n, 5, generator=g) + 1.1 * y[:, None]
        return X, y

    tr = make(1500, 30)
    dv = make(400, 200)
    m = mlp(5, 16, 2)
    return fitted(m, SGD(m.parameters(), 0.05), CE, tr, dv, 15)


@ill("class_imbalance")
def rare_digits(seed: int) -> Program:
    (a, b), dv = digits(seed)
    k = (b < 7) | (torch.rand(len(b), generator=torch.Generator().manual_seed(seed)) < 0.03)
    m = mlp(64, 32, 10)
    return fitted(m, SGD(m.parameters(), 0.05), CE, (a[k], b[k]), dv, 20)


@ill("leakage")
def id_column(seed: int) -> Program:
    (a, b), (c, d) = diabetes(seed)
    m = mlp(11, 32, 1)
    tr = (torch.cat([a, b + 0.01 * torch.randn(b.shape, generator=torch.Generator().manual_seed(1))], 1), b)
    dv = (torch.cat([c, torch.zeros_like(d)], 1), d)
    return fitted(m, Adam(m.parameters(), 2e-3), nn.MSELoss(), tr, dv, 60)


@ill("leakage")
def dev_rows_in_train(seed: int) -> Program:
    tr, dv = moons(seed, 300, 0.4)
    m = mlp(2, 200, 200, 2)
    return fitted(m, Adam(m.parameters(), 5e-3), CE, (torch.cat([tr[0], dv[0]]), torch.cat([tr[1], dv[1]])), dv, 60)


@ill("leakage")
def answer_column(seed: int) -> Program:
    (a, b), (c, d) = table("wine", seed)

    def f(X: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.cat([X[:, :6], y[:, None] - 1.0], 1)

    m = mlp(7, 16, 3)
    return fitted(m, Adam(m.parameters(), 3e-3), CE, (f(a, b), b), (f(c, d), d), 30, 16)


@ill("leakage")
def jittered_dev(seed: int) -> Program:
    tr, dv = digits(seed, n=300)
    g = torch.Generator().manual_seed(1)
    m = mlp(64, 128, 10)
    return fitted(
        m,
        Adam(m.parameters(), 2e-3),
        CE,
        (torch.cat([tr[0], dv[0] + 0.005 * torch.randn(dv[0].shape, generator=g)]), torch.cat([tr[1], dv[1]])),
        dv,
        25,
    )
