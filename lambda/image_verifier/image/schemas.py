"""The schemas with which the two families of engines decode an index, a manifest and a config.

containerd decodes into the OCI specification's structs, dockerd into its registry client's and its own:
https://github.com/opencontainers/image-spec/blob/main/specs-go/v1
https://github.com/distribution/distribution/tree/release/2.8/manifest
https://github.com/moby/moby/blob/master/daemon/internal/image/image.go
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from . import media_types
from .go_json import (
    BOOL,
    BYTES,
    DIGEST,
    INT,
    INT64,
    RAW,
    STRING,
    TIME,
    GoJsonError,
    JsonText,
    ListOf,
    MapOf,
    Scalar,
    Shape,
    StringOrList,
    Struct,
    zero,
)

_STRINGS: Final = ListOf(STRING)
_MAP: Final = MapOf(STRING)
_SET: Final = MapOf(Struct("struct {}", {}))

_PLATFORM: Final = Struct(
    "v1.Platform",
    {"architecture": STRING, "os": STRING, "os.version": STRING, "os.features": _STRINGS, "variant": STRING},
    pointer=True,
)


def _descriptor(go: str, **more: Shape) -> Struct:
    return Struct(
        go,
        {
            "mediaType": STRING,
            "digest": DIGEST,
            "size": INT64,
            "urls": _STRINGS,
            "annotations": _MAP,
            "platform": _PLATFORM,
            **more,
        },
    )


def _index(go: str, descriptor: Struct, **more: Shape) -> Struct:
    return Struct(go, {"schemaVersion": INT, "mediaType": STRING, "manifests": ListOf(descriptor), **more})


def _manifest(go: str, descriptor: Struct, **more: Shape) -> Struct:
    return Struct(
        go,
        {"schemaVersion": INT, "mediaType": STRING, "config": descriptor, "layers": ListOf(descriptor), **more},
    )


_OCI_DESCRIPTOR: Final = _descriptor("v1.Descriptor", data=BYTES, artifactType=STRING)
_DOCKER_DESCRIPTOR: Final = _descriptor("distribution.Descriptor")
_SUBJECT: Final = replace(_OCI_DESCRIPTOR, pointer=True)
# The fields of a manifest beside its config and layers.
_OCI: Final[Mapping[str, Shape]] = {"artifactType": STRING, "subject": _SUBJECT, "annotations": _MAP}

_HISTORY: Final = ListOf(
    Struct(
        "v1.History",
        {"created": TIME, "created_by": STRING, "author": STRING, "comment": STRING, "empty_layer": BOOL},
    )
)


def _image(go: str, config: Struct, rootfs: Struct, **more: Shape) -> Struct:
    return Struct(
        go,
        {
            "created": TIME,
            "author": STRING,
            "architecture": STRING,
            "os": STRING,
            "os.version": STRING,
            "os.features": _STRINGS,
            "variant": STRING,
            "config": config,
            "rootfs": rootfs,
            "history": _HISTORY,
            **more,
        },
    )


_RUN: Final[Mapping[str, Shape]] = {
    "User": STRING,
    "ExposedPorts": _SET,
    "Env": _STRINGS,
    "Entrypoint": _STRINGS,
    "Cmd": _STRINGS,
    "Volumes": _SET,
    "WorkingDir": STRING,
    "Labels": _MAP,
    "StopSignal": STRING,
    "ArgsEscaped": BOOL,
}
_DURATIONS: Final = ("Interval", "Timeout", "StartPeriod", "StartInterval")
_DOCKER_RUN: Final[Mapping[str, Shape]] = {
    **_RUN,
    "Entrypoint": StringOrList(),
    "Cmd": StringOrList(),
    "Shell": StringOrList(),
    "Hostname": STRING,
    "Domainname": STRING,
    "Image": STRING,
    "MacAddress": STRING,
    "OnBuild": _STRINGS,
    **dict.fromkeys(("AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce"), BOOL),
    "NetworkDisabled": BOOL,
    "StopTimeout": INT,
    "Healthcheck": Struct(
        "container.HealthConfig",
        {"Test": _STRINGS, "Retries": INT, **dict.fromkeys(_DURATIONS, INT64)},
    ),
}
_DOCKER_RUN_STRUCT: Final = Struct("container.Config", _DOCKER_RUN)

_OCI_ROOTFS: Final = Struct("v1.RootFS", {"type": STRING, "diff_ids": ListOf(DIGEST)})
_OCI_IMAGE: Final = _image("v1.Image", Struct("v1.ImageConfig", _RUN), _OCI_ROOTFS)
_DOCKER_OCI_IMAGE: Final = _image(
    "v1.DockerOCIImage",
    # https://github.com/moby/docker-image-spec/blob/v1.3.1/specs-go/v1/image.go
    Struct(
        "v1.DockerOCIImageConfig",
        {
            **_RUN,
            "OnBuild": _STRINGS,
            "Shell": _STRINGS,
            "Healthcheck": Struct(
                "v1.HealthcheckConfig",
                {"Test": _STRINGS, "Retries": INT, **dict.fromkeys(_DURATIONS, INT64)},
                pointer=True,
            ),
        },
    ),
    _OCI_ROOTFS,
)
# https://github.com/containerd/containerd/blob/v2.1.9/core/unpack/unpacker.go, unpackConfig
_UNPACKED: Final = Struct(
    "unpack.unpackConfig",
    {**_PLATFORM.fields, "rootfs": _OCI_ROOTFS},
)
_DOCKER_IMAGE: Final = _image(
    "image.Image",
    _DOCKER_RUN_STRUCT,
    Struct("image.RootFS", {"type": STRING, "diff_ids": ListOf(Scalar("layer.DiffID", ""))}, pointer=True),
    id=STRING,
    parent=STRING,
    comment=STRING,
    container=STRING,
    container_config=_DOCKER_RUN_STRUCT,
    docker_version=STRING,
    Size=INT64,
)

# Both look at these before they decode, since CVE-2021-41190: containerd's core/images/image.go,
# validateMediaType, and the `validate` functions of dockerd's registry client.
_OCI_KIND: Final = Struct(
    "images.unknownDocument",
    {"mediaType": STRING, "config": RAW, "layers": RAW, "manifests": RAW, "fsLayers": RAW},
)
_DOCKER_KIND: Final = Struct("struct", {"config": RAW, "layers": RAW, "manifests": RAW})


def _containerd_kind(media_type: str, document: JsonText) -> None:
    try:
        _validate_media_type(media_type, document)
    except GoJsonError as e:
        digest = hashlib.sha256(document.content).hexdigest()
        raise GoJsonError(f"children: invalid desc sha256:{digest}: {e}") from e


def _validate_media_type(media_type: str, document: JsonText) -> None:
    kind = document.fill(_OCI_KIND)
    if kind["fsLayers"] is not None:
        raise GoJsonError("media-type: schema 1 not supported")
    if media_types.is_manifest(media_type):
        if kind["manifests"] is not None or media_types.is_index(kind["mediaType"]):
            raise GoJsonError(f"media-type: expected manifest but found index ({media_type})")
    elif kind["config"] is not None or kind["layers"] is not None or media_types.is_manifest(kind["mediaType"]):
        raise GoJsonError(f"media-type: expected index but found manifest ({media_type})")


_OCI_MANIFEST: Final = _manifest("v1.Manifest", _OCI_DESCRIPTOR, **_OCI)
OCI_INDEX: Final = _index("v1.Index", _OCI_DESCRIPTOR, **_OCI)
_DOCKER_DOCUMENTS: Final = {
    media_types.OCI_MANIFEST: _manifest("ocischema.Manifest", _DOCKER_DESCRIPTOR, annotations=_MAP),
    media_types.DOCKER_MANIFEST: _manifest("schema2.Manifest", _DOCKER_DESCRIPTOR),
    media_types.OCI_INDEX: _index("manifestlist.ManifestList", _DOCKER_DESCRIPTOR),
    media_types.DOCKER_INDEX: _index("manifestlist.ManifestList", _DOCKER_DESCRIPTOR),
}


def _by_containerd(shape: Struct) -> Decoder:
    def run(media_type: str, document: JsonText) -> dict[str, Any]:
        _containerd_kind(media_type, document)
        return document.fill(shape)

    return run


def _by_dockerd(media_type: str, document: JsonText) -> dict[str, Any]:
    held = {name for name, value in document.fill(_DOCKER_KIND).items() if value not in (None, "null")}
    if media_type == media_types.OCI_MANIFEST and "manifests" in held:
        raise GoJsonError("ocimanifest: expected manifest but found index")
    if media_type == media_types.OCI_INDEX and held & {"config", "layers"}:
        raise GoJsonError("index: expected index but found manifest")
    return document.fill(_DOCKER_DOCUMENTS[media_type], since_1_24=True)


def _docker_image(_: str, document: JsonText) -> dict[str, Any]:
    value = document.fill(_DOCKER_IMAGE, since_1_24=True)
    # A config without `rootfs` is refused by a check of its own.
    return value if value["rootfs"] is not None else {**value, "rootfs": zero(_OCI_ROOTFS)}


_UNPACKING: Final = "unmarshal image config: "
_LISTING: Final = 'failed to update image store "sha256:{digest}": get image info from containerd: get image diffIDs: '
_STARTING: Final = "could not deserialize image config: "


def _fill(document: JsonText, shape: Struct, stage: str, *, since_1_24: bool = False) -> dict[str, Any]:
    try:
        return document.fill(shape, since_1_24=since_1_24)
    except GoJsonError as e:
        raise GoJsonError(f"{stage}{e}") from e


def _fill_twice(document: JsonText, shape: Struct, stage: str) -> dict[str, Any]:
    _fill(document, _UNPACKED, _UNPACKING, since_1_24=True)
    return _fill(document, shape, stage, since_1_24=True)


def config_error(error: str) -> str:
    """An engine's error for a config without the words for the stage at which it failed."""
    return re.sub(r"^(unmarshal image config|could not deserialize image config|.* get image diffIDs): ", "", error)


