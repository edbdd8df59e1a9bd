"""Members come and go without the others noticing."""

from __future__ import annotations

import math
from copy import deepcopy
from importlib import import_module
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import thalweg.optim as optim
from thalweg.errors import InputError
from thalweg.models import mlp
from thalweg.population import Member, Part, probe, train_population
from thalweg.schedules import exponential
from thalweg.train.objectives import CrossEntropy, MeanSquaredError, evaluate

GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.randn(240, 10, generator=GENERATOR)
TARGETS = ((INPUTS @ torch.randn(10, 4, generator=GENERATOR)).argmax(1)).long()
TRAIN, DEV = Part(INPUTS, TARGETS, torch.arange(180)), Part(INPUTS, TARGETS, torch.arange(180, 240))
WAYS = ("compiled", "batched", "one by one")


def net(seed: int, dropout: float = 0.0) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return mlp(10, 4, hidden=(16, 12), dropout=dropout)


def member(
    number: int, lr: float = 0.05, *, dropout: float = 0.0, train: Part = TRAIN, dev: Part | None = DEV
) -> Member:
    return Member(
        net(number, dropout),
        lambda p: optim.SGD(p, lr=lr, momentum=0.9),
        CrossEntropy(),
        train,
        dev,
        order=number,
        seed=number,
    )


