"""A refusal of our own verifier, as CloudFormation and the CDK CLI show it, leads to its finding and its commands."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from image_verifier.custom_resource.layout import page
from image_verifier.custom_resource.properties import Properties
from image_verifier.custom_resource.reason import refusal
from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.report import Report
from image_verifier.rules.names import Names
from image_verifier.rules.remedies import remedy
from image_verifier.verify import verify

from safe_image.explanations.normalize import runtime_in, unwrapped
from safe_image.explanations.refusal import refusal_in
from tests.explanations.forms import FORMS
from tests.terminals import cli_block, github_log, terminal_rows
from tests.unit.images import Layout

HOST: Final = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
POLICY: Final = Policy(("lambda",), Platform("linux", "amd64"))
SHOWN: Final[dict[str, Callable[[str], str]]] = {
    "as sent": lambda text: text,
    "event": lambda text: f"Shop | 3/5 | 02:03:11 | CREATE_FAILED | Custom::ImageVerification | {text}",
    "trimmed": lambda text: "\n".join(line.rstrip() for line in text.splitlines()),
    "quoted": lambda text: "\n".join(f"> {line}" for line in text.splitlines()),
    "job": lambda text: "\n".join(f"2026-11-28T02:03:11.1234567Z {line}" for line in text.splitlines()),
    "100 columns": lambda text: "\n".join(part for line in text.splitlines() for part in textwrap.wrap(line, 100)),
    "collapsed": lambda text: " ".join(text.split()),
    "last block": cli_block,
    "last block in 80 columns": lambda text: "\n".join(terminal_rows(cli_block(text), 80)),
    "log of a pipeline": lambda text: github_log(cli_block(text)),
    **FORMS,
}


PROPERTIES: Final = Properties(
    "arn:aws:ecr:eu-west-1:123456789012:repository/shop", f"{HOST}/shop", "1", "", "digest", POLICY
)
_PUSHED: Final = Names(f"{HOST}/shop:1", "eu-west-1", "123456789012", "shop", "1")
_BUILT: Final = replace(_PUSHED, local_image="cdkasset-1", stack="Shop", stack_region="eu-west-1")


def refused(folder: Path) -> Report:
    """An index, which Lambda refuses."""
    layout = Layout(folder)
    source = layout.source(layout.index({**layout.image(), "platform": {"os": "linux", "architecture": "amd64"}}))
    return verify(source, POLICY)


@pytest.fixture
def reason(tmp_path: Path) -> str:
    """The reason of an image that is refused for Lambda, with the commands that fix it."""
    return page(refusal(refused(tmp_path), PROPERTIES, _BUILT, "the log"))


@pytest.mark.parametrize("shown", SHOWN)
def test_a_refusal_leads_to_its_own_finding_and_runtime_however_it_is_shown(reason: str, shown: str) -> None:
    text = SHOWN[shown](reason)
    first = refusal_in(text)[0]
    assert first.id == "index-not-taken"
    assert first.stage == "pull"
    assert runtime_in(unwrapped(text)) == "lambda"


@pytest.mark.parametrize("names", [_BUILT, _PUSHED], ids=["built by CDK", "pushed by another pipeline"])
@pytest.mark.parametrize("shown", SHOWN)
def test_the_commands_of_a_refusal_are_repeated_as_printed(tmp_path: Path, shown: str, names: Names) -> None:
    report = refused(tmp_path)
    named = names.with_digest_of(report.image.top)
    printed = [step for finding in report.errors for step in remedy(finding, named) if step.startswith("$ ")]
    found = refusal_in(SHOWN[shown](page(refusal(report, PROPERTIES, named, "the log"))))[0].remedy
    assert [step for step in found if step.startswith("$ ")] == printed
    assert len(printed) >= 2


def test_a_text_that_only_quotes_a_findings_id_is_not_a_refusal() -> None:
    assert refusal_in("Image refused: nothing of ours [not-a-finding]") == ()
    assert refusal_in("the finding [not-an-image] is explained in the documentation") == ()


def test_a_command_of_several_lines_is_one_step() -> None:
    text = (
        "Image refused: The tag points at an index [index-not-taken]\nTo fix it:\n"
        "1. Delete the tag:\n     REPO=shop; TAG=1;\n       aws ecr batch-delete-image &&\n       echo done\n"
        "2. Deploy again.\n"
        "To prevent it: Build images for this runtime."
    )
    steps = refusal_in(text)[0].remedy
    commands = ["$ REPO=shop; TAG=1; aws ecr batch-delete-image && echo done"]
    assert steps == ("1. Delete the tag:", *commands, "2. Deploy again.")
