"""ECR's image actions, answered as ECR answers them; shapes and exceptions are those of botocore's service model.

Repositories themselves (and who may do what with them) are ministack's.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local_aws.account import ACCOUNT
from local_aws.asgi import Response, json_response
from local_aws.faults import Faults
from local_aws.layer_downloads import LayerDownloads
from local_aws.store import DIGEST, OCI_MANIFEST, SCHEMA2_MANIFEST, TAG, Image, Refused, Repository, Store, digest_of

TARGET = "AmazonEC2ContainerRegistry_V20150921."

_MAX_IDS = 100
_DEFAULT_PAGE = 100
_LAYER_DIGEST = re.compile(r"[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+\Z")
_TOKEN_LIFETIME = 12 * 3600
_TYPES_TO_AND_FRO = {
    # ECR converts between these two when a tag is asked for and its type is not accepted.
    OCI_MANIFEST: {
        OCI_MANIFEST: SCHEMA2_MANIFEST,
        "application/vnd.oci.image.config.v1+json": "application/vnd.docker.container.image.v1+json",
        "application/vnd.oci.image.layer.v1.tar": "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.oci.image.layer.v1.tar+gzip": "application/vnd.docker.image.rootfs.diff.tar.gzip",
    },
}
_TYPES_TO_AND_FRO[SCHEMA2_MANIFEST] = {new: old for old, new in _TYPES_TO_AND_FRO[OCI_MANIFEST].items()}

ImageId = Mapping[str, str]


class EcrError(Exception):
    """An exception of the ECR API."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


@dataclass(frozen=True)
class EcrCall:
    """One request: its parameters, and the address under which its caller reaches us."""

    parameters: Mapping[str, Any]
    base: str

    @property
    def repository_name(self) -> str:
        return str(self.parameters.get("repositoryName", ""))


