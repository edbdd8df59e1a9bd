"""Healthy programs by a second hand."""

from __future__ import annotations

import torch
from torch import nn

import thalweg.optim
from ailing.hand import (
    CE,
    LR,
    RMS,
    SGD,
    Adam,
    AdamW,
    Bag,
    Block,
    Recur,
    cnn,
    curve,
    diabetes,
    digits,
    fashion,
    fitted,
    mlp,
    moons,
    sequences,
    split,
    table,
    well,
    words,
)
from ailing.program import Program


@well
def digits_adam(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 64, 10)
    return fitted(m, Adam(m.parameters(), 1e-3), CE, tr, dv, 30)


@well
def digits_sgd_bn(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 96, 48, 10, norm=nn.BatchNorm1d)
    return fitted(m, SGD(m.parameters(), 0.05, momentum=0.9), CE, tr, dv, 15)


@well
def digits_tanh_cosine(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 64, 64, 10, act=nn.Tanh)
    o = SGD(m.parameters(), 0.1, momentum=0.9)
    return fitted(m, o, CE, tr, dv, 20, sched=LR.CosineAnnealingLR(o, 20))


@well
def digits_smoothing_dropout(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 128, 10, drop=0.2)
    return fitted(m, AdamW(m.parameters(), 2e-3), nn.CrossEntropyLoss(label_smoothing=0.1), tr, dv, 25)


@well
def digits_residual_ln(seed: int) -> Program:
    tr, dv = digits(seed)
    m = nn.Sequential(nn.Linear(64, 48), *[Block(48) for _ in range(4)], nn.LayerNorm(48), nn.Linear(48, 10))
    return fitted(m, AdamW(m.parameters(), 1e-3), CE, tr, dv, 15, clip=1.0)


@well
def digits_accumulate(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 64, 10)
    return fitted(m, Adam(m.parameters(), 2e-3), CE, tr, dv, 30, 64, parts=4)


@well
def digits_small_batch(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 64, 10)
    return fitted(m, SGD(m.parameters(), 0.02), CE, tr, dv, 8, 4)


@well
def fashion_cnn(seed: int) -> Program:
    tr, dv = fashion(seed, 3000, 600)
    m = cnn()
    return fitted(m, Adam(m.parameters(), 2e-3), CE, tr, dv, 6)


@well
def fashion_cnn_bn(seed: int) -> Program:
    tr, dv = fashion(seed, 3000, 600)
    m = cnn(bn=True)
    return fitted(m, SGD(m.parameters(), 0.02, momentum=0.9, weight_decay=1e-4), CE, tr, dv, 5)


@well
def fashion_mlp_rms(seed: int) -> Program:
    tr, dv = fashion(seed, 4000, 600)
    m = nn.Sequential(nn.Flatten(), mlp(784, 64, 10))
    return fitted(m, RMS(m.parameters(), 3e-4), CE, tr, dv, 6)


@well
def wine_sgd(seed: int) -> Program:
    tr, dv = table("wine", seed)
    m = mlp(13, 16, 3)
    return fitted(m, SGD(m.parameters(), 0.1), CE, tr, dv, 40, 16)


@well
def cancer_logistic(seed: int) -> Program:
    (a, b), (c, d) = table("breast_cancer", seed)
    m = nn.Linear(30, 1)
    return fitted(
        m, Adam(m.parameters(), 0.01), nn.BCEWithLogitsLoss(), (a, b.float()[:, None]), (c, d.float()[:, None]), 40
    )


@well
def cancer_mlp_decay(seed: int) -> Program:
    tr, dv = table("breast_cancer", seed)
    m = mlp(30, 16, 2, drop=0.1)
    return fitted(m, AdamW(m.parameters(), 2e-3, weight_decay=0.05), CE, tr, dv, 20)


@well
def diabetes_ridge(seed: int) -> Program:
    tr, dv = diabetes(seed)
    m = nn.Linear(10, 1)
    return fitted(m, SGD(m.parameters(), 0.02, weight_decay=1e-2), nn.MSELoss(), tr, dv, 50)


