"""The progress bar of a command: on a terminal only, so that logs stay free of it."""

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
class ProgressBar:
    """A progress bar, or its stand-in where none is shown.

    :param advance: counts one more as done; may be called from any thread.
    :param write: writes a text to a stream, which may be the bar's own terminal.
    """

    advance: Callable[[], None]
    write: Callable[[str, TextIO], None]


@contextmanager
def progress_bar(total: int, done: str) -> Iterator[ProgressBar]:
    """A bar on standard error, if that is a terminal, `rich` is installed, and more than one thing is to be done.

    :param total: how many things are to be done.
    :param done: the verb in the past tense that the bar shows, such as `checked`.
    """
    columns = _columns(done) if total > 1 and sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else None
    if columns is None:
        yield ProgressBar(lambda: None, _write)
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        # Redirected, rich would wrap long lines at the terminal's width, and references could not be copied.
        redirect_stdout=False,
        redirect_stderr=False,
    ) as bar:
        task = bar.add_task(done, total=total)

        def write(text: str, stream: TextIO) -> None:
            if not stream.isatty():
                stream.write(text)
                return
            # The bar and the text share one terminal.
            bar.stop()
            _write(text, stream)
            bar.start()

        yield ProgressBar(lambda: bar.advance(task), write)


def _columns(done: str) -> tuple[ProgressColumn, ...] | None:
    try:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    except ImportError:
        return None
    return (MofNCompleteColumn(), TextColumn(done), BarColumn(), TimeElapsedColumn())


def _write(text: str, stream: TextIO) -> None:
    stream.write(text)
    stream.flush()
