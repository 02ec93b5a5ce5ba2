"""`SafeDockerImageAsset`: a drop-in replacement for `DockerImageAsset` that pins its build and verifies its image."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final

import jsii
from aws_cdk import Annotations, IgnoreMode, Size, SymlinkFollowMode
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from constructs import Construct

from . import build
from .argument_types import check_types
from .options import (
    Compression,
    CompressionValue,
    FailOnValue,
    GateValue,
    OnFailureValue,
    Options,
    PinValue,
    RequireValue,
    RunsOnValue,
    enum_member,
    linux_amd64,
    with_defaults,
)
from .repositories import repository_of
from .synthesis.facts import child_path, place, stack_of
from .tokens import is_dummy
from .validation import dockerfile_problem
from .verification import ImageVerification
from .verifier import ImageVerifier

# The first CLI that builds without attestations. https://github.com/aws/aws-cdk/issues/30258
_CLI_WITHOUT_ATTESTATIONS: Final = (2, 179, 0)


class SafeDockerImageAsset(ecr_assets.DockerImageAsset):
    """A `DockerImageAsset` whose deploy fails if ECS, Fargate or Lambda could not pull and start the image.

    The platform is pinned. The image is built without attestation and with layer types that every runtime knows. An
    `ImageVerification` verifies the pushed image before any resource references it. Only `asset_hash` does not wait
    for the verification, because it is known at synth.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        directory: str,
        runs_on: RunsOnValue | Sequence[RunsOnValue] | None = None,
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
        compression: CompressionValue | None = None,
        source_date_epoch: int | None = None,
        asset_name: str | None = None,
        build_args: Mapping[str, str] | None = None,
        build_contexts: Mapping[str, str] | None = None,
        build_secrets: Mapping[str, str] | None = None,
        build_ssh: str | None = None,
        cache_disabled: bool | None = None,
        cache_from: Sequence[ecr_assets.DockerCacheOption | dict[str, Any]] | None = None,
        cache_to: ecr_assets.DockerCacheOption | dict[str, Any] | None = None,
        display_name: str | None = None,
        file: str | None = None,
        invalidation: ecr_assets.DockerImageAssetInvalidationOptions | dict[str, Any] | None = None,
        network_mode: ecr_assets.NetworkMode | None = None,
        outputs: Sequence[str] | None = None,
        platform: ecr_assets.Platform | None = None,
        target: str | None = None,
        extra_hash: str | None = None,
        exclude: Sequence[str] | None = None,
        follow_symlinks: SymlinkFollowMode | None = None,
        ignore_mode: IgnoreMode | None = None,
    ) -> None:
        """
        :param scope: the parent construct.
        :param id: the construct's id.
        :param directory: the build's context: the folder that contains the Dockerfile.
        :param runs_on: the runtimes that must be able to pull and start the image. Default: Fargate
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
        :param compression: compression of all layers, those of the base image included. It requires BuildKit, and
            docker's containerd image store (docs/constructs.md). Default: as built; gzip for Lambda and SageMaker
        :param source_date_epoch: seconds since 1970 (UTC), passed as the build argument SOURCE_DATE_EPOCH: BuildKit
            writes it into the image as its creation time. Default: the time of the build
        :param asset_name: identifies the image for the AppStagingSynthesizer. Default: none
        :param build_args: build arguments. Default: none
        :param build_contexts: additional build contexts, by name. Default: none
        :param build_secrets: build secrets. Default: none
        :param build_ssh: SSH agent socket or keys for the build. Default: none
        :param cache_disabled: build without cache. Default: False
        :param cache_from: the caches that the build reads. Default: the builder's own
        :param cache_to: the cache that the build writes. Default: the builder's own
        :param display_name: the image's name in the CLI's progress. Default: the construct path in the stack
        :param file: path of the Dockerfile in the directory. Default: Dockerfile
        :param invalidation: the build options that the asset's hash includes. Default: all, but only those outputs
            that you set here
        :param network_mode: network of the build's RUN commands. Default: the builder's
        :param outputs: the build's outputs; an empty list passes none. Default: one image with OCI media types and
            without attestation, adapted to the runtimes and the compression; none if CDK_DOCKER is podman or
            DOCKER_BUILDKIT is 0
        :param platform: the platform that the image is built for. Default: linux/amd64
        :param target: the stage of the Dockerfile to build. Default: the last
        :param extra_hash: a value that the asset's hash includes in addition to the sources. Default: none
        :param exclude: patterns of files that are not part of the context. Default: none
        :param follow_symlinks: how the context treats symlinks. Default: they are not followed
        :param ignore_mode: the syntax of `exclude`. Default: that of .dockerignore
        :raises ValueError: if the image cannot be built, or no image can meet the policy; the message says what to use
            instead.
        """
        check_types("SafeDockerImageAsset", scope=scope, id=id)
        path = child_path(scope, id)
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
        runs_on_names = options.resolve(path).policy.runs_on
        check_types(path, directory=directory, outputs=outputs, build_args=build_args, exclude=exclude)
        check_types(path, invalidation=invalidation, extra_hash=extra_hash)
        chosen = None
        if compression is not None and not is_dummy(compression):
            chosen = enum_member(path, "compression", Compression, compression).value
        if chosen is not None and outputs is not None:
            raise ValueError(f"{path} has both compression and outputs: set the compression in the outputs")
        try:
            defaults = build.default_outputs(runs_on_names, chosen)
            args = build.build_args(build_args, source_date_epoch)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        hashed = _HashedOptions.of(invalidation, defaults if outputs is None else list(outputs), extra_hash)
        # The only argument that the oldest supported aws-cdk-lib does not have.
        newer: dict[str, Any] = {} if build_contexts is None else {"build_contexts": build_contexts}
        passed = build.passed_outputs(defaults) if outputs is None else outputs
        try:
            super().__init__(
                scope,
                id,
                directory=directory,
                platform=options.platform or linux_amd64(),
                outputs=passed or None,
                invalidation=hashed.invalidation,
                extra_hash=hashed.extra_hash,
                asset_name=asset_name,
                build_args=args,
                build_secrets=build_secrets,
                build_ssh=build_ssh,
                cache_disabled=cache_disabled,
                cache_from=cache_from,
                cache_to=cache_to,
                display_name=display_name,
                file=file,
                network_mode=network_mode,
                target=target,
                exclude=exclude,
                follow_symlinks=follow_symlinks,
                ignore_mode=ignore_mode,
                **newer,
            )
        except RuntimeError:
            # CDK's message names no construct. CDK alone knows the folder that a relative path begins at.
            if problem := dockerfile_problem(path, directory, file):
                raise ValueError(problem) from None
            raise
        place(self, scope, id)
        self._warn(outputs, runs_on_names, chosen)
        self._verification = ImageVerification(
            self,
            "Verification",
            repository=repository_of(self),
            tag=super().image_tag,
            **options.keywords,
            # The name that the CLI gives to the image that it builds.
            # https://github.com/aws/aws-cdk-cli/tree/main/packages/%40aws-cdk/cdk-assets-lib
            local_image=f"cdkasset-{self.asset_hash}",
            build_outputs=build.set_by(outputs, are_hashed=hashed.has_outputs),
        )
        # For constructs that read it in JavaScript.
        jsii.set(self, "imageUri", self._verification.image_uri)

    @property
    def verification(self) -> ImageVerification:
        """The verification of this image."""
        return self._verification

    # A property would be an override, which JavaScript calls before the verification exists.
    @cached_property
    def image_uri(self) -> str:
        """The image's URI. Every resource that uses it waits for the verification, as `ImageVerification` says."""
        return self._verification.image_uri

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "image_uri" and type(self).image_uri is SafeDockerImageAsset.image_uri:
            # For constructs that read it in JavaScript, as if the attribute of `DockerImageAsset` was set.
            jsii.set(self, "imageUri", value)

    @property
    def image_tag(self) -> str:
        """The image's tag. Every resource that uses it waits for the verification."""
        return self._verification.image_tag

    @property
    def image_digest(self) -> str:
        """The verified digest, `sha256:…`. Every resource that uses it waits for the verification.

        It also works as `tag_or_digest`, but only in the stack of the asset. If verification is switched off, it is the
        tag.
        """
        return self._verification.image_digest

    def container_image(self) -> ecs.ContainerImage:
        """The image for an ECS container, with the permission to pull it."""
        return ecs.ContainerImage.from_docker_image_asset(self)

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
        return self._verification.docker_image_code(cmd=cmd, entrypoint=entrypoint, working_directory=working_directory)

    def _warn(self, outputs: Sequence[str] | None, runs_on: Sequence[str], compression: str | None) -> None:
        warn_of_attestation(self, outputs or ())
        if unconfirmed := build.unconfirmed_runtimes(runs_on, compression):
            Annotations.of(self).add_warning_v2(
                "cdk-safe-image:compression-doubted",
                f"compression is {compression!r}, but no source says whether {unconfirmed[0]} unpacks it. Use "
                "compression='gzip', or leave it out.",
            )
        if compression in ("gzip", "zstd") and not build.builder_accepts_outputs():
            Annotations.of(self).add_warning_v2(
                "cdk-safe-image:compression-not-passed",
                f"compression is {compression!r}, but this builder has no option for it: podman and Docker's legacy "
                "builder do not accept such an output. The layers keep the builder's compression.",
            )
        version = os.environ.get("CDK_CLI_VERSION", "")
        numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
        if numbers and tuple(map(int, numbers.groups())) < _CLI_WITHOUT_ATTESTATIONS:
            Annotations.of(stack_of(self)).add_warning_v2(
                "cdk-safe-image:old-cdk-cli",
                f"With CDK CLI {version}, docker pushes a provenance attestation with each image. In a repository with "
                "immutable tags the attestation can get the image's tag, which leaves an image of size 0 that cannot "
                "be pulled. With BuildKit, SafeDockerImageAsset builds its images without attestation. "
                "Upgrade to aws-cdk 2.179.0 or later.",
            )


