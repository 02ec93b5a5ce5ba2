"""The formats of reports: a row for each command, and a module `COMMAND/REPORT_FORMAT.py` for each format.

A format's module is imported only when it is used. Its `report` gives the text piece by piece, so that a long report
is never in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from image_verifier.audit.row import Row
    from image_verifier.policy import Policy
    from image_verifier.rules.names import Names
    from image_verifier.rules.runtimes import Runtime

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

CHECK_FORMATS: Final = ("text", "json", "junit", "sarif", "github", "markdown", "html")
DIFF_FORMATS: Final = ("text", "json", "html")
AUDIT_FORMATS: Final = ("text", "json", "html")
RUNTIMES_FORMATS: Final = ("text", "json")
EXPLAIN_FORMATS: Final = ("text", "json")


def check_report(format_name: str) -> CheckReport:
    """The function that writes the report of `check`.

    :param format_name: one of `CHECK_FORMATS`.
    """
    report: CheckReport = _module(f"check.check_{format_name}").report
    return report


def diff_report(format_name: str) -> DiffReport:
    """The function that writes the report of `diff`.

    :param format_name: one of `DIFF_FORMATS`.
    """
    report: DiffReport = _module(f"diff.diff_{format_name}").report
    return report


def audit_report(format_name: str) -> AuditReport:
    """The function that writes the report of `audit`.

    :param format_name: one of `AUDIT_FORMATS`.
    """
    report: AuditReport = _module(f"audit.audit_{format_name}").report
    return report


def runtimes_report(format_name: str) -> RuntimesReport:
    """The function that writes the report of `runtimes`.

    :param format_name: one of `RUNTIMES_FORMATS`.
    """
    report: RuntimesReport = _module(f"runtimes.runtimes_{format_name}").report
    return report


def explanation_report(format_name: str) -> ExplanationReport:
    """The function that writes the explanation of a text.

    :param format_name: one of `EXPLAIN_FORMATS`.
    """
    report: ExplanationReport = _module(f"explain.explanation_{format_name}").report
    return report


def incident_report(format_name: str) -> IncidentReport:
    """The function that writes the explanation of a service, task, function or stack.

    :param format_name: one of `EXPLAIN_FORMATS`.
    """
    report: IncidentReport = _module(f"explain.incident_{format_name}").report
    return report


def _module(name: str) -> Any:
    return import_module(f"{__name__}.{name}")
