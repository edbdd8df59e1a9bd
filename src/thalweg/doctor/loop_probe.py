"""What the loop did, from the tape: gradients never cleared, the mode it trained in, the order of the rows, what never moved.

>>> loop(case)
>>> case.history.last("loop/stale")             # share of backward passes that met an old gradient
0.0
"""

from __future__ import annotations

import math

import torch

from thalweg.doctor.case import Case
from thalweg.doctor.twin import quietly
from thalweg.monitors.signals import norms

MODAL = ("Dropout", "BatchNorm", "AlphaDropout", "FeatureAlphaDropout", "InstanceNorm")


def modal(model: torch.nn.Module) -> bool:
    """Whether training mode and evaluation mode differ for this model."""
    for module in model.modules():
        name = type(module).__name__
        if any(word in name for word in MODAL) and float(getattr(module, "p", 1.0)) > 0:
            return True
        if float(getattr(module, "dropout", 0.0) or 0.0) > 0 if isinstance(module, (torch.nn.RNNBase,)) else False:
            return True
    return False


def loop(case: Case) -> None:
    """Writes ``loop/stale``, ``loop/eval``, ``loop/judged_training``, ``loop/modal`` and, from recognised rows, the order."""
    tape = case.tape
    numbers = tape.counted() | {"loop/modal": float(modal(case.twin.model))}
    case.write(numbers | order(case) | optimizer(case) | pace(case) | norm(case))
    frozen(case)


