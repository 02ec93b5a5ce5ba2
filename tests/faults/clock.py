"""A clock that goes forward by itself where the verifier pauses, so that minutes of retries take no time."""

from __future__ import annotations

import importlib
import pkgutil
import threading
import time
from types import ModuleType
from typing import Any

import image_verifier
import pytest
from image_verifier import retry

from tests.faults import faulty_aws, worlds


class Clock:
    """Stands for the module `time`. Time that really passes counts, too."""

    def __init__(self) -> None:
        self._skipped = 0.0
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def monotonic(self) -> float:
        return time.monotonic() + self._skipped

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._skipped += seconds

    def pause(self, budget: retry.RetryBudget, seconds: float) -> bool:
        self.sleep(seconds)
        return budget.is_abandoned


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the verifier, the events and the faulty AWS read such a clock. One event may run at a time."""
    clock = Clock()
    for module in [*_verifiers_modules(), worlds, faulty_aws]:
        if getattr(module, "time", None) is time:
            monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(retry, "_pause", clock.pause)


def _verifiers_modules() -> list[ModuleType]:
    names = (module.name for module in pkgutil.walk_packages(image_verifier.__path__, "image_verifier."))
    return [importlib.import_module(name) for name in names]
