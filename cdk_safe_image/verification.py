"""`ImageVerification`: the deploy verifies an image in ECR before any resource that references it changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aws_cdk import CfnResource, Duration, Size
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from constructs import Construct, IConstruct
from image_verifier.custom_resource.properties import OnFailure, Properties
from image_verifier.custom_resource.schema import RESOURCE_TYPE, Attribute, Property
from image_verifier.report import FailOn
from image_verifier.rules.names import BuildOutputs

from .argument_types import check_types
from .consumer_checks import ConsumedImage
from .consumers import Consumer
from .exports import keep_exports
from .image_references import GivenImage, ImageReferences
from .options import (
    BuildOutputsValue,
    FailOnValue,
    Gate,
    GateValue,
    OnFailureValue,
    Options,
    Pin,
    PinValue,
    RequireValue,
    ResolvedOptions,
    RunsOnValue,
    enum_member,
    with_defaults,
)
from .repositories import arn_of, resolved_repository, uri_of
from .stack_resources import StackResources, VerificationHolder
from .switch import SWITCH, is_verification_on
from .synthesis.facts import path_of, place, scopes_of, stack_of
from .synthesis.finalizer import StageFinalizer
from .synthesis.nesting import top_level_name
from .synthesis.snapshot import type_of
from .tokens import WholeText, is_fixed, is_literal, referenced_constructs, region_of, shortest
from .validation import check_environment, check_reference, check_tag_options, service_timeout_for
from .verified_repository import VerifiedRepository
from .verifier import ImageVerifier

ASSETS: Final = (ecr_assets.DockerImageAsset, ecr_assets.TarballImageAsset)
_HASH_LENGTH: Final = 10
_REPOSITORY: Final = (Property.REPOSITORY_ARN, Property.REPOSITORY_URI)


class ImageVerification(Construct):
    """Verifies an image during the deploy, before any resource that uses this construct's attributes changes.

    Use it for an image that CDK does not build; `SafeDockerImageAsset` contains one. If a runtime could not pull or
    start the image, the deploy fails, and CloudFormation's reason lists every finding.

    A new image or a new policy is a new resource in the template, so that a rollback only deletes it and verifies
    nothing again.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        repository: ecr.IRepository,
        tag: str | None = None,
        digest: str | None = None,
        runs_on: RunsOnValue | Sequence[RunsOnValue] | None = None,
        platform: ecr_assets.Platform | None = None,
        min_size: Size | None = None,
        max_size: Size | None = None,
        verify_layers: bool | None = None,
        fail_on: FailOnValue | None = None,
        require: Sequence[RequireValue] | None = None,
        acknowledge: Mapping[str, str] | None = None,
        on_failure: OnFailureValue | None = None,
        notify: sns.ITopic | None = None,
        pin: PinValue | None = None,
        gate: GateValue | None = None,
        verifier: ImageVerifier | None = None,
        service_timeout: Duration | None = None,
        local_image: str | None = None,
        build_outputs: BuildOutputsValue = BuildOutputs.UNKNOWN,
    ) -> None:
        """
        :param scope: the parent construct.
        :param id: the construct's id.
        :param repository: the repository that contains the image.
        :param tag: the image's tag. Pass exactly one of tag and digest; either may be a token
        :param digest: the image's digest, `sha256:…`
        :param runs_on: the runtimes that must be able to pull and start the image. Default: Fargate
        :param platform: the platform that the image must be for. Default: linux/amd64
        :param min_size: the smallest compressed size that is accepted. Default: no limit
        :param max_size: the largest compressed size that is accepted. Default: no limit
        :param verify_layers: read every layer's bytes as the runtime would, and check that the image's entrypoint
            exists and is executable. The verifier gets the memory and the time for that, based on max_size.
            Default: False
        :param fail_on: the lowest severity of a finding that fails the deploy: an error, or a warning too. With never
            no finding fails the deploy, and the stack's outputs show the findings. A fault always fails the deploy.
            Default: an error
        :param require: conditions beyond those of the runtimes, such as `Require.NON_ROOT_USER`. Default: none
        :param acknowledge: the findings to waive: each finding's id with the reason (docs/checks.md). Default: none
        :param on_failure: whether the verifier may remove the tag of a refused image that none of the runtimes can
            pull, so that the next deploy pushes the image again (docs/policy.md). Default: the tag is kept
        :param notify: the SNS topic that gets a report of every refusal and every fault. Default: none
        :param pin: whether `image_uri` contains the verified digest or the tag. Default: the digest, except in Lambda
            functions (docs/constructs.md)
        :param gate: whether every ECS service of the stack, nested stacks included, waits for the verification, or
            only the resources that use the image. Default: the services of the stack
        :param verifier: the Lambda that verifies the image. Default: the verifier of the stack
        :param service_timeout: how long CloudFormation waits for the response, at most one hour.
            Default: the time that the verification of this image may take, plus one minute
        :param local_image: name of the image in the local store of its builder, for the commands of remedies.
            Default: none; remedies that need it are left out
        :param build_outputs: who set the outputs of the image's build, for the remedies: this library, or the user.
            Default: unknown, as for an image of another pipeline
        :raises ValueError: if the policy cannot be met, or the reference is not valid; the message says what to use
            instead.
        """
        super().__init__(scope, id)
        place(self, scope, id)
        path = path_of(self)
        options = with_defaults(
            scope,
            Options(
                runs_on=runs_on,
                platform=platform,
                min_size=min_size,
                max_size=max_size,
                verify_layers=verify_layers,
                fail_on=fail_on,
                require=require,
                acknowledge=acknowledge,
                on_failure=on_failure,
                notify=notify,
                pin=pin,
                gate=gate,
                verifier=verifier,
            ),
        )
        check_types(path, repository=repository, tag=tag, digest=digest, service_timeout=service_timeout)
        resolved = options.resolve(path)
        check_reference(path, arn_of(repository), tag, digest)
        outputs_set_by = enum_member(path, "build_outputs", BuildOutputs, build_outputs)
        check_tag_options(path, tag, resolved)
        self.repository = repository
        self._image = GivenImage(repository, arn_of(repository), uri_of(repository), tag, digest)
        self._parent = scope
        self._resource: CfnResource | None = None
        self._identity = ""
        self.needs: list[IConstruct] = []
        StackResources.of(stack_of(self)).verifications.append(self)
        if is_verification_on(scopes_of(self._user_construct)[-2]):
            self._verify(resolved, options.verifier, options.notify, service_timeout, local_image or "", outputs_set_by)
        else:
            self._keep_exports(options.verifier, options.notify)
        consumed = self._consumed(options, resolved)
        self._references = ImageReferences(
            self, self._image, consumed, self._resource, pins_functions=options.pin == Pin.DIGEST
        )
        finalizer = StageFinalizer.of(self)
        finalizer.on_finalize(self._references.find_special_uses, path)
        finalizer.on_validate(self._references.check_consumers)

    @property
    def image_uri(self) -> str:
        """The image's URI. Every resource that uses it waits for the verification.

        In the stack of the verification it contains the verified digest, unless `pin` says otherwise. A Lambda
        function gets the tag, unless `pin` is set to the digest. In another stack it contains the tag, and that stack
        depends on this one: the export of a value that changes with each image could not be changed while another
        stack imports it.
        """
        return self._references.lazy(Attribute.IMAGE_URI, "image_uri")

    @property
    def unverified_uri(self) -> str:
        """The image's URI as it was given, with its tag or its digest. Resources that use it do not wait."""
        return self._image.unverified(Attribute.IMAGE_URI)

    @property
    def image_tag(self) -> str:
        """The image's tag. Every resource that uses it waits for the verification.

        :raises ValueError: if the image was given by its digest.
        """
        if self._image.tag is None:
            raise ValueError(f"{path_of(self)} was given a digest and has no image_tag: use image_uri")
        return self._references.lazy(Attribute.IMAGE_TAG, "image_tag")

    @property
    def image_digest(self) -> str:
        """The verified digest, `sha256:…`. Every resource that uses it waits for the verification.

        It also works as `tag_or_digest`, but only in the stack of the verification. If verification is switched off,
        it is the tag.
        """
        if self._resource is None and self._image.digest is None:
            return self._references.lazy(Attribute.IMAGE_TAG, "image_digest")
        # CDK distinguishes a digest from a tag by the first characters, so that these may not be a token.
        digest = self._references.lazy(Attribute.IMAGE_DIGEST, "image_digest")
        return WholeText(f"sha256:{digest}", f"image_digest of {self.user_path}")

    def container_image(self) -> ecs.ContainerImage:
        """The image for an ECS container, with the permission to pull it."""
        return ecs.ContainerImage.from_ecr_repository(self._verified_repository(), self._image.tag_or_digest)

    def docker_image_code(
        self,
        *,
        cmd: Sequence[str] | None = None,
        entrypoint: Sequence[str] | None = None,
        working_directory: str | None = None,
    ) -> lambda_.DockerImageCode:
        """The image for a `lambda_.DockerImageFunction`.

        :param cmd: replaces the image's CMD. Default: the image's
        :param entrypoint: replaces the image's ENTRYPOINT. Default: the image's
        :param working_directory: replaces the image's WORKDIR. Default: the image's
        """
        check_types(f"docker_image_code of {self.user_path}", cmd=cmd, entrypoint=entrypoint)
        return lambda_.DockerImageCode.from_ecr(
            self._verified_repository(),
            tag_or_digest=self._image.tag_or_digest,
            cmd=None if cmd is None else list(cmd),
            entrypoint=None if entrypoint is None else list(entrypoint),
            working_directory=working_directory,
        )

    @property
    def resource(self) -> CfnResource:
        """The custom resource in the template, for dependencies that you add yourself.

        :raises ValueError: if verification is switched off.
        """
        if self._resource is None:
            raise ValueError(f"{path_of(self)} has no resource: context {SWITCH} is off")
        return self._resource

    def add_dependent(self, resource: CfnResource, consumer: Consumer | None) -> None:
        """Make a resource wait that references the image by a plain string, and check that it can run the image.

        :param resource: a resource of any stack of the app.
        :param consumer: the same resource as a consumer; None if it only contains the image's name.
        """
        self._references.add_dependent(resource, consumer)

    def verifies(self, repository: ecr.IRepository, tag: str) -> bool:
        """Whether this verifies an image. A copy in another repository is another image, even with the same tag.

        :param repository: the image's repository.
        :param tag: the image's tag.
        """
        if self._image.tag != tag:
            return False
        (ours, _), (theirs, _) = (resolved_repository(stack_of(self), it) for it in (self.repository, repository))
        return bool(ours == theirs)

    @property
    def prerequisites(self) -> list[IConstruct]:
        """The constructs that must exist before the verification, except for dependencies that users add."""
        image = self._image
        return [*self.needs, *referenced_constructs(image.repository_arn, image.tag, image.digest)]

    @property
    def identity(self) -> str:
        """The part of the logical ID that differs for each image and policy.

        It is empty if the image is only known at deploy: another image is then an update of the same resource.
        """
        return self._identity

    @property
    def user_path(self) -> str:
        """The path of the construct that the user made: the asset, if the verification belongs to one."""
        return path_of(self._user_construct)

    @property
    def _user_construct(self) -> IConstruct:
        """The construct that the user made: the asset, if the verification belongs to one."""
        image = self._parent.image if isinstance(self._parent, VerificationHolder) else self._parent
        return image if isinstance(image, ASSETS) else self

    def _consumed(self, options: Options, resolved: ResolvedOptions) -> ConsumedImage:
        """The facts about the image that the checks of consumers need."""
        record = StackResources.build_of(stack_of(self._user_construct), self.user_path)
        return ConsumedImage(
            path=self.user_path,
            region=region_of(self._image.repository_arn),
            policy=resolved.policy,
            is_built=isinstance(self._user_construct, ecr_assets.DockerImageAsset),
            has_own_runtimes=options.runs_on is not None,
            has_own_platform=record.has_own_platform if record else options.platform is not None,
        )

    def _verify(
        self,
        options: ResolvedOptions,
        own_verifier: ImageVerifier | None,
        topic: sns.ITopic | None,
        service_timeout: Duration | None,
        local_image: str,
        build_outputs: BuildOutputs,
    ) -> None:
        stack, path = stack_of(self), path_of(self)
        stack_resources = StackResources.of(stack)
        verifier = own_verifier or stack_resources.verifier()
        verifier_name = stack_resources.verifier_name(verifier)
        check_environment(path, stack, verifier)
        timeout = service_timeout_for(path, service_timeout, verifier.allow(options.policy))
        properties = self._properties(options, topic, local_image, build_outputs).to_template()
        repository = dict(zip(_REPOSITORY, resolved_repository(stack, self.repository), strict=True))
        tokens = {name: it for name, it in properties.items() if name not in _REPOSITORY and not is_literal(it)}
        resolved = {**properties, **(stack.resolve(tokens) if tokens else {}), **repository}
        permissions = stack_resources.permissions(
            verifier_name, verifier, self._image.repository_arn, resolved[Property.REPOSITORY_ARN]
        )
        if options.on_failure is OnFailure.UNTAG:
            permissions.allow_untagging()
        if topic is not None:
            permissions.allow_publishing(topic)

        identity = _hash([resolved, timeout, verifier_name])
        given = [resolved.get(name) for name in (Property.REPOSITORY_ARN, Property.IMAGE_TAG, Property.IMAGE_DIGEST)]
        self._identity = identity if is_fixed(given) else ""
        # CDK's `CustomResource` makes the same resource with four times as many calls to Node.js.
        self._resource = CfnResource(
            self,
            # Part of the path, from which CDK derives the logical ID: another identity is another resource of the
            # template, and stays one if an aspect prefixes logical IDs.
            identity,
            type=RESOURCE_TYPE,
            properties={
                "ServiceToken": verifier.function_arn,
                "ServiceTimeout": str(timeout),
                **properties,
                # CDK resolves each token several times. One that references another resource must stay a token.
                **{name: shortest(resolved[name]) for name in _REPOSITORY if is_fixed(resolved[name])},
            },
        )
        type_of.set(self._resource, RESOURCE_TYPE)
        # The role must have its permissions when CloudFormation calls the Lambda.
        permissions.add_dependent(self._resource)
        self.needs = [verifier, verifier.role, self.repository, *filter(None, [topic])]
        if options.gate is Gate.STACK:
            stack_resources.gate(self)
        if options.policy.fail_on is FailOn.NEVER:
            stack_resources.show_findings(self)

    def _keep_exports(self, own_verifier: ImageVerifier | None, topic: sns.ITopic | None) -> None:
        key = getattr(topic, "master_key", None)
        keep_exports(
            stack_of(self),
            *((own_verifier.function_arn, own_verifier.role.role_name) if own_verifier else ()),
            topic.topic_arn if topic else None,
            key.key_arn if key else None,
            self._image.repository_arn,
            self._image.repository_uri,
            self._image.tag,
            self._image.digest,
        )

    def _properties(
        self, options: ResolvedOptions, topic: sns.ITopic | None, local_image: str, build_outputs: BuildOutputs
    ) -> Properties:
        return Properties(
            repository_arn=self._image.repository_arn,
            repository_uri=self._image.repository_uri,
            tag=self._image.tag or "",
            digest=self._image.digest or "",
            pin="tag" if options.pin is Pin.TAG else "digest",
            policy=options.policy,
            on_failure=options.on_failure,
            notify=topic.topic_arn if topic else "",
            local_image=local_image,
            construct_path=self.user_path,
            build_outputs=build_outputs,
            stack_name=top_level_name(stack_of(self)),
        )

    def _verified_repository(self) -> ecr.IRepository:
        child = self.node.try_find_child("Repository")
        if isinstance(child, VerifiedRepository):
            return child
        return VerifiedRepository(self, "Repository", repository=self.repository, image_uri=self.image_uri)


def _hash(identity: Any) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:_HASH_LENGTH]
