"""The cache of answers that many images share."""

from __future__ import annotations

from collections import Counter
from threading import Barrier, Thread

import pytest
from image_verifier.audit.batches import LruCache
from image_verifier.faults import Fault


def test_the_cache_is_bounded_and_computes_an_entry_once() -> None:
    cache = LruCache(3)
    for number in range(10):
        cache.put(str(number), number)
    assert [key for key in map(str, range(10)) if key in cache] == ["7", "8", "9"]
    computed: Counter[str] = Counter()
    together = Barrier(4)

    def compute() -> str:
        computed["x"] += 1
        return "entry"

    def want() -> None:
        together.wait()
        assert cache.get_or_call("x", compute) == "entry"

    threads = [Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert computed["x"] == 1


def test_a_fault_is_raised_in_every_caller_that_waits() -> None:
    cache = LruCache(3)

    def compute() -> None:
        raise Fault("no")

    for _ in range(2):
        with pytest.raises(Fault, match="no"):
            cache.get_or_call("x", compute)