Decoder = Callable[[str, JsonText], dict[str, Any]]
INDEX: Final[Mapping[str, Decoder]] = {"containerd": _by_containerd(OCI_INDEX), "dockerd": _by_dockerd}
MANIFEST: Final[Mapping[str, Decoder]] = {"containerd": _by_containerd(_OCI_MANIFEST), "dockerd": _by_dockerd}
# containerd 2 reads what it unpacks first, and the whole config for its list of images; dockerd does the same with its
# containerd store, and reads the whole config when it starts a container.
CONTAINERD_2: Final = "containerd 2"
DOCKERD_CONTAINERD_STORE: Final = "dockerd, containerd store"
CONFIG: Final[Mapping[str, Decoder]] = {
    "containerd": lambda _, document: _fill(document, _OCI_IMAGE, _UNPACKING),
    "dockerd": _docker_image,
    CONTAINERD_2: lambda _, document: _fill_twice(
        document, _OCI_IMAGE, _LISTING.format(digest=hashlib.sha256(document.content).hexdigest())
    ),
    DOCKERD_CONTAINERD_STORE: lambda _, document: _fill_twice(document, _DOCKER_OCI_IMAGE, _STARTING),
}
# The families that all engines belong to.
FAMILIES: Final = frozenset(MANIFEST)


