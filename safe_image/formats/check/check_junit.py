"""The JUnit report of `check`: an image is a test suite, and each runtime that must run it is a test.

It is written with ElementTree: the libraries on PyPI know no more of this format than its element names, and its only
specification is what its readers accept.
https://github.com/testmoapp/junitxml
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TextIO
from xml.etree import ElementTree

from image_verifier import __version__
from image_verifier.pages.page_facts import policy_for
from image_verifier.report import Finding, Report
from image_verifier.rules.names import Names
from image_verifier.rules.runtimes import RUNTIMES
from image_verifier.text import printable

from ...results.report_facts import timestamp
from ..text.finding_text import plain_finding

if TYPE_CHECKING:
    from ...results.check_runner import Outcome


def report(outcomes: Iterable[Outcome], stream: TextIO) -> Iterator[str]:
    """The report, in one piece.

    :param outcomes: the outcomes of the checks.
    :param stream: the stream that the report is written to.
    """
    # The format has times without a zone.
    time = timestamp().removesuffix("Z")
    suites = ElementTree.Element("testsuites", name="safe-image", timestamp=time)
    for outcome in outcomes:
        suites.append(_suite(outcome, time))
    for name in ("tests", "failures", "errors"):
        suites.set(name, str(sum(int(suite.get(name, "0")) for suite in suites)))
    ElementTree.indent(suites)
    yield '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _suite(outcome: Outcome, time: str) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=printable(outcome.reference), timestamp=time)
    runs_on = outcome.policy.runs_on
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in _facts(outcome):
        ElementTree.SubElement(properties, "property", name=name, value=printable(value))
    for name in runs_on:
        case = ElementTree.SubElement(
            suite, "testcase", classname=printable(outcome.reference), name=f"can be run on {RUNTIMES[name].title}"
        )
        if outcome.report:
            _add_findings(case, outcome.report, outcome.names, name)
        elif outcome.fault:
            error = ElementTree.SubElement(case, "error", message=printable(outcome.fault.message))
            error.text = printable(outcome.fault.advice)
        else:
            ElementTree.SubElement(case, "skipped", message=printable(outcome.skipped))
    suite.set("tests", str(len(runs_on)))
    for name, tag in (("failures", "failure"), ("errors", "error")):
        suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
    return suite


def _facts(outcome: Outcome) -> Iterator[tuple[str, str]]:
    yield "version", f"safe-image {__version__}"
    if outcome.names.registry_id:
        yield "account", f"{outcome.names.registry_id} in {outcome.names.region}"
    yield "policy", policy_for(outcome.policy)
    yield from (("place", str(place)) for place in outcome.places)


def _add_findings(case: ElementTree.Element, report: Report, names: Names, runtime: str) -> None:
    errors = [finding for finding in report.errors if runtime in finding.runs_on]
    others = [f for f in report.findings if runtime in f.runs_on and f not in errors]
    if errors:
        message = f"{printable(errors[0].message)} [{errors[0].id}]"
        ElementTree.SubElement(case, "failure", message=message, type=errors[0].id).text = _text(errors, names)
    if others:
        ElementTree.SubElement(case, "system-out").text = _text(others, names)


def _text(findings: Sequence[Finding], names: Names) -> str:
    return "\n\n".join("\n".join(plain_finding(finding, names)) for finding in findings)
