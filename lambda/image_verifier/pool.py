"""Threads that work side by side, and that hold up nobody who has had enough."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from queue import Empty, Queue
from types import TracebackType
from typing import Final, TypeVar

# How long it may take until an interrupt is heard, in seconds. A signal that comes just before a thread begins to wait
# does not wake it: Python looks for signals before and not while it waits, so nothing here is waited for without end.
# https://docs.python.org/3/library/signal.html#execution-of-python-signal-handlers
_HEARD: Final = 0.5

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Pool(ThreadPoolExecutor):
    """A pool that is left at once by whoever leaves it with an exception: an interrupt, or the first of several faults.

    What is under way then goes on, and nobody hears of it; what is not begun is dropped.
    """

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown(wait=kind is None, cancel_futures=kind is not None)

    def results(self, work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
        """The work's results in the items' order; all of it is begun at once.

        :param work: what is done with each item.
        :param items: what it is done with.
        :raises Exception: what the work raises.
        """
        futures = [self.submit(work, item) for item in items]
        return map(result, futures)


def result(future: Future[_Result]) -> _Result:
    """What a future gives, waited for so that an interrupt is heard.

    :param future: what is waited for.
    :raises Exception: what its work raises.
    """
    while not future.done():
        wait([future], timeout=_HEARD)
    return future.result()


def taken(queue: Queue[_Item]) -> _Item:
    """What a queue has next, waited for so that an interrupt is heard.

    :param queue: what is waited for.
    """
    while True:
        with suppress(Empty):
            return queue.get(timeout=_HEARD)
