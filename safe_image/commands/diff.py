"""`safe-image diff`: two images side by side, and which difference breaks which runtime."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import replace
from typing import Final

from image_verifier.faults import Fault
from image_verifier.policy import Policy
from image_verifier.pool import Pool
from image_verifier.report import Report
from image_verifier.rules.runtimes import RUNTIMES
from image_verifier.verify import verify

from ..formats import DIFF_FORMATS, diff_report
from ..results.comparison import compare
from ..sources.targets import Target, TargetResolver
from .arguments import add_policy, policy
from .output import open_output

DESCRIPTION: Final = (
    "Compare two images: media types, platform, layers, config, and which difference breaks which runtime. "
    "GOOD is the image that runs, BAD the one that does not; exit code 1 says that something refuses only BAD."
)
EXAMPLES: Final = """\
  safe-image diff registry.example.com/shop:1.3 registry.example.com/shop:1.4
  safe-image diff registry.example.com/shop:1.3 oci-layout:./build --format html -o diff.html
"""


def add_arguments(parser: ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("good", metavar="GOOD", help="an image, named as for check")
    parser.add_argument("bad", metavar="BAD", help="the image that is compared with it")
    add_policy(parser, "all that take the platform")
    parser.add_argument("--format", choices=DIFF_FORMATS, default="text", help="default: text")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the report to this file")


def run(arguments: Namespace) -> int:
    """Run the command.

    :param arguments: as `safe-image diff` parses them.
    :returns: the exit code: 1 where something refuses the second image and not the first.
    """
    asked = policy(arguments)
    if not arguments.runs_on:
        # Every place that runs images of the platform: the question is which of them the difference breaks.
        everywhere = tuple(name for name, r in RUNTIMES.items() if str(asked.platform) in r.platforms)
        asked = replace(asked, runs_on=everywhere)
    report = diff_report(arguments.format)
    resolver = TargetResolver()
    first, second = (resolver.target(text, str(asked.platform)) for text in (arguments.good, arguments.bad))
    with open_output(arguments.output) as stream:
        with Pool(2) as pool:
            comparison = compare(*pool.results(lambda target: _judged(target, asked), (first, second)))
        stream.writelines(report(comparison, (first.names, second.names), stream))
    return 1 if comparison.broken else 0


def _judged(target: Target, asked: Policy) -> Report:
    try:
        return verify(target.open(), asked)
    except Fault as e:
        # Of the two it could be either.
        raise Fault(f"{target.reference}: {e.message}", e.advice) from e