def weights_of(module: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(module.parameters()).detach()


@pytest.mark.parametrize("way", WAYS)
def test_a_diverged_member_leaves_and_the_others_do_not_notice(way: str) -> None:
    population = [member(k, lr=1e8 if k == 2 else 0.05, dropout=0.2) for k in range(5)]
    trained = train_population(population, batch_size=32, epochs=5, way=way)
    quiet = [member(k, dropout=0.2) for k in range(5) if k != 2]
    others = train_population(quiet, batch_size=32, epochs=5, way=way)
    lost = trained.outcomes.pop(2)
    assert lost.diverged == lost.steps + 1 and "the loss became" in lost.stopped
    assert len(lost.losses) <= 2 and math.isnan(lost.losses[-1])
    for mine, theirs in zip(trained.outcomes, others.outcomes, strict=True):
        assert not mine.stopped and mine.steps == 30
        assert mine.losses == pytest.approx(theirs.losses, abs=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_pruned_members_leave_and_the_rest_train_on(way: str) -> None:
    population = [member(k) for k in range(8)]
    seen = []

    def halve(epoch: int, going: dict) -> list[int]:
        seen.append(sorted(going))
        ranked = sorted(going, key=lambda number: going[number].dev[-1]["loss"])
        return ranked[len(ranked) // 2 :] if epoch in (1, 2) else []

    trained = train_population(population, batch_size=32, epochs=4, way=way, on_epoch=halve)
    assert [len(numbers) for numbers in seen] == [8, 4, 2, 2]
    assert all(set(later) <= set(earlier) for earlier, later in pairwise(seen))
    for number, outcome in enumerate(trained.outcomes):
        epochs = sum(number in numbers for numbers in seen)
        assert len(outcome.dev) == len(outcome.losses) == epochs and outcome.steps == 6 * epochs
        assert outcome.stopped == ("" if epochs == 4 else f"pruned after epoch {epochs}")
        single = train_population([member(number)], batch_size=32, epochs=epochs, way=way).outcomes[0]
        assert outcome.losses == pytest.approx(single.losses, abs=1e-4)
        assert outcome.dev[-1]["loss"] == pytest.approx(single.dev[-1]["loss"], abs=1e-4)


@pytest.mark.parametrize("way", WAYS)
def test_the_best_weights_are_kept_and_patience_ends_a_member(way: str) -> None:
    population = [member(k, lr=0.5 if k % 2 else 0.02) for k in range(4)]
    trained = train_population(population, batch_size=32, epochs=25, patience=3, way=way)
    stopped = 0
    for number, outcome in enumerate(trained.outcomes):
        losses = [metrics["loss"] for metrics in outcome.dev]
        assert outcome.best_epoch == losses.index(min(losses)) + 1
        fresh = net(number)
        fresh.load_state_dict(outcome.weights)
        found = evaluate(fresh, INPUTS[180:], TARGETS[180:], CrossEntropy())
        assert found == pytest.approx(outcome.dev[outcome.best_epoch - 1], abs=1e-5)
        if outcome.stopped:
            stopped += 1
            assert outcome.stopped == "dev loss has not improved for 3 epochs" and len(losses) == outcome.best_epoch + 3
    assert stopped


@pytest.mark.parametrize("way", WAYS)
def test_folds_of_unequal_length(way: str) -> None:
    """60, 61 and 65 training rows: last batches of 28, 29 and 1 rows, the latter one mini-batch more."""
    sizes = (60, 61, 65)
    rows = [torch.randperm(240, generator=torch.Generator().manual_seed(k)) for k in range(3)]
    parts = [Part(INPUTS, TARGETS, mine[:size]) for mine, size in zip(rows, sizes, strict=True)]
    devs = [Part(INPUTS, TARGETS, mine[size:100]) for mine, size in zip(rows, sizes, strict=True)]
    folds = [member(k, train=parts[k], dev=devs[k]) for k in range(3)]
    trained = train_population(folds, batch_size=32, epochs=3, way=way)
    assert [outcome.steps for outcome in trained.outcomes] == [6, 6, 9]
    for k, outcome in enumerate(trained.outcomes):
        own = Member(
            net(k), folds[k].optimizer, CrossEntropy(), Part(INPUTS[parts[k].rows], TARGETS[parts[k].rows]),
            Part(INPUTS[devs[k].rows], TARGETS[devs[k].rows]), order=k,
        )  # fmt: skip
        single = train_population([own], batch_size=32, epochs=3, way="one by one").outcomes[0]
        assert outcome.losses == pytest.approx(single.losses, abs=1e-5)
        for mine, theirs in zip(outcome.dev, single.dev, strict=True):
            assert mine == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_each_member_s_own_inputs(way: str) -> None:
    """As folds have them that are scaled by their own training rows."""

    def population() -> list[Member]:
        scaled = [(INPUTS - 0.1 * k) / (1 + k) for k in range(3)]
        return [
            member(k, train=Part(x, TARGETS, torch.arange(180)), dev=Part(x, TARGETS, torch.arange(180, 240)))
            for k, x in enumerate(scaled)
        ]

    trained = train_population(population(), batch_size=32, epochs=3, way=way)
    for one, outcome in zip(population(), trained.outcomes, strict=True):
        single = train_population([one], batch_size=32, epochs=3, way="one by one").outcomes[0]
        assert outcome.losses == pytest.approx(single.losses, abs=1e-5)
        assert outcome.dev[-1] == pytest.approx(single.dev[-1], abs=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_a_shorter_fold_that_diverges_keeps_its_last_good_weights(way: str) -> None:
    parts = [Part(INPUTS, TARGETS, torch.arange(size)) for size in (96, 160)]
    folds = [member(k, lr=1e8 if k == 0 else 0.05, train=parts[k], dev=None) for k in range(2)]
    lost, kept = train_population(folds, batch_size=32, epochs=2, way=way).outcomes
    assert 0 < lost.steps < 3 and lost.diverged == lost.steps + 1 and kept.steps == 10
    lone = train_population(
        [member(0, lr=1e8, train=parts[0], dev=None)], batch_size=32, epochs=2, way="one by one"
    ).outcomes[0]
    assert lone.steps == lost.steps
    for name, tensor in lone.weights.items():
        torch.testing.assert_close(lost.weights[name], tensor, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("way", WAYS)
def test_dropout_is_each_member_s_own_and_repeats(way: str) -> None:
    def run() -> list[list[float]]:
        population = [member(0, lr=0.0, dropout=rate) for rate in (0.0, 0.3, 0.8)]
        return [outcome.losses for outcome in train_population(population, batch_size=20, epochs=12, way=way).outcomes]

    first, again = run(), run()
    assert first == again
    still, *dropped = first
    assert max(still) - min(still) < 1e-6
    assert 0.0 < torch.tensor(dropped[0]).std() < torch.tensor(dropped[1]).std()
    # Inverted dropout keeps the mean of every unit, so the mean loss of a hardly trained net stays near.
    assert abs(sum(dropped[0]) / 12 - still[0]) < 0.1


def test_dice_of_the_compiled_way_fall_as_often_as_they_should() -> None:
    """A net that hands its input through: the mean output under dropout shows the rate, its spread the independence."""
    module = nn.Sequential(nn.Linear(1, 64), nn.ReLU(), nn.Dropout(0.25), nn.Linear(64, 1))
    with torch.no_grad():
        module[0].weight.fill_(1.0)
        module[0].bias.zero_()
        module[3].weight.fill_(1 / 64)
        module[3].bias.zero_()
    part = Part(torch.ones(4096, 1), torch.zeros(4096, 1))
    one = Member(module, lambda p: optim.SGD(p, lr=0.0), MeanSquaredError(), part)
    found = train_population([one], batch_size=4096, epochs=20, way="compiled").outcomes[0].losses
    # E (mean of 64 of b/0.75)² = 1 + (1/0.75 − 1)/64
    assert sum(found) / 20 == pytest.approx(1 + (1 / 0.75 - 1) / 64, abs=2e-3)  # a standard error is 5e-4
    assert len(set(found)) == 20


def test_an_optimizer_goes_on_where_the_population_left_it() -> None:
    kept: list[torch.optim.Optimizer] = []

    def rule(parameters):
        kept.append(optim.AdamW(parameters, lr=1e-2))
        return kept[-1]

    population = [Member(net(k), rule, CrossEntropy(), TRAIN) for k in range(3)]
    train_population(population, batch_size=30, epochs=2, way="compiled")
    single = net(1)
    alone = torch.optim.AdamW(single.parameters(), lr=1e-2)
    train_population(
        [Member(single, lambda p: alone, CrossEntropy(), TRAIN)], batch_size=30, epochs=2, way="one by one"
    )
    for mine, theirs in zip(kept[1].state.values(), alone.state.values(), strict=True):
        assert float(mine["step"]) == float(theirs["step"]) == 12
        torch.testing.assert_close(mine["exp_avg"], theirs["exp_avg"], atol=1e-5, rtol=1e-3)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.last = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.rnn(x.unflatten(1, (2, 5)))[0][:, -1])


class Recomputed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(10, 8), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(checkpoint(lambda z: torch.tanh(self.first(z)), x, use_reentrant=False))


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(10, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(x if float(self.last.weight.detach().sum()) > 0 else -x)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Recurrent, "LSTM, of which PyTorch has no batched form"),
        (Recomputed, "one program"),
        (Branching, "one program"),
    ],
)
def test_what_can_t_be_one_program_goes_one_by_one_with_a_sentence(kind: type[nn.Module], words: str) -> None:
    modules = [kind() for _ in range(3)]
    before = [deepcopy(module) for module in modules]
    population = [Member(module, lambda p: optim.SGD(p, lr=0.1), CrossEntropy(), TRAIN, order=1) for module in modules]
    trained = train_population(population, batch_size=45, epochs=1)
    assert trained.way == "one by one" and words in trained.reason
    for module, old in zip(modules, before, strict=True):
        single = Member(old, lambda p: optim.SGD(p, lr=0.1), CrossEntropy(), TRAIN, order=1)
        train_population([single], batch_size=45, epochs=1)
        assert torch.equal(weights_of(module), weights_of(old))


@pytest.mark.parametrize("way", WAYS)
def test_architectures_train_group_after_group(way: str) -> None:
    def population() -> list[Member]:
        widths = [(8,), (9,), (8,), (8, 9), (9,)]
        modules = [mlp(10, 4, hidden=hidden, dropout=0.1 * (k % 2)) for k, hidden in enumerate(widths)]
        for k, module in enumerate(modules):
            drawn = 0.3 * torch.randn(len(weights_of(module)), generator=torch.Generator().manual_seed(k))
            with torch.no_grad():
                nn.utils.vector_to_parameters(drawn, module.parameters())
        return [
            Member(module, lambda p: optim.SGD(p, lr=0.1), CrossEntropy(), TRAIN, DEV, order=k, seed=k)
            for k, module in enumerate(modules)
        ]

    seen: list[tuple[int, list[int]]] = []

    def look(epoch: int, going: dict) -> list[int]:
        seen.append((epoch, sorted(going)))
        return [2] if epoch == 1 else []

    trained = train_population(population(), batch_size=32, epochs=2, way=way, on_epoch=look)
    assert seen == [(1, [0, 2]), (2, [0]), (1, [1, 4]), (2, [1, 4]), (1, [3]), (2, [3])]
    assert trained.way == way and trained.outcomes[2].stopped == "pruned after epoch 1"
    for k, outcome in enumerate(trained.outcomes):
        single = train_population([population()[k]], batch_size=32, epochs=1 if k == 2 else 2, way=way).outcomes[0]
        assert outcome.losses == pytest.approx(single.losses, abs=1e-5)


def test_members_without_dropout_go_with_those_that_have_it() -> None:
    modules = [mlp(10, 4, hidden=(8,), norm="layer", dropout=rate) for rate in (0.0, 0.5, 0.1)]
    names = [list(module.state_dict()) for module in modules]
    population = [Member(module, lambda p: optim.SGD(p, lr=0.1), CrossEntropy(), TRAIN) for module in modules]
    trained = train_population(population, batch_size=32, epochs=1)
    assert trained.way == "batched"
    assert [list(outcome.weights) for outcome in trained.outcomes] == names


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"members": []}, "the population has no members"),
        ({"batch_size": 0}, "the batch size is 0"),
        ({"way": "sideways"}, 'there is no way "sideways"'),
        ({"watch": "r2"}, "does not measure r2"),
    ],
)
def test_what_nobody_could_train(change: dict, words: str) -> None:
    given = {"members": [member(0)], "batch_size": 32, "epochs": 1, **change}
    with pytest.raises(InputError, match=words):
        train_population(given.pop("members"), **given)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (torch.tensor([3, 240]), "the training part of member 0 has row 240: its inputs have the rows 0 … 239"),
        (torch.tensor([-1]), "row -1"),
        (torch.tensor([0.0]), "rows of type torch.float32"),
        (torch.tensor([], dtype=torch.int64), "the training part of member 0 is empty"),
    ],
)
def test_rows_that_are_not_there(rows: torch.Tensor, words: str) -> None:
    with pytest.raises(InputError, match=words):
        train_population([member(0, train=Part(INPUTS, TARGETS, rows))], batch_size=32, epochs=1)


