"""Faults of the program: the loop, the gradient, the parameters, the mode, the optimizer, the loss."""

from __future__ import annotations

import torch
from torch import nn

from ailing.nets import Detached, adam, conv, flat, held, mlp, sgd
from ailing.program import add
from ailing.rows import (
    CE,
    MSE,
    on_blobs,
    on_cancer,
    on_circles,
    on_digits,
    on_fashion,
    on_friedman,
    on_moons,
    on_table,
    on_waves,
    on_wine,
)
from ailing.spoilt import Own, WrongLeaky, WrongReLU, WrongTanh, hole, onehot, ordered

# fmt: off
# no_zero_grad
add("no zero grad", on_digits, "no_zero_grad", lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.05), zero=False)
add("no zero grad adam", on_moons, "no_zero_grad", lambda: mlp(2, 32, 32, 2), lambda m: adam(m, 0.005), zero=False)
add("new circles stale", on_circles, "no_zero_grad", lambda: mlp(2, 32, 32, 2), lambda m: sgd(m, 0.05, 0.9), zero=False)
add("no zero grad fashion", on_fashion, "no_zero_grad", conv, adam, zero=False, epochs=2)

# wrong_gradient
add("gradient tanh", on_digits, "wrong_gradient", lambda: mlp(64, 64, 64, 10, act=WrongTanh), adam)
add("gradient relu", on_moons, "wrong_gradient", lambda: mlp(2, 32, 32, 2, act=WrongReLU), lambda m: adam(m, 0.005))
add("gradient flipped", on_digits, "wrong_gradient", lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.1),
    spoil=lambda m: m[0].weight.grad.neg_())
add("new table backward", on_table, "wrong_gradient", lambda: mlp(20, 64, 64, 3, act=WrongLeaky), lambda m: adam(m, 0.002))
add("gradient own layer", on_digits, "wrong_gradient", lambda: nn.Sequential(Own(64, 48), nn.ReLU(), nn.Linear(48, 10)),
    adam)
add("gradient shrunk", on_moons, "wrong_gradient", lambda: mlp(2, 32, 32, 2), lambda m: sgd(m, 0.1, 0.9),
    spoil=lambda m: m[0].weight.grad.mul_(-0.1))

# wrong_mode
add("mode eval dropout", on_digits, "wrong_mode", lambda: mlp(64, 64, 10, drop=0.5), adam, mode="eval")
add("mode eval bn", on_digits, "wrong_mode", lambda: mlp(64, 64, 10, norm=True), adam, mode="eval")
add("mode judged in train", on_digits, "wrong_mode", lambda: mlp(64, 64, 10, drop=0.5), adam, judge="train")
add("new wine eval", on_wine, "wrong_mode", lambda: mlp(13, 16, 3, norm=True), lambda m: adam(m, 0.005), mode="eval")
add("mode eval fashion", on_fashion, "wrong_mode", lambda: conv(True), adam, mode="eval", epochs=3)
add("mode judged bn", on_digits, "wrong_mode", lambda: mlp(64, 64, 10, norm=True), adam, judge="train")

# frozen_params
add("frozen first", on_moons, "frozen_params", lambda: held(mlp(2, 8, 8, 2), 4), lambda m: adam(m, 0.005))
add("frozen last only", on_digits, "frozen_params", lambda: mlp(64, 64, 64, 10),
    lambda m: torch.optim.Adam(m[4].parameters(), 0.001))
add("frozen all", on_digits, "frozen_params", lambda: mlp(64, 64, 10), lambda m: adam(mlp(64, 64, 10)))
add("new friedman held", on_friedman, "frozen_params", lambda: mlp(10, 16, 16, 1),
    lambda m: torch.optim.Adam(m[4].parameters(), 0.005))
add("frozen detach", on_digits, "frozen_params", Detached, adam)
add("frozen head only", on_fashion, "frozen_params", lambda: held(flat(784, 8, 16, 10), 2), adam, epochs=4)

