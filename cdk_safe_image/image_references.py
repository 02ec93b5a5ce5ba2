"""References to the attributes of a verified image, which resolve differently in each stack."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final

import jsii
from aws_cdk import Annotations, CfnResource, Fn, IResolveContext, IStringProducer, Lazy, Stack
from aws_cdk import aws_ecr as ecr
from constructs import IConstruct
from image_verifier.custom_resource.schema import Attribute

from .capacity import capacity_of
from .consumer_checks import ConsumedImage, can_be_arm64, find_mismatch, find_missing_runtimes
from .consumers import TYPES, Consumer, consumer_at, user_path
from .dependencies import add_dependency, add_stack_dependency
from .needed_resources import needed_by_verifications
from .stack_resources import StackResources
from .stack_tags import stack_tags_of
from .synthesis.facts import stack_of
from .synthesis.identity import address, is_same
from .synthesis.nesting import top_level
from .synthesis.snapshot import FUNCTION_TYPES, StageSnapshot, label_path, type_of
from .tokens import WholeText
from .verifier import ImageVerifier

# The sections of a template that accept no attribute of a resource, and whose elements resources reference.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/mappings-section-structure.html
_REFERENCED_SECTIONS: Final = ("Parameters", "Mappings")

# The path at which CDK resolves properties once more, for its file of all constructs. They are no part of a template.
# https://github.com/aws/aws-cdk/blob/main/packages/aws-cdk-lib/core/lib/cfn-resource.ts
_TREE: Final = "aws:cdk:cloudformation:props"


@dataclass(frozen=True)
class GivenImage:
    """An image as the user gave it: exactly one of tag and digest is set, and either may be a token.

    :param repository: the repository that contains the image.
    :param repository_arn: its ARN.
    :param repository_uri: its URI.
    :param tag: the image's tag.
    :param digest: the image's digest, `sha256:…`.
    """

    repository: ecr.IRepository
    repository_arn: str
    repository_uri: str
    tag: str | None
    digest: str | None

    @property
    def tag_or_digest(self) -> str | None:
        """The tag or the digest, whichever is set."""
        return self.tag or self.digest

    def is_unknown(self, attribute: str) -> bool:
        """Whether only the verification knows the value of an attribute.

        :param attribute: one of `Attribute`.
        """
        return attribute == Attribute.IMAGE_DIGEST and self.digest is None

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
        resource: CfnResource | None,
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
        # By address: the resources that never wait.
        self._needed: frozenset[str] = frozenset()
        # The parts of templates that get the image as it was given, by the first elements of their paths.
        self._given_in: set[tuple[str, ...]] = set()
        self._reported: set[str] = set()
        self._attributes: dict[str, str] = {}
        # One for each attribute, so that two readings of a property are equal.
        self._tokens: dict[str, str] = {}
        # By address: the resources that may run the image. They are read when no aspect can change them any more.
        self._dependents: dict[str, tuple[CfnResource, Consumer | None]] = {}

    def lazy(self, attribute: str, name: str) -> str:
        """A token that resolves to an attribute, as the resource that uses it needs it.

        :param attribute: one of `Attribute`.
        :param name: the name of the user's property, for the message if it is split.
        """
        if attribute not in self._tokens:
            self._tokens[attribute] = Lazy.uncached_string(_AttributeProducer(self, attribute), display_hint=attribute)
        return WholeText(self._tokens[attribute], f"{name} of {self._consumed.path}")

    def find_special_uses(self, snapshot: StageSnapshot) -> None:
        """Find the places with the image as it was given: in Lambda functions, in needed resources, in tags of stacks.

        :param snapshot: the complete stage.
        """
        # In a whole template, only the logical ID says what a resource is.
        self._function_ids = snapshot.function_ids - {verifier.function_id for verifier in snapshot.of(ImageVerifier)}
        self._needed = needed_by_verifications(snapshot)
        for attribute, token in self._tokens.items():
            if not self._given.is_unknown(attribute):
                stack_tags_of(snapshot).replace(token, self._given.unverified(attribute))

    def add_dependent(self, resource: CfnResource, consumer: Consumer | None) -> None:
        """Make a resource wait that references the image by a plain string, and check that it can run the image.

        :param resource: a resource of any stack of the app.
        :param consumer: the same resource as a consumer; None if it only contains the image's name.
        """
        if self._resource is None:
            return
        if consumer is not None:
            self._dependents[address(resource)] = (resource, consumer)
        if self._is_at_home(resource):
            add_dependency(resource, self._resource)
        else:
            self._add_stack_dependency(resource)

    def resolve(self, context: IResolveContext, attribute: str) -> str:
        """The value of an attribute for one resource. An error is reported if the resource cannot use it.

        :param context: says which resource is being resolved, or which stack if its whole template is.
        :param attribute: one of `Attribute`.
        """
        if self._resource is None:
            return self._given.unverified(attribute)
        scope = _scope_of(context)
        if self._gets_given(scope, context, attribute):
            return self._given.unverified(attribute)
        if isinstance(scope, CfnResource):
            self._dependents.setdefault(address(scope), (scope, None))
        if self._is_at_home(scope):
            if attribute in self._plain_in_functions and self._is_function(scope, context):
                if isinstance(scope, CfnResource):
                    add_dependency(scope, self._resource)
                return self._given.unverified(attribute)
            # In another nested stack CDK makes this a parameter of that stack, which is not an export.
            return self._attribute(self._resource, attribute)
        if self._given.is_unknown(attribute):
            self._report(
                scope,
                f"{user_path(scope)} uses image_digest of {self._consumed.path}, which is in another stack: the digest "
                "is only known there, at deploy. Use image_uri, container_image() or docker_image_code().",
            )
        self._add_stack_dependency(scope)
        return self._given.unverified(attribute)

    def _gets_given(self, scope: IConstruct, context: IResolveContext, attribute: str) -> bool:
        """Whether a part of a template gets the image as it was given, because it cannot or need not wait.

        CDK resolves each element of a template first, and then the whole template of its stack.
        """
        stack = address(stack_of(scope))
        if isinstance(scope, Stack):
            path = tuple(context.document_path) if self._given_in or not self._is_at_home(scope) else ()
            return path[:1] == (_TREE,) or any((stack, *path[:length]) in self._given_in for length in (2, 3, 4))
        is_unknown = self._given.is_unknown(attribute)
        path = self._place(scope, context, can_wait=is_unknown)
        if not path:
            return False
        self._given_in.add((stack, *path))
        if is_unknown:
            self._report(
                scope,
                f"{user_path(scope)} uses image_digest of {self._consumed.path} where it cannot wait for the "
                "verification, and the digest is only known after it. Use image_tag.",
            )
        elif path[0] in _REFERENCED_SECTIONS:
            self._report(
                scope,
                f"{user_path(scope)} contains the image {self._consumed.path}, and a resource that gets the image from "
                "there would not wait for its verification. Pass the image to that resource.",
            )
        return True

    def _place(self, scope: IConstruct, context: IResolveContext, *, can_wait: bool) -> tuple[str, ...]:
        """The part of a template that gets the image as it was given, as the start of its path; empty if none does.

        A value that the user resolves outside of a template has no path.

        :param scope: the element of the template that is being resolved.
        :param context: says which part of it.
        :param can_wait: whether a part that need not wait does so, too.
        """
        if not isinstance(scope, CfnResource):
            path = tuple(context.document_path)[:3]
            return () if path[:1] == ("Outputs",) and path[2:] == ("Value",) else path
        if address(scope) in self._needed:
            return tuple(context.document_path)[:2]
        # To read the path is a call to Node.js, and a consumer waits for its image anyway.
        if can_wait or (type_of(scope) in TYPES and self._is_at_home(scope)):
            return ()
        return label_path(context.document_path)

    @property
    def _plain_in_functions(self) -> Collection[str]:
        """The attributes that Lambda functions get as the image was given.

        The logical ID of an attribute contains the policy. `Function.current_version` makes a new version for each
        change of the function's properties, and Lambda refuses a new version of an unchanged image. Lambda itself
        resolves a tag only once, when the function is made or updated.
        """
        return () if self._pins_functions else (Attribute.IMAGE_URI, Attribute.IMAGE_TAG)

    def _is_function(self, scope: IConstruct, context: IResolveContext) -> bool:
        if isinstance(scope, CfnResource):
            return type_of(scope) in FUNCTION_TYPES
        return bool(self._function_ids) and not self._function_ids.isdisjoint(context.document_path[1:2])

    def _attribute(self, resource: CfnResource, attribute: str) -> str:
        if attribute not in self._attributes:
            value = resource.get_att(attribute).to_string()
            is_digest = attribute == Attribute.IMAGE_DIGEST
            self._attributes[attribute] = Fn.select(1, Fn.split(":", value)) if is_digest else value
        return self._attributes[attribute]

    def _is_at_home(self, scope: IConstruct) -> bool:
        """Whether a construct is in the stack of the verification, nested stacks included."""
        return is_same(top_level(stack_of(scope)), top_level(stack_of(self._verification)))

    def _add_stack_dependency(self, scope: IConstruct) -> None:
        stack, own = top_level(stack_of(scope)), top_level(stack_of(self._verification))
        try:
            add_stack_dependency(stack, own, f"{user_path(scope)} uses the image {self._consumed.path}")
        except RuntimeError as error:
            reason = str(error).splitlines()[0].rstrip(".")
            self._report(
                scope,
                f"{user_path(scope)} uses the image {self._consumed.path} of another stack, and cannot wait for its "
                f"verification: {reason}. Make the image in the stack that uses it.",
            )

    def check_consumers(self, snapshot: StageSnapshot) -> None:
        """Check the region, the platform and the runtimes of all resources that run the image.

        :param snapshot: the complete stage.
        """
        consumers = [
            (resource, _with_its_capacity(resource, consumer, snapshot))
            for resource, known in self._dependents.values()
            if (consumer := known or consumer_at(resource))
        ]
        others = [consumer for _, consumer in consumers]
        for scope, consumer in consumers:
            for mismatch in (
                find_mismatch(scope, consumer, self._consumed),
                find_missing_runtimes(consumer, self._consumed, others),
            ):
                if mismatch and mismatch.warning_id:
                    Annotations.of(scope).add_warning_v2(mismatch.warning_id, mismatch.message)
                elif mismatch:
                    self._report(scope, mismatch.message)
        assumes = self._consumed.is_built and not self._consumed.has_own_platform
        if assumes and any(map(can_be_arm64, others)):
            platform = str(self._consumed.policy.platform)
            StackResources.of(stack_of(self._verification)).assume_platform(self._consumed.path, platform)

    def _report(self, scope: IConstruct, message: str) -> None:
        # CDK resolves a template several times: each element to find references, and then the whole.
        if not isinstance(scope, Stack) and message not in self._reported:
            self._reported.add(message)
            Annotations.of(scope).add_error(message)


def with_capacity(consumer: Consumer, platform_of: Callable[[str], str | None]) -> Consumer:
    """A consumer with the platform of the instances that run it, if it does not say its own.

    :param consumer: the consumer.
    :param platform_of: the platform of the instances for a runtime.
    """
    if not can_be_arm64(consumer):
        return consumer
    platforms = set(map(platform_of, consumer.runs_on))
    platform = platforms.pop() if len(platforms) == 1 else None
    return replace(consumer, platform=platform, stated_by="the instances that the app makes for it")


def _with_its_capacity(resource: CfnResource, consumer: Consumer, snapshot: StageSnapshot) -> Consumer:
    return with_capacity(consumer, lambda runtime: capacity_of(snapshot).platform(runtime, resource))


def _scope_of(context: IResolveContext) -> IConstruct:
    """The construct that is being resolved. jsii's proxy for an interface reads a property twice.

    https://github.com/aws/jsii/blob/main/packages/%40jsii/python-runtime/src/jsii/_reference_map.py
    """
    delegate, *_ = getattr(context, "_delegates", [context])
    scope: IConstruct = delegate.scope
    return scope


@jsii.implements(IStringProducer)
class _AttributeProducer:
    """Resolves one attribute for the resource that CDK is resolving."""

    def __init__(self, references: ImageReferences, attribute: str) -> None:
        self._references = references
        self._attribute = attribute

    def produce(self, context: IResolveContext) -> str:
        return self._references.resolve(context, self._attribute)