@pytest.mark.parametrize("way", WAYS)
def test_averaged_weights_are_measured_and_kept(way: str) -> None:
    def one(number: int) -> Member:
        return Member(net(number), lambda p: optim.SGD(p, lr=0.3, ema=0.9), CrossEntropy(), TRAIN, DEV, order=number)

    population = [one(k) for k in range(3)]
    trained = train_population(population, batch_size=32, epochs=3, way=way)
    for mine, outcome in zip(population, trained.outcomes, strict=True):
        fresh = net(0)
        fresh.load_state_dict(outcome.weights)
        found = evaluate(fresh, INPUTS[180:], TARGETS[180:], CrossEntropy())
        assert found == pytest.approx(outcome.dev[outcome.best_epoch - 1], abs=1e-5)
        assert (weights_of(fresh) - weights_of(mine.module)).abs().max() > 1e-3


@pytest.mark.parametrize("way", WAYS)
def test_schedules_in_the_optimizer_and_beside_it(way: str) -> None:
    """The same rates, given as the optimizer's own schedule and as the member's."""
    falling = 0.2 * exponential(0.97)
    rules = [
        (lambda p: optim.SGD(p, lr=falling, momentum=0.9), None),
        (lambda p: optim.SGD(p, lr=0.2, momentum=0.9), falling),
    ]
    population = [Member(net(0), rule, CrossEntropy(), TRAIN, schedule=schedule) for rule, schedule in rules]
    train_population(population, batch_size=32, epochs=4, way=way)
    torch.testing.assert_close(weights_of(population[0].module), weights_of(population[1].module), atol=1e-5, rtol=0)
    assert (weights_of(population[0].module) - weights_of(net(0))).abs().max() > 0.01


