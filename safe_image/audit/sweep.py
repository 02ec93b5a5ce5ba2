"""Every tagged image of a repository, verified as `check` verifies one, at a hundredth of its calls.

The verifier itself shows which answers it needs for an image: its `EcrImage` gets, instead of the client, answers that
were fetched for many images at once. A missing answer is noted and fetched together with those of other images, and
the image is loaded again. So a verdict here cannot differ from that of `check`.

N images with L distinct layers cost at most ⌈N/1000⌉ DescribeImages, 2⌈N/100⌉ BatchGetImage (the tags' documents, and
the children of the indexes) and ⌈L/100⌉ BatchCheckLayerAvailability, plus the download of each distinct config. Memory
does not grow with N: images wait for a full batch up to `_MAX_WAITING_BYTES` of documents (beyond that, a batch is
fetched before it is full, which costs one more call), and at most `_MAX_LAYERS` layers and `_MAX_CONFIGS` configs are
cached. ECR returns a hundred documents in one answer, whatever their size.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any, Final, TypeVar, cast

import urllib3
from image_verifier.faults import Fault
from image_verifier.image.model import Descriptor, Image, Platform
from image_verifier.policy import Policy
from image_verifier.retry import RetryBudget
from image_verifier.sources.ecr_image import EcrImage
from image_verifier.verify import load

from ..results.check_runner import Outcome, run_check
from ..sources.targets import TargetResolver
from .batches import BATCH, Answer, Batches, LayerAnswer, LruCache
from .repositories import RETRY_SECONDS, Repository

# The bytes of indexes and manifests that may wait for a full batch.
_MAX_WAITING_BYTES: Final = 16 * 1024 * 1024
# The number of layers' answers in the cache (about 300 bytes each), of configs, and the size of the largest of these.
_MAX_LAYERS: Final = 1 << 16
_MAX_CONFIGS: Final = 64
_MAX_CONFIG_BYTES: Final = 256 * 1024
# The number of batches that are fetched, and of images that are verified, before they are needed. Reading an image's
# layers takes a whole machine.
_BATCHES_AHEAD: Final = 1
_IMAGES_AHEAD: Final = 64
_READ_AHEAD: Final = 1

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class _MissingAnswer(Exception):
    """An answer is missing; its question has been noted."""


@dataclass
class _Candidate:
    """An image on its way to a verdict: the answers that are there, and the questions that have been noted.

    :param details: DescribeImages' answer for it.
    :param policy: its policy.
    :param documents: BatchGetImage's answers, by digest.
    :param layers: BatchCheckLayerAvailability's answers, by digest.
    :param wanted_documents: the digests of documents that the verifier reads.
    :param wanted_layers: the digests of layers that the verifier reads.
    :param complete: whether every question has been noted; the config comes last.
    """

    details: Answer
    policy: Policy
    documents: dict[str, Answer | Fault] = field(default_factory=dict)
    layers: dict[str, LayerAnswer | Fault] = field(default_factory=dict)
    wanted_documents: dict[str, None] = field(default_factory=dict)
    wanted_layers: dict[str, None] = field(default_factory=dict)
    complete: bool = False

    @property
    def digest(self) -> str:
        return str(self.details["imageDigest"])

    @property
    def weight(self) -> int:
        """The bytes of its documents."""
        answers = (answer for answer in self.documents.values() if not isinstance(answer, Fault))
        return sum(len(image.get("imageManifest", "")) for answer in answers for image in answer.get("images", ()))


class _RecordedClient:
    """Stands in for one image's client: gives recorded answers, and notes the questions without one."""

    def __init__(self, client: Any, candidate: _Candidate) -> None:
        self.meta = client.meta
        self.get_download_url_for_layer = client.get_download_url_for_layer
        self._candidate = candidate

    def describe_images(self, **_: Any) -> Answer:
        return {"imageDetails": [self._candidate.details]}

    def batch_get_image(self, *, imageIds: Sequence[Mapping[str, str]], **_: Any) -> Answer:  # noqa: N803
        one = self._candidate
        # A request by tag is one for the image itself.
        digest = imageIds[0].get("imageDigest", one.digest)
        if digest not in one.documents:
            one.wanted_documents[digest] = None
            raise _MissingAnswer
        answer = _answer(one.documents[digest])
        # The answer was fetched by the digest, and accounts for the tag as well.
        return {
            what: [{**item, "imageId": {**item["imageId"], **imageIds[0]}} for item in answer.get(what, ())]
            for what in ("images", "failures")
        }

    def batch_check_layer_availability(self, *, layerDigests: Sequence[str], **_: Any) -> Answer:  # noqa: N803
        one = self._candidate
        missing = dict.fromkeys(digest for digest in layerDigests if digest not in one.layers)
        if missing:
            one.wanted_layers |= missing
            raise _MissingAnswer
        answers = [_answer(one.layers[digest]).as_answer(digest) for digest in layerDigests]
        return {what: [item for answer in answers for item in answer.get(what, ())] for what in ("layers", "failures")}


