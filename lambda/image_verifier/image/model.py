"""The model of an image: Platform, Descriptor, Index, Manifest, Config, Layer, Image. Frozen, and parsed once.

Parsing accepts all documents that one of the engines' decoders accepts. The errors of the other decoders are kept
beside the value, and a check turns them into findings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from . import media_types, schemas
from .choices import BY_CONTAINERD, Choice
from .go_json import JsonText
from .schemas import decode_as

# containerd refuses larger manifests: core/remotes/docker/resolver.go, MaxManifestSize.
MAX_MANIFEST_BYTES: Final = 4 * 1048 * 1048
# No engine sets a bound for configs; a real one has some ten KB, and a verifier must not read without end.
MAX_CONFIG_BYTES: Final = 16 * 1024 * 1024
# How deep indexes may lie in each other. Engines do not bound it; nobody has seen more than one.
MAX_INDEX_DEPTH: Final = 8


def sha256(content: bytes) -> str:
    """The digest by which registries name these bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def is_digest(text: str) -> bool:
    """Whether this is a well-formed sha256 digest, the only algorithm that ECR and the engines' registries use."""
    algorithm, _, value = text.partition(":")
    # 125 layers have hundreds of digests, and a loop over their characters would be most of what a check costs.
    return algorithm == "sha256" and len(value) == 64 and not value.strip("0123456789abcdef")


_ARCHITECTURES: Final = {
    "x86_64": ("amd64", None),
    "x86-64": ("amd64", None),
    "i386": ("386", ""),
    "aarch64": ("arm64", None),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
}


@dataclass(frozen=True, order=True)
class Platform:
    """An operating system and an architecture, normalized as containerd does.

    https://github.com/containerd/platforms/blob/main/database.go
    """

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def of(cls, os: str, architecture: str, variant: str = "") -> Platform:
        """Normalize the platform fields of a config or a descriptor.

        :param os: empty stands for linux, as for an engine on Linux.
        :param architecture: such as `amd64`, `x86_64`, `arm64`, `aarch64`.
        :param variant: such as `v7`; empty where there is none.
        """
        os = os.lower() or "linux"
        architecture, variant = architecture.lower(), variant.lower()
        if architecture in _ARCHITECTURES:
            architecture, fixed = _ARCHITECTURES[architecture]
            variant = variant if fixed is None else fixed
        if architecture == "amd64" and variant == "v1":
            variant = ""
        if architecture == "arm64" and variant in ("8", "v8"):
            variant = ""
        if architecture == "arm":
            variant = {"": "v7", "5": "v5", "6": "v6", "7": "v7", "8": "v8"}.get(variant, variant)
        return cls(os, architecture, variant)

    @classmethod
    def parse(cls, text: str) -> Platform:
        """The platform of a text such as `linux/amd64` or `linux/arm64/v8`.

        :param text: operating system, architecture and perhaps a variant, with slashes between them.
        :raises ValueError: if it is not of that form; the message says what to use instead.
        """
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(parts):
            raise ValueError(f"{text!r} is not a platform: use os/architecture, such as linux/amd64")
        return cls.of(*parts)

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))

    def accepts(self) -> tuple[Platform, ...]:
        """The platforms that an engine on this one accepts from an index, best first.

        https://github.com/containerd/platforms/blob/main/compare.go, platformVector
        """
        if self.architecture == "amd64":
            return (self, Platform(self.os, "386"))
        if self.architecture == "arm64" and not self.variant:
            return (self, *(Platform(self.os, "arm", f"v{n}") for n in (8, 7, 6, 5)))
        return (self,)


@dataclass(frozen=True)
class Descriptor:
    """A document's reference to another: its type, its digest and its size in bytes.

    :param platform: the platform of the document; None where the descriptor has none.
    :param blank_platform: whether it has a platform with only empty fields.
    :param os_features: the features that the platform requires of the operating system.
    """

    media_type: str
    digest: str
    size: int
    platform: Platform | None = None
    urls: tuple[str, ...] = ()
    blank_platform: bool = False
    os_features: tuple[str, ...] = ()

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Descriptor:
        """Build a descriptor from its decoded JSON."""
        platform = value["platform"]
        return cls(
            media_type=value["mediaType"],
            digest=value["digest"],
            size=value["size"],
            platform=platform and Platform.of(platform["os"], platform["architecture"], platform["variant"]),
            urls=tuple(value["urls"]),
            blank_platform=platform is not None and not any(platform.values()),
            os_features=tuple(platform["os.features"]) if platform else (),
        )


@dataclass(frozen=True)
class Document:
    """An index or a manifest as the registry served it.

    :param media_type: the type that the registry reports.
    :param digest: the digest by which the registry names it.
    """

    media_type: str
    digest: str
    content: bytes

    @property
    def size(self) -> int:
        """The number of its bytes."""
        return len(self.content)

    @property
    def is_intact(self) -> bool:
        """Whether its bytes have its digest; a schema 1 manifest may have the digest of its signed part."""
        if sha256(self.content) == self.digest:
            return True
        if self.media_type not in media_types.SCHEMA_1:
            return False
        # Imported here: nearly no image has such a manifest.
        from .schema_1 import signed_payload

        return sha256(signed_payload(self.content)) == self.digest


