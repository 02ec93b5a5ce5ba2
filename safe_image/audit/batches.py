"""What ECR says of many images or layers in one call, as it says it: the largest batches that its API takes.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchGetImage.html and its siblings.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from sys import intern
from threading import Lock
from typing import Any, Final, NamedTuple

from image_verifier import aws
from image_verifier.faults import Fault
from image_verifier.image import media_types
from image_verifier.retry import RetryBudget
from image_verifier.sources.ecr_image import any_status

from .repositories import RETRY_SECONDS, Repository

# The most that BatchGetImage and BatchCheckLayerAvailability take, and that DescribeImages tells.
BATCH: Final = 100
_PAGE: Final = 1000

Answer = Mapping[str, Any]
"""What ECR answers for one image or layer, in the shape in which it would have answered for it alone."""


class LayerAnswer(NamedTuple):
    """What ECR answers for one layer, in short; nothing at all where it does not answer."""

    state: str = ""
    size: int | None = None
    failure: str = ""

    def as_answer(self, digest: str) -> Answer:
        """In ECR's own shape.

        :param digest: the layer's.
        """
        if self.failure:
            return {"failures": [{"layerDigest": digest, "failureCode": self.failure}]}
        layer = {"layerDigest": digest, "layerAvailability": self.state, "layerSize": self.size}
        return {"layers": [layer]} if self.state else {}


class Batches:
    """The batched calls for one repository.

    :param client: a boto3 ECR client of its region.
    """

    def __init__(self, client: Any, repository: Repository) -> None:
        self._client, self._repository = client, repository

    def tagged(self) -> Iterator[Answer]:
        """DescribeImages' details of every tagged image, page by page.

        :raises Fault: if they are not told.
        """
        wanted = {"tagStatus": "TAGGED", **any_status(self._client)}
        more: dict[str, str] = {}
        while True:
            answer = self._call("describe_images", filter=wanted, maxResults=_PAGE, **more)
            yield from answer.get("imageDetails", ())
            if not answer.get("nextToken"):
                return
            more = {"nextToken": answer["nextToken"]}

    def documents(self, digests: Sequence[str]) -> dict[str, Answer | Fault]:
        """BatchGetImage's answer for each digest; the fault for each, where there is none.

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
        told: dict[str, Answer | Fault] = {digest: {} for digest in digests}
        told |= {
            failure["imageId"].get("imageDigest", ""): {"failures": [failure]} for failure in answer.get("failures", ())
        }
        return told | {image["imageId"]["imageDigest"]: {"images": [image]} for image in answer.get("images", ())}

    def layers(self, digests: Sequence[str]) -> dict[str, LayerAnswer | Fault]:
        """BatchCheckLayerAvailability's answer for each digest; the fault for each, where there is none.

        :param digests: at most `BATCH`.
        """
        try:
            answer = self._call("batch_check_layer_availability", layerDigests=list(digests))
        except Fault as fault:
            return dict.fromkeys(digests, fault)
        told: dict[str, LayerAnswer | Fault] = dict.fromkeys(digests, LayerAnswer())
        for layer in answer.get("layers", ()):
            # Many layers are remembered, and these are the same few words.
            state = intern(layer.get("layerAvailability", "UNKNOWN"))
            told[layer["layerDigest"]] = LayerAnswer(state, layer.get("layerSize"))
        for failure in answer.get("failures", ()):
            told[failure.get("layerDigest", "")] = LayerAnswer(failure=intern(failure.get("failureCode", "UNKNOWN")))
        return told

    def _call(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        return aws.call(
            self._client,
            operation,
            self._repository.arn,
            RetryBudget.of(RETRY_SECONDS),
            registryId=self._repository.registry_id,
            repositoryName=self._repository.name,
            **parameters,
        )


class LruCache:
    """What was told lately, at most so much of it: what is older than that is asked again."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._told: OrderedDict[str, Any] = OrderedDict()
        self._lock = Lock()

    def __contains__(self, key: str) -> bool:
        return key in self._told

    def get(self, key: str) -> Any:
        """What was told; None where nothing was, or nothing lately."""
        with self._lock:
            if key not in self._told:
                return None
            self._told.move_to_end(key)
            return self._told[key]

    def put(self, key: str, told: Any) -> None:
        """Keep it, and forget the oldest."""
        with self._lock:
            self._told[key] = told
            self._told.move_to_end(key)
            while len(self._told) > self._most:
                self._told.popitem(last=False)

    def forget(self, key: str) -> None:
        """Keep it no longer."""
        with self._lock:
            self._told.pop(key, None)

    def get_or_call(self, key: str, ask: Callable[[], Any]) -> Any:
        """What was told, or what is told now; who wants the same meanwhile waits for it.

        :param ask: what to do where nothing was told; what it raises, everybody gets who waits.
        """
        mine: Future[Any] = Future()
        with self._lock:
            known: Future[Any] = self._told.setdefault(key, mine)
        if known is not mine:
            return known.result()
        try:
            mine.set_result(ask())
        except BaseException as e:
            mine.set_exception(e)
            raise
        finally:
            self.put(key, mine)
        return mine.result()
