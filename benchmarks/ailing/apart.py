"""Faulty programs written apart from the rest: other nets, data, rules and loops, mild faults and strong ones."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import torch
from torch import nn

import thalweg.optim
from ailing import program
from ailing.nets import (
    Attention,
    Bag,
    Coder,
    Residual,
    Rows,
    Small,
    adam,
    adamw,
    biased,
    drawn,
    filled,
    flat,
    held,
    mlp,
    rmsprop,
    scaled,
    sgd,
)
from ailing.rows import (
    CE,
    MSE,
    altered,
    digits,
    on,
    on_digits,
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
    unscaled,
    wine,
)
from ailing.spoilt import bent, dice, elsewhere, first, flipped, hole, met, ordered, rarer, told, wild

# fmt: off
add = partial(program.add, new=True)
LR = torch.optim.lr_scheduler
on_pixels = altered(on(digits, MSE, epochs=20), both=lambda X, y: (X, X))
on_cells = partial(on_sequences, epochs=12)


def seq(cell: type = nn.GRU, **more: object) -> nn.Module:
    return Rows(cell, 2, 24, 4, **more)


class Plain(nn.Module):
    """A convolutional net with a layer that the optimizer may not see."""

    def __init__(self, keep: bool = True) -> None:
        super().__init__()
        layers = [nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)]
        self.layers = nn.ModuleList(layers)
        self.out = nn.Linear(8, 10)
        self.keep = keep

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.reshape(-1, 1, 8, 8)
        for layer in self.layers:
            x = torch.relu(layer(x if self.keep else x.detach()))
        return self.out(x.amax((2, 3)))


class Deep(nn.Module):
    def __init__(self, *sizes: int, act: str = "tanh") -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in pairwise(sizes)])
        self.act = act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers[:-1]:
            x = getattr(torch, self.act)(layer(x))
        return self.layers[-1](x)


class Cube(torch.autograd.Function):
    """x³ scaled, with the derivative of x²."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x.pow(3).clamp(-3, 3)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, g: torch.Tensor) -> torch.Tensor:
        return g * 2 * ctx.saved_tensors[0]


class Cubic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(20, 32), nn.Linear(32, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(Cube.apply(self.a(x)))


# the rate
add("ap high cnn", on_digits, "lr_too_high", Small, lambda m: sgd(m, 1.0, 0.9), epochs=8)
add("ap high gru", on_cells, "lr_too_high", seq, lambda m: adam(m, 0.3))
add("ap high attention", on_tokens, "lr_too_high", Attention, lambda m: adam(m, 0.1))
add("ap high bag", on_tokens, "lr_too_high", Bag, lambda m: adam(m, 2.0))
add("ap high housing", on_housing, "lr_too_high", lambda: mlp(8, 64, 32, 1), lambda m: rmsprop(m, 0.3))
add("ap high coder", on_pixels, "lr_too_high", Coder, lambda m: adam(m, 0.2))
add("ap high thalweg", on_table2, "lr_too_high", lambda: mlp(20, 32, 32, 1),
    lambda m: thalweg.optim.Adam(m.parameters(), lr=1.0))
add("ap high labels", on_labels, "lr_too_high", lambda: mlp(16, 64, 5), lambda m: sgd(m, 200.0))
add("ap high undivided", on_digits, "lr_too_high", lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.4, 0.9), batch=128, parts=16,
    undivided=True)
add("ap low cnn", on_digits, "lr_too_low", Small, lambda m: adam(m, 3e-6), epochs=8)
add("ap low gru", on_cells, "lr_too_low", seq, lambda m: sgd(m, 1e-3))
add("ap low bag", on_tokens, "lr_too_low", Bag, lambda m: sgd(m, 1e-3, 0.9))
add("ap low housing", on_housing, "lr_too_low", lambda: mlp(8, 64, 32, 1), lambda m: adamw(m, 3e-6))
add("ap low adagrad", on_table, "lr_too_low", lambda: mlp(20, 64, 3), lambda m: torch.optim.Adagrad(m.parameters(), 1e-4))
add("ap low thalweg", on_labels, "lr_too_low", lambda: mlp(16, 64, 5), lambda m: thalweg.optim.SGD(m.parameters(), lr=1e-4))
add("ap low coder", on_pixels, "lr_too_low", Coder, lambda m: sgd(m, 1e-3, 0.9))
add("ap short cnn", on_digits, "undertrained", Small, adam, epochs=1)
add("ap short spirals", on_spirals, "undertrained", lambda: mlp(2, 64, 64, 3), lambda m: adam(m, 3e-3), epochs=1)
add("ap short attention", on_tokens, "undertrained", Attention, adam, epochs=1, batch=64)
add("ap short sine", on_sine, "undertrained", lambda: mlp(1, 64, 64, 1, act=nn.Tanh), lambda m: adam(m, 3e-3), epochs=4)
add("ap plateau cosine", on_spirals, "plateau", lambda: mlp(2, 64, 64, 3), lambda m: adam(m, 3e-3),
    schedule=lambda o: LR.MultiStepLR(o, [2, 3], 0.01))
