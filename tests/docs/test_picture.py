"""The README's picture of a refused deploy shows the words of today's verifier, and is drawn from a real log."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from image_verifier.custom_resource.properties import Properties
from image_verifier.custom_resource.reason import refusal
from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.rules.names import BuildOutputs
from image_verifier.verify import verify

from release import picture
from tests.unit.images import Layout

_HEX = re.compile(r"[0-9a-f]{64}")


def words(text: str) -> str:
    """The text without its line breaks, and with every digest the same."""
    return _HEX.sub("…", " ".join(text.split()))


def test_the_picture_is_drawn_from_the_text_beside_it() -> None:
    lines = picture.TEXT.read_text(encoding="utf-8").splitlines()
    assert picture.PICTURE.read_text(encoding="utf-8") == picture.picture(lines)


def test_the_picture_shows_the_words_of_todays_verifier(tmp_path: Path) -> None:
    shown = words(picture.TEXT.read_text(encoding="utf-8")).removesuffix(" ⋮")
    layout = Layout(tmp_path)
    policy = Policy(("fargate",), Platform.parse("linux/amd64"))
    report = verify(layout.source(layout.attestation()), policy)
    properties = Properties(
        "arn:aws:ecr:us-east-1:000000000000:repository/assets",
        "000000000000.dkr.ecr.us-east-1.amazonaws.com/assets",
        "0" * 64,
        "",
        "digest",
        policy,
        local_image="cdkasset-0",
        construct_path="Example/AutotagImage",
        build_outputs=BuildOutputs.DEFAULT,
    )
    names = replace(properties.names, stack="Example", stack_region="us-east-1").with_digest_of(report.image.top)
    headline, *lines = refusal(report, properties, names, log="log").shown
    assert words("\n".join([headline, *lines])).startswith(shown[shown.index("Image refused:") :])


@pytest.mark.parametrize("log", ["", "❌  Shop failed to deploy\n  Image refused: too large\n"])
def test_a_log_without_a_refused_deploy_is_not_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], log: str
) -> None:
    file = tmp_path / "deploy.log"
    if log:
        file.write_text(log)
    assert picture.main(file) == 2
    assert capsys.readouterr().err.startswith(f"{file} does not ")