@pytest.mark.parametrize(("count", "width"), [(2, 8), (4, 400)])
def test_what_does_not_pay_goes_one_by_one(count: int, width: int) -> None:
    modules = [mlp(10, 4, hidden=(width, width), norm="layer") for _ in range(count)]
    population = [Member(module, lambda p: optim.SGD(p, lr=0.1), CrossEntropy(), TRAIN) for module in modules]
    trained = train_population(population, batch_size=32, epochs=1)
    assert trained.way == "one by one" and "gain nothing from one program" in trained.reason


def test_threads_change_nothing() -> None:
    def run(threads: int) -> list[torch.Tensor]:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            population = [member(k, dropout=0.3) for k in range(7)]
            train_population(population, batch_size=32, epochs=3, way="compiled")
        finally:
            torch.set_num_threads(before)
        return [weights_of(one.module) for one in population]

    assert all(torch.equal(mine, theirs) for mine, theirs in zip(run(1), run(3), strict=True))


def test_one_module_is_one_member() -> None:
    one = member(0)
    with pytest.raises(InputError, match="share a module"):
        train_population([one, one], batch_size=32, epochs=1)


def test_the_probe_says_what_it_found() -> None:
    choice = probe(member, (1, 4), batch_size=32, seconds=0.1)
    assert choice.members in (1, 4) and set(choice.rates) <= {0, 1, 4} and choice.sentence
    many = probe(member, (4,), batch_size=32, seconds=0.1, workers=10**6)
    assert (many.members, many.way, many.gain) == (
        1,
        "one by one",
        1.0,
    ) and "as fast as 1000000 processes" in many.sentence
    tanh = probe(
        lambda k: Member(mlp(10, 4, norm="layer"), lambda p: optim.SGD(p, lr=0.1), CrossEntropy(), TRAIN), (1, 4),
        batch_size=32, seconds=0.1,
    )  # fmt: skip
    assert set(tanh.rates) == {0, 4}
    small = probe(member, (1, 4), batch_size=32, seconds=0.1, memory=1)
    assert 4 not in small.rates
    refused = probe(
        lambda k: Member(Recurrent(), lambda p: optim.SGD(p, lr=0.1), CrossEntropy(), TRAIN),
        (3,),
        batch_size=32,
        seconds=0.1,
    )
    assert (refused.members, refused.way) == (1, "one by one") and "LSTM" in refused.sentence


