"""The folder for generated things: where it lies and how it is written."""

from __future__ import annotations

import os
import threading

import pytest

from thalweg.cache import folder, imported, write, write_bytes


def test_the_environment_names_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path / "deep" / "own"))
    assert folder() == tmp_path / "deep" / "own"
    assert folder().is_dir()


def test_otherwise_it_lies_with_the_users_caches(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("THALWEG_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert folder() == tmp_path / "thalweg"
    if os.name == "posix":
        assert folder().stat().st_mode & 0o077 == 0


def test_where_it_cannot_be_made_another_is_found(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path / "file" / "below"))
    assert folder().is_dir()


def test_a_reader_never_sees_half_a_text(tmp_path) -> None:
    path, texts = tmp_path / "entry", ["a" * 100_000, "b" * 100_000]
    write(path, texts[0])
    done = threading.Event()
    seen: set[str] = set()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(40):
        write(path, texts[number % 2])
    done.set()
    reader.join()
    assert seen <= set(texts)
    assert [entry.name for entry in tmp_path.iterdir()] == ["entry"]


def test_threads_that_write_the_same_entry_do_not_meet(tmp_path) -> None:
    failed: list[OSError] = []

    def put() -> None:
        try:
            for _ in range(200):
                write(tmp_path / "entry", "text")
        except OSError as error:
            failed.append(error)

    writers = [threading.Thread(target=put) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failed == []


def test_bytes_are_kept_as_they_are(tmp_path) -> None:
    content = bytes(range(256)) + b"\r\n"
    write_bytes(tmp_path / "entry", content)
    assert (tmp_path / "entry").read_bytes() == content
    write(tmp_path / "entry", "β₁\n")
    assert (tmp_path / "entry").read_bytes() == "β₁\n".encode()


@pytest.mark.parametrize("torn", ["", "import numpy as np\n"])
def test_a_torn_source_is_written_anew(tmp_path, monkeypatch, torn) -> None:
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path))
    text = f"whole = {len(torn)}\n"
    imported("torn", text)
    (path,) = tmp_path.glob("torn-*.py")
    path.write_text(torn)
    imported.cache_clear()
    assert imported("torn", text).whole == len(torn)
