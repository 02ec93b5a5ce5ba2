"""The progress of an audit: one changing line on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from image_verifier.audit.row import Row
from image_verifier.text import printable

from ..terminal import shows_progress

# The time between two lines in a log, in seconds.
_PAUSE: Final = 30.0

OnRow = Callable[[Row], None]


@contextmanager
def progress(known: int, *, quiet: bool = False) -> Iterator[OnRow]:
    """A function to call with each row as it comes.

    :param known: how many images an earlier run has verified.
    :param quiet: whether no progress is shown at all.
    """
    verdicts: Counter[str] = Counter()

    def line(row: Row) -> str:
        verified = f"{verdicts.total():,} verified, {verdicts['fail']:,} refused, {verdicts['unknown']:,} unknown"
        earlier = f", {known:,} verified earlier" if known else ""
        # Without the registry's host, which is long and nearly always the same.
        return f"{verified}{earlier}: {printable(row['repository'].partition('/')[2] or row['reference'])}"

    with _silent() if quiet else _on_terminal() if shows_progress() else _in_log() as write:

        def on_row(row: Row) -> None:
            verdicts[row["verdict"]] += 1
            write(line(row))

        yield on_row


@contextmanager
def _silent() -> Iterator[Callable[[str], None]]:
    yield lambda _: None


@contextmanager
def _in_log() -> Iterator[Callable[[str], None]]:
    last = time.monotonic()

    def write(line: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _PAUSE:
            last = time.monotonic()
            print(f"safe-image: {line}", file=sys.stderr, flush=True)

    yield write


@contextmanager
def _on_terminal() -> Iterator[Callable[[str], None]]:
    # Imported here, since logs do not need it, and the command must start quickly.
    from rich.console import Console
    from rich.status import Status
    from rich.text import Text

    with Status("reading", console=Console(stderr=True, highlight=False)) as shown:
        yield lambda line: shown.update(Text(line, overflow="ellipsis", no_wrap=True))
