"""thalweg's optimizers stand in for torch.optim's, and are their equations: yours too."""

import sympy
import torch

import thalweg
from thalweg.rules import Rule
from thalweg.rules.symbols import beta, g, lr, state
from thalweg.schedules import cosine, warmup

torch.manual_seed(0)
model = torch.nn.Linear(20, 1)
optimizer = thalweg.optim.AdamW(model.parameters(), lr=1e-3, clip_norm=1.0)
twin = torch.nn.Linear(20, 1)
twin.load_state_dict(model.state_dict())
theirs = torch.optim.AdamW(twin.parameters(), lr=1e-3)
for _ in range(100):
    inputs = torch.randn(32, 20)
    for network, stepper in ((model, optimizer), (twin, theirs)):
        stepper.zero_grad()
        network(inputs).square().mean().backward()
        if stepper is theirs:
            torch.nn.utils.clip_grad_norm_(twin.parameters(), 1.0)
        stepper.step()
theirs.load_state_dict(optimizer.state_dict())  # checkpoints cross over, both ways
print(thalweg.rules.adamw)
print("largest difference from torch.optim:", f"{(model.weight - twin.weight).abs().max().item():.0e}")
print(thalweg.rules.momentum.stability())

m = state("m")  # your own equations: one fused kernel, like the named ones
signum = Rule("signum", defaults={"beta": 0.9}, m=beta * m + (1 - beta) * g, step=lr * sympy.sign(m))
Signum = thalweg.optim.class_from(signum)
optimizer = Signum(
    model.parameters(),
    lr=0.01 * (warmup(20) >> cosine(180)),
    clip_norm=1.0,
    decay="matrices",
    weight_decay=0.1,
    ema=0.9,
)
for _ in range(200):
    inputs = torch.randn(32, 20)
    optimizer.zero_grad()
    model(inputs).square().mean().backward()
    optimizer.step()
print(thalweg.optim.formula(optimizer))
with optimizer.averaged():  # the weights are their average here
    print(f"largest weight after 200 steps: {model.weight.abs().max().item():.3f}")