def warn_of_attestation(image: Construct, outputs: Sequence[str]) -> None:
    """Add a warning if the build of an image may push an attestation.

    :param image: the asset.
    :param outputs: the outputs of its build, as the user set them.
    """
    if build.may_attest(outputs):
        Annotations.of(image).add_warning_v2(
            "cdk-safe-image:outputs-may-attest",
            f"With the outputs {list(outputs)} the build can push a provenance attestation with the image. In a "
            "repository with immutable tags the attestation can get the image's tag. Add attestation-inline=false to "
            "each output.",
        )


@dataclass(frozen=True)
class _HashedOptions:
    """The build options that the asset's hash includes.

    :param invalidation: the options.
    :param extra_hash: contains the outputs too, unless the user leaves them out.
    :param has_outputs: whether it does.
    """

    invalidation: ecr_assets.DockerImageAssetInvalidationOptions
    extra_hash: str
    has_outputs: bool

    @classmethod
    def of(
        cls,
        user: ecr_assets.DockerImageAssetInvalidationOptions | dict[str, Any] | None,
        outputs: list[str],
        extra_hash: str | None,
    ) -> _HashedOptions:
        options = ecr_assets.DockerImageAssetInvalidationOptions(**user) if isinstance(user, dict) else user
        included = {name: getattr(options, name, None) for name in _invalidation_names()}
        return cls(
            _invalidation(tuple({**included, "outputs": False, "extra_hash": True}.items())),
            build.extra_hash(
                None if included["outputs"] is False else outputs,
                None if included["extra_hash"] is False else extra_hash,
            ),
            included["outputs"] is not False,
        )


@cache
def _invalidation_names() -> tuple[str, ...]:
    """The names of CDK's options, which differ in its versions."""
    parameters = inspect.signature(ecr_assets.DockerImageAssetInvalidationOptions.__init__).parameters
    return tuple(parameters)[1:]


# Most images have the same, and jsii checks the type of each argument.
@cache
def _invalidation(options: tuple[tuple[str, bool | None], ...]) -> ecr_assets.DockerImageAssetInvalidationOptions:
    return ecr_assets.DockerImageAssetInvalidationOptions(**dict(options))
