"""The demo removes only the images that it built."""

from __future__ import annotations

from typing import cast

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
