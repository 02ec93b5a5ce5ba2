"""An image in Amazon ECR, through its API.

A handful of calls, whatever the number of layers: DescribeImages and BatchGetImage side by side, BatchGetImage
for an index's child, then GetDownloadUrlForLayer with the config's download and BatchCheckLayerAvailability side
by side. https://docs.aws.amazon.com/AmazonECR/latest/APIReference/
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import urllib3
from botocore.model import StructureShape

from .. import aws
from ..aws_answers import is_web_page
from ..faults import Fault
from ..image import media_types
from ..image.model import Blob, Descriptor, Document, is_digest, sha256
from ..retry import RetryBudget
from . import Resolved, side_by_side
from .download import Download

if TYPE_CHECKING:
    from mypy_boto3_ecr.client import ECRClient

# The most that BatchCheckLayerAvailability accepts in one call.
_BATCH_SIZE: Final = 100
_CHUNK: Final = 1 << 18
# How often a blob is downloaded whose bytes do not match its digest.
_MAX_DOWNLOADS: Final = 3
# The codes with which S3 says that there is no blob, or that it has no bytes in the requested range.
_NOTHING: Final = {404: b"<Code>NoSuchKey</Code>", 416: b"<Code>InvalidRange</Code>"}
# The longest error of S3 that is read.
_MAX_ERROR: Final = 4096
_GONE: Final = frozenset({"ImageNotFound", "InvalidImageDigest", "InvalidImageTag", "ImageTagDoesNotMatchDigest"})


def downloads() -> urllib3.PoolManager:
    """The connections that download blobs; images that are read together may share them."""
    return urllib3.PoolManager(num_pools=4, maxsize=32, timeout=urllib3.Timeout(connect=5, read=15), retries=False)


def any_status(client: ECRClient) -> dict[str, str]:
    """The part of DescribeImages' filter that includes archived images; older clients do not know it."""
    shape = client.meta.service_model.operation_model("DescribeImages").input_shape
    wanted = shape.members.get("filter") if isinstance(shape, StructureShape) else None
    known = isinstance(wanted, StructureShape) and "imageStatus" in wanted.members
    return {"imageStatus": "ANY"} if known else {}


