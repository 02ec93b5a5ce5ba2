"""`SafeDockerImageAsset`: a drop-in for `DockerImageAsset` whose image is built not to break, and verified."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aws_cdk import Annotations, IgnoreMode, Size, Stack, SymlinkFollowMode
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
    with_defaults,
)
from .verification import ImageVerification
from .verifier import ImageVerifier

# The first CLI that builds without attestations. https://github.com/aws/aws-cdk/issues/30258
_CLI_WITHOUT_ATTESTATIONS: Final = (2, 179, 0)


class SafeDockerImageAsset(ecr_assets.DockerImageAsset):
    """A `DockerImageAsset` that ECS, Fargate or Lambda can pull and start, or that fails its own deploy.

    Its platform is pinned, it is built without attestation and with layer types that every runtime knows, and an
    `ImageVerification` looks at what was pushed before anything refers to it. `asset_hash` alone is known at synth
    and waits for nothing.
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
        :param directory: the folder that holds the Dockerfile, and the build's context.
        :param runs_on: the runtimes that must be able to pull and start the image. Default: Fargate
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
        :param gate: whether every ECS service of the stack, nested ones included, waits for the verification, or
            only what uses the image. Default: the services of the stack
        :param verifier: the Lambda that verifies. Default: the one of the stack
        :param compression: of every layer, those of the base image included; needs BuildKit, and a store of images
            that is containerd's (docs/constructs.md). Default: as built; gzip for Lambda and SageMaker
        :param source_date_epoch: seconds since 1970 (UTC), as the build argument SOURCE_DATE_EPOCH: BuildKit writes
            it into the image as the time at which it was made. Default: the time of the build
        :param asset_name: identifies the image for the AppStagingSynthesizer. Default: none
        :param build_args: build arguments. Default: none
        :param build_contexts: further build contexts, by name. Default: none
        :param build_secrets: build secrets. Default: none
        :param build_ssh: SSH agent socket or keys for the build. Default: none
        :param cache_disabled: build without cache. Default: False
        :param cache_from: where the build takes its cache from. Default: the builder's own
        :param cache_to: where the build puts its cache. Default: the builder's own
        :param display_name: the image's name in the CLI's progress. Default: the construct path in the stack
        :param file: path of the Dockerfile in the directory. Default: Dockerfile
        :param invalidation: which of these the asset's hash holds. Default: all, and of the outputs those that
            are written here
        :param network_mode: network of the build's RUN commands. Default: the builder's
        :param outputs: the build's outputs; an empty list passes none. Default: one image without attestation,
            with OCI media types, or what the runtimes need instead, and the compression; none where CDK_DOCKER is
            podman, or where DOCKER_BUILDKIT is 0
        :param platform: the platform that the image is built for. Default: linux/amd64
        :param target: the Dockerfile's stage to build. Default: the last
        :param extra_hash: what the asset's hash should hold beside the sources. Default: nothing
        :param exclude: patterns of files that are not part of the context. Default: none
        :param follow_symlinks: how the context treats symlinks. Default: they are not followed
        :param ignore_mode: how `exclude` is read. Default: as .dockerignore
        :raises ValueError: for what cannot be built or met; the message says what to write instead.
        """
        path = f"{scope.node.path}/{id}".lstrip("/")
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
        asked = options.settled(path).policy
        check_types(path, directory=directory, outputs=outputs)
        _check_dockerfile(path, directory, file)
        chosen = None if compression is None else enum_member(path, "compression", Compression, compression).value
        if chosen is not None and outputs is not None:
            raise ValueError(f"{path} has compression and outputs: write the compression into the outputs")
        try:
            defaults = build.default_outputs(asked.runs_on, chosen)
            args = build.build_args(build_args, source_date_epoch)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        hashed = _Hashed.of(invalidation, defaults if outputs is None else list(outputs), extra_hash)
        # The one keyword that the oldest aws-cdk-lib in our range does not have.
        newer: dict[str, Any] = {} if build_contexts is None else {"build_contexts": build_contexts}
        passed = build.passed_outputs(defaults) if outputs is None else outputs
        super().__init__(
            scope,
            id,
            directory=directory,
            platform=options.platform or ecr_assets.Platform.LINUX_AMD64,
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
        self._warn(outputs, asked.runs_on, chosen)
        self._verification = ImageVerification(
            self,
            "Verification",
            repository=self.repository,
            tag=super().image_tag,
            **options.keywords,
            # The name that the CLI gives to what it builds, and by which it finds it again.
            # https://github.com/aws/aws-cdk-cli/tree/main/packages/%40aws-cdk/cdk-assets-lib
            local_image=f"cdkasset-{self.asset_hash}",
        )
        self.image_uri = self._verification.image_uri

    @property
    def verification(self) -> ImageVerification:
        """The verification of this image."""
        return self._verification

    @property
    def image_tag(self) -> str:
        """The image's tag. Whatever uses it waits for the verification."""
        return self._verification.image_tag

    @property
    def image_digest(self) -> str:
        """The verified digest, `sha256:…`, in the stack of the asset. Whatever uses it waits for the verification.

        It works as `tag_or_digest` too. Where verification is switched off it is the tag.
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

        :param cmd: instead of the image's CMD. Default: the image's
        :param entrypoint: instead of the image's ENTRYPOINT. Default: the image's
        :param working_directory: instead of the image's WORKDIR. Default: the image's
        """
        return self._verification.docker_image_code(cmd=cmd, entrypoint=entrypoint, working_directory=working_directory)

    def _warn(self, outputs: Sequence[str] | None, runs_on: Sequence[str], compression: str | None) -> None:
        warn_of_attestation(self, outputs or ())
        if doubted := build.doubts(runs_on, compression):
            Annotations.of(self).add_warning_v2(
                "cdk-safe-image:compression-doubted",
                f"compression is {compression!r}, and no source says whether {doubted[0]} unpacks it. Write "
                "compression='gzip', or leave it out.",
            )
        if compression in ("gzip", "zstd") and not build.takes_outputs():
            Annotations.of(self).add_warning_v2(
                "cdk-safe-image:compression-not-passed",
                f"compression is {compression!r}, which this builder cannot be told: podman and Docker's legacy "
                "builder know no such output. The image's layers are as the builder makes them.",
            )
        version = os.environ.get("CDK_CLI_VERSION", "")
        numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
        if numbers and tuple(map(int, numbers.groups())) < _CLI_WITHOUT_ATTESTATIONS:
            Annotations.of(Stack.of(self)).add_warning_v2(
                "cdk-safe-image:old-cdk-cli",
                f"CDK CLI {version} lets docker push a provenance attestation beside each image, which can take the "
                "image's tag in a repository with immutable tags and leaves an image of size 0 that cannot be "
                "pulled. Images of SafeDockerImageAsset are built without one where the builder is BuildKit. "
                "Upgrade to aws-cdk 2.179.0 or later.",
            )


