"""Whether training and held-out rows are alike: no alarm for a random split, the right column for a shifted one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from thalweg.data import Data, Split, load, split
from thalweg.data.profile.mismatch import Mismatch, mismatch, mismatches


def table(seed: int, rows: int = 400) -> Data:
    generator = np.random.default_rng(seed)
    numbers = generator.normal(size=rows)
    frame = pl.DataFrame(
        {
            "row": np.arange(rows),
            "a": numbers,
            "b": generator.exponential(size=rows),
            "town": generator.choice(["Ulm", "Bonn", "Köln"], rows),
            "gaps": np.where(generator.random(rows) < 0.2, np.nan, generator.normal(size=rows)),
            "y": numbers + generator.normal(size=rows),
        }
    )
    return load(frame, target="y")


def changed(data: Data, rows: np.ndarray, name: str, value: pl.Expr) -> Data:
    here = pl.Series(np.isin(np.arange(len(data)), rows))
    assert isinstance(data.inputs, pl.DataFrame)
    return replace(data, inputs=data.inputs.with_columns(pl.when(here).then(value).otherwise(pl.col(name)).alias(name)))


class TestRandomSplits:
    def test_raise_an_alarm_in_at_most_five_per_cent(self) -> None:
        alarms = 0
        for seed in range(24):
            data = table(seed, rows=200)
            alarms += mismatch(data, split(data, seed=seed), seed=seed).differs
        assert alarms <= 1

    @pytest.mark.parametrize("name", ["digits", "breast-cancer"])
    def test_of_bundled_sets_raise_none(self, name: str) -> None:
        data = load(name)
        found = mismatch(data, split(data, seed=0), seed=0)
        assert not found.differs and not found.columns and found.low < 0.5 < found.high

    def test_by_group_raise_none_though_groups_differ(self) -> None:
        alarms = 0
        for seed in range(8):
            generator = np.random.default_rng(seed)
            groups = np.repeat(np.arange(60), 4)
            of_group = generator.normal(size=(60, 3))[groups]
            data = Data(
                "g", "regression", of_group + 0.1 * generator.normal(size=(240, 3)), of_group[:, 0], groups=groups
            )
            alarms += mismatch(data, split(data, seed=seed), seed=seed).differs
        assert not alarms


class TestShifts:
    @pytest.mark.parametrize(
        "name, value, said",
        [
            ("a", pl.col("a") + 2, '"a": mean -0.'),
            ("a", pl.col("a") * 4, '"a": standard deviation'),
            ("town", pl.lit("Ulm"), '"town": "Ulm" 3'),
            ("gaps", pl.lit(None, pl.Float64), '"gaps": missing'),
        ],
    )
    def test_are_seen_and_named(self, name: str, value: pl.Expr, said: str) -> None:
        data = table(0)
        parts = split(data, seed=0)
        found = mismatch(changed(data, parts.test, name, value), parts, seed=0)
        assert found.differs and found.part == "test" and found.low > 0.5
        assert [telling.name for telling in found.columns] == [name]
        assert found.columns[0].text.startswith(said) and found.columns[0].auc > 0.6
        assert found.sentence.startswith("Training and test differ: ")

    def test_of_the_target_alone_are_seen(self) -> None:
        data = table(1)
        parts = split(data, seed=0)
        found = mismatch(
            replace(data, targets=data.targets + 5 * np.isin(np.arange(len(data)), parts.dev)), parts, seed=0
        )
        assert found.part == "dev" and [telling.name for telling in found.columns] == ["y"]

    def test_that_only_show_in_two_columns_together_are_seen(self) -> None:
        generator = np.random.default_rng(0)
        x = generator.normal(size=(1000, 2))
        x[700:, 1] = x[700:, 0] + 0.1 * generator.normal(size=300)
        found = mismatch(
            Data("d", "regression", x, generator.normal(size=1000)),
            Split(np.arange(700), np.arange(700, 1000), np.arange(0)),
            seed=0,
        )
        assert found.differs and not found.columns

    @pytest.mark.parametrize("shape, said", [((1, 12, 12), "brightness"), ((3, 9, 7), "brightness of channel 2")])
    def test_of_images_are_seen(self, shape: tuple[int, ...], said: str) -> None:
        generator = np.random.default_rng(0)
        images = generator.integers(0, 200, (300, *shape)).astype(np.uint8)
        images[200:, shape[0] // 2] += 30
        data = Data("i", "binary", images, generator.integers(0, 2, 300), classes=("a", "b"))
        found = mismatch(data, Split(np.arange(200), np.arange(200, 300), np.arange(0)), seed=0)
        assert found.differs and found.columns[0].name == said

    def test_of_wide_arrays_and_sequences_are_seen(self) -> None:
        generator = np.random.default_rng(0)
        for shape in ((150,), (20, 2)):
            x = generator.normal(size=(300, *shape))
            x[200:] += 0.5
            found = mismatch(
                Data("d", "regression", x, generator.normal(size=300)),
                Split(np.arange(200), np.arange(0), np.arange(200, 300)),
                seed=0,
            )
            assert found.differs and found.columns

    def test_in_time_are_seen_without_the_time_itself(self) -> None:
        generator = np.random.default_rng(0)
        days = pl.date_range(pl.date(2025, 1, 1), pl.date(2025, 12, 31), eager=True).sample(
            400, with_replacement=True, seed=0
        )
        frame = pl.DataFrame({"day": days, "a": generator.normal(size=400), "y": generator.normal(size=400)})
        still = load(frame, target="y", time="day")
        assert not mismatch(still, split(still, seed=0), seed=0).differs
        drifting = load(frame.with_columns(pl.col("a") + pl.col("day").dt.ordinal_day() / 90), target="y", time="day")
        found = mismatch(drifting, split(drifting, seed=0), seed=0)
        assert found.differs and [telling.name for telling in found.columns] == ["a"]
        assert "the later rows are not like the earlier ones" in found.sentence


class TestEdges:
    def test_too_few_rows_are_said_to_be(self) -> None:
        data = table(0, rows=30)
        found = mismatch(data, split(data, seed=0), seed=0)
        assert not found.differs and found.sentence == "Too few rows to say whether training and dev differ: 6."

    def test_nothing_held_out(self) -> None:
        data = table(0)
        found = mismatch(data, Split(np.arange(len(data)), np.arange(0), np.arange(0)), seed=0)
        assert found == Mismatch("", 0.5, 0.0, 1.0, False, (), "No rows are held out: there is nothing to compare.")

    def test_the_same_seed_gives_the_same(self) -> None:
        data = table(0)
        parts = split(data, seed=0)
        assert mismatches(data, parts, seed=3) == mismatches(data, parts, seed=3)
        assert mismatches(data, parts, seed=3) != mismatches(data, parts, seed=4)

    def test_a_column_of_one_value_or_none(self) -> None:
        frame = table(0).inputs
        assert isinstance(frame, pl.DataFrame)
        data = replace(
            table(0), inputs=frame.with_columns(one=pl.lit(1), none=pl.lit(None, pl.Float64), text=pl.lit("t"))
        )
        assert not mismatch(data, split(data, seed=0), seed=0).differs

    def test_several_outputs(self) -> None:
        generator = np.random.default_rng(0)
        x, y = generator.normal(size=(300, 2)), generator.normal(size=(300, 2))
        y[200:, 1] += 3
        data = load((x, y))
        found = mismatch(data, Split(np.arange(200), np.arange(200, 300), np.arange(0)), seed=0)
        assert [telling.name for telling in found.columns] == [data.target_names[1]]
