"""A population that is killed goes on from its file as if it never had been."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import thalweg.optim as optim
from thalweg.errors import InputError
from thalweg.models import mlp
from thalweg.population import Member, Outcome, Part, train_population
from thalweg.schedules import exponential
from thalweg.train.objectives import CrossEntropy

INPUTS = torch.randn(150, 6, generator=torch.Generator().manual_seed(0))
TARGETS = (INPUTS @ torch.randn(6, 3, generator=torch.Generator().manual_seed(1))).argmax(1)
TRAIN, DEV = Part(INPUTS, TARGETS, torch.arange(100)), Part(INPUTS, TARGETS, torch.arange(100, 150))
WAYS = ("compiled", "batched", "one by one")
RULES = [
    lambda p: optim.AdamW(p, lr=0.02, weight_decay=0.1, clip_norm=1.0),
    lambda p: optim.SGD(p, lr=0.1 * exponential(0.99), momentum=0.9),
    lambda p: optim.Adam(p, lr=0.02, ema=0.9, state_dtype="8bit"),
    lambda p: optim.NAdam(p, lr=0.01),
    lambda p: optim.SGD(p, lr=1e9),
    lambda p: optim.RMSprop(p, lr=1e-3),
]


class Killed(BaseException):
    pass


def population(count: int = 6, rules=RULES) -> list[Member]:
    members = []
    for k in range(count):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(k)
            net = mlp(6, 3, hidden=(9, 7), activation="tanh", dropout=0.2)
        members.append(
            Member(net, rules[k % len(rules)], CrossEntropy(label_smoothing=0.05 * k), TRAIN, None if k == 3 else DEV,
                   schedule=exponential(0.98) if k == 3 else None, order=k % 2, seed=k)
        )  # fmt: skip
    return members


def weights(outcome: Outcome) -> torch.Tensor:
    return nn.utils.parameters_to_vector(outcome.weights.values())


def same(mine: Outcome, theirs: Outcome) -> bool:
    numbers = [(o.losses, o.dev, o.best_epoch, o.steps, o.diverged, o.stopped) for o in (mine, theirs)]
    return repr(numbers[0]) == repr(numbers[1]) and torch.equal(weights(mine), weights(theirs))


def prune(epoch: int, going: dict[int, Outcome]) -> list[int]:
    return [5] if epoch == 4 else []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("at", [1, 3, 5])
def test_it_goes_on_to_the_same_bits(way: str, at: int, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("thalweg.population.keeping.SHARE", float("inf"))
    file = tmp_path / "population.safetensors"
    whole = train_population(population(), batch_size=16, epochs=7, way=way, on_epoch=prune)

    def killed(epoch: int, going: dict[int, Outcome]) -> list[int]:
        if epoch == at + 1:
            raise Killed
        return prune(epoch, going)

    with pytest.raises(Killed):
        train_population(population(), batch_size=16, epochs=7, way=way, on_epoch=killed, checkpoint=file)
    seen: list[int] = []

    def later(epoch: int, going: dict[int, Outcome]) -> list[int]:
        seen.append(epoch)
        return prune(epoch, going)

    again = train_population(population(), batch_size=16, epochs=7, way=way, on_epoch=later, checkpoint=file)
    assert seen == list(range(at + 1, 8)) and again.way == way
    for mine, theirs in zip(again.outcomes, whole.outcomes, strict=True):
        assert same(mine, theirs)
    done = train_population(population(), batch_size=16, epochs=7, on_epoch=later, checkpoint=file)
    assert len(seen) == 7 - at, "a study that has ended trains nothing"
    assert all(same(mine, theirs) for mine, theirs in zip(done.outcomes, whole.outcomes, strict=True))
    assert [path.name for path in tmp_path.iterdir()] == ["population.safetensors"]


def test_torch_s_own_optimizers_and_groups_of_architectures(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("thalweg.population.keeping.SHARE", float("inf"))
    rules = [lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.5)]

    def mixed() -> list[Member]:
        members = population(4, rules)
        wide = Member(
            nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)), rules[0], CrossEntropy(), TRAIN, DEV
        )
        with torch.no_grad():
            for parameter in wide.module.parameters():
                parameter.fill_(0.1)
        return [*members, wide]

    def killed(epoch: int, going: dict[int, Outcome]) -> list[int]:
        if epoch == 3 and 4 in going:
            raise Killed
        return []

    whole = train_population(mixed(), batch_size=16, epochs=4)
    with pytest.raises(Killed):
        train_population(mixed(), batch_size=16, epochs=4, on_epoch=killed, checkpoint=tmp_path / "p.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p-1.safetensors", "p-2.safetensors"]
    again = train_population(mixed(), batch_size=16, epochs=4, checkpoint=tmp_path / "p.safetensors")
    for mine, theirs in zip(again.outcomes, whole.outcomes, strict=True):
        assert same(mine, theirs)


def test_a_file_of_another_population_is_said(tmp_path: Path) -> None:
    file = tmp_path / "p.safetensors"
    train_population(population(2), batch_size=16, epochs=1, checkpoint=file)
    with pytest.raises(InputError, match="is of a population of 2 members with mini-batches of 16, not of 3 with 16"):
        train_population(population(3), batch_size=16, epochs=1, checkpoint=file)
    other = [Member(mlp(6, 3, hidden=(5,)), RULES[0], CrossEntropy(), TRAIN, DEV) for _ in range(2)]
    with pytest.raises(InputError, match="members that are built otherwise"):
        train_population(other, batch_size=16, epochs=2, checkpoint=file)
    file.write_bytes(b"no tensors")
    with pytest.raises(InputError, match="is no checkpoint of a population"):
        train_population(population(2), batch_size=16, epochs=1, checkpoint=file)
    with pytest.raises(InputError, match="cannot be written"):
        train_population(
            population(2), batch_size=16, epochs=1, checkpoint=tmp_path / "p.safetensors" / "q.safetensors"
        )
