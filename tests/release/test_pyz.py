"""`safe-image.pyz`: the command as one file, in an environment with only a Python."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from local_aws import LocalAws
from release.pyz import build
from tests.deploy.images import Images
from tests.release.conftest import THIS_MACHINE
from tests.unit.images import GZIP, Layout

Run = Callable[..., subprocess.CompletedProcess[str]]
# The base Python, outside of the tests' environment and its packages.
_PYTHON = os.path.realpath(sys.executable)


@pytest.fixture
def run(pyz: Path, tmp_path: Path) -> Run:
    """Run the file in a folder and an environment without anything of this checkout or the user."""
    empty = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PEX_ROOT": str(pyz.parent / "root")}
    return lambda *arguments, **more: subprocess.run(
        [_PYTHON, "-I", str(pyz), *arguments],
        env={**empty, **more},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_file_has_no_cdk_in_it(pyz: Path) -> None:
    names = zipfile.ZipFile(pyz).namelist()
    assert not [name for name in names if "aws_cdk" in name or "cdk_safe_image" in name or "jsii" in name]


def test_a_build_of_the_same_sources_is_reproducible(pyz: Path, tmp_path: Path) -> None:
    again = tmp_path / "other folder" / "again.pyz"
    again.parent.mkdir()
    build(again, *THIS_MACHINE)
    assert again.read_bytes() == pyz.read_bytes()


def test_the_file_checks_layers_with_its_own_decoders(run: Run, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "image")
    layout.path.mkdir()
    layout.source(layout.image(layer_types=(GZIP,)))
    done = run("check", "--layers", f"oci-layout:{layout.path}")
    assert done.returncode == 1, done.stderr
    assert "entrypoint-format-invalid" in done.stdout, "the image's command is a text, which only its layers show"


def test_the_file_renders_its_pages(run: Run, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "image")
    layout.path.mkdir()
    layout.source(layout.image(layer_types=(GZIP,)))
    for command in (("check",), ("diff", f"oci-layout:{layout.path}")):
        done = run(*command, f"oci-layout:{layout.path}", "--format", "html")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("<!doctype html>")
        assert done.stdout.endswith("</html>\n")


def test_the_file_checks_and_compares_images_in_ecr(run: Run) -> None:
    with LocalAws.start() as aws:
        images = Images(aws, "shop")
        aws.client("ecr").create_repository(repositoryName="shop")
        images.good("good")
        images.broken("broken")
        credentials = {name: value for name, value in aws.env().items() if name.startswith("AWS_")}
        both = (f"{images.uri}:good", f"{images.uri}:broken")
        checked, compared = run("check", *both, **credentials), run("diff", *both, **credentials)
    assert checked.returncode == 1, checked.stderr
    assert "1 passed, 1 refused" in checked.stdout
    assert compared.returncode == 1, compared.stderr
    assert "The second image is refused where the first is not: ECS on Fargate" in compared.stdout


def test_the_file_prints_the_completion_of_every_supported_shell(run: Run) -> None:
    for shell in ("bash", "zsh", "fish"):
        done = run("completion", shell)
        assert done.returncode == 0, done.stderr
        assert "--max-growth" in done.stdout
