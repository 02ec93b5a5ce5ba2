"""The permissions that a verifier gets for the images of one repository in one stack."""

from __future__ import annotations

import json

from aws_cdk import CfnResource
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from .dependencies import add_dependency
from .synthesis.facts import stack_of
from .verifier import ImageVerifier


class Permissions:
    """A policy of the verifier's role: it may read one repository and the status of its own stack.

    The handler recognizes a rollback from that status. Every verification may need it, because an aspect may give the
    resource a logical ID of its own, and then each new image is an update.
    """

    def __init__(self, scope: Construct, id: str, *, verifier: ImageVerifier, repository_arn: str) -> None:
        """
        :param scope: the parent construct of the policy.
        :param id: the policy's id.
        :param verifier: the verifier whose role gets the permissions.
        :param repository_arn: ARN of the repository.
        """
        reads = iam.PolicyStatement(
            actions=[
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:DescribeImages",
                "ecr:GetDownloadUrlForLayer",
            ],
            resources=[repository_arn],
        )
        status = iam.PolicyStatement(actions=["cloudformation:DescribeStacks"], resources=[stack_of(scope).stack_id])
        self.policy = verifier.policy(scope, id, [reads, status])
        resource = self.policy.node.default_child
        assert isinstance(resource, CfnResource)
        self._resource = resource
        self._repository_arn = repository_arn
        self._allowed: set[str] = set()

    def add_dependent(self, resource: CfnResource) -> None:
        """Make a resource wait for the policy. An immutable role has none, and CDK leaves the dependency out.

        :param resource: a resource of the same stack.
        """
        add_dependency(resource, self._resource)

    def allow_untagging(self) -> None:
        """Allow removing the tag of a refused image, and listing the images that this stack verified before."""
        self._allow(["ecr:BatchDeleteImage"], self._repository_arn)
        self._allow(["cloudformation:ListStackResources"], stack_of(self.policy).stack_id)

    def allow_publishing(self, topic: sns.ITopic) -> None:
        """Allow publishing to a topic, and using the key that encrypts it.

        :param topic: the topic. CDK does not know the key of an imported topic.
        """
        self._allow(["sns:Publish"], topic.topic_arn)
        key = getattr(topic, "master_key", None)
        if key is not None:
            # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
            self._allow(["kms:Decrypt", "kms:GenerateDataKey"], key.key_arn)

    def _allow(self, actions: list[str], resource: str) -> None:
        statement = json.dumps([actions, stack_of(self.policy).resolve(resource)], sort_keys=True)
        if statement not in self._allowed:
            self._allowed.add(statement)
            self.policy.add_statements(iam.PolicyStatement(actions=actions, resources=[resource]))
