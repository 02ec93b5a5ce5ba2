"""How far an audit is: one line that changes on a terminal, a line now and then in a log."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from image_verifier.text import printable

from ..formats.audit.audit_row import Row

# Between two lines in a log, in seconds.
_PAUSE: Final = 30.0

Tell = Callable[[Row], None]


@contextmanager
def progress(known: int) -> Iterator[Tell]:
    """What is told each row as it comes.

    :param known: how many images a run before this one has judged.
    """
    verdicts: Counter[str] = Counter()

    def line(row: Row) -> str:
        judged = f"{verdicts.total():,} judged, {verdicts['fail']:,} refused, {verdicts['unknown']:,} unknown"
        before = f", {known:,} known from before" if known else ""
        # Without the registry's host, which is long and nearly always the same.
        return f"{judged}{before}: {printable(row['repository'].partition('/')[2] or row['reference'])}"

    show = _on_terminal() if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else None
    with show or _in_log() as write:

        def tell(row: Row) -> None:
            verdicts[row["verdict"]] += 1
            write(line(row))

        yield tell


@contextmanager
def _in_log() -> Iterator[Callable[[str], None]]:
    last = time.monotonic()

    def write(line: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _PAUSE:
            last = time.monotonic()
            print(f"safe-image: {line}", file=sys.stderr, flush=True)

    yield write


def _on_terminal() -> AbstractContextManager[Callable[[str], None]] | None:
    """A line that changes, where `rich` is installed."""
    try:
        from rich.console import Console
        from rich.status import Status
        from rich.text import Text
    except ImportError:
        return None

    @contextmanager
    def status() -> Iterator[Callable[[str], None]]:
        with Status("asking", console=Console(stderr=True, highlight=False)) as shown:
            yield lambda line: shown.update(Text(line, overflow="ellipsis", no_wrap=True))

    return status()