@well
def moons_tanh(seed: int) -> Program:
    tr, dv = moons(seed)
    m = mlp(2, 32, 32, 2, act=nn.Tanh)
    return fitted(m, Adam(m.parameters(), 1e-2), CE, tr, dv, 40)


@well
def moons_bce_sgd(seed: int) -> Program:
    (a, b), (c, d) = moons(seed, 800)
    m = mlp(2, 32, 32, 1)
    return fitted(
        m,
        SGD(m.parameters(), 0.1, momentum=0.9),
        nn.BCEWithLogitsLoss(),
        (a, b.float()[:, None]),
        (c, d.float()[:, None]),
        40,
    )


@well
def curve_mlp(seed: int) -> Program:
    tr, dv = curve(seed, 1500)
    m = mlp(6, 64, 64, 1, act=nn.SiLU)
    return fitted(m, Adam(m.parameters(), 3e-3), nn.MSELoss(), tr, dv, 60)


@well
def curve_huber_onecycle(seed: int) -> Program:
    tr, dv = curve(seed, 2000)
    m = mlp(6, 64, 64, 1, act=nn.GELU)
    o = AdamW(m.parameters(), 5e-3, weight_decay=1e-3)
    return fitted(m, o, nn.HuberLoss(), tr, dv, 40, sched=LR.CosineAnnealingLR(o, 40))


@well
def linear_regression(seed: int) -> Program:
    g = torch.Generator().manual_seed(seed)
    X = torch.randn(600, 8, generator=g)
    w = torch.randn(8, 1, generator=g)
    tr, dv = split(X, X @ w + 0.3 * torch.randn(600, 1, generator=g), seed)
    m = nn.Linear(8, 1)
    return fitted(m, SGD(m.parameters(), 0.05), nn.MSELoss(), tr, dv, 30)


@well
def lstm_sum(seed: int) -> Program:
    tr, dv = sequences(seed, 1600, 15)
    m = Recur(nn.LSTM)
    return fitted(m, Adam(m.parameters(), 5e-3), CE, tr, dv, 15, clip=1.0)


@well
def gru_sum(seed: int) -> Program:
    tr, dv = sequences(seed, 1600, 20)
    m = Recur(nn.GRU)
    return fitted(m, Adam(m.parameters(), 5e-3), CE, tr, dv, 10)


@well
def words_bag(seed: int) -> Program:
    tr, dv = words(seed, 2500)
    m = Bag()
    return fitted(m, Adam(m.parameters(), 5e-3), CE, tr, dv, 20)


@well
def transfer(seed: int) -> Program:
    (X, y), dv = digits(seed)
    body = mlp(64, 64, 32, 10)
    o = Adam(body.parameters(), 2e-3)
    for _ in range(25):
        for i in torch.randperm(len(X)).split(32):
            o.zero_grad()
            CE(body(X[i]), y[i]).backward()
            o.step()
    m = nn.Sequential(body[:4], nn.Linear(32, 10))
    for p in m[0].parameters():
        p.requires_grad_(False)
    return fitted(m, Adam(m[1].parameters(), 5e-3), CE, (X, y), dv, 20)


@well
def imbalance_weighted(seed: int) -> Program:
    g = torch.Generator().manual_seed(seed)
    y = (torch.rand(2000, generator=g) < 0.08).long()
    X = torch.randn(2000, 5, generator=g) + 1.8 * y[:, None]
    tr, dv = split(X, y, seed)
    m = mlp(5, 16, 2)
    return fitted(m, Adam(m.parameters(), 3e-3), nn.CrossEntropyLoss(weight=torch.tensor([1.0, 11.0])), tr, dv, 20)


@well
def thalweg_momentum(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 64, 10)
    return fitted(m, thalweg.optim.AdamW(m.parameters(), 2e-3), CE, tr, dv, 25)


