"""Whether the threads of pools have ended."""

from __future__ import annotations

import threading


def assert_no_pool_is_running() -> None:
    """Wait until the threads of all pools have ended. A retry that goes on would last longer."""
    for thread in threading.enumerate():
        if "PoolExecutor" in thread.name:
            thread.join(30)
            assert not thread.is_alive(), thread.name
