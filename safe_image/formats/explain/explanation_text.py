"""An explanation as people read it: the cause, how to confirm it, how to fix it now and for good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from image_verifier.rules.remedies import remedy
from image_verifier.rules.runtimes import RUNTIMES
from image_verifier.text import printable

from ..text.finding_text import fault_line, remedy_lines
from ..text.text_page import TextPage

if TYPE_CHECKING:
    from ...explanations.cause import Cause
    from ...explanations.explanation import Explanation, Verification


def report(explanation: Explanation, verification: Verification | None, stream: TextIO) -> Iterator[str]:
    """The explanation, piece by piece.

    :param explanation: what the text means.
    :param verification: the result of checking the image; None where nobody asked for it.
    :param stream: what it is written to; a terminal gets colours.
    """
    page = TextPage.of(stream)
    yield "\n".join(explanation_lines(explanation, verification, page)) + "\n"


def explanation_lines(
    explanation: Explanation, verification: Verification | None, page: TextPage, proof: Sequence[str] = ()
) -> Iterator[str]:
    """The explanation in lines: whether the image is to blame, the cause, the proof, the cure.

    :param explanation: what the text means.
    :param verification: the result of checking the image; None where nobody asked for it.
    :param page: the page that it is written on.
    :param proof: what shows that it happened, one sentence each.
    """
    if verification:
        yield from _verdict(explanation, verification, page)
        yield ""
    if not explanation.causes:
        yield from _unknown(page)
        yield from _steps("Proof:", tuple(proof), page)
    for number, cause in enumerate(explanation.causes):
        yield from _cause(cause, number, page)
        if number == 0:
            yield from _steps("Proof:", tuple(proof), page)
        if number == 0 and verification and verification.confirmed:
            yield from _cure_of_the_image(verification, page)
        else:
            yield from _steps("To confirm:", cause.confirm, page)
            yield from _steps("To fix it now:", cause.remedy, page)
        yield from _steps("To fix it for good:", cause.prevention, page)
        if number == 0 and cause.sources:
            yield "  Sources:"
            yield from (f"    {printable(source)}" for source in cause.sources)
        yield ""
    if explanation.matches and explanation.causes:
        match = explanation.matches[0]
        cut = "" if match.whole else " (cut off)"
        yield from page.wrap(f"Recognised by{cut}: {match.words.text}", "")


def _cause(cause: Cause, number: int, page: TextPage) -> Iterator[str]:
    head = "" if number == 0 else "It can also be this: "
    yield from (page.paint("head", line) for line in page.wrap(head + cause.title, ""))
    facts = page.wrap(f"{cause.id} · stage: {cause.stage} · to blame: {', '.join(cause.blame)}", "  ")
    yield from (page.paint("dim", line) for line in facts)
    yield from page.wrap(cause.meaning, "  ")


def _cure_of_the_image(verification: Verification, page: TextPage) -> Iterator[str]:
    """The steps for the image's own findings: it was checked, so they may delete."""
    assert verification.report
    found = [finding for finding in verification.report.errors if finding.id in verification.confirmed]
    steps = dict.fromkeys(step for finding in found for step in remedy(finding, verification.names))
    yield from _steps("To fix it now:", tuple(steps), page)


def _steps(head: str, steps: tuple[str, ...], page: TextPage) -> Iterator[str]:
    if steps:
        yield f"  {head}"
        for step in steps:
            if step.startswith("$ "):
                # Not broken, so that it can be copied.
                yield "      " + page.paint("command", printable(step[2:]))
            else:
                yield from page.wrap(step, "    ")


def _verdict(explanation: Explanation, verification: Verification, page: TextPage) -> Iterator[str]:
    image, title = explanation.image, RUNTIMES[explanation.runs_on].title
    if verification.fault:
        yield f"{page.paint('unknown', 'UNKNOWN')}  {fault_line(image, verification.fault)}"
        return
    assert verification.report
    found = ", ".join(dict.fromkeys(finding.id for finding in verification.report.errors))
    if verification.culprit == "yes":
        text = f"it is the image: {image} has {', '.join(verification.confirmed)}, which gives this error on {title}."
    elif verification.culprit == "another":
        text = f"{image} is refused on {title}, for something that does not give this error: {found}."
    else:
        depth = "its layers included" if verification.with_layers else "as far as manifest and config show"
        text = f"it is not the image, as it is now: {image} passes on {title}, {depth}."
    painted = {"yes": "fail", "another": "fail", "no": "pass"}[verification.culprit or "no"]
    word = {"yes": "YES", "another": "ANOTHER", "no": "NO"}[verification.culprit or "no"]
    first, *rest = page.wrap(text, "")
    yield f"{page.paint(painted, word)}  {first}"
    yield from rest
    for finding in verification.report.errors:
        yield from page.wrap(f"{finding.id}: {finding.message}", "  ")
        if verification.culprit == "another":
            yield from remedy_lines(remedy(finding, verification.names), page, "  ")


def _unknown(page: TextPage) -> Iterator[str]:
    yield page.paint("unknown", "NOT RECOGNISED")
    yield from page.wrap(
        "This matches no known cause that keeps an image from being built, pushed, pulled or started. If a program "
        "printed it in its log, the image was pulled and started, and the program is to blame.",
        "  ",
    )
    yield from page.wrap(
        "Give more of the error, above all its end. On ECS, explain the service itself: safe-image explain --service "
        "CLUSTER/SERVICE. To check an image: safe-image check REFERENCE.",
        "  ",
    )
