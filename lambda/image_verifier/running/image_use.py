"""ImageUse: an image, and who runs it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class ConsumerKind(str, Enum):
    """The kinds of consumers."""

    SERVICE = "service"
    """A service of ECS."""
    TASK = "task"
    """A task of ECS that belongs to no service."""
    FUNCTION = "function"
    """A version of a Lambda function."""


@dataclass(frozen=True)
class Consumer:
    """A service, task or function that runs images, as its API names it.

    :param kind: the kind.
    :param name: the name of a service, the ARN of a task, the qualified ARN of a version of a function.
    :param cluster: the ARN of the cluster; empty for a function.
    """

    kind: ConsumerKind
    name: str
    cluster: str = ""


@dataclass(frozen=True)
class ImageUse:
    """A use of an image: it runs, or it runs next, or its user rolls back to it.

    :param reference: the image's reference, as its user has it.
    :param digest: the digest to which ECS or Lambda have resolved it; empty where they have not.
    :param user: the user's display name: `ECS service prod/web`.
    :param consumer: the user.
    :param runtime: the runtime, as in `runs_on`.
    :param platform: the platform; empty where it is not known.
    """

    reference: str
    digest: str
    user: str
    consumer: Consumer
    runtime: str
    platform: str = ""

    @property
    def pinned(self) -> str:
        """The reference by digest, where the digest is known: what runs, also where the tag has moved."""
        return f"{without_tag(self.reference)}@{self.digest}" if self.digest else self.reference

    @property
    def is_for_windows(self) -> bool:
        """Whether it runs on Windows, which no known runtime has."""
        return self.platform.startswith("windows/")


def without_tag(reference: str) -> str:
    """The registry and the repository of a reference.

    :param reference: the reference, as its user has it.
    """
    known = reference.partition("@")[0]
    name, colon, tag = known.rpartition(":")
    # Digits behind the last colon are a port where a slash follows them.
    return name if colon and "/" not in tag else known
