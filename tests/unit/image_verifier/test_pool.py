"""A pool that is left with an exception stops the work that is running."""

from __future__ import annotations

from threading import Event

import pytest
from image_verifier.pool import Pool
from image_verifier.retry import RetryBudget

# The pause before this attempt takes 2.5 seconds at least.
_LATE = 10


def _leave(pool: Pool, begun: Event) -> None:
    """Leave a pool with an exception once its work has begun."""
    with pool:
        assert begun.wait(30)
        raise KeyError


def _retries(budget: RetryBudget, attempt: int, begun: Event) -> bool:
    begun.set()
    return budget.wait_before_retry(attempt)


def _retries_in_a_pool_of_its_own(begun: Event) -> bool:
    with Pool(1) as inner:
        return inner.submit(_retries, RetryBudget.of(600), _LATE, begun).result()


def test_running_work_retries_nothing_once_the_pool_is_left_with_an_exception() -> None:
    pool, begun, budget = Pool(2), Event(), RetryBudget.of(600)
    future = pool.submit(_retries, budget, _LATE, begun)
    with pytest.raises(KeyError):
        _leave(pool, begun)
    assert future.result() is False
    assert budget.is_abandoned is False


def test_work_of_a_pool_inside_of_a_pool_that_is_left_retries_nothing_either() -> None:
    pool, begun = Pool(2), Event()
    future = pool.submit(_retries_in_a_pool_of_its_own, begun)
    with pytest.raises(KeyError):
        _leave(pool, begun)
    assert future.result() is False


def test_work_is_retried_as_long_as_somebody_waits_for_its_pool() -> None:
    pool, begun = Pool(1), Event()
    begun.set()
    with pytest.raises(KeyError):
        _leave(pool, begun)
    with Pool(1) as other:
        assert other.submit(_retries, RetryBudget.of(600), 1, Event()).result() is True
    assert RetryBudget.of(600).wait_before_retry(1) is True