class EcrApi:
    """The actions that the front answers itself: `ecr.actions` names them."""

    def __init__(self, store: Store, layers: LayerDownloads, faults: Faults) -> None:
        self._store, self._layers, self._faults = store, layers, faults
        self.password = secrets.token_urlsafe(24)
        self.actions: dict[str, Callable[[EcrCall], Awaitable[dict[str, Any]]]] = {
            "BatchCheckLayerAvailability": self.batch_check_layer_availability,
            "BatchDeleteImage": self.batch_delete_image,
            "BatchGetImage": self.batch_get_image,
            "DescribeImages": self.describe_images,
            "GetAuthorizationToken": self.get_authorization_token,
            "GetDownloadUrlForLayer": self.get_download_url_for_layer,
            "ListImages": self.list_images,
            "PutImage": self.put_image,
            "UpdateImageStorageClass": self.update_image_storage_class,
        }

    async def answer(self, action: str, body: bytes, base: str) -> Response:
        """Answer one of `actions`."""
        try:
            parameters = json.loads(body or b"{}")
            return _json(200, await self.actions[action](EcrCall(parameters, base)))
        except json.JSONDecodeError:
            return error_response(400, "SerializationException", "the request is not JSON")
        except Refused as refusal:
            return error_response(400, refusal.code, str(refusal))
        except EcrError as error:
            return error_response(error.status, error.code, str(error))

    async def refuse_deletion(self, body: bytes) -> Response | None:
        """DeleteRepository without force, of a repository that has images; ministack does not know of ours."""
        parameters = json.loads(body or b"{}")
        repository = await self._store.repository(str(parameters.get("repositoryName", "")))
        if parameters.get("force") or repository is None or not repository.images:
            return None
        return error_response(
            400,
            "RepositoryNotEmptyException",
            f"The repository with name '{repository.name}' in registry with id '{ACCOUNT}' cannot be deleted "
            "because it still contains images",
        )

    async def describe_images(self, call: EcrCall) -> dict[str, Any]:
        repository = await self._repository(call)
        ids = _image_ids(call, required=False)
        if ids and ("nextToken" in call.parameters or "maxResults" in call.parameters):
            raise EcrError("InvalidParameterException", "pagination cannot be used together with imageIds")
        if ids:
            images = list(dict.fromkeys(self._existing(repository, wanted) for wanted in ids))
        else:
            images = list(repository.images.values())
        page, token = _page(call, [image for image in images if _passes(call, repository, image)])
        return {"imageDetails": [_detail(repository, image) for image in page], **token}

    async def list_images(self, call: EcrCall) -> dict[str, Any]:
        repository = await self._repository(call)
        ids = [
            {"imageDigest": image.digest, **({"imageTag": tag} if tag else {})}
            for image in repository.images.values()
            if _passes(call, repository, image)
            for tag in repository.tags_of(image.digest) or [""]
        ]
        page, token = _page(call, ids)
        return {"imageIds": page, **token}

    async def batch_get_image(self, call: EcrCall) -> dict[str, Any]:
        repository = await self._repository(call)
        accepted = call.parameters.get("acceptedMediaTypes") or []
        images, failures = [], []
        for wanted in _image_ids(call):
            image, failure = _look_up(repository, wanted)
            effect = self._faults.of_content(image.digest) if image else None
            if image is None:
                failures.append(failure)
            elif effect == "kms":
                failures.append(_failure(wanted, "KmsError", "KMS key used to encrypt the image is not accessible"))
            elif effect == "inaccessible" or image.archived:
                failures.append(_failure(wanted, "ImageInaccessible", "The image is not accessible"))
            else:
                images.append(self._with_manifest(repository, image, wanted, accepted))
        return {"images": images, "failures": failures}

    async def batch_delete_image(self, call: EcrCall) -> dict[str, Any]:
        repository = await self._repository(call)
        deleted, failures = [], []
        for wanted in _image_ids(call):
            image, failure = _look_up(repository, wanted)
            tag = wanted.get("imageTag")
            if image is None:
                failures.append(failure)
            elif tag and len(repository.tags_of(image.digest)) > 1:
                del repository.tags[tag]
                deleted.append({"imageDigest": image.digest, "imageTag": tag})
            elif repository.parents_of(image.digest):
                failures.append(
                    _failure(
                        wanted,
                        "ImageReferencedByManifestList",
                        "Requested image referenced by manifest list",
                    )
                )
            else:
                tags = repository.tags_of(image.digest)
                repository.delete(image.digest)
                deleted += [
                    {"imageDigest": image.digest, **({"imageTag": name} if name else {})} for name in tags or [""]
                ]
        return {"imageIds": deleted, "failures": failures}

    async def put_image(self, call: EcrCall) -> dict[str, Any]:
        repository = await self._repository(call)
        manifest = str(call.parameters.get("imageManifest", "")).encode()
        tag = call.parameters.get("imageTag")
        if call.parameters.get("imageDigest", digest_of(manifest)) != digest_of(manifest):
            raise EcrError("ImageDigestDoesNotMatchException", "the specified digest is not the manifest's")
        before = dict(repository.tags), set(repository.images)
        image = repository.put(manifest, call.parameters.get("imageManifestMediaType"), tag)
        if before == (dict(repository.tags), set(repository.images)):
            raise EcrError(
                "ImageAlreadyExistsException",
                f"Image with digest '{image.digest}' and tag '{tag}' already exists in the repository",
            )
        return {"image": self._with_manifest(repository, image, {"imageTag": tag} if tag else {}, [])}

    async def batch_check_layer_availability(self, call: EcrCall) -> dict[str, Any]:
        repository = await self._repository(call)
        digests = call.parameters.get("layerDigests") or []
        if not 1 <= len(digests) <= _MAX_IDS:
            raise _too_many("layerDigests")
        layers, failures = [], []
        for digest in digests:
            if not digest:
                failures.append(_layer_failure(digest, "MissingLayerDigest", "layer digest is missing"))
            elif not _LAYER_DIGEST.match(digest):
                failures.append(_layer_failure(digest, "InvalidLayerDigest", "layer digest is invalid"))
            else:
                layers.append(self._availability(repository, digest))
        return {"layers": layers, "failures": failures}

    async def get_download_url_for_layer(self, call: EcrCall) -> dict[str, Any]:
        repository = await self._repository(call)
        digest = str(call.parameters.get("layerDigest", ""))
        if not _LAYER_DIGEST.match(digest):
            raise EcrError("InvalidParameterException", "Invalid parameter at 'layerDigest'")
        availability = self._availability(repository, digest)["layerAvailability"]
        if availability == "ARCHIVED":
            raise EcrError("LayerInaccessibleException", f"Layer '{digest}' is archived")
        if digest not in repository.blobs:
            raise EcrError(
                "LayersNotFoundException",
                f"The layer with digest '{digest}' does not exist within the repository with name "
                f"'{repository.name}' in the registry with id '{ACCOUNT}'",
            )
        return {"downloadUrl": self._layers.url(call.base, digest), "layerDigest": digest}

    async def get_authorization_token(self, call: EcrCall) -> dict[str, Any]:
        token = base64.b64encode(f"AWS:{self.password}".encode()).decode()
        data = {
            "authorizationToken": token,
            "expiresAt": time.time() + _TOKEN_LIFETIME,
            "proxyEndpoint": registry_address(call.base, "http://"),
        }
        return {"authorizationData": [data]}

    async def update_image_storage_class(self, call: EcrCall) -> dict[str, Any]:
        repository = await self._repository(call)
        image = self._existing(repository, call.parameters.get("imageId") or {})
        image = repository.archive(image.digest, call.parameters.get("targetStorageClass") == "ARCHIVE")
        return {
            "registryId": ACCOUNT,
            "repositoryName": repository.name,
            "imageId": {"imageDigest": image.digest},
            "imageStatus": _status(image),
        }

    async def _repository(self, call: EcrCall) -> Repository:
        repository = await self._store.repository(call.repository_name)
        if repository is None:
            raise EcrError(
                "RepositoryNotFoundException",
                f"The repository with name '{call.repository_name}' does not exist in the registry with id "
                f"'{call.parameters.get('registryId', ACCOUNT)}'",
            )
        return repository

    def _existing(self, repository: Repository, wanted: ImageId) -> Image:
        image, _ = _look_up(repository, wanted)
        if image is None:
            digest, tag = (f"'{wanted[key]}'" if wanted.get(key) else "'null'" for key in ("imageDigest", "imageTag"))
            raise EcrError(
                "ImageNotFoundException",
                f"The image with imageId {{imageDigest:{digest}, imageTag:{tag}}} does not exist within the "
                f"repository with name '{repository.name}' in the registry with id '{ACCOUNT}'",
            )
        return image

    def _with_manifest(
        self, repository: Repository, image: Image, wanted: ImageId, accepted: list[str]
    ) -> dict[str, Any]:
        manifest, media_type = image.manifest, image.media_type
        tag = wanted.get("imageTag")
        conversion = _TYPES_TO_AND_FRO.get(media_type)
        if tag and accepted and media_type not in accepted and conversion and conversion[media_type] in accepted:
            manifest, media_type = _converted(image, conversion), conversion[media_type]
        return {
            "registryId": ACCOUNT,
            "repositoryName": repository.name,
            "imageId": {"imageDigest": image.digest, **({"imageTag": tag} if tag else {})},
            "imageManifest": manifest.decode(),
            "imageManifestMediaType": media_type,
        }

    def _availability(self, repository: Repository, digest: str) -> dict[str, Any]:
        size = repository.blobs.get(digest)
        if size is None or self._faults.of_content(digest) == "gone":
            return {"layerDigest": digest, "layerAvailability": "UNAVAILABLE"}
        archived = repository.archives(digest)
        return {
            "layerDigest": digest,
            "layerAvailability": "ARCHIVED" if archived else "AVAILABLE",
            "layerSize": size,
            "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
        }