def test_the_probe_of_slow_members_takes_few_mini_batches(monkeypatch) -> None:
    """Each mini-batch takes half a second of a clock that stands still otherwise; the probe has a tenth."""
    module = import_module("thalweg.population.probe")
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    seen = []

    class Slow:
        def train(self, orders):
            seen.append([len(order) // 32 for order in orders])
            now[0] += 0.5 * sum(seen[-1])
            return [torch.zeros(count) for count in seen[-1]]

    seats = [module._seat(member(k), 32) for k in range(4)]
    assert module._rate(Slow(), seats, 32, 0.1) == pytest.approx(2.0)
    assert seen == [[1] * 4] * 3


def test_the_probe_leaves_out_what_the_cache_cannot_hold(monkeypatch) -> None:
    def make(k: int) -> Member:
        return Member(mlp(10, 4, hidden=(8,), norm="layer"), lambda p: optim.SGD(p, lr=0.1), CrossEntropy(), TRAIN)

    weights = sum(p.numel() for p in make(0).module.parameters())
    module = import_module("thalweg.population.probe")  # the name is the function's in the package
    monkeypatch.setattr(module, "_cache", lambda: 4 * 5 * weights * 10)  # ten members
    choice = probe(make, (4, 8, 12), batch_size=32, seconds=0.1)
    assert set(choice.rates) <= {0, 4, 8} and 4 in choice.rates
