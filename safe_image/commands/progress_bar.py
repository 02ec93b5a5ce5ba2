"""How far a command is: a bar on a terminal, and nothing where a log is written."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import ProgressColumn


@dataclass(frozen=True)
class Bar:
    """What tells how far a command is.

    :param advance: tells that one more is done; from any thread.
    :param say: writes a text to a stream, which may be the bar's own terminal.
    """

    advance: Callable[[], None]
    say: Callable[[str, TextIO], None]


@contextmanager
def progress(total: int, what: str, stream: TextIO) -> Iterator[Bar]:
    """A bar on standard error, where that is a terminal, there is more than one to do, and `rich` is installed.

    :param total: how many there are to do.
    :param what: what becomes of them, such as `checked`.
    :param stream: what the command's own output goes to.
    """
    columns = _columns(what) if total > 1 and sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else None
    if columns is None:
        yield Bar(lambda: None, lambda text, to: _write(text, to))
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        # It would break long lines where the terminal ends, and references could not be copied.
        redirect_stdout=False,
        redirect_stderr=False,
    ) as bar:
        task = bar.add_task(what, total=total)

        def say(text: str, to: TextIO) -> None:
            if not to.isatty():
                to.write(text)
                return
            # Out of the way, since both are on one terminal.
            bar.stop()
            _write(text, to)
            bar.start()

        yield Bar(lambda: bar.advance(task), say)


def _columns(what: str) -> tuple[ProgressColumn, ...] | None:
    try:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    except ImportError:
        return None
    return (MofNCompleteColumn(), TextColumn(what), BarColumn(), TimeElapsedColumn())


def _write(text: str, stream: TextIO) -> None:
    stream.write(text)
    stream.flush()
