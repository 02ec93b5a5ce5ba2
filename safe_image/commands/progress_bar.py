"""The progress bar of a command: on a terminal only, so that logs stay free of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from ..terminal import shows_progress


@dataclass(frozen=True)
class ProgressBar:
    """A progress bar, or its stand-in where none is shown.

    :param advance: counts this many more as done; may be called from any thread.
    :param expect: sets how many are to be done, where that is known later than the bar is shown.
    :param write: writes a text to a stream, which may be the bar's own terminal.
    """

    advance: Callable[[int], None]
    expect: Callable[[int], None]
    write: Callable[[str, TextIO], None]


@contextmanager
def progress_bar(total: int | None, done: str, *, shown: bool = True) -> Iterator[ProgressBar]:
    """A bar on standard error, if that is a terminal.

    :param total: how many things are to be done; None for bytes, whose number is known later.
    :param done: the verb in the past tense that the bar shows, such as `checked`.
    :param shown: whether a bar is wanted at all.
    """
    if not shown or not shows_progress():
        yield ProgressBar(lambda _: None, lambda _: None, _write)
        return
    # Imported here, since most runs show no bar, and the command must start quickly.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    with Progress(
        DownloadColumn(binary_units=True) if total is None else MofNCompleteColumn(),
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

        def expect(count: int) -> None:
            bar.update(task, total=count)

        def write(text: str, stream: TextIO) -> None:
            if not stream.isatty():
                stream.write(text)
                return
            # The bar and the text share one terminal.
            bar.stop()
            _write(text, stream)
            bar.start()

        yield ProgressBar(lambda count: bar.advance(task, count), expect, write)


def _write(text: str, stream: TextIO) -> None:
    stream.write(text)
    stream.flush()
