"""The history: what was recorded is what is read, on disk as in memory, whole or not at all."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.errors import InputError
from thalweg.history import History

NAMES = st.text(min_size=1).filter(lambda name: name != "step")
RECORDS = st.lists(
    st.tuples(st.integers(0, 2**62), st.dictionaries(NAMES, st.floats(allow_nan=True), max_size=4)), max_size=12
)


def same(a: History, b: History) -> bool:
    return a.columns == b.columns and all(
        np.array_equal(a.column(name).steps, b.column(name).steps)
        and np.array_equal(a.column(name).values, b.column(name).values, equal_nan=True)
        for name in a.columns
    )


class TestInMemory:
    def test_columns_keep_order_and_gaps(self) -> None:
        history = History()
        history.record(1, {"batch/loss": 2.5, "lr": 0.1})
        history.record(2, {"batch/loss": 2.25})
        history.record(5, {"lr": 0.05, "epoch": 1})
        assert history.columns == ("batch/loss", "lr", "epoch")
        assert history.column("lr").steps.tolist() == [1, 5]
        assert history.column("lr").values.tolist() == [0.1, 0.05]
        assert history.column("lr").steps.dtype == np.int64
        assert history.column("lr").values.dtype == np.float64
        assert "lr" in history
        assert "rate" not in history

    def test_what_is_missing_is_empty(self) -> None:
        history = History()
        assert history.column("loss").steps.shape == (0,)
        assert math.isnan(history.last("loss"))
        assert history.last("seconds", 0.0) == 0.0
        assert history.under("grad_norm") == {}
        assert history.flush() == 0
        assert history.refresh() == 0

    def test_under_takes_whole_path_segments(self) -> None:
        history = History()
        history.record(
            1, {"grad_norm": 5.0, "grad_norm/0.weight": 3.0, "grad_norm/1.weight": 4.0, "grad_normal/x": 1.0}
        )
        assert list(history.under("grad_norm")) == ["0.weight", "1.weight"]
        assert list(history.under("grad_norm/")) == ["0.weight", "1.weight"]

    def test_the_name_of_the_step_is_taken(self) -> None:
        with pytest.raises(InputError, match='"step" is the name of a record'):
            History().record(1, {"step": 3.0})

    def test_only_a_file_is_rewound(self) -> None:
        with pytest.raises(InputError, match="open for writing"):
            History().rewind(0)


class TestOnDisk:
    @given(RECORDS)
    def test_reads_back_bit_for_bit(self, tmp_path_factory: pytest.TempPathFactory, records: list) -> None:
        path = tmp_path_factory.mktemp("history") / "history.jsonl"
        written, kept = History(path), History()
        for step, values in records:
            written.record(step, values)
            kept.record(step, values)
        written.close()
        assert same(History.read(path), kept)
        assert same(written, kept)

    def test_one_json_object_a_line_for_any_other_program(self, tmp_path: Path) -> None:
        history = History(tmp_path / "h.jsonl")
        history.record(3, {"dev/loss": 0.1 + 0.2, "dev/accuracy": 1, 'grad_norm/"é\n': 2.0})
        history.close()
        lines = (tmp_path / "h.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == [
            {"step": 3, "dev/loss": 0.1 + 0.2, "dev/accuracy": 1.0, 'grad_norm/"é\n': 2.0}
        ]

    def test_what_is_no_number_is_kept(self, tmp_path: Path) -> None:
        history = History(tmp_path / "h.jsonl")
        history.record(1, {"loss": math.nan})
        history.record(2, {"loss": -math.inf})
        history.close()
        values = History.read(tmp_path / "h.jsonl").column("loss").values
        assert math.isnan(values[0])
        assert values[1] == -math.inf

    def test_a_reader_follows_a_writer(self, tmp_path: Path) -> None:
        history = History(tmp_path / "runs" / "a" / "h.jsonl")
        reader = History.read(history.path or "")
        history.record(1, {"loss": 3.0})
        history.flush()
        assert reader.refresh() == 1
        history.record(2, {"loss": 2.0})
        history.record(3, {"loss": 1.0})
        assert reader.refresh() == 0  # not handed over yet
        history.flush()
        assert reader.refresh() == 2
        assert reader.column("loss").values.tolist() == [3.0, 2.0, 1.0]
        history.close()

    def test_cut_anywhere_the_whole_lines_remain(self, tmp_path: Path) -> None:
        path = tmp_path / "h.jsonl"
        history = History(path)
        for step in range(1, 6):
            history.record(step, {"loss": 1 / step, "naïve": step})
        history.close()
        whole = path.read_bytes()
        ends = [at + 1 for at, byte in enumerate(whole) if byte == ord("\n")]
        for length in range(len(whole) + 1):
            path.write_bytes(whole[:length])
            expected = sum(end <= length for end in ends)
            assert len(History.read(path).column("loss").steps) == expected
            going_on = History(path)
            going_on.record(99, {"loss": 0.0})
            going_on.close()
            assert History.read(path).column("loss").steps.tolist() == [*range(1, expected + 1), 99]

    def test_rewind_forgets_what_came_after(self, tmp_path: Path) -> None:
        path = tmp_path / "h.jsonl"
        history = History(path)
        history.record(1, {"loss": 3.0})
        offset = history.flush()
        history.record(2, {"loss": 2.0, "late": 1.0})
        history.flush()
        history.rewind(offset)
        assert history.columns == ("loss",)
        history.record(2, {"loss": 2.5})
        history.close()
        assert History.read(path).column("loss").values.tolist() == [3.0, 2.5]

    def test_rewind_past_the_end_keeps_what_there_is(self, tmp_path: Path) -> None:
        path = tmp_path / "h.jsonl"
        path.write_text('{"step":1,"loss":3.0}\n{"step":2,"lo')
        history = History(path)
        history.rewind(1000)
        history.record(2, {"loss": 2.0})
        history.close()
        assert History.read(path).column("loss").values.tolist() == [3.0, 2.0]

    @pytest.mark.parametrize(
        "line", ["[1, 2]", '{"loss": 1.0}', "loss,1", '{"step": 1, "loss": null}', '{"step": 1, "a": {}}']
    )
    def test_a_foreign_line_is_named(self, tmp_path: Path, line: str) -> None:
        path = tmp_path / "h.jsonl"
        path.write_text('{"step":1,"loss":3.0}\n' + line + "\n")
        with pytest.raises(InputError, match=r"h\.jsonl: record 2 after byte 0 is not a history record"):
            History.read(path)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"nothing\.jsonl does not exist"):
            History.read(tmp_path / "nothing.jsonl")
        assert not (tmp_path / "nothing.jsonl").exists()


def test_zero_bytes_after_a_power_cut_stop_nothing(tmp_path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(b'{"step":1,"a":1.0}\n\n\0\0\0\n{"step":2,"a":2.0}\n\0\0')
    history = History(path)
    assert history.column("a").values.tolist() == [1.0, 2.0]
    history.record(3, {"a": 3.0})
    history.close()
    assert History.read(path).column("a").steps.tolist() == [1, 2, 3]


def test_a_reader_follows_a_writer_that_goes_back(tmp_path) -> None:
    path = tmp_path / "history.jsonl"
    writer = History(path)
    offsets = []
    for step in (1, 2, 3):
        writer.record(step, {"a": 1.0 * step})
        offsets.append(writer.flush())
    reader = History.read(path)
    writer.rewind(offsets[1])
    reader.refresh()
    assert reader.column("a").steps.tolist() == [1, 2]
    writer.record(3, {"a": 0.12345, "b": 7.0})
    writer.flush()
    other = History.read(path)
    writer.rewind(offsets[0])
    for step in (2, 3, 4):
        writer.record(step, {"a": 10.0 + step, "longer": 1.0})
    writer.flush()
    other.refresh()
    assert other.column("a").values.tolist() == [1.0, 12.0, 13.0, 14.0]
    writer.close()
