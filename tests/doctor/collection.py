"""The programs themselves: importing this fills ``ailing.PROGRAMS``. Healthy ones first."""

from __future__ import annotations

import torch
from ailing import (
    BCE,
    CE,
    MSE,
    Program,
    adam,
    cancer,
    conv,
    diabetes,
    digits,
    fashion,
    mlp,
    moons,
    on_cancer,
    on_digits,
    on_fashion,
    on_moons,
    on_waves,
    program,
    sgd,
    waves,
    wine_raw,
)  # fmt: skip
from torch import nn

H = None


def simple(name: str, make):
    make.__name__ = name
    program(make)


def with_(on, kind, build, opt, **more):
    def make(seed):
        m = build()
        return on(kind, m, opt(m), **more)

    return make


def add(name, on, kind, build, opt, **more):
    simple(name, with_(on, kind, build, opt, **more))


# healthy
add("ok digits sgd", on_digits, H, lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.1, 0.9), epochs=20)
add("ok digits adam", on_digits, H, lambda: mlp(64, 64, 10), lambda m: adam(m))
add("ok digits adam deep", on_digits, H, lambda: mlp(64, 64, 64, 64, 10), lambda m: adam(m))
add(
    "ok digits adamw bn",
    on_digits,
    H,
    lambda: mlp(64, 64, 64, 10, norm=True),
    lambda m: torch.optim.AdamW(m.parameters(), 2e-3),
)
add("ok digits dropout", on_digits, H, lambda: mlp(64, 128, 10, drop=0.3), lambda m: adam(m, 2e-3), epochs=20)
add("ok digits linear", on_digits, H, lambda: nn.Linear(64, 10), lambda m: sgd(m, 0.1, 0.9), epochs=20)
add("ok digits tanh", on_digits, H, lambda: mlp(64, 64, 64, 10, act=nn.Tanh), lambda m: adam(m, 2e-3))
add("ok digits sigmoid", on_digits, H, lambda: mlp(64, 64, 10, act=nn.Sigmoid), lambda m: adam(m, 5e-3), epochs=20)
add("ok digits rmsprop", on_digits, H, lambda: mlp(64, 64, 10), lambda m: torch.optim.RMSprop(m.parameters(), 1e-3))
add(
    "ok digits nadam gelu",
    on_digits,
    H,
    lambda: mlp(64, 64, 64, 10, act=nn.GELU),
    lambda m: torch.optim.NAdam(m.parameters(), 1e-3),
)
add("ok digits adagrad", on_digits, H, lambda: mlp(64, 64, 10), lambda m: torch.optim.Adagrad(m.parameters(), 0.03))
add("ok digits cosine", on_digits, H, lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.1, 0.9),
    schedule=lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 15))  # fmt: skip
add("ok digits step", on_digits, H, lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.1, 0.9),
    schedule=lambda o: torch.optim.lr_scheduler.StepLR(o, 5, 0.3))  # fmt: skip
add("ok moons adam", on_moons, H, lambda: mlp(2, 32, 32, 2), lambda m: adam(m, 5e-3))
add("ok moons sgd", on_moons, H, lambda: mlp(2, 32, 2), lambda m: sgd(m, 0.3, 0.9))
add("ok moons tanh", on_moons, H, lambda: mlp(2, 32, 32, 2, act=nn.Tanh), lambda m: adam(m, 5e-3))
add("ok moons full batch", on_moons, H, lambda: mlp(2, 32, 32, 2), lambda m: adam(m, 1e-2), batch=1000, epochs=300)
add("ok cancer", on_cancer, H, lambda: mlp(30, 32, 1), lambda m: adam(m, 2e-3))
add("ok cancer logistic", on_cancer, H, lambda: nn.Linear(30, 1), lambda m: sgd(m, 0.1), epochs=40)
add("ok waves", on_waves, H, lambda: mlp(5, 64, 64, 1), lambda m: adam(m, 3e-3))
add("ok waves bn", on_waves, H, lambda: mlp(5, 64, 64, 1, norm=True), lambda m: adam(m, 3e-3))
add(
    "ok diabetes",
    lambda *a, **k: Program(*a[:3], MSE, *diabetes(), **k),
    H,
    lambda: mlp(10, 16, 1),
    lambda m: adam(m, 2e-3, weight_decay=1e-4),
    epochs=15,
)
add(
    "ok diabetes linear",
    lambda *a, **k: Program(*a[:3], MSE, *diabetes(), **k),
    H,
    lambda: nn.Linear(10, 1),
    lambda m: sgd(m, 0.01),
    epochs=30,
)
add("ok fashion conv", on_fashion, H, conv, lambda m: adam(m, 2e-3), epochs=6)
add("ok fashion conv bn sgd", on_fashion, H, lambda: conv(True), lambda m: sgd(m, 0.05, 0.9), epochs=6)
add(
    "ok fashion mlp",
    on_fashion,
    H,
    lambda: nn.Sequential(nn.Flatten(), mlp(784, 128, 10, drop=0.2)),
    lambda m: adam(m),
    epochs=8,
)

