"""Dev and test parts in files of their own: read as the training rows are, marked, and refused where they do not fit."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from PIL import Image

from thalweg.data import Preprocessor, load, split
from thalweg.errors import InputError

ROWS = 24
GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(ROWS, 3))
Y = np.arange(ROWS) % 2
TABLE = "size,town,code,price\n" + "".join(f"{n},{'ab'[n % 2]},{('007', 'A1')[n % 2]},{n * 1.5}\n" for n in range(ROWS))


def test_separate_files(write) -> None:
    train = write("train.csv", TABLE)
    dev = write("dev.csv", "code,price,more,town,size\n007,3,z,b,1.5\n008,4,z,c,\n")
    test = write("test.csv", "size,town,code,price\n7,,007,9\n")
    data = load(train, target="price", dev=dev, test=test)
    assert data.assigned.tolist() == [0] * ROWS + [1, 1, 2]
    assert data.inputs.columns == ["size", "town", "code"]
    assert data.inputs[-3:].rows() == [(1.5, "b", "007"), (None, "c", "008"), (7.0, None, "007")]
    assert data.targets[-3:].tolist() == [3, 4, 9]
    parts = split(data, seed=0)
    assert (parts.dev.tolist(), parts.test.tolist()) == ([24, 25], [26])
    preprocessor = Preprocessor.fit(data, parts.train)
    assert np.isfinite(preprocessor.inputs(data.inputs)).all()
    only_test = split(load(train, target="price", test=test), seed=0)
    assert (len(only_test.train), len(only_test.dev), only_test.test.tolist()) == (19, 5, [24])


def test_classes_keep_their_numbers(write) -> None:
    train = write("train.csv", TABLE)
    dev = write("dev.csv", "size,code,price,town\n1,A1,2,b\n2,007,3,b\n")
    assert load(train, target="town", dev=dev).targets[-2:].tolist() == [1, 1]
    assert load(train, target="code", dev=dev).targets[-2:].tolist() == [1, 0]
    yes = "x,y\n" + "".join(f"{n},{('yes', 'no')[n % 2]}\n" for n in range(ROWS))
    data = load(write("yes.csv", yes), target="y", test=write("t.csv", "x,y\n1,no\n"))
    assert data.classes[data.targets[-1]] == "no"
    truth = "x,y\n" + "".join(f"{n},{('true', 'false')[n % 2]}\n" for n in range(ROWS))
    assert load(write("true.csv", truth), target="y", test=write("t.csv", "x,y\n1,True\n")).targets[-1] == 1


def test_pairs_frames_and_marks_of_all_rows() -> None:
    data = load((X, Y), dev=(X[:4], Y[:4]), test=(X[:2], ["0", "1"]), weights=np.arange(ROWS + 6))
    assert data.targets[-6:].tolist() == [0, 1, 0, 1, 0, 1]
    assert data.inputs.shape == (ROWS + 6, 3)
    assert data.weights[-1] == ROWS + 5
    frame = pl.DataFrame(X, schema=["a", "b", "c"]).with_columns(y=pl.Series(Y * 0.5 + X[:, 0]), g=pl.Series(Y))
    data = load(frame, target="y", test=frame[:5], groups="g", drop=["b"])
    assert data.inputs.columns == ["a", "c"]
    assert data.groups.tolist() == [*Y, *Y[:5]]
    several = load((X, X), dev=(X[:3], X[:3] * 2))
    assert np.array_equal(several.targets[-3:], X[:3] * 2)
    assert len(load("digits", test="digits")) == 2 * 1797


def test_folders_of_images_come_in_the_first_ones_size(tmp_path) -> None:
    for name, size, each in (("train", (6, 5), 6), ("test", (9, 9), 2)):
        for label in ("cat", "dog"):
            (tmp_path / name / label).mkdir(parents=True)
            for number in range(each):
                pixels = GENERATOR.integers(0, 256, size, dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / name / label / f"{number}.png")
    data = load(tmp_path / "train", test=tmp_path / "test")
    assert data.inputs.shape == (16, 1, 6, 5)
    assert data.targets[data.assigned == 2].tolist() == [0, 0, 1, 1]


def test_a_missing_value_where_training_has_none(write) -> None:
    """It becomes the mean: 0 after scaling; a word among numbers is refused."""
    data = load(write("train.csv", TABLE), target="price", test=write("test.csv", "size,town,code,price\n,a,007,9\n"))
    preprocessor = Preprocessor.fit(data, split(data, seed=0).train)
    assert preprocessor.feature_names == ("size", "town=a", "town=b", "code=007", "code=A1")
    assert preprocessor.inputs(data.inputs)[-1].tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("size,code,price\n1,A1,2\n", 'more.csv: the column "town" of the training data is missing'),
        ("Size,town,code,price\n1,a,A1,2\n", 'the column "size" of the training data is missing: is "Size" meant'),
        ("size,town,code\n1,a,A1\n", 'more.csv has no column "price"'),
        ("size,town,code,price\nbig,a,A1,2\n", "the column \"size\" holds 'big' in row 1"),
        ("size,town,code,price\n1,a,A1,2\n1,a,A1,\n", 'more.csv: the target "price" has no value in row 2'),
        ("size,town,code,price\n1,a,A1,much\n", "more.csv: the target \"price\" holds 'much' in row 1"),
        ("size,town,code,price\ninf,a,A1,2\n", 'the column "size" is infinite in row 25'),
        (
            "size,town,code,price\n2024-01-01,a,A1,2\n",
            'the column "size" holds values of type Date, and in training Int64',
        ),
    ],
)
def test_files_that_do_not_fit(write, content, sentence) -> None:
    with pytest.raises(InputError, match=sentence) as found:
        load(write("train.csv", TABLE), target="price", test=write("more.csv", content))
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"test": (X[:, :2], Y)}, r"rows of shape \(2,\) and the training data \(3,\)"),
        ({"test": (pl.DataFrame(X), Y)}, "X is a table and the training data an array"),
        ({"test": (X, Y + 1)}, "the target \"y\" is '2' in row 2, a class that no training row has"),
        ({"test": (X, X)}, "X has 3 targets and the training data 1"),
        ({"test": (X, Y[:3])}, "the inputs have 24 rows and the targets 3"),
        ({"test": "nope.csv"}, "nope.csv does not exist"),
        ({"test": (X, Y), "split_column": ["train"] * 2 * ROWS}, "has parts already"),
    ],
)
def test_pairs_that_do_not_fit(options, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        load((X, Y), **options)


def test_a_set_with_a_test_part_of_its_own() -> None:
    data = load((X, Y), test=(X, Y))
    with pytest.raises(InputError, match="data has a test part of its own: leave test out"):
        load(data, test=(X, Y))
    assert len(load(data, dev=(X, Y))) == 3 * ROWS