add("ap plateau housing", on_housing, "plateau", lambda: mlp(8, 64, 1), lambda m: sgd(m, 0.02, 0.9),
    schedule=lambda o: LR.ExponentialLR(o, 0.1))

# the loop and its settings
add("ap stale gru", on_cells, "no_zero_grad", seq, lambda m: adam(m, 3e-3), zero=False)
add("ap stale housing", on_housing, "no_zero_grad", lambda: mlp(8, 64, 1), lambda m: rmsprop(m, 2e-3), zero=False,
    epochs=15)
add("ap eval residual drop", on_digits, "wrong_mode", lambda: nn.Sequential(Residual(2), nn.Dropout(0.2)), adam,
    mode="eval", epochs=8)
add("ap judged attention", on_tokens, "wrong_mode", lambda: Attention(drop=0.3), adam, judge="train", epochs=8)
add("ap eval conv", on_digits, "wrong_mode", lambda: Small(drop=0.4), adam, mode="eval", epochs=6)
add("ap gradient cubic", on_table2, "wrong_gradient", Cubic, lambda m: adam(m, 3e-3))
add("ap gradient cnn", on_digits, "wrong_gradient", Small, adam, epochs=6, spoil=lambda m: m.a.weight.grad.neg_())
add("ap frozen conv", on_digits, "frozen_params", lambda: Plain(False), lambda m: adam(m, 3e-3), epochs=8)
add("ap frozen bag", on_tokens, "frozen_params", lambda: held(drawn(Bag(), nn.init.zeros_), 1), lambda m: adam(m, 3e-3))
add("ap frozen coder", on_pixels, "frozen_params", Coder, lambda m: torch.optim.Adam(m.decode.parameters(), 2e-3))
add("ap frozen gru", on_cells, "frozen_params", lambda: held(scaled(seq(nn.RNN), 0.1), 4), lambda m: adam(m, 5e-3))
add("ap order gru", ordered(on_cells), "data_order", seq, lambda m: adam(m, 5e-3))
add("ap order housing", ordered(on_housing), "data_order", lambda: mlp(8, 64, 1), lambda m: sgd(m, 0.05, 0.9))
add("ap beta cnn", on_digits, "wrong_optimizer", Small, lambda m: adam(m, 1e-3, betas=(0.9995, 0.999)), epochs=8)
add("ap momentum spirals", on_spirals, "wrong_optimizer", lambda: mlp(2, 64, 64, 3), lambda m: sgd(m, 0.1, 0.9999))
add("ap ascent labels", on_labels, "wrong_optimizer", lambda: mlp(16, 64, 5), lambda m: adam(m, 1e-3, maximize=True))

# the loss and the last activation
add("ap loss labels mse", on_labels, "wrong_loss", lambda: nn.Sequential(mlp(16, 64, 5), nn.Sigmoid()),
    lambda m: adam(m, 2e-3), loss=MSE)
add("ap loss broadcast", on_housing, "wrong_loss", lambda: mlp(8, 64, 1), lambda m: adam(m, 2e-3),
    loss=lambda o, y: MSE(o, y.squeeze(1)))
add("ap loss sign", on_cells, "wrong_loss", seq, adam,
    loss=lambda o, y: nn.functional.log_softmax(o, 1).gather(1, y[:, None]).mean())
add("ap softmax gru", on_cells, "wrong_activation", lambda: nn.Sequential(seq(), nn.Softmax(-1)), lambda m: adam(m, 3e-3))
add("ap sigmoid coder", on_pixels, "wrong_activation", lambda: Coder(last=nn.Sigmoid()), lambda m: adam(m, 2e-3))
add("ap relu housing", on_housing, "wrong_activation", lambda: nn.Sequential(mlp(8, 64, 1), nn.ReLU()),
    lambda m: adam(m, 2e-3))
