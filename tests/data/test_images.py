"""Folders of class folders: sizes, modes, parts, and what is not there."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from thalweg.data import Preprocessor, load, load_inputs, split
from thalweg.data.sources.images import read_folder, read_images
from thalweg.errors import InputError

GENERATOR = np.random.default_rng(0)


def draw(path, size=(6, 5), mode="L", value=None) -> np.ndarray:
    """Writes an image of random pixels, or of one value; returns the pixels."""
    shape = (size[1], size[0], *({"L": (), "RGB": (3,), "RGBA": (4,)}[mode]))
    pixels = GENERATOR.integers(0, 256, shape, dtype=np.uint8) if value is None else np.full(shape, value, np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def test_grey_stays_grey(tmp_path) -> None:
    written = [draw(tmp_path / kind / f"{n}.png") for kind in ("cat", "dog") for n in range(6)]
    data = load(tmp_path)
    assert data.inputs.shape == (12, 1, 5, 6)
    assert np.array_equal(data.inputs[:, 0], written)
    assert data.classes == ("cat", "dog")
    assert data.targets.tolist() == [0] * 6 + [1] * 6
    assert (data.task, data.assigned, data.name) == ("binary", None, tmp_path.name)


def test_one_colour_image_makes_all_colour(tmp_path) -> None:
    grey = draw(tmp_path / "a" / "1.png")
    colour = draw(tmp_path / "b" / "1.PNG", mode="RGB")
    clear = draw(tmp_path / "b" / "2.png", mode="RGBA")
    found = read_folder(tmp_path).inputs
    assert np.array_equal(found[0], np.stack([grey] * 3))
    assert np.array_equal(found[1], colour.transpose(2, 0, 1))
    assert np.array_equal(found[2], clear[..., :3].transpose(2, 0, 1))


def test_palettes_single_bits_and_deep_greys(tmp_path) -> None:
    deep = GENERATOR.integers(0, 65536, (5, 6)).astype(np.uint16)
    Image.fromarray(deep).save(_made(tmp_path / "a" / "deep.png"))
    Image.fromarray(np.eye(5, 6) > 0).save(tmp_path / "a" / "bits.png")
    found = read_folder(tmp_path).inputs
    assert found.shape == (2, 1, 5, 6)
    assert np.array_equal(found[0, 0], 255 * np.eye(5, 6, dtype=np.uint8))
    assert np.abs(found[1, 0] - deep / 257).max() < 1
    Image.fromarray(np.zeros((5, 6, 3), np.uint8)).convert("P").save(tmp_path / "a" / "palette.png")
    assert read_folder(tmp_path).inputs.shape == (3, 3, 5, 6)


def _made(path):
    path.parent.mkdir(parents=True)
    return path


def test_the_commonest_size_wins(tmp_path) -> None:
    for n in range(3):
        draw(tmp_path / "a" / f"{n}.jpg", size=(8, 4), value=40 * n)
    draw(tmp_path / "b" / "wide.jpeg", size=(16, 16), value=200)
    found = read_folder(tmp_path).inputs
    assert found.shape == (4, 1, 4, 8)
    assert np.abs(found[3].astype(int) - 200).max() <= 1


def test_deeper_folders_and_other_files(tmp_path) -> None:
    draw(tmp_path / "a" / "deep" / "1.png")
    draw(tmp_path / "a" / ".hidden.png")
    draw(tmp_path / ".cache" / "1.png")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    draw(tmp_path / "b" / "1.png")
    assert read_folder(tmp_path).labels == ["a", "b"]


def test_folders_of_parts(tmp_path) -> None:
    for part, count in (("train", 5), ("test", 2), ("val", 1)):
        for kind in "ab":
            for n in range(count):
                draw(tmp_path / part / kind / f"{n}.png")
    data = load(tmp_path)
    assert data.classes == ("a", "b")
    assert data.assigned.tolist() == [0] * 10 + [1] * 2 + [2] * 4
    assert np.bincount(data.targets).tolist() == [8, 8]


def test_a_model_of_images_predicts_on_images(tmp_path) -> None:
    for kind in "ab":
        for n in range(8):
            draw(tmp_path / "all" / kind / f"{n}.png")
    data = load(tmp_path / "all")
    preprocessor = Preprocessor.fit(data, split(data, seed=0).train)
    other = draw(tmp_path / "new" / "1.png", mode="RGB", value=77)
    draw(tmp_path / "new" / "sub" / "2.png", size=(20, 20))
    found = load_inputs(tmp_path / "new", like=preprocessor)
    assert found.shape == (2, 1, 5, 6)
    assert (found[0] == other[0, 0, 0]).all()
    assert load_inputs(tmp_path / "new" / "1.png", like=preprocessor).shape == (1, 1, 5, 6)
    assert preprocessor.inputs(found).shape == (2, 1, 5, 6)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"has no \.png"):
        load_inputs(tmp_path / "empty", like=preprocessor)


def test_an_unreadable_image_is_named(tmp_path) -> None:
    for n in range(12):
        draw(tmp_path / "ab"[n % 2] / f"{n}.png")
    whole = (tmp_path / "a" / "0.png").read_bytes()
    for content in (b"", b"no image", whole[:60]):
        (tmp_path / "b" / "broken.png").write_bytes(content)
        with pytest.raises(InputError, match=r"broken\.png cannot be read as an image") as found:
            load(tmp_path)
        assert "\n" not in str(found.value)


def test_a_folder_without_class_folders(tmp_path) -> None:
    with pytest.raises(InputError, match="no class folders"):
        load(tmp_path)
    draw(tmp_path / "1.png")
    with pytest.raises(InputError, match="make one folder for each class"):
        load(tmp_path)


def test_one_class_alone(tmp_path) -> None:
    for n in range(12):
        draw(tmp_path / "only" / f"{n}.png")
    with pytest.raises(InputError, match="is 'only' in every row"):
        load(tmp_path)


def test_a_shape_may_be_asked_for(tmp_path) -> None:
    draw(tmp_path / "1.png", value=9)
    assert read_images([tmp_path / "1.png"], shape=(3, 2, 2)).tolist() == np.full((1, 3, 2, 2), 9).tolist()
