"""Faulty programs by a second hand: the loop, the pairing, the gradient, the rule."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from ailing.hand import (
    CE,
    LR,
    SGD,
    Adam,
    by_number,
    cnn,
    curve,
    diabetes,
    digits,
    fashion,
    fitted,
    ill,
    mlp,
    moons,
    squared,
    table,
)
from ailing.program import Program


@ill("wrong_loss")
def nll_of_logits(seed: int) -> Program:
    tr, dv = table("wine", seed)
    m = mlp(13, 24, 3)
    return fitted(m, Adam(m.parameters(), 1e-3), nn.NLLLoss(), tr, dv, 30, 16)


@ill("wrong_loss")
def sigmoid_mse(seed: int) -> Program:
    tr, dv = digits(seed)
    m = nn.Sequential(mlp(64, 64, 10), nn.Sigmoid())

    def loss(p: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.mse_loss(p, F.one_hot(y, 10).float())

    return fitted(m, SGD(m.parameters(), 0.05), loss, tr, dv, 20)


@ill("wrong_loss")
def logits_into_bce(seed: int) -> Program:
    (a, b), (c, d) = table("breast_cancer", seed)
    m = mlp(30, 32, 1)

    def loss(o: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.binary_cross_entropy(o.clamp(1e-4, 1 - 1e-4), y)

    return fitted(m, SGD(m.parameters(), 0.05), loss, (a, b.float()[:, None]), (c, d.float()[:, None]), 25)


@ill("wrong_loss")
def broadcast(seed: int) -> Program:
    (a, b), (c, d) = curve(seed)
    m = mlp(6, 64, 64, 1)
    return fitted(m, Adam(m.parameters(), 1e-3), squared, (a, b[:, 0]), (c, d[:, 0]), 10)


@ill("wrong_loss")
def class_number(seed: int) -> Program:
    (a, b), (c, d) = digits(seed)
    m = mlp(64, 64, 1)
    return fitted(m, Adam(m.parameters(), 1e-3), by_number, (a, b), (c, d), 20)


@ill("wrong_loss")
def bce_logits_plain(seed: int) -> Program:
    (a, b), (c, d) = table("breast_cancer", seed)
    m = nn.Sequential(mlp(30, 16, 1), nn.Sigmoid())
    return fitted(m, SGD(m.parameters(), 0.02), nn.L1Loss(), (a, b.float()[:, None]), (c, d.float()[:, None]), 6)


@ill("wrong_activation")
def softmax_twice(seed: int) -> Program:
    tr, dv = fashion(seed, 1500, 500)
    m = nn.Sequential(cnn(), nn.Softmax(1))
    return fitted(m, SGD(m.parameters(), 0.02, momentum=0.9), CE, tr, dv, 4)


@ill("wrong_activation")
def relu_output_regression(seed: int) -> Program:
    tr, dv = curve(seed)
    m = nn.Sequential(mlp(6, 64, 64, 1), nn.ReLU())
    return fitted(m, Adam(m.parameters(), 2e-3), nn.MSELoss(), tr, dv, 30)


@ill("wrong_activation")
def sigmoid_then_bcel(seed: int) -> Program:
    (a, b), (c, d) = moons(seed)
    m = nn.Sequential(mlp(2, 32, 32, 1), nn.Sigmoid())
    return fitted(
        m, Adam(m.parameters(), 3e-3), nn.BCEWithLogitsLoss(), (a, b.float()[:, None]), (c, d.float()[:, None]), 30
    )


@ill("wrong_activation")
def sigmoid_regression(seed: int) -> Program:
    tr, dv = diabetes(seed)
    m = nn.Sequential(mlp(10, 16, 1), nn.Sigmoid())
    return fitted(m, Adam(m.parameters(), 3e-3), nn.MSELoss(), tr, dv, 30)


@ill("wrong_activation")
def no_activation(seed: int) -> Program:
    tr, dv = moons(seed)
    m = mlp(2, 32, 32, 2, act=nn.Identity)
    return fitted(m, Adam(m.parameters(), 5e-3), CE, tr, dv, 30)


class BadSquare(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return F.softplus(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return -g * torch.sigmoid(x)


@ill("wrong_gradient")
def custom_backward(seed: int) -> Program:
    class M(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.c(F.relu(self.b(BadSquare.apply(self.a(x)))))

    tr, dv = digits(seed)
    m = M()
    return fitted(m, SGD(m.parameters(), 0.1), CE, tr, dv, 20)


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any, w: Any) -> Any:
        ctx.save_for_backward(x, w)
        return x @ w.T

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, w = ctx.saved_tensors
        return g @ w, (g.T @ x).flip(0)


@ill("wrong_gradient")
def own_product(seed: int) -> Program:
    class M(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(6, 32)
            self.w = nn.Parameter(torch.randn(32, 32) * 0.17)
            self.c = nn.Linear(32, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.c(torch.tanh(Reverse.apply(torch.tanh(self.a(x)), self.w)))

    tr, dv = curve(seed)
    m = M()
    return fitted(m, SGD(m.parameters(), 0.1), nn.MSELoss(), tr, dv, 20)


@ill("wrong_gradient")
def hook_flips(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 48, 48, 10)
    m[2].weight.register_hook(lambda g: -g)
    return fitted(m, SGD(m.parameters(), 0.1), CE, tr, dv, 15)


@ill("wrong_optimizer")
def ascent(seed: int) -> Program:
    tr, dv = moons(seed)
    m = mlp(2, 16, 16, 2, act=nn.Tanh)
    return fitted(m, SGD(m.parameters(), 0.01, maximize=True), CE, tr, dv, 10)


@ill("wrong_optimizer")
def stale_parameters(seed: int) -> Program:
    tr, dv = table("wine", seed)
    old = mlp(13, 24, 3)
    o = Adam(old.parameters(), 1e-2)
    m = mlp(13, 24, 3)
    return fitted(m, o, CE, tr, dv, 20, 16)


@ill("wrong_optimizer")
def momentum_999(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 48, 10)
    return fitted(m, SGD(m.parameters(), 0.05, momentum=0.999), CE, tr, dv, 12)


@ill("wrong_optimizer")
def adam_eps(seed: int) -> Program:
    tr, dv = curve(seed)
    m = mlp(6, 48, 48, 1)
    return fitted(m, Adam(m.parameters(), 1e-3, eps=10.0), nn.MSELoss(), tr, dv, 20)


@ill("wrong_mode")
def left_in_eval(seed: int) -> Program:
    tr, dv = digits(seed, scale=1.0)
    m = mlp(64, 64, 64, 10, norm=nn.BatchNorm1d)
    return fitted(m, SGD(m.parameters(), 0.3), CE, tr, dv, 12, mode="eval")


@ill("wrong_mode")
def tiny_batch_norm(seed: int) -> Program:
    tr, dv = fashion(seed, 600, 300)
    m = nn.Sequential(nn.Flatten(), mlp(784, 64, 64, 10, norm=nn.BatchNorm1d))
    return fitted(m, SGD(m.parameters(), 0.01), CE, tr, dv, 4, 2)


@ill("wrong_mode")
def eval_dropout_few(seed: int) -> Program:
    tr, dv = digits(seed, n=120)
    m = mlp(64, 256, 256, 10, drop=0.5)
    return fitted(m, Adam(m.parameters(), 1e-3), CE, tr, dv, 60, 16, mode="eval")


@ill("wrong_mode")
def judged_in_training(seed: int) -> Program:
    tr, dv = fashion(seed, 1000, 300)
    m = nn.Sequential(nn.Flatten(), mlp(784, 64, 10, drop=0.6))
    o = Adam(m.parameters(), 1e-3)
    return fitted(m, o, CE, tr, dv, 10, judge="train")


@ill("no_zero_grad")
def forgot_zero(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 48, 48, 10)
    return fitted(m, SGD(m.parameters(), 0.05), CE, tr, dv, 10, zero=False)


@ill("no_zero_grad")
def adam_no_zero(seed: int) -> Program:
    tr, dv = fashion(seed, 1000, 300)
    m = cnn()
    return fitted(m, SGD(m.parameters(), 0.02), CE, tr, dv, 4, zero=False)


@ill("frozen_params")
def frozen_random_body(seed: int) -> Program:
    tr, dv = fashion(seed, 1500, 500)
    m = nn.Sequential(nn.Flatten(), nn.Linear(784, 6), nn.Tanh(), mlp(6, 32, 10))
    for p in m[1].parameters():
        p.requires_grad_(False)
    return fitted(m, Adam(m.parameters(), 2e-3), CE, tr, dv, 25)


@ill("frozen_params")
def head_only(seed: int) -> Program:
    tr, dv = moons(seed)
    m = mlp(2, 4, 4, 2, act=nn.Tanh)
    return fitted(m, Adam(m[-1].parameters(), 1e-2), CE, tr, dv, 40)


@ill("frozen_params")
def detached(seed: int) -> Program:
    class M(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(64, 6)
            self.b = mlp(6, 32, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(F.relu(self.a(x)).detach())

    tr, dv = digits(seed)
    m = M()
    return fitted(m, Adam(m.parameters(), 3e-3), CE, tr, dv, 25)


@ill("data_order")
def sorted_digits(seed: int) -> Program:
    tr, dv = digits(seed)
    o = torch.argsort(tr[1])
    tr = (tr[0][o], tr[1][o])
    m = mlp(64, 64, 10)
    return fitted(m, SGD(m.parameters(), 0.05, momentum=0.9), CE, tr, dv, 12, shuffle=False)


@ill("data_order")
def sorted_regression(seed: int) -> Program:
    (a, b), dv = curve(seed)
    o = b[:, 0].argsort()
    m = mlp(6, 64, 64, 1)
    return fitted(m, SGD(m.parameters(), 0.05, momentum=0.9), nn.MSELoss(), (a[o], b[o]), dv, 30, shuffle=False)


@ill("data_order")
def sorted_wine(seed: int) -> Program:
    (a, b), dv = table("wine", seed)
    o = b.argsort()
    m = mlp(13, 24, 3)
    return fitted(m, SGD(m.parameters(), 0.1, momentum=0.9), CE, (a[o], b[o]), dv, 10, 8, shuffle=False)


@ill("plateau")
def schedule_dies(seed: int) -> Program:
    tr, dv = fashion(seed, 1500, 500)
    m = nn.Sequential(nn.Flatten(), mlp(784, 64, 10))
    o = SGD(m.parameters(), 0.01)
    return fitted(m, o, CE, tr, dv, 15, sched=LR.ExponentialLR(o, 0.15))


@ill("plateau")
def rate_to_zero(seed: int) -> Program:
    tr, dv = curve(seed)
    m = mlp(6, 64, 64, 1)
    o = Adam(m.parameters(), 1e-3)
    return fitted(m, o, nn.MSELoss(), tr, dv, 40, sched=LR.LambdaLR(o, lambda e: 1.0 if e < 3 else 0.0))


@ill("plateau")
def step_each_epoch(seed: int) -> Program:
    tr, dv = digits(seed)
    m = mlp(64, 64, 10)
    o = SGD(m.parameters(), 0.03)
    return fitted(m, o, CE, tr, dv, 20, sched=LR.StepLR(o, 1, 0.3))
