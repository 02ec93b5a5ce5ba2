"""Every tagged image of a repository, judged as `check` judges one, at a hundredth of its calls.

The verifier itself says what it wants to know of an image: `EcrImage` is given, in the client's place, what was told
of many images at once, and what is not yet told is noted, asked for together with what other images want, and the
image is looked at again. So a verdict here cannot differ from `check`'s.

N images with L distinct layers cost at most ⌈N/1000⌉ DescribeImages, 2⌈N/100⌉ BatchGetImage (the tags' documents, and
the children of those that are indexes) and ⌈L/100⌉ BatchCheckLayerAvailability, besides each distinct config's
download. Memory does not grow with N: images wait for others' questions up to `_WAITING` bytes of documents (beyond
that, a batch that is not full is asked, which costs one call more), layers are remembered up to `_LAYERS`, configs up
to `_CONFIGS`; a hundred documents come in one answer of ECR's, whatever their size.
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

# The bytes of indexes and manifests that wait for a batch to become full.
_WAITING: Final = 16 * 1024 * 1024
# How many layers' answers are remembered (about 300 bytes each), and how many configs, up to which size in bytes.
_LAYERS: Final = 1 << 16
_CONFIGS: Final = 64
_LARGEST_CONFIG: Final = 256 * 1024
# How many batches are asked for, and how many images judged, before they are needed; reading an image's layers takes
# all of a machine.
_BATCHES_AHEAD: Final = 1
_IMAGES_AHEAD: Final = 64
_READ_AHEAD: Final = 1

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class _MissingAnswer(Exception):
    """Something is not told yet; what it is has been noted."""


@dataclass
class _Candidate:
    """An image on its way to a verdict: what was told of it, and what is wanted besides.

    :param policy: what is asked of it.
    :param complete: whether all that is wanted has been noted; the config is asked for last.
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
        told = (answer for answer in self.documents.values() if not isinstance(answer, Fault))
        return sum(len(image.get("imageManifest", "")) for answer in told for image in answer.get("images", ()))


class _RecordedClient:
    """Stands in for the client of one image: answers from what was told, and notes what was not."""

    def __init__(self, client: Any, candidate: _Candidate) -> None:
        self.meta = client.meta
        self.get_download_url_for_layer = client.get_download_url_for_layer
        self._candidate = candidate

    def describe_images(self, **_: Any) -> Answer:
        return {"imageDetails": [self._candidate.details]}

    def batch_get_image(self, *, imageIds: Sequence[Mapping[str, str]], **_: Any) -> Answer:  # noqa: N803
        one = self._candidate
        # What is asked for by its tag is the image itself.
        digest = imageIds[0].get("imageDigest", one.digest)
        if digest not in one.documents:
            one.wanted_documents[digest] = None
            raise _MissingAnswer
        return _answer(one.documents[digest])

    def batch_check_layer_availability(self, *, layerDigests: Sequence[str], **_: Any) -> Answer:  # noqa: N803
        one = self._candidate
        missing = dict.fromkeys(digest for digest in layerDigests if digest not in one.layers)
        if missing:
            one.wanted_layers |= missing
            raise _MissingAnswer
        answers = [_answer(one.layers[digest]).as_answer(digest) for digest in layerDigests]
        return {what: [item for answer in answers for item in answer.get(what, ())] for what in ("layers", "failures")}


def _answer(told: _Item | Fault) -> _Item:
    if isinstance(told, Fault):
        raise told
    return told


class _SweptImage(EcrImage):
    """An image whose config is downloaded once for all images that have it, and not before it is to be judged."""

    # All but the config is there, and many images are judged side by side.
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
        if content and len(content) > _LARGEST_CONFIG:
            self._configs.forget(descriptor.digest)
        return content