class EcrImage:
    """One image of an ECR repository.

    :param client: a boto3 ECR client for the repository's region, made with `aws.CLIENT_CONFIG`.
    :param repository_arn: `arn:PARTITION:ecr:REGION:ACCOUNT:repository/NAME`.
    :param repository_uri: `ACCOUNT.dkr.ecr.REGION.SUFFIX/NAME`, for messages.
    :param tag: the image's tag; pass exactly one of `tag` and `digest`.
    :param digest: the image's digest.
    :param retry_budget: for how long transient errors are retried.
    :param http: the connections that download blobs; None opens new ones.
    """

    at_once = 8

    def __init__(
        self,
        client: ECRClient,
        *,
        repository_arn: str,
        repository_uri: str,
        tag: str = "",
        digest: str = "",
        retry_budget: RetryBudget,
        http: urllib3.PoolManager | None = None,
    ) -> None:
        self._client = client
        self._arn = repository_arn
        _, _, _, self.region, self.registry_id, name = repository_arn.split(":", 5)
        self.repository = name.removeprefix("repository/")
        self._id = {"imageTag": tag} if tag else {"imageDigest": digest}
        self.reference = f"{repository_uri}:{tag}" if tag else f"{repository_uri}@{digest}"
        self._retry_budget = retry_budget
        self._http = http or downloads()

    def resolve(self) -> Resolved:
        """Resolve the tag or digest, and look up whether ECR has archived the image."""
        with side_by_side(self.at_once) as pool:
            pending = pool.submit(self._status)
            try:
                document = self._document(self._id)
            except Fault:
                if pending.result() in ("", "ACTIVE"):
                    raise
                # ECR does not hand out the manifest of an archived image.
                document = None
            status = pending.result()
        if document is None and status == "ACTIVE":
            raise Fault(
                f"ecr:DescribeImages on {self._arn} reports {self.reference}, and ecr:BatchGetImage does not",
                "Try again: the image may have been deleted in between.",
            )
        return Resolved(document, status or "ACTIVE")

    def _status(self) -> str:
        """The image's status; empty if there is no image."""
        parameters: dict[str, Any] = {"imageIds": [self._id]}
        if wanted := any_status(self._client):
            parameters["filter"] = wanted
        answer = self._call("describe_images", missing=("ImageNotFoundException",), **parameters)
        return next((str(details.get("imageStatus", "ACTIVE")) for details in answer.get("imageDetails", ())), "")

    def manifest(self, descriptor: Descriptor) -> Document | None:
        """Read the document that an index's child references."""
        return self._document({"imageDigest": descriptor.digest}) if is_digest(descriptor.digest) else None

    def _document(self, image_id: Mapping[str, str]) -> Document | None:
        answer = self._call("batch_get_image", imageIds=[image_id], acceptedMediaTypes=list(media_types.ACCEPTED))
        for image in answer.get("images", ()):
            return Document(
                media_type=image.get("imageManifestMediaType", ""),
                digest=image["imageId"]["imageDigest"],
                content=image["imageManifest"].encode(),
            )
        for failure in answer.get("failures", ()):
            code = failure.get("failureCode", "")
            if code not in _GONE:
                reason = failure.get("failureReason", "")
                raise Fault(
                    f"ecr:BatchGetImage on {self._arn} failed for {self.reference} with {code}: {reason}", _advice(code)
                )
        return None

    def blob(self, descriptor: Descriptor, limit: int) -> bytes | None:
        """Read a small blob, at most `limit + 1` bytes of it.

        :raises Fault: if the download has neither the digest nor the size of the blob, however often it is repeated.
        """
        content: bytes | None = b""
        for _ in range(_MAX_DOWNLOADS):
            content = self._download(descriptor, limit + 1)
            if content is None or len(content) > limit or sha256(content) == descriptor.digest:
                return content
        if content and len(content) == descriptor.size:
            return content
        raise _wrong_bytes(descriptor)

    def first_bytes(self, descriptor: Descriptor, count: int) -> bytes | None:
        """Read a blob's first bytes, by a Range request.

        :raises Fault: if the download is shorter than that and the blob, however often it is repeated.
        """
        for _ in range(_MAX_DOWNLOADS):
            content = self._download(descriptor, count, {"Range": f"bytes=0-{count - 1}"})
            if content is None or len(content) >= min(count, descriptor.size):
                return content
        raise _wrong_bytes(descriptor)

    def _download(self, descriptor: Descriptor, limit: int, headers: Mapping[str, str] | None = None) -> bytes | None:
        for attempt in itertools.count(1):
            response = self._get(descriptor, headers or {})
            if response is None:
                return None
            try:
                content = bytearray()
                while len(content) < limit and (chunk := response.read(limit - len(content))):
                    content += chunk
                return bytes(content)
            except urllib3.exceptions.HTTPError as e:
                if not self._retry_budget.wait_before_retry(attempt):
                    raise self._download_failed(descriptor, e) from None
            finally:
                response.close()
        raise AssertionError("counting does not end")

    def open(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes] | None]:
        """Stream a layer's bytes in chunks; an interrupted download is resumed where it stopped."""
        return Download(
            descriptor.digest,
            request=lambda headers: self._get(descriptor, headers),
            read=lambda response: response.stream(_CHUNK, decode_content=False),
            failed=lambda error: self._download_failed(descriptor, error),
            retry_budget=self._retry_budget,
        ).chunks()

    def _get(self, descriptor: Descriptor, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse | None:
        """Request a blob. Its URL is requested just before, since it expires, and never shown, since it is a secret."""
        if not is_digest(descriptor.digest):
            return None
        for attempt in itertools.count(1):
            answer = self._call(
                "get_download_url_for_layer",
                missing=("LayersNotFoundException", "LayerInaccessibleException"),
                layerDigest=descriptor.digest,
            )
            if not answer:
                return None
            url = answer["downloadUrl"]
            try:
                response = self._http.request(
                    "GET",
                    url,
                    headers=headers,
                    preload_content=False,
                    decode_content=False,
                    enforce_content_length=True,
                )
            except urllib3.exceptions.HTTPError as e:
                if self._retry_budget.wait_before_retry(attempt):
                    continue
                raise self._download_failed(descriptor, e, urlsplit(url).hostname or "") from None
            if response.status in (200, 206) and not is_web_page(response.headers.get("content-type", "")):
                return response
            if _says_nothing(response):
                return None
            if response.status == 403 or not self._retry_budget.wait_before_retry(attempt):
                raise Fault(
                    f"The download of {descriptor.digest} from {urlsplit(url).hostname} failed with HTTP "
                    f"{response.status}",
                    "The policy of a VPC endpoint must allow s3:GetObject on ECR's layer bucket; the policy of a "
                    "customer managed key must allow ECR to decrypt.",
                )
        raise AssertionError("counting does not end")

    @staticmethod
    def _download_failed(descriptor: Descriptor, error: Exception, host: str = "") -> Fault:
        # The error's own text contains the presigned URL, which is a secret until it expires.
        where = f" from {host}" if host else ""
        return Fault(
            f"The download of {descriptor.digest}{where} failed: {type(error).__name__}",
            "In a VPC without internet access, the verifier needs endpoints for both S3 and ECR.",
        )

    def availability(self, layers: Sequence[Descriptor]) -> Mapping[str, Blob]:
        """Look up the layers' availability, 100 in a call, all calls at once."""
        digests = list(dict.fromkeys(layer.digest for layer in layers if is_digest(layer.digest)))
        batches = [digests[i : i + _BATCH_SIZE] for i in range(0, len(digests), _BATCH_SIZE)]
        if not batches:
            return {}
        with side_by_side(min(self.at_once, len(batches))) as pool:
            answers = list(pool.results(self._availability, batches))
        return {digest: blob for answer in answers for digest, blob in answer.items()}

    def _availability(self, digests: Sequence[str]) -> Mapping[str, Blob]:
        answer = self._call("batch_check_layer_availability", layerDigests=digests)
        blobs = {
            layer["layerDigest"]: Blob(
                available=layer.get("layerAvailability") == "AVAILABLE",
                size=layer.get("layerSize"),
                state=layer.get("layerAvailability", "UNKNOWN"),
            )
            for layer in answer.get("layers", ())
        }
        for failure in answer.get("failures", ()):
            blobs[failure.get("layerDigest", "")] = Blob(False, None, failure.get("failureCode", "UNKNOWN"))
        return blobs

    def _call(self, operation: str, missing: Collection[str] = (), **parameters: Any) -> Mapping[str, Any]:
        return aws.call(
            self._client,
            operation,
            self._arn,
            self._retry_budget,
            missing,
            registryId=self.registry_id,
            repositoryName=self.repository,
            **parameters,
        )


def _wrong_bytes(descriptor: Descriptor) -> Fault:
    return Fault(
        f"The download of {descriptor.digest} has neither the bytes nor the size of the blob",
        "Check the network: a proxy or a firewall may have answered.",
    )


def _says_nothing(response: urllib3.BaseHTTPResponse) -> bool:
    """Whether S3 says that there is nothing; closes the response."""
    try:
        code = _NOTHING.get(response.status)
        return code is not None and code in response.read(_MAX_ERROR)
    except urllib3.exceptions.HTTPError:
        return False
    finally:
        response.close()


def _advice(code: str) -> str:
    if code.lower().startswith("kms"):
        return aws.KMS_ADVICE
    if code.startswith("Upstream"):
        return "The repository is a pull through cache: check its upstream registry, and the secret for it."
    return aws.UNKNOWN_ADVICE