def registry_address(base: str, scheme: str = "") -> str:
    """Where engines push to and pull from: `localhost`, which they take over plain http unasked."""
    return f"{scheme}localhost:{base.rpartition(':')[2]}"


def error_response(status: int, code: str, message: str) -> Response:
    return _json(status, {"__type": code, "message": message}, code)


def _json(status: int, value: dict[str, Any], error: str = "") -> Response:
    headers = {"x-amzn-ErrorType": error} if error else {}
    return json_response(status, value, "application/x-amz-json-1.1", **headers)


def _too_many(parameter: str) -> EcrError:
    return EcrError(
        "InvalidParameterException",
        f"Invalid parameter at '{parameter}' failed to satisfy constraint: 'Member must have length between 1 and "
        f"{_MAX_IDS}'",
    )


def _image_ids(call: EcrCall, required: bool = True) -> list[ImageId]:
    ids = call.parameters.get("imageIds")
    if ids is None and not required:
        return []
    if not ids or len(ids) > _MAX_IDS:
        raise _too_many("imageIds")
    return list(ids)


def _look_up(repository: Repository, wanted: ImageId) -> tuple[Image | None, dict[str, Any]]:
    """The image of an id, or why there is none, in the words of BatchGetImage's failures."""
    tag, digest = wanted.get("imageTag"), wanted.get("imageDigest")
    if not tag and not digest:
        return None, _failure(
            wanted,
            "MissingDigestAndTag",
            "Invalid request parameters: both tag and digest cannot be null",
        )
    if digest and not DIGEST.match(digest):
        return None, _failure(wanted, "InvalidImageDigest", "Invalid request parameters: image digest is invalid")
    if tag and not TAG.match(tag):
        return None, _failure(wanted, "InvalidImageTag", "Invalid request parameters: image tag is invalid")
    image = repository.find(tag or str(digest))
    if image and digest and image.digest != digest:
        return None, _failure(wanted, "ImageTagDoesNotMatchDigest", "Image tag does not match image digest")
    return image, _failure(wanted, "ImageNotFound", "Requested image not found")