def pace(case: Case) -> dict[str, float]:
    """``update/first``: how far one of the first steps moved the weights, over their size (healthy about 1e-3)."""
    kept = case.tape.snapshots
    pairs = [(kept[a], kept[b], b - a) for a, b in ((0, 1), (1, 2), (2, 4), (4, 8)) if a in kept and b in kept]
    found = []
    for before, after, steps in pairs:
        names = [n for n, v in before.items() if v.ndim >= 2 and v.is_floating_point() and bool((v != 0).any())]
        moved = norms([after[n] - before[n] for n in names])
        sizes = norms([before[n] for n in names])
        if sizes:
            found.append(math.hypot(*moved) / math.hypot(*sizes) / steps)
    first = norms([v for v in kept[0].values() if v.ndim >= 2 and v.is_floating_point()])
    last = norms([v for n, v in case.end.items() if v.ndim >= 2 and v.is_floating_point()])
    shrunk = {"weights_shrunk": math.hypot(*last) / math.hypot(*first)} if first and math.hypot(*first) > 0 else {}
    passes = case.steps * case.batch / len(case.train)
    return {"passes": passes} | shrunk | ({"update/first": sorted(found)[len(found) // 2]} if found else {})


def norm(case: Case) -> dict[str, float]:
    """``norm/rows``: numbers a batch norm averages over at the fewest; ``norm/train_mode``, ``norm/eval_mode``: the error on
    the same training rows at the end in either mode, dropout off."""
    layers = [m for m in case.twin.model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    if not layers or not case.steps:
        return {}
    counts: list[int] = []

    def count(_module: torch.nn.Module, given: tuple) -> None:
        counts.append(given[0].numel() // given[0].shape[1])

    model = case.twin.at(case.end)
    inputs, targets = case.sample(case.train)
    some = case.train.take(case.train.sample(case.batch, seed=8))[0]
    handles = [m.register_forward_pre_hook(count) for m in model.modules() if isinstance(m, type(layers[0]))]
    with quietly(0), torch.no_grad():
        model(some)
        for handle in handles:
            handle.remove()
        wrong = [case.judge_on(model, (inputs, targets))[1]]
        for m in model.modules():
            m.train(isinstance(m, torch.nn.modules.batchnorm._BatchNorm))
        wrong.append(case.judge_on(model, (inputs, targets))[1])
    return {"norm/rows": float(min(counts, default=0)), "norm/eval_mode": wrong[0], "norm/train_mode": wrong[1]}


def order(case: Case) -> dict[str, float]:
    """``order/batch_variance``: how much the mini-batches' mean targets differ, over what shuffling gives (1);
    ``order/coverage``; ``labels/swapped``: rows whose label in the loss is not the one beside them."""
    numbers: dict[str, float] = {}
    task, targets = case.task, case.train.targets
    labels = task.labels(targets)
    coded = torch.nn.functional.one_hot(labels, max(int(labels.max()) + 1, 2)).double() if task.is_classes else None
    coded = labels.double().reshape(len(labels), -1) if coded is None else coded
    means, sizes, swapped, asked, seen = [], [], 0, 0, set()
    for batch in case.tape.batches:
        rows = case.train.recognise(batch.keys)
        known = rows >= 0
        if len(rows) == 0 or float(known.double().mean()) < 0.9:
            continue
        rows = rows[known]
        seen.update(rows.tolist())
        means.append(coded[rows].mean(0))
        sizes.append(len(rows))
        if batch.wanted is not None and task.kind in ("classes", "binary") and len(batch.wanted) == len(known):
            heard = batch.wanted[known] >= 0
            asked += int(heard.sum())
            swapped += int((batch.wanted[known] != labels[rows])[heard].sum())
    numbers["order/recognised"] = len(means) / max(len(case.tape.batches), 1)
    n = len(targets)
    if len(means) >= 4 and (size := sum(sizes) / len(sizes)) >= 2 and size < 0.9 * n:
        spread = torch.stack(means).var(0, correction=0).sum()
        shuffled = coded.var(0, correction=0).sum() / size * (1 - size / n)
        numbers["order/batch_variance"] = float(spread / shuffled.clamp(min=1e-30))
        numbers["order/most"] = size
    if sum(sizes) >= 3 * n:
        numbers["order/coverage"] = len(seen) / n
    if asked:
        numbers["labels/swapped"] = swapped / asked
    return numbers


def optimizer(case: Case) -> dict[str, float]:
    """The settings of each parameter group that are far from any that works, as ``optimizer/NAME``."""
    numbers: dict[str, float] = {}
    for group in case.twin.optimizer.param_groups:
        for name in ("momentum", "eps", "weight_decay", "alpha", "lr_decay", "dampening"):
            if isinstance(group.get(name), (int, float)):
                numbers[f"optimizer/{name}"] = max(float(group[name]), numbers.get(f"optimizer/{name}", 0.0))
        if isinstance(betas := group.get("betas"), (tuple, list)) and len(betas) == 2:
            numbers["optimizer/beta1"], numbers["optimizer/beta2"] = float(betas[0]), float(betas[1])
        if group.get("weight_decay", 0.0) > 0:
            flat = sum(p.ndim < 2 for p in group["params"])
            numbers["optimizer/decayed_vectors"] = numbers.get("optimizer/decayed_vectors", 0.0) + flat
        numbers["optimizer/maximize"] = float(bool(group.get("maximize", False)))
    numbers[f"optimizer/is_{type(case.twin.optimizer).__name__}"] = 1.0
    rates = [max(r) for _, r in case.tape.rates]
    if rates:
        numbers["rate/first"], numbers["rate/top"], numbers["rate/last"] = rates[0], max(rates), rates[-1]
        high = [case.rate(1 + case.steps * k // 20) > 1e-2 * max(rates) for k in range(20)]
        numbers["rate/alive"] = sum(high) / 20
        numbers["rate/negative"] = float(min(rates) < 0)
    return numbers


def frozen(case: Case) -> None:
    """``frozen/PARAMETER``: 1 where a parameter ended as it began; ``frozen_why/…`` says what kept it."""
    start = case.tape.snapshots[0]
    held = {id(p) for group in case.tape.optimizer.param_groups for p in group["params"]}
    numbers: dict[str, float] = {}
    still = total = 0
    for name, parameter in case.tape.model.named_parameters():
        total += parameter.numel()
        same = bool(torch.equal(start[name], case.end[name])) if name in start and name in case.end else False
        if not same or not case.steps:
            continue
        still += parameter.numel()
        numbers[f"frozen/{name}"] = 1.0
        missing = case.tape.no_gradient.get(name, 0) >= max(case.tape.looked, 1)
        why = (
            "requires_grad"
            if not parameter.requires_grad
            else "optimizer"
            if id(parameter) not in held
            else "no_gradient"
        )
        numbers[f"frozen_why/{why if why != 'no_gradient' or missing else 'zero_gradient'}"] = 1.0
    numbers["frozen_share"] = still / max(total, 1)
    numbers["foreign_share"] = sum(id(p) not in held for p in case.tape.model.parameters()) / max(
        sum(1 for _ in case.tape.model.parameters()), 1
    )
    case.write(numbers)
