"""References to the attributes of a verified image, which resolve differently in each stack."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jsii
from aws_cdk import Annotations, CfnResource, CustomResource, Fn, IResolveContext, IStringProducer, Lazy, Stack, Stage
from aws_cdk import aws_ecr as ecr
from constructs import IConstruct
from image_verifier.custom_resource.schema import Attribute

from .capacity import capacity_platform
from .consumer_checks import ConsumedImage, can_be_arm64, find_mismatch, find_missing_runtimes
from .consumers import Consumer, consumer_at, user_path
from .stack_resources import StackResources
from .synthesis.identity import is_same
from .synthesis.nesting import top_level
from .synthesis.snapshot import FUNCTION_TYPES, StageSnapshot
from .tokens import WholeText


@dataclass(frozen=True)
class GivenImage:
    """An image as the user gave it: exactly one of tag and digest is set, and either may be a token.

    :param repository: the repository that contains the image.
    :param repository_uri: its URI.
    :param tag: the image's tag.
    :param digest: the image's digest, `sha256:…`.
    """

    repository: ecr.IRepository
    repository_uri: str
    tag: str | None
    digest: str | None

    @property
    def tag_or_digest(self) -> str | None:
        """The tag or the digest, whichever is set."""
        return self.tag or self.digest

    def unverified(self, attribute: str) -> str:
        """The value of an attribute that does not wait for the verification.

        :param attribute: one of `Attribute`. `ImageDigest` yields the part after the colon.
        """
        if attribute == Attribute.IMAGE_URI:
            separator = ":" if self.tag else "@"
            return f"{self.repository_uri}{separator}{self.tag_or_digest}"
        if attribute == Attribute.IMAGE_DIGEST and self.digest:
            return self.digest.removeprefix("sha256:")
        return self.tag or ""


class ImageReferences:
    """The resources that reference one image: each waits for the verification, and each is checked."""

    def __init__(
        self,
        verification: IConstruct,
        given: GivenImage,
        consumed: ConsumedImage,
        resource: CustomResource | None,
        *,
        pins_functions: bool,
    ) -> None:
        """
        :param verification: the construct that verifies the image.
        :param given: the image as the user gave it.
        :param consumed: what the checks of consumers need to know about it.
        :param resource: the custom resource; None if verification is switched off.
        :param pins_functions: whether Lambda functions get the attributes too, instead of the image as it was given.
        """
        self._verification = verification
        self._given = given
        self._consumed = consumed
        self._resource = resource
        self._pins_functions = pins_functions
        self._function_ids: frozenset[str] = frozenset()
        self._reported: set[str] = set()
        # By path: the resources that run the image, for the checks that need all of them.
        self._consumers: dict[str, tuple[IConstruct, Consumer]] = {}

    def lazy(self, attribute: str, name: str) -> str:
        """A token that resolves to an attribute, as the resource that uses it needs it.

        :param attribute: one of `Attribute`.
        :param name: the name of the user's property, for the message if it is split.
        """
        token = Lazy.uncached_string(_AttributeProducer(self, attribute), display_hint=attribute)
        return WholeText(token, f"{name} of {self._consumed.path}")

    def find_functions(self, snapshot: StageSnapshot) -> None:
        """Find the Lambda functions of the stage: in a whole template, only the logical ID says what a resource is.

        :param snapshot: the complete stage.
        """
        self._function_ids = snapshot.function_ids

    def add_dependent(self, resource: CfnResource, *, runs: bool) -> None:
        """Make a resource wait that references the image by a plain string, and check that it can run the image.

        :param resource: a resource of any stack of the app.
        :param runs: whether it runs the image, instead of only containing its name.
        """
        if self._resource is None:
            return
        if runs and (consumer := consumer_at(resource)):
            self._check(resource, consumer)
        stack, own = top_level(Stack.of(resource)), top_level(Stack.of(self._verification))
        if is_same(stack, own):
            self._add_dependency(resource)
        else:
            self._add_stack_dependency(resource, stack, own)

    def resolve(self, scope: IConstruct, attribute: str, document_path: Sequence[str] = ()) -> str:
        """The value of an attribute for one resource. An error is reported if the resource cannot use it.

        :param scope: the resource that is being resolved, or the stack if its whole template is.
        :param attribute: one of `Attribute`.
        :param document_path: the position of the value in the template.
        """
        if self._resource is None:
            return self._given.unverified(attribute)
        consumer = consumer_at(scope)
        if consumer is not None:
            self._check(scope, consumer)
        stack, own = top_level(Stack.of(scope)), top_level(Stack.of(self._verification))
        if is_same(stack, own):
            if attribute in self._plain_in_functions and self._is_function(scope, document_path):
                if isinstance(scope, CfnResource):
                    self._add_dependency(scope)
                return self._given.unverified(attribute)
            # In another nested stack CDK makes this a parameter of that stack, which is not an export.
            value = self._resource.get_att_string(attribute)
            return Fn.select(1, Fn.split(":", value)) if attribute == Attribute.IMAGE_DIGEST else value
        if attribute == Attribute.IMAGE_DIGEST and self._given.digest is None:
            self._report(
                scope,
                f"{user_path(scope)} uses image_digest of {self._consumed.path}, which is in another stack: the digest "
                "is only known there, at deploy. Use image_uri, container_image() or docker_image_code().",
            )
        self._add_stack_dependency(scope, stack, own)
        return self._given.unverified(attribute)

    @property
    def _plain_in_functions(self) -> Collection[str]:
        """The attributes that Lambda functions get as the image was given.

        The logical ID of an attribute contains the policy. `Function.current_version` makes a new version for each
        change of the function's properties, and Lambda refuses a new version of an unchanged image. Lambda itself
        resolves a tag only once, when the function is made or updated.
        """
        return () if self._pins_functions else (Attribute.IMAGE_URI, Attribute.IMAGE_TAG)

    def _is_function(self, scope: IConstruct, document_path: Sequence[str]) -> bool:
        if isinstance(scope, CfnResource):
            return scope.cfn_resource_type in FUNCTION_TYPES
        return not self._function_ids.isdisjoint(document_path[1:2])

    def _add_dependency(self, resource: CfnResource) -> None:
        assert self._resource
        dependency = self._resource.node.default_child
        assert isinstance(dependency, CfnResource)
        # aws-cdk-lib deprecates `add_dependency` in favor of a method that its older versions do not have.
        add: Any = getattr(resource, "add_resource_dependency", resource.add_dependency)
        add(dependency)

    def _add_stack_dependency(self, scope: IConstruct, stack: Stack, own: Stack) -> None:
        # aws-cdk-lib deprecates `add_dependency` in favor of a method that its older versions do not have.
        add: Any = getattr(stack, "add_stack_dependency", stack.add_dependency)
        try:
            add(own, f"{user_path(scope)} uses the image {self._consumed.path}")
        except RuntimeError as error:
            reason = str(error).splitlines()[0].rstrip(".")
            self._report(
                scope,
                f"{user_path(scope)} uses the image {self._consumed.path} of another stack, and cannot wait for its "
                f"verification: {reason}. Make the image in the stack that uses it.",
            )

    def _check(self, scope: IConstruct, consumer: Consumer) -> None:
        if consumer.path not in self._consumers:
            self._consumers[consumer.path] = (scope, with_capacity(scope, consumer))
        _, consumer = self._consumers[consumer.path]
        mismatch = find_mismatch(scope, consumer, self._consumed)
        if mismatch is not None:
            self._report(scope, mismatch.message)

    def check_all_consumers(self) -> None:
        """Check what depends on all consumers of the image: its runtimes, and a platform that nobody set."""
        others = [consumer for _, consumer in self._consumers.values()]
        for scope, consumer in self._consumers.values():
            mismatch = find_missing_runtimes(consumer, self._consumed, others)
            if mismatch and mismatch.warning_id:
                Annotations.of(scope).add_warning_v2(mismatch.warning_id, mismatch.message)
            elif mismatch:
                self._report(scope, mismatch.message)
        assumes = self._consumed.is_built and not self._consumed.has_own_platform
        if assumes and any(map(can_be_arm64, others)):
            platform = str(self._consumed.policy.platform)
            StackResources.of(Stack.of(self._verification)).assume_platform(self._consumed.path, platform)

    def _report(self, scope: IConstruct, message: str) -> None:
        # CDK resolves a template several times: each element to find references, and then the whole.
        if not isinstance(scope, Stack) and message not in self._reported:
            self._reported.add(message)
            Annotations.of(scope).add_error(message)


def with_capacity(scope: IConstruct, consumer: Consumer) -> Consumer:
    """A consumer with the platform of the instances that run it, if it does not say its own.

    :param scope: the consumer's resource, or a construct of its stage.
    :param consumer: the consumer.
    """
    stage = Stage.of(scope)
    if not can_be_arm64(consumer) or stage is None:
        return consumer
    constructs = stage.node.find_all()
    resource = scope if isinstance(scope, CfnResource) else None
    platforms = {capacity_platform(constructs, name, resource) for name in consumer.runs_on}
    platform = platforms.pop() if len(platforms) == 1 else None
    return replace(consumer, platform=platform, stated_by="the instances that the app makes for it")


@jsii.implements(IStringProducer)
class _AttributeProducer:
    """Resolves one attribute for the resource that CDK is resolving."""

    def __init__(self, references: ImageReferences, attribute: str) -> None:
        self._references = references
        self._attribute = attribute

    def produce(self, context: IResolveContext) -> str:
        return self._references.resolve(context.scope, self._attribute, context.document_path)
