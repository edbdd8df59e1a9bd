"""Healthy programs written apart from the rest: unusual settings that are right all the same."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

import thalweg.optim
from ailing import program
from ailing.nets import Attention, Bag, Coder, Residual, Rows, Small, adam, adamw, clip, conv, flat, mlp, rmsprop, sgd
from ailing.rows import (
    MSE,
    altered,
    digits,
    on,
    on_cancer,
    on_circles,
    on_diabetes,
    on_digits,
    on_fashion,
    on_friedman,
    on_housing,
    on_labels,
    on_moons,
    on_sequences,
    on_sine,
    on_spirals,
    on_table,
    on_table2,
    on_three,
    on_tokens,
    on_wine,
    sine,
)
from ailing.spoilt import rarer

# fmt: off
add = partial(program.add, new=True, kind=None)
LR = torch.optim.lr_scheduler
on_pixels = altered(on(digits, MSE, epochs=25), both=lambda X, y: (X, X))


def jitter(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return x + 0.1 * torch.randn(x.shape, generator=generator)


def shift(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    by = int(torch.randint(-1, 2, (1,), generator=generator))
    return torch.roll(x.reshape(-1, 8, 8), by, 2).reshape(len(x), 64)


# nets
add("apw cnn", on_digits, build=Small, rule=lambda m: adam(m, 2e-3), epochs=10)
add("apw cnn drop half", on_digits, build=lambda: Small(32, 0.5), rule=lambda m: adam(m, 3e-3), epochs=12)
add("apw cnn bn fashion", on_fashion, build=lambda: conv(True, nn.ReLU, 12),
    rule=lambda m: adamw(m, 2e-3, weight_decay=0.05), epochs=5)
add("apw gru", on_sequences, build=lambda: Rows(nn.GRU, 2, 32, 4), rule=lambda m: adam(m, 5e-3), spoil=clip)
add("apw lstm", on_sequences, build=lambda: Rows(nn.LSTM, 2, 32, 4), rule=lambda m: rmsprop(m, 5e-3), epochs=25)
add("apw bag", on_tokens, build=Bag, rule=lambda m: adam(m, 5e-3), epochs=15)
add("apw bag linear", on_tokens, build=lambda: Bag(8, 0), rule=lambda m: adam(m, 1e-2), epochs=20)
add("apw attention", on_tokens, build=lambda: Attention(drop=0.1), rule=lambda m: adamw(m, 2e-3), epochs=12)
add("apw coder", on_pixels, build=Coder, rule=lambda m: adam(m, 2e-3), epochs=40)
add("apw residual table", on_table, build=lambda: Residual(3, 20, 3), rule=lambda m: adamw(m, 1e-3, weight_decay=0.1),
    epochs=10)
add("apw small net", on_moons, build=lambda: mlp(2, 8, 8, 2), rule=lambda m: adam(m, 2e-2), epochs=60)
add("apw wide net", on_circles, build=lambda: mlp(2, 512, 2), rule=lambda m: adam(m, 3e-3))
add("apw deep bn", on_table2, build=lambda: mlp(20, 32, 32, 32, 32, 1, norm=True), rule=lambda m: adam(m, 1e-3), epochs=8)
add("apw layer norm", on_wine, build=lambda: nn.Sequential(nn.LayerNorm(13), mlp(13, 32, 3)), rule=lambda m: adam(m, 5e-3))

# rates at the ends of what is sane, other rules
add("apw rate low end", on_digits, build=lambda: mlp(64, 128, 10), rule=lambda m: adam(m, 3e-4), epochs=40)
add("apw rate high end", on_digits, build=lambda: mlp(64, 128, 10), rule=lambda m: adam(m, 1e-2), epochs=20)
add("apw sgd slow long", on_cancer, build=lambda: mlp(30, 16, 1), rule=lambda m: sgd(m, 0.01, 0.9), epochs=40)
add("apw sgd fast", on_table2, build=lambda: mlp(20, 32, 1), rule=lambda m: sgd(m, 0.3), epochs=25)
add("apw nesterov", on_spirals, build=lambda: mlp(2, 64, 64, 3), rule=lambda m: sgd(m, 0.1, 0.9, nesterov=True), epochs=120)
add("apw thalweg adam", on_table, build=lambda: mlp(20, 64, 3), rule=lambda m: thalweg.optim.Adam(m.parameters(), lr=2e-3),
    epochs=15)
add("apw thalweg lion", on_digits, build=lambda: mlp(64, 64, 10),
    rule=lambda m: thalweg.optim.Lion(m.parameters(), lr=3e-4))
add("apw adagrad", on_housing, build=lambda: mlp(8, 64, 1), rule=lambda m: torch.optim.Adagrad(m.parameters(), 0.05),
    epochs=40)
add("apw adadelta", on_digits, build=lambda: mlp(64, 64, 10), rule=lambda m: torch.optim.Adadelta(m.parameters(), 1.0))
add("apw adamax", on_cancer, build=lambda: mlp(30, 32, 1), rule=lambda m: torch.optim.Adamax(m.parameters(), 5e-3))

# loops
add("apw accumulate", on_digits, build=lambda: mlp(64, 64, 10), rule=lambda m: adam(m, 3e-3), batch=128, parts=4, epochs=25)
add("apw warm restarts", on_digits, build=lambda: mlp(64, 64, 10), rule=lambda m: sgd(m, 0.1, 0.9),
    schedule=lambda o: LR.CosineAnnealingWarmRestarts(o, 8), epochs=16)
add("apw cosine", on_spirals, build=lambda: mlp(2, 64, 64, 3), rule=lambda m: adam(m, 1e-2),
    schedule=lambda o: LR.CosineAnnealingLR(o, 80))
add("apw linear decay", on_housing, build=lambda: mlp(8, 64, 32, 1), rule=lambda m: adam(m, 3e-3),
    schedule=lambda o: LR.LinearLR(o, 1.0, 0.02, 40), epochs=40)
add("apw step at the end", on_cancer, build=lambda: mlp(30, 32, 1), rule=lambda m: adam(m, 3e-3),
    schedule=lambda o: LR.StepLR(o, 12, 0.1))
add("apw jitter", on_moons, build=lambda: mlp(2, 64, 2), rule=lambda m: adam(m, 1e-2), augment=jitter)
add("apw shift", on_digits, build=Small, rule=lambda m: adam(m, 3e-3), augment=shift, epochs=20)
add("apw bn small batch", on_digits, build=lambda: mlp(64, 64, 10, norm=True), rule=lambda m: sgd(m, 0.02, 0.9), batch=8,
    epochs=10)
add("apw smoothing", on_fashion, build=lambda: flat(784, 128, 10), rule=adam, loss=nn.CrossEntropyLoss(label_smoothing=0.1),
    epochs=10)
add("apw full batch", on_wine, build=lambda: mlp(13, 32, 3), rule=lambda m: adam(m, 1e-2), batch=200, epochs=100)
add("apw unshuffled", on_housing, build=lambda: mlp(8, 64, 1), rule=lambda m: adam(m, 3e-3), shuffle=False)

# data and losses
add("apw weighted", rarer(on_table2, lambda y: y == 1, 0.12, dev=True), build=lambda: mlp(20, 32, 1),
    rule=lambda m: adam(m, 2e-3), loss=nn.BCEWithLogitsLoss(pos_weight=torch.tensor([8.0])), epochs=25)
add("apw weighted classes", rarer(on_digits, lambda y: y < 2, 0.2), build=lambda: mlp(64, 64, 10),
    rule=lambda m: adam(m, 2e-3), loss=nn.CrossEntropyLoss(weight=torch.tensor([4.0] * 2 + [1.0] * 8)), epochs=20)
add("apw labels", on_labels, build=lambda: mlp(16, 64, 5), rule=lambda m: adam(m, 2e-3), epochs=20)
add("apw three", on_three, build=lambda: mlp(12, 128, 3), rule=lambda m: adam(m, 3e-3), epochs=50)
add("apw noisy sine", partial(on_sine, train=sine(0.6)[0], dev=sine(0.6)[1]),
    build=lambda: mlp(1, 32, 32, 1, act=nn.Tanh), rule=lambda m: adam(m, 5e-3), epochs=60)
add("apw sine", on_sine, build=lambda: mlp(1, 64, 64, 1, act=nn.Tanh), rule=lambda m: adam(m, 5e-3), epochs=120)
add("apw housing", on_housing, build=lambda: mlp(8, 64, 64, 1), rule=lambda m: adam(m, 2e-3), epochs=30)
add("apw friedman decay", on_friedman, build=lambda: mlp(10, 64, 1), rule=lambda m: adamw(m, 3e-3, weight_decay=0.1),
    epochs=40)
add("apw diabetes drop", on_diabetes, build=lambda: mlp(10, 64, 1, drop=0.5), rule=lambda m: adam(m, 2e-3), epochs=25)
add("apw probability", on_cancer, build=lambda: nn.Sequential(mlp(30, 16, 1), nn.Sigmoid()), rule=lambda m: adam(m, 3e-3),
    loss=nn.BCELoss())
add("apw untold loss", on_table, build=lambda: mlp(20, 64, 3), rule=lambda m: adam(m, 2e-3), told=("train", "dev"),
    epochs=15)
add("apw untold dev", on_digits, build=Small, rule=lambda m: adam(m, 2e-3), told=("loss", "train"), epochs=10)
add("apw untold all", on_moons, build=lambda: mlp(2, 32, 2), rule=lambda m: adam(m, 1e-2), told=())
add("apw untold loss regression", on_housing, build=lambda: mlp(8, 64, 1), rule=lambda m: adam(m, 2e-3),
    told=("train", "dev"))
