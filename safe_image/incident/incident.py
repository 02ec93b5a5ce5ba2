"""An incident: what failed, in which words, with which images, and what could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["failed", "healthy"]


@dataclass(frozen=True)
class Failure:
    """One thing that failed: a container, a function or a resource.

    :param name: its name; empty where the text is about the whole.
    :param text: the error, as AWS shows it.
    :param image: the image's reference; empty where there is none.
    :param digest: the digest of the image that was used; empty where AWS does not report it.
    :param digest_source: where the digest is from, or what its absence means.
    """

    name: str
    text: str
    image: str = ""
    digest: str = ""
    digest_source: str = ""

    @property
    def reference(self) -> str:
        """The image as it was used: by digest where that is known."""
        repository, _, tag = self.image.rpartition(":")
        if not self.digest or "@" in self.image:
            return self.image
        return f"{repository if repository and '/' not in tag else self.image}@{self.digest}"


@dataclass(frozen=True)
class Incident:
    """AWS's report about one subject.

    :param subject: such as `service web in cluster shop`.
    :param state: whether anything failed.
    :param failures: what failed, the first first.
    :param runs_on: the runtime.
    :param platform: `os/architecture`.
    :param proof: what shows it: the deployment, the task, the events, one sentence each.
    :param notes: what could not be read, and what that leaves open.
    """

    subject: str
    state: State
    failures: tuple[Failure, ...] = ()
    runs_on: str = "fargate"
    platform: str = "linux/amd64"
    proof: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
