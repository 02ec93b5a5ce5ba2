"""When to ask again, and for how long."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0


@dataclass(frozen=True)
class RetryBudget:
    """How long to go on asking.

    :param ends_at: the moment, on `time.monotonic`, after which nothing is asked again.
    :param denied_until: the moment until which AccessDenied is asked again too: a policy that has just been
        attached is reported complete seconds before it holds, https://github.com/aws/aws-cdk/issues/37675
    """

    ends_at: float
    denied_until: float = 0.0

    @classmethod
    def of(cls, seconds: float, denied_seconds: float = 0.0) -> RetryBudget:
        """Patience from now on.

        :param seconds: for how long to repeat what may pass by itself.
        :param denied_seconds: for how long to repeat what was denied.
        """
        now = time.monotonic()
        return cls(now + seconds, now + min(seconds, denied_seconds))

    def part(self, share: float) -> RetryBudget:
        """Patience for the first of several steps.

        :param share: the part of the time that is left, from 0 to 1, that it may take.
        """
        ends_at = time.monotonic() + share * self.seconds_left
        return RetryBudget(ends_at, min(ends_at, self.denied_until))

    @property
    def seconds_left(self) -> float:
        """The time that is left; never below zero."""
        return max(0.0, self.ends_at - time.monotonic())

    def wait_before_retry(self, attempt: int, *, denied: bool = False, at_least: float = 0.0) -> bool:
        """Wait before the next attempt, unless there is no time for one.

        :param attempt: how many attempts there have been, from 1. Pauses grow with it, with jitter, to 5 s.
        :param denied: whether the last answer was AccessDenied.
        :param at_least: the seconds for which the other side has asked not to be asked again.
        :returns: whether to ask again.
        """
        # Imported here: it costs more than most runs, which never wait.
        import random

        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(attempt, 10))
        seconds = at_least + random.uniform(longest / 2, longest)  # noqa: S311 - jitter, not a secret
        ends_at = min(self.ends_at, self.denied_until) if denied else self.ends_at
        if time.monotonic() + seconds >= ends_at:
            return False
        time.sleep(seconds)
        return True
