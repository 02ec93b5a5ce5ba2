"""The SARIF 2.1.0 report of `check`, for code scanning: a rule for each finding's id, and a result for each finding.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html and the part of it that GitHub reads:
https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning

It is written without a library: the ones on PyPI model the specification and have not changed since 2019.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, TextIO
from urllib.parse import quote

from image_verifier import __version__
from image_verifier.outcome_json import account_as_json, policy_as_json
from image_verifier.report import Finding, Severity
from image_verifier.rules.catalog import CATALOG
from image_verifier.rules.citations import citation
from image_verifier.rules.meanings import MEANINGS
from image_verifier.rules.remedies import remedy
from image_verifier.text import printable

from ...results.report_facts import timestamp
from ..json_text import json_text

if TYPE_CHECKING:
    from ...results.check_runner import Outcome

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def report(outcomes: Iterable[Outcome], stream: TextIO) -> Iterator[str]:
    """The report, in one piece.

    :param outcomes: the outcomes of the checks.
    :param stream: the stream that the report is written to.
    """
    time = timestamp()
    images: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    faults: list[dict[str, Any]] = []
    for outcome in outcomes:
        images.append(_image(outcome))
        if outcome.report:
            results += [_result(outcome, finding) for finding in outcome.report.findings]
        elif outcome.fault:
            text = f"{outcome.reference}: {outcome.fault.message}. {outcome.fault.advice}"
            level = "warning" if outcome.is_tolerated else "error"
            faults.append({"level": level, "message": {"text": printable(text)}, **_locations(outcome)})
    found = list(dict.fromkeys(result["ruleId"] for result in results))
    for result in results:
        result["ruleIndex"] = found.index(result["ruleId"])
    run = {
        "tool": {"driver": {"name": "safe-image", "version": __version__, "rules": list(map(_rule, found))}},
        "invocations": [
            {
                "executionSuccessful": all(fault["level"] != "error" for fault in faults),
                "toolExecutionNotifications": faults,
                "endTimeUtc": time,
            }
        ],
        "results": results,
        "properties": {"images": images},
    }
    yield json_text({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}) + "\n"


def _image(outcome: Outcome) -> dict[str, Any]:
    """An image that was checked, also one without a finding, which no result names."""
    top = outcome.report.image.top if outcome.report else None
    return {
        "reference": printable(outcome.reference),
        "digest": printable(top.digest) if top else None,
        "verdict": outcome.verdict,
        "account": account_as_json(outcome.names),
        "policy": policy_as_json(outcome.policy),
    }


def _rule(id_: str) -> dict[str, Any]:
    return {
        "id": id_,
        "name": "".join(word.capitalize() for word in id_.split("-")),
        "shortDescription": {"text": MEANINGS[id_]},
        "properties": {"tags": ["container-image", CATALOG[id_].value]},
    }


def _result(outcome: Outcome, finding: Finding) -> dict[str, Any]:
    runtime_error = f" {citation(finding)}: {finding.runtime_error}" if finding.runtime_error else ""
    steps = "".join(f"\n{step.removeprefix('$ ')}" for step in remedy(finding, outcome.names))
    text = printable(finding.message + runtime_error) + (f"\nTo fix it:{_lines(steps)}" if steps else "")
    fingerprint = hashlib.sha256(
        "\0".join((finding.id, _repository(outcome.reference), finding.message)).encode(errors="backslashreplace")
    ).hexdigest()
    result: dict[str, Any] = {
        "ruleId": finding.id,
        "level": _LEVELS[finding.severity],
        "message": {"text": text},
        # An image is not a file of the repository, but viewers require a location.
        **(_locations(outcome) or {"locations": [_location(outcome.reference, 1)]}),
        "partialFingerprints": {"safeImage/v1": fingerprint[:32]},
        "properties": {"runsOn": list(finding.runs_on)},
    }
    if finding.acknowledged:
        result["suppressions"] = [{"kind": "external", "justification": finding.acknowledged}]
    return result


def _locations(outcome: Outcome) -> dict[str, Any]:
    """The places that name the image. GitHub shows the first one of `locations`, and all that are related."""
    found = [_location(place.file, place.line, place.path) for place in outcome.places]
    related = [{**location, "id": number} for number, location in enumerate(found[1:], start=1)]
    return ({"locations": found[:1]} if found else {}) | ({"relatedLocations": related} if related else {})


def _location(uri: str, line: int, path: str = "") -> dict[str, Any]:
    place = {"artifactLocation": {"uri": quote(uri, errors="backslashreplace")}, "region": {"startLine": line}}
    message = {"message": {"text": printable(path)}} if path else {}
    return {"physicalLocation": place, **message}


def _lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def _repository(reference: str) -> str:
    """The reference without tag and digest, which change with every build."""
    return re.sub(r"(?<!^)[:@][^/]*$", "", reference)
