"""The threads of a test end with the test, and the longest files run first."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_TESTS = Path(__file__).parent
# A thread that ends takes a moment, and longer where all cores are busy.
_SECONDS = 30.0
# The folders whose files take longest, longest first.
_LONG = ("versions", "deploy", "local_engines", "example_app", "browser", "local_aws", "release", "faults")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A long file that begins last would leave the other workers idle."""
    folders = [item.path.relative_to(_TESTS).parts[0] for item in items]
    ranks = {folder: _LONG.index(folder) if folder in _LONG else len(_LONG) for folder in folders}
    items.sort(key=lambda item: ranks[item.path.relative_to(_TESTS).parts[0]])


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
