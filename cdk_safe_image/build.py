"""The build of an image: outputs that every runtime can pull, and the part of them that the asset hash includes."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Final

from constructs import Construct
from image_verifier.rules.names import BuildOutputs

_NO_ATTESTATION: Final = "attestation-inline=false"
# An output is the only option of `cdk deploy` that removes the provenance attestation with every version of CDK and
# docker (https://github.com/aws/aws-cdk/issues/30258). The media types are OCI's, because every engine knows their
# zstd layers, while containerd before 2.0 does not know Docker's `rootfs.diff.tar.zstd`.
_DEFAULT: Final = {"type": "docker", "attestation-inline": "false", "oci-mediatypes": "true"}
# Forced, because otherwise the layers of the base image keep their compression. estargz is missing: it crashes dockerd
# 28.5.
_COMPRESSIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "as-built": {},
    "gzip": {"compression": "gzip", "force-compression": "true"},
    "zstd": {"compression": "zstd", "force-compression": "true"},
}
# It only accepts Docker schema 2, which has no zstd: https://github.com/aws/amazon-sagemaker-feedback/issues/180
_SCHEMA_2: Final = frozenset({"sagemaker"})
# No source says whether Lambda unpacks zstd layers.
_ZSTD_UNKNOWN: Final = frozenset({"lambda"})
# Neither adds an attestation. `podman build --output` only knows `local` and `tar` ("invalid type"), and docker's
# legacy builder does not know the option ("unknown flag"):
# https://docs.podman.io/en/latest/markdown/podman-build.1.html
# https://github.com/docker/cli/blob/master/cli/command/image/build.go
# finch is nerdctl, which passes an output with `type=docker` to BuildKit unchanged and loads the result. Without an
# output its layers would have Docker's media types: https://github.com/containerd/nerdctl/blob/main/pkg/cmd/builder/build.go
_BUILDERS_WITHOUT_OUTPUTS: Final = frozenset({"podman"})
_OURS: Final = '{"cdk-safe-image": '
_LEGACY_BUILDER: Final = ("0", "false")
_EPOCH: Final = "SOURCE_DATE_EPOCH"


@dataclass(frozen=True)
class BuildRecord:
    """How `SafeImages` set the build of an image.

    :param platform: such as `linux/amd64`.
    :param outputs: the outputs as they are meant, even if this machine's builder does not accept them.
    :param set_by: who set the outputs.
    :param has_own_platform: whether the user set the platform, or something in the app says it.
    :param properties: all properties of the asset, as CDK passes them to property injectors.
    :param scope: the parent construct of the asset.
    """

    platform: str
    outputs: tuple[str, ...]
    set_by: BuildOutputs
    has_own_platform: bool
    properties: Mapping[str, Any] = field(compare=False, repr=False)
    scope: Construct = field(compare=False, repr=False)


def default_outputs(runs_on: Collection[str], compression: str | None = None) -> list[str]:
    """The `outputs` of an image for some runtimes.

    :param runs_on: names of runtimes.
    :param compression: of the layers: `gzip`, `zstd` or `as-built`; None for the one that the runtimes need.
    :raises ValueError: if a runtime does not accept the compression; the message says what to use instead.
    """
    schema_2 = sorted(_SCHEMA_2.intersection(runs_on))
    if schema_2 and compression == "zstd":
        raise ValueError(
            f"compression is 'zstd', but {schema_2[0]} only accepts Docker schema 2, which has no zstd: use "
            "compression='gzip', or leave it out"
        )
    options = dict(_DEFAULT)
    if schema_2:
        options["oci-mediatypes"] = "false"
    needed = "gzip" if schema_2 or _ZSTD_UNKNOWN.intersection(runs_on) else "as-built"
    options |= _COMPRESSIONS[compression or needed]
    return [",".join(f"{name}={value}" for name, value in options.items())]


def unconfirmed_runtimes(runs_on: Collection[str], compression: str | None) -> list[str]:
    """The runtimes for which no source confirms that they unpack a compression.

    :param runs_on: names of runtimes.
    :param compression: compression of the layers.
    """
    return sorted(_ZSTD_UNKNOWN.intersection(runs_on)) if compression == "zstd" else []


def passed_outputs(defaults: Sequence[str]) -> list[str]:
    """The default outputs that the builder of this environment accepts.

    :param defaults: outputs for BuildKit.
    """
    return list(defaults) if builder_accepts_outputs() else []


def builder_accepts_outputs() -> bool:
    """Whether the builder of this environment accepts BuildKit's outputs."""
    builder = PurePath(os.environ.get("CDK_DOCKER", "docker")).stem.lower()
    legacy = os.environ.get("DOCKER_BUILDKIT", "").lower() in _LEGACY_BUILDER
    return not legacy and builder not in _BUILDERS_WITHOUT_OUTPUTS


def build_args(args: Mapping[str, str] | None, source_date_epoch: int | None) -> dict[str, str] | None:
    """The build arguments, with the time that BuildKit writes into the image as its creation time.

    https://github.com/moby/buildkit/blob/master/docs/build-repro.md

    :param args: the user's build arguments.
    :param source_date_epoch: seconds since 1970 (UTC); None for the time of the build.
    :raises ValueError: if the time is before 1970 or not an integer, or if the user's arguments set it too.
    """
    if source_date_epoch is None:
        return None if args is None else dict(args)
    if type(source_date_epoch) is not int or source_date_epoch < 0:
        raise ValueError(
            f"source_date_epoch is {source_date_epoch!r}: use whole seconds since 1970, such as 1704067200"
        )
    if _EPOCH in (args or {}):
        raise ValueError(f"source_date_epoch and build_args both set {_EPOCH}: leave one of them out")
    return {**(args or {}), _EPOCH: str(source_date_epoch)}


def set_by(outputs: Sequence[str] | None, *, are_hashed: bool = True) -> BuildOutputs:
    """The author of a build's outputs, as the code of the app says; the remedies depend on it.

    :param outputs: the outputs that the user passed; None if the user passed none.
    :param are_hashed: whether the tag depends on them; the user's `invalidation` can leave them out.
    """
    if outputs is None:
        return BuildOutputs.DEFAULT
    return BuildOutputs.CUSTOM if are_hashed else BuildOutputs.CUSTOM_UNHASHED


def may_attest(outputs: Iterable[str]) -> bool:
    """Whether a build with these outputs may push an attestation.

    :param outputs: the user's outputs.
    """
    return any(_NO_ATTESTATION not in output.replace(" ", "").split(",") for output in outputs)


def extra_hash(outputs: Sequence[str] | None, user: str | None) -> str:
    """The asset's `extra_hash`, which adds the outputs to the context and the other build options.

    It contains the outputs as they are meant, even if one machine's builder does not accept them: so two machines agree
    on the tag, and a change of the defaults rebuilds every image. It is never empty, so that the first deploy after the
    adoption rebuilds every image too, and never reuses a tag that an earlier build left on an attestation.

    :param outputs: the outputs as they are meant; None if the user excludes them from the hash.
    :param user: the user's own `extra_hash`.
    """
    return json.dumps({"cdk-safe-image": {"outputs": outputs}, "user": user}, sort_keys=True)


def is_ours(user_hash: str | None) -> bool:
    """Whether this library already set an asset's build: its `extra_hash` is a result of the function above.

    :param user_hash: the asset's `extra_hash`; None if it has none.
    """
    return user_hash is not None and user_hash.startswith(_OURS)
