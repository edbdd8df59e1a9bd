"""Faults of rate, length, size and data."""

from __future__ import annotations

import torch
from torch import nn

from ailing.nets import adam, conv, flat, mlp, sgd
from ailing.program import add
from ailing.rows import (
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
    on_waves,
)
from ailing.spoilt import dice, elsewhere, first, flipped, met, noisy, rarer, told

# fmt: off
LR = torch.optim.lr_scheduler

# lr_too_high
add("lr high moons", on_moons, "lr_too_high", lambda: mlp(2, 32, 32, 2), lambda m: adam(m, 0.5))
add("lr high waves", on_waves, "lr_too_high", lambda: mlp(5, 64, 64, 1), lambda m: sgd(m, 1.0, 0.9))
add("new circles high", on_circles, "lr_too_high", lambda: mlp(2, 32, 32, 2), lambda m: sgd(m, 20.0))
add("new table high", on_table, "lr_too_high", lambda: mlp(20, 64, 64, 3), lambda m: adam(m, 0.3))
add("lr high sgd 1", on_digits, "lr_too_high", lambda: mlp(64, 64, 64, 10), lambda m: sgd(m, 1.5))
add("lr high momentum", on_digits, "lr_too_high", lambda: mlp(64, 64, 10), lambda m: sgd(m, 1.0, 0.9))
add("lr high fashion", on_fashion, "lr_too_high", conv, lambda m: adam(m, 0.1))
add("lr high cancer", on_cancer, "lr_too_high", lambda: mlp(30, 32, 1), lambda m: sgd(m, 100.0))
add("lr high regression", on_diabetes, "lr_too_high", lambda: mlp(10, 32, 1), lambda m: sgd(m, 1.0))
add("lr high sgd 3", on_digits, "lr_too_high", lambda: mlp(64, 64, 10), lambda m: sgd(m, 3.0))
add("lr high sgd 30", on_digits, "lr_too_high", lambda: mlp(64, 64, 10), lambda m: sgd(m, 30.0))
add("lr high adam 0.1", on_digits, "lr_too_high", lambda: mlp(64, 64, 64, 10), lambda m: adam(m, 0.1))
add("lr high adam 1", on_digits, "lr_too_high", lambda: mlp(64, 64, 64, 10), lambda m: adam(m, 1.0))

# lr_too_low
add("lr low sgd", on_digits, "lr_too_low", lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.0001))
add("lr low moons", on_moons, "lr_too_low", lambda: mlp(2, 32, 32, 2), lambda m: sgd(m, 0.0001, 0.9))
add("lr low waves", on_waves, "lr_too_low", lambda: mlp(5, 64, 64, 1), lambda m: adam(m, 1e-05))
add("new friedman low", on_friedman, "lr_too_low", lambda: mlp(10, 64, 64, 1), lambda m: sgd(m, 1e-05, 0.9))
add("lr low fashion", on_fashion, "lr_too_low", conv, lambda m: adam(m, 5e-06))
add("lr low cancer", on_cancer, "lr_too_low", lambda: mlp(30, 32, 1), lambda m: sgd(m, 0.0001))
add("lr low mild", on_digits, "lr_too_low", lambda: mlp(64, 64, 10), lambda m: adam(m, 5e-05))
add("lr low diabetes", on_diabetes, "lr_too_low", lambda: mlp(10, 32, 1), lambda m: sgd(m, 1e-05, 0.9))
add("lr low adam 1e-05", on_digits, "lr_too_low", lambda: mlp(64, 64, 10), lambda m: adam(m, 1e-05))
add("lr low adam 1e-06", on_digits, "lr_too_low", lambda: mlp(64, 64, 10), lambda m: adam(m, 1e-06))

# undertrained
add("undertrained digits", on_digits, "undertrained", lambda: mlp(64, 64, 10), adam, epochs=1)
add("undertrained moons", on_moons, "undertrained", lambda: mlp(2, 32, 32, 2), adam, epochs=2)
add("undertrained waves", on_waves, "undertrained", lambda: mlp(5, 64, 64, 1), adam, epochs=2)
add("undertrained fashion", on_fashion, "undertrained", conv, lambda m: sgd(m, 0.01, 0.9), epochs=1, batch=256)
add("new iris short", on_iris, "undertrained", lambda: mlp(4, 16, 3), lambda m: adam(m, 0.002), epochs=2)
add("undertrained digits 2", on_digits, "undertrained", lambda: mlp(64, 64, 64, 10), lambda m: sgd(m, 0.05), epochs=2)
add("undertrained diabetes", on_diabetes, "undertrained", lambda: mlp(10, 32, 1), adam, epochs=2)

