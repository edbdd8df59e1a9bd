"""What tests of several rooms share: a browser that opens pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from browser import MISSING, Browser


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
