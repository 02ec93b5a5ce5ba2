"""How far an audit is: one line that changes on a terminal, a line now and then in a log."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from .state import Row

# Between two lines in a log, in seconds.
_PAUSE: Final = 30.0

Tell = Callable[[Row], None]


@contextmanager
def progress(known: int) -> Iterator[Tell]:
    """What is told each row as it comes.

    :param known: how many images a run before this one has judged.
    """
    verdicts: Counter[str] = Counter()

    def line() -> str:
        judged = f"{verdicts.total():,} images, {verdicts['fail']:,} refused, {verdicts['unknown']:,} unknown"
        return judged + (f", {known:,} known from before" if known else "")

    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        last = time.monotonic()

        def log(row: Row) -> None:
            nonlocal last
            verdicts[row["verdict"]] += 1
            if time.monotonic() - last >= _PAUSE:
                last = time.monotonic()
                print(f"safe-image: {line()} ({row['repository']})", file=sys.stderr, flush=True)

        yield log
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.status import Status

    with Status("asking", console=Console(stderr=True, highlight=False)) as status:

        def show(row: Row) -> None:
            verdicts[row["verdict"]] += 1
            status.update(f"{line()}  {escape(str(row['repository']))}")

        yield show
