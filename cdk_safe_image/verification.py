"""`ImageVerification`: an image in ECR that nothing refers to before it is known to be pulled and started."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import jsii
from aws_cdk import (
    Annotations,
    Aws,
    CfnResource,
    CustomResource,
    Duration,
    Fn,
    IResolveContext,
    IStringProducer,
    Lazy,
    Reference,
    Size,
    Stack,
    Stage,
    Token,
    Tokenization,
)
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from constructs import Construct, IConstruct
from image_verifier.custom_resource.properties import OnFailure
from image_verifier.report import FailOn
from image_verifier.rules.runtimes import RUNTIMES

from .argument_types import check_types
from .consumers import Consumer, consumer_at
from .options import (
    FailOnValue,
    Gate,
    GateValue,
    OnFailureValue,
    Options,
    Pin,
    PinValue,
    RequireValue,
    RunsOnValue,
    Settled,
    with_defaults,
)
from .stack_resources import StackResources, VerificationHolder, top_level
from .verified_repository import VerifiedRepository
from .verifier import ImageVerifier

ASSETS: Final = (ecr_assets.DockerImageAsset, ecr_assets.TarballImageAsset)
RESOURCE_TYPE: Final = "Custom::ImageVerification"
_SWITCH: Final = "cdk-safe-image:verify"
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
# A tag as the distribution specification has it.
# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
_TAG: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html
_DYNAMIC: Final = "{{resolve:"
# The Lambda answers before its own end; this is for its start, and for the answer's way back.
_SERVICE_TIMEOUT_MARGIN: Final = 60
_MAX_SERVICE_TIMEOUT: Final = 3600


class ImageVerification(Construct):
    """Verifies an image at deploy, before anything that uses this construct's attributes is touched.

    Use it for an image that CDK did not build; `SafeDockerImageAsset` brings its own. The deploy fails where the
    image could not be pulled and started, with everything that was found in CloudFormation's reason.

    A new image or a new policy is a new resource, so that a rollback only deletes it and never verifies again.
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
    ) -> None:
        """
        :param scope: the parent construct.
        :param id: the construct's id.
        :param repository: the repository that holds the image.
        :param tag: the image's tag. Exactly one of tag and digest; either may be a token
        :param digest: the image's digest, `sha256:…`
        :param runs_on: the runtimes that must be able to pull and start the image. Default: Fargate
        :param platform: the platform that the image must be for. Default: linux/amd64
        :param min_size: least compressed size of the image. Default: no bound
        :param max_size: largest compressed size of the image. Default: no bound
        :param verify_layers: read every layer's bytes as the runtime would, and look for what the image starts. The
            verifier gets the memory and the time for it, by max_size. Default: False
        :param fail_on: from which severity on a finding refuses the image: an error, a warning too, or never, which
            shows what was found in the stack's outputs and deploys. A fault always fails. Default: an error
        :param require: conditions beyond what the runtimes ask for, such as `Require.NON_ROOT_USER`. Default: none
        :param acknowledge: reasons for which findings are waived, by the finding's id (docs/checks.md). Default: none
        :param on_failure: whether the verifier may remove the tag of an image that it refuses and that none of the
            runtimes can pull, so that the next deploy pushes again (docs/policy.md). Default: the tag is kept
        :param notify: the topic that gets the report of a refusal or of a doubt. Default: none
        :param pin: whether `image_uri` names the verified digest or the tag. Default: the digest
        :param gate: whether every ECS service of the stack, nested ones included, waits for this verification,
            or only what uses the image. Default: the services of the stack
        :param verifier: the Lambda that verifies. Default: the one of the stack
        :param service_timeout: how long CloudFormation waits for an answer, at most one hour.
            Default: what the verifier has for this image, and a minute
        :param local_image: name of the image in the builder's own store, for the commands that mend it.
            Default: no such commands
        :raises ValueError: for what cannot be met or is not an image; the message says what to write instead.
        """
        super().__init__(scope, id)
        path = self.node.path
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
        self._settled = options.settled(path)
        self._policy = self._settled.policy
        self._tag, self._digest = _tag_or_digest(path, tag, digest)
        _check_tag(path, self._tag, self._settled)
        self.repository = repository
        self._repository_uri = repository.repository_uri
        self._told: set[str] = set()
        self._verified: CustomResource | None = None
        self._needs: list[IConstruct] = []
        StackResources.of(Stack.of(self)).verifications.append(self)
        if is_switched_on(self):
            self._verify(options, service_timeout, {"LocalImage": local_image})

    @property
    def image_uri(self) -> str:
        """The image's URI. Whatever uses it waits for the verification.

        In the stack of the verification it is pinned to the verified digest, as long as `pin` does not say
        otherwise. In another stack it names the tag, and that stack depends on this one: an export of a value
        that changes with each image could never be changed while it is imported.
        """
        return self._lazy("ImageUri")

    @property
    def plain_uri(self) -> str:
        """The image's URI as it was given, by its tag or its digest. What uses it does not wait."""
        return self._unverified("ImageUri")

    @property
    def image_tag(self) -> str:
        """The image's tag. Whatever uses it waits for the verification.

        :raises ValueError: if the image was given by its digest.
        """
        if self._tag is None:
            raise ValueError(f"{self.node.path} was given a digest and has no image_tag: use image_uri")
        return self._lazy("ImageTag")

    @property
    def image_digest(self) -> str:
        """The verified digest, `sha256:…`. Whatever uses it waits for the verification.

        It works as `tag_or_digest` too, and in the stack of the verification only. Where verification is
        switched off it is the tag.
        """
        if self._verified is None and self._digest is None:
            return self._lazy("ImageTag")
        # CDK tells a digest from a tag by how the text begins, so that no token may stand there.
        return f"sha256:{self._lazy('ImageDigest')}"

    def container_image(self) -> ecs.ContainerImage:
        """The image for an ECS container, with the permission to pull it."""
        return ecs.ContainerImage.from_ecr_repository(self._verified_repository(), self._tag or self._digest)

    def docker_image_code(
        self,
        *,
        cmd: Sequence[str] | None = None,
        entrypoint: Sequence[str] | None = None,
        working_directory: str | None = None,
    ) -> lambda_.DockerImageCode:
        """The image for a `lambda_.DockerImageFunction`.

        :param cmd: instead of the image's CMD. Default: the image's
        :param entrypoint: instead of the image's ENTRYPOINT. Default: the image's
        :param working_directory: instead of the image's WORKDIR. Default: the image's
        """
        return lambda_.DockerImageCode.from_ecr(
            self._verified_repository(),
            tag_or_digest=self._tag or self._digest,
            cmd=None if cmd is None else list(cmd),
            entrypoint=None if entrypoint is None else list(entrypoint),
            working_directory=working_directory,
        )

    @property
    def resource(self) -> CfnResource:
        """The custom resource in the template, for those who depend on it by hand.

        :raises ValueError: if verification is switched off.
        """
        if self._verified is None:
            raise ValueError(f"{self.node.path} has no resource: context {_SWITCH} is off")
        resource = self._verified.node.default_child
        assert isinstance(resource, CfnResource)
        return resource

    def wait(self, resource: CfnResource, *, runs: bool) -> None:
        """Let a resource wait that names the image by itself, and tell where it cannot run the image.

        :param resource: a resource of any stack of the app.
        :param runs: whether it runs the image, and does not only name it.
        """
        if self._verified is None:
            return
        if runs and (consumer := consumer_at(resource)):
            self._check_consumer(resource, consumer)
        stack, own = top_level(Stack.of(resource)), top_level(Stack.of(self))
        if stack is own:
            resource.node.add_dependency(self.resource)
        else:
            self._depend(resource, stack, own)

    def is_of(self, repository: ecr.IRepository, tag: str) -> bool:
        """Whether it verifies this image: a copy in another repository is another image, also under the same tag.

        :param repository: the image's.
        :param tag: the image's.
        """
        if self._tag != tag:
            return False
        ours, theirs = Stack.of(self).resolve([self.repository.repository_arn, repository.repository_arn])
        return bool(ours == theirs)

    @property
    def needs(self) -> list[IConstruct]:
        """What must be there before the verification, dependencies by hand aside."""
        return self._needs

    def _verify(
        self,
        options: Options,
        service_timeout: Duration | None,
        more: Mapping[str, str | None],
    ) -> None:
        stack = Stack.of(self)
        parts = StackResources.of(stack)
        settled, topic = self._settled, options.notify
        verifier = options.verifier or parts.verifier()
        verifier_name = parts.verifier_name(verifier)
        path = self.node.path
        _check_same_environment(path, stack, verifier)
        timeout = _service_timeout(path, service_timeout, verifier.allow(self._policy))
        properties: dict[str, Any] = {
            "RepositoryArn": self.repository.repository_arn,
            "RepositoryUri": self._repository_uri,
            "ImageTag": self._tag,
            "ImageDigest": self._digest,
            "RunsOn": list(self._policy.runs_on),
            "Platform": str(self._policy.platform),
            "Pin": settled.pin.value,
            "MinSize": _text(self._policy.min_size),
            "MaxSize": _text(self._policy.max_size),
            "VerifyLayers": "true" if self._policy.verify_layers else None,
            "FailOn": None if settled.policy.fail_on is FailOn.ERROR else settled.policy.fail_on.value,
            "Require": list(map(str, self._policy.require)) or None,
            "Acknowledge": dict(self._policy.acknowledge) or None,
            "OnFailure": None if settled.on_failure is OnFailure.KEEP else settled.on_failure.value,
            "NotifyTopicArn": topic and topic.topic_arn,
            "ConstructPath": self.user_path,
            **more,
        }
        properties = {name: value for name, value in properties.items() if value is not None}

        permissions = parts.permissions(verifier_name, verifier, properties["RepositoryArn"])
        resolved = stack.resolve(properties)
        if _changes_at_deploy(resolved):
            permissions.allow_own_stack_status()
        if settled.on_failure is OnFailure.UNTAG:
            permissions.allow_untagging()
        if topic is not None:
            permissions.allow_publishing(topic)

        self._verified = CustomResource(
            self,
            "Resource",
            resource_type=RESOURCE_TYPE,
            service_token=verifier.function.function_arn,
            service_timeout=timeout,
            properties=properties,
        )
        identity = [resolved, timeout.to_seconds(), verifier_name]
        _append_to_logical_id(self.resource, hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest())
        # The role's permissions must be there when the Lambda is called.
        self._verified.node.add_dependency(permissions.policy)
        self._needs = [
            verifier,
            *filter(None, [topic]),
            *_targets(self.repository.repository_arn, self._tag, self._digest),
        ]
        if settled.gate is Gate.STACK:
            parts.gate(self)
        if settled.policy.fail_on is FailOn.NEVER:
            parts.show_findings(self)

    def _lazy(self, attribute: str) -> str:
        return Lazy.uncached_string(_Reference(self, attribute), display_hint=attribute)

    def _refer(self, scope: IConstruct, attribute: str) -> str:
        """What an attribute is where it is used, and what is wrong with using it there."""
        if self._verified is None:
            return self._unverified(attribute)
        consumer = consumer_at(scope)
        if consumer is not None:
            self._check_consumer(scope, consumer)
        stack, own = top_level(Stack.of(scope)), top_level(Stack.of(self))
        if stack is own:
            # In another nested stack CDK makes it that stack's parameter, which is no export.
            value = self._verified.get_att_string(attribute)
            return Fn.select(1, Fn.split(":", value)) if attribute == "ImageDigest" else value
        if attribute == "ImageDigest" and self._digest is None:
            self._tell_error(
                scope,
                f"{_user_path(scope)} uses image_digest of {self.user_path}, which is in another stack: the digest "
                "is only known there, at deploy. Use image_uri, container_image() or docker_image_code().",
            )
        self._depend(scope, stack, own)
        return self._unverified(attribute)

    def _unverified(self, attribute: str) -> str:
        if attribute == "ImageUri":
            return f"{self._repository_uri}:{self._tag}" if self._tag else f"{self._repository_uri}@{self._digest}"
        if attribute == "ImageDigest" and self._digest:
            return self._digest.removeprefix("sha256:")
        return self._tag or ""

    def _depend(self, scope: IConstruct, stack: Stack, own: Stack) -> None:
        # aws-cdk-lib deprecates `add_dependency` in favour of the other, which its older versions have not.
        add = getattr(stack, "add_stack_dependency", stack.add_dependency)
        try:
            add(own, f"{_user_path(scope)} uses the image {self.user_path}")
        except RuntimeError as error:
            reason = str(error).splitlines()[0].rstrip(".")
            self._tell_error(
                scope,
                f"{_user_path(scope)} uses the image {self.user_path} of another stack, and cannot wait for its "
                f"verification: {reason}. Make the image in the stack that uses it.",
            )

    def _check_consumer(self, scope: IConstruct, consumer: Consumer) -> None:
        if consumer.own_region:
            here, there = Stack.of(scope).region, _region(self.repository.repository_arn)
            if here != there and not Token.is_unresolved(here) and not Token.is_unresolved(there):
                self._tell_error(
                    scope,
                    f"{consumer.path} is in {here}, but the image {self.user_path} is in {there}, and Lambda runs "
                    f"images of its own region only. Make the image in a stack of {here}, or verify a replica there.",
                )
                return
        platform = str(self._policy.platform)
        if consumer.platform is not None and consumer.platform != platform:
            remedies = [f"{consumer.remedies[platform]} for {consumer.path}"] if platform in consumer.remedies else []
            if consumer.platform in _CDK_PLATFORMS:
                remedies.insert(0, f"platform={_CDK_PLATFORMS[consumer.platform]} for the image")
            self._tell_error(
                scope,
                f"{consumer.path} runs on {consumer.platform} ({consumer.said_by}), but the image {self.user_path} "
                f"is for {platform} and cannot start there. Write {', or '.join(remedies)}.",
            )
            return
        missing = [name for name in consumer.runs_on if name not in self._policy.runs_on]
        if missing:
            titles = " and ".join(RUNTIMES[name].title for name in missing)
            names = ", ".join(repr(name) for name in dict.fromkeys((*self._policy.runs_on, *missing)))
            Annotations.of(scope).add_warning_v2(
                "cdk-safe-image:not-verified-for-runtime",
                f"{consumer.path} runs the image {self.user_path} on {titles}, for which it is not verified. "
                f"Write runs_on=[{names}] for the image.",
            )

    def _tell_error(self, scope: IConstruct, message: str) -> None:
        # A template is resolved once for each of its elements, to find references, and once as a whole.
        if not isinstance(scope, Stack) and message not in self._told:
            self._told.add(message)
            Annotations.of(scope).add_error(message)

    @property
    def user_path(self) -> str:
        """The path of what the user wrote: the asset where there is one above."""
        parent = self.node.scope
        if isinstance(parent, VerificationHolder):
            return parent.image.node.path
        return parent.node.path if isinstance(parent, ASSETS) else self.node.path

    def _verified_repository(self) -> ecr.IRepository:
        child = self.node.try_find_child("Repository")
        if isinstance(child, VerifiedRepository):
            return child
        return VerifiedRepository(self, "Repository", repository=self.repository, image_uri=self.image_uri)


