"""A repository of the AWS whose responses a test sets: it answers ECR's calls, and deletes as ECR does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from image_verifier.image import media_types
from image_verifier.image.model import sha256

from tests.unit.aws_server import Aws
from tests.unit.images import Layout


@dataclass
class EcrRepository:
    """The repository, whose blobs are those of its layout.

    :param layout: makes the images.
    :param tags: the digest of each tag.
    :param manifests: the media type and the content of each manifest, by its digest.
    """

    aws: Aws
    layout: Layout
    tags: dict[str, str] = field(default_factory=dict)
    manifests: dict[str, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.aws.answers |= {
            "DescribeImages": self._describe,
            "BatchGetImage": self._get,
            "BatchDeleteImage": self._delete,
            "PutImage": self._put,
            "BatchCheckLayerAvailability": self._availability,
            "GetDownloadUrlForLayer": self._url,
        }

    def push(self, descriptor: Mapping[str, Any], tag: str = "") -> str:
        """Store a manifest of the layout, and return its digest."""
        digest = str(descriptor["digest"])
        content = (self.layout.path / "blobs" / "sha256" / digest.partition(":")[2]).read_text()
        self.manifests[digest] = (str(descriptor["mediaType"]), content)
        if tag:
            self.tags[tag] = digest
        return digest

    @property
    def deleted(self) -> list[dict[str, str]]:
        """The tags and digests of all deletions."""
        return [
            image for action, asked in self.aws.calls if action == "BatchDeleteImage" for image in asked["imageIds"]
        ]

    def _find(self, wanted: Mapping[str, str]) -> str | None:
        tag, digest = wanted.get("imageTag"), wanted.get("imageDigest")
        found = self.tags.get(tag, "") if tag else str(digest)
        return found if found in self.manifests and digest in (None, found) else None

    def _describe(self, asked: Mapping[str, Any]) -> Any:
        ids = asked.get("imageIds")
        if ids is None:
            details = [{"imageDigest": digest, "imageTags": [tag]} for tag, digest in self.tags.items()]
            return {"imageDetails": details}
        digests = [self._find(one) for one in ids]
        if None in digests:
            return self.aws.refusal("ImageNotFoundException", "no")
        tags = {digest: [tag for tag, tagged in self.tags.items() if tagged == digest] for digest in digests}
        return {
            "imageDetails": [
                {"imageDigest": digest, "imageTags": tags[digest], "imageStatus": "ACTIVE"} for digest in digests
            ]
        }

    def _get(self, asked: Mapping[str, Any]) -> Any:
        images, failures = [], []
        for wanted in asked["imageIds"]:
            digest = self._find(wanted)
            if digest is None:
                failures.append({"imageId": wanted, "failureCode": "ImageNotFound", "failureReason": "no"})
            else:
                media_type, content = self.manifests[digest]
                image = {"imageId": {**wanted, "imageDigest": digest}, "imageManifest": content}
                images.append({**image, "imageManifestMediaType": media_type})
        return {"images": images, "failures": failures}

    def _delete(self, asked: Mapping[str, Any]) -> Any:
        (wanted,) = asked["imageIds"]
        digest = self._find(wanted)
        if digest is None:
            return {"imageIds": [], "failures": [{"imageId": wanted, "failureCode": "ImageNotFound"}]}
        is_last = list(self.tags.values()).count(digest) == 1
        if is_last and any(digest in content for other, (_, content) in self.manifests.items() if other != digest):
            return {"imageIds": [], "failures": [{"imageId": wanted, "failureCode": "ImageReferencedByManifestList"}]}
        del self.tags[wanted["imageTag"]]
        if is_last:
            del self.manifests[digest]
        return {"imageIds": [wanted], "failures": []}

    def _put(self, asked: Mapping[str, Any]) -> Any:
        digest = sha256(asked["imageManifest"].encode())
        self.manifests.setdefault(digest, (asked["imageManifestMediaType"], asked["imageManifest"]))
        self.tags[asked["imageTag"]] = digest
        return {"image": {"imageId": {"imageDigest": digest, "imageTag": asked["imageTag"]}}}

    def _url(self, asked: Mapping[str, Any]) -> Any:
        digest = asked["layerDigest"]
        self.aws.blobs[digest] = (self.layout.path / "blobs" / "sha256" / digest.partition(":")[2]).read_bytes()
        return {"downloadUrl": f"{self.aws.endpoint}/blobs/{digest}", "layerDigest": digest}

    @staticmethod
    def _availability(asked: Mapping[str, Any]) -> Any:
        layers = [{"layerDigest": one, "layerAvailability": "AVAILABLE"} for one in asked["layerDigests"]]
        return {"layers": layers, "failures": []}


def repository(aws: Aws, folder: Path) -> EcrRepository:
    """An empty repository whose images are made in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return EcrRepository(aws, Layout(folder))


def held_attestation(place: EcrRepository, tag: str) -> tuple[str, str]:
    """An index of an image and its attestation, whose tag is on the attestation; the digests of both."""
    image, attestation = place.layout.image(), place.layout.attestation()
    for one in (image, attestation):
        place.push(one)
    platform = {"os": "linux", "architecture": "amd64"}
    unknown = {"os": "unknown", "architecture": "unknown"}
    index = place.layout.index({**image, "platform": platform}, {**attestation, "platform": unknown})
    digest = place.push({**index, "mediaType": media_types.OCI_INDEX})
    place.tags[tag] = str(attestation["digest"])
    assert json.loads(place.manifests[digest][1])["manifests"]
    return digest, str(attestation["digest"])
