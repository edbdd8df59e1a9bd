"""``thalweg data`` as a user runs it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from commandline import CommandLine


@pytest.fixture
def houses(thalweg: CommandLine) -> CommandLine:
    generator = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "rooms": generator.integers(1, 9, 300),
            "town": generator.choice(["Ulm", "[red]Bonn"], 300),
            "bad\x1b[31m\nname <b>": generator.normal(size=300),
            "country": ["DE"] * 300,
        }
    ).with_columns(price=pl.col("rooms") * 20.5 + generator.normal(size=300))
    frame.write_csv(thalweg.folder / "houses.csv")
    frame.with_columns(pl.col("rooms") + 6).write_csv(thalweg.folder / "later.csv")
    return thalweg


def test_without_a_target_shows_all_columns_and_a_hint(houses: CommandLine) -> None:
    finished = houses("data", "houses.csv", "--json")
    assert finished.status == 0, finished.err
    assert "houses.csv: 300 rows, 5 columns" in finished.out and "--target price" in finished.out
    assert "\x1b" not in finished.out and r"bad\x1b[31m\nname" in finished.out and "[red]Bonn" in finished.out
    assert [column["name"] for column in finished.json["columns"]][-1] == "price"
    assert finished.json["suspicions"][0]["sentence"] == '"country" is "DE" in every row: it says nothing.'


def test_with_a_target_shows_parts_and_what_gives_them_away(houses: CommandLine) -> None:
    finished = houses("data", "houses.csv", "--target", "price", "--test", "later.csv", "--json")
    assert finished.status == 0, finished.err
    assert finished.json["split"] == {
        "train": 180,
        "dev": 120,
        "test": 300,
        "rule": "as the data set or you assigned them, the rest at random",
    }
    dev, test = finished.json["mismatch"]
    assert not dev["differs"] and test["differs"] and test["columns"][0]["name"] == "rooms"
    assert "Training and test differ" in finished.out and '"rooms": mean 4.' in finished.out


@pytest.mark.parametrize("columns", ["30", "70", "100"])
def test_fits_a_narrow_terminal(houses: CommandLine, columns: str) -> None:
    houses.environment["COLUMNS"] = columns
    finished = houses("data", "houses.csv", "--target", "price")
    assert finished.status == 0, finished.err
    assert max(map(len, finished.out.splitlines())) <= int(columns)


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["houses.csv", "--target", "prize"], 'did you mean "price"?'),
        (["houses.csv", "--target", "price", "--split", "1,1,1"], "split"),
        (["wine", "--target", "price"], "leave target out"),
    ],
)
def test_nonsense_is_one_sentence(houses: CommandLine, words: list[str], sentence: str) -> None:
    assert sentence in houses.refuses("data", *words)


def test_of_images(thalweg: CommandLine) -> None:
    from PIL import Image

    generator = np.random.default_rng(0)
    for number in range(60):
        path = thalweg.folder / f"pictures/{'ab'[number % 2]}/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 255, (6, 6)).astype(np.uint8)).save(path)
    finished = thalweg("data", "pictures", "--json")
    assert finished.status == 0, finished.err
    assert finished.json["array"]["shape"] == [1, 6, 6] and finished.json["targets"][0]["classes"] == {"a": 30, "b": 30}
