"""`safe-image check`: judge every reference, report, and sum up in the exit code."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Final

from image_verifier.findings import Fault, Verdict

from ..arguments import add_policy, policy
from ..formats import FORMATS, report_in
from ..outcomes import Outcome, outcomes
from ..output import destination
from ..sources import REFERENCES, Sources

DESCRIPTION: Final = "Check images: each passes, is refused with what is wrong and how it is mended, or is unknown."
EXAMPLES: Final = """\
  safe-image check 123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:1.4
  safe-image check registry.example.com/shop:1.4 --runs-on fargate --runs-on lambda --platform linux/arm64
  safe-image check oci-layout:./build/shop:latest --max-size 500MiB --format json -o report.json
"""

_EXIT: Final[dict[Verdict, int]] = {"pass": 0, "fail": 1, "unknown": 2}


def add_arguments(parser: ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("references", nargs="+", metavar="REFERENCE", help=REFERENCES)
    add_policy(parser)
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: text")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the report to this file")


def run(arguments: Namespace) -> int:
    """Run the command.

    :param arguments: as `safe-image check` parses them.
    :returns: the exit code: the highest of the images'.
    :raises UsageError: before anything is asked, if one argument is wrong.
    """
    asked = policy(arguments)
    sources = Sources()
    targets = [t for text in arguments.references for t in sources.targets(text, str(asked.platform))]
    worst = 0
    with destination(arguments.output) as stream:

        def tell(known: Iterator[Outcome]) -> Iterator[Outcome]:
            nonlocal worst
            for outcome in known:
                worst = max(worst, _EXIT[outcome.verdict])
                if outcome.fault:
                    _complain(outcome.reference, outcome.fault)
                yield outcome

        for part in report_in(arguments.format)(tell(outcomes(targets, asked, arguments.debug)), stream):
            stream.write(part)
    return worst


def _complain(reference: str, fault: Fault) -> None:
    from ..formats.text import one_line

    print(f"safe-image: {one_line(reference, fault)}", file=sys.stderr, flush=True)
