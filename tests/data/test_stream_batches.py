"""The shuffle buffer and its thread: every row once, the same order again, bounded, and gone when nobody listens."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.data.streaming.ahead import ahead
from thalweg.data.streaming.batches import DEPTH, StreamBatches, mixed
from thalweg.data.streaming.parts import DEV, REST, SAMPLE, TEST, Parts, hashed
from thalweg.data.streaming.source import Span, spans_of
from thalweg.errors import InputError


def batches(
    rows: int, *, each: int = 100, seed: int = 0, batch_size: int = 16, buffer_rows: int = 400
) -> StreamBatches:
    """Rows that are their own numbers."""

    def read(span: Span) -> tuple[np.ndarray, np.ndarray]:
        numbers = np.arange(span.start, span.start + span.rows)
        return numbers[:, None].astype(np.float32), numbers

    return StreamBatches(
        spans=list(spans_of([[rows]], each)),
        read=read,
        rows=rows,
        row_bytes=8,
        batch_size=batch_size,
        seed=seed,
        buffer_bytes=8 * buffer_rows,
    )


def order(of: StreamBatches, epoch: int, start: int = 0) -> list[list[int]]:
    return [targets.tolist() for _, targets in of.epoch(epoch, start)]


def threads() -> int:
    return sum(thread.name == "thalweg-reader" for thread in threading.enumerate())


def eventually(true: Callable[[], bool]) -> bool:
    for _ in range(500):
        if true():
            return True
        time.sleep(0.01)
    return False


class TestOrder:
    @given(
        rows=st.integers(1, 3000),
        each=st.integers(1, 700),
        batch_size=st.integers(1, 300),
        buffer_rows=st.integers(1, 4000),
        start=st.integers(0, 40),
    )
    @settings(max_examples=60, deadline=None)
    def test_every_row_once_and_resumed_exactly(
        self, rows: int, each: int, batch_size: int, buffer_rows: int, start: int
    ) -> None:
        of = batches(rows, each=each, batch_size=batch_size, buffer_rows=buffer_rows)
        whole = order(of, 1)
        assert sorted(chain.from_iterable(whole)) == list(range(rows))
        assert [len(batch) for batch in whole[:-1]] == [batch_size] * (len(of) - 1) and len(whole) == len(of)
        assert order(of, 1, start) == whole[start:]

    def test_order_comes_from_seed_and_epoch_alone(self) -> None:
        first, again = batches(3000), batches(3000)
        list(again.epoch(0))
        assert order(first, 2) == order(again, 2)
        others = {str(order(batches(3000, seed=seed), epoch)) for seed in (0, 1) for epoch in (0, 1)}
        assert len(others) == 4

    def test_inputs_and_targets_stay_together_and_tensors_are_their_own(self) -> None:
        kept = list(batches(2000).to("cpu").epoch(0))
        for inputs, targets in kept:
            assert inputs.dtype == torch.float32 and torch.equal(inputs[:, 0].long(), targets)
        assert sorted(torch.cat([targets for _, targets in kept]).tolist()) == list(range(2000))

    def test_a_single_row_is_the_last_batch(self) -> None:
        sizes = [len(targets) for _, targets in batches(161).epoch(0)]
        assert sizes == [16] * 10 + [1] and len(batches(161)) == 11

    def test_a_start_beyond_the_pass_gives_nothing(self) -> None:
        assert list(batches(100).epoch(0, 7)) == [] and threads() == 0

    def test_what_cannot_be_is_refused(self) -> None:
        with pytest.raises(InputError, match="batch size is 0"):
            batches(10, batch_size=0)
        with pytest.raises(InputError, match="17 processes cannot share"):
            batches(100).share(0, 17)
        with pytest.raises(InputError, match="numbered from 0"):
            batches(100).share(2, 2)

    @given(rows=st.integers(6, 700), world=st.integers(2, 6), start=st.integers(0, 12))
    @settings(max_examples=30, deadline=None)
    def test_processes_share_what_one_would_see(self, rows: int, world: int, start: int) -> None:
        alone = batches(rows)
        shares = [alone.share(rank, world) for rank in range(world)]
        whole = order(alone, 1)
        if len(whole[-1]) < world:
            whole[-2:] = [whole[-2] + whole[-1]]
        assert [len(share) for share in shares] == [len(whole)] * world
        assert [shares[0].global_size(index) for index in range(len(whole))] == [len(batch) for batch in whole]
        for rank, share in enumerate(shares):
            assert order(share, 1, start) == [batch[rank::world] for batch in whole[start:]]

    def test_a_sorted_file_is_mixed(self) -> None:
        """100 spans of which the buffer holds 20. Rows of a batch come from many spans, as from about 2 × 20 drawn at
        random; and the class of a row says little about that of the next one."""
        of = batches(20_000, each=200, batch_size=50, buffer_rows=4000)
        assert of.chunk == 1000
        drawn = order(of, 0)
        spans = [len({row // 200 for row in batch}) for batch in drawn[10:-10]]
        assert np.mean(spans) > 15
        flat = np.concatenate(drawn)
        assert (np.diff(flat) == 1).mean() < 0.005
        late = flat >= 10_000
        shares = late.reshape(-1, 50).mean(1)
        assert shares.std() < 2 * np.sqrt(0.25 / 40)  # unmixed spans would give 0.5

    def test_data_smaller_than_the_buffer_are_shuffled_uniformly(self) -> None:
        """Where the first row goes, over many passes: chi-squared with 9 degrees of freedom, 27.9 at 0.1 %."""
        of = batches(50, each=5, batch_size=5, buffer_rows=1000)
        places = [next(i for i, batch in enumerate(order(of, epoch)) if 0 in batch) for epoch in range(300)]
        counts = np.bincount(places, minlength=10)
        assert ((counts - 30.0) ** 2 / 30.0).sum() < 27.9


class TestMemory:
    @pytest.mark.parametrize("rows", [10_000, 200_000])
    def test_rows_that_were_read_and_not_yet_given_are_bounded(self, rows: int) -> None:
        of = batches(rows, each=500, batch_size=50, buffer_rows=4000)
        read, plain = [0], of.read

        def counted(span: Span) -> tuple[np.ndarray, ...]:
            read[0] += span.rows
            return plain(span)

        of = replace(of, read=counted)
        given, most = 0, 0
        for _, targets in of.epoch(0):
            most = max(most, read[0] - given)
            given += len(targets)
        assert of.capacity == 4000 and of.chunk == 1000
        assert most <= of.capacity + (DEPTH + 2) * of.chunk + 1000  # a span has less than twice the rows wanted
        assert given == rows

    def test_the_buffer_copies_what_it_holds(self) -> None:
        block = (np.zeros(4), np.zeros(4))

        def blocks() -> Iterator[tuple[np.ndarray, ...]]:
            for number in range(5):
                block[0][:] = number
                yield block

        out = np.concatenate(
            [chunk[0] for chunk in mixed(blocks(), capacity=8, chunk=2, generator=np.random.default_rng(0))]
        )
        assert sorted(out) == [number for number in range(5) for _ in range(4)]


class TestThread:
    def test_what_goes_wrong_in_the_reader_is_raised_in_the_loop(self) -> None:
        of = batches(5000)
        plain = of.read

        def broken(span: Span) -> tuple[np.ndarray, ...]:
            if span.start == 1200:
                raise InputError("part-3.parquet, row 1,201: cannot be read")
            return plain(span)

        of = replace(of, read=broken)
        with pytest.raises(InputError, match=r"part-3\.parquet"):
            list(of.epoch(0))
        assert threads() == 0

    def test_a_loop_left_early_ends_the_thread(self) -> None:
        for inputs, _ in batches(5000).epoch(0):
            assert len(inputs) == 16 and threads() == 1
            break
        gc.collect()
        assert eventually(lambda: threads() == 0)

    def test_a_forgotten_iterator_ends_the_thread(self) -> None:
        passing = batches(5000).epoch(0)
        next(passing)
        assert threads() == 1
        del passing
        gc.collect()
        assert eventually(lambda: threads() == 0)

    def test_a_producer_that_takes_long_over_an_item_is_told_to_stop(self) -> None:
        def slow(stopped: Callable[[], bool]) -> Iterator[int]:
            yield 0
            while not stopped():
                time.sleep(0.001)

        items = ahead(slow, depth=1)
        assert next(items) == 0
        items.close()  # type: ignore[attr-defined]
        assert threads() == 0

    def test_at_most_depth_items_wait(self) -> None:
        made = []

        def counting(stopped: Callable[[], bool]) -> Iterator[int]:
            for number in range(100):
                made.append(number)
                yield number

        items = ahead(counting, depth=3)
        next(items)
        assert eventually(lambda: len(made) == 5)  # one given, three waiting, one in the hand
        time.sleep(0.05)
        assert len(made) == 5
        assert list(items) == list(range(1, 100))

    def test_the_program_ends_with_an_iterator_in_its_hands(self) -> None:
        code = (
            "from thalweg.data.streaming.ahead import ahead\n"
            "from itertools import count\n"
            "kept = ahead(lambda stopped: count(), depth=2)\n"
            "assert next(kept) == 0\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")


class TestParts:
    @given(rows=st.integers(10, 5000), seed=st.integers(0, 1 << 40), data=st.data())
    @settings(max_examples=60, deadline=None)
    def test_parts_have_the_sizes_asked_for(self, rows: int, seed: int, data: st.DataObject) -> None:
        test = data.draw(st.integers(0, rows // 3))
        dev = data.draw(st.integers(0, rows // 3))
        sample = data.draw(st.integers(0, rows // 3))
        parts = Parts.choose(rows, test=test, dev=dev, sample=sample, seed=seed)
        part = np.concatenate([parts.of(start, min(97, rows - start)) for start in range(0, rows, 97)])
        counts = np.bincount(part, minlength=4)
        assert counts[[TEST, DEV, SAMPLE, REST]].tolist() == [test, dev, sample, rows - test - dev - sample]

    def test_many_rows_need_no_table_and_parts_are_spread_evenly(self) -> None:
        parts = Parts.choose(3_000_000, test=3000, dev=9000, sample=30_000, seed=1)
        part = parts.of(0, 3_000_000)
        assert np.bincount(part).tolist() == [3000, 9000, 30_000, 2_958_000]
        tenths = np.bincount(np.flatnonzero(part == DEV) // 300_000)
        assert ((tenths - 900) ** 2 / 900).sum() < 27.9  # chi-squared, 9 degrees of freedom, 0.1 %

    def test_the_hash_is_that_of_splitmix64(self) -> None:
        """Against Python's own numbers; and no two rows share a value."""
        mask = (1 << 64) - 1
        place = int(np.random.SeedSequence([7, 0x9A275]).generate_state(1, np.uint64)[0])
        for row, got in enumerate(hashed(5, 4, 7).tolist(), start=5):
            z = (row * 0x9E3779B97F4A7C15 + place) & mask
            z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
            assert got == z ^ (z >> 31)
        assert len(np.unique(hashed(0, 100_000, 3))) == 100_000


class TestSpans:
    @given(
        files=st.lists(st.lists(st.integers(1, 500), max_size=6), min_size=1, max_size=5),
        wanted=st.integers(1, 700),
    )
    def test_spans_hold_every_row_once_and_no_span_crosses_files(self, files: list[list[int]], wanted: int) -> None:
        spans = list(spans_of(files, wanted))
        assert sum(span.rows for span in spans) == sum(map(sum, files))
        start, place = 0, dict.fromkeys(range(len(files)), 0)
        for span in spans:
            assert span.start == start and span.first == place[span.file] and 0 < span.rows < 2 * wanted
            start, place[span.file] = start + span.rows, place[span.file] + span.rows
        assert place == {file: sum(groups) for file, groups in enumerate(files)}
