"""How an image is built so that it does not break: the build's outputs, and what of them the asset's hash holds."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Final

_NO_ATTESTATION: Final = "attestation-inline=false"
# The only thing that `cdk deploy` passes to `docker build` and that drops the provenance attestation, whatever
# the versions of both (https://github.com/aws/aws-cdk/issues/30258); and OCI types, whose zstd layers every
# engine knows, as containerd before 2.0 does not know `rootfs.diff.tar.zstd`.
_DEFAULT: Final = {"type": "docker", "attestation-inline": "false", "oci-mediatypes": "true"}
_GZIP: Final = {"compression": "gzip", "force-compression": "true"}
# What a runtime needs beyond that, or instead.
_RUNTIME_OPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    # No source says whether Lambda unpacks zstd layers.
    "lambda": _GZIP,
    # It takes Docker schema 2 alone: https://github.com/aws/amazon-sagemaker-feedback/issues/180
    "sagemaker": {"oci-mediatypes": "false"} | _GZIP,
}
# Neither attaches an attestation. `podman build --output` knows `local` and `tar` alone, and docker's legacy builder
# knows no output: https://docs.podman.io/en/latest/markdown/podman-build.1.html and
# https://github.com/docker/cli/blob/master/cli/command/image/build.go
_BUILDERS_WITHOUT_OUTPUTS: Final = frozenset({"podman"})
_OURS: Final = '{"cdk-safe-image": '
_LEGACY_BUILDER: Final = ("0", "false")


def default_outputs(runs_on: Iterable[str]) -> list[str]:
    """The `outputs` of an image for these runtimes.

    :param runs_on: names of runtimes.
    """
    options = dict(_DEFAULT)
    for name in runs_on:
        options |= _RUNTIME_OPTIONS.get(name, {})
    return [",".join(f"{name}={value}" for name, value in options.items())]


def passed_outputs(defaults: Sequence[str]) -> list[str]:
    """What of the default outputs can be passed to the builder of this environment.

    :param defaults: outputs that BuildKit understands.
    """
    builder = PurePath(os.environ.get("CDK_DOCKER", "docker")).stem.lower()
    legacy = os.environ.get("DOCKER_BUILDKIT", "").lower() in _LEGACY_BUILDER
    return [] if legacy or builder in _BUILDERS_WITHOUT_OUTPUTS else list(defaults)


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