add("ap sigmoid labels", on_labels, "wrong_activation", lambda: nn.Sequential(mlp(16, 64, 5), nn.Sigmoid()),
    lambda m: adam(m, 2e-3))
add("ap linear spirals", on_spirals, "wrong_activation", lambda: mlp(2, 64, 64, 3, act=nn.Identity),
    lambda m: adam(m, 3e-3), epochs=30)
add("ap nan root", on_housing, "nan", lambda: mlp(8, 64, 1), lambda m: adam(m, 2e-3),
    loss=lambda o, y: (o - y).abs().sub(0.02).sqrt().mean(), epochs=8)
add("ap nan rows", hole(on_table2, "input", float("inf")), "nan", lambda: mlp(20, 32, 1), adam, epochs=5)

# the start
add("ap init cnn", on_digits, "bad_init", lambda: filled(Small(), 0.02), adam, epochs=8)
add("ap init housing", on_housing, "bad_init", lambda: drawn(mlp(8, 64, 64, 1), lambda p: nn.init.normal_(p, 0, 2.0)),
    lambda m: adam(m, 2e-3))
add("ap init coder", on_pixels, "bad_init", lambda: drawn(Coder(), lambda p: nn.init.normal_(p, 0, 1e-4)),
    lambda m: sgd(m, 0.1, 0.9))
add("ap dead cnn", on_digits, "dead_relu", lambda: biased(Small(), -6.0), adam, epochs=8)
add("ap dead housing", on_housing, "dead_relu", lambda: biased(mlp(8, 32, 32, 1), -8.0), lambda m: adam(m, 2e-3), epochs=20)
add("ap saturated", on_table2, "saturated_activation", lambda: scaled(Deep(20, 64, 64, 1), 25), lambda m: sgd(m, 0.01, 0.9))
add("ap vanishing deep", on_table, "vanishing_gradient", lambda: Deep(20, *[24] * 8, 3, act="sigmoid"),
    lambda m: adam(m, 1e-3))
add("ap vanishing spirals", on_spirals, "vanishing_gradient", lambda: Deep(2, *[24] * 16, 3), lambda m: sgd(m, 0.05),
    epochs=30)
add("ap exploding", on_digits, "exploding_gradient", lambda: scaled(mlp(64, *[48] * 9, 10), 6),
    lambda m: sgd(m, 0.001, 0.9))
add("ap raw housing",
    bent(on_housing, lambda x: x * torch.tensor([3.8, 12, 5, 2, 1400, 3, 3, 3]) + torch.tensor([4.0, 28, 5, 1, 1400, 3,
    37, -119])),
    "unnormalised_input", lambda: mlp(8, 64, 1), lambda m: sgd(m, 1e-3, 0.9))
add("ap raw wine tanh", unscaled(wine, CE), "unnormalised_input", lambda: mlp(13, 32, 3, act=nn.Tanh),
    lambda m: adam(m, 2e-3))
add("ap far sine", bent(on_sine, lambda x: x + 60), "unnormalised_input", lambda: mlp(1, 64, 64, 1, act=nn.Tanh),
    lambda m: adam(m, 3e-3))

# size and data
add("ap bias cnn", on_digits, "high_bias",
    lambda: nn.Sequential(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 1, 3, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(4, 10)),
    lambda m: adam(m, 1e-2), epochs=30)
add("ap bias bag", on_sine, "high_bias", lambda: mlp(1, 2, 1, act=nn.Tanh), lambda m: adam(m, 1e-2), epochs=100)
add("ap bias spirals", on_spirals, "high_bias", lambda: mlp(2, 3, 3), lambda m: adam(m, 2e-2))
add("ap decay cnn", on_digits, "over_regularised", Small, lambda m: adam(m, 2e-3, weight_decay=0.2), epochs=8)
add("ap drop sequences", on_cells, "over_regularised", lambda: flat(32, 64, 64, 4, drop=0.9), lambda m: adam(m, 2e-3))
add("ap decay adamw", on_housing, "over_regularised", lambda: mlp(8, 64, 32, 1),
    lambda m: adamw(m, 3e-3, weight_decay=20.0))
