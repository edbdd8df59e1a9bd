"""Broken and hostile files either load or are refused in one printable sentence: no other error, no code run, no waiting."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import signal
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from commandline import CommandLine
from thalweg.data import Data, load
from thalweg.data.sources import packed
from thalweg.errors import InputError

ROWS = b"".join(b"%d,%d\n" % (row, row % 2) for row in range(30))
TABLE = b"a,y\n" + ROWS
CAREFUL = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Evil:
    """What runs a command where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.mark}'",)


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError("a file was waited for")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)


def met(path: Path, **settings: Any) -> Data | str:
    """The data, or the sentence."""
    try:
        return load(str(path), **settings)
    except InputError as error:
        sentence = str(error)
        assert sentence.isprintable() and sentence
        return sentence


def npy(header: str, body: bytes = b"\0" * 800) -> bytes:
    text = header.encode() + b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def array(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values, allow_pickle=True)
    return file.getvalue()


def archive(**files: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return file.getvalue()


X, Y = array(np.random.default_rng(0).normal(size=(12, 3))), array(np.arange(12) % 2)
GOOD_NPZ = archive(**{"X.npy": X, "y.npy": Y})


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, depth: int = 8, extra: bytes = b"", rows: bytes = b"\0" * 72) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


PIXELS = np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype(np.uint8)
PICTURE = Image.fromarray(PIXELS)
PNG, JPEG = encoded(PICTURE), encoded(PICTURE, "JPEG")
ROTATED = Image.Exif()
ROTATED[274] = 6


def pictures(folder: Path, content: bytes, name: str = "x.png") -> Path:
    for of_class in "ab":
        (folder / of_class).mkdir(parents=True)
        for number in range(6):
            (folder / of_class / f"{number}.png").write_bytes(PNG)
    (folder / "a" / name).write_bytes(content)
    return folder


def idx(shape: tuple[int, ...], body: bytes = b"", kind: int = 8) -> bytes:
    return bytes([0, 0, kind, len(shape)]) + b"".join(struct.pack(">I", length) for length in shape) + body


def digits(folder: Path, images: bytes, *, packed_as: str = "") -> Path:
    folder.mkdir()
    (folder / f"train-images-idx3-ubyte{packed_as}").write_bytes(images)
    labels = idx((12,), bytes([0, 1] * 6))
    (folder / f"train-labels-idx1-ubyte{packed_as}").write_bytes(gzip.compress(labels) if packed_as else labels)
    return folder


