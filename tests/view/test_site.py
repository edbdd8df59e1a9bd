"""What is answered to which path: pages of all that is in the folder, and nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from thalweg.view import Site
from thalweg.view.site import EVERY, SELDOM
from view import folders

NASTY = '<img src=x onerror=alert(1)>"&'


def body(site: Site, path: str) -> str:
    answer = site.answer(path)
    assert answer.status == 200
    return answer.body.decode()


def test_the_list_has_a_row_for_everything(tmp_path: Path) -> None:
    folders.run(tmp_path)
    folders.study(tmp_path)
    folders.page(tmp_path / "check.html")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "other.html").write_text("<title>somebody else's</title>")
    (tmp_path / "empty").mkdir()
    site = Site(tmp_path)
    assert [(entry.name, entry.kind) for entry in site.entries()] == [
        ("check.html", "check"),
        ("digits-1", "run"),
        ("digits-study-1", "study"),
    ]
    page = body(site, "/")
    for link in ("/page/digits-1", "/page/digits-study-1", "/page/check.html"):
        assert f'href="{link}"' in page
    assert "notes.txt" not in page and "other.html" not in page
    assert f'data-live="{EVERY}"' in page  # the study is running
    shutil.rmtree(tmp_path / "digits-study-1")
    assert f'data-live="{SELDOM}"' in body(site, "/")


def test_pages_of_runs_and_studies_are_made_from_their_files(tmp_path: Path) -> None:
    folder = folders.run(tmp_path)
    folders.study(tmp_path)
    before = sorted(path.name for path in folder.iterdir())
    site = Site(tmp_path)
    page = body(site, "/page/digits-1")
    assert "<h1>digits-1" in page and 'id="chart-loss"' in page
    assert 'href="/"' in page and "data-live" not in page
    assert "Every trial" in body(site, "/page/digits-study-1")
    assert "Here." in body(site, f"/page/{folders.page(tmp_path / 'check.html').name}")
    assert sorted(path.name for path in folder.iterdir()) == before  # reading leaves nothing behind


def test_a_race_shows_how_far_it_is_and_then_its_own_page(tmp_path: Path) -> None:
    folder = folders.race(tmp_path)
    site = Site(tmp_path)
    page = body(site, "/page/digits-race-1")
    assert "10 of 40 runs have ended" in page and 'id="chart-best-0"' in page
    assert f'data-live="{EVERY}"' in page
    (folder / "page.html").write_text("<title>x · thalweg</title>The verdict.")
    (folder / "result.json").write_text('{"status": "finished"}')
    answer = site.answer("/page/digits-race-1")
    assert b"The verdict." in answer.body
    assert "default-src 'none'" in answer.policy


def test_a_page_that_is_known_is_not_sent_again_until_it_changes(tmp_path: Path) -> None:
    folder = folders.run(tmp_path, passes=1, status="running")
    site = Site(tmp_path)
    for path in ("/", "/page/digits-1"):
        first = site.answer(path)
        again = site.answer(path, known=first.tag)
        assert (again.status, again.body, again.tag) == (304, b"", first.tag)
        folders.grow(folder, int(path != "/") + 1, int(path != "/") + 2)
        changed = site.answer(path, known=first.tag)
        assert changed.status == 200 and changed.tag != first.tag


def test_a_running_page_follows_and_a_finished_one_rests(tmp_path: Path) -> None:
    folders.run(tmp_path, "going", status="running")
    folders.run(tmp_path, "done")
    site = Site(tmp_path)
    going, done = body(site, "/page/going"), body(site, "/page/done")
    assert f'data-live="{EVERY}"' in going and "connect-src 'self'" in going
    assert "data-live" not in done and "connect-src" not in done
    light = body(site, "/page/going?light")
    assert len(light) < len(going) / 10
    assert 'id="chart-loss"' in light and '"loss"' in light


@pytest.mark.parametrize(
    "path",
    [
        "/page/..", "/page/../secret", "/page/..%2fsecret", "/page/%2e%2e%2fsecret", "/page/..%5csecret", "/page//etc/passwd",
        "/page/%2fetc%2fpasswd", "/page/digits-1/spec.toml", "/page/digits-1%2fspec.toml", "/page/digits-1/../../secret",
        "/page/.", "/page/", "/page", "/page/.hidden", "/page/%00", "/page/digits-1%00", "/digits-1",
        "//page/digits-1", "/page/secret.html", "http://[::1/",
        "/page/%252e%252e%252fsecret", "/../secret", "/page/" + "a" * 5000, "/page/%ff%fe", "", "*", "http://evil.example/",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_folder(tmp_path: Path, path: str) -> None:
    runs = tmp_path / "runs"
    folders.run(runs)
    (runs / ".hidden").mkdir()
    (runs / ".hidden" / "page.html").write_text("hidden words")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "page.html").write_text("hidden words")
    (tmp_path / "secret.html").write_text("<title>x · thalweg</title>hidden words")
    answer = Site(runs).answer(path)
    assert answer.status == (
        200 if path == "http://evil.example/" else 404
    )  # an absolute form names the list: RFC 9112, 3.2.2
    assert b"hidden words" not in answer.body


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    runs, secret = tmp_path / "runs", tmp_path / "secret"
    folders.run(secret, "theirs")
    folders.page(secret / "theirs.html", "hidden words")
    folders.run(runs)
    (runs / "linked").symlink_to(secret / "theirs")
    (runs / "linked.html").symlink_to(secret / "theirs.html")
    (runs / "round").symlink_to(runs / "round")
    inner = folders.run(runs, "inner")
    (inner / "findings.json").symlink_to(secret / "theirs" / "result.json")
    (runs / "same").symlink_to(runs / "digits-1")
    site = Site(runs)
    for name in ("linked", "linked.html", "inner", "round"):
        assert site.answer(f"/page/{name}").status == 404
    assert site.answer("/page/same").status == 200  # within the folder a link is one more name
    rows = {entry.name: entry for entry in site.entries()}
    assert "leads out of this folder" in rows["linked"].said
    assert rows["linked"].link == rows["linked.html"].link == rows["inner"].link == ""
    assert b"hidden words" not in site.answer("/").body


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_in_the_place_of_a_file_stops_nothing(tmp_path: Path) -> None:
    folder = folders.run(tmp_path, status=None)
    os.mkfifo(folder / "result.json")
    os.mkfifo(tmp_path / "pipe.html")
    assert [entry.state for entry in Site(tmp_path).entries()] == ["running"]


def test_names_are_text(tmp_path: Path) -> None:
    name = NASTY.replace("/", "-")
    folders.run(tmp_path, name, data=NASTY, status=f"failed: {NASTY}")
    folders.page(tmp_path / f"{name}.html", "check")
    site = Site(tmp_path)
    page = body(site, "/")
    assert "<img" not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;&quot;&amp;") >= 4
    for entry in site.entries():
        assert site.answer(entry.link).status == 200
        assert b"<img" not in site.answer(entry.link).body


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("result.json", b'{"status": "fini'), ("result.json", b"{}"), ("result.json", b'{"status": 3, "metrics": []}'),
        ("spec.toml", b"nonsense"), ("spec.toml", b'rule = "no such rule"\n'), ("history.jsonl", b"not json\n"),
        ("history.jsonl", b'{"step": 1, "dev/loss": 2'), ("rate.json", b"{}"), ("findings.json", b"[]"),
        ("interventions.jsonl", b"?\n"), ("spec.toml", b"epochs = inf\n"),
        ("history.jsonl", b'{"step": 1e999, "dev/loss": 2}\n'), ("result.json", b'{"a":' * 9999),
    ],
)  # fmt: skip
def test_a_broken_folder_has_a_page_that_says_so(tmp_path: Path, name: str, content: bytes) -> None:
    folder = folders.run(tmp_path)
    folders.run(tmp_path, "whole")
    (folder / name).write_bytes(content)
    site = Site(tmp_path)
    page = body(site, "/page/digits-1")
    assert "Traceback" not in page
    assert "What is wrong" in page or "<h1>digits-1" in page
    assert len(site.entries()) == 2
    assert "whole" in body(site, "/")


def test_what_goes_away_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folders.run(tmp_path)
    site = Site(tmp_path)
    import thalweg.view.site as room

    def gone(path: Path, entry: object) -> str:
        shutil.rmtree(folder)
        raise FileNotFoundError(2, "No such file or directory", str(path))

    monkeypatch.setattr(room, "_rendered", gone)
    page = body(site, "/page/digits-1")
    assert "the page of digits-1 cannot be made" in page.replace("The page", "the page")
    assert site.answer("/page/digits-1").status == 404
    assert "Nothing yet" in body(site, "/")


def test_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    site = Site(tmp_path / "runs")
    assert "Nothing yet" in body(site, "/")
    folders.run(tmp_path / "runs")
    assert "digits-1" in body(site, "/")


def test_three_hundred_runs_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = folders.run(tmp_path, "r-0", passes=2)
    for number in range(1, 300):
        shutil.copytree(first, tmp_path / f"r-{number}")
    site = Site(tmp_path)
    assert body(site, "/").count("<tr data-key=") == 300
    import thalweg.view.reading as room

    parsed: list[object] = []
    loads = room.json.loads
    monkeypatch.setattr(room.json, "loads", lambda text: parsed.append(text) or loads(text))
    assert site.answer("/").status == 200
    assert parsed == []  # nothing has changed: no file is parsed again
    with (tmp_path / "r-7" / "history.jsonl").open("a") as file:
        file.write('{"step":12,"dev/accuracy":0.9}\n')
    assert site.answer("/").status == 200
    assert len(parsed) == 1
