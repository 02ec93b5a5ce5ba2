"""What the local AWS was told to do wrong, and what it was asked: faults on demand and the log of calls."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

ContentEffect = Literal["kms", "inaccessible", "gone", "truncated", "corrupt"]


@dataclass
class CallFault:
    """Calls that match `on` are slowed down or answered with an error.

    Args:
        on: pattern over the call's name, such as `ecr:BatchGetImage`, `ecr:*`, `layer:GET`, `registry:PUT`.
        code: the exception's name; empty to answer as usual (after `delay`).
        message: its message.
        status: its HTTP status.
        times: how many calls it strikes; None for all.
        seconds: how long it lasts from now on; None for ever.
        per_second: calls a second that pass unharmed (throttling); 0 for none.
        delay: seconds before anything is answered.
    """

    on: str
    code: str = ""
    message: str = ""
    status: int = 400
    times: int | None = None
    seconds: float | None = None
    per_second: float = 0
    delay: float = 0
    _since: float = field(default_factory=time.monotonic, repr=False)
    _passed: list[float] = field(default_factory=list, repr=False)

    def strikes(self, name: str) -> bool:
        """Whether this call is hit; counts it when it is."""
        now = time.monotonic()
        over = self.seconds is not None and now - self._since > self.seconds
        if over or self.times == 0 or not fnmatchcase(name, self.on):
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
    """One request that the local AWS got."""

    name: str
    path: str
    time: float
    status: int
    seconds: float
    principal: str


class Faults:
    """Faults that are set, by call and by digest."""

    def __init__(self) -> None:
        self._calls: list[CallFault] = []
        self._content: dict[str, ContentEffect] = {}

    def add(self, fault: Mapping[str, Any]) -> None:
        """Set a fault: `{"digest": …, "effect": …}` for content, else the arguments of CallFault.

        Raises TypeError for arguments that neither has.
        """
        if "digest" in fault:
            self._content[str(fault["digest"])] = fault["effect"]
        else:
            self._calls.append(CallFault(**fault))

    def clear(self) -> None:
        self._calls.clear()
        self._content.clear()

    def for_call(self, name: str) -> list[CallFault]:
        return [fault for fault in self._calls if fault.strikes(name)]

    def of_content(self, digest: str) -> ContentEffect | None:
        """What is wrong with the image or blob of that digest."""
        return self._content.get(digest)


class CallLog:
    """Every call since the start or the last reset."""

    def __init__(self) -> None:
        self._calls: list[Call] = []

    def add(self, call: Call) -> None:
        self._calls.append(call)

    def reset(self) -> None:
        self._calls.clear()

    def listed(self) -> list[dict[str, Any]]:
        return [asdict(call) for call in self._calls]
