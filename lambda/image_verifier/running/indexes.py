"""The manifests of indexes: what runs a manifest needs the index that its tag references, and the reverse."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .. import aws
from ..faults import Fault
from ..image import media_types
from ..image.model import MAX_INDEX_DEPTH, is_digest
from ..retry import RetryBudget
from .api import batches

_RETRY_SECONDS: Final = 30.0
# The maximum of BatchGetImage.
_BATCH: Final = 100


@dataclass(frozen=True)
class IndexReader:
    """Reads the indexes of one repository.

    :param client: the client of ECR.
    :param arn: the repository's ARN.
    """

    client: Any
    arn: str

    def children(self, digests: Iterable[str]) -> dict[str, list[str]]:
        """The manifests that each index references, by its digest; the indexes in indexes are included.

        :param digests: digests of manifests, which may be indexes, or missing.
        :raises Fault: if a manifest cannot be read.
        """
        children: dict[str, list[str]] = {}
        waiting = [digest for digest in dict.fromkeys(digests) if is_digest(digest)]
        for _ in range(MAX_INDEX_DEPTH):
            inner: dict[str, None] = {}
            for some in batches(waiting, _BATCH):
                for digest, content in self._documents(some).items():
                    described = _descriptors(content)
                    children[digest] = [str(one.get("digest")) for one in described]
                    indexes = (one for one in described if one.get("mediaType") in media_types.INDEXES)
                    inner.update(dict.fromkeys(str(one.get("digest")) for one in indexes))
            waiting = [digest for digest in inner if digest not in children and is_digest(digest)]
        return children

    def _documents(self, digests: Sequence[str]) -> dict[str, str]:
        """The manifests by their digests, but for those that the repository does not have."""
        _, _, _, _, account, resource = self.arn.split(":", 5)
        answer = aws.call(
            self.client,
            "batch_get_image",
            self.arn,
            RetryBudget.of(_RETRY_SECONDS),
            registryId=account,
            repositoryName=resource.partition("/")[2],
            imageIds=[{"imageDigest": digest} for digest in digests],
            acceptedMediaTypes=list(media_types.ACCEPTED),
        )
        found = {image["imageId"]["imageDigest"]: image["imageManifest"] for image in answer.get("images", ())}
        failures: Sequence[Any] = answer.get("failures", ())
        absent = {
            one.get("imageId", {}).get("imageDigest") for one in failures if one.get("failureCode") == "ImageNotFound"
        }
        if set(digests) - set(found) - absent:
            what = f"ecr:BatchGetImage on {self.arn} did not return all of {len(digests)} manifests"
            raise Fault(what, aws.UNKNOWN_ADVICE)
        return found


def descendants(digest: str, children: Mapping[str, Sequence[str]]) -> set[str]:
    """The manifests of an index, and of the indexes in it.

    :param digest: the index's digest.
    :param children: the manifests that each index references.
    """
    found: set[str] = set()
    waiting = list(children.get(digest, ()))
    while waiting:
        child = waiting.pop()
        if child not in found:
            found.add(child)
            waiting += children.get(child, ())
    return found


def _descriptors(content: str) -> list[Mapping[str, Any]]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return []
    manifests = document.get("manifests") if isinstance(document, dict) else None
    return [one for one in manifests if isinstance(one, dict)] if isinstance(manifests, list) else []
