"""Faults of the start: weights, inputs, depth."""

from __future__ import annotations

import torch
from torch import nn

from ailing.nets import Rows, adam, biased, drawn, filled, flat, mlp, scaled, sgd
from ailing.program import add
from ailing.rows import (
    BCE,
    CE,
    cancer,
    on_blobs,
    on_cancer,
    on_digits,
    on_fashion,
    on_friedman,
    on_moons,
    on_table,
    on_waves,
    unscaled,
    wine,
)
from ailing.spoilt import bent

# fmt: off
# bad_init
add("bad init zeros", on_digits, "bad_init", lambda: filled(mlp(64, 64, 10), 0.0), lambda m: sgd(m, 0.1))
add("bad init const", on_digits, "bad_init", lambda: filled(mlp(64, 64, 64, 10), 0.1), adam)
add("bad init large", on_digits, "bad_init", lambda: scaled(mlp(64, 64, 10), 30), adam)
add("bad init small", on_digits, "bad_init", lambda: scaled(mlp(64, 64, 64, 10), 0.01), lambda m: sgd(m, 0.05))
add("new table constant", on_table, "bad_init", lambda: filled(mlp(20, 64, 64, 3), 0.05), lambda m: adam(m, 0.002))
add("bad init normal", on_digits, "bad_init", lambda: drawn(mlp(64, 64, 64, 10), nn.init.normal_), lambda m: sgd(m, 0.01))
add("bad init uniform", on_moons, "bad_init", lambda: drawn(mlp(2, 64, 64, 2), nn.init.uniform_), adam)
add("bad init tiny", on_fashion, "bad_init", lambda: drawn(flat(784, 64, 64, 10), lambda p: nn.init.normal_(p, 0, 0.0001)),
    lambda m: sgd(m, 0.05), epochs=3)
add("bad init ones", on_cancer, "bad_init", lambda: drawn(mlp(30, 16, 16, 1), nn.init.ones_), adam)

# dead_relu
add("dead relu", on_digits, "dead_relu", lambda: biased(mlp(64, 64, 64, 10), -10.0), adam)
add("dead relu moons", on_moons, "dead_relu", lambda: biased(mlp(2, 32, 32, 2), -5.0), lambda m: sgd(m, 0.05, 0.9))
add("new blobs dead", on_blobs, "dead_relu", lambda: biased(mlp(2, 32, 32, 4), -15.0), lambda m: adam(m, 0.003))
add("dead relu -2", on_digits, "dead_relu", lambda: biased(mlp(64, 32, 32, 10), -4.0), lambda m: sgd(m, 0.05))
add("dead relu fashion", on_fashion, "dead_relu", lambda: biased(flat(784, 64, 64, 10), -8.0), adam, epochs=3)

# saturated_activation
add("saturated tanh", on_digits, "saturated_activation", lambda: scaled(mlp(64, 64, 64, 10, act=nn.Tanh), 15),
    lambda m: sgd(m, 0.01))
add("saturated sigmoid", on_moons, "saturated_activation", lambda: scaled(mlp(2, 32, 32, 2, act=nn.Sigmoid), 60), adam)
add("new blobs tanh", on_blobs, "saturated_activation", lambda: scaled(mlp(2, 64, 64, 4, act=nn.Tanh), 40),
    lambda m: sgd(m, 0.01))
add("saturated sigmoid 20", on_digits, "saturated_activation", lambda: scaled(mlp(64, 64, 64, 10, act=nn.Sigmoid), 25),
    lambda m: sgd(m, 0.05))

# vanishing_gradient
add("vanishing sigmoid", on_digits, "vanishing_gradient", lambda: mlp(64, *[32] * 8, 10, act=nn.Sigmoid),
    lambda m: sgd(m, 0.1, 0.9))
add("vanishing sigmoid adam", on_digits, "vanishing_gradient", lambda: mlp(64, *[32] * 10, 10, act=nn.Sigmoid), adam)
add("vanishing tanh", on_moons, "vanishing_gradient", lambda: mlp(2, *[16] * 18, 2, act=nn.Tanh), lambda m: sgd(m, 0.05))
add("new table deep", on_table, "vanishing_gradient", lambda: mlp(20, *[32] * 9, 3, act=nn.Sigmoid),
    lambda m: sgd(m, 0.1, 0.9))
add("vanishing relu deep", on_digits, "vanishing_gradient", lambda: mlp(64, *[32] * 15, 10), lambda m: sgd(m, 0.05))
add("vanishing tanh adam", on_digits, "vanishing_gradient", lambda: scaled(mlp(64, *[24] * 20, 10, act=nn.Tanh), 0.8), adam)
add("vanishing sigmoid 5", on_moons, "vanishing_gradient", lambda: mlp(2, *[16] * 5, 2, act=nn.Sigmoid),
    lambda m: sgd(m, 0.1))

# exploding_gradient
add("exploding relu", on_digits, "exploding_gradient", lambda: scaled(mlp(64, *[64] * 8, 10), 8), lambda m: sgd(m, 0.01))
add("new table steep", on_table, "exploding_gradient", lambda: scaled(mlp(20, *[64] * 10, 3), 6), adam)
add("exploding deep", on_moons, "exploding_gradient", lambda: scaled(mlp(2, *[32] * 12, 2), 5), lambda m: sgd(m, 0.01))
add("exploding rnn", on_digits, "exploding_gradient", lambda: scaled(Rows(nn.RNN, nonlinearity="relu"), 6),
    lambda m: sgd(m, 0.01))

# unnormalised_input
add("raw wine", unscaled(wine, CE), "unnormalised_input", lambda: mlp(13, 32, 3), lambda m: sgd(m, 0.01), epochs=40)
add("raw wine adam", unscaled(wine, CE), "unnormalised_input", lambda: mlp(13, 32, 3), adam, epochs=40)
add("raw fashion sgd", bent(on_fashion, lambda x: (x * 0.353 + 0.286) * 255), "unnormalised_input",
    lambda: flat(784, 64, 10), lambda m: sgd(m, 0.05))
add("new friedman column", bent(on_friedman, lambda x: x * torch.tensor([1.0] * 9 + [3000.0])), "unnormalised_input",
    lambda: mlp(10, 64, 1), lambda m: sgd(m, 0.01))
add("raw cancer", unscaled(cancer, BCE), "unnormalised_input", lambda: mlp(30, 32, 1), lambda m: sgd(m, 0.05), epochs=20)
add("one big column", bent(on_waves, lambda x: x * torch.tensor([1, 1, 1, 1, 2000.0])), "unnormalised_input",
    lambda: mlp(5, 64, 64, 1), adam)
add("shifted inputs", bent(on_moons, lambda x: x + 100), "unnormalised_input", lambda: mlp(2, 32, 2),
    lambda m: adam(m, 0.005))
add("tiny inputs", bent(on_digits, lambda x: x * 0.001), "unnormalised_input", lambda: mlp(64, 64, 10),
    lambda m: sgd(m, 0.1))
