"""What a stranger does to the command line: odd words, odd folders, two processes at one run."""

from __future__ import annotations

import json
import time

import pytest

QUICK = ("--epochs", "2", "--lr", "0.01", "--json")
NUMBERS = "a,y\n" + "".join(f"{row},{row * 0.5}\n" for row in range(30))


class TestJson:
    @pytest.mark.parametrize("words", [("train", "wine", "--epochs", "x"), ("runs", "--nosuch"), ("predict",)])
    def test_is_printed_also_where_the_words_are_not_understood(self, thalweg, words) -> None:
        finished = thalweg(*words, "--json")
        assert finished.status == 2
        assert "error" in finished.json

    def test_an_undefined_r2_is_null(self, thalweg) -> None:
        rows = "".join(f"{row},{0.5 if row == 0 else 0}\n" for row in range(30))
        (thalweg.folder / "spike.csv").write_text("a,y\n" + rows)
        line = thalweg("train", "spike.csv", "--target", "y", *QUICK).out.splitlines()[-1]
        json.loads(line, parse_constant=pytest.fail)
        assert '"r2": null' in line


class TestOneSentence:
    @pytest.mark.parametrize(
        "words, said",
        [
            (("--seed", "99999999999999999999999"), "seed"),
            (("--threads", "100000"), "threads"),
            (("--lr", "inf"), "lr"),
            (("--model", "m.py:wide"), "needs (2, 3), one column for each class"),
            (("--model", "m.py:Asserts"), "AssertionError: no message"),
            (("--model", "m.py:raises"), "boom second line"),
        ],
    )
    def test_and_no_run_is_left_behind(self, thalweg, words, said) -> None:
        (thalweg.folder / "m.py").write_text(
            "from torch import nn\n"
            "def wide(n_inputs): return nn.Linear(n_inputs, 7)\n"
            "def raises(): raise RuntimeError('boom\\nsecond line')\n"
            "class Asserts(nn.Linear):\n"
            "    def __init__(self, n_inputs): super().__init__(n_inputs, 3)\n"
            "    def forward(self, x): assert x.ndim == 4\n"
        )
        finished = thalweg("train", "wine", *QUICK, *words)
        assert finished.status == 2 and "Traceback" not in finished.err
        assert said in finished.json["error"] and "\n" not in finished.json["error"]
        assert thalweg("runs", "--json").json == {"runs": []}

    def test_for_a_folder_named_like_a_spec(self, thalweg) -> None:
        (thalweg.folder / "x.toml").mkdir()
        assert "Is a directory" in thalweg.fails("train", "x.toml")

    def test_for_amounts_too_large_to_measure(self, thalweg) -> None:
        rows = "".join(f"{row},{row * 1e200 + 0.5}\n" for row in range(30))
        (thalweg.folder / "huge.csv").write_text("a,y\n" + rows)
        assert "too large" in thalweg.fails("train", "huge.csv", "--target", "y", *QUICK)


class TestRuns:
    def test_a_damaged_one_hides_no_other(self, thalweg) -> None:
        (thalweg.folder / "d.csv").write_text(NUMBERS)
        for name in ("good", "bad"):
            assert thalweg("train", "d.csv", "--target", "y", "--name", name, *QUICK).status == 0
        (thalweg.folder / "runs/bad/result.json").write_text("{")
        rows = {row["run"]: row["status"] for row in thalweg("runs", "--json").json["runs"]}
        assert rows["runs/good"] == "finished" and "damaged" in rows["runs/bad"]
        assert thalweg("predict", "good", "d.csv", "--out", "no/where.csv").err.count("None") == 0

    def test_are_predicted_from_within_a_folder_of_images(self, thalweg) -> None:
        from PIL import Image

        for number in range(24):
            folder = thalweg.folder / f"pictures/{'ab'[number % 2]}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 4), 10 * number).save(folder / f"{number}.png")
        assert thalweg("train", "pictures", "--name", "p", *QUICK).status == 0
        inside = type(thalweg)(thalweg.folder / "pictures")
        finished = inside("predict", "../runs/p", ".", "--json")
        assert finished.json["predictions"] == "pictures.predictions.csv", finished.err

    def test_are_trained_by_one_process_at_a_time(self, thalweg) -> None:
        first = thalweg.start(
            "train", "digits", "--lr", "0.003", "--epochs", "100000", "--patience", "0", "--name", "one"
        )
        try:
            until = time.monotonic() + 60
            while not (thalweg.folder / "runs/one/checkpoint.pt").exists() and time.monotonic() < until:
                time.sleep(0.1)
            assert "another process" in thalweg.fails("resume", "one")
        finally:
            first.kill()
            first.communicate()


def test_a_run_is_used_from_any_folder(thalweg) -> None:
    (thalweg.folder / "m.py").write_text(
        "from torch import nn\n\ndef build(n_inputs, n_outputs):\n    return nn.Linear(n_inputs, n_outputs)\n"
    )
    rows = "\n".join(f"{x},{x * 2},{x % 7}" for x in range(60))
    (thalweg.folder / "d.csv").write_text("a,b,y\n" + rows + "\n")
    words = (
        "train",
        "m.py:build",
        "--data",
        "d.csv",
        "--target",
        "y",
        "--task",
        "regression",
        "--epochs",
        "2",
        "--lr",
        "0.01",
    )
    assert thalweg(*words, "--name", "first").status == 0
    below = type(thalweg)(thalweg.folder / "below")
    below.folder.mkdir()
    assert below("predict", "../runs/first", "../d.csv", "--out", "out.csv").status == 0
    assert below("train", "../runs/first/spec.toml").status == 0


def test_a_setting_is_no_option(thalweg) -> None:
    assert '"lr" is a setting of its own' in thalweg.refuses("train", "wine", "--lr", "0.01", "--option", "lr=3")


def test_a_module_that_fails_in_the_middle_leaves_a_run_that_says_so(thalweg) -> None:
    (thalweg.folder / "m.py").write_text(
        "from torch import nn\n\n\nclass Breaks(nn.Module):\n    def __init__(self, n_inputs, n_outputs):\n"
        "        super().__init__()\n        self.layer, self.calls = nn.Linear(n_inputs, n_outputs), 0\n\n"
        "    def forward(self, x):\n        self.calls += self.training\n"
        "        if self.calls > 5:\n            raise RuntimeError('worn out')\n        return self.layer(x)\n"
    )
    assert thalweg("train", "m.py:Breaks", "--data", "wine", "--lr", "0.01", "--name", "broken").status != 0
    assert "failed: RuntimeError: worn out" in (thalweg.folder / "runs/broken/result.json").read_text()