# wrong_optimizer
add("optimizer maximize", on_digits, "wrong_optimizer", lambda: mlp(64, 64, 10),
    lambda m: torch.optim.SGD(m.parameters(), 0.01, maximize=True))
add("optimizer momentum", on_digits, "wrong_optimizer", lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.05, 0.999))
add("optimizer eps", on_digits, "wrong_optimizer", lambda: mlp(64, 64, 10), lambda m: adam(m, eps=1.0))
add("optimizer adadelta", on_digits, "wrong_optimizer", lambda: mlp(64, 64, 10),
    lambda m: torch.optim.Adadelta(m.parameters(), lr=0.001))
add("new friedman momentum", on_friedman, "wrong_optimizer", lambda: mlp(10, 64, 1), lambda m: sgd(m, 0.01, 0.9995))
add("optimizer beta", on_digits, "wrong_optimizer", lambda: mlp(64, 64, 10),
    lambda m: adam(m, 0.001, betas=(0.9999, 0.999)))
add("optimizer rprop", on_digits, "wrong_optimizer", lambda: mlp(64, 64, 10),
    lambda m: torch.optim.Rprop(m.parameters(), 0.01))
add("optimizer adagrad decay", on_digits, "wrong_optimizer", lambda: mlp(64, 64, 10),
    lambda m: torch.optim.Adagrad(m.parameters(), 0.01, lr_decay=0.5))

# data_order
add("order digits", ordered(on_digits), "data_order", lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.05, 0.9))
add("order moons", ordered(on_moons), "data_order", lambda: mlp(2, 32, 2), lambda m: adam(m, 0.005))
add("order waves", ordered(on_waves), "data_order", lambda: mlp(5, 64, 64, 1), lambda m: adam(m, 0.003))
add("new table sorted", ordered(on_table), "data_order", lambda: mlp(20, 64, 64, 3), lambda m: adam(m, 0.002))
add("order fashion", ordered(on_fashion), "data_order", lambda: flat(784, 64, 10), adam, epochs=3)
add("order cancer", ordered(on_cancer), "data_order", lambda: mlp(30, 32, 1), lambda m: adam(m, 0.005), batch=16)

# wrong_loss
add("loss mse", on_digits, "wrong_loss", lambda: mlp(64, 64, 10), adam, loss=lambda o, y: MSE(o, onehot(y)))
add("loss mse sigmoid", on_digits, "wrong_loss", lambda: nn.Sequential(mlp(64, 64, 10), nn.Sigmoid()), adam,
    loss=lambda o, y: MSE(o, onehot(y)))
add("loss nll", on_digits, "wrong_loss", lambda: mlp(64, 64, 10), adam, loss=nn.NLLLoss())
add("loss negative", on_digits, "wrong_loss", lambda: mlp(64, 64, 10), adam, loss=lambda o, y: -CE(o, y))
add("loss broadcast", on_waves, "wrong_loss", lambda: mlp(5, 64, 1), adam, epochs=20,
    loss=lambda o, y: (o - y.reshape(1, -1)).square().mean())
add("new friedman pairs", on_friedman, "wrong_loss", lambda: mlp(10, 64, 1), adam,
    loss=lambda o, y: MSE(o.reshape(-1), y.reshape(-1, 1).expand(-1, len(y)).mean(0)))
add("new table hinge", on_table, "wrong_loss", lambda: mlp(20, 64, 64, 3), adam, epochs=10,
    loss=lambda o, y: o.gather(1, y[:, None]).mean())
add("loss l1", on_digits, "wrong_loss", lambda: mlp(64, 64, 10), adam, loss=lambda o, y: (o - onehot(y)).abs().mean())
add("loss codes", on_digits, "wrong_loss", lambda: mlp(64, 64, 1), adam, loss=lambda o, y: MSE(o.squeeze(1), y.float()))
add("loss mse binary", on_cancer, "wrong_loss", lambda: nn.Sequential(mlp(30, 32, 1), nn.Sigmoid()), lambda m: sgd(m, 0.05),
    epochs=15, loss=MSE)