class TestTables:
    @pytest.mark.parametrize("content", [
        TABLE, b"\xef\xbb\xbf" + TABLE, TABLE.replace(b"\n", b"\r\n"), b'a,y\n"' + b"x" * 200_000 + b'",1\n' + ROWS,
        b'"a\x1b[31m\n<b>",y\n' + ROWS, TABLE + b"123456789012345678901234567890,1\n", TABLE.replace(b"5,1", b"5\0,1"),
    ], ids=range(7))  # fmt: skip
    def test_odd_ones_load(self, write: Callable[..., Path], content: bytes) -> None:
        assert isinstance(met(write("t.csv", content), target="y"), Data)

    @pytest.mark.parametrize("content", [
        b"", b"\0" * 100, b"\n\n\n", b"a,y\n", TABLE.decode().encode("utf-16"), TABLE.decode().encode("utf-16-be"),
        TABLE + b'"x,1\n', TABLE + b'a"b,1\n', b"a\xed\xa0\x80,y\n" + ROWS, b",,y\n" + b"1,2,3\n" * 20, TABLE + b"inf,1\n",
        b"a" * 200_000 + b",b\n1,2\n",
    ], ids=range(12))  # fmt: skip
    def test_broken_ones_are_one_sentence(self, write: Callable[..., Path], content: bytes) -> None:
        assert isinstance(met(write("t.csv", content), target="y"), str)

    @pytest.mark.parametrize("content", [TABLE.replace(b"\n", b"\r"), TABLE[:60].replace(b"\n", b"\r") + TABLE[60:]])
    def test_old_line_ends_are_met(self, write: Callable[..., Path], content: bytes) -> None:
        met(write("t.csv", content), target="y")

    @CAREFUL
    @given(st.binary(max_size=60), st.integers(0, len(TABLE)), st.sampled_from(["t.csv", "t.tsv", "t.txt"]))
    def test_bytes_anywhere(self, write: Callable[..., Path], odd: bytes, place: int, name: str) -> None:
        met(write(name, TABLE[:place] + odd + TABLE[place:]), target="y")

    @pytest.mark.parametrize("content", [
        b"\x1f\x8b12", gzip.compress(TABLE)[:-10], gzip.compress(TABLE)[:-8] + b"12345678",
        gzip.compress(TABLE)[:20] + b"\xff\xff\xff" + gzip.compress(TABLE)[23:],
    ], ids=range(4))  # fmt: skip
    def test_damaged_gzip(self, write: Callable[..., Path], content: bytes) -> None:
        assert "cannot be read" in str(met(write("t.csv.gz", content), target="y"))

    def test_bombs_are_not_unpacked(self, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(packed, "room", lambda: 1 << 20)
        bomb = write("t.csv.gz", gzip.compress(b"0" * (1 << 24)))
        assert "half of this machine's memory" in str(met(bomb, target="y"))
        bomb = write("t.npz", archive(**{"X.npy": b"\0" * (1 << 24), "y.npy": Y}))
        assert "half of this machine's memory" in str(met(bomb))

    def test_parquet(self, write: Callable[..., Path]) -> None:
        file = io.BytesIO()
        pl.DataFrame({"a": list(range(30)), "y": [0, 1] * 15}).write_parquet(file)
        good, generator = file.getvalue(), np.random.default_rng(0)
        for content in (b"", b"PAR1xPAR1", good[:-20], good[:40]):
            assert isinstance(met(write("t.parquet", content), target="y"), str)
        for _ in range(20):
            changed = bytearray(good)
            for place in generator.integers(0, len(good), 4):
                changed[place] = generator.integers(256)
            met(write("t.parquet", bytes(changed)), target="y")

    def test_names_with_escapes_are_said_safely(self, write: Callable[..., Path]) -> None:
        said = met(write("t.csv", b'"a\x1b[31m\n",y\n' + ROWS), target="\x1b[2J")
        assert isinstance(said, str) and r"a\x1b[31m" in said and r"\x1b[2J" in said


class TestArchives:
    @pytest.mark.parametrize("descr, shape", [
        ("'<f8'", "(1000000000, 100000)"), ("'<f8'", "(-1, 3)"), ("'<f8'", "(10**30, 3)"), ("'<f8'", f"({10**23}, 3)"),
        ("5", "'a'"), ("'<q99'", "(12, 3)"), ("[('a', '<f8'), ('b', 'O')]", "(12,)"), ("'<c16'", "(12, 3)"),
        ("'<U9999'", "(1,)"), ("'<M8[s]'", "(12, 3)"), ("(" * 3000, "1"),
    ], ids=range(11))  # fmt: skip
    def test_with_evil_headers(self, write: Callable[..., Path], descr: str, shape: str) -> None:
        header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
        assert isinstance(met(write("t.npz", archive(**{"X.npy": npy(header), "y.npy": Y}))), str)

    def test_run_no_code(self, write: Callable[..., Path], tmp_path: Path) -> None:
        mark = tmp_path / "run"
        evil = Evil(mark)
        objects = array(np.array([evil], dtype=object))
        header = npy(f"__import__('os').system('touch {mark}')")
        for files in ({"X.npy": objects, "y.npy": Y}, {"X.npy": pickle.dumps(evil), "y.npy": Y},
                      {"X": pickle.dumps(evil), "y": Y}, {"X.npy": header, "y.npy": Y}):  # fmt: skip
            assert isinstance(met(write("t.npz", archive(**files))), str)
        for name in ("t.npy", "t.pkl", "t.pt", "t.npz", "t.csv", "t.parquet", "t-images-idx3"):
            target = "y" if name.endswith(("csv", "parquet")) else None
            assert isinstance(met(write(name, pickle.dumps(evil)), target=target), str)
        assert not mark.exists()
        pickle.loads(pickle.dumps(evil))
        assert mark.exists(), "the trap itself works"

    def test_with_names_that_lead_elsewhere_write_nothing(self, write: Callable[..., Path], tmp_path: Path) -> None:
        met(write("t.npz", archive(**{"../../X.npy": X, "a\n\x1b.npy": Y})))
        assert [path.name for path in tmp_path.iterdir()] == ["t.npz"] and not (tmp_path.parent / "X.npy").exists()

    @pytest.mark.parametrize("place, value", [(6, 1), (8, 99)])
    def test_encrypted_or_packed_otherwise(self, write: Callable[..., Path], place: int, value: int) -> None:
        changed, directory = bytearray(GOOD_NPZ), GOOD_NPZ.index(b"PK\1\2")
        changed[place] = changed[directory + place + 2] = value
        assert "cannot be read as NPZ" in str(met(write("t.npz", bytes(changed))))

    @CAREFUL
    @given(st.lists(st.tuples(st.integers(0, len(GOOD_NPZ) - 1), st.integers(0, 255)), min_size=1, max_size=6))
    def test_with_changed_bytes(self, write: Callable[..., Path], changes: list[tuple[int, int]]) -> None:
        content = bytearray(GOOD_NPZ)
        for place, value in changes:
            content[place] = value
        met(write("t.npz", bytes(content)))


class TestIdx:
    @pytest.mark.parametrize("images", [
        b"", b"\0\0\x08\x03\0", idx((2**32 - 1,) * 3), idx((2**31, 2**31, 4)), idx((12, 0, 2)), idx((12, 2, 2), b"1" * 47),
        idx((12, 2, 2), b"1" * 49), idx((1,) * 255, b"1"), idx((1,) * 40, b"1"),
        idx((12, 2), b"\1\2\3" * 17, 0x0D), idx((12, 2**16, 2**16), b"1"),
    ], ids=range(11))  # fmt: skip
    def test_false_headers(self, tmp_path: Path, images: bytes) -> None:
        assert isinstance(met(digits(tmp_path / "d", images)), str)

    def test_a_bomb_is_read_as_far_as_announced(self, tmp_path: Path) -> None:
        bomb = gzip.compress(idx((12, 2, 2), b"\0" * (1 << 24)))
        assert "more numbers follow" in str(met(digits(tmp_path / "d", bomb, packed_as=".gz")))


class TestImages:
    @pytest.mark.parametrize("content", [
        PNG, JPEG, encoded(PICTURE, "GIF"), encoded(PICTURE.convert("P"), transparency=0), encoded(PICTURE.convert("LA")),
        encoded(Image.fromarray(np.full((8, 8), 40_000, np.uint16))), encoded(PICTURE.convert("CMYK"), "JPEG"),
        encoded(PICTURE, save_all=True, append_images=[PICTURE] * 2), encoded(PICTURE, "JPEG", exif=ROTATED),
        JPEG[:2] + b"\xff\xe1\x00\x20Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 16 + JPEG[2:], encoded(PICTURE.resize((1, 1))),
    ], ids=range(11))  # fmt: skip
    def test_odd_ones_load_whatever_their_name_says(self, tmp_path: Path, content: bytes) -> None:
        assert isinstance(met(pictures(tmp_path / "p", content)), Data)

    @pytest.mark.parametrize("content", [
        b"", b"hello", PNG[:60], PNG[:20], JPEG[:200], png(100_000, 100_000), png(12_000, 12_000), png(0, 0),
        png(8, 8, extra=chunk(b"zTXt", b"k\0\0" + zlib.compress(b"a" * (1 << 24)))),
    ], ids=range(9))  # fmt: skip
    def test_broken_ones_and_bombs_are_one_sentence(self, tmp_path: Path, content: bytes) -> None:
        assert "x.png" in str(met(pictures(tmp_path / "p", content)))

    def test_with_changed_bytes(self, tmp_path: Path) -> None:
        generator, folder = np.random.default_rng(0), pictures(tmp_path / "p", PNG)
        for number in range(20):
            content = bytearray((PNG, JPEG)[number % 2])
            for place in generator.integers(8, len(content), 5):
                content[place] = generator.integers(256)
            (folder / "a" / "x.png").write_bytes(bytes(content))
            met(folder)


class TestFilesThatAreNone:
    @pytest.mark.parametrize("name", ["t.csv", "t.npz", "t.parquet", "t-images-idx3", "t.csv.gz"])
    def test_pipes_are_not_waited_for(self, tmp_path: Path, name: str) -> None:
        os.mkfifo(tmp_path / name)
        assert "neither a file nor a folder" in str(met(tmp_path / name, target="y"))

    def test_among_images(self, tmp_path: Path) -> None:
        folder = pictures(tmp_path / "p", PNG)
        (folder / "b" / "round").symlink_to(folder)
        assert isinstance(met(folder), Data)
        os.mkfifo(folder / "a" / "f.png")
        assert "f.png" in str(met(folder))

    def test_links_that_lead_nowhere_folders_and_devices(self, tmp_path: Path) -> None:
        (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
        (tmp_path / "zero.csv").symlink_to("/dev/zero")
        (tmp_path / "folder.csv").mkdir()
        (tmp_path / "folder.npz").mkdir()
        for name in (
            "loop.csv",
            "zero.csv",
            "folder.csv",
            "folder.npz",
            "x" * 5000,
            "a\0.csv",
            "\udcff.csv",
            "a\n\x1b.csv",
        ):
            assert isinstance(met(tmp_path / name, target="y" if name.endswith("csv") else None), str)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_without_permission(self, write: Callable[..., Path]) -> None:
        path = write("t.csv", TABLE)
        path.chmod(0)
        assert "cannot be read" in str(met(path, target="y"))


@pytest.mark.parametrize("name", ["escape.csv", "bomb", "pickle.npz", "deep.toml"])
def test_the_command_line_says_one_line(tmp_path: Path, name: str) -> None:
    line, mark = CommandLine(tmp_path), tmp_path / "run"
    (tmp_path / "escape.csv").write_bytes(b'"a\x1b[31m\n",z\n' + ROWS)
    (tmp_path / "pickle.npz").write_bytes(archive(**{"X.npy": array(np.array([Evil(mark)], dtype=object)), "y.npy": Y}))
    pictures(tmp_path / "bomb", png(12_000, 12_000))
    (tmp_path / "deep.toml").write_text("a=" + "[" * 5000)
    said = line.fails("train", name, *(["--target", "y"] if name.endswith("csv") else []))
    assert said.isprintable() and not mark.exists()
