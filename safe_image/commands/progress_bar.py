"""The progress bar of a command: on a terminal only, so that logs stay free of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO


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
    """A bar on standard error, if that is a terminal and more than one thing is to be done.

    :param total: how many things are to be done.
    :param done: the verb in the past tense that the bar shows, such as `checked`.
    """
    if total <= 1 or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield ProgressBar(lambda: None, _write)
        return
    # Imported here, since most runs show no bar, and the command must start quickly.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        MofNCompleteColumn(),
        TextColumn(done),
        BarColumn(),
        TimeElapsedColumn(),
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


def _write(text: str, stream: TextIO) -> None:
    stream.write(text)
    stream.flush()
