"""Stores: whatever keeps a study keeps each trial once, whole, and as Optuna reads it."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.search.servers import postgres
from tests.search.shop import SPACE

from thalweg.errors import InputError
from thalweg.search import Asked, Finished, Grid, Memory, Random, Space, Ticket, Tpe, open_store
from thalweg.search.store import Told

optuna = pytest.importorskip("optuna", reason="Optuna is not installed")
SHOP = Path(__file__).with_name("shop.py")
SAMPLER = Random(SPACE, seed=0)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "journal", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Three places; the server's is emptied afterwards."""
    if request.param != "postgres":
        yield str(tmp_path / ("study.db" if request.param == "sqlite" else "study.log"))
        return
    url = request.getfixturevalue("server")
    yield url
    storage = optuna.storages.RDBStorage(url.replace("postgresql://", "postgresql+psycopg://"))
    for study in storage.get_all_studies():
        storage.delete_study(study._study_id)
    storage.remove_session()
    storage.engine.dispose()


def opened(where: str, **changes):
    return open_store(where, **{"name": "s", "space": SPACE, **changes})


def done(tickets: list[Ticket], score: float = 0.5) -> list[Told]:
    return [Told(ticket.number, "finished", (score,)) for ticket in tickets]


class TestEachStore:
    def test_what_is_asked_and_told_comes_back(self, where: str) -> None:
        with opened(where, objectives={"accuracy": "maximize", "seconds": "minimize"}) as store:
            tickets = store.ask(SAMPLER, 5)
            assert tickets == [Ticket(n, values) for n, values in enumerate(SAMPLER.suggest([], [], 5))]
            assert store.running() == [Asked(ticket.number, ticket.values) for ticket in tickets]
            store.report({1: {1: 0.3}, 2: {1: math.nan}})
            store.report({1: {3: 0.6}})
            told = [
                Told(0, "finished", (0.9, 12.0), {"run": "runs/0", "seconds": 1.5}),
                Told(1, "pruned", (0.6, 4.0)),
                Told(2, "finished", (math.nan, 1.0), {"stopped": "the loss became nan in update 7"}),
                Told(3, "failed"),
            ]
            assert store.tell(told) == [0, 1, 2, 3]
            scores = [(-0.9, 12.0), (-0.6, 4.0), (math.inf, math.inf), (math.inf, math.inf)]
            expected = [Finished(n, tickets[n].values, scores[n], 3 if n == 1 else None) for n in range(4)]
            assert store.finished() == expected
            assert store.running() == [Asked(4, tickets[4].values)]

    def test_a_memory_says_the_same(self, where: str) -> None:
        with opened(where) as store:
            lists = []
            for one in (store, Memory(SPACE)):
                tickets = one.ask(SAMPLER, 4, most=3)
                one.report({0: {2: 0.7}})
                taken = one.tell([Told(0, "pruned", (0.7,)), Told(1, "failed"), Told(1, "finished", (1.0,))])
                lists.append((tickets, taken, one.finished(), one.running(), one.ask(SAMPLER, 4, most=3)))
        assert lists[0] == lists[1]

    def test_optuna_reads_what_it_would_have_written(self, where: str) -> None:
        with opened(where, attrs={"seed": 3}) as store:
            (ticket,) = store.ask(SAMPLER, 1)
            store.report({0: {1: 0.75, 3: math.inf}})
            store.tell([Told(0, "finished", (0.25,), {"run": "runs/0"})])
            study = optuna.load_study(study_name="s", storage=store.shelf.storage)
            ours = study.trials[0]
            # The same through Optuna's own interface, value by value.
            trial = study.ask()
            for name, kind in ours.distributions.items():
                trial._suggest(name, kind)
            trial.report(0.75, 1)
            trial.report(math.inf, 3)
            trial.set_user_attr("run", "runs/0")
            study.tell(trial, 0.25)
            theirs = optuna.load_study(study_name="s", storage=store.shelf.storage).trials[1]
            assert ours.params == {name: value for name, value in ticket.values.items() if name != "epochs"}
            assert ours.distributions == theirs.distributions
            assert store._trials() == study.trials
            assert (ours.values, ours.state, ours.intermediate_values) == ([0.25], theirs.state, {1: 0.75, 3: math.inf})
            assert ours.intermediate_values == theirs.intermediate_values
            assert ours.user_attrs == theirs.user_attrs == {"run": "runs/0"}
            assert 0 <= (ours.datetime_complete - ours.datetime_start).total_seconds() < 600
            assert 0 <= (theirs.datetime_complete - ours.datetime_complete).total_seconds() < 600
            assert study.metric_names == ["score"]
            assert store.attrs == {"seed": 3}

    def test_optunas_samplers_go_on_with_it(self, where: str) -> None:
        with opened(where) as store:
            store.tell([Told(t.number, "finished", (t.values["lr"],)) for t in store.ask(SAMPLER, 12)])
            sampler = optuna.samplers.TPESampler(seed=0)
            study = optuna.load_study(study_name="s", storage=store.shelf.storage, sampler=sampler)
            always = {name: store._kinds[name] for name in ("lr", "beta", "width", "layers", "rule")}
            assert study.ask(always).params.keys() == always.keys()
            assert study.best_trial.number == min(store.finished(), key=lambda one: one.score).number

    def test_goes_on_with_the_points_it_would_have_tried(self, where: str) -> None:
        with opened(where) as store:
            store.tell(done(store.ask(SAMPLER, 6)))
        with opened(where) as store:
            assert [t.values for t in store.ask(SAMPLER, 6)] == SAMPLER.suggest([], [], 12)[6:]

    def test_a_brain_goes_on_too(self, where: str) -> None:
        sampler, here = Tpe(SPACE, seed=1, startup=4), Memory(SPACE)
        for _ in range(3):
            here.tell([Told(t.number, "finished", (t.values["lr"],)) for t in here.ask(sampler, 4)])
        for _ in range(3):
            with opened(where) as store:
                store.tell([Told(t.number, "finished", (t.values["lr"],)) for t in store.ask(sampler, 4)])
                kept = store.finished()
        assert kept == here.finished()

    def test_a_trial_is_told_once(self, where: str) -> None:
        with opened(where) as store, opened(where) as other:
            store.ask(SAMPLER, 2)
            assert store.tell([Told(0, "finished", (0.1,))]) == [0]
            late = [Told(0, "finished", (0.9,), {"late": True}), Told(1, "finished", (0.2,))]
            assert other.tell(late) == [1]
            other.report({0: {9: 0.9}})
            assert [trial.scores for trial in store.finished()] == [(0.1,), (0.2,)]
            trial = optuna.load_study(study_name="s", storage=store.shelf.storage).trials[0]
            assert (trial.user_attrs, trial.intermediate_values) == ({}, {})

    def test_a_grid_ends_without_an_error(self, where: str) -> None:
        space = Space.parse({"lr": "1e-4..1:log", "layers": "1..2"})
        with opened(where, space=space) as store:
            tickets = store.ask(Grid(space, points=3), 100)
            assert len(tickets) == 6
            assert store.ask(Grid(space, points=3), 1) == []
            for ticket in tickets:
                assert store.tell(done([ticket])) == [ticket.number]
            assert store.ask(Grid(space, points=3), 1) == []

    def test_no_more_than_wanted(self, where: str) -> None:
        with opened(where) as store:
            assert len(store.ask(SAMPLER, 4, most=6)) == 4
            assert len(store.ask(SAMPLER, 4, most=6)) == 2
            assert store.ask(SAMPLER, 4, most=6) == []

    def test_a_trial_that_was_never_asked(self, where: str) -> None:
        with opened(where) as store, pytest.raises(InputError, match=r'the study "s" has no trial 7: tell those'):
            store.tell([Told(7, "finished", (1.0,))])

    def test_reports_are_written_after_a_second_or_with_what_is_told(self, where: str) -> None:
        with opened(where) as store, opened(where) as other:
            store.ask(SAMPLER, 2)

            def seen() -> list[dict[int, float]]:
                return [trial.intermediate_values for trial in other._trials()]

            store.report({0: {1: 0.5}, 1: {1: 0.6}})
            store.beat()
            assert seen() == [{}, {}]
            store._beaten -= 1.0
            store.report({0: {2: 0.4}})
            store.beat()
            assert seen() == [{1: 0.5, 2: 0.4}, {1: 0.6}]
            store.report({0: {3: 0.3}, 1: {3: 0.5}})
            store.tell([Told(0, "pruned", (0.3,))])
            assert seen() == [{1: 0.5, 2: 0.4, 3: 0.3}, {1: 0.6, 3: 0.5}]
            assert store.finished()[0].pruned_at == 3