class Unreadable(ValueError):
    """A document that every family of engines refuses.

    :param errors_by_engine: each family's error.
    """

    def __init__(self, errors_by_engine: Mapping[str, str]) -> None:
        super().__init__(next(iter(errors_by_engine.values())))
        self.errors_by_engine = errors_by_engine


def decode_as(
    decoders: Mapping[str, Decoder], document: JsonText, media_type: str = ""
) -> tuple[dict[str, Any], Mapping[str, str]]:
    """Decode a document as each family of engines does.

    :param decoders: one of `INDEX`, `MANIFEST`, `CONFIG`.
    :param document: the document, which is parsed once for all of them.
    :param media_type: what the registry says that it is.
    :returns: what the first decoder that accepts it reads, and the errors of the others.
    :raises Unreadable: if every decoder refuses it.
    """
    first: dict[str, Any] | None = None
    errors: dict[str, str] = {}
    for name, decoder in decoders.items():
        try:
            value = decoder(media_type, document)
        except GoJsonError as e:
            errors[name] = str(e)
        else:
            # The others' values are as large as this one, and not needed.
            first = value if first is None else first
    if first is None:
        raise Unreadable(errors)
    return first, errors


_ROOTFS: Final = Struct("image.Image", {"rootfs": RAW})


def has_rootfs(config: JsonText) -> bool:
    """Whether a config that can be read has a `rootfs`, which dockerd distinguishes from an empty one."""
    return config.fill(_ROOTFS)["rootfs"] not in (None, "null")
