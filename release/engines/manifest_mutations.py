"""Mutations of the manifest, and of an index that holds it."""

from __future__ import annotations

import json
import random
from typing import Any, Final

from image_verifier.image import media_types
from image_verifier.image.model import sha256

from release.engines.drafts import ABSENT, Draft, DraftChild, DraftDocument
from release.engines.mutation_kinds import FACTS, VALUES, json_edit, kind_of


@kind_of(FACTS)
def manifest_json(rng: random.Random, draft: Draft) -> None:
    draft.manifest.edits.append(json_edit(rng))


@kind_of(FACTS)
def manifest_field(rng: random.Random, draft: Draft) -> None:
    field = rng.choice(
        (
            *("schemaVersion", "annotations", "artifactType", "subject", "manifests", "fsLayers", "more"),
            *("config", "layers", "history", "signatures"),
        )
    )
    draft.manifest.overrides[field] = rng.choice((*VALUES, 1, 2, 3, ABSENT))


@kind_of(FACTS)
def manifest_type(rng: random.Random, draft: Draft) -> None:
    """The manifest states another media type than its own."""
    draft.manifest.overrides["mediaType"] = rng.choice(
        (
            ABSENT,
            "",
            None,
            media_types.OCI_MANIFEST,
            media_types.DOCKER_MANIFEST,
            media_types.OCI_INDEX,
            media_types.DOCKER_INDEX,
            media_types.OCI_CONFIG,
            "application/json",
            draft.manifest_type.upper(),
        )
    )


@kind_of(FACTS)
def manifest_family(rng: random.Random, draft: Draft) -> None:
    """The manifest has the other family; layers and config stay."""
    draft.oci = not draft.oci


@kind_of(FACTS)
def manifest_absent(rng: random.Random, draft: Draft) -> None:
    """The index's child does not exist, or its bytes do not match its digest."""
    _with_index(draft)
    if rng.random() < 0.5:
        draft.manifest.absent = True
    else:
        draft.manifest.served = lambda content: content + b" "


def _with_index(draft: Draft) -> None:
    if draft.index is None:
        draft.index = DraftDocument()
        draft.own_platform = {"os": "linux", "architecture": "amd64"}


_PLATFORMS: Final[tuple[Any, ...]] = (
    {"os": "linux", "architecture": "amd64"},
    {"os": "linux", "architecture": "amd64", "variant": "v1"},
    {"os": "linux", "architecture": "amd64", "variant": "v2"},
    {"os": "linux", "architecture": "amd64", "variant": "v3"},
    {"os": "linux", "architecture": "386"},
    {"os": "linux", "architecture": "i386"},
    {"os": "linux", "architecture": "x86_64"},
    {"os": "Linux", "architecture": "AMD64"},
    {"os": "linux", "architecture": "amd64", "os.version": "1"},
    {"os": "linux", "architecture": "amd64", "os.features": ["x"]},
    {"os": "linux", "architecture": "amd64", "features": ["sse4"]},
    {"os": "linux", "architecture": "arm64"},
    {"os": "linux", "architecture": "arm", "variant": "v7"},
    {"os": "windows", "architecture": "amd64"},
    {"os": "unknown", "architecture": "unknown"},
    {"os": "", "architecture": "amd64"},
    {"os": "linux", "architecture": ""},
    {"architecture": "amd64"},
    {"os": "linux"},
    {},
    None,
    ABSENT,
    {"os": 1, "architecture": "amd64"},
    "linux/amd64",
)


@kind_of(FACTS)
def index_platform(rng: random.Random, draft: Draft) -> None:
    _with_index(draft)
    draft.own_platform = rng.choice(_PLATFORMS)


@kind_of(FACTS)
def index_children(rng: random.Random, draft: Draft) -> None:
    """The index has more entries before or after the image's: other platforms, attestations, broken ones."""
    _with_index(draft)
    for _ in range(rng.randint(1, 3)):
        platform = rng.choice(_PLATFORMS[:-2])
        broken = json.dumps({"schemaVersion": 2, "x": rng.random()}).encode()
        media_type = rng.choice((draft.manifest_type, draft.manifest_type, media_types.OCI_LAYER, "application/x"))
        descriptor = {"mediaType": media_type, "digest": sha256(broken), "size": len(broken), "platform": platform}
        descriptor = {k: v for k, v in descriptor.items() if v is not ABSENT}
        there = rng.random() < 0.5
        draft.children.append(DraftChild(descriptor, rng.random() < 0.5, broken if there else None))


@kind_of(FACTS)
def index_descriptor(rng: random.Random, draft: Draft) -> None:
    """The index's descriptor of the manifest has another value."""
    _with_index(draft)
    draft.manifest.descriptor.update(
        rng.choice(
            (
                {"size": 0},
                {"size": 1},
                {"size": -1},
                {"size": 10**6},
                {"size": ABSENT},
                {"digest": "sha256:" + "0" * 64},
                {"digest": "sha256:x"},
                {"digest": ""},
                {"digest": ABSENT},
                {"mediaType": media_types.OCI_MANIFEST},
                {"mediaType": media_types.DOCKER_MANIFEST},
                {"mediaType": media_types.OCI_INDEX},
                {"mediaType": ""},
                {"mediaType": ABSENT},
                {"mediaType": "application/json"},
                {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}},
                {"annotations": {"a": 1}},
                {"artifactType": "application/vnd.example"},
                {"urls": []},
                {"data": "eA=="},
            )
        )
    )


@kind_of(FACTS)
def index_document(rng: random.Random, draft: Draft) -> None:
    """The index has other fields, other bytes, or a deeper nesting."""
    _with_index(draft)
    assert draft.index
    way = rng.randrange(4)
    if way == 0:
        draft.nested = rng.randint(1, 3)
    elif way == 1:
        draft.index.edits.append(json_edit(rng))
    elif way == 2:
        draft.index.overrides["mediaType"] = rng.choice(
            (ABSENT, "", None, media_types.OCI_INDEX, media_types.DOCKER_INDEX, media_types.OCI_MANIFEST, "x")
        )
    else:
        field = rng.choice(("schemaVersion", "manifests", "annotations", "config", "layers", "fsLayers", "more"))
        draft.index.overrides[field] = rng.choice((*VALUES, 1, 2, ABSENT))