def _failure(wanted: ImageId, code: str, reason: str) -> dict[str, Any]:
    return {"imageId": dict(wanted), "failureCode": code, "failureReason": reason}


def _layer_failure(digest: str, code: str, reason: str) -> dict[str, Any]:
    return {"layerDigest": digest, "failureCode": code, "failureReason": reason}


def _status(image: Image) -> str:
    return "ARCHIVED" if image.archived else "ACTIVE"


def _passes(call: EcrCall, repository: Repository, image: Image) -> bool:
    """Whether the filter lets an image through. Without one, ACTIVE images only."""
    wanted = call.parameters.get("filter") or {}
    tag_status = wanted.get("tagStatus", "ANY")
    tagged = "TAGGED" if repository.tags_of(image.digest) else "UNTAGGED"
    return tag_status in ("ANY", tagged) and wanted.get("imageStatus", "ACTIVE") in ("ANY", _status(image))


def _page(call: EcrCall, items: list[Any]) -> tuple[list[Any], dict[str, str]]:
    if call.parameters.get("imageIds"):
        return items, {}
    start = int(base64.b64decode(call.parameters["nextToken"])) if call.parameters.get("nextToken") else 0
    end = start + int(call.parameters.get("maxResults", _DEFAULT_PAGE))
    more = {"nextToken": base64.b64encode(str(end).encode()).decode()} if end < len(items) else {}
    return items[start:end], more


def _detail(repository: Repository, image: Image) -> dict[str, Any]:
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
        "imageStatus": _status(image),
        **{name: value for name, value in optional.items() if value},
    }


def _converted(image: Image, types: Mapping[str, str]) -> bytes:
    content = image.content
    for descriptor in [content, *image.blobs]:
        descriptor["mediaType"] = types.get(descriptor.get("mediaType", ""), descriptor.get("mediaType", ""))
    content["mediaType"] = types[image.media_type]
    content["config"] = {**content["config"], "mediaType": types.get(content["config"]["mediaType"], "")}
    content["layers"] = [
        {**layer, "mediaType": types.get(layer["mediaType"], layer["mediaType"])} for layer in content["layers"]
    ]
    return json.dumps(content, indent=3).encode()
