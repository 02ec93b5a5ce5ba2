"""`safe-image check`: check every image, write the reports, and sum up in the exit code."""

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
from image_verifier.verify import load

from ..errors import UsageError
from ..formats import CHECK_FORMATS, check_report
from ..results.check_runner import Outcome, run_checks
from ..sources.targets import REFERENCES, TargetResolver
from .arguments import add_growth_options, add_policy_options, default_policy, parse_growth, parse_policy
from .exit_codes import EXIT_CODES
from .output import open_output
from .progress_bar import progress_bar

DESCRIPTION: Final = (
    "Check whether images can be pulled and started. Each image passes, is refused with its findings and how to fix "
    "them, or is unknown."
)
EXAMPLES: Final = """\
  safe-image check 123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:1.4
  safe-image check registry.example.com/shop:1.4 --runs-on lambda --platform linux/arm64
  safe-image check oci-layout:./build/shop:latest --max-size 500MiB --format json -o report.json
"""

_NAMES: Final = ", ".join(CHECK_FORMATS)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("references", nargs="+", metavar="REFERENCE", help=REFERENCES)
    add_policy_options(parser)
    add_growth_options(parser)
    parser.add_argument(
        "--format",
        action="append",
        metavar="NAME[=FILE]",
        help=f"{_NAMES}; repeat for more reports, each with a file; default: text",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write the report to this file, not to standard output")


def run(arguments: Namespace) -> int:
    """Run the command.

    :param arguments: as `safe-image check` parses them.
    :returns: the exit code: the highest of the images'.
    :raises UsageError: if an argument is wrong; nothing is requested before that is known.
    """
    policy = parse_policy(arguments)
    reports = _reports(arguments)
    resolver = TargetResolver()
    targets = [t for text in arguments.references for t in resolver.targets(text, str(policy.platform))]
    policies = [parse_policy(arguments, t.policy or default_policy(t.names.platform)) for t in targets]
    load_baseline = _baseline_loader(policy, arguments, resolver)
    with ExitStack() as files:
        (first, stream), *others = [(check_report(name), files.enter_context(open_output(f))) for name, f in reports]
        baseline = load_baseline()
        checks = [(t, replace(p, baseline=baseline)) for t, p in zip(targets, policies, strict=True)]
        outcomes: list[Outcome] = []
        with progress_bar(len(checks), "checked") as bar:

            def as_they_come() -> Iterator[Outcome]:
                for outcome in run_checks(checks, arguments.debug, bar.advance):
                    outcomes.append(outcome)
                    if outcome.fault:
                        bar.write(_complaint(outcome.reference, outcome.fault), sys.stderr)
                    yield outcome

            for part in first(as_they_come(), stream):
                bar.write(part, stream)
        for report, other in others:
            other.writelines(report(outcomes, other))
    return max((EXIT_CODES[outcome.verdict] for outcome in outcomes), default=0)


def _reports(arguments: Namespace) -> list[tuple[str, str | None]]:
    """The formats of the reports and the file of each; at most one report, the first, goes to standard output."""
    reports = []
    for text in arguments.format or ["text"]:
        name, equals, file = text.partition("=")
        if name not in CHECK_FORMATS or (equals and not file):
            raise UsageError(f"--format: invalid choice: {text!r}: use NAME or NAME=FILE, NAME one of {_NAMES}")
        reports.append((name, file or None))
    # The report that is shown while images are checked is the first.
    reports.sort(key=lambda report: report[1] is not None)
    bare = [name for name, file in reports if file is None]
    if len(bare) > 1:
        raise UsageError(
            f"--format {' and --format '.join(bare)}: only one can go to standard output: use {bare[1]}=FILE"
        )
    if arguments.output is not None:
        if not bare:
            raise UsageError(f"--output {arguments.output}: every --format has a file already: leave out --output")
        reports[0] = (bare[0], arguments.output)
    formats: dict[str, str] = {}
    for name, file in reports:
        path = os.path.realpath(file) if file is not None else ""
        if path in formats:
            raise UsageError(f"--format {formats[path]} and --format {name} have the same file {file}: use two files")
        formats[path] = name
    return reports


def _baseline_loader(policy: Policy, arguments: Namespace, resolver: TargetResolver) -> Callable[[], Baseline | None]:
    """The function that reads the size of the image that `--against` names; the arguments are checked at once."""
    if not arguments.against:
        if arguments.max_growth:
            raise UsageError(
                f"--max-growth {arguments.max_growth} needs --against REFERENCE, the image to compare with"
            )
        return lambda: None
    limit, target = parse_growth(arguments.max_growth), resolver.target(arguments.against, str(policy.platform))

    def baseline() -> Baseline:
        image = load(target.open(), policy)
        if image.manifest is None:
            raise Fault(
                f"{arguments.against} has no image for {policy.platform} to compare the size with",
                "Pass --against with an image that exists.",
            )
        return Baseline(arguments.against, image.size, limit(image.size))

    return baseline


def _complaint(reference: str, fault: Fault) -> str:
    # Imported here, since most images have no fault.
    from ..formats.text.finding_text import fault_line

    return f"safe-image: {fault_line(reference, fault)}\n"
