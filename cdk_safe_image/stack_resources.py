"""What a stack with verified images has once: its verifier, what the verifier may do, the services' gate, outputs."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import TYPE_CHECKING, cast

from aws_cdk import CfnOutput, CfnResource, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct, IConstruct

from .synthesis.finalizer import StageFinalizer
from .synthesis.snapshot import StageSnapshot
from .verifier import ImageVerifier

if TYPE_CHECKING:
    from .protection.image_scopes import Build
    from .verification import ImageVerification

_ID = "CdkSafeImage"
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/outputs-section-structure.html
_MAX_DESCRIPTION = 1024


def top_level(stack: Stack) -> Stack:
    """The stack that is deployed by itself, for a nested stack."""
    while (parent := stack.nested_stack_parent) is not None:
        stack = parent
    return stack


class StackResources(Construct):
    """The one construct of ours at the root of a stack; it makes its parts when they are first asked for."""

    def __init__(self, stack: Stack) -> None:
        """
        :param stack: the stack, which may be a nested one.
        """
        super().__init__(stack, _ID)
        self._stack = stack
        self._root = top_level(stack)
        self._root_prefix = f"{self._root.node.path}/"
        self._verifier: ImageVerifier | None = None
        self._permissions: dict[str, Permissions] = {}
        self._gated: list[ImageVerification] = []
        self.verifications: list[ImageVerification] = []
        # By the construct path of an asset whose build is ours.
        self.builds: dict[str, Build] = {}
        self._ending = StageFinalizer.of(stack)
        self._ending.begin_at(self)

    @classmethod
    def of(cls, stack: Stack) -> StackResources:
        """The parts of this stack."""
        return cast(StackResources, stack.node.try_find_child(_ID) or cls(stack))

    def verifier(self) -> ImageVerifier:
        """The verifier of this stack for those who brought none. Nested stacks use that of their top-level stack."""
        if self._verifier is None:
            shared = self._stack is not self._root
            self._verifier = StackResources.of(self._root).verifier() if shared else ImageVerifier(self, "Verifier")
        return self._verifier

    def permissions(self, verifier_name: str, verifier: ImageVerifier, repository_arn: str) -> Permissions:
        """What lets a verifier read a repository for this stack.

        In a policy of this stack, also where the verifier is another's: a grant on the other stack's role would
        make the other stack depend on this one. One for each repository, so that no image waits for the
        repository of another.
        """
        key = json.dumps([verifier_name, self._stack.resolve(repository_arn)], sort_keys=True)
        if key not in self._permissions:
            name = f"Permissions{hashlib.sha256(key.encode()).hexdigest()[:8]}"
            self._permissions[key] = Permissions(self, name, verifier=verifier, repository_arn=repository_arn)
        return self._permissions[key]

    def verifier_name(self, verifier: ImageVerifier) -> str:
        """The verifier's identity as seen from this stack: its path, from the app on where it is another stack's."""
        return verifier.node.path.removeprefix(self._root_prefix)

    def gate(self, verification: ImageVerification) -> None:
        """Let the stack's ECS services wait for this verification."""
        self._gated.append(verification)
        self._ending.call(self._close_gate, verification.node.path)

    def show_findings(self, verification: ImageVerification) -> None:
        """Let the CLI show what was found in an image that nothing refuses.

        It shows the outputs of stacks that are deployed by themselves, and not those of nested ones.
        """
        name = f"Findings{verification.user_path.removeprefix(self._root_prefix)}"
        CfnOutput(
            StackResources.of(self._root),
            name,
            value=verification.resource.get_att("Warnings").to_string(),
            description=f"What was found in the image {verification.user_path}"[:_MAX_DESCRIPTION],
        )

    def _close_gate(self, made: StageSnapshot) -> None:
        services = [
            (service, stacks[: stacks.index(self._stack)]) for service, stacks in made.services if self._stack in stacks
        ]
        waits_for: dict[CfnResource, list[CfnResource]] = {service: [] for service, _ in services}
        scopes = cache(lambda service: service.node.scopes)
        is_nested = any(within for _, within in services)
        for verification in self._gated:
            scope = _ordered_scope(verification, made)
            resource = verification.resource
            needs = {Stack.of(needed) for needed in made.needed(verification.needs)} if is_nested else set()
            for service, within in services:
                # A nested stack that a verification needs cannot wait for it.
                if (scope is None or scope in scopes(service)) and not needs.intersection(within):
                    waits_for[service].append(resource)
        for service, verifications in waits_for.items():
            service.node.add_dependency(*verifications)


class VerificationHolder(Construct):
    """Holds the verification of an image outside of what the user made it in.

    What that depends on is needed by what runs the image, and not by the image, which is pushed before the deploy. It
    may be what runs the same image elsewhere.
    """

    def __init__(self, image: IConstruct) -> None:
        """
        :param image: the asset.
        """
        stack = Stack.of(image)
        super().__init__(StackResources.of(stack), f"Image/{image.node.path.removeprefix(f'{stack.node.path}/')}")
        self.image = image


class Permissions:
    """What a verifier may do for the images of one repository in one stack, and nothing else."""

    def __init__(self, scope: Construct, id: str, *, verifier: ImageVerifier, repository_arn: str) -> None:
        """
        :param scope: the parent construct.
        :param id: the policy's id.
        :param verifier: whose role gets them.
        :param repository_arn: the repository.
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
        self.policy = verifier.policy(scope, id, [reads])
        self._repository_arn = repository_arn
        self._allowed: set[str] = set()

    def allow_own_stack_status(self) -> None:
        """Allow to ask for the status of this stack, by which the way back of a rollback is recognised."""
        self._allow(["cloudformation:DescribeStacks"], Stack.of(self.policy).stack_id)

    def allow_untagging(self) -> None:
        """Allow to remove a rejected tag, and to look up in this stack which images it has verified before."""
        self._allow(["ecr:BatchDeleteImage"], self._repository_arn)
        self._allow(["cloudformation:ListStackResources"], Stack.of(self.policy).stack_id)

    def allow_publishing(self, topic: sns.ITopic) -> None:
        """Allow to publish to a topic, and what a key of the user's asks for that.

        :param topic: the topic; of one that is imported, CDK does not know the key.
        """
        self._allow(["sns:Publish"], topic.topic_arn)
        key = getattr(topic, "master_key", None)
        if key is not None:
            # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
            self._allow(["kms:Decrypt", "kms:GenerateDataKey"], key.key_arn)

    def _allow(self, actions: list[str], resource: str) -> None:
        statement = json.dumps([actions, Stack.of(self.policy).resolve(resource)], sort_keys=True)
        if statement not in self._allowed:
            self._allowed.add(statement)
            self.policy.add_statements(iam.PolicyStatement(actions=actions, resources=[resource]))


def _ordered_scope(verification: ImageVerification, made: StageSnapshot) -> IConstruct | None:
    """The nearest construct around a verification that the user lets wait for an ECS service, if there is one.

    What is in it waits for that service already, and so may wait for the verification. Another service may be the very
    one, or what that waits for.
    """
    services = {service for service, _ in made.services}
    scopes = verification.node.scopes
    for scope in reversed(scopes[scopes.index(top_level(Stack.of(verification))) + 1 :]):
        dependencies = scope.node.dependencies
        if dependencies and services.intersection(made.needed(dependencies)):
            return scope
    return None