class TestOpening:
    def test_another_space(self, where: str) -> None:
        opened(where).close()
        with pytest.raises(InputError, match=r'the study "s" searches another space'):
            opened(where, space=Space.parse({"lr": "1e-4..1:log"}))

    def test_other_objectives(self, where: str) -> None:
        opened(where).close()
        with pytest.raises(InputError, match=r'the study "s" has other objectives \(score\)'):
            opened(where, objectives={"score": "maximize"})

    def test_trials_of_another_program(self, where: str) -> None:
        with opened(where, name="shop") as store:
            optuna.create_study(study_name="s", storage=store.shelf.storage).ask()
        with pytest.raises(InputError, match=r'the study "s" has trials of another program'):
            opened(where)

    @pytest.mark.parametrize("objectives", [{}, {"loss": "smallest"}])
    def test_objectives_without_a_direction(self, tmp_path: Path, objectives: dict) -> None:
        with pytest.raises(InputError, match="a study has objectives"):
            opened(str(tmp_path / "s.db"), objectives=objectives)

    @pytest.mark.parametrize(
        ("where", "sentence"),
        [
            ("mysql://host/db", r"mysql://host/db: a study is kept in a file of SQLite, a journal"),
            ("sqlite:///:memory:", r"a study is kept in a file, as in sqlite:///study.db"),
            ("postgresql://me:secret@localhost:1/none", r"postgresql://me:\*\*\*@localhost:1/none: .*can't be opened"),
        ],
    )
    def test_places_that_can_not_be(self, where: str, sentence: str) -> None:
        if "postgres" in where:
            pytest.importorskip("psycopg")
        with pytest.raises(InputError, match=sentence):
            opened(where)

    def test_files_that_are_something_else(self, tmp_path: Path) -> None:
        (tmp_path / "notes.db").write_text("milk, bread, butter\n" * 100)
        (tmp_path / "notes.log").write_text("milk\nbread\n")
        with pytest.raises(InputError, match=r"notes.db: the study can't be opened \(file is not a database\)"):
            opened(str(tmp_path / "notes.db"))
        with pytest.raises(InputError, match=r"notes.log: this is no journal of Optuna"):
            opened(str(tmp_path / "notes.log"))
        with pytest.raises(InputError, match=r"this is a folder: name a file"):
            opened(str(tmp_path))