@well
def early_finish(seed: int) -> Program:
    tr, dv = table("wine", seed)
    m = mlp(13, 32, 3)
    return fitted(m, Adam(m.parameters(), 1e-2), CE, tr, dv, 15, 16)


@well
def nesterov(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 64, 10)
    return fitted(m, SGD(m.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=1e-4), CE, tr, dv, 15, 128)


@well
def lion(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 64, 10)
    return fitted(m, thalweg.optim.Lion(m.parameters(), 3e-4), CE, tr, dv, 20)


@well
def tails(seed: int) -> Program:
    tr, dv = curve(seed, 1600, 0.0)
    g = torch.Generator().manual_seed(seed)

    def t(y: torch.Tensor) -> torch.Tensor:
        return y + 0.15 * torch.randn(y.shape, generator=g) / torch.sqrt(torch.rand(y.shape, generator=g) + 0.05)

    m = mlp(6, 64, 1, act=nn.SiLU)
    return fitted(m, Adam(m.parameters(), 3e-3), nn.SmoothL1Loss(), (tr[0], t(tr[1])), (dv[0], t(dv[1])), 40)


@well
def steep(seed: int) -> Program:
    g = torch.Generator().manual_seed(seed)
    X = torch.randn(1200, 3, generator=g)
    y = torch.exp(0.8 * X[:, :1]) + X[:, 1:2] ** 2
    y = (y - y.mean()) / y.std()
    tr, dv = split(X, y, seed)
    m = mlp(3, 64, 64, 1)
    return fitted(m, Adam(m.parameters(), 3e-3), nn.MSELoss(), tr, dv, 60)


@well
def diabetes_adamw(seed: int) -> Program:
    tr, dv = diabetes(seed)
    m = nn.Linear(10, 1)
    return fitted(m, AdamW(m.parameters(), 1e-2), nn.MSELoss(), tr, dv, 40)


@well
def overlap(seed: int) -> Program:
    tr, dv = moons(seed, 1000, 0.35)
    m = mlp(2, 16, 2)
    return fitted(m, Adam(m.parameters(), 1e-2), CE, tr, dv, 30)


@well
def uneven_classes(seed: int) -> Program:
    g = torch.Generator().manual_seed(seed)
    y = (torch.rand(1600, generator=g) < 0.2).long()
    X = torch.randn(1600, 6, generator=g) + 1.8 * y[:, None]
    tr, dv = split(X, y, seed)
    m = mlp(6, 16, 2)
    return fitted(m, Adam(m.parameters(), 3e-3), CE, tr, dv, 20)


@well
def large_batch(seed: int) -> Program:
    tr, dv = fashion(seed, 3000, 600)
    m = nn.Sequential(nn.Flatten(), mlp(784, 128, 10))
    return fitted(m, Adam(m.parameters(), 1e-3), CE, tr, dv, 12, 256)


@well
def clipped_warm(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 64, 64, 10, act=nn.GELU)
    o = AdamW(m.parameters(), 3e-3)
    return fitted(
        m,
        o,
        CE,
        tr,
        dv,
        20,
        clip=0.5,
        sched=LR.SequentialLR(o, [LR.LinearLR(o, 0.1, 1.0, 3), LR.CosineAnnealingLR(o, 17)], [3]),
    )


@well
def pieces(seed: int) -> Program:
    tr, dv = words(seed, 2500)
    m = Bag(d=24)
    return fitted(m, RMS(m.parameters(), 2e-3), CE, tr, dv, 15)


@well
def triangular(seed: int) -> Program:
    tr, dv = moons(seed)
    m = mlp(2, 32, 32, 2)
    o = SGD(m.parameters(), 0.1, momentum=0.9)
    return fitted(m, o, CE, tr, dv, 40, sched=LR.StepLR(o, 15, 0.3))


@well
def dropout_jitter(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 128, 64, 10, drop=0.3)
    return fitted(m, Adam(m.parameters(), 2e-3), CE, tr, dv, 25, jitter=0.05)
