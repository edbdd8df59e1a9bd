"""Programs with nothing wrong: many rules, rates, nets and data."""

from __future__ import annotations

import torch
from torch import nn

from ailing.nets import Residual, Rows, adam, adamw, clip, conv, flat, mlp, rmsprop, sgd
from ailing.program import add
from ailing.rows import (
    BCE,
    noisier,
    on_blobs,
    on_cancer,
    on_circles,
    on_diabetes,
    on_digits,
    on_fashion,
    on_friedman,
    on_iris,
    on_moons,
    on_table,
    on_three,
    on_waves,
    on_wine,
)
from ailing.spoilt import bent, rarer

# fmt: off
LR = torch.optim.lr_scheduler

add("ok digits sgd", on_digits, None, lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.1, 0.9), epochs=20)
add("ok digits adam", on_digits, None, lambda: mlp(64, 64, 10), adam)
add("ok digits adam deep", on_digits, None, lambda: mlp(64, 64, 64, 64, 10), adam)
add("ok digits adamw bn", on_digits, None, lambda: mlp(64, 64, 64, 10, norm=True), lambda m: adamw(m, 0.002))
add("ok digits dropout", on_digits, None, lambda: mlp(64, 128, 10, drop=0.3), lambda m: adam(m, 0.002), epochs=20)
add("ok digits linear", on_digits, None, lambda: nn.Linear(64, 10), lambda m: sgd(m, 0.1, 0.9), epochs=20)
add("ok digits tanh", on_digits, None, lambda: mlp(64, 64, 64, 10, act=nn.Tanh), lambda m: adam(m, 0.002))
add("ok digits sigmoid", on_digits, None, lambda: mlp(64, 64, 10, act=nn.Sigmoid), lambda m: adam(m, 0.005), epochs=20)
add("ok digits rmsprop", on_digits, None, lambda: mlp(64, 64, 10), lambda m: rmsprop(m, 0.001))
add("ok digits nadam gelu", on_digits, None, lambda: mlp(64, 64, 64, 10, act=nn.GELU),
    lambda m: torch.optim.NAdam(m.parameters(), 0.001))
add("ok digits adagrad", on_digits, None, lambda: mlp(64, 64, 10), lambda m: torch.optim.Adagrad(m.parameters(), 0.03))
add("ok digits cosine", on_digits, None, lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.1, 0.9),
    schedule=lambda o: LR.CosineAnnealingLR(o, 15))
add("ok digits step", on_digits, None, lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.1, 0.9),
    schedule=lambda o: LR.StepLR(o, 5, 0.3))
add("ok moons adam", on_moons, None, lambda: mlp(2, 32, 32, 2), lambda m: adam(m, 0.005))
add("ok moons sgd", on_moons, None, lambda: mlp(2, 32, 2), lambda m: sgd(m, 0.3, 0.9))
add("ok moons tanh", on_moons, None, lambda: mlp(2, 32, 32, 2, act=nn.Tanh), lambda m: adam(m, 0.005))
add("ok moons full batch", on_moons, None, lambda: mlp(2, 32, 32, 2), lambda m: adam(m, 0.01), batch=1000, epochs=300)
add("ok cancer", on_cancer, None, lambda: mlp(30, 32, 1), lambda m: adam(m, 0.002))
add("ok cancer logistic", on_cancer, None, lambda: nn.Linear(30, 1), lambda m: sgd(m, 0.1), epochs=40)
add("ok waves", on_waves, None, lambda: mlp(5, 64, 64, 1), lambda m: adam(m, 0.003))
add("ok waves bn", on_waves, None, lambda: mlp(5, 64, 64, 1, norm=True), lambda m: adam(m, 0.003))
add("ok diabetes", on_diabetes, None, lambda: mlp(10, 16, 1), lambda m: adam(m, 0.002, weight_decay=0.0001), epochs=15)
add("ok diabetes linear", on_diabetes, None, lambda: nn.Linear(10, 1), lambda m: sgd(m, 0.01), epochs=30)
add("ok fashion conv", on_fashion, None, conv, lambda m: adam(m, 0.002), epochs=6)
add("ok fashion conv bn sgd", on_fashion, None, lambda: conv(True), lambda m: sgd(m, 0.05, 0.9), epochs=6)
add("ok fashion mlp", on_fashion, None, lambda: flat(784, 128, 10, drop=0.2), adam, epochs=8)
add("ok iris", on_iris, None, lambda: mlp(4, 16, 3), lambda m: adam(m, 0.01))
add("ok wine", on_wine, None, lambda: mlp(13, 16, 3), lambda m: sgd(m, 0.1))
add("ok circles", on_circles, None, lambda: mlp(2, 32, 32, 2), lambda m: adam(m, 0.005))
add("ok blobs", on_blobs, None, lambda: mlp(2, 16, 4), lambda m: adam(m, 0.01))
add("ok table", on_table, None, lambda: mlp(20, 64, 3, drop=0.2), lambda m: adamw(m, 0.003), epochs=20)
add("ok friedman", on_friedman, None, lambda: mlp(10, 64, 1), lambda m: adam(m, 0.005))
add("ok three targets", on_three, None, lambda: mlp(12, 64, 3), lambda m: adam(m, 0.003))
add("ok digits in 0 1", bent(on_digits, lambda x: x * 0.38 + 0.3), None, lambda: mlp(64, 64, 10), lambda m: adam(m, 0.002),
    epochs=20)
