"""A pool that is left with an exception stops the work that is running."""

from __future__ import annotations

from threading import Event

import pytest
from image_verifier.pool import Pool
from image_verifier.retry import RetryBudget


def _leave(pool: Pool, begun: Event) -> None:
    """Leave a pool with an exception once its work has begun."""
    with pool:
        assert begun.wait(30)
        raise KeyError


def _retries(attempt: int, begun: Event) -> bool:
    budget = RetryBudget.of(600)
    begun.set()
    return budget.wait_before_retry(attempt)


def test_running_work_retries_nothing_once_the_pool_is_left_with_an_exception() -> None:
    pool, begun = Pool(2), Event()
    # The pause before this attempt takes 2.5 seconds at least.
    future = pool.submit(_retries, 10, begun)
    with pytest.raises(KeyError):
        _leave(pool, begun)
    assert future.result() is False


def test_work_is_retried_as_long_as_somebody_waits_for_its_pool() -> None:
    pool, begun = Pool(1), Event()
    begun.set()
    with pytest.raises(KeyError):
        _leave(pool, begun)
    with Pool(1) as other:
        assert other.submit(_retries, 1, Event()).result() is True
    assert RetryBudget.of(600).is_abandoned is False