class TestInterrupted:
    def test_asked_again_with_the_same_values(self, where: str) -> None:
        with opened(where) as store:
            tickets = store.ask(SAMPLER, 4)
            store.report({3: {1: 0.8}})
            store.tell(done(tickets[:2]))
        with opened(where) as store:
            again = store.ask(SAMPLER, 3)
            assert again == [*tickets[2:], Ticket(4, again[2].values)]
            store.report({3: {1: 0.7}})  # the same step again, as it is run from the start
            assert store.tell(done(again)) == [2, 3, 4]
            assert len(store.finished()) == 5

    def test_given_up_in_the_end(self, where: str) -> None:
        for attempt in (1, 2, 3):
            with pytest.raises(RuntimeError), opened(where) as store:
                assert store.ask(SAMPLER, 1, most=1)[0].attempt == attempt
                raise RuntimeError("the training broke")
        with opened(where) as store:
            assert store.ask(SAMPLER, 1, most=1) == []
            assert [trial.succeeded for trial in store.finished()] == [False]
            trial = optuna.load_study(study_name="s", storage=store.shelf.storage).trials[0]
            assert trial.user_attrs == {"stopped": "its process ended 3 times without a result"}

    def test_given_back_in_good_order_counts_for_nothing(self, where: str) -> None:
        for _ in range(5):
            with contextlib.suppress(KeyboardInterrupt), opened(where) as store:
                assert store.ask(SAMPLER, 1, most=1)[0].attempt == 1
                raise KeyboardInterrupt
        with pytest.raises(RuntimeError), opened(where) as store:
            store.ask(SAMPLER, 1, most=1)
            raise RuntimeError("the training broke")
        with opened(where) as store:
            assert store.ask(SAMPLER, 1, most=1)[0].attempt == 2

    def test_a_process_elsewhere_has_its_lease(self, where: str) -> None:
        with opened(where) as far, opened(where, lease=1.0) as near:
            far.owner = replace(far.owner, machine="elsewhere")
            tickets = far.ask(SAMPLER, 2)
            assert near.ask(SAMPLER, 2, most=2) == []
            time.sleep(1.1)
            far._beaten = -math.inf
            far.beat()
            assert near.ask(SAMPLER, 2, most=2) == []
            time.sleep(1.1)
            assert [one.number for one in near.ask(SAMPLER, 2, most=2)] == [0, 1]
            assert far.ask(SAMPLER, 2, most=2) == []
            assert near.tell(done(tickets)) == [0, 1]
            assert far.tell(done(tickets, 0.9)) == []

    def test_a_process_here_keeps_its_trials_while_it_lives(self, where: str) -> None:
        with Worker(where, "die", 8, 8) as worker:
            worker.go()
            assert worker.told() == [0, 1, 2, 3]
            with opened(where, name="shop", lease=0.0) as store:
                assert store.ask(SAMPLER, 8, most=8) == []
                worker.kill()
                again = store.ask(SAMPLER, 8, most=8)
        assert again == [Ticket(n, values, 2) for n, values in enumerate(SAMPLER.suggest([], [], 8)) if n > 3]

    def test_killed_while_it_wrote_a_journal(self, tmp_path: Path) -> None:
        path = tmp_path / "study.log"
        with opened(str(path)) as store:
            store.tell(done(store.ask(SAMPLER, 2)))
        whole = path.read_bytes()
        path.write_bytes(whole + b'{"op_code":6,"trial_id":0,"sta')
        with opened(str(path)) as store:
            store.tell(done(store.ask(SAMPLER, 2)))
            assert [trial.number for trial in store.finished()] == [0, 1, 2, 3]
        with opened(str(path)) as store:
            assert len(store.finished()) == 4


