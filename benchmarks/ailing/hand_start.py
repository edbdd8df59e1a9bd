"""Faulty programs by a second hand: gradients, weights, units and inputs at the start."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from ailing.hand import (
    CE,
    SGD,
    Adam,
    Block,
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
)
from ailing.program import Program


@ill("vanishing_gradient")
def deep_sigmoid_digits(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, *[32] * 9, 10, act=nn.Sigmoid)
    return fitted(m, SGD(m.parameters(), 0.1, momentum=0.9), CE, tr, dv, 15)


@ill("vanishing_gradient")
def deep_sigmoid_curve_rms(seed: int) -> Program:
    tr, dv = curve(seed)
    m = mlp(6, *[30] * 7, 1, act=nn.Sigmoid)
    return fitted(m, SGD(m.parameters(), 0.05), nn.MSELoss(), tr, dv, 40)


@ill("vanishing_gradient")
def rnn_forgets(seed: int) -> Program:
    tr, dv = sequences(seed, 600, 60, 3)
    m = Recur(nn.RNN, h=16)
    return fitted(m, SGD(m.parameters(), 0.05), CE, tr, dv, 12)


@ill("vanishing_gradient")
def sigmoid_cnn_deep(seed: int) -> Program:
    tr, dv = fashion(seed, 800, 300)
    m = nn.Sequential(nn.Flatten(), mlp(784, *[48] * 6, 10, act=nn.Sigmoid))
    return fitted(m, Adam(m.parameters(), 1e-4), CE, tr, dv, 8)


@ill("exploding_gradient")
def residual_no_norm(seed: int) -> Program:
    tr, dv = digits(seed)
    m = nn.Sequential(nn.Linear(64, 64), *[Block(64, False) for _ in range(14)], nn.Linear(64, 10))
    for b in m[1:-1]:
        nn.init.kaiming_normal_(b.a.weight)
        nn.init.kaiming_normal_(b.b.weight)
    return fitted(m, SGD(m.parameters(), 0.01), CE, tr, dv, 6)


@ill("exploding_gradient")
def rnn_unclipped(seed: int) -> Program:
    tr, dv = sequences(seed, T=40)
    m = Recur(partial(nn.RNN, nonlinearity="relu"), h=32)
    with torch.no_grad():
        m.rnn.weight_hh_l0.copy_(torch.eye(32) * 1.3)
    return fitted(m, SGD(m.parameters(), 0.01), CE, tr, dv, 10)


@ill("exploding_gradient")
def relu_twelve(seed: int) -> Program:
    tr, dv = table("wine", seed)
    m = mlp(13, *[48] * 12, 3)
    with torch.no_grad():
        for p in m.parameters():
            if p.ndim > 1:
                p.normal_(0, 2.2 * (2 / p.shape[1]) ** 0.5)
    return fitted(m, SGD(m.parameters(), 0.01), CE, tr, dv, 20, 16)


@ill("nan")
def log_of_zero(seed: int) -> Program:
    (a, b), (c, d) = moons(seed)
    b, d = b.float()[:, None], d.float()[:, None]
    m = nn.Sequential(mlp(2, 32, 32, 1), nn.Sigmoid())

    def loss(p: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()

    tr = (a * 40, b)
    return fitted(m, SGD(m.parameters(), 0.5), loss, tr, (c * 40, d), 30)


@ill("nan")
def missing_values(seed: int) -> Program:
    (a, b), dv = table("breast_cancer", seed)
    a = a.clone()
    a[200, 3] = float("nan")
    m = mlp(30, 32, 2)
    return fitted(m, Adam(m.parameters(), 1e-3), CE, (a, b), dv, 10)


class Root(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x * (x > 0)).square().sqrt()


@ill("nan")
def root_at_zero(seed: int) -> Program:
    tr, dv = curve(seed)
    m = mlp(6, 32, 32, 1, act=Root)
    return fitted(m, Adam(m.parameters(), 1e-3), nn.MSELoss(), tr, dv, 10)


@ill("nan")
def target_inf(seed: int) -> Program:
    (a, b), dv = diabetes(seed)
    b = b.clone()
    b[17] = float("inf")
    m = mlp(10, 32, 1)
    return fitted(m, Adam(m.parameters(), 1e-3), nn.MSELoss(), (a, b), dv, 10)


@ill("dead_relu")
def negative_bias(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 64, 64, 10)
    with torch.no_grad():
        m[0].bias.fill_(-4.0)
        m[2].bias.fill_(-1.0)
    return fitted(m, SGD(m.parameters(), 0.05), CE, tr, dv, 20)


@ill("dead_relu")
def cnn_dead(seed: int) -> Program:
    tr, dv = fashion(seed, 1200, 400)
    m = cnn()
    with torch.no_grad():
        m[4].bias.fill_(-6.0)
    return fitted(m, SGD(m.parameters(), 0.02, momentum=0.9), CE, tr, dv, 4)


@ill("dead_relu")
def regression_dead(seed: int) -> Program:
    tr, dv = curve(seed)
    m = mlp(6, 48, 48, 48, 1)
    with torch.no_grad():
        m[2].bias.fill_(-5.0)
    return fitted(m, Adam(m.parameters(), 1e-3), nn.MSELoss(), tr, dv, 20)


@ill("saturated_activation")
def tanh_big_weights(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 64, 64, 10, act=nn.Tanh)
    with torch.no_grad():
        for layer in (m[0], m[2]):
            layer.weight.normal_(0, 3.0)
    return fitted(m, SGD(m.parameters(), 0.05), CE, tr, dv, 15)


@ill("saturated_activation")
def sigmoid_curve_saturated(seed: int) -> Program:
    tr, dv = curve(seed)
    m = mlp(6, 40, 40, 1, act=nn.Sigmoid)
    with torch.no_grad():
        for layer in (m[0], m[2]):
            layer.weight.mul_(60)
    return fitted(m, Adam(m.parameters(), 1e-3), nn.MSELoss(), tr, dv, 30)


@ill("saturated_activation")
def sigmoid_biased(seed: int) -> Program:
    tr, dv = table("wine", seed)
    m = mlp(13, 32, 32, 3, act=nn.Sigmoid)
    with torch.no_grad():
        m[0].bias.fill_(12.0)
        m[2].bias.fill_(-12.0)
    return fitted(m, SGD(m.parameters(), 0.1), CE, tr, dv, 30, 16)


@ill("bad_init")
def zeros_everywhere(seed: int) -> Program:
    tr, dv = table("wine", seed)
    m = mlp(13, 32, 3)
    for p in m.parameters():
        nn.init.zeros_(p)
    return fitted(m, Adam(m.parameters(), 1e-2), CE, tr, dv, 30, 16)


@ill("bad_init")
def unit_normal_weights(seed: int) -> Program:
    tr, dv = fashion(seed, 1500, 500)
    m = nn.Sequential(nn.Flatten(), mlp(784, 128, 128, 10))
    for p in m.parameters():
        nn.init.normal_(p)
    return fitted(m, Adam(m.parameters(), 1e-3), CE, tr, dv, 8)


@ill("bad_init")
def constant_weights(seed: int) -> Program:
    tr, dv = curve(seed)
    m = mlp(6, 40, 40, 1, act=nn.Tanh)
    for p in m.parameters():
        if p.ndim > 1:
            nn.init.constant_(p, 0.1)
        else:
            nn.init.zeros_(p)
    return fitted(m, Adam(m.parameters(), 3e-3), nn.MSELoss(), tr, dv, 30)


@ill("bad_init")
def loud_head(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 64, 10)
    with torch.no_grad():
        m[-1].weight.mul_(200)
    return fitted(m, SGD(m.parameters(), 0.01), CE, tr, dv, 12)


@ill("bad_init")
def whisper(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 64, 64, 10)
    for p in m.parameters():
        nn.init.normal_(p, 0, 1e-4)
    return fitted(m, SGD(m.parameters(), 0.05), CE, tr, dv, 15)


@ill("unnormalised_input")
def raw_wine(seed: int) -> Program:
    tr, dv = table("wine", seed, std=False)
    m = mlp(13, 32, 3)
    return fitted(m, SGD(m.parameters(), 0.01), CE, tr, dv, 60, 16)


@ill("unnormalised_input")
def offset_pixels(seed: int) -> Program:
    tr, dv = digits(seed, scale=1.0)
    m = mlp(64, 48, 10, act=nn.Tanh)
    return fitted(m, SGD(m.parameters(), 0.05), CE, (tr[0] + 100, tr[1]), (dv[0] + 100, dv[1]), 15)


@ill("unnormalised_input")
def one_column_large(seed: int) -> Program:
    (a, b), (c, d) = curve(seed)
    f = torch.tensor([1, 1, 1, 1, 1, 3000.0])
    m = mlp(6, 64, 64, 1)
    return fitted(m, Adam(m.parameters(), 1e-3), nn.MSELoss(), (a * f, b), (c * f, d), 30)


@ill("unnormalised_input")
def raw_cancer(seed: int) -> Program:
    tr, dv = table("breast_cancer", seed, std=False)
    m = mlp(30, 32, 2, act=nn.Tanh)
    return fitted(m, SGD(m.parameters(), 0.01), CE, tr, dv, 30)