add("ok digits in 0 16", bent(on_digits, lambda x: 16 * (x * 0.38 + 0.3)), None, lambda: mlp(64, 64, 10), adam, epochs=15)
add("ok fashion in 0 1", bent(on_fashion, lambda x: x * 0.353 + 0.286), None, lambda: flat(784, 64, 10), adam, epochs=10)
add("ok fashion linear", on_fashion, None, lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), lambda m: sgd(m, 0.01),
    epochs=6)
add("ok fashion long", on_fashion, None, lambda: flat(784, 64, 10), adam, epochs=12)
add("ok waves sgd", on_waves, None, lambda: mlp(5, 64, 64, 1), lambda m: sgd(m, 0.05, 0.9))
add("ok cancer tanh", on_cancer, None, lambda: mlp(30, 32, 16, 1, act=nn.Tanh), lambda m: rmsprop(m, 0.001))
add("ok moons short", on_moons, None, lambda: mlp(2, 64, 2), lambda m: adam(m, 0.02), epochs=12)
add("ok digits big batch", on_digits, None, lambda: mlp(64, 128, 10), lambda m: adam(m, 0.005), batch=256, epochs=30)
add("ok digits small batch", on_digits, None, lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.02), batch=4, epochs=8)
add("ok lstm", on_digits, None, Rows, lambda m: adam(m, 0.005))
add("ok gru clip", on_digits, None, lambda: Rows(nn.GRU), lambda m: adam(m, 0.005), spoil=clip)
add("ok residual", on_digits, None, Residual, adam)
add("ok smoothing", on_digits, None, lambda: mlp(64, 64, 10), lambda m: adam(m, 0.002),
    loss=nn.CrossEntropyLoss(label_smoothing=0.1))
add("ok onecycle", on_digits, None, lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.1, 0.9),
    schedule=lambda o: LR.OneCycleLR(o, 0.2, total_steps=16))
add("ok nesterov decay", on_digits, None, lambda: mlp(64, 64, 10),
    lambda m: sgd(m, 0.05, 0.9, nesterov=True, weight_decay=0.001))
add("ok adamw decay", on_moons, None, lambda: mlp(2, 64, 64, 2), lambda m: adamw(m, 0.003, weight_decay=0.01))
add("ok huber", on_waves, None, lambda: mlp(5, 64, 64, 1), lambda m: adam(m, 0.003), epochs=30, loss=nn.HuberLoss())
add("ok l1 loss", on_waves, None, lambda: mlp(5, 64, 64, 1), lambda m: adam(m, 0.003), epochs=30, loss=nn.L1Loss())
add("ok noisy moons", noisier(0.35), None, lambda: mlp(2, 32, 32, 2), lambda m: adam(m, 0.005), epochs=25)
add("ok moons binary", on_moons, None, lambda: mlp(2, 32, 32, 1), lambda m: adam(m, 0.005),
    loss=lambda o, y: BCE(o.squeeze(1), y.float()))
add("ok bce sigmoid", on_cancer, None, lambda: nn.Sequential(mlp(30, 32, 1), nn.Sigmoid()), lambda m: adam(m, 0.002),
    epochs=20, loss=nn.BCELoss())
add("ok nll log_softmax", on_digits, None, lambda: nn.Sequential(mlp(64, 64, 10), nn.LogSoftmax(1)),
    lambda m: adam(m, 0.002), loss=nn.NLLLoss())
add("ok unshuffled", on_digits, None, lambda: mlp(64, 64, 10), lambda m: adam(m, 0.002), shuffle=False)
add("ok radam leaky", on_digits, None, lambda: mlp(64, 64, 64, 10, act=nn.LeakyReLU),
    lambda m: torch.optim.RAdam(m.parameters(), 0.003))
add("ok diabetes dropout", on_diabetes, None, lambda: mlp(10, 32, 1, drop=0.2), lambda m: adam(m, 0.002))
add("ok lbfgs-like batch", on_cancer, None, lambda: mlp(30, 16, 1), lambda m: sgd(m, 0.5), batch=426, epochs=120)
add("ok wide", on_moons, None, lambda: mlp(2, 256, 2), lambda m: adam(m, 0.01))
add("ok mild imbalance", rarer(on_moons, lambda y: y == 1, 0.25, dev=True), None, lambda: mlp(2, 32, 32, 2),
    lambda m: adam(m, 0.005))
add("ok sigmoid 2", on_moons, None, lambda: mlp(2, 32, 2, act=nn.Sigmoid), lambda m: adam(m, 0.03), epochs=60)
add("ok fashion sgd bn", on_fashion, None, lambda: flat(784, 64, 10, norm=True), lambda m: sgd(m, 0.02, 0.9), epochs=5)
add("ok elu deep", on_digits, None, lambda: mlp(64, 48, 48, 48, 48, 10, act=nn.ELU), adam)
add("ok sum loss", on_digits, None, lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.003),
    loss=nn.CrossEntropyLoss(reduction="sum"))
