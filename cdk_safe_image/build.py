"""How an image is built so that it does not break: the build's outputs, and what of them the asset's hash holds."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Final

_NO_ATTESTATION: Final = "attestation-inline=false"
# The only thing that `cdk deploy` passes to `docker build` and that drops the provenance attestation, whatever
# the versions of both (https://github.com/aws/aws-cdk/issues/30258); and OCI types, whose zstd layers every
# engine knows, as containerd before 2.0 does not know `rootfs.diff.tar.zstd`.
_DEFAULT: Final = {"type": "docker", "attestation-inline": "false", "oci-mediatypes": "true"}
# Forced, since without it the layers of the base image stay as they are. There is no estargz: it kills dockerd 28.5.
_COMPRESSIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "as-built": {},
    "gzip": {"compression": "gzip", "force-compression": "true"},
    "zstd": {"compression": "zstd", "force-compression": "true"},
}
# It takes Docker schema 2 alone, which has no zstd: https://github.com/aws/amazon-sagemaker-feedback/issues/180
_SCHEMA_2: Final = frozenset({"sagemaker"})
# No source says whether Lambda unpacks zstd layers.
_DOUBTS_ZSTD: Final = frozenset({"lambda"})
# Neither attaches an attestation. `podman build --output` knows `local` and `tar` alone ("invalid type"), and docker's
# legacy builder knows no output ("unknown flag"): https://docs.podman.io/en/latest/markdown/podman-build.1.html and
# https://github.com/docker/cli/blob/master/cli/command/image/build.go
# finch is nerdctl, which hands an output with `type=docker` to BuildKit as it is, and loads what comes; without one
# its layers would have Docker's types: https://github.com/containerd/nerdctl/blob/main/pkg/cmd/builder/build.go
_BUILDERS_WITHOUT_OUTPUTS: Final = frozenset({"podman"})
_OURS: Final = '{"cdk-safe-image": '
_LEGACY_BUILDER: Final = ("0", "false")
_EPOCH: Final = "SOURCE_DATE_EPOCH"


def default_outputs(runs_on: Collection[str], compression: str | None = None) -> list[str]:
    """The `outputs` of an image for these runtimes.

    :param runs_on: names of runtimes.
    :param compression: of the layers: `gzip`, `zstd` or `as-built`; None is what the runtimes need.
    :raises ValueError: for a compression that a runtime does not take; the message says what to write instead.
    """
    schema_2 = sorted(_SCHEMA_2.intersection(runs_on))
    if schema_2 and compression == "zstd":
        raise ValueError(
            f"compression is 'zstd', and {schema_2[0]} takes Docker schema 2 alone, which has no zstd: write "
            "compression='gzip', or leave it out"
        )
    options = dict(_DEFAULT)
    if schema_2:
        options["oci-mediatypes"] = "false"
    needed = "gzip" if schema_2 or _DOUBTS_ZSTD.intersection(runs_on) else "as-built"
    options |= _COMPRESSIONS[compression or needed]
    return [",".join(f"{name}={value}" for name, value in options.items())]


def doubts(runs_on: Collection[str], compression: str | None) -> list[str]:
    """The runtimes of which nobody says whether they take this compression.

    :param runs_on: names of runtimes.
    :param compression: of the layers.
    """
    return sorted(_DOUBTS_ZSTD.intersection(runs_on)) if compression == "zstd" else []


def passed_outputs(defaults: Sequence[str]) -> list[str]:
    """What of the default outputs can be passed to the builder of this environment.

    :param defaults: outputs that BuildKit understands.
    """
    return list(defaults) if takes_outputs() else []


def takes_outputs() -> bool:
    """Whether the builder of this environment understands BuildKit's outputs."""
    builder = PurePath(os.environ.get("CDK_DOCKER", "docker")).stem.lower()
    legacy = os.environ.get("DOCKER_BUILDKIT", "").lower() in _LEGACY_BUILDER
    return not legacy and builder not in _BUILDERS_WITHOUT_OUTPUTS


def build_args(args: Mapping[str, str] | None, source_date_epoch: int | None) -> dict[str, str] | None:
    """The build arguments, with the time that BuildKit writes into the image instead of its own.

    https://github.com/moby/buildkit/blob/master/docs/build-repro.md

    :param args: the user's.
    :param source_date_epoch: seconds since 1970 (UTC); None leaves BuildKit's clock.
    :raises ValueError: for a time before 1970, one that is no whole number, or one that the user's arguments say too.
    """
    if source_date_epoch is None:
        return None if args is None else dict(args)
    if not isinstance(source_date_epoch, int) or source_date_epoch < 0:
        raise ValueError(
            f"source_date_epoch is {source_date_epoch}: write whole seconds since 1970, such as 1704067200"
        )
    if _EPOCH in (args or {}):
        raise ValueError(f"source_date_epoch and build_args both say {_EPOCH}: leave one of them out")
    return {**(args or {}), _EPOCH: str(source_date_epoch)}


def may_attest(outputs: Iterable[str]) -> bool:
    """Whether an image that is built with these outputs may be pushed with an attestation.

    :param outputs: as the user wrote them.
    """
    return any(_NO_ATTESTATION not in output.replace(" ", "").split(",") for output in outputs)


def extra_hash(outputs: Sequence[str] | None, user: str | None) -> str:
    """What the asset's hash holds beside the context and the other build options.

    The outputs as they are meant, not as one machine's builder can be told them: so two machines agree on the
    tag, and a change of the defaults builds every image anew. It is never empty, so that the first deploy after
    the adoption builds anew too, and never meets a tag that an earlier build has left on an attestation.

    :param outputs: as they are meant; None where the user keeps them out of the hash.
    :param user: the user's own `extra_hash`.
    """
    return json.dumps({"cdk-safe-image": {"outputs": outputs}, "user": user}, sort_keys=True)


def is_ours(user_hash: str | None) -> bool:
    """Whether an asset's `extra_hash` is one of `extra_hash` above: the asset's build is set already.

    :param user_hash: the asset's; None where it has none.
    """
    return user_hash is not None and user_hash.startswith(_OURS)
