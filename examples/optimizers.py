"""thalweg's optimizers stand in for torch.optim's, and are their equations."""

import torch

import thalweg

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
