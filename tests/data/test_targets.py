"""What is a class and what an amount, and what a target must not be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.multiclass import type_of_target

from thalweg.data import infer_task
from thalweg.data.targets import label_of, naturally, read_targets
from thalweg.errors import InputError


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["yes", "no", "no"], "binary"),
        (["a", "b", "c"], "multiclass"),
        ([True, False, True], "binary"),
        (np.array([0, 1] * 9), "binary"),
        ([-1.0, 1.0, 1.0], "binary"),
        (np.arange(30) % 3, "multiclass"),
        (np.arange(30.0) % 3, "multiclass"),
        (np.arange(30.0) / 4, "regression"),
        (np.arange(30), "regression"),  # each value once: counts, prices, years
        (np.arange(100) % 21, "regression"),  # more than 20 values, more than 5 % of the rows
        (np.arange(2000) % 100, "multiclass"),  # 100 values of 20 rows each
        (np.arange(20_000) % 101, "regression"),
    ],
)
def test_task_is_inferred(values, task) -> None:
    assert infer_task(values) == task


@given(st.lists(st.integers(0, 5), min_size=12, max_size=60).filter(lambda values: len(set(values)) > 1))
def test_few_whole_numbers_are_what_scikit_learn_takes_them_for(values) -> None:
    assert infer_task(np.array(values)) == type_of_target(values)
    assert infer_task(np.array(values) + 0.5) == "regression"


def test_classes_are_numbered_in_their_natural_order() -> None:
    _, numbers, classes = read_targets(["level 10", "level 2", "level 10"], name="y")
    assert classes == ("level 2", "level 10")
    assert numbers.tolist() == [1, 0, 1]
    assert numbers.dtype == np.int64
    assert read_targets([10, -1, 2, 2, -1, 10], name="y")[2] == ("-1", "2", "10")
    assert read_targets([True, False, True], name="y")[2] == ("false", "true")


@given(st.lists(st.one_of(st.integers(-50, 50), st.sampled_from(["b", "a10", "a9"])), min_size=1, max_size=20))
def test_natural_order_holds_every_label_and_numbers_by_size(values) -> None:
    ordered = naturally(map(str, values))
    assert sorted(ordered) == sorted(map(str, values))
    if all(isinstance(value, int) for value in values):
        assert [int(label) for label in ordered] == sorted(values)


@given(st.lists(st.integers(0, 4), min_size=10, max_size=40).filter(lambda values: len(set(values)) > 1))
def test_numbers_and_their_texts_make_the_same_classes(values) -> None:
    names = ["ant", "bee", "cow", "dog", "elk"]
    of_numbers = read_targets(values, name="y", task="multiclass")
    of_texts = read_targets([names[value] for value in values], name="y", task="multiclass")
    assert of_numbers[1].tolist() == of_texts[1].tolist()
    assert [of_numbers[2][number] for number in of_numbers[1]] == list(map(str, values))


def test_the_user_overrules() -> None:
    task, amounts, classes = read_targets(np.arange(12) % 3, name="y", task="regression")
    assert (task, classes, amounts.dtype) == ("regression", None, np.float64)
    assert read_targets([0, 1, 1], name="y", task="multiclass")[0] == "multiclass"
    assert len(read_targets([f"t{n}" for n in range(500)], name="y", task="multiclass")[2]) == 500


@pytest.mark.parametrize(
    ("values", "task", "sentence"),
    [
        ([1.5, math.nan, 2.0, None], None, "rows 2, 4"),
        (["a", None, "b"], None, 'the target "y" has no value in row 2'),
        ([1.5, math.inf, 2.0], None, "infinite in row 2"),
        ([math.nan] * 6, None, "rows 1, 2, 3 and 3 more"),
        (["a"] * 5, None, "is 'a' in every row"),
        ([2.5] * 5, None, "in every row"),
        ([3.0] * 5, "regression", "is 3 in every row"),
        ([f"t{n}" for n in range(500)], None, "500 different texts"),
        (["3", "4.5", "x7", *map(str, range(200))], None, "holds 'x7' in row 3 among numbers"),
        (["a", "b", "c"], "binary", "3 different values"),
        (["a", "b", "c"], "regression", "holds 'a' in row 1, which is no number"),
        ([1, 2, 3], "ranking", 'no task "ranking"'),
        ([[1, 2], [3, 4]], None, r"shape \(2, 2\)"),
        (np.array([1, "a", 2.5], object), None, "several types"),
        (np.array(["2020-01-01", "2020-01-02"], "M8[D]"), None, "of type Date"),
    ],
)
def test_what_cannot_be_learned_is_said(values, task, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        read_targets(values, name="y", task=task)


def test_labels_are_the_same_from_whole_floats() -> None:
    assert (label_of(3), label_of(3.0), label_of(3.5), label_of("3.0")) == ("3", "3", "3.5", "3.0")