def warn_of_attestation(image: Construct, outputs: Sequence[str]) -> None:
    """Warn where an image's build may push an attestation.

    :param image: the asset.
    :param outputs: of its build, as the user wrote them.
    """
    if build.may_attest(outputs):
        Annotations.of(image).add_warning_v2(
            "cdk-safe-image:outputs-may-attest",
            f"The outputs {list(outputs)} let the build push a provenance attestation beside the image, which "
            "can take the image's tag in a repository with immutable tags. Add attestation-inline=false to each.",
        )


@dataclass(frozen=True)
class _Hashed:
    """What the asset's hash holds of the build options: `extra_hash` stands for the outputs too."""

    invalidation: ecr_assets.DockerImageAssetInvalidationOptions
    extra_hash: str

    @classmethod
    def of(
        cls,
        asked: ecr_assets.DockerImageAssetInvalidationOptions | dict[str, Any] | None,
        outputs: list[str],
        extra_hash: str | None,
    ) -> _Hashed:
        options = ecr_assets.DockerImageAssetInvalidationOptions(**asked) if isinstance(asked, dict) else asked
        names = list(inspect.signature(ecr_assets.DockerImageAssetInvalidationOptions.__init__).parameters)[1:]
        chosen = {name: getattr(options, name, None) for name in names}
        return cls(
            ecr_assets.DockerImageAssetInvalidationOptions(**{**chosen, "outputs": False, "extra_hash": True}),
            build.extra_hash(
                None if chosen["outputs"] is False else outputs,
                None if chosen["extra_hash"] is False else extra_hash,
            ),
        )


def _check_dockerfile(path: str, directory: str, file: str | None) -> None:
    folder = Path(directory)
    if not folder.is_dir():
        raise ValueError(f"{path}: directory is {directory!r}, which is no folder: write the one of the Dockerfile")
    # CDK looks for a path that begins with a slash in the directory too.
    if not (folder / (file or "Dockerfile").lstrip("/")).is_file():
        raise ValueError(
            f"{path}: {directory!r} holds no {file or 'Dockerfile'}: write directory= of the folder that holds it, "
            "or file= of its path in there"
        )