# plateau
add("plateau schedule", on_digits, "plateau", lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.05),
    schedule=lambda o: LR.StepLR(o, 1, 0.05))
add("plateau steps", on_moons, "plateau", lambda: mlp(2, 32, 32, 2), lambda m: adam(m, 0.005),
    schedule=lambda o: LR.ExponentialLR(o, 0.3))

# high_bias
add("bias linear moons", on_moons, "high_bias", lambda: nn.Linear(2, 2), lambda m: adam(m, 0.01))
add("bias narrow digits", on_digits, "high_bias", lambda: mlp(64, 2, 10), lambda m: adam(m, 0.005), epochs=40)
add("bias linear waves", on_waves, "high_bias", lambda: nn.Linear(5, 1), lambda m: adam(m, 0.01))
add("new circles linear", on_circles, "high_bias", lambda: nn.Linear(2, 2), lambda m: adam(m, 0.01))
add("bias one unit fashion", on_fashion, "high_bias", lambda: flat(784, 2, 10), lambda m: adam(m, 0.005), epochs=8)
add("bias 2 waves", on_waves, "high_bias", lambda: mlp(5, 2, 1), lambda m: adam(m, 0.01), epochs=60)

# over_regularised
add("decay adam", on_digits, "over_regularised", lambda: mlp(64, 64, 10), lambda m: adam(m, weight_decay=0.3))
add("decay sgd", on_moons, "over_regularised", lambda: mlp(2, 32, 32, 2), lambda m: sgd(m, 0.1, weight_decay=0.1))
add("dropout .9", on_digits, "over_regularised", lambda: mlp(64, 32, 32, 10, drop=0.9), adam)
add("l1 penalty", on_digits, "over_regularised", lambda: mlp(64, 64, 10), adam,
    penalty=lambda m: 0.01 * sum(p.abs().sum() for p in m.parameters()))
add("new table dropout", on_table, "over_regularised", lambda: mlp(20, 64, 64, 3, drop=0.9), lambda m: adam(m, 0.002))
add("new table decay", on_table, "over_regularised", lambda: mlp(20, 64, 64, 3), lambda m: sgd(m, 0.1, weight_decay=0.2))
add("decay adam .05", on_moons, "over_regularised", lambda: mlp(2, 32, 32, 2), lambda m: adam(m, 0.005, weight_decay=0.1))
add("decay waves", on_waves, "over_regularised", lambda: mlp(5, 64, 64, 1), lambda m: adam(m, 0.003, weight_decay=0.3))
add("dropout fashion", on_fashion, "over_regularised",
    lambda: nn.Sequential(nn.Flatten(), nn.Dropout(0.9), mlp(784, 64, 32, 10, drop=0.8)), adam, epochs=6)
add("l2 penalty", on_waves, "over_regularised", lambda: mlp(5, 64, 64, 1), lambda m: adam(m, 0.003),
    penalty=lambda m: 0.05 * sum(p.square().sum() for p in m.parameters()))

# high_variance
add("variance digits", first(on_digits, 60), "high_variance", lambda: mlp(64, 256, 256, 10), adam, epochs=200, batch=16)
add("variance fashion", first(on_fashion, 200), "high_variance", lambda: flat(784, 256, 256, 10), adam, epochs=60, batch=32)
add("new table few", first(on_table, 50), "high_variance", lambda: mlp(20, 64, 64, 3), lambda m: adam(m, 0.002), epochs=150)
add("variance moons", first(noisier(0.4), 30), "high_variance", lambda: mlp(2, 128, 128, 2), lambda m: adam(m, 0.005),
    epochs=300)
add("variance diabetes", on_diabetes, "high_variance", lambda: mlp(10, 256, 256, 1), lambda m: adam(m, 0.003), epochs=150)
add("variance digits 100", first(on_digits, 40), "high_variance", lambda: mlp(64, 512, 10), lambda m: adam(m, 0.002),
    epochs=100)

