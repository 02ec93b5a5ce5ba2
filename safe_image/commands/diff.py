"""`safe-image diff`: two images side by side, and which difference breaks which runtime."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final

from image_verifier.findings import Report
from image_verifier.policy import Policy
from image_verifier.runtimes import RUNTIMES
from image_verifier.verify import verify

from ..arguments import add_policy, policy
from ..comparison import Comparison, LayerPair, compare
from ..formats.alike import alike
from ..layers import LayerRow
from ..output import destination
from ..sources import Sources, Target

DESCRIPTION: Final = (
    "Compare two images: media types, platform, layers, config, and which difference breaks which runtime. "
    "GOOD is the image that runs, BAD the one that does not; exit code 1 says that something refuses only BAD."
)
EXAMPLES: Final = """\
  safe-image diff shop:1.3 shop:1.4
  safe-image diff 123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:1.3 oci-layout:./build --format html -o diff.html
"""


def add_arguments(parser: ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("good", metavar="GOOD", help="an image, named as for check")
    parser.add_argument("bad", metavar="BAD", help="the image that is compared with it")
    add_policy(parser, "all that take the platform")
    parser.add_argument("--format", choices=("text", "json", "html"), default="text", help="default: text")
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
    sources = Sources()
    targets = [sources.target(text, str(asked.platform)) for text in (arguments.good, arguments.bad)]
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda target: _judged(target, asked), targets)
    comparison = compare(first, second)
    names = (arguments.good, arguments.bad)
    with destination(arguments.output) as stream:
        if arguments.format == "json":
            stream.write(json.dumps(_json(comparison, names), indent=2) + "\n")
        elif arguments.format == "html":
            from ..formats.html_diff import diff_page

            stream.writelines(diff_page(comparison, names))
        else:
            from ..formats.diff_text import text
            from ..formats.text import Page

            stream.write(text(comparison, names, Page.of(stream)))
    return 1 if comparison.broken else 0


def _judged(target: Target, asked: Policy) -> Report:
    return verify(target.open(), asked, target.names)


def _json(comparison: Comparison, names: tuple[str, str]) -> dict[str, Any]:
    images = [
        {**report.as_json(), "reference": name}
        for report, name in zip((comparison.first, comparison.second), names, strict=True)
    ]
    return {
        "schema_version": 1,
        "images": images,
        "runtimes": [{"name": name, "first": one, "second": other} for name, one, other in comparison.runtimes],
        **{
            kind: [{"id": f.id, "runs_on": list(f.runs_on)} for f in alike(getattr(comparison, kind))]
            for kind in ("broken", "mended", "doubted", "common")
        },
        "fields": [
            {
                "name": field.name,
                "first": field.first,
                "second": field.second,
                "differs": field.differs,
                "breaks": list(field.breaks),
            }
            for field in comparison.fields
        ],
        "layers": [_pair(pair) for pair in comparison.layers],
    }


def _pair(pair: LayerPair) -> dict[str, Any]:
    return {
        "change": pair.change,
        "first": _row(pair.first),
        "second": _row(pair.second),
        "breaks": list(pair.breaks),
    }


def _row(row: LayerRow | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "number": row.number,
        "digest": row.layer.digest,
        "diff_id": row.diff_id,
        "media_type": row.layer.media_type,
        "size_bytes": row.layer.size,
        "step": row.step,
        "findings": [finding.id for finding in row.findings],
    }