# faulty
for lr in (3.0, 30.0):
    add(f"lr high sgd {lr:g}", on_digits, "lr_too_high", lambda: mlp(64, 64, 10), lambda m, lr=lr: sgd(m, lr))
for lr in (0.1, 1.0):
    add(f"lr high adam {lr:g}", on_digits, "lr_too_high", lambda: mlp(64, 64, 64, 10), lambda m, lr=lr: adam(m, lr))
add("lr high moons", on_moons, "lr_too_high", lambda: mlp(2, 32, 32, 2), lambda m: adam(m, 0.5))
add("lr high waves", on_waves, "lr_too_high", lambda: mlp(5, 64, 64, 1), lambda m: sgd(m, 1.0, 0.9))
for lr in (1e-5, 1e-6):
    add(f"lr low adam {lr:g}", on_digits, "lr_too_low", lambda: mlp(64, 64, 10), lambda m, lr=lr: adam(m, lr))
add("lr low sgd", on_digits, "lr_too_low", lambda: mlp(64, 64, 10), lambda m: sgd(m, 1e-4))
add("lr low moons", on_moons, "lr_too_low", lambda: mlp(2, 32, 32, 2), lambda m: sgd(m, 1e-4, 0.9))
add("lr low waves", on_waves, "lr_too_low", lambda: mlp(5, 64, 64, 1), lambda m: adam(m, 1e-5))
add("undertrained digits", on_digits, "undertrained", lambda: mlp(64, 64, 10), lambda m: adam(m), epochs=1)
add("undertrained moons", on_moons, "undertrained", lambda: mlp(2, 32, 32, 2), lambda m: adam(m), epochs=2)
add("undertrained waves", on_waves, "undertrained", lambda: mlp(5, 64, 64, 1), lambda m: adam(m), epochs=2)
add("undertrained fashion", on_fashion, "undertrained", conv, lambda m: sgd(m, 0.01, 0.9), epochs=1, batch=256)
add("no zero grad", on_digits, "no_zero_grad", lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.05), zero=False)
add("no zero grad adam", on_moons, "no_zero_grad", lambda: mlp(2, 32, 32, 2), lambda m: adam(m, 5e-3), zero=False)
add(
    "vanishing sigmoid",
    on_digits,
    "vanishing_gradient",
    lambda: mlp(64, *[32] * 8, 10, act=nn.Sigmoid),
    lambda m: sgd(m, 0.1, 0.9),
)
add(
    "vanishing sigmoid adam",
    on_digits,
    "vanishing_gradient",
    lambda: mlp(64, *[32] * 10, 10, act=nn.Sigmoid),
    lambda m: adam(m),
)
add(
    "vanishing tanh", on_moons, "vanishing_gradient", lambda: mlp(2, *[16] * 18, 2, act=nn.Tanh), lambda m: sgd(m, 0.05)
)


def scaled(m, factor):
    with torch.no_grad():
        for p in m.parameters():
            if p.ndim >= 2:
                p.mul_(factor)
    return m


def filled(m, value):
    with torch.no_grad():
        for p in m.parameters():
            p.fill_(value)
    return m


def biased(m, value):
    for layer in m.modules():
        if isinstance(layer, nn.Linear) and layer.out_features > 10:
            nn.init.constant_(layer.bias, value)
    return m