@dataclass(frozen=True)
class Index:
    """An OCI index or a Docker manifest list: one image for each of several platforms.

    :param declared_type: the `mediaType` inside the document; empty where it has none.
    :param problems: the errors of the engines' families that cannot read it.
    """

    document: Document
    declared_type: str
    manifests: tuple[Descriptor, ...]
    problems: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, document: Document) -> Index:
        """:raises Unreadable: if every engine's decoder refuses it."""
        value, problems = decode_as(schemas.INDEX, JsonText(document.content), document.media_type)
        return cls(document, value["mediaType"], tuple(map(Descriptor.of, value["manifests"])), problems)

    def choose(self, platform: Platform, by: Choice = BY_CONTAINERD) -> Descriptor | None:
        """The child that an engine on this platform chooses; None where there is none.

        Children whose platform does not match are dropped, those without one stay and come last, the order
        among equals is the document's. Nothing else is looked at.

        :param platform: the engine's.
        :param by: how the engine chooses.
        """
        wanted = platform.accepts()
        if platform == Platform("linux", "amd64"):
            wanted = (*(replace(platform, variant=variant) for variant in by.variants), *wanted)
        last = len(wanted)

        def rank(child: Descriptor) -> int:
            if child.platform is None or (by.blank_is_none and child.blank_platform):
                return last
            if by.skips_os_features and child.os_features:
                return last + 1
            return wanted.index(child.platform) if child.platform in wanted else last + 1

        return min((child for child in self.manifests if rank(child) <= last), key=rank, default=None)


@dataclass(frozen=True)
class Manifest:
    """An image manifest: a config and the layers, bottom first.

    :param declared_type: the `mediaType` inside the document; empty where it has none.
    :param problems: the errors of the engines' families that cannot read it.
    """

    document: Document
    declared_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    artifact_type: str = ""
    problems: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, document: Document) -> Manifest:
        """:raises Unreadable: if every engine's decoder refuses it."""
        value, problems = decode_as(schemas.MANIFEST, JsonText(document.content), document.media_type)
        return cls(
            document=document,
            declared_type=value["mediaType"],
            config=Descriptor.of(value["config"]),
            layers=tuple(map(Descriptor.of, value["layers"])),
            artifact_type=value.get("artifactType", ""),
            problems=problems,
            annotations=value.get("annotations") or {},
        )


@dataclass(frozen=True)
class Config:
    """An image's config: how the image is run, and its layers.

    :param platform: its architecture is empty where the config says none.
    :param has_rootfs: dockerd refuses a config without a `rootfs`.
    :param history_layers: how many steps of its history made a layer.
    :param problems: the errors of the engines' families that cannot read it.
    """

    platform: Platform
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    user: str
    working_dir: str
    env: tuple[str, ...]
    volumes: tuple[str, ...]
    labels: Mapping[str, str]
    has_rootfs: bool
    rootfs_type: str
    diff_ids: tuple[str, ...]
    history_layers: int = 0
    problems: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, content: bytes) -> Config:
        """:raises Unreadable: if every engine's decoder refuses it."""
        document = JsonText(content)
        value, problems = decode_as(schemas.CONFIG, document)
        run, rootfs = value["config"], value["rootfs"]
        return cls(
            platform=Platform.of(value["os"], value["architecture"], value["variant"]),
            entrypoint=tuple(run["Entrypoint"]),
            command=tuple(run["Cmd"]),
            user=run["User"],
            working_dir=run["WorkingDir"],
            env=tuple(run["Env"]),
            volumes=tuple(run["Volumes"]),
            labels=run["Labels"],
            has_rootfs=schemas.has_rootfs(document),
            rootfs_type=rootfs["type"],
            diff_ids=tuple(rootfs["diff_ids"]),
            history_layers=sum(not step["empty_layer"] for step in value["history"]),
            problems=problems,
        )


@dataclass(frozen=True)
class Blob:
    """A registry's facts about a blob that it has not sent.

    :param available: whether a pull would get it.
    :param size: its size in bytes, or None where the registry does not say.
    :param state: the registry's own word, such as `AVAILABLE`, `UNAVAILABLE`, `ARCHIVED`.
    """

    available: bool
    size: int | None
    state: str


@dataclass(frozen=True)
class Image:
    """All that is known of one image for one platform.

    A part that could not be read is None or empty, and `unreadable` and `missing` say why, so that every check can run
    on the rest.

    :param reference: the reference as the user wrote it: `repository:tag`.
    :param platform: the required platform.
    :param status: the registry's word for the image as a whole, such as `ACTIVE` or `ARCHIVED`.
    :param top: the document that the reference points at; None where there is none.
    :param indexes: the indexes on the way to the manifest, outermost first.
    :param chosen: the descriptors by which the way went on from each index.
    :param document: the last document on the way, before it was parsed.
    :param config_content: the config blob, at most `MAX_CONFIG_BYTES`.
    :param blobs: the registry's facts about the layers, by digest; empty where it was not asked.
    :param first_bytes: the first bytes of layers whose type and digests leave a doubt, by digest.
    :param unreadable: the document that no decoder reads (`index`, `manifest` or `config`), and each family's error.
    :param missing: the index's child or the config, where the registry does not have it.
    :param absent: the index's manifests for other platforms that the registry does not have, where a runtime
        fetches those as well.
    """

    reference: str
    platform: Platform
    status: str = "ACTIVE"
    top: Document | None = None
    indexes: tuple[Index, ...] = ()
    chosen: tuple[Descriptor, ...] = ()
    document: Document | None = None
    manifest: Manifest | None = None
    config_content: bytes | None = None
    config: Config | None = None
    blobs: Mapping[str, Blob] = field(default_factory=dict)
    first_bytes: Mapping[str, bytes] = field(default_factory=dict)
    unreadable: tuple[str, Mapping[str, str]] | None = None
    missing: Descriptor | None = None
    absent: tuple[Descriptor, ...] = ()

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """The manifest's layers, bottom first; empty where there is no manifest."""
        return self.manifest.layers if self.manifest else ()

    @property
    def size(self) -> int:
        """The compressed size in bytes as ECR reports it: the config's and the layers'."""
        if not self.manifest:
            return 0
        return max(self.manifest.config.size, 0) + sum(max(d.size, 0) for d in self.manifest.layers)
