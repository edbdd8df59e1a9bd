"""NPZ archives and IDX files, whole and broken."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from thalweg.data import load
from thalweg.data.sources.arrays import as_array, read_idx, read_idx_folder, read_npz, read_npz_inputs
from thalweg.errors import InputError

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (30, 4, 5), dtype=np.uint8)
LABELS = (np.arange(30) % 3).astype(np.uint8)
TYPES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx(array: np.ndarray) -> bytes:
    """The format as its author describes it: http://yann.lecun.com/exdb/mnist"""
    kind = TYPES[array.dtype.str[1:]]
    return (
        struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape)
        + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


SHAPES = arrays_of.array_shapes(max_dims=4, max_side=4)


@given(st.sampled_from(list(TYPES)).flatmap(lambda kind: arrays_of.arrays(kind, SHAPES)))
def test_idx_is_read_back(tmp_path_factory, array) -> None:
    path = tmp_path_factory.mktemp("idx") / "a-idx3-ubyte"
    path.write_bytes(idx(array))
    found = read_idx(path)
    assert found.dtype == array.dtype
    assert np.array_equal(found, array, equal_nan=array.dtype.kind == "f")


@pytest.fixture
def four(tmp_path):
    for part, rows in (("train", slice(0, 20)), ("t10k", slice(20, 30))):
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(IMAGES[rows]), mtime=0))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS[rows]), mtime=0))
    return tmp_path


def test_a_folder_of_four_files_has_its_own_test_part(four) -> None:
    data = load(four)
    assert data.inputs.shape == (30, 1, 4, 5)
    assert data.inputs.dtype == np.uint8
    assert np.array_equal(data.inputs[:, 0], IMAGES)
    assert np.array_equal(data.targets, LABELS)
    assert np.flatnonzero(data.assigned == 2).tolist() == list(range(20, 30))
    assert data.task == "multiclass"


def test_an_images_file_finds_its_labels(four) -> None:
    data = load(four / "train-images-idx3-ubyte.gz")
    assert (len(data), data.assigned, data.name) == (20, None, "train")
    (four / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(InputError, match=r"no labels beside it: put the file train-labels-idx1-ubyte\.gz"):
        load(four / "train-images-idx3-ubyte.gz")
    with pytest.raises(InputError, match="is no images file"):
        load(four / "t10k-labels-idx1-ubyte.gz")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "begins with nothing"),
        (b"\x89PNG....", "begins with 89 50 4e 47"),
        (b"\0\0\x07\x01\0\0\0\x01a", "is no IDX file"),
        (b"\0\0\x08\x01\0\0", "cut short"),
        (idx(IMAGES)[:-1], "cut short"),
        (idx(IMAGES) + b"x", "cut short"),
    ],
)
def test_broken_idx(tmp_path, content, sentence) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_idx(path)


def test_a_folder_whose_parts_do_not_fit(four) -> None:
    (four / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS[:3]), mtime=0))
    with pytest.raises(InputError, match="10 images and 3 labels"):
        read_idx_folder(four)


@pytest.mark.parametrize(
    ("names", "test_from"),
    [
        (("X", "y"), None),
        (("data", "target"), None),
        (("images", "labels"), None),
        (("x_train", "y_train", "x_test", "y_test"), 20),
        (("train_images", "train_labels", "test_images", "test_labels"), 20),
        (("x_test", "y_test", "x_val", "y_val", "x_train", "y_train"), 20),
    ],
)
def test_npz_by_the_names_people_use(tmp_path, names, test_from) -> None:
    rows = {"train": slice(0, 20), "val": slice(10, 20), "test": slice(20, 30)}
    if any("val" in name for name in names):
        rows["train"] = slice(0, 10)
    content = {}
    for name in names:
        part = next((rows[key] for key in rows if key in name), slice(0, 30))
        content[name] = (IMAGES if any(word in name for word in ("x", "X", "data", "images")) else LABELS[:, None])[
            part
        ]
    np.savez_compressed(tmp_path / "a.npz", **content)
    found = read_npz(tmp_path / "a.npz")
    assert np.array_equal(found.inputs[:, 0], IMAGES)
    assert np.array_equal(found.targets, LABELS)
    data = load(tmp_path / "a.npz")
    if test_from is None:
        assert found.assigned is data.assigned is None
        return
    dev = 10 if "x_val" in names else test_from
    expected = [0] * dev + [1] * (test_from - dev) + [2] * (30 - test_from)
    assert found.assigned.tolist() == data.assigned.tolist() == expected


def test_inputs_alone(tmp_path) -> None:
    for name in ("X", "images", "whatever"):
        np.savez(tmp_path / "a.npz", **{name: IMAGES})
        assert np.array_equal(read_npz_inputs(tmp_path / "a.npz")[:, 0], IMAGES)
    np.savez(tmp_path / "a.npz", one=IMAGES, two=IMAGES)
    with pytest.raises(InputError, match="holds one, two"):
        read_npz_inputs(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"X": np.array([{"a": 1}] * 12, object), "y": LABELS[:12]}, "Python objects"),
        ({"pixels": IMAGES, "kinds": LABELS}, "holds pixels, kinds: name its arrays X and y"),
        ({"X": IMAGES, "y": LABELS[:7]}, "inputs have 30 rows and the targets 7"),
        ({"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:, 1:], "y_test": LABELS}, "do not fit each other"),
        ({"X": IMAGES, "y": np.eye(3)[LABELS]}, "one-hot"),
        ({"X": IMAGES, "y": IMAGES}, "one for each row"),
        ({"X": np.array(["a"] * 30), "y": LABELS}, "give numbers"),
        ({"X": LABELS.astype(float), "y": LABELS}, r"shape \(30,\)"),
    ],
)
def test_npz_that_cannot_be_used(tmp_path, content, sentence) -> None:
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(InputError, match=sentence):
        load(tmp_path / "a.npz")


def test_no_npz_at_all(tmp_path) -> None:
    for content in (b"", b"text", b"PK\x03\x04 broken"):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(InputError, match="cannot be read as NPZ"):
            load(tmp_path / "a.npz")


def test_tensors_and_lists_become_arrays() -> None:
    numbers = torch.rand(4, 3, requires_grad=True)
    assert np.array_equal(as_array(numbers, "X"), numbers.detach().numpy())
    assert as_array(numbers.bfloat16(), "X").dtype == np.float32
    assert as_array([[1, 2], [3, 4]], "X").shape == (2, 2)


def test_bytes_in_the_shape_of_images() -> None:
    assert as_array(IMAGES, "X").shape == (30, 1, 4, 5)
    assert as_array(IMAGES.astype(float), "X").shape == (30, 4, 5)
    colour = GENERATOR.integers(0, 256, (6, 8, 9, 3), dtype=np.uint8)
    assert np.array_equal(as_array(colour, "X"), colour.transpose(0, 3, 1, 2))
    first = colour.transpose(0, 3, 1, 2)
    assert as_array(first, "X").shape == first.shape


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ([[1, 2], [3]], "different lengths"),
        (np.array([[1.0, np.inf]]), "infinite in row 1, column 2"),
        (np.full((2, 1, 2, 2), -np.inf), r"infinite in row 1, place \(1, 1, 1\)"),
        (np.zeros((5, 0)), r"shape \(5, 0\)"),
        (np.zeros((2, 2), complex), "complex128"),
    ],
)
def test_arrays_that_cannot_be_used(source, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        as_array(source, "X")
