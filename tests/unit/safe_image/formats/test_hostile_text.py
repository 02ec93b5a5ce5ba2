"""Text of one image that cannot be encoded costs no report, and no text of an image is live in one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from image_verifier.image import media_types

from safe_image.cli import main
from safe_image.formats import CHECK_FORMATS, DIFF_FORMATS
from safe_image.formats.json_text import json_text
from tests.unit.images import GZIP, Layout

_HALF = "\ud800"
_LIVE = "@org/team https://evil.example/fix www.evil.example a@evil.example #1 GH-2 owner/repo#3"


def _layout(folder: Path, *layer_types: str, **config: Any) -> str:
    layout = Layout(folder)
    layout.path.mkdir()
    layout.source(layout.image(layer_types=layer_types or (GZIP,), config=config))
    return f"oci-layout:{folder}"


@pytest.fixture
def images(tmp_path: Path) -> list[str]:
    """An image with half a surrogate pair, and one whose path is not UTF-8."""
    return [
        _layout(tmp_path / "half", created=_HALF, config={"Cmd": [_HALF], "User": _HALF, "Env": [_HALF]}),
        _layout(tmp_path / os.fsdecode(b"caf\xe9")),
    ]


def _read(file: Path, format_: str) -> str:
    text = file.read_bytes().decode()
    if format_ in ("json", "sarif"):
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    if format_ == "junit":
        ElementTree.fromstring(text)
    return text


@pytest.mark.parametrize("format_", CHECK_FORMATS)
def test_text_that_cannot_be_encoded_costs_no_report_of_check(format_: str, images: list[str], tmp_path: Path) -> None:
    file = tmp_path / "report"
    assert main(["check", *images, "--runs-on", "ecs-ec2", "--format", format_, "-o", str(file)]) == 1
    assert _read(file, format_).count("half") >= 1


@pytest.mark.parametrize("format_", DIFF_FORMATS)
def test_text_that_cannot_be_encoded_costs_no_report_of_diff(format_: str, images: list[str], tmp_path: Path) -> None:
    file = tmp_path / "report"
    assert main(["diff", *images, "--format", format_, "-o", str(file)]) in (0, 1)
    assert "half" in _read(file, format_)


def test_a_terminal_that_lacks_a_character_still_gets_the_report(images: list[str]) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-m", "safe_image", "check", *images, "--format", "markdown"],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert b"refused" in done.stdout


def test_json_has_a_replacement_for_half_a_surrogate_pair_and_escapes_every_other_character() -> None:
    text = json_text({"a": f"x{_HALF}y", "b": "\U0001f600\u202e", "c": "\\ud800"})
    assert json.loads(text) == {"a": "x\ufffdy", "b": "\U0001f600\u202e", "c": "\\ud800"}
    assert text.isascii()


def test_no_word_of_an_image_is_a_mention_or_a_link_in_markdown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Once in a finding's own sentence, and once in the words of the runtime.
    by_platform = _layout(tmp_path / "platform", architecture=_LIVE)
    by_layer = _layout(tmp_path / "layer", f"{media_types.DOCKER_LAYER_GZIP} {_LIVE}")
    main(["check", by_platform, by_layer, "--format", "markdown"])
    text = capsys.readouterr().out
    assert re.search(r"built for .*evil\.example", text)
    assert re.search(r"would have said.*evil\.example", text)
    plain = re.sub(r"`+[^`\n]*`+", "", text)
    assert not re.search(r"@|://|www\.|[^#]#\d|GH-\d", plain)