@jsii.implements(IStringProducer)
class _Reference:
    """An attribute of a verified image, which depends on who asks for it."""

    def __init__(self, verification: ImageVerification, attribute: str) -> None:
        self._verification = verification
        self._attribute = attribute

    def produce(self, context: IResolveContext) -> str:
        return self._verification._refer(context.scope, self._attribute)


def is_switched_on(scope: Construct) -> bool:
    """Whether images are verified at all, which the context can switch off for watch, hotswap and emergencies.

    :param scope: where the context is looked up; its stack is warned where it is off.
    :raises ValueError: if the context says neither on nor off.
    """
    value = scope.node.try_get_context(_SWITCH)
    if value in (None, "on", True):
        return True
    if value not in ("off", False):
        raise ValueError(f"{scope.node.path}: context {_SWITCH} is {value!r}: write 'on' or 'off'")
    Annotations.of(Stack.of(scope)).add_warning_v2(
        "cdk-safe-image:verification-off",
        f"Images are deployed without verification, and under their tags, since the context {_SWITCH} is off. "
        "The next deploy without it verifies them.",
    )
    return False


def _tag_or_digest(path: str, tag: str | None, digest: str | None) -> tuple[str | None, str | None]:
    if (tag is None) == (digest is None):
        both = "neither a tag nor a digest" if tag is None else "both a tag and a digest"
        raise ValueError(f"{path} has {both}: write exactly one of tag= and digest=")
    if digest is not None and _is_known_at_synth(digest) and not _DIGEST.fullmatch(digest):
        raise ValueError(f"{path}: digest is {digest!r}: write sha256: and 64 digits of 0-9 and a-f")
    if tag is not None and _is_known_at_synth(tag) and not _TAG.fullmatch(tag):
        hint = "write it as digest=" if tag.startswith("sha256:") else "write the part after the colon of the image"
        raise ValueError(f"{path}: tag is {tag!r}, which no image can have: {hint}")
    return tag, digest


