"""Tables are read as they were meant; what is wrong with one is said with its place."""

from __future__ import annotations

import csv
import datetime
import gzip
import io

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thalweg.data.sources.table import MISSING, as_frame, read_table
from thalweg.errors import InputError

ROWS = "a,b,c\n1,2.5,x\n3,4.5,y\n"


def rows(frame: pl.DataFrame) -> list[tuple]:
    return frame.rows()


@pytest.mark.parametrize(
    ("name", "content", "delimiter"),
    [
        ("t.csv", ROWS, None),
        ("t.CSV", ROWS, None),
        ("t.txt", ROWS, None),
        ("t.tsv", ROWS.replace(",", "\t"), None),
        ("t.csv", ROWS.replace(",", ";"), ";"),
        ("t.csv", ROWS.replace(",", "\t"), "\\t"),
        ("t.csv", ROWS.replace(",", "\t"), "tab"),
        ("t.csv", b"\xef\xbb\xbf" + ROWS.encode(), None),
        ("t.csv", ROWS.replace("\n", "\r\n"), None),
        ("t.csv", ROWS.rstrip("\n"), None),
        ("t.csv", "\n" + ROWS.replace("\n3", "\n\n3") + "\n\n", None),
        ("t.csv", ROWS.replace(",", ", "), None),
        ("t.csv", '"a",b,"c"\n"1",2.5,"x"\n3,"4.5",y\n', None),
        ("t.csv.gz", gzip.compress(ROWS.encode(), mtime=0), None),
    ],
)
def test_the_same_table_in_many_forms(write, name, content, delimiter) -> None:
    frame = read_table(write(name, content), delimiter=delimiter)
    assert rows(frame) == [(1, 2.5, "x"), (3, 4.5, "y")]
    assert frame.columns == ["a", "b", "c"]


def test_parquet(tmp_path) -> None:
    frame = pl.DataFrame({"a": [1.0, float("nan")], "b": ["x", " ? "]}).with_columns(pl.col("b").cast(pl.Categorical))
    frame.write_parquet(tmp_path / "t.parquet")
    assert rows(read_table(tmp_path / "t.parquet")) == [(1.0, "x"), (None, None)]


def test_types(write) -> None:
    frame = read_table(
        write(
            "t.csv",
            "whole,real,word,yes,day,time,mixed,big\n"
            "1,1e3,a,true,2026-03-01,2026-03-01T12:30:00Z,1,99999999999999999999\n"
            "-7, -.5,NA,FALSE,?,2026-03-01 12:30:01.5,x,1\n",
        )
    )
    assert rows(frame.drop("big")) == [
        (1, 1000.0, "a", True, datetime.date(2026, 3, 1), datetime.datetime(2026, 3, 1, 12, 30), "1"),
        (-7, -0.5, None, False, None, datetime.datetime(2026, 3, 1, 12, 30, 1, 500_000), "x"),
    ]
    assert frame["big"].cast(pl.Float64).to_list() == [1e20, 1.0]


@pytest.mark.parametrize("word", [word for word in MISSING if word])
def test_missing_words(write, word) -> None:
    frame = read_table(write("t.csv", f"a,b\n1,x\n{word},y\n , {word}\n"))
    assert rows(frame) == [(1, "x"), (None, "y"), (None, None)]


def test_types_after_the_first_rows(write) -> None:
    """Ten thousand whole numbers, then one with a fraction; ten thousand gaps, then a text."""
    content = "a,b\n" + "1,\n" * 10_500 + "2.5,word\n"
    frame = read_table(write("t.csv", content))
    assert frame.schema == {"a": pl.Float64, "b": pl.String}
    assert rows(frame)[-1] == (2.5, "word")


def test_decimal_commas_and_thousands_are_not_guessed_at(write) -> None:
    frame = read_table(write("t.csv", 'a;b\n1,5;"1,000"\n2,5;"2,000"\n'), delimiter=";")
    assert rows(frame) == [("1,5", "1,000"), ("2,5", "2,000")]


