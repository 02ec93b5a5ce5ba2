"""The formats of a check's report: one module each, imported only where it is asked for.

A format is a row here and a module whose `report` takes the outcomes as they come, and gives the text piece by piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from ..outcomes import Outcome

    Format = Callable[[Iterable[Outcome], TextIO], Iterator[str]]

# The module of each.
FORMATS: Final[Mapping[str, str]] = {
    "text": "text",
    "json": "json_report",
    "junit": "junit",
    "sarif": "sarif",
    "github": "github",
    "markdown": "markdown",
    "html": "html_report",
}


def report_in(name: str) -> Format:
    """What writes a report.

    :param name: one of `FORMATS`.
    """
    report: Format = import_module(f"{__name__}.{FORMATS[name]}").report
    return report