add(
    "exploding relu", on_digits, "exploding_gradient", lambda: scaled(mlp(64, *[64] * 8, 10), 8), lambda m: sgd(m, 0.01)
)
add("bad init zeros", on_digits, "bad_init", lambda: filled(mlp(64, 64, 10), 0.0), lambda m: sgd(m, 0.1))
add("bad init const", on_digits, "bad_init", lambda: filled(mlp(64, 64, 64, 10), 0.1), lambda m: adam(m))
add("bad init large", on_digits, "bad_init", lambda: scaled(mlp(64, 64, 10), 30), lambda m: adam(m))
add("bad init small", on_digits, "bad_init", lambda: scaled(mlp(64, 64, 64, 10), 0.01), lambda m: sgd(m, 0.05))
add("dead relu", on_digits, "dead_relu", lambda: biased(mlp(64, 64, 64, 10), -10.0), lambda m: adam(m))
add("dead relu moons", on_moons, "dead_relu", lambda: biased(mlp(2, 32, 32, 2), -5.0), lambda m: sgd(m, 0.05, 0.9))
add(
    "saturated tanh",
    on_digits,
    "saturated_activation",
    lambda: scaled(mlp(64, 64, 64, 10, act=nn.Tanh), 15),
    lambda m: sgd(m, 0.01),
)
add(
    "saturated sigmoid",
    on_moons,
    "saturated_activation",
    lambda: scaled(mlp(2, 32, 32, 2, act=nn.Sigmoid), 60),
    lambda m: adam(m),
)


def raw_wine(kind, m, o, **more):
    return Program(kind, m, o, CE, *wine_raw(), **{"epochs": 40, **more})


add("raw wine", raw_wine, "unnormalised_input", lambda: mlp(13, 32, 3), lambda m: sgd(m, 0.01))
add("raw wine adam", raw_wine, "unnormalised_input", lambda: mlp(13, 32, 3), lambda m: adam(m))


def raw_fashion(kind, m, o, **more):
    (a, b), (c, d) = fashion()
    return on_fashion(kind, m, o, **more).__class__(
        kind, m, o, CE, ((a * 0.353 + 0.286) * 255, b), ((c * 0.353 + 0.286) * 255, d), epochs=4, batch=64
    )


add(
    "raw fashion sgd",
    raw_fashion,
    "unnormalised_input",
    lambda: nn.Sequential(nn.Flatten(), mlp(784, 64, 10)),
    lambda m: sgd(m, 0.05),
)
add("bias linear moons", on_moons, "high_bias", lambda: nn.Linear(2, 2), lambda m: adam(m, 1e-2))
add("bias narrow digits", on_digits, "high_bias", lambda: mlp(64, 2, 10), lambda m: adam(m, 5e-3), epochs=40)
add("bias linear waves", on_waves, "high_bias", lambda: nn.Linear(5, 1), lambda m: adam(m, 1e-2))
add("decay adam", on_digits, "over_regularised", lambda: mlp(64, 64, 10), lambda m: adam(m, weight_decay=0.3))
add("decay sgd", on_moons, "over_regularised", lambda: mlp(2, 32, 32, 2), lambda m: sgd(m, 0.1, weight_decay=0.1))
add("dropout .9", on_digits, "over_regularised", lambda: mlp(64, 32, 32, 10, drop=0.9), lambda m: adam(m))
add("l1 penalty", on_digits, "over_regularised", lambda: mlp(64, 64, 10), lambda m: adam(m),
    penalty=lambda m: 0.01 * sum(p.abs().sum() for p in m.parameters()))  # fmt: skip


def few(kind, m, o, n=60, **more):
    (a, b), dev = digits()
    return Program(kind, m, o, CE, (a[:n], b[:n]), dev, **{"epochs": 200, "batch": 16, **more})


add("variance digits", few, "high_variance", lambda: mlp(64, 256, 256, 10), lambda m: adam(m))


def few_fashion(kind, m, o, n=200, **more):
    (a, b), dev = fashion()
    return Program(kind, m, o, CE, (a[:n], b[:n]), dev, **{"epochs": 60, "batch": 32, **more})


add(
    "variance fashion",
    few_fashion,
    "high_variance",
    lambda: nn.Sequential(nn.Flatten(), mlp(784, 256, 256, 10)),
    lambda m: adam(m),
)


def noisy(share, dev_too=False):
    def on(kind, m, o, **more):
        (a, b), (c, d) = digits()
        g = torch.Generator().manual_seed(1)
        swap = torch.rand(len(b), generator=g) < share
        b = torch.where(swap, torch.randint(0, 10, b.shape, generator=g), b)
        if dev_too:
            d = torch.where(torch.rand(len(d), generator=g) < share, torch.randint(0, 10, d.shape, generator=g), d)
        return Program(kind, m, o, CE, (a, b), (c, d), **{"epochs": 20, **more})

    return on


