"""A finding, a remedy and a fault in lines of text, as every text report shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from image_verifier.faults import Fault
from image_verifier.report import Finding, Severity
from image_verifier.rules.citations import citation
from image_verifier.rules.names import Names
from image_verifier.text import printable

from .text_page import TextPage


def fault_line(reference: str, fault: Fault) -> str:
    """The reference and its fault, in one line."""
    return printable(f"{reference}: {fault.text}")


def finding_label(finding: Finding) -> str:
    """The finding's severity, or `acknowledged`."""
    return "acknowledged" if finding.acknowledged else finding.severity.value


def plain_finding(finding: Finding, names: Names) -> list[str]:
    """A finding in lines without colours, for formats that carry text.

    :param finding: the finding.
    :param names: the image's names, which fill in the remedy's commands.
    """
    page = TextPage(colour=False, width=None)
    return [line.strip() for line in finding_lines(finding, names, page)]


def finding_lines(finding: Finding, names: Names, page: TextPage, *, commands: bool = True) -> Iterator[str]:
    """A finding with the expected and the found value, the runtime's error text, and the remedy.

    :param finding: the finding.
    :param names: the image's names, which fill in the remedy's commands.
    :param page: the page that it is written on.
    :param commands: whether the remedy has its commands, and not only its advice.
    """
    label = finding_label(finding)
    where = page.paint("dim", f"({', '.join(finding.runs_on)})")
    yield f"  {page.paint(label, f'{label} {finding.id}')} {where}"
    yield from page.wrap(finding.message, "    ")
    if finding.acknowledged:
        yield from page.wrap(f"acknowledged: {finding.acknowledged}", "    ")
        return
    if finding.expected:
        yield from page.wrap(f"expected: {finding.expected}", "    ")
    if finding.found:
        yield from page.wrap(f"found: {finding.found}", "    ")
    if finding.runtime_error:
        yield f"    {citation(finding)}:"
        yield from page.wrap(finding.runtime_error, "      ")
    if finding.severity is not Severity.INFO:
        # Imported here: most images have nothing to fix, and the command must start fast.
        from image_verifier.rules.remedies import remedy

        steps = remedy(finding, names)
        yield from remedy_lines(steps if commands else steps[:1], page, "    ")


def remedy_lines(steps: Sequence[str], page: TextPage, indent: str) -> Iterator[str]:
    """A remedy's steps, each command on a line of its own.

    :param steps: the steps; one that begins with `$ ` is a command.
    :param page: the page that they are written on.
    :param indent: the heading's indent.
    """
    yield f"{indent}to fix it:"
    for step in steps:
        if step.startswith("$ "):
            # Whole and without a prompt, so that it can be copied.
            yield f"{indent}  " + page.paint("command", printable(step[2:]))
        else:
            yield from page.wrap(f"- {step}", f"{indent}  ")
