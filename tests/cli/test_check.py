"""``thalweg check``: a table, a status that scripts can read, one JSON object, a page; nonsense is one sentence."""

from __future__ import annotations

import json
import re

MODEL = """
from torch import nn

def fine(n_inputs, n_outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(n_inputs, 32), nn.ReLU(), nn.Linear(32, n_outputs))

def softmax(n_inputs, n_outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(n_inputs, 32), nn.ReLU(), nn.Linear(32, n_outputs), nn.Softmax(1))
"""


class TestTheCommand:
    def test_what_is_sound_has_status_0_and_a_page(self, thalweg) -> None:
        finished = thalweg("check", "digits", "--page", "check.html", "--json")
        assert finished.status == 0, finished.err
        found = finished.json
        assert found["status"] == "passed" and found["page"] == "check.html"
        names = [check["name"] for check in found["checks"]]
        assert names[0] == "data" and {"start", "gradient check", "one batch", "rate"} <= set(names)
        table, layers = finished.out.split("\n\n")[:2]
        assert table.count("✓") == len(names) and "1 Linear" in layers
        page = (thalweg.folder / "check.html").read_text()
        figures = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.S)[1])
        assert {"spread", "gradient", "outputs", "sizes", "range", "batch"} == set(figures)
        assert "Nothing stands in the way" in page
        assert not list(thalweg.folder.glob("runs*"))  # nothing was trained

    def test_a_fault_has_status_1_its_kind_and_a_remedy(self, thalweg) -> None:
        (thalweg.folder / "net.py").write_text(MODEL)
        finished = thalweg("check", "net.py:softmax", "--data", "digits", "--json")
        assert finished.status == 1
        failed = {check["name"]: check for check in finished.json["checks"] if check["status"] == "failed"}
        assert failed["output and loss"]["kind"] == "wrong_activation" and failed["output and loss"]["remedy"]
        assert "Behind the softmax the loss cannot fall below" in failed["one batch"]["sentence"]
        assert "✗" in finished.out and "[wrong_activation]" in finished.out and "Traceback" not in finished.err

    def test_a_warning_alone_has_status_0(self, thalweg) -> None:
        finished = thalweg("check", "wine", "--lr", "1e-8", "--json")
        assert finished.status == 0 and finished.json["status"] == "warned"
        assert {check["kind"] for check in finished.json["checks"] if check["status"] == "warned"} == {"lr_too_low"}

    def test_is_seen_where_only_ascii_can_be(self, thalweg) -> None:
        thalweg.environment["PYTHONIOENCODING"] = "ascii:replace"
        finished = thalweg("check", "wine")
        assert finished.status == 0 and finished.out.isascii() and "+" in finished.out

    def test_a_spec_is_checked_as_it_would_be_trained(self, thalweg) -> None:
        (thalweg.folder / "spec.toml").write_text('data = "wine"\nhidden = [16]\nlr = 30.0\n')
        finished = thalweg("check", "spec.toml", "--json")
        assert finished.status == 1
        assert {c["kind"] for c in finished.json["checks"] if c["status"] == "failed"} == {"lr_too_high"}

    def test_a_column_that_knows_the_target(self, thalweg) -> None:
        lines = [f"{i % 7},{(i * i) % 11},{3 * ((i * 5) % 13)},{(i * 5) % 13}" for i in range(200)]
        (thalweg.folder / "t.csv").write_text("a,b,leak,price\n" + "\n".join(lines))
        finished = thalweg("check", "t.csv", "--target", "price", "--json")
        assert finished.status == 1
        first = finished.json["checks"][0]
        assert (first["name"], first["status"], first["kind"]) == ("data", "failed", "leakage") and "leak" in first[
            "sentence"
        ]

    def test_nonsense_is_one_sentence(self, thalweg) -> None:
        assert "--data" in thalweg.refuses("check", "net.py:build")
        assert "nowhere.csv" in thalweg.refuses("check", "nowhere.csv")
        assert "cannot be written" in thalweg.refuses("check", "wine", "--page", "no/where.html")
