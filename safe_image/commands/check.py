"""`safe-image check`: judge every reference, report, and sum up in the exit code."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from image_verifier.faults import Fault
from image_verifier.policy import Baseline, Policy
from image_verifier.report import Verdict
from image_verifier.verify import load

from ..errors import UsageError
from ..formats import CHECK_FORMATS, check_report
from ..results.check_runner import Outcome, run_checks
from ..sources.targets import REFERENCES, TargetResolver
from .arguments import add_growth, add_policy, default_on, growth, policy
from .output import open_output
from .progress_bar import progress

DESCRIPTION: Final = "Check images: each passes, is refused with what is wrong and how it is mended, or is unknown."
EXAMPLES: Final = """\
  safe-image check 123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:1.4
  safe-image check registry.example.com/shop:1.4 --runs-on lambda --platform linux/arm64
  safe-image check oci-layout:./build/shop:latest --max-size 500MiB --format json -o report.json
"""

_EXIT: Final[dict[Verdict, int]] = {"pass": 0, "fail": 1, "unknown": 2}


def add_arguments(parser: ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("references", nargs="+", metavar="REFERENCE", help=REFERENCES)
    add_policy(parser)
    add_growth(parser)
    parser.add_argument(
        "--format",
        action="append",
        metavar="NAME[=FILE]",
        help=f"{', '.join(CHECK_FORMATS)}; repeat it for more, each with its file; default: text",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write the report to this file")


def run(arguments: Namespace) -> int:
    """Run the command.

    :param arguments: as `safe-image check` parses them.
    :returns: the exit code: the highest of the images'.
    :raises UsageError: before anything is asked, if one argument is wrong.
    """
    asked = policy(arguments)
    reports = _reports(arguments)
    resolver = TargetResolver()
    named = [t for text in arguments.references for t in resolver.targets(text, str(asked.platform))]
    policies = [policy(arguments, target.policy or default_on(target.names.platform)) for target in named]
    beside = _beside(asked, arguments, resolver)
    with ExitStack() as files:
        (first, stream), *others = [(check_report(name), files.enter_context(open_output(f))) for name, f in reports]
        baseline = beside()
        targets = [(t, replace(p, baseline=baseline)) for t, p in zip(named, policies, strict=True)]
        known: list[Outcome] = []
        with progress(len(targets), "checked", stream) as bar:

            def tell() -> Iterator[Outcome]:
                for outcome in run_checks(targets, arguments.debug, bar.advance):
                    known.append(outcome)
                    if outcome.fault:
                        bar.say(_complaint(outcome.reference, outcome.fault), sys.stderr)
                    yield outcome

            for part in first(tell(), stream):
                bar.say(part, stream)
        for report, other in others:
            other.writelines(report(known, other))
    return max((_EXIT[outcome.verdict] for outcome in known), default=0)


def _reports(arguments: Namespace) -> list[tuple[str, str | None]]:
    """The formats that are asked for, and the file of each; standard output for one at most."""
    found = []
    for text in arguments.format or ["text"]:
        name, equals, file = text.partition("=")
        if name not in CHECK_FORMATS or (equals and not file):
            raise UsageError(
                f"--format: invalid choice: {text!r}: write NAME or NAME=FILE, NAME of {', '.join(CHECK_FORMATS)}"
            )
        found.append((name, file or None))
    # The one that is shown as it comes is the first.
    found.sort(key=lambda report: report[1] is not None)
    bare = [name for name, file in found if file is None]
    if len(bare) > 1:
        raise UsageError(
            f"--format {' and --format '.join(bare)}: write a file for all but one, such as {bare[1]}=FILE"
        )
    if arguments.output is not None:
        if not bare:
            raise UsageError(f"--output {arguments.output}: every format has a file already")
        found[0] = (bare[0], arguments.output)
    taken: dict[str, str] = {}
    for name, file in found:
        path = os.path.realpath(file) if file is not None else ""
        if path in taken:
            raise UsageError(
                f"--format {taken[path]} and --format {name} both write to {file}: give each a file of its own"
            )
        taken[path] = name
    return found


def _beside(asked: Policy, arguments: Namespace, resolver: TargetResolver) -> Callable[[], Baseline | None]:
    """What measures the image beside whose size the others are held; nothing is asked of it yet."""
    if not arguments.against:
        if arguments.max_growth:
            raise UsageError(f"--max-growth {arguments.max_growth}: write --against and the image that it is held to")
        return lambda: None
    most, other = growth(arguments.max_growth), resolver.target(arguments.against, str(asked.platform))

    def measured() -> Baseline:
        image = load(other.open(), asked)
        if image.manifest is None:
            raise Fault(
                f"{arguments.against} has no image for {asked.platform} to compare the size with",
                "Write --against and an image that is there.",
            )
        return Baseline(arguments.against, image.size, most(image.size))

    return measured


def _complaint(reference: str, fault: Fault) -> str:
    from ..formats.text.finding_text import fault_line

    return f"safe-image: {fault_line(reference, fault)}\n"
