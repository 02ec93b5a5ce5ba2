"""ECR's answers for many images or layers in one call, in the largest batches that its API accepts.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchGetImage.html and its siblings.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from sys import intern
from threading import Lock
from typing import Any, Final, NamedTuple

from .. import aws
from ..faults import Fault
from ..image import media_types
from ..retry import RetryBudget
from ..sources.ecr_image import any_status
from .repository import RETRY_SECONDS, Repository

# The maximum of BatchGetImage and BatchCheckLayerAvailability, and the largest page of DescribeImages.
BATCH: Final = 100
_PAGE: Final = 1000

Answer = Mapping[str, Any]
"""ECR's answer for one image or layer, in the shape of an answer for it alone."""


class LayerAnswer(NamedTuple):
    """ECR's answer for one layer, compactly: either its state and size, or a failure."""

    state: str = ""
    size: int | None = None
    failure: str = ""

    def as_answer(self, digest: str) -> Answer:
        """The answer in ECR's own shape.

        :param digest: the layer's digest.
        """
        if self.failure:
            return {"failures": [{"layerDigest": digest, "failureCode": self.failure}]}
        return {"layers": [{"layerDigest": digest, "layerAvailability": self.state, "layerSize": self.size}]}


class Batches:
    """The batched calls for one repository.

    :param client: a boto3 ECR client of its region.
    """

    def __init__(self, client: Any, repository: Repository) -> None:
        self._client, self._repository = client, repository

    def tagged(self) -> Iterator[Answer]:
        """DescribeImages' details of every tagged image, page by page.

        :raises Fault: if the call fails.
        """
        wanted = {"tagStatus": "TAGGED", **any_status(self._client)}
        pages = aws.pages(
            self._client,
            "describe_images",
            self._repository.arn,
            lambda: RetryBudget.of(RETRY_SECONDS),
            registryId=self._repository.registry_id,
            repositoryName=self._repository.name,
            filter=wanted,
            maxResults=_PAGE,
        )
        for page in pages:
            yield from page["imageDetails"]

    def described(self, digests: Sequence[str]) -> Iterator[Answer]:
        """DescribeImages' details of images; those that do not exist are left out.

        :param digests: at most `BATCH`.
        :raises Fault: if the call fails.
        """
        if not digests:
            return
        wanted = any_status(self._client)
        answer = self._call(
            "describe_images",
            missing=("ImageNotFoundException",),
            imageIds=[{"imageDigest": digest} for digest in digests],
            **({"filter": wanted} if wanted else {}),
        )
        if answer:
            yield from answer["imageDetails"]
        elif len(digests) > 1:
            # One image that does not exist fails the whole call.
            half = len(digests) // 2
            yield from self.described(digests[:half])
            yield from self.described(digests[half:])

    def documents(self, digests: Sequence[str]) -> dict[str, Answer | Fault]:
        """BatchGetImage's answer for each digest, or for each the fault of the call.

        :param digests: at most `BATCH`.
        """
        try:
            answer = self._call(
                "batch_get_image",
                imageIds=[{"imageDigest": digest} for digest in digests],
                acceptedMediaTypes=list(media_types.ACCEPTED),
            )
        except Fault as fault:
            return dict.fromkeys(digests, fault)
        answers: dict[str, Answer | Fault] = {
            failure["imageId"].get("imageDigest", ""): {"failures": [failure]} for failure in answer.get("failures", ())
        }
        return answers | {image["imageId"]["imageDigest"]: {"images": [image]} for image in answer.get("images", ())}

    def layers(self, digests: Sequence[str]) -> dict[str, LayerAnswer | Fault]:
        """BatchCheckLayerAvailability's answer for each digest, or for each the fault of the call.

        :param digests: at most `BATCH`.
        """
        try:
            answer = self._call("batch_check_layer_availability", layerDigests=list(digests))
        except Fault as fault:
            return dict.fromkeys(digests, fault)
        answers: dict[str, LayerAnswer | Fault] = {}
        for layer in answer.get("layers", ()):
            # Many layers are cached, and their states are the same few words.
            state = intern(layer["layerAvailability"])
            answers[layer["layerDigest"]] = LayerAnswer(state, layer.get("layerSize"))
        for failure in answer.get("failures", ()):
            answers[failure.get("layerDigest", "")] = LayerAnswer(failure=intern(failure.get("failureCode", "UNKNOWN")))
        return answers

    def _call(self, operation: str, missing: Sequence[str] = (), **parameters: Any) -> Mapping[str, Any]:
        return aws.call(
            self._client,
            operation,
            self._repository.arn,
            RetryBudget.of(RETRY_SECONDS),
            missing,
            registryId=self._repository.registry_id,
            repositoryName=self._repository.name,
            **parameters,
        )


class LruCache:
    """A cache of bounded size, from which the least recently used entry is dropped.

    :param max_entries: the maximum number of entries.
    """

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._entries: OrderedDict[str, Any] = OrderedDict()
        self._lock = Lock()

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def get(self, key: str) -> Any:
        """The entry of a key; None where there is none."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key]

    def put(self, key: str, entry: Any) -> None:
        """Add an entry, and drop the least recently used one."""
        with self._lock:
            self._entries[key] = entry
            self._entries.move_to_end(key)
            while len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)

    def forget(self, key: str) -> None:
        """Drop an entry."""
        with self._lock:
            self._entries.pop(key, None)

    def get_or_call(self, key: str, call: Callable[[], Any]) -> Any:
        """The entry of a key, or else the result of a call. Callers with the same key wait for one call.

        :param key: the entry's key.
        :param call: computes the entry. Its exception is raised in every caller that waits for it.
        """
        mine: Future[Any] = Future()
        with self._lock:
            known: Future[Any] = self._entries.setdefault(key, mine)
        if known is not mine:
            return known.result()
        try:
            mine.set_result(call())
        except BaseException as e:
            mine.set_exception(e)
            raise
        finally:
            self.put(key, mine)
        return mine.result()
