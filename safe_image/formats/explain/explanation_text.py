"""An explanation as people read it: what the error means, what mends it, and what it was recognised by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, TextIO

from image_verifier.rules.runtimes import RUNTIMES
from image_verifier.text import printable

from ..text.finding_text import fault_line, remedy_lines
from ..text.text_page import TextPage

if TYPE_CHECKING:
    from ...explanations.explanation import Cause, Explanation, Verification

# Beyond these, a cause is only named: a wording that has more says little.
_MOST_TOLD: Final = 3


def report(explanation: Explanation, verification: Verification | None, stream: TextIO) -> Iterator[str]:
    """The explanation, piece by piece.

    :param explanation: what the text means.
    :param verification: what looking at the image told; None where nobody asked.
    :param stream: what it is written to; a terminal gets colours.
    """
    page = TextPage.of(stream)
    yield "\n".join(_lines(explanation, verification, page)) + "\n"


def _lines(explanation: Explanation, verification: Verification | None, page: TextPage) -> Iterator[str]:
    if verification:
        yield from _verdict(explanation, verification, page)
        yield ""
    if not explanation.causes:
        yield from _unknown(page)
        return
    confirmed = verification.confirmed if verification else ()
    # What the image was found to have, leaves no doubt.
    causes = [cause for cause in explanation.causes if cause.id in confirmed] or explanation.causes
    for number, cause in enumerate(causes[:_MOST_TOLD]):
        yield from _cause(cause, number, page)
        yield ""
    if causes[_MOST_TOLD:]:
        yield from page.wrap("It can also mean " + ", ".join(cause.id for cause in causes[_MOST_TOLD:]) + ".", "")
        yield ""
    yield from _recognised(explanation, page)
    if verification is None and any(cause.in_image for cause in causes):
        yield from _how_to_check(explanation, page)


def _cause(cause: Cause, number: int, page: TextPage) -> Iterator[str]:
    head = "It means" if number == 0 else "It can mean"
    kind = "a finding of safe-image check" if cause.in_image else "not the image"
    if cause.only_layers_tell:
        kind += " --layers"
    yield f"{page.paint('head', f'{head}: {cause.id}')} {page.paint('dim', f'({kind})')}"
    yield from page.wrap(cause.meaning, "  ")
    yield from remedy_lines(cause.remedy, page, "  ")


def _recognised(explanation: Explanation, page: TextPage) -> Iterator[str]:
    match = explanation.matches[0]
    cut = "" if match.whole else " (what there is of it)"
    yield from page.wrap(f"recognised by{cut}: {match.wording.text}", "")
    yield from page.wrap(f"known from: {match.wording.source}", "")


def _how_to_check(explanation: Explanation, page: TextPage) -> Iterator[str]:
    deep = " --layers" if all(cause.only_layers_tell for cause in explanation.causes if cause.in_image) else ""
    runs_on = "" if explanation.runs_on == "fargate" else f" --runs-on {explanation.runs_on}"
    platform = "" if explanation.platform == "linux/amd64" else f" --platform {explanation.platform}"
    reference = explanation.image or "REFERENCE"
    yield "whether the image is to blame, tells:"
    yield "  " + page.paint("command", printable(f"safe-image check {reference}{runs_on}{platform}{deep}"))


def _verdict(explanation: Explanation, verification: Verification, page: TextPage) -> Iterator[str]:
    image, title = explanation.image, RUNTIMES[explanation.runs_on].title
    if verification.fault:
        yield f"{page.paint('unknown', 'UNKNOWN')}  {fault_line(image, verification.fault)}"
        return
    assert verification.report
    found = ", ".join(dict.fromkeys(finding.id for finding in verification.report.errors))
    if verification.culprit == "yes":
        told = f"it is the image: {image} has {', '.join(verification.confirmed)}, which gives this error on {title}."
    elif verification.culprit == "another":
        told = f"{image} is refused on {title}, for something that does not give this error: {found}."
    else:
        depth = "its layers included" if verification.with_layers else "as far as manifest and config tell"
        told = f"it is not the image, as it is now: {image} passes on {title}, {depth}."
    painted = {"yes": "fail", "another": "fail", "no": "pass"}[verification.culprit or "no"]
    word = {"yes": "YES", "another": "ANOTHER", "no": "NO"}[verification.culprit or "no"]
    first, *rest = page.wrap(told, "")
    yield f"{page.paint(painted, word)}  {first}"
    yield from rest
    for finding in verification.report.errors:
        yield from page.wrap(f"{finding.id}: {finding.message}", "  ")


def _unknown(page: TextPage) -> Iterator[str]:
    from ...explanations.patterns import wordings

    yield page.paint("unknown", "NOT RECOGNISED")
    yield from page.wrap(
        f"None of {len(wordings())} wordings is in the text that containerd, dockerd, runc, ECS, Lambda, App Runner, "
        "SageMaker, ECR and Kubernetes have for an image that cannot be pulled or started, or for what else keeps it "
        "from that: permissions, the network, quotas, keys, disks. docs/commands/explain.md lists them.",
        "  ",
    )
    yield from page.wrap(
        "Give more of the error, its end above all; on ECS, what aws ecs describe-tasks has as stoppedReason and "
        "containers[].reason. safe-image check REFERENCE tells whether the image is well.",
        "  ",
    )
