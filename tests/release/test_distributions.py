"""`safe-image` and `cdk-safe-image`: what their wheels hold, and what `pip install` gives in an empty environment."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from image_verifier import __version__

from safe_image.commands import COMMANDS
from tests.distributions import COMMAND, CONSTRUCTS, build, empty_environment, installed
from tests.unit.images import GZIP, Layout

_BIN: Final = Path(sys.executable).parent
_FOLDERS: Final = {COMMAND: {"safe_image", "image_verifier"}, CONSTRUCTS: {"cdk_safe_image"}}
_MEBIBYTE: Final = 1024**2


def _contents(wheel: Path) -> Mapping[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_constructs_require_the_command_in_their_own_version() -> None:
    project = (CONSTRUCTS / "pyproject.toml").read_text()
    assert re.findall(r'^version = "(.*)"$', project, re.MULTILINE) == [__version__]
    assert re.findall(r'"safe-image(.*?)"', project) == [f"=={__version__}"]


def test_both_distributions_carry_the_same_licence() -> None:
    assert (CONSTRUCTS / "LICENSE").read_bytes() == (COMMAND / "LICENSE").read_bytes()


@pytest.mark.parametrize("project", [COMMAND, CONSTRUCTS], ids=["safe-image", "cdk-safe-image"])
def test_a_wheel_from_the_sdist_is_the_wheel_from_the_checkout(project: Path, tmp_path: Path) -> None:
    sdist = build(project, tmp_path / "dist", "--sdist")
    wheel = build(project, tmp_path / "dist", "--wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    contents = _contents(wheel)
    assert _contents(build(unpacked, tmp_path / "again", "--wheel")) == contents
    assert {name.partition("/")[0] for name in contents if ".dist-info/" not in name} == _FOLDERS[project]
    sources = {
        f"{folder.name}/{path.relative_to(folder)}"
        for folder in (COMMAND / "safe_image", COMMAND / "lambda" / "image_verifier", CONSTRUCTS)
        if folder.name in _FOLDERS[project]
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in {".py", ".j2", ".css", ".js", ".json", ".typed"}
    }
    assert sources <= contents.keys()
    for command in (["twine", "check", "--strict", str(sdist), str(wheel)], ["check-wheel-contents", str(wheel)]):
        done = subprocess.run([_BIN / command[0], *command[1:]], cwd=COMMAND, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_command_alone_is_complete_and_below_70_mebibytes(tmp_path: Path) -> None:
    python = installed(COMMAND)
    command = python.with_name("safe-image")
    layout = Layout(tmp_path / "image")
    layout.path.mkdir()
    layout.source(layout.image(layer_types=(GZIP,)))
    calls = [
        *([name, "--help"] for name in COMMANDS),
        *(["check", f"oci-layout:{layout.path}", "--format", name] for name in ("html", "json", "sarif", "junit")),
        ["completion", "fish"],
        ["runtimes"],
    ]
    for call in calls:
        done = subprocess.run([command, *call], cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), call
        assert done.stdout, call
    empty = tmp_path / "empty"
    empty_environment(empty)
    subprocess.run([python, "-m", "compileall", "-q", python.parent.parent / "lib"], check=True)
    size = _bytes_on_disk(python.parent.parent / "lib") - _bytes_on_disk(empty / "lib")
    assert size < 70 * _MEBIBYTE
    names = {path.name for path in (python.parent.parent / "lib").glob("python3*/site-packages/*")}
    assert not names & {"aws_cdk", "constructs", "jsii", "cdk_safe_image"}


def _bytes_on_disk(folder: Path) -> int:
    """The size as `du` reports it."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def test_the_constructs_bring_the_whole_command() -> None:
    python = installed(COMMAND, CONSTRUCTS)
    done = subprocess.run([python.with_name("safe-image"), "--version"], capture_output=True, text=True)
    assert done.stdout == f"safe-image {__version__}\n", done.stderr


@pytest.mark.parametrize("project", [COMMAND, CONSTRUCTS], ids=["safe-image", "cdk-safe-image"])
def test_every_link_and_picture_of_the_page_on_pypi_is_absolute(project: Path, tmp_path: Path) -> None:
    contents = _contents(build(project, tmp_path, "--wheel"))
    (page,) = [text.decode() for name, text in contents.items() if name.endswith(".dist-info/METADATA")]
    addresses = re.findall(r"\]\(([^)]+)\)", page)
    assert addresses
    assert [address for address in addresses if not address.startswith("https://")] == []
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page)
    assert all(picture.startswith("https://raw.githubusercontent.com/") for picture in pictures)
    for address in addresses:
        if path := re.match(r"https://\S+/cdk-safe-image/cdk-safe-image/(?:blob/)?main/([^#]+)", address):
            assert (COMMAND / path[1]).is_file(), address