def _answer(recorded: _Item | Fault) -> _Item:
    if isinstance(recorded, Fault):
        raise recorded
    return recorded


class _SweptImage(EcrImage):
    """An image whose config is downloaded only for its verdict, and once for all images with the same config."""

    # Every answer but the config is there, and many images are verified in parallel.
    at_once = 1

    def __init__(self, one: _Candidate, configs: LruCache | None, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._one, self._configs = one, configs

    def blob(self, descriptor: Descriptor, limit: int) -> bytes | None:
        """A small blob, at most `limit + 1` bytes of it."""
        if self._configs is None:
            self._one.complete = True
            raise _MissingAnswer
        content = cast(
            "bytes | None", self._configs.get_or_call(descriptor.digest, partial(super().blob, descriptor, limit))
        )
        if content and len(content) > _MAX_CONFIG_BYTES:
            self._configs.forget(descriptor.digest)
        return content


class Sweep:
    """The images of one repository.

    :param client: a boto3 ECR client of its region.
    :param repository: the repository.
    :param policy: the policy of each image.
    :param own_platform: whether an image for another platform than the policy's is verified for its own platform, where
        the policy's runtimes support it.
    :param pool: the threads that fetch and verify.
    :param http: the connections for the configs' downloads.
    :param debug: whether tracebacks of faults are printed.
    """

    def __init__(
        self,
        client: Any,
        repository: Repository,
        policy: Policy,
        own_platform: bool,
        pool: ThreadPoolExecutor,
        http: urllib3.PoolManager,
        debug: bool,
    ) -> None:
        self._client, self._repository, self._policy, self._pool = client, repository, policy, pool
        self._http, self._debug = http, debug
        supported = (set(runtime.platforms) for runtime in policy.runtimes)
        others = set.intersection(*supported) - {str(policy.platform)} if own_platform else set()
        self._others = [replace(policy, platform=Platform.parse(other)) for other in sorted(others)]
        self._batches = Batches(client, repository)
        self._layers, self._configs = LruCache(_MAX_LAYERS), LruCache(_MAX_CONFIGS)
        self._resolver = TargetResolver()

    def run(self, skips: Callable[[str], bool], make: Callable[[Outcome, Answer], _Result]) -> Iterator[_Result]:
        """Verify the images, each as soon as its answers are there.

        :param skips: whether the image of a digest is skipped.
        :param make: turns an image's outcome and details into a result; everything else is dropped at once.
        :raises Fault: if the repository's images cannot be listed.
        """
        waiting: list[_Candidate] = []
        for candidates in self._ahead(self._begin, self._batches_of_details(skips)):
            waiting += candidates
            yield from self._settle(waiting, make, whole=True)
        yield from self._settle(waiting, make, whole=False)

    def _batches_of_details(self, skips: Callable[[str], bool]) -> Iterator[list[Answer]]:
        tagged = (details for details in self._batches.tagged() if not skips(details["imageDigest"]))
        while batch := list(islice(tagged, BATCH)):
            yield batch

    def _begin(self, batch: Sequence[Answer]) -> list[_Candidate]:
        digests = [details["imageDigest"] for details in batch]
        documents = self._batches.documents(digests)
        return [
            _Candidate(details, self._policy, {digest: documents[digest]})
            for details, digest in zip(batch, digests, strict=True)
        ]

    def _settle(
        self, waiting: list[_Candidate], make: Callable[[Outcome, Answer], _Result], *, whole: bool
    ) -> Iterator[_Result]:
        """Verify the images that are ready, and fetch answers for the others, as long as there is a batch to fetch.

        :param whole: whether only full batches are fetched.
        """
        ahead = _READ_AHEAD if self._policy.verify_layers else _IMAGES_AHEAD
        while waiting:
            ready = [one for one in waiting if self._is_ready(one)]
            settled = {id(one) for one in ready}
            waiting[:] = [one for one in waiting if id(one) not in settled]
            yield from self._ahead(lambda one: make(self._verify(one), one.details), iter(ready), ahead)
            if sum(one.weight for one in waiting) > _MAX_WAITING_BYTES:
                whole = False
            if not self._fetch(waiting, whole):
                return

    def _is_ready(self, one: _Candidate) -> bool:
        """Whether the verifier has every answer that it needs, but for the config."""
        while not self._is_waiting(one):
            if one.complete:
                return True
            known = len(one.wanted_documents)
            try:
                image = load(self._source(one, None), one.policy)
                if other := self._own_platform_policy(image, one):
                    one.policy = other
                    continue
            except (_MissingAnswer, Fault):
                pass
            except Exception:
                # A bug: it happens again when the image is verified, and is reported as that image's outcome.
                return True
            one.complete = one.complete or known == len(one.wanted_documents)
        return False

    def _is_waiting(self, one: _Candidate) -> bool:
        """Whether a noted question is still without its answer."""
        for digest in one.wanted_layers:
            if digest not in one.layers and (answer := self._layers.get(digest)) is not None:
                one.layers[digest] = answer
        return bool(one.wanted_documents.keys() - one.documents.keys() or one.wanted_layers.keys() - one.layers.keys())

    def _own_platform_policy(self, image: Image, one: _Candidate) -> Policy | None:
        """The policy for the image's own platform; None where that is the policy's platform."""
        if one.policy is not self._policy:
            return None
        if image.indexes and not image.chosen:
            return next((other for other in self._others if image.indexes[0].choose(other.platform)), None)
        if image.config:
            return next((other for other in self._others if image.config.platform == other.platform), None)
        return None

    def _fetch(self, waiting: Sequence[_Candidate], whole: bool) -> bool:
        """Fetch the missing answers, a hundred in a call; whether there was a batch to fetch."""
        documents = dict.fromkeys(d for one in waiting for d in one.wanted_documents if d not in one.documents)
        layers = dict.fromkeys(d for one in waiting for d in one.wanted_layers if d not in one.layers)
        # An image that waits for a document may need layers next: the last batch of layers waits for these.
        document_batches = _batches(documents, whole)
        layer_batches = _batches(layers, whole or bool(documents))
        document_answers = self._pool.map(self._batches.documents, document_batches)
        layer_answers = self._pool.map(self._batches.layers, layer_batches)
        documents_by_digest = {digest: answer for answers in document_answers for digest, answer in answers.items()}
        for one in waiting:
            one.documents |= {
                digest: documents_by_digest[digest] for digest in one.wanted_documents if digest in documents_by_digest
            }
        for answers in layer_answers:
            for digest, answer in answers.items():
                self._layers.put(digest, answer)
        return bool(document_batches or layer_batches)

    def _verify(self, one: _Candidate) -> Outcome:
        # The reference that a user would pass to `check`, with the first of the image's tags.
        reference = f"{self._repository.uri}:{_first_tag(one.details)}"
        target = self._resolver.target(reference, str(one.policy.platform))
        target = replace(target, open=lambda: self._source(one, self._configs))
        outcome = run_check(target, one.policy, self._debug)
        if outcome.report and (other := self._own_platform_policy(outcome.report.image, one)):
            one.policy = other
            return self._verify(one)
        return outcome

    def _source(self, one: _Candidate, configs: LruCache | None) -> EcrImage:
        return _SweptImage(
            one,
            configs,
            cast("Any", _RecordedClient(self._client, one)),
            repository_arn=self._repository.arn,
            repository_uri=self._repository.uri,
            tag=_first_tag(one.details),
            retry_budget=RetryBudget.of(RETRY_SECONDS),
            http=self._http,
        )

    def _ahead(
        self, work: Callable[[_Item], _Result], items: Iterator[_Item], at_once: int = _BATCHES_AHEAD
    ) -> Iterator[_Result]:
        """The work's results in the items' order, some of it done ahead."""
        running: deque[Future[_Result]] = deque(self._pool.submit(work, item) for item in islice(items, at_once))
        while running:
            result = running.popleft().result()
            running.extend(self._pool.submit(work, item) for item in islice(items, 1))
            yield result


def _first_tag(details: Answer) -> str:
    return str(min(details["imageTags"]))


def _batches(digests: Mapping[str, None], whole: bool) -> list[list[str]]:
    wanted = list(digests)
    if whole:
        wanted = wanted[: len(wanted) // BATCH * BATCH]
    return [wanted[start : start + BATCH] for start in range(0, len(wanted), BATCH)]
