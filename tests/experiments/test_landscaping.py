"""Rules from one start, runs of one architecture: that ends are what training gives, and sentences what was measured."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import thalweg
from thalweg.errors import InputError
from thalweg.experiments import Silent, Spec, start
from thalweg.experiments.landscaping import Landscaped, landscape_of_runs, landscape_of_spec, specs_of
from thalweg.experiments.landscaping.ends import MOST_PLACES, Snapshots
from thalweg.experiments.landscaping.measuring import Plan
from thalweg.experiments.landscaping.sentences import both_of
from thalweg.report.markup import number
from thalweg.train import State

CPU = torch.device("cpu")
SMALL = {"epochs": 3, "hidden": [6], "dropout": [0.0], "lr": 0.05, "batch_size": 16}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Two features, three classes that no line divides."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(160, 2))
    classes = np.digitize((x**2).sum(1), [0.6, 2.0])
    path = tmp_path_factory.mktemp("data") / "rings.csv"
    rows = "\n".join(f"{a:.5f},{b:.5f},k{c}" for (a, b), c in zip(x, classes, strict=True))
    path.write_text(f"a,b,kind\n{rows}\n")
    return str(path)


def spec(table: str, **more: object) -> Spec:
    return Spec(**{"data": table, "target": "kind", **SMALL, **more})


@pytest.fixture(scope="module")
def found(table: str) -> Landscaped:
    return landscape_of_spec(spec(table), ["sgd", "adam"], own={"adam": {"lr": 0.02}}, points=7)


class TestRules:
    def test_each_end_is_what_training_with_that_rule_gives(self, found: Landscaped, table: str) -> None:
        for end, rate in zip(found.ends, (0.05, 0.02), strict=True):
            alone = thalweg.fit("mlp", table, target="kind", rule=end.name, **{**SMALL, "lr": rate})
            assert torch.equal(end.point, torch.nn.utils.parameters_to_vector(alone.model.parameters()).detach())
            assert end.metrics["test"] == alone.metrics["test"]
            assert end.settings["lr"] == rate

    def test_they_start_from_the_same_weights_and_the_path_leads_to_the_end(self, found: Landscaped) -> None:
        first, second = found.ends
        assert torch.equal(first.start, second.start) and not torch.equal(first.point, second.point)
        for end in found.ends:
            assert torch.equal(end.path[0], end.start) and torch.equal(end.path[-1], end.point)
            assert len(end.path) <= 1 + SMALL["epochs"]

    def test_losses_at_the_ends_are_those_of_training(self, found: Landscaped) -> None:
        way = found.line("sgd", "adam")
        for place, end in zip((0, -1), found.ends, strict=True):
            assert way.values["train"][place] == pytest.approx(end.metrics["train"]["loss"], rel=1e-5)
            assert way.values["dev"][place] == pytest.approx(end.metrics["dev"]["loss"], rel=1e-5)
            assert way.values["dev error"][place] == pytest.approx(1 - end.metrics["dev"]["accuracy"], rel=1e-5)
        assert way.distance == pytest.approx(float((found.ends[0].point - found.ends[1].point).norm()), rel=1e-5)

    def test_the_plane_goes_through_start_and_ends(self, found: Landscaped) -> None:
        plane = found.seen.plane
        assert plane is not None and plane.values["train"].shape == (7, 7)
        for stand in (*found.report.ends, *found.report.starts):
            assert stand.place is not None and stand.place[2] == pytest.approx(0, abs=1e-4)

    def test_same_seed_same_numbers(self, found: Landscaped, table: str) -> None:
        again = landscape_of_spec(spec(table), ["sgd", "adam"], own={"adam": {"lr": 0.02}}, points=7)
        assert again.to_dict() == found.to_dict()

    def test_sentences_hold_the_numbers(self, found: Landscaped) -> None:
        titles = " ".join(told.title for told in found.findings)
        assert "arrier between sgd and adam" in titles and "flat" in titles and "How far they went" in titles
        rises = [one.rise("train").mean for one in found.seen.slices]
        flatness = next(told for told in found.findings if "flat" in told.title)
        assert all(number(rise, digits=3) in flatness.sentence for rise in rises)
        assert found.verdict("sgd").kind in ("minimum", "saddle", "slope")
        plain = found.to_dict()
        assert [end["name"] for end in plain["ends"]] == ["sgd", "adam"] and len(plain["barriers"]) == 1
        assert plain["barriers"][0]["train"]["height"] == found.barrier("sgd", "adam").height

    def test_the_page(self, found: Landscaped, tmp_path: Path) -> None:
        found.page(tmp_path / "l.html")
        assert "sgd and adam on rings" in (tmp_path / "l.html").read_text()
        with pytest.raises(InputError, match="cannot be written"):
            found.page(tmp_path / "no" / "l.html")

    def test_there_is_no_line_between_strangers(self, found: Landscaped) -> None:
        with pytest.raises(InputError, match='no line from "adam" to "sgd": there is "sgd" to "adam"'):
            found.line("adam", "sgd")


class TestAModuleOfOnesOwn:
    def test_is_left_as_it_was_and_its_batch_norm_is_measured_anew(self) -> None:
        generator = np.random.default_rng(0)
        x = generator.normal(size=(120, 3)).astype(np.float32)
        y = (x[:, 0] * x[:, 1]).astype(np.float32)
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 1))
        before = [parameter.clone() for parameter in model.parameters()]
        loss = lambda outputs, targets: (outputs.reshape(-1) - targets).abs().mean()  # noqa: E731
        found = thalweg.landscape(
            model, (x, y), rules=("sgd", "momentum", "adam"), epochs=2, lr=0.01, points=5, loss=loss, batch_size=16
        )
        assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
        assert [end.name for end in found.ends] == ["sgd", "momentum", "adam"] and len(found.seen.lines) == 3
        start = torch.nn.utils.parameters_to_vector(before)
        assert all(torch.equal(end.start, start) for end in found.ends)
        assert found.seen.plane is not None and found.seen.plane.corners[2].off == pytest.approx(0, abs=1e-4)
        assert (
            "dev error" not in found.line("sgd", "adam").values and found.name == "sgd, momentum and adam on the data"
        )


@pytest.fixture(scope="module")
def folder(table: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    for name, more in {
        "one": {"rule": "sgd"}, "two": {"rule": "adam"}, "seed": {"seed": 2}, "wide": {"hidden": [7]},
        "tanh": {"activation": "tanh"}, "smooth": {"label_smoothing": 0.2}, "weighed": {"class_weights": [1, 2, 3]},
        "robust": {"scale": "robust"},
    }.items():  # fmt: skip
        start(spec(table, runs=str(runs), name=name, **more), Silent())
    return runs


class TestRuns:
    def test_ends_are_their_weights_and_the_start_is_drawn_again(self, folder: Path, table: str) -> None:
        found = landscape_of_runs(["one", "two"], folder=str(folder), points=5)
        trained = landscape_of_spec(spec(table), ["sgd", "adam"], points=5)
        for run, rule in zip(found.ends, trained.ends, strict=True):
            assert torch.equal(run.point, rule.point) and torch.equal(run.start, rule.start)
        assert not found.notes and found.barrier("one", "two") == trained.barrier("sgd", "adam")

    def test_runs_of_other_seeds_are_told_apart(self, folder: Path) -> None:
        found = landscape_of_runs([str(folder / "one"), str(folder / "seed")], points=5)
        assert (
            "divided otherwise for seed" in found.notes[0] and "did not start from the same weights" in found.notes[1]
        )
        assert [stand.name for stand in found.report.starts] == ["start of one", "start of seed"]

    def test_runs_that_learned_by_other_losses_are_told_which_one_is_shown(self, folder: Path) -> None:
        found = landscape_of_runs(["smooth", "one", "weighed"], folder=str(folder), points=5)
        smoothing, weights = found.notes
        assert "is that of smooth, with label smoothing 0.2; one and weighed learned" in smoothing
        assert "(no label smoothing)" in smoothing
        assert "with no class weights; weighed learned by another one (class weights [1.0, 2.0, 3.0])" in weights
        assert found.to_dict()["notes"] == list(found.report.notes) == [smoothing, weights]

    @pytest.mark.parametrize(
        ("runs", "sentence"),
        [
            (["one"], "between two or three runs, and 1 run was given"),
            (["one", "two", "seed", "wide"], "and 4 runs were given"),
            (["one", "./one"], "given twice"),
            (["one", "wide"], r'not of one architecture: "deep.1.bias" is \(6,\) in .*one and \(7,\) in .*wide'),
            (["one", "tanh"], r"not of one architecture: ReLU in .*one is Tanh in .*tanh"),
            (["one", "nowhere"], "is not a run"),
            (["one", "robust"], r"one has scale standard and .*robust robust: no loss is common to both"),
        ],
    )
    def test_what_does_not_fit_is_one_sentence(self, folder: Path, runs: list[str], sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            landscape_of_runs(runs, folder=str(folder))

    def test_missing_weights_and_changed_data(self, folder: Path, table: str, tmp_path: Path) -> None:
        data = tmp_path / "rings.csv"
        data.write_text(Path(table).read_text())
        for name in ("a", "b"):
            start(spec(str(data), runs=str(tmp_path), name=name, rule="sgd"), Silent())
        data.write_text(Path(table).read_text() + "0.1,0.2,k0\n")
        with pytest.raises(InputError, match=r"a was not trained on the data rings.* as they are now"):
            landscape_of_runs(["a", "b"], folder=str(tmp_path))
        (tmp_path / "b" / "model.safetensors").unlink()
        with pytest.raises(InputError, match="has no model yet"):
            landscape_of_runs(["a", "b"], folder=str(tmp_path))


@pytest.mark.parametrize(
    ("rules", "own", "sentence"),
    [
        (["sgd"], {}, "two or three rules, and 1 rule was given"),
        ("sgd,adam", {}, "rules are a list of names"),
        (None, {}, "rules are a list of names"),
        (["sgd", "adam"], {"sgd": 0.1}, "own settings are a mapping for each rule, .* not 0.1"),
        (["sgd", "sgd"], {}, "sgd stands twice among the rules"),
        (["sgd", "adm"], {}, 'no rule "adm": did you mean "adam"'),
        (["sgd", "adam"], {"nadam": {"lr": 1}}, '"nadam" has settings of its own but is not among the rules sgd, adam'),
        (["sgd", "adam"], {"sgd": {"hidden": [3]}}, "hidden must be the same for all rules"),
        (["sgd", "adam"], {"sgd": {"momntum": 0.9}}, 'no option of sgd "momntum": did you mean "momentum"'),
    ],
)
def test_rules_that_make_no_sense_are_refused_before_any_data_are_read(rules: list, own: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        specs_of(Spec(data="no such file"), rules, own)


def test_settings_of_one_rule() -> None:
    found = specs_of(Spec(data="d", lr=0.1), ["sgd", "adam"], {"sgd": {"lr": 0.5, "momentum": 0.9}})
    assert [(one.rule, one.lr, one.options) for one in found] == [("sgd", 0.5, {"momentum": 0.9}), ("adam", 0.1, {})]


class TestThePlan:
    def fitting(self, each: float, *, rows: int = 5000, points: int | None = None, weights: int = 10_000) -> Plan:
        return Plan.fitting(each=each, weights=weights, ends=2, rows=(rows, rows), device=CPU, points=points)

    def test_small_nets_are_seen_finely_and_large_ones_within_bounds(self) -> None:
        small, large = self.fitting(1e3), self.fitting(1e8)
        assert small == Plan(2) and large.points < small.points / 3
        assert large.rows == (128, 128) and large.plane == 11 and large.slice % 2 == large.line % 2 == 1

    def test_work_is_bounded_while_it_can_be(self) -> None:
        for each in (1e4, 1e5, 3e5, 1e6):
            plan = self.fitting(each)
            assert plan.points * each * sum(plan.rows) <= 2.6e11

    def test_small_data_are_taken_whole(self) -> None:
        assert self.fitting(1e3, rows=40).rows == (40, 40) and self.fitting(1e3, rows=40).curved == 40

    def test_lanczos_holds_no_more_vectors_than_memory(self) -> None:
        assert 8 * 50_000_000 * self.fitting(1e3, weights=50_000_000).iterations <= 4 * 8 * 50_000_000

    def test_points_are_the_users(self) -> None:
        assert self.fitting(1e3, points=51).plane == 51
        with pytest.raises(InputError, match="5 to 201"):
            self.fitting(1e3, points=1000)
        with pytest.raises(InputError, match=r"points is 5\.5"):
            self.fitting(1e3, points=5.5)  # type: ignore[arg-type]

    def test_count_is_what_is_measured(self, found: Landscaped) -> None:
        seen, plan = found.seen, found.seen.plan
        rows = sum(len(way.at) for *_, way in seen.lines) + sum(len(way.at) for way in seen.descents)
        cuts = sum(one.values["train"].shape[0] * (len(one.at) - 1) + 1 for one in seen.slices)
        wide = sum(one.values["train"].size for one in seen.around)
        assert plan.points == rows + cuts + wide + (seen.plane.values["train"].size if seen.plane else math.nan)


def test_a_path_is_thinned_and_ends_where_the_best_weights_were() -> None:
    model = nn.Linear(1, 1, bias=False)
    path = Snapshots(model)
    state = State(model, torch.optim.SGD(model.parameters(), lr=0.1))
    for epoch in range(1, 201):
        with torch.no_grad():
            model.weight.fill_(epoch)
        state.epoch = epoch
        path.on_epoch(state)
    passes = [passed for passed, _ in path.kept]
    assert MOST_PLACES / 2 <= len(passes) <= MOST_PLACES and passes[0] == 0 and len(set(np.diff(passes))) == 1
    assert all(float(point) == passed for passed, point in path.kept[1:])
    found = path.until(100, torch.tensor([-1.0]))
    assert float(found[-1]) == -1 and max(map(float, found[1:-1])) < 100


def test_names_together() -> None:
    assert (both_of(["a"]), both_of(["a", "b"]), both_of(["a", "b", "c"])) == ("a", "a and b", "a, b and c")
