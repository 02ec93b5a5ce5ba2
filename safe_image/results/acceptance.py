"""The images that each runtime accepts and refuses, computed from the tables of runtimes and engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from image_verifier.image import media_types
from image_verifier.rules.engines import Engine
from image_verifier.rules.runtimes import Runtime, Share

# The standings of a kind of image on a runtime.
STANDINGS: Final = ("accepted", "in doubt", "refused by some hosts", "refused by old hosts", "refused")
_BY_SHARE: Final = {Share.SOME: "refused by some hosts", Share.OLD: "refused by old hosts", Share.ALL: "refused"}

_GZIP: Final = "+gzip"
_ZSTD: Final = "+zstd"
_LAYERS: Final[Mapping[str, str]] = {
    "OCI layers with gzip": media_types.OCI_LAYER + _GZIP,
    "OCI layers with zstd": media_types.OCI_LAYER + _ZSTD,
    "OCI layers without compression": media_types.OCI_LAYER,
    "Docker layers with gzip": media_types.DOCKER_LAYER_GZIP,
    "Docker layers with zstd": media_types.DOCKER_LAYER_ZSTD,
    "Docker layers without compression": media_types.DOCKER_LAYER,
    "encrypted layers": media_types.OCI_LAYER + "+gzip+encrypted",
}
_MANIFESTS: Final[Mapping[str, str]] = {
    "an OCI manifest": media_types.OCI_MANIFEST,
    "a Docker schema 2 manifest": media_types.DOCKER_MANIFEST,
    "an OCI index": media_types.OCI_INDEX,
    "a Docker manifest list": media_types.DOCKER_INDEX,
}
# Whether an engine of a runtime refuses a kind of image, by what is special about it.
_PROPERTIES: Final[Mapping[str, Callable[[Runtime, Engine], bool]]] = {
    "a signed Docker schema 1 manifest": lambda _, engine: not engine.schema_1,
    "an index that lacks another platform's manifest": Runtime.fetches_whole_index,
    "a wrong size in a descriptor": lambda _, engine: engine.exact_sizes,
    "compressed bytes under the plain OCI layer type": lambda _, engine: engine.plain_tar_raw,
    "a `mediaType` that is not the registry's": lambda _, engine: engine.exact_media_type,
    "an index entry with `os.features`": lambda _, engine: all(choice.skips_os_features for choice in engine.choices),
    "more than 125 layers": lambda _, engine: engine.max_layers is not None,
}


def acceptance(runtime: Runtime) -> Iterator[tuple[str, str]]:
    """Each kind of image with its standing, one of `STANDINGS`."""
    for kind, media_type in _MANIFESTS.items():
        yield kind, "refused" if media_type in runtime.refused_manifests else "accepted"
    for kind, media_type in _LAYERS.items():
        yield kind, _layer_standing(runtime, media_type)
    for kind, refuses in _PROPERTIES.items():
        yield kind, _standing(runtime, partial(refuses, runtime))


def _layer_standing(runtime: Runtime, media_type: str) -> str:
    if media_type in runtime.refused_layers:
        return "refused"

    def refuses(engine: Engine) -> bool:
        return not engine.counts(media_type) or engine.reads(media_type) is None

    standing = _standing(runtime, refuses)
    doubtful = media_type in runtime.doubtful_layers or media_types.is_encrypted(media_type)
    return "in doubt" if standing == "accepted" and doubtful else standing


def _standing(runtime: Runtime, refuses: Callable[[Engine], bool]) -> str:
    shares = {host.share for host in runtime.on_hosts if host.share in _BY_SHARE and refuses(host.engine)}
    return next((_BY_SHARE[share] for share in (Share.ALL, Share.SOME, Share.OLD) if share in shares), "accepted")