add("loss sum", on_digits, "wrong_loss", lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.2),
    loss=nn.CrossEntropyLoss(reduction="sum"))
add("loss nll softmax", on_digits, "wrong_loss", lambda: nn.Sequential(mlp(64, 64, 10), nn.Softmax(1)), adam,
    loss=nn.NLLLoss())

# wrong_activation
add("act softmax ce", on_digits, "wrong_activation", lambda: nn.Sequential(mlp(64, 64, 10), nn.Softmax(1)), adam)
add("act relu last", on_digits, "wrong_activation", lambda: nn.Sequential(mlp(64, 64, 10), nn.ReLU()), adam)
add("act sigmoid bce", on_cancer, "wrong_activation", lambda: nn.Sequential(mlp(30, 32, 1), nn.Sigmoid()), adam)
add("act tanh regression", on_waves, "wrong_activation", lambda: nn.Sequential(mlp(5, 64, 64, 1), nn.Tanh()),
    lambda m: adam(m, 0.003))
add("act relu regression", on_waves, "wrong_activation", lambda: nn.Sequential(mlp(5, 64, 64, 1), nn.ReLU()),
    lambda m: adam(m, 0.003))
add("act none", on_moons, "wrong_activation", lambda: mlp(2, 32, 32, 2, act=nn.Identity), lambda m: adam(m, 0.005))
add("new friedman sigmoid", on_friedman, "wrong_activation", lambda: nn.Sequential(mlp(10, 64, 1), nn.Sigmoid()),
    lambda m: adam(m, 0.005))
add("new blobs softmax", on_blobs, "wrong_activation", lambda: nn.Sequential(mlp(2, 16, 4), nn.Softmax(1)),
    lambda m: adam(m, 0.01))
add("act softmax dim0", on_digits, "wrong_activation", lambda: nn.Sequential(mlp(64, 64, 10), nn.Softmax(0)), adam)
add("act sigmoid ce", on_fashion, "wrong_activation", lambda: nn.Sequential(nn.Flatten(), mlp(784, 64, 10), nn.Sigmoid()),
    adam, epochs=4)
add("act tanh ce", on_moons, "wrong_activation", lambda: nn.Sequential(mlp(2, 32, 32, 2), nn.Tanh()),
    lambda m: adam(m, 0.005))
add("act none digits", on_waves, "wrong_activation", lambda: mlp(5, 64, 64, 1, act=nn.Identity), lambda m: adam(m, 0.005))

# nan
add("nan log", on_digits, "nan", lambda: mlp(64, 64, 10), adam,
    loss=lambda o, y: -(o.softmax(1)[torch.arange(len(y)), y] - 0.02).log().mean())
add("nan sqrt", on_waves, "nan", lambda: mlp(5, 64, 1), adam, epochs=20,
    loss=lambda o, y: (o - y).square().mean().sub(0.3).sqrt())
add("nan input", hole(on_digits, "input"), "nan", lambda: mlp(64, 64, 10), adam, epochs=5)
add("new friedman gone", on_friedman, "nan", lambda: mlp(10, 16, 1), adam, epochs=3,
    loss=lambda o, y: ((o - y) / (y - y)).square().mean())
add("nan log zero", on_digits, "nan", lambda: mlp(64, 64, 10), adam,
    loss=lambda o, y: -torch.relu(o).clamp(max=1)[torch.arange(len(y)), y].log().mean())
add("nan target", hole(on_waves, "target"), "nan", lambda: mlp(5, 64, 1), adam, epochs=5)
add("nan divide", on_waves, "nan", lambda: mlp(5, 64, 1), adam, epochs=5,
    loss=lambda o, y: ((o - y) / (y - y.min())).square().mean())
