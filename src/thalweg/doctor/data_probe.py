"""What the rows themselves say: scale, classes, a column that knows the answer, dev rows met before, dev rows of another kind.

>>> data(case)
>>> case.history.last("input/scales")           # the largest column's spread over the smallest's
12000.0
"""

from __future__ import annotations

import torch

from thalweg.doctor.case import JUDGED, Case
from thalweg.doctor.examples import fingerprint, flat
from thalweg.doctor.reference import Reference
from thalweg.doctor.twin import outputs

FEW, BINS, ENTRIES = 250, 24, 500_000
"""Rows of each side that are told apart, bins of a column, entries of the matrix whose columns are looked at."""


def data(case: Case) -> None:
    """Writes ``input/…``, ``class/…``, ``leak/…`` and ``domain/…``."""
    rows = case.train.sample(2000, seed=4)
    features = case.train.features(rows)
    targets = case.train.targets[rows].double().reshape(len(rows), -1)
    numbers = {"target/not_finite": float((~torch.isfinite(targets)).double().mean())}
    if features is not None:
        numbers["input/not_finite"] = float((~torch.isfinite(features)).any(1).double().mean())
        if not numbers["input/not_finite"]:
            numbers |= _scales(features)
    case.write(numbers)
    if numbers["target/not_finite"] or features is None or numbers["input/not_finite"]:
        return
    if case.task.kind == "numbers":
        case.write(
            {"target/spread": float(targets.std(0, correction=0).mean()), "target/centre": float(targets.mean().abs())}
        )
    if case.task.is_classes:
        _classes(case)
    _column(case, features, rows)
    if case.dev is not None:
        _dev(case, case.dev)


def _scales(features: torch.Tensor) -> dict[str, float]:
    mean, spread = features.mean(0), features.std(0, correction=0)
    alive = spread > 1e-9 * (1 + mean.abs())
    if not bool(alive.any()):
        return {"input/constant": 1.0}
    mean, spread = mean[alive], spread[alive]
    reach = features.amax(0)[alive] - features.amin(0)[alive]
    pooled = (spread.square() + mean.square()).mean().sqrt()
    return {
        "input/columns": float(features.shape[1]),
        "input/constant": float((~alive).double().mean()),
        "input/scales": float(reach.max() / reach.quantile(0.25)),
        "input/size": float(pooled),
        "input/centre": float((mean.abs() / spread).median()),
        "input/shift": float(mean.abs().median() / spread.square().mean().sqrt()),
        "input/largest": float(features.abs().max()),
        "input/spread": float(spread.square().mean().sqrt()),
    }


def _classes(case: Case) -> None:
    labels = case.task.labels(case.train.targets)
    counts = torch.bincount(labels.clamp(min=0)).double()
    shares = counts / counts.sum()
    present = shares[shares > 0]
    numbers = {
        "class/largest": float(shares.max()),
        "class/smallest": float(present.min()),
        "class/count": float(len(present)),
    }
    part = case.dev or case.train
    inputs, targets = part.take(part.sample(2 * case.judged))
    case.budget.spend(case.budget.forward(len(targets)))
    out = outputs(case.twin.at(case.end), inputs)
    if bool(torch.isfinite(out).all()):
        own, said = case.task.labels(targets), case.task.answers(out)
        recalls, weights = [], []
        for k in range(len(shares)):
            if bool((own == k).any()):
                recalls.append(float((said[own == k] == k).double().mean()))
                weights.append(float(shares[k]))
        rare = [r for r, w in zip(recalls, weights, strict=True) if w <= 0.5 / len(present)]
        common = [r for r, w in zip(recalls, weights, strict=True) if w > 0.5 / len(present)]
        numbers |= {"class/recall_rare": sum(rare) / len(rare)} if rare else {}
        numbers |= {"class/recall_common": sum(common) / len(common)} if common else {}
        numbers["class/answers"] = float(len(said.unique()))
        numbers["class/top_answer"] = float(torch.bincount(said.clamp(min=0)).max() / len(said))
    case.write(numbers)


