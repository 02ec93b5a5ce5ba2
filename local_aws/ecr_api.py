"""ECR's image actions, answered as ECR answers them.

ministack keeps the repositories themselves, and authorizes the callers.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from local_aws.account import ACCOUNT
from local_aws.asgi import Response
from local_aws.ecr_messages import (
    MAX_IDS,
    EcrCall,
    EcrError,
    ImageId,
    error_response,
    image_detail,
    image_failure,
    image_ids,
    json_answer,
    layer_failure,
    look_up,
    manifest_as,
    page_of,
    passes_filter,
    registry_address,
    status_of,
    wrong_count,
)
from local_aws.fault_injection import InjectedFaults
from local_aws.image_events import ImageEvents
from local_aws.layer_downloads import LayerDownloads
from local_aws.store import Image, Refused, Repository, Store, digest_of

_LAYER_DIGEST = re.compile(r"[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+\Z")
_TOKEN_LIFETIME = 12 * 3600
"""Seconds."""


class EcrApi:
    """The actions that the gateway answers itself. `actions` has them by name."""

    def __init__(self, store: Store, layers: LayerDownloads, faults: InjectedFaults, events: ImageEvents) -> None:
        self._store, self._layers, self._faults, self._events = store, layers, faults, events
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
            return json_answer(200, await self.actions[action](EcrCall(parameters, base)))
        except json.JSONDecodeError:
            return error_response(400, "SerializationException", "the request is not JSON")
        except Refused as refusal:
            return error_response(400, refusal.code, str(refusal))
        except EcrError as error:
            return error_response(error.status, error.code, str(error))

    async def refuse_deletion(self, body: bytes) -> Response | None:
        """Refuse DeleteRepository without force for a repository with images, which ministack does not know."""
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
        ids = image_ids(call, required=False)
        if ids and ("nextToken" in call.parameters or "maxResults" in call.parameters):
            raise EcrError("InvalidParameterException", "pagination cannot be used together with imageIds")
        if ids:
            images = list(dict.fromkeys(self._existing(repository, wanted) for wanted in ids))
        else:
            images = list(repository.images.values())
        page, token = page_of(call, [image for image in images if passes_filter(call, repository, image)])
        return {"imageDetails": [image_detail(repository, image) for image in page], **token}

    async def list_images(self, call: EcrCall) -> dict[str, Any]:
        repository = await self._repository(call)
        ids = [
            {"imageDigest": image.digest, **({"imageTag": tag} if tag else {})}
            for image in repository.images.values()
            if passes_filter(call, repository, image)
            for tag in repository.tags_of(image.digest) or [""]
        ]
        page, token = page_of(call, ids)
        return {"imageIds": page, **token}

    async def batch_get_image(self, call: EcrCall) -> dict[str, Any]:
        repository = await self._repository(call)
        accepted = call.parameters.get("acceptedMediaTypes") or []
        images, failures = [], []
        for wanted in image_ids(call):
            image, failure = look_up(repository, wanted)
            effect = self._faults.of_content(image.digest) if image else None
            if image is None:
                failures.append(failure)
            elif effect == "kms":
                failures.append(
                    image_failure(wanted, "KmsError", "KMS key used to encrypt the image is not accessible")
                )
            elif effect == "inaccessible" or image.archived:
                failures.append(image_failure(wanted, "ImageInaccessible", "The image is not accessible"))
            else:
                images.append(self._with_manifest(repository, image, wanted, accepted))
        return {"images": images, "failures": failures}

    async def batch_delete_image(self, call: EcrCall) -> dict[str, Any]:
        repository = await self._repository(call)
        deleted, failures = [], []
        for wanted in image_ids(call):
            image, failure = look_up(repository, wanted)
            tag = wanted.get("imageTag")
            if image is None:
                failures.append(failure)
            elif tag and len(repository.tags_of(image.digest)) > 1:
                del repository.tags[tag]
                deleted.append({"imageDigest": image.digest, "imageTag": tag})
            elif repository.parents_of(image.digest):
                failures.append(
                    image_failure(
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
        for removed in deleted:
            self._events.deleted(repository.name, removed["imageDigest"], removed.get("imageTag"))
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
        self._events.pushed(repository.name, image.digest, image.media_type, tag)
        return {"image": self._with_manifest(repository, image, {"imageTag": tag} if tag else {}, [])}

    async def batch_check_layer_availability(self, call: EcrCall) -> dict[str, Any]:
        repository = await self._repository(call)
        digests = call.parameters.get("layerDigests") or []
        if not 1 <= len(digests) <= MAX_IDS:
            raise wrong_count("layerDigests")
        layers, failures = [], []
        for digest in digests:
            if not digest:
                failures.append(layer_failure(digest, "MissingLayerDigest", "layer digest is missing"))
            elif not _LAYER_DIGEST.match(digest):
                failures.append(layer_failure(digest, "InvalidLayerDigest", "layer digest is invalid"))
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
            "imageStatus": status_of(image),
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
        image, _ = look_up(repository, wanted)
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
        tag = wanted.get("imageTag")
        # ECR converts a manifest only where the request has a tag.
        manifest, media_type = manifest_as(image, accepted if tag else [])
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
