"""Data larger than memory: read from their files some rows at a time, shuffled in a buffer, encoded ahead of the training loop.

>>> stream = open_stream("clicks/", target="bought")
>>> streamed = stream.prepare(seed=0, batch_size=256)
>>> train(model, optimizer, gradients, streamed.batches, epochs=3)

Bottom up: ``source`` (spans of rows), ``footer``, ``parquet`` and ``arrays`` (what can be read); ``answers`` (the targets of
all rows), ``parts`` (who is held out); ``ahead`` (the thread) and ``batches`` (the shuffle buffer); ``stream`` and ``opening``.
"""

from thalweg.data.streaming.batches import StreamBatches
from thalweg.data.streaming.opening import is_large, open_stream
from thalweg.data.streaming.stream import Stream, Streamed

__all__ = ["Stream", "StreamBatches", "Streamed", "is_large", "open_stream"]
