"""The threads of a test end with the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

_SECONDS = 5.0


@pytest.fixture(autouse=True)
def _threads_end_with_their_test() -> Iterator[None]:
    """A thread that outlives its test would print into the output of a later test."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + _SECONDS
    # Among them may be a thread that is about to start, which cannot be joined yet.
    while late := set(threading.enumerate()) - before:
        assert time.monotonic() < deadline, f"still running after the test: {', '.join(t.name for t in late)}"
        time.sleep(0.005)
