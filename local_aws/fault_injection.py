"""Faults on demand, and the log of every call that the local AWS received."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

ContentEffect = Literal["kms", "inaccessible", "gone", "truncated", "corrupt"]


@dataclass
class CallFault:
    """Calls that match `on` are delayed or answered with an error.

    :param on: pattern of the call's name, such as `ecr:BatchGetImage`, `ecr:*`, `layer:GET`, `registry:PUT`.
    :param code: the exception's name; empty for the usual answer (after `delay`).
    :param message: the exception's message.
    :param status: HTTP status of the error.
    :param times: how many calls fail; None for all.
    :param seconds: how long the fault lasts from now on; None for ever.
    :param per_second: calls per second that succeed (throttling); 0 for none.
    :param delay: seconds before the answer.
    :param about: text in the JSON or form of the request, such as the name of a repository; empty for every request.
    """

    on: str
    code: str = ""
    message: str = ""
    status: int = 400
    times: int | None = None
    seconds: float | None = None
    per_second: float = 0
    delay: float = 0
    about: str = ""
    _since: float = field(default_factory=lambda: time.monotonic(), repr=False)
    _passed: list[float] = field(default_factory=list, repr=False)

    def applies(self, name: str, body: str) -> bool:
        """Whether the fault applies to this call, which then counts as one of `times`."""
        now = time.monotonic()
        over = self.seconds is not None and now - self._since > self.seconds
        if over or self.times == 0 or not fnmatchcase(name, self.on) or self.about not in body:
            return False
        if self.per_second:
            self._passed = [moment for moment in self._passed if now - moment < 1]
            if len(self._passed) < self.per_second:
                self._passed.append(now)
                return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass(frozen=True)
class Call:
    """One request that the local AWS received."""

    name: str
    path: str
    time: float
    status: int
    seconds: float
    principal: str


class InjectedFaults:
    """The faults that are set, by call and by digest."""

    def __init__(self) -> None:
        self._calls: list[CallFault] = []
        self._content: dict[str, ContentEffect] = {}

    def add(self, fault: Mapping[str, Any]) -> None:
        """Set a fault.

        :param fault: `{"digest": …, "effect": …}` for content, otherwise the arguments of `CallFault`.
        :raises TypeError: for an argument that `CallFault` does not have.
        """
        if "digest" in fault:
            self._content[str(fault["digest"])] = fault["effect"]
        else:
            self._calls.append(CallFault(**fault))

    def clear(self) -> None:
        """Remove every fault."""
        self._calls.clear()
        self._content.clear()

    def for_call(self, name: str, body: str) -> list[CallFault]:
        """The faults that apply to a call; each counts it as one of its `times`."""
        return [fault for fault in self._calls if fault.applies(name, body)]

    def of_content(self, digest: str) -> ContentEffect | None:
        """The fault of an image or a blob."""
        return self._content.get(digest)


class CallLog:
    """Every call since the start or the last reset."""

    def __init__(self) -> None:
        self._calls: list[Call] = []

    def add(self, call: Call) -> None:
        """Add a call."""
        self._calls.append(call)

    def reset(self) -> None:
        """Clear the log."""
        self._calls.clear()

    def listed(self) -> list[dict[str, Any]]:
        """Every call, the oldest first, as JSON values."""
        return [asdict(call) for call in self._calls]
