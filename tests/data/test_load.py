"""``load``: every kind of source, the bundled sets, and one sentence for each mistake."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
import torch
from sklearn import datasets

import thalweg.data.sources.bundled
from thalweg.data import BUNDLED, Preprocessor, load, load_inputs, split
from thalweg.errors import InputError

ROWS = 24
X = np.random.default_rng(0).normal(size=(ROWS, 3))
Y = np.arange(ROWS) % 2
TABLE = "size,town,price\n" + "".join(f"{n},{'ab'[n % 2]},{n * 1.5}\n" for n in range(ROWS))


@pytest.fixture
def fashion_mnist():
    try:
        return load("fashion-mnist")
    except InputError:
        pytest.skip("the files of fashion-mnist are not here")


@pytest.mark.parametrize("name", ["digits", "breast-cancer", "wine", "diabetes"])
def test_bundled_sets_are_scikit_learns(name) -> None:
    theirs = {
        "digits": datasets.load_digits,
        "breast-cancer": datasets.load_breast_cancer,
        "wine": datasets.load_wine,
        "diabetes": lambda: datasets.load_diabetes(scaled=False),
    }[name]()
    data = load(name)
    inputs = data.inputs if isinstance(data.inputs, np.ndarray) else data.inputs.to_numpy()
    assert np.array_equal(inputs, theirs.data)
    assert np.array_equal(data.targets, theirs.target)
    if data.classes is not None:
        assert data.classes == tuple(map(str, theirs.target_names))
    assert data.name == name
    assert data.task == {"breast-cancer": "binary", "diabetes": "regression"}.get(name, "multiclass")


def test_fashion_mnist(fashion_mnist) -> None:
    assert fashion_mnist.inputs.shape == (70_000, 1, 28, 28)
    assert fashion_mnist.inputs.dtype == np.uint8
    assert np.bincount(fashion_mnist.targets).tolist() == [7000] * 10
    assert fashion_mnist.classes[9] == "Ankle boot"
    parts = split(fashion_mnist, seed=0)
    assert parts.test.tolist() == list(range(60_000, 70_000))
    assert (len(parts.train), len(parts.dev)) == (50_000, 10_000)
    assert fashion_mnist.targets[:5].tolist() == [9, 0, 0, 3, 0]  # as the paper's repository lists them


def test_fashion_mnist_is_looked_for_where_the_user_says(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(thalweg.data.sources.bundled, "_homes", lambda: [tmp_path])
    with pytest.raises(InputError, match=r"install Debian's package dataset-fashion-mnist, or put its four files"):
        load("fashion-mnist")
    (tmp_path / "fashion-mnist").mkdir()
    for part, count in (("train", 60), ("t10k", 20)):
        head = b"\0\0\x08"
        images = head + b"\3" + b"".join(n.to_bytes(4, "big") for n in (count, 28, 28)) + bytes(count * 784)
        labels = head + b"\1" + count.to_bytes(4, "big") + bytes(n % 10 for n in range(count))
        (tmp_path / "fashion-mnist" / f"{part}-images-idx3-ubyte").write_bytes(images)
        (tmp_path / "fashion-mnist" / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    assert len(load("fashion-mnist")) == 80


def test_a_table(write) -> None:
    data = load(write("houses.csv", TABLE), target="price")
    assert (data.name, data.task, data.target_name, data.classes) == ("houses", "regression", "price", None)
    assert data.inputs.columns == ["size", "town"]
    assert data.targets.tolist() == [n * 1.5 for n in range(ROWS)]
    assert load(write("houses.csv", TABLE), target="town").classes == ("a", "b")


def test_the_same_content_has_the_same_fingerprint(write) -> None:
    data = load(write("houses.csv", TABLE), target="price")
    frame = pl.read_csv(TABLE.encode())
    in_pieces = pl.concat([frame[:7], frame[7:]], rechunk=False)
    assert data.fingerprint == load(in_pieces, target="price").fingerprint
    frame.write_parquet(write("other.parquet", ""))
    assert data.fingerprint == load(write("x.csv", TABLE).parent / "other.parquet", target="price").fingerprint
    changed = {
        load(frame.with_columns(size=pl.col("size") + (pl.col("size") == 3)), target="price").fingerprint,
        load(frame.with_columns(town=pl.col("town").replace("a", "c")), target="price").fingerprint,
        load(frame.with_columns(price=pl.col("price") + 1), target="price").fingerprint,
        load(frame.rename({"size": "area"}), target="price").fingerprint,
        load(frame.with_columns(size=pl.when(pl.col("size") > 0).then("size")), target="price").fingerprint,
        load(frame, target="size").fingerprint,
    }
    assert len(changed | {data.fingerprint}) == 7


def test_texts_cannot_change_places_unnoticed() -> None:
    def of(texts):
        return load({"t": texts * 5, "y": Y[: 5 * len(texts)]}, target="y").fingerprint

    assert of(["a", "bc", "d"]) != of(["ab", "c", "d"])


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor, np.ndarray.tolist, pl.from_numpy])
def test_pairs(kind) -> None:
    data = load((kind(X), torch.tensor(Y)))
    assert np.allclose(data.inputs if isinstance(data.inputs, np.ndarray) else data.inputs.to_numpy(), X)
    assert data.targets.tolist() == Y.tolist()
    assert data.classes == ("0", "1")
    assert load([X, Y[:, None]]).targets.tolist() == Y.tolist()
    assert load((X, Y * 0.7 + X[:, 0])).task == "regression"
    assert load((X, np.array(["no", "yes"])[Y])).classes == ("no", "yes")


def test_data_go_through() -> None:
    data = load("wine")
    assert load(data) is data


def test_profile_is_plain_and_complete(write) -> None:
    content = "size,town,price\n" + "".join(f"{'' if n < 4 else n},{'ab'[n % 2]},{n * 1.5}\n" for n in range(ROWS))
    data = load(write("houses.csv", content), target="price")
    profile = json.loads(json.dumps(data.profile()))
    assert profile["rows"] == ROWS
    assert profile["columns"] == [
        {"name": "size", "type": "number", "missing": 4},
        {"name": "town", "type": "text", "missing": 0},
    ]
    assert profile["mean"] == pytest.approx(np.mean(data.targets))
    assert profile["sd"] == pytest.approx(np.std(data.targets))
    assert json.loads(json.dumps(load("wine").profile()))["classes"] == {"class_0": 59, "class_1": 71, "class_2": 48}
    assert load((np.zeros((12, 4, 4), np.uint8), Y[:12])).profile()["shape"] == [1, 4, 4]


@pytest.mark.parametrize(
    ("content", "target", "sentence"),
    [
        (TABLE, None, 'which column is to be predicted.* one of "size", "town", "price"'),
        (TABLE, "prize", 'no column "prize": did you mean "price"'),
        (TABLE, "weight", 'no column "weight": choose among "size", "town"'),
        (TABLE.replace("3,b,", "3,b,nan"), "price", None),
        (TABLE.replace("3,b,4.5", "3,b,"), "price", 'the target "price" has no value in row 4'),
        (TABLE.replace("3,b,4.5", "3,b,inf"), "price", "infinite in row 4"),
        (TABLE.replace("3,b,4.5", "inf,b,4.5"), "price", 'the column "size" is infinite in row 4'),
        ("a,b,y\n" + "".join(f"{n},,{n % 2}\n" for n in range(20)), "y", 'the column "b" has no value in any row'),
        ("a,y\n" + "".join(f"{n},t{n}\n" for n in range(500)), "y", "500 different texts"),
        ("a,y\n" + "".join(f"{n},same\n" for n in range(20)), "y", "'same' in every row"),
        ("a,y\n" + "".join(f"{n},{n % 2}\n" for n in range(9)), "y", "has 9 rows: at least 10"),
        ("y\n" + "".join(f"{n % 2}\n" for n in range(20)), "y", "no column beside the target"),
    ],
)
def test_tables_that_cannot_be_learned_from(write, content, target, sentence) -> None:
    path = write("houses.csv", content)
    if sentence is None:
        sentence = "holds 'nan4.5' in row 4"
    with pytest.raises(InputError, match=sentence) as found:
        load(path, target=target, task="regression" if "nan4" in sentence else None)
    assert "\n" not in str(found.value)


def test_an_all_missing_column_under_any_word(write) -> None:
    content = "a,b,y\n" + "".join(f"{n},{('NA', '?', ' ')[n % 3]},{n % 2}\n" for n in range(20))
    with pytest.raises(InputError, match='the column "b" has no value in any row: remove this column'):
        load(write("t.csv", content), target="y")


@pytest.mark.parametrize(
    ("source", "options", "sentence"),
    [
        ("digist", {}, "does not exist: did you mean digits"),
        ("nope.csv", {}, "nope.csv does not exist: give a file"),
        ("nowhere/at/all.csv", {}, "does not exist: give a file, a folder or one of digits, breast-cancer"),
        ("digits", {"target": "digit"}, "the bundled set digits has its own"),
        ("digits", {"task": "regression"}, "is a multiclass task"),
        ((X, Y), {"target": "y"}, "has its own; leave target out"),
        ((X, Y[:-1]), {}, "24 rows and the targets 23"),
        ((pl.DataFrame(X), Y[:-1]), {}, "X has 24 rows and y 23"),
        ((X, Y, Y), {}, "tuple of 3: give a pair"),
        (X, {}, "one array holds no targets"),
        ((X[:5], Y[:5]), {}, "at least 10"),
        ((X[:, 0], Y), {}, r"X has shape \(24,\)"),
        ((X, X[:, :, None]), {}, "give one number or label for each row"),
        ((X, np.eye(2)[Y]), {}, "y is one-hot"),
        ((X, X), {"task": "multiclass"}, "3 targets cannot be a multiclass task"),
        (5, {}, "int is no data"),
    ],
)
def test_sources_that_cannot_be_used(source, options, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        load(source, **options)


def test_near_names_in_the_folder(write) -> None:
    path = write("houses.csv", TABLE)
    with pytest.raises(InputError, match=r"did you mean houses\.csv"):
        load(path.with_name("house.csv"), target="price")


def test_unknown_kind_of_file(write) -> None:
    with pytest.raises(InputError, match="of a kind that cannot be read: give CSV"):
        load(write("a.xlsx", b"PK"))


def test_rows_to_predict_on(write) -> None:
    data = load(write("houses.csv", TABLE), target="price")
    preprocessor = Preprocessor.fit(data, np.arange(ROWS))
    new = load_inputs(write("new.csv", "town,size,extra\na,3,\nb,NA,7\n"), like=preprocessor)
    assert new.columns == ["town", "size", "extra"]
    assert preprocessor.inputs(new).shape == (2, len(preprocessor.feature_names))
    with pytest.raises(InputError, match="does not exist"):
        load_inputs("new.csv", like=preprocessor)
    with pytest.raises(InputError, match="was trained on a table"):
        load_inputs(write("a.npz", b""), like=preprocessor)
    of_arrays = Preprocessor.fit(load("digits"), np.arange(100))
    with pytest.raises(InputError, match=r"was trained on arrays or images of shape \(64,\)"):
        load_inputs(write("new.csv", TABLE), like=of_arrays)
    assert np.array_equal(load_inputs("digits", like=of_arrays), load("digits").inputs)


def test_texts_that_look_like_numbers_in_a_new_file(write) -> None:
    rows = "".join(f"{('007', 'A1')[n % 2]},{n % 2}\n" for n in range(20))
    preprocessor = Preprocessor.fit(load(write("t.csv", "code,y\n" + rows), target="y"), np.arange(20))
    assert preprocessor.feature_names == ("code=007", "code=A1")
    new = load_inputs(write("new.csv", "code\n007\n007\n"), like=preprocessor)
    assert preprocessor.inputs(new).tolist() == [[1, 0], [1, 0]]


def test_every_bundled_name_can_be_asked_for() -> None:
    assert set(BUNDLED) == {"digits", "breast-cancer", "wine", "diabetes", "fashion-mnist"}