def test_columns_named_as_texts_stay_texts(write) -> None:
    path = write("t.csv", "code,n\n007,1\n1.50,2\n")
    assert read_table(path, texts=("code",))["code"].to_list() == ["007", "1.50"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(*[st.text(st.sampled_from('ab ,;"\n\tü0.'), max_size=6).map(lambda text: f"k{text}k")] * 3),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from([",", ";", "\t"]),
)
def test_what_the_csv_module_writes_is_read_back(write, table, delimiter) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows([("x", "y", "z"), *table])
    assert rows(read_table(write("t.csv", text.getvalue()), delimiter=delimiter)) == table


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.tuples(st.integers(), st.floats(allow_nan=False), st.none() | st.floats(-9, 9)), min_size=1, max_size=9)
)
def test_numbers_are_read_to_the_last_digit(write, table) -> None:
    text = "x,y,z\n" + "".join(f"{a},{b!r},{'' if c is None else repr(c)}\n" for a, b, c in table)
    frame = read_table(write("t.csv", text))
    expected = [(float(a), b, c) for a, b, c in table]
    assert rows(frame.select(pl.all().cast(pl.Float64))) == expected


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("a,b\n", "a header and no rows"),
        ("a,b", "a header and no rows"),
        ("a,b,a\n1,2,3\n", 'names the column "a" more than once'),
        ("a,b,c\n1,2,3\n4,5\n", "line 3 has 2 fields and the header 3"),
        ("a,b,c\n1,2,3\n\n4,5\n", "line 4 has 2 fields"),
        ("a,b,c\n1,2,3\n4,5,6,7\n", "line 3 has 4 fields and the header 3"),
        ("a,b\n1,2,3\n4\n", "line 2 has 3 fields"),
        ('a,b\n"x,y",2\n"z, 3"\n', "line 3 has 1 field and"),
        ('a,b\n"x\ny",2\n3\n', "line 4 has 1 field and"),
        ('a,b\n1,"2\n3,4\n', "opened in line 2 is never closed"),
        ('a,b\n1,5" pipe\n2,6" pipe\n', "line 2 has a quotation mark inside a field"),
        (b"a,b\n1,\xfc\n", "not UTF-8: byte 6 .line 2. is 0xfc"),
        ("a,b\n1,2\n".encode("utf-16"), "not UTF-8: byte 0"),
        ("a;b\n1;2\n", "separated by a semicolon, not by a comma: say --delimiter ';'"),
        ("a\tb\n1\t2\n", r"separated by a tab, not by a comma: say --delimiter '\\t'"),
    ],
)
def test_what_is_wrong_is_said(write, content, sentence) -> None:
    path = write("t.csv", content)
    with pytest.raises(InputError, match=sentence) as found:
        read_table(path)
    assert str(path) in str(found.value)
    assert "\n" not in str(found.value)


def test_a_wrong_delimiter_is_said(write) -> None:
    path = write("t.csv", ROWS)
    with pytest.raises(InputError, match="separated by a comma, not by a semicolon"):
        read_table(path, delimiter=";")
    with pytest.raises(InputError, match="cannot be used: it is one character"):
        read_table(path, delimiter="::")


def test_broken_parquet_and_gzip(write) -> None:
    for name in ("t.parquet", "t.csv.gz"):
        with pytest.raises(InputError, match="cannot be read"):
            read_table(write(name, b"no such format, but long enough to hold a header"))


class Foreign:
    """A frame of a library that thalweg has never heard of, as pandas would look without Arrow."""

    columns = ("a", "b")

    def __getitem__(self, name):
        return pl.Series({"a": [1, 2, 3, 4], "b": ["x", "?", None, float("nan")]}[name], dtype=pl.Object)


def test_frames_of_many_kinds() -> None:
    frame = pl.DataFrame({"a": [1, 2, 3, 4], "b": ["x", "?", None, "NA"]})
    for source in (frame, frame.lazy(), frame.to_dict(as_series=False), Foreign()):
        assert rows(as_frame(source)) == [(1, "x"), (2, None), (3, None), (4, None)]


@pytest.mark.parametrize("source", [5, object(), {"a": [1, 2], "b": [1]}, {"a": np.zeros((2, 2, 2)), "b": [1]}])
def test_what_is_no_frame_is_said(source) -> None:
    with pytest.raises(InputError, match=r"no data that can be read|is no table"):
        as_frame(source)
