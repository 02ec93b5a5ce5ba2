"""The formats of reports: a row for each command, and a module `COMMAND/REPORT_FORMAT.py` for each format.

A format's module is imported only when it is used. Its `report` gives the text piece by piece, so that a long report
is never in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final, Generic, TextIO, TypeVar

if TYPE_CHECKING:
    from image_verifier.audit.row import Row
    from image_verifier.policy import Policy
    from image_verifier.rules.names import Names
    from image_verifier.rules.runtimes import Runtime
    from typing_extensions import Self

    from ..explanations.explanation import Explanation, Verification
    from ..incident.explained_failure import ExplainedFailure
    from ..incident.incident import Incident
    from ..results.check_runner import Outcome
    from ..results.comparison import Comparison
    from .audit.audit_facts import AuditFacts

    CheckReport = Callable[[Iterable[Outcome], TextIO], Iterator[str]]
    DiffReport = Callable[[Comparison, tuple[Names, Names], Policy, TextIO], Iterator[str]]
    RuntimesReport = Callable[[Sequence[Runtime], TextIO], Iterator[str]]
    AuditReport = Callable[[Callable[[], Iterable[Row]], AuditFacts, TextIO], Iterator[str]]
    ExplanationReport = Callable[[Explanation, Verification | None, TextIO], Iterator[str]]
    IncidentReport = Callable[[Incident, Sequence[ExplainedFailure], TextIO], Iterator[str]]

_Report = TypeVar("_Report")


class Formats(tuple[str, ...], Generic[_Report]):
    """The names of the formats of one kind of report.

    :param modules: how the names of the formats' modules begin, such as `diff.diff`.
    :param names: the names of the formats.
    """

    _modules: str

    def __new__(cls, modules: str, *names: str) -> Self:
        """Keep the names as a tuple, which never changes."""
        formats = super().__new__(cls, names)
        formats._modules = modules
        return formats

    def report(self, name: str) -> _Report:
        """The function that writes the report in a format.

        :param name: one of the names.
        """
        report: _Report = import_module(f"{__name__}.{self._modules}_{name}").report
        return report


CHECK_FORMATS: Final[Formats[CheckReport]] = Formats(
    "check.check", "text", "json", "junit", "sarif", "github", "markdown", "html"
)
DIFF_FORMATS: Final[Formats[DiffReport]] = Formats("diff.diff", "text", "json", "html")
AUDIT_FORMATS: Final[Formats[AuditReport]] = Formats("audit.audit", "text", "json", "html")
RUNTIMES_FORMATS: Final[Formats[RuntimesReport]] = Formats("runtimes.runtimes", "text", "json")
# For a text, and for a service, a task, a function or a stack.
EXPLANATION_FORMATS: Final[Formats[ExplanationReport]] = Formats("explain.explanation", "text", "json")
INCIDENT_FORMATS: Final[Formats[IncidentReport]] = Formats("explain.incident", *EXPLANATION_FORMATS)
