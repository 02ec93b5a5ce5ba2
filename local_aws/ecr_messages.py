"""The parts of ECR's requests and answers, in the shapes of botocore's service model; the actions are in ecr_api."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local_aws.account import ACCOUNT
from local_aws.asgi import Response, json_response
from local_aws.store import DIGEST, OCI_MANIFEST, SCHEMA2_MANIFEST, TAG, Image, Repository

TARGET = "AmazonEC2ContainerRegistry_V20150921."
MAX_IDS = 100
"""Image ids or layer digests that one call may have."""

_DEFAULT_PAGE = 100
_CONVERTED_TYPES = {
    # ECR converts between these two when the caller does not accept the stored type.
    OCI_MANIFEST: {
        OCI_MANIFEST: SCHEMA2_MANIFEST,
        "application/vnd.oci.image.config.v1+json": "application/vnd.docker.container.image.v1+json",
        "application/vnd.oci.image.layer.v1.tar": "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.oci.image.layer.v1.tar+gzip": "application/vnd.docker.image.rootfs.diff.tar.gzip",
    },
}
_CONVERTED_TYPES[SCHEMA2_MANIFEST] = {new: old for old, new in _CONVERTED_TYPES[OCI_MANIFEST].items()}

ImageId = Mapping[str, str]


class EcrError(Exception):
    """An exception of the ECR API."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


@dataclass(frozen=True)
class EcrCall:
    """One request: its parameters, and our address as the caller reached it."""

    parameters: Mapping[str, Any]
    base: str

    @property
    def repository_name(self) -> str:
        """The name in the request; empty where it has none."""
        return str(self.parameters.get("repositoryName", ""))


def registry_address(base: str, scheme: str = "") -> str:
    """The registry's address: `localhost`, since engines use plain HTTP there without configuration."""
    return f"{scheme}localhost:{base.rpartition(':')[2]}"


def error_response(status: int, code: str, message: str) -> Response:
    """An error of the ECR API."""
    return json_answer(status, {"__type": code, "message": message}, code)


def json_answer(status: int, value: dict[str, Any], error: str = "") -> Response:
    """An answer in the API's JSON protocol."""
    headers = {"x-amzn-ErrorType": error} if error else {}
    return json_response(status, value, "application/x-amz-json-1.1", **headers)


def wrong_count(parameter: str) -> EcrError:
    """The error about a list that is empty or longer than `MAX_IDS`."""
    return EcrError(
        "InvalidParameterException",
        f"Invalid parameter at '{parameter}' failed to satisfy constraint: 'Member must have length between 1 and "
        f"{MAX_IDS}'",
    )


def image_ids(call: EcrCall, required: bool = True) -> list[ImageId]:
    """The request's image ids.

    :raises EcrError: when there are too many, or none where they are required.
    """
    ids = call.parameters.get("imageIds")
    if ids is None and not required:
        return []
    if not ids or len(ids) > MAX_IDS:
        raise wrong_count("imageIds")
    return list(ids)


def look_up(repository: Repository, wanted: ImageId) -> tuple[Image | None, dict[str, Any]]:
    """The image of an id, and the failure that BatchGetImage reports where there is no image."""
    tag, digest = wanted.get("imageTag"), wanted.get("imageDigest")
    if not tag and not digest:
        return None, image_failure(
            wanted,
            "MissingDigestAndTag",
            "Invalid request parameters: both tag and digest cannot be null",
        )
    if digest and not DIGEST.match(digest):
        return None, image_failure(wanted, "InvalidImageDigest", "Invalid request parameters: image digest is invalid")
    if tag and not TAG.match(tag):
        return None, image_failure(wanted, "InvalidImageTag", "Invalid request parameters: image tag is invalid")
    image = repository.find(tag or str(digest))
    if image and digest and image.digest != digest:
        return None, image_failure(wanted, "ImageTagDoesNotMatchDigest", "Image tag does not match image digest")
    return image, image_failure(wanted, "ImageNotFound", "Requested image not found")


def image_failure(wanted: ImageId, code: str, reason: str) -> dict[str, Any]:
    """An entry of `failures` about an image."""
    return {"imageId": dict(wanted), "failureCode": code, "failureReason": reason}


def layer_failure(digest: str, code: str, reason: str) -> dict[str, Any]:
    """An entry of `failures` about a layer."""
    return {"layerDigest": digest, "failureCode": code, "failureReason": reason}


def status_of(image: Image) -> str:
    """`imageStatus`."""
    return "ARCHIVED" if image.archived else "ACTIVE"


def passes_filter(call: EcrCall, repository: Repository, image: Image) -> bool:
    """Whether the request's filter includes an image; by default only ACTIVE images."""
    wanted = call.parameters.get("filter") or {}
    tag_status = wanted.get("tagStatus", "ANY")
    tagged = "TAGGED" if repository.tags_of(image.digest) else "UNTAGGED"
    return tag_status in ("ANY", tagged) and wanted.get("imageStatus", "ACTIVE") in ("ANY", status_of(image))


def page_of(call: EcrCall, items: list[Any]) -> tuple[list[Any], dict[str, str]]:
    """The page of items that the request is for, and its `nextToken` where more follow."""
    if call.parameters.get("imageIds"):
        return items, {}
    start = int(base64.b64decode(call.parameters["nextToken"])) if call.parameters.get("nextToken") else 0
    end = start + int(call.parameters.get("maxResults", _DEFAULT_PAGE))
    more = {"nextToken": base64.b64encode(str(end).encode()).decode()} if end < len(items) else {}
    return items[start:end], more


def image_detail(repository: Repository, image: Image) -> dict[str, Any]:
    """An entry of DescribeImages' `imageDetails`."""
    content = image.content
    artifact = content.get("artifactType") or (content.get("config") or {}).get("mediaType")
    optional = {
        "imageTags": repository.tags_of(image.digest),
        "artifactMediaType": artifact,
        "subjectManifestDigest": (content.get("subject") or {}).get("digest"),
        "lastArchivedAt": image.archived_at,
    }
    return {
        "registryId": ACCOUNT,
        "repositoryName": repository.name,
        "imageDigest": image.digest,
        "imageSizeInBytes": repository.size(image),
        "imagePushedAt": image.pushed_at,
        "imageManifestMediaType": image.media_type,
        "imageStatus": status_of(image),
        **{name: value for name, value in optional.items() if value},
    }


def manifest_as(image: Image, accepted: Sequence[str]) -> tuple[bytes, str]:
    """The manifest and its media type, converted where ECR would convert it.

    :param accepted: media types that the caller accepts; empty for any.
    """
    types = _CONVERTED_TYPES.get(image.media_type)
    if not types or not accepted or image.media_type in accepted or types[image.media_type] not in accepted:
        return image.manifest, image.media_type
    content = image.content
    config, layers = content["config"], content["layers"]
    converted = {
        **content,
        "mediaType": types[image.media_type],
        "config": {**config, "mediaType": types.get(config["mediaType"], "")},
        "layers": [{**layer, "mediaType": types.get(layer["mediaType"], layer["mediaType"])} for layer in layers],
    }
    return json.dumps(converted, indent=3).encode(), types[image.media_type]
