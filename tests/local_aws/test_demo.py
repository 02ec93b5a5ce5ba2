"""The demo removes only the images that it built, and edits of an app only what a refusal printed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from local_aws.demo import needs
from local_aws.demo.cures import remove_keyword
from local_aws.demo.session import built_images_removed
from local_engines.dockerd import DockerEngine


class Docker:
    """Stands for an engine, with nothing but the names of its images."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)

    def docker(self, *arguments: str) -> str:
        if arguments[:2] == ("image", "rm"):
            self.names -= set(arguments[3:])
        return "\n".join(sorted(self.names))


def test_the_demo_removes_the_images_that_it_built_and_keeps_those_of_other_apps() -> None:
    theirs = {"cdkasset-theirs:latest", "python:3.13-slim"}
    base = "base-of-the-demo:arm64"
    docker = Docker(*theirs)
    engine = cast(DockerEngine, docker)
    with built_images_removed(engine, "localhost:4566"):
        docker.names |= {"cdkasset-ours:latest", "localhost:4566/repository:tag", base}
    assert docker.names == {*theirs, base}


def test_the_demo_prints_what_it_needs_before_it_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / ".local"
    needs.main(folder)
    first = capsys.readouterr().out
    assert "Docker, or root on Debian" in first
    assert f"4.5 GB of space under {folder}, where " in first
    assert "up to 7 minutes" in first
    (folder / "base-images").mkdir(parents=True)
    needs.main(folder)
    assert "the downloads of an earlier run are there" in capsys.readouterr().out


def test_the_demo_does_not_start_its_first_run_without_the_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2_000_000_000))
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/docker")
    assert needs.main(tmp_path / ".local") == 2
    assert capsys.readouterr().err == (
        f"The demo cannot run on this machine: 2.0 GB are free at {tmp_path}, and the first run needs 4.5 GB: "
        "free some space, or use a checkout on another disk\n"
    )
    (tmp_path / ".local" / "base-images").mkdir(parents=True)
    assert needs.main(tmp_path / ".local") == 0


def test_the_demo_does_not_start_without_docker_or_root_on_debian(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert needs.main(tmp_path / ".local") == 2
    assert "it has no docker, and this is not root on Debian: install Docker" in capsys.readouterr().err


def test_the_needs_are_printed_by_a_python_without_the_projects_environment() -> None:
    done = subprocess.run([sys.executable, "-I", "-S", needs.__file__], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("The demo needs\n")


@pytest.mark.parametrize(
    ("call", "left"),
    [
        ('Image(self, "Web", outputs=[], file="a")', 'Image(self, "Web", file="a")'),
        ('Image(self, "Web", file="a", outputs=["type=docker"])', 'Image(self, "Web", file="a", )'),
        ('Image(\n    self,\n    "Web",\n    outputs=[],\n)', 'Image(\n    self,\n    "Web",\n    )'),
    ],
)
def test_a_keyword_is_removed_from_the_call_that_makes_the_construct(tmp_path: Path, call: str, left: str) -> None:
    app = tmp_path / "app.py"
    app.write_text(f'Image(self, "Other", outputs=[])\n{call}\n')
    assert remove_keyword(tmp_path, "Web", "outputs")
    assert app.read_text() == f'Image(self, "Other", outputs=[])\n{left}\n'
    assert not remove_keyword(tmp_path, "Web", "outputs"), "it is gone"
