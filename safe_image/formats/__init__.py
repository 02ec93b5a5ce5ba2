"""The formats of a check's and of a comparison's report: one module each, imported only where it is asked for.

A format is a row here and a module whose `report` gives the text piece by piece. A check's takes the outcomes as they
come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from image_verifier.rules.remedies import Names

    from ..check_runner import Outcome
    from ..comparison import Comparison

    Format = Callable[[Iterable[Outcome], TextIO], Iterator[str]]
    ComparisonFormat = Callable[[Comparison, tuple[Names, Names], TextIO], Iterator[str]]

# The module of each of a check's.
FORMATS: Final[Mapping[str, str]] = {
    "text": "check.text",
    "json": "check.json_report",
    "junit": "check.junit",
    "sarif": "check.sarif",
    "github": "check.github",
    "markdown": "check.markdown",
    "html": "check.html_report",
}


# And of a comparison's.
COMPARISONS: Final[Mapping[str, str]] = {
    "text": "diff.diff_text",
    "json": "diff.diff_json",
    "html": "diff.diff_html",
}


def report_in(name: str) -> Format:
    """What writes a check's report.

    :param name: one of `FORMATS`.
    """
    report: Format = import_module(f"{__name__}.{FORMATS[name]}").report
    return report


def comparison_in(name: str) -> ComparisonFormat:
    """What writes a comparison's report.

    :param name: one of `COMPARISONS`.
    """
    report: ComparisonFormat = import_module(f"{__name__}.{COMPARISONS[name]}").report
    return report