add("ap drop labels", on_three, "over_regularised", lambda: mlp(12, 64, 64, 3, drop=0.8), lambda m: adam(m, 3e-3),
    epochs=60)
add("ap variance cnn", first(on_digits, 50), "high_variance", lambda: Small(32), lambda m: adam(m, 2e-3), epochs=100,
    batch=16)
add("ap variance gru", first(on_cells, 12), "high_variance", lambda: Rows(nn.LSTM, 2, 96, 4), lambda m: adam(m, 5e-3),
    epochs=100, batch=16)
add("ap variance table", first(on_table, 60), "high_variance", lambda: mlp(20, 256, 128, 3), adam, epochs=150, batch=16)
add("ap variance housing", first(on_housing, 60), "high_variance", lambda: mlp(8, 256, 256, 1), lambda m: adam(m, 2e-3),
    epochs=200, batch=16)
add("ap noise cnn", flipped(on_digits, 0.25, 10), "label_noise", Small, lambda m: adam(m, 2e-3), epochs=15)
add("ap noise table", flipped(on_table2, 0.25), "label_noise", lambda: mlp(20, 64, 1), lambda m: adam(m, 3e-3), epochs=30)
add("ap noise housing", wild(on_housing, 0.1, 8.0), "label_noise", lambda: mlp(8, 64, 1), lambda m: adam(m, 2e-3))
add("ap noise sine", wild(on_sine, 0.08, 6.0), "label_noise", lambda: mlp(1, 64, 64, 1), lambda m: adam(m, 3e-3))
add("ap noise friedman", wild(on_friedman, 0.1, 10.0, both=True), "label_noise", lambda: mlp(10, 64, 1),
    lambda m: adam(m, 3e-3))
add("ap dev cnn", elsewhere(on_digits, lambda x: x.reshape(-1, 8, 8).transpose(1, 2).reshape(-1, 64)), "train_dev_mismatch",
    Small, adam, epochs=8)
add("ap dev housing", elsewhere(on_housing, lambda x: x * torch.tensor([1, 3, 1, 1, 0.2, 1, 1, 1]) + 0.8),
    "train_dev_mismatch", lambda: mlp(8, 64, 1), lambda m: adam(m, 2e-3))
add("ap dev gru", elsewhere(on_cells, lambda x: x + torch.randn(x.shape, generator=dice(4))), "train_dev_mismatch", seq,
    lambda m: adam(m, 5e-3))
add("ap rare cnn", rarer(on_digits, lambda y: y < 3, 0.02), "class_imbalance", Small, adam, epochs=6)
add("ap rare table", rarer(on_table2, lambda y: y == 1, 0.03), "class_imbalance", lambda: mlp(20, 32, 1), adam, epochs=15)
add("ap leak housing", told(on_housing, lambda y: y + 0.02 * torch.randn(y.shape, generator=dice(5))), "leakage",
    lambda: mlp(9, 64, 1), lambda m: adam(m, 2e-3))
add("ap leak gru", met(on_cells, 200), "leakage", seq, lambda m: adam(m, 5e-3))

# abilities that came later
def lagging(m: nn.Module) -> nn.Module:
    for layer in m.modules():
        if isinstance(layer, nn.BatchNorm1d):
            layer.momentum = 1e-4
    return m


add("ap norm lags", on_digits, "wrong_mode", lambda: lagging(mlp(64, 64, 64, 10, norm=True)), lambda m: adam(m, 2e-3),
    epochs=6)
add("ap undivided moons", on_moons, "lr_too_high", lambda: mlp(2, 32, 32, 2), lambda m: sgd(m, 0.15, 0.9), batch=64,
    parts=32, undivided=True)

# less is told
add("ap untold loss", on_table2, "lr_too_high", lambda: mlp(20, 32, 32, 1), lambda m: adam(m, 1.0), told=("train", "dev"))
add("ap untold dev", on_spirals, "lr_too_low", lambda: mlp(2, 64, 64, 3), lambda m: adam(m, 1e-5), told=("loss", "train"),
    epochs=40)
add("ap untold train", on_digits, "no_zero_grad", Small, adam, zero=False, told=(), epochs=5)
add("ap untold frozen", on_moons, "frozen_params", lambda: mlp(2, 16, 16, 2),
    lambda m: torch.optim.Adam(m[4].parameters(), 5e-3), told=("train",))