def _column(case: Case, features: torch.Tensor, rows: torch.Tensor) -> None:
    """``leak/column``: how much of the target one column gives away by itself (1: all), ``leak/next`` the second best."""
    few = min(max(500, ENTRIES // features.shape[1]), len(rows))
    some = torch.arange(few) * len(rows) // few
    features, rows = features[some], rows[some]
    targets = case.task.labels(case.train.targets[rows])
    if case.task.is_classes:
        scores = _eta(features, torch.nn.functional.one_hot(targets, int(targets.max()) + 1).double())
    elif case.task.kind == "numbers" and targets.numel() == len(targets):
        goal = targets.double().reshape(-1)
        scores = torch.corrcoef(torch.cat([goal[None], features.T]))[0, 1:].nan_to_num().square()
    else:
        return
    top = scores.topk(min(2, len(scores)))
    case.write({"leak/column": float(top.values[0]), "leak/next": float(top.values[-1]) if len(top.values) > 1 else 0.0,
                "leak/which": float(top.indices[0])})  # fmt: skip


def _eta(features: torch.Tensor, hot: torch.Tensor) -> torch.Tensor:
    """By column: how pure the classes are in bins of about equal counts, above guessing, from 0 to 1."""
    n, columns = features.shape
    classes, bins = hot.shape[1], max(4, min(BINS, n // 10))
    turned = features.T.contiguous()
    edges = turned.sort(1).values[:, (torch.arange(1, bins) * n) // bins].contiguous()
    codes = torch.searchsorted(edges, turned, right=True)
    cells = (torch.arange(columns)[:, None] * bins + codes) * classes + hot.argmax(1)
    table = torch.bincount(cells.flatten(), minlength=columns * bins * classes).reshape(columns, bins, classes)
    same = table.amax(2).sum(1).double() / n
    prior = hot.mean(0).max()
    return ((same - prior) / (1 - prior).clamp(min=1e-12)).clamp(min=0)


def _the_same(case: Case, inputs: object, met: torch.Tensor) -> torch.Tensor:
    """Of many rows some have nearly the fingerprint of another by chance: only those that are the same row count."""
    own, found = flat(inputs), case.train.features(met.clamp(min=0)) if len(met) else None
    if own is None or found is None or own.shape != found.shape:
        return met
    return torch.where((own - found).abs().amax(1) <= 1e-5 * (1e-6 + own.abs().amax(1)), met, -1)


def _dev(case: Case, dev: object) -> None:
    assert case.dev is not None
    rows = case.dev.sample(JUDGED)
    inputs, targets = case.dev.take(rows)
    met = _the_same(case, inputs, case.train.recognise(fingerprint(inputs)))
    numbers = {}
    if len(met):
        numbers["leak/met"] = float((met >= 0).double().mean())
        keys = case.train._keys["rows"][0]
        numbers["leak/repeated"] = float((keys.diff().abs() <= 1e-9 * (1e-6 + keys.abs().median())).double().mean())
    few = case.train.sample(FEW, seed=6)
    a, b = case.train.features(few), case.dev.features(case.dev.sample(FEW, seed=6))
    if a is not None and b is not None and a.shape[1] == b.shape[1] and bool(torch.isfinite(b).all()):
        both = torch.cat([a, b])
        side = torch.cat([torch.zeros(len(a)), torch.ones(len(b))]).long()
        mixed = torch.randperm(len(both), generator=torch.Generator().manual_seed(0))
        found = Reference.fit(both[mixed], side[mixed], classes=2)
        numbers["domain/auc"] = _auc(found.left_out[:, 1], side[mixed])
        whole = case.train.features(case.train.sample(3000, seed=7))
        assert whole is not None
        scale = whole.std(0, correction=0)
        scale = scale.clamp(min=max(0.1 * float(scale.median()), 1e-12))
        near = torch.cdist(b / scale, whole / scale).min(1).values
        self_near = torch.cdist(a / scale, whole / scale)
        self_near = self_near.masked_fill(self_near < 1e-6 * self_near.median(), torch.inf).min(1).values
        numbers["leak/near"] = float((near < 0.2 * self_near.quantile(0.1)).double().mean())
        numbers["leak/self_near"] = float((self_near < 0.2 * self_near.quantile(0.1)).double().mean())
    if case.task.is_classes:
        width = int(max(case.task.labels(targets).max(), case.task.labels(case.train.targets).max())) + 1
        here = torch.bincount(case.task.labels(targets), minlength=width).double()
        there = torch.bincount(case.task.labels(case.train.targets), minlength=width).double()
        numbers["domain/prior_distance"] = float(0.5 * (here / here.sum() - there / there.sum()).abs().sum())
    case.write(numbers)


def _auc(scores: torch.Tensor, positive: torch.Tensor) -> float:
    ranks = scores.argsort().argsort().double() + 1
    n1 = int(positive.sum())
    n0 = len(positive) - n1
    return float((ranks[positive == 1].sum() - n1 * (n1 + 1) / 2) / max(n0 * n1, 1))