def _check_tag(path: str, tag: str | None, settled: Settled) -> None:
    """What needs a tag has one."""
    if settled.pin is Pin.TAG and tag is None:
        raise ValueError(f"{path}: pin is 'tag', and the image is given by its digest: write pin='digest'")
    if settled.on_failure is OnFailure.UNTAG and tag is None:
        raise ValueError(
            f"{path}: on_failure is 'untag', and the image is given by its digest: there is no tag to remove. Write "
            "on_failure='keep', or the image's tag="
        )
    if settled.on_failure is OnFailure.UNTAG and tag and not _is_known_at_synth(tag):
        raise ValueError(
            f"{path}: on_failure is 'untag', and the tag is only known at deploy: a new value is an update, in which "
            "no tag is ever removed. Write on_failure='keep', or a tag that is known at synth"
        )


def _is_known_at_synth(text: str) -> bool:
    return not Token.is_unresolved(text) and _DYNAMIC not in text


def _check_same_environment(path: str, stack: Stack, verifier: ImageVerifier) -> None:
    other = Stack.of(verifier)
    if other is stack:
        return
    if Stage.of(other) is not Stage.of(stack):
        raise ValueError(
            f"{path} and its verifier {verifier.node.path} are in different stages, between which CDK lets nothing "
            "refer: make an ImageVerifier in each, or leave verifier= out."
        )
    for name in ("region", "account"):
        here, there = (_named(getattr(scope, name)) for scope in (stack, other))
        if here != there:
            raise ValueError(
                f"{path} is in {name} {here}, and its verifier {verifier.node.path} in {there}: CloudFormation calls a "
                f"Lambda of its own {name} only. Make an ImageVerifier in each, or leave verifier= out."
            )


