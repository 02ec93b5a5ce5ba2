"""Counts the calls between Python and Node.js: every request that jsii's kernel sends to its Node.js process.

The requests are constructions, methods, properties, and the results of callbacks, in both directions. Each costs CPU
time on both sides, so that their number is an exact measure where time is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jsii._kernel.providers.process import _NodeProcess


class Calls:
    """The number of calls so far."""

    def __init__(self) -> None:
        self.count = 0


@contextmanager
def counted_calls() -> Iterator[Calls]:
    """Count the calls until the end of the block."""
    calls = Calls()
    send = _NodeProcess.send

    def counting(process: _NodeProcess, *arguments: Any) -> Any:
        calls.count += 1
        return send(process, *arguments)

    _NodeProcess.send = counting  # type: ignore[method-assign]
    try:
        yield calls
    finally:
        _NodeProcess.send = send  # type: ignore[method-assign]
