"""Whatever holds data, read into ``Data``: files, folders, frames, arrays, bundled sets.

Bottom up: ``packed`` (compressed files, within bounds), ``table``, ``arrays``, ``images`` and ``bundled`` (one kind of source
each), ``reading`` (any one source), ``marks`` (weights, groups, time, given parts), ``joining`` (dev and test sources of their
own), ``load``.
"""
