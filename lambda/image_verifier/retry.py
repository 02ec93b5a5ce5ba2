"""RetryBudget: when a call is retried, and for how long."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Event
from typing import Final

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
# How long a pause may last after its pool was left, in seconds.
_LEFT_WITHIN: Final = 0.2
# The pools whose work this thread does, from the outside in: each event is set when nobody waits for its pool.
POOLS: Final[ContextVar[tuple[Event, ...]]] = ContextVar("POOLS", default=())


@dataclass(frozen=True)
class RetryBudget:
    """For how long calls are retried.

    :param ends_at: the moment, on `time.monotonic`, after which nothing is retried.
    :param denied_until: the moment until which AccessDenied is retried too. CloudFormation reports a new policy as
        complete some seconds before IAM applies it: https://github.com/aws/aws-cdk/issues/37675
    :param abandoned: set when nobody waits for the results any longer. From then on nothing is called.
    """

    ends_at: float
    denied_until: float = 0.0
    abandoned: Event = field(default_factory=Event, compare=False, repr=False)

    @classmethod
    def of(cls, seconds: float, denied_seconds: float = 0.0, abandoned: Event | None = None) -> RetryBudget:
        """A budget that starts now.

        :param seconds: for how long transient errors are retried.
        :param denied_seconds: for how long AccessDenied is retried.
        :param abandoned: set when nobody waits for the results any longer; None where somebody always does.
        """
        now = time.monotonic()
        return cls(now + seconds, now + min(seconds, denied_seconds), abandoned or Event())

    def part(self, share: float) -> RetryBudget:
        """A smaller budget, for the first of several steps.

        :param share: the part of the remaining time that the step may use, from 0 to 1.
        """
        ends_at = time.monotonic() + share * self.seconds_left
        return RetryBudget(ends_at, min(ends_at, self.denied_until), self.abandoned)

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody waits for the results any longer, or for a pool whose work this thread does."""
        return any(event.is_set() for event in (self.abandoned, *POOLS.get()))

    @property
    def seconds_left(self) -> float:
        """The remaining time; never below zero."""
        return max(0.0, self.ends_at - time.monotonic())

    def wait_before_retry(self, attempt: int, *, denied: bool = False, at_least: float = 0.0) -> bool:
        """Wait before the next attempt, unless there is no time for one.

        :param attempt: the number of attempts so far, from 1. Pauses grow with it, with jitter, up to 5 s.
        :param denied: whether the last error was AccessDenied.
        :param at_least: the seconds that the server asked to wait (Retry-After).
        :returns: whether to retry.
        """
        # Imported here: most runs never wait, and the import costs more than they do.
        import random

        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(attempt, 10))
        seconds = at_least + random.uniform(longest / 2, longest)  # noqa: S311 - jitter, not a secret
        ends_at = min(self.ends_at, self.denied_until) if denied else self.ends_at
        if time.monotonic() + seconds >= ends_at:
            return False
        return not _pause(self, seconds)


def _pause(budget: RetryBudget, seconds: float) -> bool:
    """Wait for so long, or until nobody waits for the results any longer, which is returned."""
    ends_at = time.monotonic() + seconds
    while not budget.is_abandoned and (left := ends_at - time.monotonic()) > 0:
        budget.abandoned.wait(min(left, _LEFT_WITHIN))
    return budget.is_abandoned
