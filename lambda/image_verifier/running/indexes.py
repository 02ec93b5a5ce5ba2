"""The manifests of indexes: what runs a manifest needs the index that its tag references, and the reverse."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass
class Manifests:
    """The manifests of a repository, as far as they were read.

    :param children: the manifests that each index references, by its digest; the indexes in indexes are included.
    :param tags: the digest that each tag references.
    :param absent: the digests of manifests that ECR does not return.
    """

    children: dict[str, list[str]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)

    def family(self, digest: str) -> set[str]:
        """A manifest, and if it is an index all that it references.

        :param digest: the manifest's digest.
        """
        found: set[str] = set()
        waiting = [digest]
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += self.children.get(one, ())
        return found


@dataclass(frozen=True)
class IndexReader:
    """Reads the indexes of one repository.

    :param client: the client of ECR.
    :param arn: the repository's ARN.
    :param is_strict: whether an image that is there and cannot be read is a fault; otherwise it counts as absent.
    """

    client: Any
    arn: str
    is_strict: bool = True

    def read(self, digests: Iterable[str], tags: Iterable[str] = ()) -> Manifests:
        """Read manifests, and the indexes that they reference.

        :param digests: digests of manifests, which may be indexes, or missing.
        :param tags: tags, which may be missing.
        :raises Fault: if a manifest cannot be read.
        """
        read = Manifests()
        waiting = [{"imageTag": tag} for tag in dict.fromkeys(tags)]
        waiting += [{"imageDigest": digest} for digest in dict.fromkeys(digests) if is_digest(digest)]
        for _ in range(MAX_INDEX_DEPTH):
            inner: dict[str, None] = {}
            for some in batches(waiting, _BATCH):
                for described in self._read(some, read):
                    indexes = (one for one in described if one.get("mediaType") in media_types.INDEXES)
                    inner.update(dict.fromkeys(str(one.get("digest")) for one in indexes))
            wanted = (digest for digest in inner if digest not in read.children and is_digest(digest))
            waiting = [{"imageDigest": digest} for digest in wanted]
        return read

    def _read(self, ids: Sequence[Mapping[str, str]], read: Manifests) -> Iterator[list[Mapping[str, Any]]]:
        """The descriptors of each manifest."""
        _, _, _, _, account, resource = self.arn.split(":", 5)
        answer = aws.call(
            self.client,
            "batch_get_image",
            self.arn,
            RetryBudget.of(_RETRY_SECONDS),
            ("RepositoryNotFoundException",),
            registryId=account,
            repositoryName=resource.partition("/")[2],
            imageIds=list(ids),
            acceptedMediaTypes=list(media_types.ACCEPTED),
        )
        if not answer:
            read.absent.update(one["imageDigest"] for one in ids if "imageDigest" in one)
            return
        for failure in answer.get("failures", ()):
            if self.is_strict and failure.get("failureCode") != "ImageNotFound":
                what = f"ecr:BatchGetImage on {self.arn} did not return all of {len(ids)} manifests"
                raise Fault(f"{what} ({failure.get('failureCode')})", aws.UNKNOWN_ADVICE)
            read.absent.update(filter(None, [failure.get("imageId", {}).get("imageDigest")]))
        for image in answer.get("images", ()):
            digest = image["imageId"]["imageDigest"]
            if tag := image["imageId"].get("imageTag"):
                read.tags[tag] = digest
            described = _descriptors(image["imageManifest"])
            read.children[digest] = [str(one.get("digest")) for one in described]
            yield described


def _descriptors(content: str) -> list[Mapping[str, Any]]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return []
    manifests = document.get("manifests") if isinstance(document, dict) else None
    return [one for one in manifests if isinstance(one, dict)] if isinstance(manifests, list) else []
