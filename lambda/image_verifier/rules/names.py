"""The names of an image, and how it was built: what the commands of remedies are filled in with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from ..image.model import Document


class BuildOutputs(str, Enum):
    """The author of the outputs of the image's build, as the code of the app says."""

    DEFAULT = "default"
    """The construct, which leaves out attestations and uses media types that the runtimes know."""
    CUSTOM = "custom"
    """The user, with `outputs=` of the construct."""
    CUSTOM_UNHASHED = "custom-unhashed"
    """The user, who also leaves the outputs out of the tag, with `invalidation=` of the construct."""
    UNKNOWN = "unknown"
    """Somebody else: the image comes from another pipeline."""


@dataclass(frozen=True)
class Names:
    """The names that fill in the commands; a command whose names are empty is left out.

    :param reference: the image as the user wrote it.
    :param region: the region of the ECR repository.
    :param registry_id: the account that owns the ECR repository.
    :param repository: the name of the ECR repository.
    :param tag: the image's tag.
    :param digest: the image's digest, where it is known.
    :param local_image: the name under which CDK keeps the built image on the machine that built it.
    :param platform: the platform that the image must be for.
    :param untagged: whether the tag has been removed already.
    :param outputs: who set the outputs of the image's build.
    :param construct: the path of the construct that builds the image.
    :param stack: the name of the top-level stack whose deploy refused the image; empty where `safe-image heal` does not
        help.
    :param stack_region: the region of that stack.
    :param assembly: the folder of the cloud assembly that publishes the image, where a person looks at it before the
        deploy.
    """

    reference: str = ""
    region: str = ""
    registry_id: str = ""
    repository: str = ""
    tag: str = ""
    digest: str = ""
    local_image: str = ""
    platform: str = "linux/amd64"
    untagged: bool = False
    outputs: BuildOutputs = BuildOutputs.UNKNOWN
    construct: str = ""
    stack: str = ""
    stack_region: str = ""
    assembly: str = ""

    def with_digest_of(self, top: Document | None) -> Names:
        """These names with the digest that the tag references; unchanged where it references nothing."""
        return replace(self, digest=top.digest) if top else self

    @property
    def is_built_by_cdk(self) -> bool:
        """Whether the deploy builds and pushes the image."""
        return bool(self.local_image)
