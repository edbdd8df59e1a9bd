"""More programs: other severities and other ways to the same faults, more healthy ones."""

from __future__ import annotations

import torch
from ailing import (
    BCE,
    adam,
    cancer,
    conv,
    diabetes,
    digits,
    moons,
    on_cancer,
    on_digits,
    on_fashion,
    on_moons,
    on_waves,
    waves,
)
from collection import (
    CE,
    MSE,
    H,
    Program,
    add,
    biased,
    filled,
    held,
    losing,
    mlp,
    noisy,
    onehot,
    ordered,
    scaled,
    sgd,
    shifted,
    with_,
)
from torch import nn

LR = torch.optim.lr_scheduler


class Rows(nn.Module):
    """A recurrent net over the 8 rows of a digit."""

    def __init__(self, cell=nn.LSTM, **more):
        super().__init__()
        self.cell, self.out = cell(8, 32, batch_first=True, **more), nn.Linear(32, 10)

    def forward(self, x):
        return self.out(self.cell(x.reshape(-1, 8, 8))[0][:, -1])


class Residual(nn.Module):
    def __init__(self, depth=6):
        super().__init__()
        self.first = nn.Linear(64, 32)
        self.blocks = nn.ModuleList(
            [nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 32)) for _ in range(depth)]
        )
        self.last = nn.Linear(32, 10)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return self.last(x)


