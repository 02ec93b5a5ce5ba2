"""The fix that removes a rejected tag from ECR, after a second reading of its image."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from image_verifier.deletion import (
    GONE,
    HELD_BY_INDEX,
    reason_after_second_reading,
    remove_tag,
)
from image_verifier.faults import Fault
from image_verifier.image.references import rejected_tag
from image_verifier.policy import Policy
from image_verifier.report import Report
from image_verifier.retry import RetryBudget
from image_verifier.rules.names import Names
from image_verifier.second_tag import tag_as_rejected
from image_verifier.sources import Source
from image_verifier.verify import verify

from ..sources.aws_sessions import AwsSessions, Endpoint

_RETRY_SECONDS: Final = 30.0


@dataclass(frozen=True)
class RemoveTag:
    """Remove a tag from the very digest that was verified.

    :param sessions: the AWS sessions.
    :param names: the image's names.
    :param digest: the digest that the tag pointed at.
    :param open: opens the image for the second reading.
    :param policies: the policies of all verifications that reference the image, at least one.
    :param keeps_manifest: whether the manifest gets a second tag first, so that nothing is deleted: an index that runs
        references it, or it can be pulled.
    :param stack: the ARN of the stack that refused the image; empty where it is not known.
    """

    sessions: AwsSessions
    names: Names
    digest: str
    open: Callable[[], Source]
    policies: tuple[Policy, ...]
    keeps_manifest: bool = False
    stack: str = ""

    @property
    def command(self) -> str:
        """The equivalent command."""
        names = self.names
        words = ("aws", "ecr", "batch-delete-image", "--region", names.region, "--registry-id", names.registry_id)
        image = f"imageTag={names.tag},imageDigest={self.digest}"
        return shlex.join((*words, "--repository-name", names.repository, "--image-ids", image))

    @property
    def note(self) -> str:
        """The consequence if an index references the manifest."""
        tag = rejected_tag(self.digest)
        if self.keeps_manifest:
            return f"The image gets the tag {tag} first, and nothing is deleted."
        return f"If an index references the manifest, it gets the tag {tag} first, and nothing is deleted."

    @property
    def permissions(self) -> tuple[str, ...]:
        """The IAM permissions that it needs beyond reading the image, as `action on resource`."""
        condition = "" if self.keeps_manifest else ", if an index references the image"
        return (
            f"ecr:BatchDeleteImage on {self.repository_arn}",
            f"ecr:PutImage on {self.repository_arn}{condition}",
        )

    @property
    def repository_arn(self) -> str:
        """The ARN of the image's repository."""
        names, partition = self.names, self.sessions.partition(self.names.region)
        return f"arn:{partition}:ecr:{names.region}:{names.registry_id}:repository/{names.repository}"

    @property
    def client(self) -> Any:
        """The client of ECR: the bootstrap's publishing role may not delete, so it has the caller's own credentials."""
        return self.sessions.client("ecr", Endpoint(self.names.region))

    def reason_to_keep(self) -> str:
        """Read the image again: why its tag must be kept, as a clause; empty if it may be removed.

        :raises Fault: if the image cannot be read.
        """
        return reason_after_second_reading(
            self._verify_by, self.policies, self.names.tag, self.digest, keeps_manifest=self.keeps_manifest
        )

    def _verify_by(self, policy: Policy) -> Report:
        return verify(self.open(), policy)

    def apply(self) -> str:
        """Remove the tag, and return how, where that is not as planned.

        The call has tag and digest, so ECR removes nothing where the tag has moved meanwhile. The manifest stays where
        an index references it: the index is never deleted for it, since a service may run that by digest.
        """
        reason = self.reason_to_keep()
        if reason == GONE:
            return "The tag was gone already."
        if reason:
            raise Fault(f"The tag {self.names.tag} was kept: {reason}")
        failure = HELD_BY_INDEX if self.keeps_manifest else self._remove()
        if not failure.startswith(HELD_BY_INDEX):
            return self._done(failure)
        second = tag_as_rejected(self.client, self.repository_arn, self.digest, RetryBudget.of(_RETRY_SECONDS))
        self._done(self._remove())
        return f"{self.digest} was tagged {second} first, and nothing was deleted."

    def _remove(self) -> str:
        budget = RetryBudget.of(_RETRY_SECONDS)
        return remove_tag(self.client, self.repository_arn, self.names.tag, self.digest, budget)

    def _done(self, failure: str) -> str:
        # Somebody else has removed it meanwhile.
        if failure and not failure.startswith("ImageNotFound"):
            raise Fault(f"The tag {self.names.tag} was not removed: {failure}")
        return ""
