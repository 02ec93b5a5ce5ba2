"""Images of a repository, each verified as `check` verifies one, at a hundredth of its calls.

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

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Final, TypeVar, cast

import urllib3

from ..faults import Fault
from ..image.model import Descriptor
from ..outcome import ImageOutcome, as_fault
from ..policy import Policy
from ..report import Report
from ..retry import RetryBudget
from ..rules.ecr_names import names_in_ecr
from ..sources.ecr_image import EcrImage
from ..verify import load, verify
from .batches import BATCH, Answer, Batches, LayerAnswer, LruCache
from .judging import Judge
from .repository import RETRY_SECONDS, Repository

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
    :param documents: BatchGetImage's answers, by digest.
    :param layers: BatchCheckLayerAvailability's answers, by digest.
    :param wanted_documents: the digests of documents that the verifier reads.
    :param wanted_layers: the digests of layers that the verifier reads.
    :param complete: whether every question has been noted; the config comes last.
    """

    details: Answer
    documents: dict[str, Answer | Fault] = field(default_factory=dict)
    layers: dict[str, LayerAnswer | Fault] = field(default_factory=dict)
    wanted_documents: dict[str, None] = field(default_factory=dict)
    wanted_layers: dict[str, None] = field(default_factory=dict)
    complete: bool = False

    @property
    def digest(self) -> str:
        return str(self.details["imageDigest"])

    @property
    def tags(self) -> list[str]:
        """Its tags, in their order."""
        return sorted(map(str, self.details.get("imageTags") or ()))

    @property
    def tag(self) -> str:
        """The first of its tags; empty where it has none."""
        return min(self.tags, default="")

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


class _RecordedImage(EcrImage):
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


class RepositoryAudit:
    """Verifies images of one repository.

    :param client: a boto3 ECR client of its region.
    :param repository: the repository.
    :param policy: the policy by which an image is judged first; an image waits until the answers for it are there.
    :param judge: judges an image. It may verify the image by other policies, too.
    :param pool: the threads that fetch and verify.
    :param http: the connections for the configs' downloads.
    :param debug: whether tracebacks of faults are printed.
    :param ends_at: the moment, on `time.monotonic`, after which no more layers are read.
    """

    def __init__(
        self,
        client: Any,
        repository: Repository,
        policy: Policy,
        judge: Judge,
        pool: ThreadPoolExecutor,
        http: urllib3.PoolManager,
        *,
        debug: bool = False,
        ends_at: float = math.inf,
    ) -> None:
        self._client, self._repository, self._policy, self._judge = client, repository, policy, judge
        self._pool, self._http, self._debug, self._ends_at = pool, http, debug, ends_at
        self._batches = Batches(client, repository)
        self._layers, self._configs = LruCache(_MAX_LAYERS), LruCache(_MAX_CONFIGS)

    def run(self, details: Iterable[Answer], make: Callable[[ImageOutcome, Answer], _Result]) -> Iterator[_Result]:
        """Verify images, each as soon as its answers are there.

        :param details: DescribeImages' answers for the images, such as `Batches.tagged`.
        :param make: turns an image's outcome and details into a result; everything else is dropped at once.
        """
        waiting: list[_Candidate] = []
        for candidates in self._ahead(self._begin, _in_batches(details)):
            waiting += candidates
            yield from self._settle(waiting, make, whole=True)
        yield from self._settle(waiting, make, whole=False)

    def _begin(self, batch: Sequence[Answer]) -> list[_Candidate]:
        digests = [details["imageDigest"] for details in batch]
        documents = self._batches.documents(digests)
        return [
            _Candidate(details, {digest: documents[digest]}) for details, digest in zip(batch, digests, strict=True)
        ]

    def _settle(
        self, waiting: list[_Candidate], make: Callable[[ImageOutcome, Answer], _Result], *, whole: bool
    ) -> Iterator[_Result]:
        """Verify the images that are ready, and fetch answers for the others, as long as there is a batch to fetch.

        :param whole: whether only full batches are fetched.
        """
        ahead = _READ_AHEAD if self._policy.verify_layers else _IMAGES_AHEAD

        def judged(one: _Candidate) -> tuple[_Candidate, _Result | None]:
            outcome = self._verify(one)
            return one, make(outcome, one.details) if outcome else None

        while waiting:
            ready = [one for one in waiting if self._is_ready(one)]
            settled = {id(one) for one in ready}
            waiting[:] = [one for one in waiting if id(one) not in settled]
            for one, result in self._ahead(judged, iter(ready), ahead):
                if result is None:
                    waiting.append(one)
                else:
                    yield result
            if sum(one.weight for one in waiting) > _MAX_WAITING_BYTES:
                whole = False
            if not self._fetch(waiting, whole):
                return

    def _is_ready(self, one: _Candidate) -> bool:
        """Whether the first policy has every answer that it needs, but for the config."""
        while not self._is_waiting(one):
            if one.complete:
                return True
            known = len(one.wanted_documents)
            try:
                load(self._source(one, None), self._policy)
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

    def _verify(self, one: _Candidate) -> ImageOutcome | None:
        """The outcome for an image; None if the judge reads documents or layers that were not fetched yet."""
        uri = self._repository.uri
        # The reference that a user would pass to `check`, with the first of the image's tags.
        reference = f"{uri}:{one.tag}" if one.tag else f"{uri}@{one.digest}"
        try:
            judged = self._judge(one.tags, partial(self._report, one))
        except _MissingAnswer:
            return None
        except Exception as e:
            fault = as_fault(e, debug=self._debug)
            names = names_in_ecr(reference, str(self._policy.platform))
            return ImageOutcome(reference, self._policy, fault=fault, names=names)
        names = names_in_ecr(reference, str(judged.policy.platform))
        if judged.report:
            names = names.with_digest_of(judged.report.image.top)
        return ImageOutcome(reference, judged.policy, judged.report, names=names, skipped=judged.skipped)

    def _report(self, one: _Candidate, policy: Policy) -> Report:
        return verify(self._source(one, self._configs), policy, ends_at=self._ends_at)

    def _source(self, one: _Candidate, configs: LruCache | None) -> EcrImage:
        return _RecordedImage(
            one,
            configs,
            cast("Any", _RecordedClient(self._client, one)),
            repository_arn=self._repository.arn,
            repository_uri=self._repository.uri,
            tag=one.tag,
            digest="" if one.tag else one.digest,
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


def _in_batches(details: Iterable[Answer]) -> Iterator[list[Answer]]:
    waiting = iter(details)
    while batch := list(islice(waiting, BATCH)):
        yield batch


def _batches(digests: Mapping[str, None], whole: bool) -> list[list[str]]:
    wanted = list(digests)
    if whole:
        wanted = wanted[: len(wanted) // BATCH * BATCH]
    return [wanted[start : start + BATCH] for start in range(0, len(wanted), BATCH)]