class Worker:
    """A process at the same study."""

    def __init__(self, where: str, mode: str, most: int, at_once: int) -> None:
        command = [sys.executable, "-W", "error", str(SHOP), where, mode, str(most), str(at_once)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def go(self) -> None:
        assert self.process.stdout.readline() == "open\n"
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def told(self) -> list[int]:
        """What the next line says."""
        return [int(word) for word in self.process.stdout.readline().split()[1:]]

    def rest(self) -> list[int]:
        """What all other lines say, once the process has ended."""
        words = self.process.communicate(timeout=200)[0].split()
        assert self.process.returncode == 0
        return [int(word) for word in words if word != "told"]

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=60)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


class TestManyProcesses:
    def test_each_trial_is_recorded_once_and_none_is_lost(self, where: str) -> None:
        """Two processes (four at a server) and one that is killed in the middle."""
        count = 4 if "://" in where else 2
        with contextlib.ExitStack() as stack:
            workers = [Worker(where, mode, 40, 6 if mode == "die" else 4) for mode in ["die", *["work"] * count]]
            for worker in workers:
                stack.enter_context(worker)
                worker.go()
            before = workers[0].told()
            assert len(before) == 3
            workers[0].kill()
            told = [number for worker in workers[1:] for number in worker.rest()]
        assert not set(before) & set(told)
        assert len(told) == len(set(told))
        with opened(where, name="shop") as store:
            # The last to leave may have left before the killed one's trials were free.
            left = store.ask(SAMPLER, 40, most=40)
            assert sorted([*before, *told, *(ticket.number for ticket in left)]) == list(range(40))
            store.tell([Told(one.number, "finished", (one.values["lr"],)) for one in left])
            points = SAMPLER.suggest([], [], 40)
            assert store.finished() == [Finished(n, values, (values["lr"],)) for n, values in enumerate(points)]


class TestCost:
    def test_a_batch_is_one_transaction(self, tmp_path: Path) -> None:
        """However many trials: Optuna's own interface needs several for each."""
        import sqlalchemy

        with opened(str(tmp_path / "s.db")) as store:
            commits: list[None] = []
            sqlalchemy.event.listen(store.shelf.engine, "commit", lambda connection: commits.append(None))
            counts = []
            for size in (2, 32):
                commits.clear()
                tickets = store.ask(SAMPLER, size)
                store.report({ticket.number: {1: 0.5} for ticket in tickets})
                store.tell(done(tickets))
                counts.append(len(commits))
            assert counts[0] == counts[1]
