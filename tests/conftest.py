"""The threads of a test end with the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _threads_end_with_their_test() -> Iterator[None]:
    """A thread that outlives its test would print into the output of a later test."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive(), f"{thread.name} is still running after the test"