class Sweep:
    """The images of one repository.

    :param client: a boto3 ECR client of its region.
    :param policy: what is asked of each image.
    :param own_platform: whether an image that is not for the policy's platform is judged for the one that it is for,
        where the policy's runtimes take that.
    :param pool: what asks, and judges, side by side.
    :param http: what downloads configs.
    :param debug: whether tracebacks of what could not be told are printed.
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
        takes = (set(runtime.platforms) for runtime in policy.runtimes)
        others = set.intersection(*takes) - {str(policy.platform)} if own_platform else set()
        self._others = [replace(policy, platform=Platform.parse(other)) for other in sorted(others)]
        self._batches = Batches(client, repository)
        self._layers, self._configs = LruCache(_LAYERS), LruCache(_CONFIGS)
        self._resolver = TargetResolver()

    def run(self, passed_over: Callable[[str], bool], make: Callable[[Outcome, Answer], _Result]) -> Iterator[_Result]:
        """Judge the images, each as soon as all is told that it needs.

        :param passed_over: whether the image of a digest is left out.
        :param make: what is kept of an image's outcome and its details; the rest is let go at once.
        :raises Fault: if the repository's images are not told.
        """
        waiting: list[_Candidate] = []
        for candidates in self._ahead(self._begin, self._batches_of_details(passed_over)):
            waiting += candidates
            yield from self._settle(waiting, make, whole=True)
        yield from self._settle(waiting, make, whole=False)

    def _batches_of_details(self, passed_over: Callable[[str], bool]) -> Iterator[list[Answer]]:
        wanted = (details for details in self._batches.tagged() if not passed_over(details["imageDigest"]))
        while batch := list(islice(wanted, BATCH)):
            yield batch

    def _begin(self, batch: Sequence[Answer]) -> list[_Candidate]:
        digests = [details["imageDigest"] for details in batch]
        told = self._batches.documents(digests)
        return [
            _Candidate(details, self._policy, {digest: told[digest]})
            for details, digest in zip(batch, digests, strict=True)
        ]

    def _settle(
        self, waiting: list[_Candidate], make: Callable[[Outcome, Answer], _Result], *, whole: bool
    ) -> Iterator[_Result]:
        """Judge what can be, and ask for what is wanted, until nothing is left that may be asked.

        :param whole: whether only full batches are asked.
        """
        ahead = _READ_AHEAD if self._policy.verify_layers else _IMAGES_AHEAD
        while waiting:
            ready = [one for one in waiting if self._is_ready(one)]
            settled = {id(one) for one in ready}
            waiting[:] = [one for one in waiting if id(one) not in settled]
            yield from self._ahead(lambda one: make(self._judge(one), one.details), iter(ready), ahead)
            if sum(one.weight for one in waiting) > _WAITING:
                whole = False
            if not self._fetch(waiting, whole):
                return

    def _is_ready(self, one: _Candidate) -> bool:
        """Whether the verifier would find all it wants but the config."""
        while True:
            for digest in one.wanted_layers:
                if digest not in one.layers and (told := self._layers.get(digest)) is not None:
                    one.layers[digest] = told
            if one.wanted_documents.keys() - one.documents.keys() or one.wanted_layers.keys() - one.layers.keys():
                return False
            if one.complete:
                return True
            wanted = len(one.wanted_documents)
            try:
                image = load(self._source(one, None), one.policy)
                if other := self._own_platform_policy(image, one):
                    one.policy = other
                    continue
            except (_MissingAnswer, Fault):
                pass
            except Exception:
                # A bug is told as the image's own outcome, where it happens again.
                return True
            one.complete = one.complete or wanted == len(one.wanted_documents)

    def _own_platform_policy(self, image: Image, one: _Candidate) -> Policy | None:
        """The policy for the platform that the image is for; None where it is for the one that was asked for."""
        if one.policy is not self._policy:
            return None
        if image.indexes and not image.chosen:
            return next((other for other in self._others if image.indexes[0].choose(other.platform)), None)
        if image.config:
            return next((other for other in self._others if image.config.platform == other.platform), None)
        return None

    def _fetch(self, waiting: Sequence[_Candidate], whole: bool) -> bool:
        """Ask for what is wanted, a hundred in a call; whether anything was asked."""
        documents = dict.fromkeys(d for one in waiting for d in one.wanted_documents if d not in one.documents)
        layers = dict.fromkeys(d for one in waiting for d in one.wanted_layers if d not in one.layers)
        # Whoever waits for a document may want layers afterwards: the last batch of those waits for them.
        asked_documents = _batches(documents, whole)
        asked_layers = _batches(layers, whole or bool(documents))
        told_documents = self._pool.map(self._batches.documents, asked_documents)
        told_layers = self._pool.map(self._batches.layers, asked_layers)
        told = {digest: answer for answers in told_documents for digest, answer in answers.items()}
        for one in waiting:
            one.documents |= {digest: told[digest] for digest in one.wanted_documents if digest in told}
        for answers in told_layers:
            for digest, answer in answers.items():
                self._layers.put(digest, answer)
        return bool(asked_documents or asked_layers)

    def _judge(self, one: _Candidate) -> Outcome:
        # The image as `check` would be asked for it, by the first of its tags.
        reference = f"{self._repository.uri}:{_first_tag(one.details)}"
        named = self._resolver.target(reference, str(one.policy.platform))
        target = replace(named, open=lambda: self._source(one, self._configs))
        outcome = run_check(target, one.policy, self._debug)
        if outcome.report and (other := self._own_platform_policy(outcome.report.image, one)):
            one.policy = other
            return self._judge(one)
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
        """The work's results in the items' order, some of it done before it is asked for."""
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
