"""Waiting for a condition with a deadline. The only place that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

FIRST_PAUSE = 0.02
LONGEST_PAUSE = 0.25
# Generous, since the machine may be busy: a story that is fast passes fast all the same.
TIMEOUT = 45.0


def until(
    what: str, probe: Callable[[], T | None], timeout: float = TIMEOUT, seen: Callable[[], object] | None = None
) -> T:
    """Calls `probe` until it gives something true; fails naming `what`, and `seen()` if given."""
    end = time.monotonic() + timeout
    pause = FIRST_PAUSE
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() >= end:
            last = f"; last seen: {seen()!r}" if seen else ""
            raise AssertionError(f"still not after {timeout:.0f} s: {what}{last}")
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)


def steady(what: str, holds: Callable[[], bool], seconds: float) -> None:
    """Looks again and again for `seconds`; fails at the first look at which `holds` is false."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert holds(), f"no longer so: {what}"
        time.sleep(0.1)
