"""What tests of several rooms share: a browser that opens pages."""

from __future__ import annotations

import os

# Before torch is imported: tests share the cores, and threads that spin while another test has the core cost a factor of ten.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if not os.path.exists("/dev/nvidia0"):  # without a GPU its kernels run in Triton's interpreter
    os.environ.setdefault("TRITON_INTERPRET", "1")

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

from browser import MISSING, Browser

# The same examples in every run, and no clock: a test that fails, fails again.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; skips where there is none."""
    if MISSING:
        pytest.skip(MISSING)
    with Browser() as opened:
        yield opened


@pytest.fixture
def open_page(browser: Browser) -> Callable[..., Any]:
    """``open_page(path, width=…, dark=…) → driver`` with the page's charts drawn."""
    return browser.open