add("noise .3", noisy(0.3), "label_noise", lambda: mlp(64, 128, 10), lambda m: adam(m))
add("noise .3 both", noisy(0.3, True), "label_noise", lambda: mlp(64, 128, 10), lambda m: adam(m), epochs=40)
add("noise .6", noisy(0.6), "label_noise", lambda: mlp(64, 128, 10), lambda m: adam(m))


def shifted(change):
    def on(kind, m, o, **more):
        (a, b), (c, d) = digits()
        return Program(kind, m, o, CE, (a, b), (change(c), d), **{"epochs": 15, **more})

    return on


add(
    "mismatch noise",
    shifted(lambda c: c + 1.0 * torch.randn(c.shape, generator=torch.Generator().manual_seed(1))),
    "train_dev_mismatch",
    lambda: mlp(64, 64, 10),
    adam,
)
add("mismatch inverted", shifted(lambda c: -c), "train_dev_mismatch", lambda: mlp(64, 64, 10), adam)
add(
    "mismatch shifted",
    shifted(lambda c: torch.roll(c.reshape(-1, 8, 8), 1, 2).reshape(-1, 64)),
    "train_dev_mismatch",
    lambda: mlp(64, 64, 10),
    adam,
)


def rare(kind, m, o, keep=12, **more):
    (a, b), (c, d) = moons(0.3, 2000)
    rows = torch.cat([torch.where(b == 0)[0], torch.where(b == 1)[0][:keep]])
    dev = torch.cat([torch.where(d == 0)[0], torch.where(d == 1)[0][:20]])
    return Program(kind, m, o, CE, (a[rows], b[rows]), (c[dev], d[dev]), **{"epochs": 15, **more})


add("imbalance moons", rare, "class_imbalance", lambda: mlp(2, 32, 2), lambda m: adam(m))


def ordered(on):
    def make(kind, m, o, **more):
        p = on(kind, m, o, **more)
        a, b = p.train
        rows = b.reshape(-1).argsort(stable=True)
        p.train = a[rows], b[rows]
        p.shuffle = False
        return p

    return make


add("order digits", ordered(on_digits), "data_order", lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.05, 0.9))
add("order moons", ordered(on_moons), "data_order", lambda: mlp(2, 32, 2), lambda m: adam(m, 5e-3))
add("order waves", ordered(on_waves), "data_order", lambda: mlp(5, 64, 64, 1), lambda m: adam(m, 3e-3))
add("plateau schedule", on_digits, "plateau", lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.05),
    schedule=lambda o: torch.optim.lr_scheduler.StepLR(o, 1, 0.05))  # fmt: skip


def losing(loss):
    def on(kind, m, o, **more):
        return Program(kind, m, o, loss, *digits(), **{"epochs": 15, **more})

    return on


def onehot(y):
    return nn.functional.one_hot(y, 10).float()


add("loss mse", losing(lambda o, y: MSE(o, onehot(y))), "wrong_loss", lambda: mlp(64, 64, 10), adam)
add(
    "loss mse sigmoid",
    losing(lambda o, y: MSE(o, onehot(y))),
    "wrong_loss",
    lambda: nn.Sequential(mlp(64, 64, 10), nn.Sigmoid()),
    adam,
)
add("loss nll", losing(nn.NLLLoss()), "wrong_loss", lambda: mlp(64, 64, 10), adam)
add("loss negative", losing(lambda o, y: -CE(o, y)), "wrong_loss", lambda: mlp(64, 64, 10), adam)
add(
    "loss broadcast",
    lambda *a, **k: Program(*a[:3], lambda o, y: (o - y.reshape(1, -1)).square().mean(), *waves(), **k),
    "wrong_loss",
    lambda: mlp(5, 64, 1),
    adam,
    epochs=20,
)
add("act softmax ce", on_digits, "wrong_activation", lambda: nn.Sequential(mlp(64, 64, 10), nn.Softmax(1)), adam)
add("act relu last", on_digits, "wrong_activation", lambda: nn.Sequential(mlp(64, 64, 10), nn.ReLU()), adam)
add("act sigmoid bce", on_cancer, "wrong_activation", lambda: nn.Sequential(mlp(30, 32, 1), nn.Sigmoid()), adam)
add(
    "act tanh regression",
    lambda *a, **k: on_waves(*a, **k),
    "wrong_activation",
    lambda: nn.Sequential(mlp(5, 64, 64, 1), nn.Tanh()),
    lambda m: adam(m, 3e-3),
)
add(
    "act relu regression",
    on_waves,
    "wrong_activation",
    lambda: nn.Sequential(mlp(5, 64, 64, 1), nn.ReLU()),
    lambda m: adam(m, 3e-3),
)
add("act none", on_moons, "wrong_activation", lambda: mlp(2, 32, 32, 2, act=nn.Identity), lambda m: adam(m, 5e-3))


class WrongTanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.tanh()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * (1 - y)


class WrongReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (x < 0)


def custom(function):
    class Layer(nn.Module):
        def forward(self, x):
            return function.apply(x)

    return Layer


def flip(m):
    m[0].weight.grad.neg_()


add("gradient tanh", on_digits, "wrong_gradient", lambda: mlp(64, 64, 64, 10, act=custom(WrongTanh)), adam)
add(
    "gradient relu",
    on_moons,
    "wrong_gradient",
    lambda: mlp(2, 32, 32, 2, act=custom(WrongReLU)),
    lambda m: adam(m, 5e-3),
)
add("gradient flipped", on_digits, "wrong_gradient", lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.1), spoil=flip)
add(
    "optimizer maximize",
    on_digits,
    "wrong_optimizer",
    lambda: mlp(64, 64, 10),
    lambda m: torch.optim.SGD(m.parameters(), 0.01, maximize=True),
)
add("optimizer momentum", on_digits, "wrong_optimizer", lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.05, 0.999))
add("optimizer eps", on_digits, "wrong_optimizer", lambda: mlp(64, 64, 10), lambda m: adam(m, eps=1.0))
add(
    "optimizer adadelta",
    on_digits,
    "wrong_optimizer",
    lambda: mlp(64, 64, 10),
    lambda m: torch.optim.Adadelta(m.parameters(), lr=1e-3),
)


def held(m, keep):
    for k, p in enumerate(m.parameters()):
        p.requires_grad_(k >= keep)
    return m


add("frozen first", on_moons, "frozen_params", lambda: held(mlp(2, 8, 8, 2), 4), lambda m: adam(m, 5e-3))
add(
    "frozen last only",
    on_digits,
    "frozen_params",
    lambda: mlp(64, 64, 64, 10),
    lambda m: torch.optim.Adam(m[4].parameters(), 1e-3),
)
add("frozen all", on_digits, "frozen_params", lambda: mlp(64, 64, 10), lambda m: adam(mlp(64, 64, 10)))


def leaky(kind, m, o, **more):
    (a, b), (c, d) = cancer()
    return Program(
        kind, m, o, BCE, (torch.cat([a, 2 * b - 1], 1), b), (torch.cat([c, 2 * d - 1], 1), d), **{"epochs": 20, **more}
    )


def met(kind, m, o, **more):
    (a, b), (c, d) = digits()
    return Program(kind, m, o, CE, (torch.cat([a, c[:200]]), torch.cat([b, d[:200]])), (c, d), **{"epochs": 20, **more})


add("leak column", leaky, "leakage", lambda: mlp(31, 32, 1), lambda m: adam(m))
add("leak rows", met, "leakage", lambda: mlp(64, 64, 10), lambda m: adam(m))
add("mode eval dropout", on_digits, "wrong_mode", lambda: mlp(64, 64, 10, drop=0.5), lambda m: adam(m), mode="eval")
add("mode eval bn", on_digits, "wrong_mode", lambda: mlp(64, 64, 10, norm=True), lambda m: adam(m), mode="eval")
add(
    "mode judged in train", on_digits, "wrong_mode", lambda: mlp(64, 64, 10, drop=0.5), lambda m: adam(m), judge="train"
)
add(
    "nan log",
    losing(lambda o, y: -(o.softmax(1)[torch.arange(len(y)), y] - 0.02).log().mean()),
    "nan",
    lambda: mlp(64, 64, 10),
    lambda m: adam(m),
)
add(
    "nan sqrt",
    lambda *a, **k: Program(*a[:3], lambda o, y: (o - y).square().mean().sub(0.3).sqrt(), *waves(), **k),
    "nan",
    lambda: mlp(5, 64, 1),
    lambda m: adam(m),
    epochs=20,
)


def holed(kind, m, o, **more):
    (a, b), dev = digits()
    a = a.clone()
    a[5, 3] = float("nan")
    return Program(kind, m, o, CE, (a, b), dev, **{"epochs": 5, **more})


add("nan input", holed, "nan", lambda: mlp(64, 64, 10), adam)
