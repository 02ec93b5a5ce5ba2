"""Images as ECR stores them: blobs in files named by their digest, manifests exactly as they were pushed, and tags.

Blobs are on disk, since an image may be larger than memory. Everything else is in memory, as ministack's repositories
are.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from local_aws.ministack_client import MinistackClient

SCHEMA2_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
SCHEMA2_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPES = frozenset({SCHEMA2_MANIFEST, SCHEMA2_LIST, OCI_MANIFEST, OCI_INDEX})

DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,299}\Z")
MAX_MANIFEST = 4 * 1024 * 1024
"""Bytes. ECR's limit for a manifest."""

_CHUNK = 1024 * 1024


def digest_of(data: bytes) -> str:
    """The sha256 digest of a blob or a manifest."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Refused(Exception):
    """ECR refuses a push. `code` is the error's name in the ECR API, `registry` its name on `/v2/`."""

    def __init__(self, code: str, registry: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.registry, self.status = code, registry, status


@dataclass(frozen=True)
class Image:
    """A manifest in a repository."""

    digest: str
    media_type: str
    manifest: bytes
    pushed_at: float
    archived_at: float | None = None

    @property
    def archived(self) -> bool:
        """Whether the image is in the ARCHIVE storage class."""
        return self.archived_at is not None

    @cached_property
    def content(self) -> dict[str, Any]:
        """The parsed manifest."""
        parsed: dict[str, Any] = json.loads(self.manifest)
        return parsed

    @property
    def children(self) -> list[str]:
        """The digests of an index's manifests."""
        return [str(child["digest"]) for child in self.content.get("manifests") or []]

    @property
    def blobs(self) -> list[dict[str, Any]]:
        """The descriptors of config and layers."""
        content = self.content
        config = content.get("config")
        return ([config] if config else []) + list(content.get("layers") or [])

    @property
    def subject(self) -> str:
        """The digest of the image that this one is about; empty where there is none."""
        return str((self.content.get("subject") or {}).get("digest", ""))

    @property
    def descriptor(self) -> dict[str, Any]:
        """This image in the list of an image's referrers."""
        content = self.content
        return {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": len(self.manifest),
            "artifactType": content.get("artifactType") or (content.get("config") or {}).get("mediaType", ""),
            **({"annotations": content["annotations"]} if content.get("annotations") else {}),
        }


@dataclass
class Repository:
    """The images of one repository. A repository that is created again under the same name starts empty."""

    name: str
    created_at: float
    immutable: bool
    images: dict[str, Image] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    blobs: dict[str, int] = field(default_factory=dict)

    def find(self, reference: str) -> Image | None:
        """The image of a tag or a digest."""
        return self.images.get(self.tags.get(reference, reference))

    def tags_of(self, digest: str) -> list[str]:
        """The tags of an image."""
        return [tag for tag, tagged in self.tags.items() if tagged == digest]

    def parents_of(self, digest: str) -> list[Image]:
        """The indexes that reference an image."""
        return [image for image in self.images.values() if digest in image.children]

    def referrers_of(self, digest: str) -> list[Image]:
        """The images whose subject is an image."""
        return [image for image in self.images.values() if image.subject == digest]

    def archives(self, digest: str) -> bool:
        """Whether every image with this blob is archived."""
        # This shortcut matters: most repositories have no archived image, and callers check thousands of layers.
        if not any(image.archived for image in self.images.values()):
            return False
        holders = [image for image in self.images.values() if digest in [blob["digest"] for blob in image.blobs]]
        return bool(holders) and all(image.archived for image in holders)

    def size(self, image: Image) -> int:
        """Bytes, as ECR reports them: an image's config and layers, or an index's largest child."""
        if image.children:
            return max(self.size(self.images[child]) for child in image.children if child in self.images)
        return sum(int(blob["size"]) for blob in image.blobs)

    def put(self, manifest: bytes, media_type: str | None, tag: str | None) -> Image:
        """Store a manifest. As in ECR, its blobs and children must exist, and their content is not validated.

        :raises Refused: with ECR's name of the reason.
        """
        image = _parse(manifest, media_type)
        missing = [child for child in image.children if child not in self.images]
        if missing:
            raise Refused(
                "ReferencedImagesNotFoundException",
                "MANIFEST_BLOB_UNKNOWN",
                f"Images with digests '{missing}' required for pushing image into repository with name "
                f"'{self.name}' do not exist",
                404,
            )
        absent = [blob["digest"] for blob in image.blobs if not blob.get("urls") and blob["digest"] not in self.blobs]
        if absent:
            raise Refused(
                "LayersNotFoundException",
                "BLOB_UNKNOWN",
                f"Layers with digests '{absent}' required for pushing image into repository with name "
                f"'{self.name}' do not exist",
                404,
            )
        if tag and self.immutable and self.tags.get(tag, image.digest) != image.digest:
            raise Refused(
                "ImageTagAlreadyExistsException",
                "TAG_INVALID",
                f"The image tag '{tag}' already exists in the '{self.name}' repository and cannot be overwritten "
                "because the tag is immutable.",
            )
        image = self.images.setdefault(image.digest, image)
        if tag:
            self.tags[tag] = image.digest
        return image

    def archive(self, digest: str, archived: bool) -> Image:
        """Archive an image, or restore it."""
        image = replace(self.images[digest], archived_at=time.time() if archived else None)
        self.images[digest] = image
        return image

    def delete(self, digest: str) -> None:
        """Remove an image with all of its tags."""
        for tag in self.tags_of(digest):
            del self.tags[tag]
        del self.images[digest]


def _parse(manifest: bytes, media_type: str | None) -> Image:
    if not 0 < len(manifest) <= MAX_MANIFEST:
        raise Refused("InvalidParameterException", "MANIFEST_INVALID", "a manifest is 1 to 4194304 bytes long")
    try:
        content = json.loads(manifest)
        stored_type = media_type or content.get("mediaType")
        image = Image(digest_of(manifest), str(stored_type), manifest, time.time())
        digests = [*image.children, *(blob["digest"] for blob in image.blobs)]
        sizes = [int(blob["size"]) for blob in image.blobs]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Refused(
            "InvalidParameterException",
            "MANIFEST_INVALID",
            "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'",
        ) from None
    if stored_type not in MANIFEST_TYPES:
        raise Refused("InvalidParameterException", "MANIFEST_INVALID", f"unsupported manifest type {stored_type!r}")
    if not all(isinstance(digest, str) for digest in digests) or any(size < 0 for size in sizes):
        raise Refused("InvalidParameterException", "MANIFEST_INVALID", "a descriptor's digest or size is invalid")
    return image


class Upload:
    """A blob while it is uploaded: writes the bytes to disk and computes their digest."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._hash = hashlib.sha256()
        path.touch()

    @property
    def digest(self) -> str:
        """The digest of the bytes so far."""
        return "sha256:" + self._hash.hexdigest()

    async def write(self, chunks: AsyncIterator[bytes]) -> None:
        """Append chunks as they arrive."""
        with self.path.open("ab") as file:
            async for chunk in chunks:
                file.write(chunk)
                self._hash.update(chunk)
                self.size += len(chunk)


class Store:
    """The images of all repositories, in one folder."""

    def __init__(self, folder: Path, ministack_client: MinistackClient) -> None:
        self._blobs = folder / "blobs" / "sha256"
        self._uploads_folder = folder / "uploads"
        for path in (self._blobs, self._uploads_folder):
            path.mkdir(parents=True, exist_ok=True)
        self._ministack_client = ministack_client
        self._repositories: dict[str, Repository] = {}
        self.uploads: dict[str, Upload] = {}

    async def repository(self, name: str) -> Repository | None:
        """The images of a repository, or None where ministack has none of that name."""
        record = await self._ministack_client.repository(name)
        if record is None:
            self._repositories.pop(name, None)
            return None
        known = self._repositories.get(name)
        if known is None or known.created_at != record.created_at:
            known = self._repositories[name] = Repository(name, record.created_at, record.immutable)
        known.immutable = record.immutable
        return known

    def begin(self) -> str:
        """Start an upload, and return its id."""
        name = str(uuid.uuid4())
        self.uploads[name] = Upload(self._uploads_folder / name)
        return name

    def finish(self, name: str, digest: str, repository: Repository) -> bool:
        """Store an upload as the blob `digest`. Returns False, and discards the upload, when its digest is another."""
        upload = self.uploads.pop(name)
        if upload.digest != digest:
            upload.path.unlink()
            return False
        upload.path.replace(self._path(digest))
        repository.blobs[digest] = upload.size
        return True

    def cancel(self, name: str) -> None:
        """Discard an upload."""
        self.uploads.pop(name).path.unlink()

    def blob_size(self, digest: str) -> int | None:
        """Bytes of a blob in any repository, or None where no repository has it."""
        path = self._path(digest)
        return path.stat().st_size if path.exists() else None

    def read(self, digest: str, start: int, length: int) -> Iterator[bytes]:
        """`length` bytes of a blob from `start`, in chunks."""
        with self._path(digest).open("rb") as file:
            file.seek(start)
            while length > 0 and (chunk := file.read(min(_CHUNK, length))):
                length -= len(chunk)
                yield chunk

    def _path(self, digest: str) -> Path:
        return self._blobs / digest.removeprefix("sha256:")