def _named(account_or_region: str) -> str:
    return "one that is only known at deploy" if Token.is_unresolved(account_or_region) else account_or_region


def _service_timeout(path: str, asked: Duration | None, time: Duration) -> Duration:
    if asked is None:
        return time.plus(Duration.seconds(_SERVICE_TIMEOUT_MARGIN))
    seconds = int(asked.to_seconds())
    if not time.to_seconds() < seconds <= _MAX_SERVICE_TIMEOUT:
        raise ValueError(
            f"{path}: service_timeout is {seconds} s: write more than the {time.to_seconds()} s that the verifier has "
            f"for it, and at most {_MAX_SERVICE_TIMEOUT} s"
        )
    return asked


def _changes_at_deploy(value: Any) -> bool:
    """Whether a resolved value may be another at the next deploy of the same template."""
    if isinstance(value, str):
        return _DYNAMIC in value
    if isinstance(value, list):
        return any(map(_changes_at_deploy, value))
    if not isinstance(value, dict):
        return False
    if "Ref" in value:
        return not str(value["Ref"]).startswith("AWS::")
    if "Fn::Sub" in value:
        text = value["Fn::Sub"]
        return not isinstance(text, str) or bool(re.search(r"\$\{(?!AWS::|!)", text))
    if value.keys() & {"Fn::GetAtt", "Fn::ImportValue", "Fn::GetStackOutput", "Fn::Transform"}:
        return True
    return any(map(_changes_at_deploy, value.values()))


def _targets(*texts: str | None) -> list[IConstruct]:
    """The constructs that texts refer to."""
    tokens: list[Any] = [token for text in texts if text for token in Tokenization.reverse_string(text).tokens]
    return [token.target for token in tokens if Reference.is_reference(token)]


def _append_to_logical_id(resource: CfnResource, digest: str) -> None:
    # 255 is CDK's own limit for a logical ID.
    resource.override_logical_id(f"{Stack.of(resource).get_logical_id(resource)[:245]}{digest[:10]}")


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _region(arn: str) -> str:
    """The region of an ARN; where that is not to be read from it, what is only known at deploy."""
    parts = arn.split(":")
    return parts[3] if len(parts) > 3 else Aws.REGION


def _user_path(scope: IConstruct) -> str:
    return scope.node.path.removesuffix("/Resource")


_CDK_PLATFORMS: Final = {
    "linux/amd64": "ecr_assets.Platform.LINUX_AMD64",
    "linux/arm64": "ecr_assets.Platform.LINUX_ARM64",
}
