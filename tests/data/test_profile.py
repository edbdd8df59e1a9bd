"""What is said of a column, a target and an array, and what is suspected of them; of harmless data nothing is."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from scipy.stats import skew

from thalweg.data import Data, Split, load, split
from thalweg.data.profile import Profile, profile
from thalweg.data.profile.suspicions import of_inputs


def harmless(seed: int, rows: int = 300, *, classes: bool = False) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    a, c = generator.normal(size=rows), generator.integers(0, 5, rows)
    y = a + (c == 2) + 0.3 * generator.normal(size=rows)
    return pl.DataFrame(
        {
            "a": a,
            "income": generator.lognormal(10, 1, rows),
            "c": c,
            "town": generator.choice(["Ulm", "Bonn", "Köln"], rows),
            "amount": generator.integers(0, 100_000, rows),
            "gaps": np.where(generator.random(rows) < 0.3, np.nan, generator.normal(size=rows)),
            "heavy": generator.standard_t(3, rows),
            "yes": generator.random(rows) < 0.1,
            "y": (y > np.median(y)).astype(int) if classes else y,
        }
    )


def suspected(frame: pl.DataFrame, target: str = "y", *, parts: Split | None = None) -> dict[str, str]:
    """The sentences by their kind."""
    return {one.kind: one.sentence for one in profile(load(frame, target=target), split=parts).suspicions}


class TestColumns:
    def test_are_numpys_numbers(self) -> None:
        frame = pl.DataFrame({"n": [3, 1, None, 2, 2, 8], "t": ["b", "a", "b", None, "", "c"], "f": [True, None] * 3,
                              "d": [date(2026, 1, day) for day in (5, 3, 9, 3, 3, 4)]})  # fmt: skip
        number, text, flag, day = profile(frame).columns
        known = np.array([3, 1, 2, 2, 8])
        assert (number.missing, number.distinct, number.type) == (1, 4, "number")
        assert (number.minimum, *(number.quartiles or ()), number.maximum) == tuple(
            np.quantile(known, [0, 0.25, 0.5, 0.75, 1])
        )
        assert (number.mean, number.sd) == pytest.approx((known.mean(), known.std()))
        assert number.frequent == (("2", 2), ("1", 1), ("3", 1), ("8", 1))
        assert text.frequent[0] == ("b", 2) and text.mean is None and text.minimum is None
        assert flag.frequent == (("true", 3),) and flag.type == "yes or no"
        assert (day.minimum, day.maximum, day.distinct) == ("2026-01-03", "2026-01-09", 4)

    def test_of_an_array_and_its_constant_features(self) -> None:
        x = np.random.default_rng(0).normal(size=(40, 2, 3))
        x[:, 1, 0] = 7
        x[3, 0, 0] = np.nan
        array = profile(Data("x", "regression", x, np.arange(40.0))).array
        assert array is not None and array.shape == (2, 3) and array.constant == (3,) and array.missing == 1
        assert (array.minimum, array.maximum, array.mean, array.sd) == pytest.approx(
            (np.nanmin(x), np.nanmax(x), np.nanmean(x), np.nanstd(x))
        )

    def test_go_into_json(self) -> None:
        found = profile(load("wine"))
        assert json.loads(json.dumps(found.to_dict()))["columns"][0]["name"] == "alcohol"

    @pytest.mark.parametrize(
        "values", [[None] * 12, [[1, 2]] * 12, [{"a": 1}] * 12, [b"x", b"y"] * 6, [1e308, -1e308] * 6]
    )
    def test_of_odd_kinds_are_shown(self, values: list[object]) -> None:
        frame = pl.DataFrame({"odd": values, "y": range(12)})
        assert profile(frame).columns[0].name == "odd"


class TestTargets:
    def test_classes_are_counted(self) -> None:
        (target,) = profile(load("breast-cancer")).targets
        assert target.classes == {"malignant": 212, "benign": 357}
        assert (target.majority, target.ratio) == pytest.approx((357 / 569, 357 / 212))

    def test_amounts_are_scipys(self) -> None:
        data = load("diabetes")
        (target,) = profile(data).targets
        assert target.skew == pytest.approx(skew(data.targets)) and target.outliers == 0

    def test_of_several_outputs(self) -> None:
        x = np.random.default_rng(0).normal(size=(50, 3))
        first, second = profile(load((x, x[:, :2] * [1, 100]))).targets
        assert second.sd == pytest.approx(100 * x[:, 1].std()) and first.name != second.name


class TestNothingIsSuspected:
    @pytest.mark.parametrize("name", ["digits", "wine", "breast-cancer", "diabetes"])
    def test_of_bundled_sets(self, name: str) -> None:
        data = load(name)
        assert profile(data, split=split(data, seed=0)).suspicions == ()

    @pytest.mark.parametrize("classes", [False, True])
    def test_of_random_tables(self, classes: bool) -> None:
        for seed in range(20):
            data = load(harmless(seed, (30, 300, 3000)[seed % 3], classes=classes), target="y")
            assert profile(data, split=split(data, seed=0)).suspicions == ()

    def test_of_rows_that_repeat_because_there_are_few_values(self) -> None:
        generator = np.random.default_rng(0)
        frame = pl.DataFrame({"a": generator.integers(0, 3, 500), "b": generator.integers(0, 4, 500)})
        assert not suspected(frame.with_columns(y=pl.col("a") * 2.5 + generator.normal(size=500)))


class TestColumnsAreSuspected:
    @pytest.mark.parametrize(
        "kind, column, said",
        [
            ("constant", pl.lit("DE"), '"x" is "DE" in every row'),
            ("missing", pl.Series([1.5] * 5 + [None] * 295), "is missing in 295 of 300 rows"),
            ("row numbers", pl.Series(range(7, 307)), "counts the rows one by one"),
            ("identifier", pl.Series([f"A{(7 * n) % 300:04}" for n in range(300)]), "is different in every row"),
            ("mixed types", pl.Series([*map(str, range(290)), *["n.v."] * 10]), '290 numbers and 10 texts, such as "n.v."'),
            ("many categories", pl.Series([f"town {n % 200}" for n in range(300)]), "200 different values in 300 rows"),
            ("outliers", pl.Series([*np.linspace(10, 20, 299), 1e6]), "lies once, at 1e+06"),
            ("outliers", pl.Series([*np.linspace(-10, 20, 298), 1e6, -1e6]), "in 2 rows"),
            ("stand-in", pl.Series([*np.linspace(10, 20, 290), *[-999.0] * 10]), "is -999 in 10 rows"),
            ("dates", pl.Series([date(2026, 1, 1 + n % 28) for n in range(300)]), "--time"),
            ("repeated column", pl.col("a"), 'holds the same values as "a"'),
        ],
    )  # fmt: skip
    def test_with_their_evidence(self, kind: str, column: pl.Expr | pl.Series, said: str) -> None:
        found = suspected(harmless(0).with_columns(x=column))
        assert list(found) == [kind] and said in found[kind]

    def test_an_identifier_by_its_name(self) -> None:
        frame = pl.DataFrame({"customer_id": np.random.default_rng(0).permutation(10**6)[:100]})
        assert [one.kind for one in of_inputs(frame)] == ["identifier"]


class TestLeakage:
    @pytest.mark.parametrize(
        "column, said",
        [
            (pl.col("y"), '"x" is the target "y" itself'),
            (pl.col("y") * -1000, 'The target "y" is "x" × -0.001: '),
            (pl.col("y") * 1.8 + 32, 'The target "y" is "x" × 0.5556 − 17.78'),
        ],
    )
    def test_a_copy_of_amounts(self, column: pl.Expr, said: str) -> None:
        assert said in suspected(harmless(1).with_columns(x=column))["copy of the target"]

    @pytest.mark.parametrize(
        "column", [pl.col("y"), 5 - 3 * pl.col("y"), pl.col("y").replace_strict({0: "no", 1: "yes"})]
    )
    def test_a_renamed_copy_of_classes(self, column: pl.Expr) -> None:
        found = suspected(harmless(1, classes=True).with_columns(x=column))
        assert '"x" is the target "y" under other names' in found["copy of the target"]

    @pytest.mark.parametrize("classes, column", [
        (False, pl.col("y").exp()), (False, pl.col("y").tanh() + 1e-3 * pl.col("a")),
        (True, pl.col("y") * 10 + pl.col("heavy").clip(-4, 4)), (True, pl.when(pl.col("y") == 1).then(pl.col("town"))),
    ])  # fmt: skip
    def test_a_column_that_gives_the_target_away(self, classes: bool, column: pl.Expr) -> None:
        found = suspected(harmless(1, classes=classes).with_columns(x=column))
        assert list(found) == ["gives the target away"] and '"x" alone gives away' in found["gives the target away"]

    def test_of_many_classes(self) -> None:
        data = load("digits")
        assert isinstance(data.inputs, np.ndarray)
        leaky = np.column_stack([data.inputs, (data.targets * 3 + 20).astype(np.uint8)])
        (only,) = profile(replace(data, inputs=leaky)).suspicions
        assert only.columns == ("x64",)

    def test_a_strong_honest_column_is_not_suspected(self) -> None:
        generator = np.random.default_rng(0)
        y = generator.normal(size=500)
        assert not suspected(
            pl.DataFrame({"x": y + 0.2 * generator.normal(size=500), "b": generator.normal(size=500), "y": y})
        )

    @pytest.mark.parametrize("classes", [False, True])
    def test_missing_by_target(self, classes: bool) -> None:
        frame = harmless(2, classes=classes)
        middle = frame["y"].median()
        gone = (pl.col("y") >= middle if classes else pl.col("y") > middle) & (pl.col("a").hash(1) % 3 > 0)
        found = suspected(frame.with_columns(x=pl.when(~gone).then(pl.col("heavy"))))
        assert '"x" is missing' in found["missing by target"]


class TestRows:
    def test_that_repeat_others(self) -> None:
        frame = harmless(3)
        found = suspected(pl.concat([frame, frame[:12]]))
        assert list(found) == ["repeated rows"]
        assert (
            "12 of 312 rows repeat the inputs of another row (rows 301, 302, 303 and 9 more)" in found["repeated rows"]
        )

    def test_that_repeat_others_with_another_answer_or_number(self) -> None:
        frame = harmless(3)
        doubled = pl.concat([frame, frame[:12].with_columns(y=pl.col("y") + 1)])
        found = suspected(doubled.with_columns(id=pl.Series(range(312))))
        assert "12 of the repeated rows have another amount" in found["label noise"]

    def test_that_are_in_two_parts(self) -> None:
        frame = pl.concat([harmless(3), harmless(3)[:12]])
        found = suspected(frame, parts=Split(np.arange(300), np.arange(300, 306), np.arange(306, 312)))
        assert "12 of 12 held-out rows are in training, too" in found["repeated across parts"]
        found = suspected(frame, parts=Split(np.arange(12, 300), np.arange(300, 312), np.arange(0, 12)))
        assert "repeated across parts" not in found

    def test_of_images(self) -> None:
        images = np.random.default_rng(0).integers(0, 255, (50, 1, 4, 4)).astype(np.uint8)
        images[49] = images[0]
        data = Data("i", "binary", images, np.arange(50) % 2, classes=("a", "b"))
        kinds = {one.kind: one.sentence for one in profile(data).suspicions}
        assert set(kinds) == {"repeated rows", "label noise"} and "another class" in kinds["label noise"]


class TestClasses:
    def of(self, counts: list[int]) -> Profile:
        y = np.repeat(np.arange(len(counts)), counts)
        x = np.random.default_rng(0).normal(size=(len(y), 2))
        return profile(Data("c", "multiclass", x, y, classes=tuple("abcdefgh"[: len(counts)])))

    def test_of_few_rows_and_small_shares(self) -> None:
        few, imbalance = self.of([3, 500, 400]).suspicions
        assert '1 class has fewer than 10 rows: "a" (3)' in few.sentence
        assert '"a" makes 0.33 % of the rows and "b" 55.4 %' in imbalance.sentence

    def test_even_ones_are_not_suspected(self) -> None:
        assert not self.of([50] * 8).suspicions and not self.of([100, 300]).suspicions
