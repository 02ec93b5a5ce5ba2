"""ECR's `/v2/` registry, which engines push to and pull from with the OCI distribution protocol.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from local_aws.account import ACCOUNT
from local_aws.asgi import Disconnected, Request, Response, json_response
from local_aws.ecr_api import EcrApi
from local_aws.fault_injection import InjectedFaults
from local_aws.image_events import ImageEvents
from local_aws.layer_downloads import LayerDownloads
from local_aws.store import DIGEST, MAX_MANIFEST, OCI_INDEX, Refused, Repository, Store, digest_of

_NAME = r"(?P<name>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
_DEFAULT_TAGS = 1000


class RegistryError(Exception):
    """An error of the distribution protocol."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code

    @property
    def response(self) -> Response:
        """The error in the protocol's JSON."""
        return json_response(self.status, {"errors": [{"code": self.code, "message": str(self)}]})


@dataclass(frozen=True)
class _RegistryCall:
    """A request within a repository; `reference` is a tag, a digest or an upload's id."""

    request: Request
    repository: Repository
    reference: str
    base: str


_Handler = Callable[[_RegistryCall], Awaitable[Response]]


class RegistryApi:
    """Answers everything below `/v2/`."""

    def __init__(
        self,
        store: Store,
        layers: LayerDownloads,
        faults: InjectedFaults,
        ecr: EcrApi,
        events: ImageEvents,
        auth: bool,
    ) -> None:
        self._store, self._layers, self._faults, self._ecr, self._auth = store, layers, faults, ecr, auth
        self._events = events
        routes: list[tuple[str, dict[str, _Handler]]] = [
            (r"tags/list()", {"GET": self._tags}),
            (r"referrers/(?P<reference>[^/]+)", {"GET": self._referrers}),
            (
                r"manifests/(?P<reference>[^/]+)",
                {
                    "GET": self._get_manifest,
                    "HEAD": self._get_manifest,
                    "PUT": self._put_manifest,
                    "DELETE": self._delete_manifest,
                },
            ),
            (r"blobs/uploads/?()", {"POST": self._begin}),
            (
                r"blobs/uploads/(?P<reference>[0-9a-f-]+)",
                {
                    "GET": self._upload_status,
                    "PATCH": self._patch,
                    "PUT": self._finish,
                    "DELETE": self._cancel,
                },
            ),
            (r"blobs/(?P<reference>[^/]+)", {"GET": self._get_blob, "HEAD": self._head_blob}),
        ]
        self._routes = [(re.compile(f"/v2/{_NAME}/{path}$"), methods) for path, methods in routes]

    async def answer(self, request: Request, base: str) -> Response:
        """Answer one request.

        :param base: our address as the caller reached it.
        """
        try:
            self._check_password(request, base)
            if request.path.rstrip("/") == "/v2":
                return json_response(200, {}, **{"Docker-Distribution-Api-Version": "registry/2.0"})
            return await self._route(request, base)
        except Refused as refusal:
            return RegistryError(refusal.status, refusal.registry, str(refusal)).response
        except RegistryError as error:
            if error.status == 401:
                challenge = {"WWW-Authenticate": f'Basic realm="{base}/",service="ecr.amazonaws.com"'}
                return json_response(401, {"errors": [{"code": error.code, "message": str(error)}]}, **challenge)
            return error.response

    async def _route(self, request: Request, base: str) -> Response:
        for pattern, methods in self._routes:
            match = pattern.match(request.path)
            if match and request.method in methods:
                repository = await self._store.repository(match["name"])
                if repository is None:
                    what = f"The repository with name '{match['name']}' does not exist"
                    raise RegistryError(404, "NAME_UNKNOWN", f"{what} in the registry with id '{ACCOUNT}'")
                reference = match.groupdict().get("reference", "")
                return await methods[request.method](_RegistryCall(request, repository, reference, base))
        raise RegistryError(405, "UNSUPPORTED", "Unsupported operation")

    def _check_password(self, request: Request, base: str) -> None:
        """Require the token of GetAuthorizationToken where IAM is enforced."""
        expected = "Basic " + base64.b64encode(f"AWS:{self._ecr.password}".encode()).decode()
        given = request.headers.get("authorization", "")
        if self._auth and not hmac.compare_digest(given.encode(), expected.encode()):
            raise RegistryError(401, "UNAUTHORIZED", "Not Authorized" if given else "no basic auth credentials")

    async def _tags(self, call: _RegistryCall) -> Response:
        count, last = int(call.request.query.get("n", _DEFAULT_TAGS)), call.request.query.get("last", "")
        tags = [tag for tag in sorted(call.repository.tags) if tag > last]
        name = call.repository.name
        more = {}
        if len(tags) > count:
            more["Link"] = f'</v2/{name}/tags/list?n={count}&last={tags[count - 1]}>; rel="next"'
        return json_response(200, {"name": name, "tags": tags[:count]}, **more)

    async def _referrers(self, call: _RegistryCall) -> Response:
        """The manifests whose subject is an image, such as its SBOM.

        https://docs.aws.amazon.com/AmazonECR/latest/userguide/images-managing.html
        """
        wanted = call.request.query.get("artifactType", "")
        found = [image.descriptor for image in call.repository.referrers_of(call.reference)]
        manifests = [descriptor for descriptor in found if wanted in ("", descriptor["artifactType"])]
        more = {"OCI-Filters-Applied": "artifactType"} if wanted else {}
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
        return json_response(200, index, **{**more, "Content-Type": OCI_INDEX})

    async def _get_manifest(self, call: _RegistryCall) -> Response:
        image = call.repository.find(call.reference)
        if image is None or image.archived:
            raise RegistryError(404, "MANIFEST_UNKNOWN", "Requested image not found")
        if self._faults.of_content(image.digest) in ("kms", "inaccessible"):
            raise RegistryError(403, "DENIED", "The image's KMS key is not accessible")
        headers = {
            "Content-Type": image.media_type,
            "Docker-Content-Digest": image.digest,
            "Content-Length": str(len(image.manifest)),
        }
        return Response(200, b"" if call.request.method == "HEAD" else image.manifest, headers)

    async def _put_manifest(self, call: _RegistryCall) -> Response:
        manifest = await call.request.body(MAX_MANIFEST + 1)
        tag = None if DIGEST.match(call.reference) else call.reference
        media_type = call.request.headers.get("content-type", "").partition(";")[0]
        if tag is None and digest_of(manifest) != call.reference:
            raise RegistryError(400, "DIGEST_INVALID", "the manifest's digest is not the one in the path")
        image = call.repository.put(manifest, media_type or None, tag)
        self._events.pushed(call.repository.name, image.digest, image.media_type, tag)
        location = f"/v2/{call.repository.name}/manifests/{image.digest}"
        # The header says that the registry lists referrers, so that clients make no tag for them:
        # https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests-with-subject
        more = {"OCI-Subject": image.subject} if image.subject else {}
        return Response(201, b"", {"Location": location, "Docker-Content-Digest": image.digest, **more})

    async def _delete_manifest(self, call: _RegistryCall) -> Response:
        image = call.repository.find(call.reference)
        if image is None:
            raise RegistryError(404, "MANIFEST_UNKNOWN", "Requested image not found")
        if call.repository.parents_of(image.digest):
            raise RegistryError(405, "UNSUPPORTED", "Requested image referenced by manifest list")
        if call.reference in call.repository.tags and len(call.repository.tags_of(image.digest)) > 1:
            del call.repository.tags[call.reference]
        else:
            call.repository.delete(image.digest)
        self._events.deleted(
            call.repository.name, image.digest, None if DIGEST.match(call.reference) else call.reference
        )
        return Response(202)

    async def _begin(self, call: _RegistryCall) -> Response:
        query = call.request.query
        mount, source_name = query.get("mount", ""), query.get("from", "")
        source = await self._store.repository(source_name) if mount and source_name else None
        if source and mount in source.blobs:
            call.repository.blobs[mount] = source.blobs[mount]
            return _created(call.repository.name, mount)
        upload = self._store.begin()
        if "digest" in query:
            return await self._finish(_RegistryCall(call.request, call.repository, upload, call.base))
        return self._accepted(call.repository.name, upload)

    async def _upload_status(self, call: _RegistryCall) -> Response:
        self._known_upload(call)
        return self._accepted(call.repository.name, call.reference, 204)

    async def _patch(self, call: _RegistryCall) -> Response:
        self._known_upload(call)
        upload = self._store.uploads[call.reference]
        start = call.request.headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
        if start and int(start) != upload.size:
            return self._accepted(call.repository.name, call.reference, 416)
        await upload.write(call.request.chunks())
        return self._accepted(call.repository.name, call.reference)

    async def _finish(self, call: _RegistryCall) -> Response:
        self._known_upload(call)
        try:
            await self._store.uploads[call.reference].write(call.request.chunks())
        except Disconnected:
            self._store.cancel(call.reference)
            raise
        digest = call.request.query.get("digest", "")
        if not self._store.finish(call.reference, digest, call.repository):
            raise RegistryError(400, "DIGEST_INVALID", "the blob's bytes are not those of the digest")
        return _created(call.repository.name, digest)

    async def _cancel(self, call: _RegistryCall) -> Response:
        self._known_upload(call)
        self._store.cancel(call.reference)
        return Response(204)

    async def _head_blob(self, call: _RegistryCall) -> Response:
        size = self._known_blob(call)
        return Response(
            200,
            b"",
            {
                "Content-Length": str(size),
                "Docker-Content-Digest": call.reference,
                "Content-Type": "application/octet-stream",
            },
        )

    async def _get_blob(self, call: _RegistryCall) -> Response:
        """Redirect to another host, as ECR does to S3: clients then omit their credentials."""
        self._known_blob(call)
        scheme, _, address = call.base.partition("://")
        host, _, port = address.rpartition(":")
        other = "127.0.0.1" if host == "localhost" else "localhost"
        return Response(307, b"", {"Location": self._layers.url(f"{scheme}://{other}:{port}", call.reference)})

    def _known_blob(self, call: _RegistryCall) -> int:
        size = call.repository.blobs.get(call.reference)
        if size is None or self._faults.of_content(call.reference) == "gone":
            raise RegistryError(404, "BLOB_UNKNOWN", "blob unknown to registry")
        return size

    def _known_upload(self, call: _RegistryCall) -> None:
        if call.reference not in self._store.uploads:
            raise RegistryError(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")

    def _accepted(self, name: str, upload: str, status: int = 202) -> Response:
        last = max(0, self._store.uploads[upload].size - 1)
        return Response(
            status,
            b"",
            {
                "Location": f"/v2/{name}/blobs/uploads/{upload}",
                "Range": f"0-{last}",
                "Docker-Upload-UUID": upload,
            },
        )


def _created(name: str, digest: str) -> Response:
    return Response(201, b"", {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest})
