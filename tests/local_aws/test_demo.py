"""The demo leaves a machine's Docker as it was."""

from __future__ import annotations

from typing import cast

from local_aws.demo import forget_images
from local_engines.dockerd import DockerEngine


class Docker:
    """Stands for an engine, by the names of its images."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)

    def docker(self, *arguments: str) -> str:
        if arguments[:2] == ("image", "rm"):
            self.names -= set(arguments[3:])
        return "\n".join(sorted(self.names))


def test_what_the_demo_built_is_removed_and_images_of_other_apps_stay() -> None:
    theirs = {"cdkasset-theirs:latest", "python:3.13-slim"}
    base = "base-of-the-demo:arm64"
    docker = Docker(*theirs)
    engine = cast(DockerEngine, docker)
    with forget_images(engine, "localhost:4566"):
        docker.names |= {"cdkasset-ours:latest", "localhost:4566/repository:tag", base}
    assert docker.names == {*theirs, base}
