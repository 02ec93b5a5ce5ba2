"""`safe-image diff`: compare two images, and find the difference that breaks a runtime."""

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

from ..formats import DIFF_FORMATS
from ..results.comparison import compare
from ..sources.targets import Target, TargetResolver
from .arguments import add_policy_options, configuration_of, parse_policy
from .output import open_output

DESCRIPTION: Final = (
    "Compare two images by media types, platform, layers and config, and find the difference that breaks a runtime. "
    "The exit code is 1 if something refuses only BAD."
)
EXAMPLES: Final = """\
  safe-image diff registry.example.com/shop:1.3 registry.example.com/shop:1.4
  safe-image diff registry.example.com/shop:1.3 oci-layout:./build --format html -o diff.html
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("good", metavar="GOOD", help="the image that runs, referenced as for check")
    parser.add_argument("bad", metavar="BAD", help="the image that does not")
    add_policy_options(parser, "every runtime that has the platform")
    parser.add_argument("--format", choices=DIFF_FORMATS, default="text", help="default: text")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the report to this file, not to standard output")


def run(arguments: Namespace) -> int:
    """Run the command.

    :param arguments: as `safe-image diff` parses them.
    :returns: the exit code: 1 if something refuses the second image and not the first.
    :raises UsageError: if an argument is wrong.
    :raises Fault: if an image could not be checked.
    """
    references = (arguments.good, arguments.bad)
    policy = parse_policy(arguments, names=references)
    if not arguments.runs_on and not configuration_of(arguments).settings_for(references).runs_on:
        # The question is which runtimes the difference breaks, so that every runtime of the platform is checked.
        every = tuple(name for name, runtime in RUNTIMES.items() if runtime.runs(str(policy.platform)))
        policy = replace(policy, runs_on=every)
    report = DIFF_FORMATS.report(arguments.format)
    resolver = TargetResolver()
    first, second = (resolver.target(text, str(policy.platform)) for text in references)
    with open_output(arguments.output) as stream:
        with Pool(2) as pool:
            comparison = compare(*pool.results(lambda target: _check(target, policy), (first, second)))
        stream.writelines(report(comparison, (first.names, second.names), policy, stream))
    return 1 if comparison.broken else 0


def _check(target: Target, policy: Policy) -> Report:
    try:
        return verify(target.open(), policy)
    except Fault as e:
        # The message must say which of the two it is about.
        raise Fault(f"{target.reference}: {e.message}", e.advice) from e
