"""A thread pool that delays neither Ctrl-C nor the end of the program after a fault."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from queue import Empty, Queue
from threading import Event
from typing import Final, TypeVar

from .retry import POOLS

# How long an interrupt may take to have an effect, in seconds. A signal that arrives just before a thread begins to
# wait does not wake it: Python checks for signals before it waits and not meanwhile, so every wait here has a timeout.
# https://docs.python.org/3/library/signal.html#execution-of-python-signal-handlers
_INTERRUPTED_WITHIN: Final = 0.5

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Pool(ThreadPoolExecutor):
    """A pool that does not wait for its threads if it is left with an exception: an interrupt, or a first fault.

    Waiting work is then dropped, and running work calls AWS no more and retries nothing: Python does not end before
    its threads, which would retry for a minute.

    :param at_once: the number of threads.
    :param name: the beginning of the threads' names.
    """

    def __init__(self, at_once: int, name: str = "") -> None:
        self._left = Event()
        super().__init__(at_once, name, POOLS.set, ((*POOLS.get(), self._left),))

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        if kind:
            self._left.set()
        self.shutdown(wait=not kind, cancel_futures=bool(kind))

    def results(self, work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
        """The results of the work in the order of the items; all of it is submitted at once.

        :param work: the work on one item.
        :param items: the items.
        :raises Exception: the exception that the work raises.
        """
        futures = [self.submit(work, item) for item in items]
        return map(result, futures)


def result(future: Future[_Result]) -> _Result:
    """Wait for the result of a future; an interrupt ends the wait.

    :param future: the future.
    :raises Exception: the exception that its work raises.
    """
    while not future.done():
        wait([future], timeout=_INTERRUPTED_WITHIN)
    return future.result()


def next_item(queue: Queue[_Item]) -> _Item:
    """Wait for the next item of a queue; an interrupt ends the wait.

    :param queue: the queue.
    """
    while True:
        with suppress(Empty):
            return queue.get(timeout=_INTERRUPTED_WITHIN)