class Detached(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(64, 8), nn.Linear(8, 8), nn.Linear(8, 10)

    def forward(self, x):
        return self.c(torch.relu(self.b(torch.relu(self.a(x)))).detach())


def sub(on, n, **more):
    def make(kind, m, o, **given):
        p = on(kind, m, o, **{**more, **given})
        a, b = p.train
        p.train = a[:n], b[:n]
        return p

    return make


def drawn(m, draw):
    for p in m.parameters():
        if p.ndim >= 2:
            draw(p)
    return m


def clip(m):
    nn.utils.clip_grad_norm_(m.parameters(), 1.0)


def on_diabetes(kind, m, o, **more):
    return Program(kind, m, o, MSE, *diabetes(), **{"epochs": 30, **more})


def on_digit_rows(kind, m, o, **more):
    return on_digits(kind, m, o, **{"epochs": 12, **more})


# healthy
add("ok lstm", on_digit_rows, H, Rows, lambda m: adam(m, 5e-3))
add("ok gru clip", on_digit_rows, H, lambda: Rows(nn.GRU), lambda m: adam(m, 5e-3), spoil=clip)
add("ok residual", on_digits, H, Residual, lambda m: adam(m))
add(
    "ok smoothing",
    losing(nn.CrossEntropyLoss(label_smoothing=0.1)),
    H,
    lambda: mlp(64, 64, 10),
    lambda m: adam(m, 2e-3),
)
add(
    "ok onecycle",
    on_digits,
    H,
    lambda: mlp(64, 64, 10),
    lambda m: sgd(m, 0.1, 0.9),
    schedule=lambda o: LR.OneCycleLR(o, 0.2, total_steps=16),
)
add(
    "ok nesterov decay",
    on_digits,
    H,
    lambda: mlp(64, 64, 10),
    lambda m: sgd(m, 0.05, 0.9, nesterov=True, weight_decay=1e-3),
)
add(
    "ok adamw decay",
    on_moons,
    H,
    lambda: mlp(2, 64, 64, 2),
    lambda m: torch.optim.AdamW(m.parameters(), 3e-3, weight_decay=0.01),
)
add(
    "ok huber",
    lambda *a, **k: Program(*a[:3], nn.HuberLoss(), *waves(), **k),
    H,
    lambda: mlp(5, 64, 64, 1),
    lambda m: adam(m, 3e-3),
    epochs=30,
)
add(
    "ok l1 loss",
    lambda *a, **k: Program(*a[:3], nn.L1Loss(), *waves(), **k),
    H,
    lambda: mlp(5, 64, 64, 1),
    lambda m: adam(m, 3e-3),
    epochs=30,
)
add(
    "ok noisy moons",
    lambda *a, **k: Program(*a[:3], CE, *moons(0.35), **k),
    H,
    lambda: mlp(2, 32, 32, 2),
    lambda m: adam(m, 5e-3),
    epochs=25,
)
add("ok moons binary", lambda kind, m, o, **k: Program(kind, m, o, lambda out, y: nn.functional.binary_cross_entropy_with_logits(out.squeeze(1), y.float()), *moons(), **k), H,  # noqa: E501
    lambda: mlp(2, 32, 32, 1), lambda m: adam(m, 5e-3), epochs=40)  # fmt: skip
add(
    "ok bce sigmoid",
    lambda *a, **k: Program(*a[:3], nn.BCELoss(), *cancer(), **k),
    H,
    lambda: nn.Sequential(mlp(30, 32, 1), nn.Sigmoid()),
    lambda m: adam(m, 2e-3),
    epochs=20,
)
add(
    "ok nll log_softmax",
    losing(nn.NLLLoss()),
    H,
    lambda: nn.Sequential(mlp(64, 64, 10), nn.LogSoftmax(1)),
    lambda m: adam(m, 2e-3),
)
add("ok unshuffled", on_digits, H, lambda: mlp(64, 64, 10), lambda m: adam(m, 2e-3), shuffle=False)
add(
    "ok radam leaky",
    on_digits,
    H,
    lambda: mlp(64, 64, 64, 10, act=nn.LeakyReLU),
    lambda m: torch.optim.RAdam(m.parameters(), 3e-3),
)
add("ok diabetes dropout", on_diabetes, H, lambda: mlp(10, 32, 1, drop=0.2), lambda m: adam(m, 2e-3))
add("ok lbfgs-like batch", on_cancer, H, lambda: mlp(30, 16, 1), lambda m: sgd(m, 0.5), batch=426, epochs=120)
add("ok wide", on_moons, H, lambda: mlp(2, 256, 2), lambda m: adam(m, 1e-2))
add("ok mild imbalance", lambda kind, m, o, **k: Program(kind, m, o, CE, *[(torch.cat([a[b == 0], a[b == 1][: int((b == 1).sum()) // 4]]), torch.cat([b[b == 0], b[b == 1][: int((b == 1).sum()) // 4]])) for a, b in moons()], **k), H,  # noqa: E501
    lambda: mlp(2, 32, 32, 2), lambda m: adam(m, 5e-3), epochs=40)  # fmt: skip
add("ok sigmoid 2", on_moons, H, lambda: mlp(2, 32, 2, act=nn.Sigmoid), lambda m: adam(m, 3e-2), epochs=60)
add(
    "ok fashion sgd bn",
    on_fashion,
    H,
    lambda: nn.Sequential(nn.Flatten(), mlp(784, 64, 10, norm=True)),
    lambda m: sgd(m, 0.02, 0.9),
    epochs=5,
)
add("ok elu deep", on_digits, H, lambda: mlp(64, 48, 48, 48, 48, 10, act=nn.ELU), lambda m: adam(m))
add("ok sum loss", losing(nn.CrossEntropyLoss(reduction="sum")), H, lambda: mlp(64, 64, 10), lambda m: sgd(m, 0.003))

# faulty
add("vanishing relu deep", on_digits, "vanishing_gradient", lambda: mlp(64, *[32] * 15, 10), lambda m: sgd(m, 0.05))
add(
    "vanishing tanh adam",
    on_digits,
    "vanishing_gradient",
    lambda: scaled(mlp(64, *[24] * 20, 10, act=nn.Tanh), 0.8),
    lambda m: adam(m),
)
add(
    "vanishing sigmoid 5",
    on_moons,
    "vanishing_gradient",
    lambda: mlp(2, *[16] * 5, 2, act=nn.Sigmoid),
    lambda m: sgd(m, 0.1),
)
add("exploding deep", on_moons, "exploding_gradient", lambda: scaled(mlp(2, *[32] * 12, 2), 5), lambda m: sgd(m, 0.01))
add(
    "exploding rnn",
    on_digits,
    "exploding_gradient",
    lambda: scaled(Rows(nn.RNN, nonlinearity="relu"), 6),
    lambda m: sgd(m, 0.01),
)
add(
    "bad init normal",
    on_digits,
    "bad_init",
    lambda: drawn(mlp(64, 64, 64, 10), nn.init.normal_),
    lambda m: sgd(m, 0.01),
)
add("bad init uniform", on_moons, "bad_init", lambda: drawn(mlp(2, 64, 64, 2), nn.init.uniform_), lambda m: adam(m))
add(
    "bad init tiny",
    on_fashion,
    "bad_init",
    lambda: nn.Sequential(nn.Flatten(), drawn(mlp(784, 64, 64, 10), lambda p: nn.init.normal_(p, 0, 1e-4))),
    lambda m: sgd(m, 0.05),
    epochs=3,
)
add("bad init ones", on_cancer, "bad_init", lambda: drawn(mlp(30, 16, 16, 1), nn.init.ones_), lambda m: adam(m))
add("dead relu -2", on_digits, "dead_relu", lambda: biased(mlp(64, 32, 32, 10), -4.0), lambda m: sgd(m, 0.05))
add(
    "dead relu fashion",
    on_fashion,
    "dead_relu",
    lambda: nn.Sequential(nn.Flatten(), biased(mlp(784, 64, 64, 10), -8.0)),
    lambda m: adam(m),
    epochs=3,
)
add(
    "saturated sigmoid 20",
    on_digits,
    "saturated_activation",
    lambda: scaled(mlp(64, 64, 64, 10, act=nn.Sigmoid), 25),
    lambda m: sgd(m, 0.05),
)
add("lr high sgd 1", on_digits, "lr_too_high", lambda: mlp(64, 64, 64, 10), lambda m: sgd(m, 1.5))
add("lr high momentum", on_digits, "lr_too_high", lambda: mlp(64, 64, 10), lambda m: sgd(m, 1.0, 0.9))
add("lr high fashion", on_fashion, "lr_too_high", conv, lambda m: adam(m, 0.1))
add("lr high cancer", on_cancer, "lr_too_high", lambda: mlp(30, 32, 1), lambda m: sgd(m, 100.0))
add("lr high regression", on_diabetes, "lr_too_high", lambda: mlp(10, 32, 1), lambda m: sgd(m, 1.0))
add("lr low fashion", on_fashion, "lr_too_low", conv, lambda m: adam(m, 5e-6))
add("lr low cancer", on_cancer, "lr_too_low", lambda: mlp(30, 32, 1), lambda m: sgd(m, 1e-4))
add("lr low mild", on_digits, "lr_too_low", lambda: mlp(64, 64, 10), lambda m: adam(m, 5e-5))
add("lr low diabetes", on_diabetes, "lr_too_low", lambda: mlp(10, 32, 1), lambda m: sgd(m, 1e-5, 0.9))
add("undertrained digits 2", on_digits, "undertrained", lambda: mlp(64, 64, 64, 10), lambda m: sgd(m, 0.05), epochs=2)
add("undertrained diabetes", on_diabetes, "undertrained", lambda: mlp(10, 32, 1), lambda m: adam(m), epochs=2)
add(
    "raw cancer",
    lambda kind, m, o, **k: Program(kind, m, o, BCE, *_raw_cancer(), **{"epochs": 20, **k}),
    "unnormalised_input",
    lambda: mlp(30, 32, 1),
    lambda m: sgd(m, 0.05),
)
add(
    "one big column",
    lambda kind, m, o, **k: _bent(on_waves(kind, m, o, **k), lambda x: x * torch.tensor([1, 1, 1, 1, 2000.0])),
    "unnormalised_input",
    lambda: mlp(5, 64, 64, 1),
    lambda m: adam(m),
)
add(
    "shifted inputs",
    lambda kind, m, o, **k: _bent(on_moons(kind, m, o, **k), lambda x: x + 100),
    "unnormalised_input",
    lambda: mlp(2, 32, 2),
    lambda m: adam(m, 5e-3),
)
add(
    "tiny inputs",
    lambda kind, m, o, **k: _bent(on_digits(kind, m, o, **k), lambda x: x * 1e-3),
    "unnormalised_input",
    lambda: mlp(64, 64, 10),
    lambda m: sgd(m, 0.1),
)
add(
    "bias one unit fashion",
    on_fashion,
    "high_bias",
    lambda: nn.Sequential(nn.Flatten(), mlp(784, 2, 10)),
    lambda m: adam(m, 5e-3),
    epochs=8,
)
add("bias 2 waves", on_waves, "high_bias", lambda: mlp(5, 2, 1), lambda m: adam(m, 1e-2), epochs=60)
add(
    "decay adam .05", on_moons, "over_regularised", lambda: mlp(2, 32, 32, 2), lambda m: adam(m, 5e-3, weight_decay=0.1)
)
add("decay waves", on_waves, "over_regularised", lambda: mlp(5, 64, 64, 1), lambda m: adam(m, 3e-3, weight_decay=0.3))
add(
    "dropout fashion",
    on_fashion,
    "over_regularised",
    lambda: nn.Sequential(nn.Flatten(), nn.Dropout(0.9), mlp(784, 64, 32, 10, drop=0.8)),
    lambda m: adam(m),
    epochs=6,
)
add(
    "l2 penalty",
    on_waves,
    "over_regularised",
    lambda: mlp(5, 64, 64, 1),
    lambda m: adam(m, 3e-3),
    penalty=lambda m: 0.05 * sum(p.square().sum() for p in m.parameters()),
)
add(
    "variance moons",
    lambda *a, **k: sub(lambda kind, m, o, **kk: Program(kind, m, o, CE, *moons(0.4), **kk), 30)(*a, **k),
    "high_variance",
    lambda: mlp(2, 128, 128, 2),
    lambda m: adam(m, 5e-3),
    epochs=300,
)
add(
    "variance diabetes", on_diabetes, "high_variance", lambda: mlp(10, 256, 256, 1), lambda m: adam(m, 3e-3), epochs=150
)
add(
    "variance digits 100",
    sub(on_digits, 40),
    "high_variance",
    lambda: mlp(64, 512, 10),
    lambda m: adam(m, 2e-3),
    epochs=100,
)


def flipped(on, share):
    def make(kind, m, o, **more):
        p = on(kind, m, o, **more)
        a, b = p.train
        g = torch.Generator().manual_seed(2)
        pick = torch.rand(len(b), generator=g) < share
        new = (
            1 - b
            if b.is_floating_point() or int(b.max()) == 1
            else (b + 1 + torch.randint(0, 9, b.shape, generator=g)) % 10
        )
        p.train = a, torch.where(pick.reshape(-1, *[1] * (b.ndim - 1)), new, b)
        return p

    return make


add("noise moons .25", flipped(on_moons, 0.25), "label_noise", lambda: mlp(2, 64, 64, 2), lambda m: adam(m, 5e-3))
add(
    "noise cancer .2",
    flipped(on_cancer, 0.2),
    "label_noise",
    lambda: mlp(30, 64, 1),
    lambda m: adam(m, 5e-3),
    epochs=40,
)
add(
    "noise fashion .4",
    flipped(on_fashion, 0.4),
    "label_noise",
    lambda: nn.Sequential(nn.Flatten(), mlp(784, 128, 10)),
    lambda m: adam(m),
    epochs=8,
)
add("noise .15", flipped(on_digits, 0.15), "label_noise", lambda: mlp(64, 128, 10), lambda m: adam(m, 2e-3), epochs=30)


def _bent(p, change):
    p.train, p.dev = (change(p.train[0]), p.train[1]), (change(p.dev[0]), p.dev[1])
    return p


def _raw_cancer():
    from ailing import _split
    from sklearn import datasets

    X, y = datasets.load_breast_cancer(return_X_y=True)
    return _split(X, y.astype("float32")[:, None], 0)


def _dev(on, change):
    def make(kind, m, o, **more):
        p = on(kind, m, o, **more)
        p.dev = change(p.dev[0]), p.dev[1]
        return p

    return make


add(
    "mismatch brightness",
    _dev(on_fashion, lambda x: 0.3 * x - 0.4),
    "train_dev_mismatch",
    lambda: nn.Sequential(nn.Flatten(), mlp(784, 64, 10)),
    adam,
    epochs=5,
)
add(
    "mismatch moons",
    _dev(on_moons, lambda x: x + torch.tensor([0.7, 0.4])),
    "train_dev_mismatch",
    lambda: mlp(2, 32, 32, 2),
    lambda m: adam(m, 5e-3),
)
add(
    "mismatch waves",
    _dev(on_waves, lambda x: 1.8 * x + 0.5),
    "train_dev_mismatch",
    lambda: mlp(5, 64, 64, 1),
    lambda m: adam(m, 3e-3),
    epochs=25,
)
add(
    "mismatch cancer",
    _dev(on_cancer, lambda x: 5 * x + 3),
    "train_dev_mismatch",
    lambda: mlp(30, 32, 1),
    lambda m: adam(m),
)


def rare_digits(kind, m, o, **more):
    p = on_digits(kind, m, o, **more)
    a, b = p.train
    keep = (b < 7) | (torch.rand(len(b), generator=torch.Generator().manual_seed(0)) < 0.02)
    p.train = a[keep], b[keep]
    return p


def rare_cancer(kind, m, o, **more):
    p = on_cancer(kind, m, o, **more)
    a, b = p.train
    keep = (b[:, 0] == 1) | (torch.rand(len(b), generator=torch.Generator().manual_seed(0)) < 0.04)
    p.train = a[keep], b[keep]
    return p


add("imbalance digits", rare_digits, "class_imbalance", lambda: mlp(64, 64, 10), adam, epochs=8)
add("imbalance cancer", rare_cancer, "class_imbalance", lambda: mlp(30, 16, 1), lambda m: adam(m, 2e-3), epochs=8)
add(
    "order fashion",
    ordered(on_fashion),
    "data_order",
    lambda: nn.Sequential(nn.Flatten(), mlp(784, 64, 10)),
    lambda m: adam(m),
    epochs=3,
)
add("order cancer", ordered(on_cancer), "data_order", lambda: mlp(30, 32, 1), lambda m: adam(m, 5e-3), batch=16)
add(
    "plateau steps",
    on_moons,
    "plateau",
    lambda: mlp(2, 32, 32, 2),
    lambda m: adam(m, 5e-3),
    schedule=lambda o: LR.ExponentialLR(o, 0.3),
)
add("loss l1", losing(lambda o, y: (o - onehot(y)).abs().mean()), "wrong_loss", lambda: mlp(64, 64, 10), adam)
add("loss codes", losing(lambda o, y: MSE(o.squeeze(1), y.float())), "wrong_loss", lambda: mlp(64, 64, 1), adam)
add(
    "loss mse binary",
    lambda *a, **k: Program(*a[:3], MSE, *cancer(), **k),
    "wrong_loss",
    lambda: nn.Sequential(mlp(30, 32, 1), nn.Sigmoid()),
    lambda m: sgd(m, 0.05),
    epochs=15,
)
add(
    "loss sum",
    losing(nn.CrossEntropyLoss(reduction="sum")),
    "wrong_loss",
    lambda: mlp(64, 64, 10),
    lambda m: sgd(m, 0.2),
)
add("loss nll softmax", losing(nn.NLLLoss()), "wrong_loss", lambda: nn.Sequential(mlp(64, 64, 10), nn.Softmax(1)), adam)
add("act softmax dim0", on_digits, "wrong_activation", lambda: nn.Sequential(mlp(64, 64, 10), nn.Softmax(0)), adam)
add(
    "act sigmoid ce",
    on_fashion,
    "wrong_activation",
    lambda: nn.Sequential(nn.Flatten(), mlp(784, 64, 10), nn.Sigmoid()),
    adam,
    epochs=4,
)
add(
    "act tanh ce",
    on_moons,
    "wrong_activation",
    lambda: nn.Sequential(mlp(2, 32, 32, 2), nn.Tanh()),
    lambda m: adam(m, 5e-3),
)
add(
    "act none digits", on_waves, "wrong_activation", lambda: mlp(5, 64, 64, 1, act=nn.Identity), lambda m: adam(m, 5e-3)
)


class HalfGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x @ w.T

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g @ w, g.T @ x.abs()


class Own(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(b, a) / a**0.5)

    def forward(self, x):
        return HalfGradient.apply(x, self.weight)


def shrink(m):
    m[0].weight.grad.mul_(-0.1)


add(
    "gradient own layer",
    on_digits,
    "wrong_gradient",
    lambda: nn.Sequential(Own(64, 48), nn.ReLU(), nn.Linear(48, 10)),
    adam,
)
add("gradient shrunk", on_moons, "wrong_gradient", lambda: mlp(2, 32, 32, 2), lambda m: sgd(m, 0.1, 0.9), spoil=shrink)
add(
    "optimizer beta",
    on_digits,
    "wrong_optimizer",
    lambda: mlp(64, 64, 10),
    lambda m: adam(m, 1e-3, betas=(0.9999, 0.999)),
)
add(
    "optimizer rprop",
    on_digits,
    "wrong_optimizer",
    lambda: mlp(64, 64, 10),
    lambda m: torch.optim.Rprop(m.parameters(), 0.01),
)
add(
    "optimizer adagrad decay",
    on_digits,
    "wrong_optimizer",
    lambda: mlp(64, 64, 10),
    lambda m: torch.optim.Adagrad(m.parameters(), 0.01, lr_decay=0.5),
)
add("no zero grad fashion", on_fashion, "no_zero_grad", conv, lambda m: adam(m), zero=False, epochs=2)
add("frozen detach", on_digits, "frozen_params", Detached, adam)
add(
    "frozen head only",
    on_fashion,
    "frozen_params",
    lambda: held(nn.Sequential(nn.Flatten(), mlp(784, 8, 16, 10)), 2),
    adam,
    epochs=4,
)


def met_part(on, n, jitter=0.0):
    def make(kind, m, o, **more):
        p = on(kind, m, o, **more)
        extra = p.dev[0][:n] + jitter * torch.randn(p.dev[0][:n].shape, generator=torch.Generator().manual_seed(0))
        p.train = torch.cat([p.train[0], extra]), torch.cat([p.train[1], p.dev[1][:n]])
        return p

    return make


add(
    "leak fashion",
    met_part(on_fashion, 500),
    "leakage",
    lambda: nn.Sequential(nn.Flatten(), mlp(784, 64, 10)),
    adam,
    epochs=5,
)
add("leak jitter", met_part(on_digits, 300, 0.01), "leakage", lambda: mlp(64, 64, 10), adam)
add("leak column waves", lambda kind, m, o, **k: Program(kind, m, o, MSE, *[(torch.cat([a, 2 * b + 0.05 * torch.randn(b.shape)], 1), b) for a, b in waves()], **{"epochs": 25, **k}), "leakage",  # noqa: E501
    lambda: mlp(6, 64, 1), lambda m: adam(m, 3e-3))  # fmt: skip
add("leak column digits", lambda kind, m, o, **k: Program(kind, m, o, CE, *[(torch.cat([a, b[:, None] / 5.0], 1), b) for a, b in digits()], **{"epochs": 25, **k}), "leakage",  # noqa: E501
    lambda: mlp(65, 64, 10), lambda m: adam(m, 3e-3))  # fmt: skip
add("mode eval fashion", on_fashion, "wrong_mode", lambda: conv(True), adam, mode="eval", epochs=3)
add("mode judged bn", on_digits, "wrong_mode", lambda: mlp(64, 64, 10, norm=True), adam, judge="train")
add(
    "nan log zero",
    losing(lambda o, y: -(torch.relu(o).clamp(max=1)[torch.arange(len(y)), y]).log().mean()),
    "nan",
    lambda: mlp(64, 64, 10),
    adam,
)
add(
    "nan target",
    lambda kind, m, o, **k: Program(
        kind,
        m,
        o,
        MSE,
        (waves()[0][0], torch.where(torch.arange(1125)[:, None] == 9, torch.nan, waves()[0][1])),
        waves()[1],
        **k,
    ),
    "nan",
    lambda: mlp(5, 64, 1),
    adam,
    epochs=5,
)
add(
    "nan divide",
    lambda *a, **k: Program(*a[:3], lambda o, y: ((o - y) / (y - y.min())).square().mean(), *waves(), **k),
    "nan",
    lambda: mlp(5, 64, 1),
    adam,
    epochs=5,
)
_ = with_, noisy, shifted, filled, Residual
