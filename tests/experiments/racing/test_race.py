"""A race: alike for all, the same twice, gone on with after a kill, honest about rules that do not differ."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import thalweg
from thalweg.data import load
from thalweg.errors import InputError
from thalweg.experiments.racing.folder import Log
from thalweg.experiments.racing.functions import noisy_quadratic, ravine
from thalweg.experiments.racing.judging import judged, verdict_on_metric, verdict_on_steps
from thalweg.experiments.racing.networks import NetworkProblem, data_problem
from thalweg.experiments.racing.plan import RacePlan, entrants_of
from thalweg.experiments.racing.problem import Candidate, Curve, OnPass, nobody
from thalweg.experiments.racing.protocol import Stopped, run_race
from thalweg.experiments.racing.raced import Raced
from thalweg.experiments.racing.suite import problems_of
from thalweg.experiments.racing.text import NextCharacter, Transformer, bundled_text, text_problem
from thalweg.experiments.spec import Spec
from thalweg.experiments.watcher import Watcher

SMALL: dict = {"trials": 4, "seeds": 2, "epochs": 2, "hidden": [8], "batch_size": 32, "dropout": [0.0], "skip": False}


def table() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(200, 6)).astype(np.float32)
    return inputs, (inputs[:, 0] + inputs[:, 1] ** 2 > 0.8).astype(int)


def raced(where: Path, **more: object) -> Raced:
    return thalweg.race(table(), **{"rules": ["sgd", "adam"], "runs": str(where), **SMALL, **more})  # type: ignore[arg-type]


class Recording:
    """A problem that is none: it notes what it is asked for, and each candidate ends at a height of its rate and its seed."""

    name, metric, more, steps, passes = "recording", "loss", False, 20, 10

    def __init__(self) -> None:
        self.asked: list[list[Candidate]] = []

    def run(self, candidates: list[Candidate], on_pass: OnPass = nobody) -> list[Curve] | None:
        self.asked.append(list(candidates))
        curves = []
        for one in candidates:
            off = abs(math.log10(float(one.values.get("lr", 1e-3))) + 1) + 0.01 * (one.seed % 7)
            dev = tuple(off + 1 / (1 + step) for step in range(10))
            curves.append(Curve(tuple(range(2, 21, 2)), dev, dev, 0.5 if one.test else math.nan))
        return curves

    def pace(self, candidate: Candidate) -> float:
        return 0.001


def test_every_rule_gets_the_same_budget_points_and_seeds() -> None:
    problem = Recording()
    plan = RacePlan(entrants_of(["sgd", "adam", "nadam"]), trials=8, seeds=7)
    race = run_race(problem, plan, Log(None))
    by_rule: dict[str, list[Candidate]] = {}
    for job in problem.asked:
        for one in job:
            by_rule.setdefault(one.rule, []).append(one)
    counts = {rule: len(asked) for rule, asked in by_rule.items()}
    assert len(set(counts.values())) == 1
    assert sum(counts.values()) == plan.runs(more=plan.more if race.extended else 0)
    seeds = [sorted(one.seed for one in asked) for asked in by_rule.values()]
    assert seeds[0] == seeds[1] == seeds[2]
    tuning = {one.seed for asked in by_rule.values() for one in asked if not one.test}
    fresh = {one.seed for asked in by_rule.values() for one in asked if one.test}
    assert len(fresh) == 7
    places = []
    for name in ("sgd", "adam"):
        space = plan.entrants[["sgd", "adam", "nadam"].index(name)].space
        places.append([space["lr"].place(point["lr"]) for point, _ in race.entries[name].trials[:4]])
    np.testing.assert_allclose(places[0], places[1], atol=1e-9)
    first = {seed for seed in tuning if seed <= plan.seed + plan.repeats}
    assert not first & fresh
    assert all(math.isnan(curve.test) for _, curve in race.entries["sgd"].trials)
    assert all(curve.test == 0.5 for curve in race.entries["sgd"].confirmed)
    assert all(math.isnan(curve.test) for curve in race.entries["sgd"].defaults)


def test_a_best_setting_at_an_edge_extends_once_for_all() -> None:
    rules = {"narrow": ("sgd", {"lr": "1e-4..1e-3:log"}), "wide": ("sgd", {"lr": "1e-3..10.0:log"})}
    plan = RacePlan(entrants_of(rules), trials=64, seeds=7)
    race = run_race(Recording(), plan, Log(None))
    assert race.extended
    narrow, wide = race.entries["narrow"], race.entries["wide"]
    assert len(narrow.trials) == len(wide.trials) == 80
    assert narrow.space["lr"].text == "0.0001..0.01:log"
    assert all(1e-3 <= float(point["lr"]) <= 1e-2 for point, _ in narrow.trials[32:48])
    assert wide.space == plan.entrants[1].space
    assert (narrow.edges, wide.edges) == ({"lr": "high"}, {})
    assert any("narrow is unsettled" in sentence for sentence in judged(race).verdicts)


def test_a_goal_of_the_users_chooses_by_the_steps_to_it() -> None:
    plan = RacePlan(entrants_of(["sgd", "adam"]), trials=8, seeds=6, goal=0.6)
    race = run_race(Recording(), plan, Log(None))
    assert race.target == 0.6
    assert race.setter == ""
    for entry in race.entries.values():
        told = [race.score(curves[0]) for _, curves in entry.finals]
        assert min(told)[0] <= race.problem.steps
    never = run_race(Recording(), RacePlan(plan.entrants, trials=4, seeds=6, goal=-5.0), Log(None))
    assert judged(never).verdicts[0].startswith("No rule reached loss -5")


def test_a_race_stopped_keeps_what_ended_and_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    plan = RacePlan(entrants_of(["sgd", "adam"]), trials=4, seeds=6)
    whole = Log(tmp_path / "whole.jsonl")
    through = run_race(ravine(steps=30), plan, whole)
    calls = 0

    def ahead(stage: str, made: int, known: int) -> bool:
        nonlocal calls
        calls += 1
        return calls > 300

    path = tmp_path / "part.jsonl"
    with pytest.raises(Stopped):
        run_race(ravine(steps=30), plan, Log(path), ahead)
    kept = path.read_text()
    assert kept
    lines = kept.splitlines(keepends=True)
    path.write_text("".join(lines[:-1]) + lines[-1][:40])  # killed while it wrote
    trained = []
    problem = ravine(steps=30)
    again = run_race(
        problem, plan, Log(path), lambda stage, made, known: trained.append((made, known)) is not None and False
    )
    assert sum(known for _, known in trained) > 0
    first, whole = Log(path), [json.loads(line) for line in path.read_text().splitlines()]
    assert first.seconds == pytest.approx(sum(record.get("seconds", 0.0) for record in whole))
    assert 0.0 < sum(json.loads(line).get("seconds", 0.0) for line in lines[:-1]) < first.seconds  # of both sittings
    assert {name: entry.best for name, entry in again.entries.items()} == {
        name: entry.best for name, entry in through.entries.items()
    }
    for name, entry in through.entries.items():
        assert [curve.dev for curve in entry.confirmed] == [curve.dev for curve in again.entries[name].confirmed]


def test_damaged_files_of_a_race_are_named(tmp_path: Path) -> None:
    few = {"rules": ["sgd", "adam"], "trials": 2, "seeds": 2, "runs": str(tmp_path), "name": "r"}
    folder = thalweg.race("ravine", **few).folder  # type: ignore[arg-type]
    log = folder.log("ravine")
    whole = log.read_bytes()
    for damaged in (whole.replace(b"{", b"(", 1), b"\xff\xfe" + whole, b"[1]\n" + whole, b"{}\n" + whole):
        log.write_bytes(damaged)
        with pytest.raises(
            InputError, match=r"ravine.jsonl is damaged \(.*\): delete it, and its runs are trained again"
        ):
            thalweg.race("ravine", **few)  # type: ignore[arg-type]
    folder.race.write_text("x = = 3")
    with pytest.raises(InputError, match=r"race.toml is damaged \(.*\): give another --name"):
        thalweg.race("ravine", **few)  # type: ignore[arg-type]


def test_the_same_race_twice_gives_the_same_numbers_and_goes_on_by_name(tmp_path: Path) -> None:
    first, second = raced(tmp_path), raced(tmp_path)
    assert first.verdict == second.verdict
    assert first.settings == second.settings
    log = (first.folder.path / "runs" / "data.jsonl").read_text()
    page = first.folder.page.read_text()
    assert "How it was made fair" in page
    third = raced(tmp_path, name=first.folder.name)
    assert third.verdict == first.verdict
    assert (first.folder.path / "runs" / "data.jsonl").read_text() == log
    with pytest.raises(InputError, match=r"made with other race \(trials\)"):
        raced(tmp_path, name=first.folder.name, trials=5)
    with pytest.raises(InputError, match=r"made with other settings \(data, hidden\)"):
        raced(tmp_path, name=first.folder.name, hidden=[9])
    result = json.loads(first.folder.result.read_text())
    assert {racer["rule"] for racer in result["problems"][0]["racers"]} == {"sgd", "adam"}


def test_a_race_goes_on_with_its_own_rows_and_layers_alone(tmp_path: Path) -> None:
    inputs, targets = table()
    small = {"trials": 2, "seeds": 2, "epochs": 1, "batch_size": 32, "runs": str(tmp_path), "name": "r"}

    def one(data: object, *layers: torch.nn.Module) -> Raced:
        return thalweg.race(data, rules=["sgd", "adam"], model=torch.nn.Sequential(*layers), **small)  # type: ignore[arg-type]

    net = torch.nn.Linear(6, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1)
    first = one((inputs, targets), *net)
    assert one((inputs.copy(), targets), *net).verdict == first.verdict
    with pytest.raises(InputError, match=r"made with other data \(data\): give another --name"):
        one((inputs + 1, targets), *net)
    with pytest.raises(InputError, match=r"made with other model \(data\): give another --name"):
        one((inputs, targets), net[0], torch.nn.Tanh(), net[2])


def test_a_name_of_ones_own_stays_in_the_folder(tmp_path: Path) -> None:
    small = SMALL | {"trials": 2, "epochs": 1, "runs": str(tmp_path)}
    found = thalweg.race("wine", rules={"<b>x/../../../y": "adam", "sgd": "sgd"}, **small)  # type: ignore[arg-type]
    assert [path.name for path in sorted(found.folder.best.iterdir())] == ["-b-x-..-..-..-y.toml", "sgd.toml"]
    assert "<b>x" not in found.folder.page.read_text()


def test_a_rule_that_diverges_everywhere_has_no_number_of_the_others() -> None:
    steep = ("sgd", {"lr": "1e200..1e250:log"})
    plan = RacePlan(entrants_of({"steep": steep, "sgd": "sgd"}), trials=4, seeds=7, sweep=())
    problem = judged(run_race(ravine(steps=20), plan, Log(None)))
    by_rule = {racer.rule: racer for racer in problem.racers}
    assert math.isnan(by_rule["steep"].dev[0])
    assert math.isfinite(by_rule["sgd"].dev[0])
    assert any(sentence.startswith("steep: all 7 diverged") for sentence in problem.verdicts)
    assert any(sentence.startswith("sgd was best, it beat steep; dev log10 loss") for sentence in problem.verdicts)
    both = RacePlan(entrants_of({"a": steep, "b": ("momentum", steep[1])}), trials=4, seeds=7, sweep=())
    nobody_left = judged(run_race(ravine(steps=20), both, Log(None)))
    assert nobody_left.winner == ""
    assert nobody_left.verdicts[0] == "Every run diverged: dev log10 loss, 7 seeds each."


def test_a_race_in_a_population_is_what_each_would_be_alone() -> None:
    spec = Spec(data="wine", epochs=3, hidden=[6], dropout=[0.0], skip=False, batch_size=32, clip_norm=None)
    problem = data_problem(spec)
    candidates = [Candidate("adam", {"lr": 0.01}, seed, test=True) for seed in (1, 2)]
    together = problem.run([*candidates, Candidate("adam", {"lr": 0.1}, 1)])
    assert together is not None
    for one, curve in zip(candidates, together, strict=False):
        alone = problem.run([one])
        assert alone is not None
        np.testing.assert_allclose(alone[0].dev, curve.dev, rtol=1e-5)
        np.testing.assert_allclose(alone[0].train, curve.train, rtol=1e-4)
        assert alone[0].test == pytest.approx(curve.test)
    assert math.isnan(together[2].test)
    assert together[0].train != together[1].train


def test_what_no_population_knows_races_one_by_one() -> None:
    spec = Spec(data="wine", epochs=2, hidden=[6], dropout=[0.0], skip=False, batch_size=32, clip_norm=None, l2=0.1)
    problem = data_problem(spec)
    curves = problem.run([Candidate("adam", {"lr": 0.01}, seed, test=True) for seed in (1, 2)])
    assert curves is not None
    assert [len(curve.dev) for curve in curves] == [2, 2]
    assert curves[0].steps == (problem.updates, 2 * problem.updates)
    assert curves[0].train != curves[1].train
    assert all(math.isfinite(curve.test) for curve in curves)


def test_a_module_of_ones_own_is_made_anew_for_each_seed(tmp_path: Path) -> None:
    drawn: list[float] = []

    def make() -> torch.nn.Module:
        net = torch.nn.Linear(6, 1)
        drawn.append(float(net.weight.detach()[0, 0]))
        return net

    settings = {name: value for name, value in SMALL.items() if name not in ("hidden", "dropout", "skip")} | {
        "trials": 2
    }
    found = thalweg.race(table(), rules=["sgd", "adam"], model=make, runs=str(tmp_path), **settings)
    assert found.result["problems"][0]["metric"] == "accuracy"
    assert len(set(drawn)) > 1  # others were drawn in other processes


@pytest.mark.parametrize("layer", [torch.nn.Dropout(0.5), torch.nn.PReLU()], ids=["dropout", "own"])
def test_twins_seeds_are_not_too_large_for_a_module_of_ones_own(layer: torch.nn.Module) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU(), layer, torch.nn.Linear(4, 1))
    spec = Spec(data="the data", model="the model", epochs=1, batch_size=32, clip_norm=None)
    problem = data_problem(spec, load(table()), model=net)
    twin = entrants_of(["adam", "adam"])[0]
    curves = problem.run([twin.candidate({"lr": 0.01}, seed) for seed in (1, 2, 3)])
    assert curves is not None
    assert all(math.isfinite(curve.dev[0]) for curve in curves)


def test_a_loss_of_ones_own_is_what_is_raced_for() -> None:
    def squares(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return ((outputs.squeeze(1) - targets) ** 2).mean()

    spec = Spec(data="the data", model="the model", epochs=1, batch_size=32, clip_norm=None)
    problem = data_problem(spec, load(table()), model=torch.nn.Linear(6, 1), loss=squares)
    assert (problem.metric, problem.more) == ("loss", False)


def test_twins_have_luck_of_their_own_and_others_share_it() -> None:
    twins = entrants_of(["adam", "adam", "sgd"])
    assert [one.name for one in twins] == ["adam", "adam (2)", "sgd"]
    assert twins[0].salt != twins[1].salt
    assert min(twins[0].salt, twins[1].salt) > 0
    assert twins[2].salt == 0
    named = entrants_of({"a": "adam", "b": ("adam", {"lr": "1e-3..0.1:log", "beta1": 0.0})})
    assert [one.salt for one in named] == [0, 0]
    both = entrants_of(["sgd", "adam"], ["cosine", "constant"])
    assert [one.name for one in both] == [
        "sgd with cosine",
        "sgd with constant",
        "adam with cosine",
        "adam with constant",
    ]
    assert [one.warmup for one in both[:2]] == [0.05, 0.0]


def test_a_rule_raced_against_itself_seldom_wins_and_momentum_in_the_ravine_does() -> None:
    found = 0
    for seed in range(8):
        plan = RacePlan(entrants_of(["adam", "adam"]), trials=2, seeds=7, seed=1 + 2000 * seed, sweep=(), repeats=1)
        race = run_race(noisy_quadratic(steps=20), plan, Log(None))
        verdicts = (verdict_on_steps(race), verdict_on_metric(race))
        found += any(duel.differ for verdict in verdicts if verdict is not None for duel in verdict.duels)
    assert found <= 1  # a hundred races are in benchmarks/results/race.md
    plan = RacePlan(entrants_of(["sgd", "momentum"]), trials=16, seeds=7, sweep=(), finalists=2, repeats=1)
    race = run_race(ravine(steps=60), plan, Log(None))
    assert judged(race).winner == "momentum"


def test_the_text_is_learned_and_the_future_stays_hidden() -> None:
    assert len(bundled_text()) > 90_000
    net = Transformer(61)
    x = torch.randint(0, 61, (2, 32), generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[:, 20:] = 0
    torch.testing.assert_close(net(x)[:, :20], net(changed)[:, :20])
    assert not torch.equal(net(x)[:, 20:], net(changed)[:, 20:])
    problem = text_problem(epochs=2)
    assert isinstance(problem, NetworkProblem)
    curves = problem.run([Candidate("adam", {"lr": 0.01}, seed=1, test=True)])
    assert curves is not None
    assert curves[0].dev[-1] < math.log(61) - 1.0
    assert math.isfinite(curves[0].test)
    with pytest.raises(InputError, match="the text has 5 characters"):
        text_problem("short")
    with pytest.raises(InputError, match=r"\(n, T, characters\)"):
        NextCharacter().check(torch.zeros(2, 3), torch.zeros(2, 3))


class Noting(Watcher):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


def test_the_budget_and_what_it_cannot_show_are_said_first(tmp_path: Path) -> None:
    watcher = Noting()
    thalweg.race("ravine", rules=["sgd", "adam"], trials=4, seeds=5, runs=str(tmp_path), watcher=watcher)
    assert watcher.notes[0].startswith("sgd, adam: 39 runs each (4 trials, 3 finalists")
    assert any("With 5 seeds no difference between 2 rules can be shown" in note for note in watcher.notes)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"rules": ["sgd", "adm"]}, 'there is no rule "adm": did you mean adam'),
        ({"rules": ["sgd"]}, "a race needs at least two rules"),
        ({"trials": 1}, "trials is 1: it must be a whole number, 2 or more"),
        ({"seeds": 1}, "seeds is 1: it must be a whole number, 2 or more"),
        ({"trials": 4.5}, "trials is 4.5: it must be a whole number"),
        ({"seeds": "7"}, "seeds is '7': it must be a whole number"),
        ({"goal": math.nan}, "goal is nan: it must be a number"),
        ({"goal": "high"}, "goal is 'high': it must be a number"),
        ({"rules": "sgd,adam"}, "rules are a list of names"),
        ({"rules": None}, "rules are a list of names"),
        ({"rules": [1, 2]}, "a rule's name is 1: give each a word"),
        ({"rules": {"a": ("adam",), "b": "sgd"}}, "a is .*: give a rule, or a rule with its space"),
        ({"rules": {"": "adam", "b": "sgd"}}, "a rule's name is '': give each a word"),
        ({"model": lambda: 3}, "the model is int, not a torch.nn.Module"),
        ({"model": torch.nn.Linear}, "the function that makes the model failed: TypeError"),
        ({"name": "../x"}, 'a race cannot be named "../x"'),
        ({"name": ".."}, 'a race cannot be named ".."'),
        ({"lr": 0.1}, "lr is not given to a race"),
        ({"schedule": "linear"}, "give them as schedules"),
        ({"schedules": ["cosin"]}, 'there is no schedule "cosin"'),
        ({"schedules": []}, "at least one"),
        ({"pretrain": True}, "leave out folds, shard, pretrain"),
        ({"rules": {"a": ("adam", {"lrr": "1e-3..1:log"}), "b": "sgd"}}, 'no option of adam "lrr"|"lrr"'),
    ],
)
def test_what_cannot_be_raced_is_one_sentence(tmp_path: Path, more: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        raced(tmp_path, **more)
    assert not list(tmp_path.iterdir())


def test_a_function_has_no_hidden_layers(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="hidden does not belong to ravine"):
        thalweg.race("ravine", rules=["sgd", "momentum"], hidden=[8], runs=str(tmp_path))


def test_there_is_no_other_suite() -> None:
    with pytest.raises(InputError, match="choose among small"):
        problems_of("large")
