"""`safe-image check`: check every image, write the reports, and sum up in the exit code."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, TextIO

from image_verifier.faults import Fault
from image_verifier.policy import Baseline, Policy
from image_verifier.text import nearest
from image_verifier.verify import load

from ..errors import UsageError
from ..formats import CHECK_FORMATS
from ..results.check_runner import Outcome, run_checks
from ..sources.targets import REFERENCES, Target, TargetResolver
from .arguments import add_growth_options, add_policy_options, default_policy, parse_growth, parse_policy
from .document_options import add_document_options, read_targets
from .exit_codes import EXIT_CODES
from .output import open_output
from .progress_bar import ProgressBar, progress_bar

if TYPE_CHECKING:
    from ..formats import CheckReport

DESCRIPTION: Final = (
    "Check whether images can be pulled and started. Each image passes, is refused with its findings and how to fix "
    "them, or is unknown."
)
EXAMPLES: Final = """\
  safe-image check 123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:1.4
  safe-image check registry.example.com/shop:1.4 --runs-on lambda --platform linux/arm64
  safe-image check oci-layout:./build/shop:latest --max-size 500MiB --format json -o report.json
  safe-image check cloudformation:template.yaml --set Tag=1.4
"""

_NAMES: Final = ", ".join(CHECK_FORMATS)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("references", nargs="+", metavar="REFERENCE", help=REFERENCES)
    add_policy_options(parser)
    add_growth_options(parser)
    add_document_options(parser)
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
    targets = read_targets(arguments, resolver, lambda text: str(parse_policy(arguments, names=[text]).platform))
    policies = [
        parse_policy(arguments, default_policy(t.names.platform), own=t.policy, names=t.called_names) for t in targets
    ]
    load_baseline = _baseline_loader(policy, arguments, resolver)
    outcomes: list[Outcome] = []
    try:
        with ExitStack() as files:
            opened = [(_writer(name, arguments), files.enter_context(open_output(f))) for name, f in reports]
            baseline = load_baseline()
            checks = [(t, replace(p, baseline=baseline)) for t, p in zip(targets, policies, strict=True)]
            # In a pipeline's log both streams end in one place, which gets the line of an unknown result once.
            apart = sys.stderr.isatty() and not sys.stdout.isatty()
            _check(checks, opened, outcomes, arguments, shows_faults=apart or reports[0] != ("text", None))
    except OSError:
        # The checks may have taken minutes: a report that cannot be written must not take the result with it.
        if reports[0][1] is not None and len(outcomes) == len(targets):
            sys.stdout.writelines(_writer("text", arguments)(outcomes, sys.stdout))
        raise
    failing = (outcome for outcome in outcomes if outcome.report or not outcome.is_tolerated)
    return max((EXIT_CODES[outcome.verdict] for outcome in failing), default=0)


def _writer(name: str, arguments: Namespace) -> CheckReport:
    """The function that writes a report; with `--quiet`, the text has only what is wrong."""
    if name == "text" and arguments.quiet:
        # Imported here, since most runs are not quiet.
        from ..formats.check.check_text import report as text_report

        return partial(text_report, quiet=True)
    return CHECK_FORMATS.report(name)


def _check(
    checks: Sequence[tuple[Target, Policy]],
    reports: Sequence[tuple[CheckReport, TextIO]],
    outcomes: list[Outcome],
    arguments: Namespace,
    *,
    shows_faults: bool,
) -> None:
    """Check the images, write the first report as the outcomes come, and then the others.

    :param outcomes: gets every outcome, also where a report cannot be written.
    :param shows_faults: whether standard error gets a line for each unknown result, as the text has one.
    """
    (first, stream), *others = reports
    with _progress(checks, arguments) as bar:
        if len(checks) == 1 and checks[0][1].verify_layers:
            # Imported here: it counts the bytes of layers, which most runs do not read.
            from ..sources.counted_source import counted

            target, policy = checks[0]
            results = run_checks([(counted(target, bar.expect, bar.advance), policy)], arguments.debug)
        else:
            results = run_checks(checks, arguments.debug, lambda: bar.advance(1))

        def as_they_come() -> Iterator[Outcome]:
            for checked in results:
                outcome = replace(checked, is_tolerated=arguments.unknown == "warn")
                outcomes.append(outcome)
                if outcome.fault and shows_faults:
                    bar.write(_complaint(outcome.label, outcome.fault), sys.stderr)
                yield outcome

        coming = as_they_come()
        try:
            for part in first(coming, stream):
                bar.write(part, stream)
        except OSError:
            if stream is not sys.stdout:
                deque(coming, maxlen=0)
            raise
    for report, other in others:
        other.writelines(report(outcomes, other))


def _progress(checks: Sequence[tuple[Target, Policy]], arguments: Namespace) -> AbstractContextManager[ProgressBar]:
    """The bar: of images, or of the bytes of the layers of a single image."""
    shown = not (arguments.quiet or arguments.verbose)
    if len(checks) == 1:
        return progress_bar(None, "read", shown=shown and checks[0][1].verify_layers)
    return progress_bar(len(checks), "checked", shown=shown and bool(checks))


def _reports(arguments: Namespace) -> list[tuple[str, str | None]]:
    """The formats of the reports and the file of each; at most one report, the first, goes to standard output."""
    reports = []
    for text in arguments.format or ["text"]:
        name, equals, file = text.partition("=")
        if name in CHECK_FORMATS and equals and not file:
            raise UsageError(f"--format {text} has no file: use {name} or {name}=FILE")
        if name not in CHECK_FORMATS:
            raise UsageError(
                f"--format: invalid choice: {text!r}: use NAME or NAME=FILE, NAME {nearest(name, CHECK_FORMATS)}"
            )
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