# label_noise
add("noise .3", noisy(on_digits, 0.3), "label_noise", lambda: mlp(64, 128, 10), adam, epochs=20)
add("noise .3 both", noisy(on_digits, 0.3, both=True), "label_noise", lambda: mlp(64, 128, 10), adam, epochs=40)
add("noise .6", noisy(on_digits, 0.6), "label_noise", lambda: mlp(64, 128, 10), adam, epochs=20)
add("new table swapped", flipped(on_table, 0.3, 3), "label_noise", lambda: mlp(20, 64, 64, 3), lambda m: adam(m, 0.002))
add("noise moons .25", flipped(on_moons, 0.25), "label_noise", lambda: mlp(2, 64, 64, 2), lambda m: adam(m, 0.005))
add("noise cancer .2", flipped(on_cancer, 0.2), "label_noise", lambda: mlp(30, 64, 1), lambda m: adam(m, 0.005), epochs=40)
add("noise fashion .4", flipped(on_fashion, 0.4, 10), "label_noise", lambda: flat(784, 128, 10), adam, epochs=8)
add("noise .15", flipped(on_digits, 0.15, 10), "label_noise", lambda: mlp(64, 128, 10), lambda m: adam(m, 0.002), epochs=30)

# train_dev_mismatch
add("mismatch noise", elsewhere(on_digits, lambda c: c + 1.0 * torch.randn(c.shape, generator=dice(1))),
    "train_dev_mismatch", lambda: mlp(64, 64, 10), adam)
add("mismatch inverted", elsewhere(on_digits, lambda c: -c), "train_dev_mismatch", lambda: mlp(64, 64, 10), adam)
add("mismatch shifted", elsewhere(on_digits, lambda c: torch.roll(c.reshape(-1, 8, 8), 1, 2).reshape(-1, 64)),
    "train_dev_mismatch", lambda: mlp(64, 64, 10), adam)
add("new table dev", elsewhere(on_table, lambda x: 4 * x + 2), "train_dev_mismatch", lambda: mlp(20, 64, 64, 3),
    lambda m: adam(m, 0.002), epochs=12)
add("mismatch brightness", elsewhere(on_fashion, lambda x: 0.3 * x - 0.4), "train_dev_mismatch", lambda: flat(784, 64, 10),
    adam, epochs=5)
add("mismatch moons", elsewhere(on_moons, lambda x: x + torch.tensor([0.7, 0.4])), "train_dev_mismatch",
    lambda: mlp(2, 32, 32, 2), lambda m: adam(m, 0.005))
add("mismatch waves", elsewhere(on_waves, lambda x: 1.8 * x + 0.5), "train_dev_mismatch", lambda: mlp(5, 64, 64, 1),
    lambda m: adam(m, 0.003), epochs=25)
add("mismatch cancer", elsewhere(on_cancer, lambda x: 5 * x + 3), "train_dev_mismatch", lambda: mlp(30, 32, 1), adam)

# class_imbalance
add("imbalance moons", rarer(noisier(0.3, 2000), lambda y: y == 1, 0.016), "class_imbalance", lambda: mlp(2, 32, 2), adam,
    epochs=15)
add("new table rare", rarer(on_table, lambda y: y == 2, 0.03), "class_imbalance", lambda: mlp(20, 16, 3),
    lambda m: adam(m, 0.001), epochs=10)
add("imbalance digits", rarer(on_digits, lambda y: y >= 7, 0.02), "class_imbalance", lambda: mlp(64, 64, 10), adam,
    epochs=8)
add("imbalance cancer", rarer(on_cancer, lambda y: y == 0, 0.04), "class_imbalance", lambda: mlp(30, 16, 1),
    lambda m: adam(m, 0.002), epochs=8)

# leakage
add("leak column", told(on_cancer, lambda y: 2 * y - 1), "leakage", lambda: mlp(31, 32, 1), adam)
add("leak rows", met(on_digits, 200), "leakage", lambda: mlp(64, 64, 10), adam, epochs=20)
add("new blobs met", met(on_blobs, 1000), "leakage", lambda: mlp(2, 16, 4), lambda m: adam(m, 0.01))
add("leak fashion", met(on_fashion, 500), "leakage", lambda: flat(784, 64, 10), adam, epochs=5)
add("leak jitter", met(on_digits, 300, 0.01), "leakage", lambda: mlp(64, 64, 10), adam)
add("leak column waves", told(on_waves, lambda y: 2 * y + 0.05 * torch.randn(y.shape)), "leakage", lambda: mlp(6, 64, 1),
    lambda m: adam(m, 0.003), epochs=25)
add("leak column digits", told(on_digits, lambda y: y / 5.0), "leakage", lambda: mlp(65, 64, 10), lambda m: adam(m, 0.003),
    epochs=25)
