"""The objects of one sweep in the guard's bucket, as docs/registry-guard.md lists them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ..audit.repository import Repository
from ..audit.row import Row
from ..audit.sweep_summary import ITEMS, LATEST, PLAN, REFUSED, RESULTS, SWEEPS
from ..pool import Pool
from .bucket import SweepBucket

# The objects with rows that are read at once.
_READERS: Final = 8


@dataclass(frozen=True)
class SweepStore:
    """The objects of one sweep.

    :param bucket: the bucket.
    :param partition: the partition of the registry.
    :param guard: the guard's name, with which every key begins.
    :param id: the sweep's ID.
    """

    bucket: SweepBucket
    partition: str
    guard: str
    id: str

    @property
    def folder(self) -> str:
        """The beginning of the sweep's keys."""
        return f"{self.guard}/{SWEEPS}/{self.id}/"

    @property
    def items(self) -> str:
        """The key of the list of batches."""
        return self.folder + ITEMS

    def results(self, batch: int) -> str:
        """The key of a batch's rows."""
        return f"{self.folder}{RESULTS}/{batch:06}.jsonl"

    def uri(self, name: str) -> str:
        """The URI of one of the sweep's objects."""
        return f"s3://{self.bucket.name}/{self.folder}{name}"

    def has_plan(self) -> bool:
        """Whether the first step has ended."""
        return self.bucket.exists(self.folder + PLAN)

    def plan(self) -> Mapping[str, Any]:
        """The decisions of the first step; empty where it has not ended."""
        found: Mapping[str, Any] | None = self.bucket.read_json(self.folder + PLAN)
        return found or {}

    def write_plan(self, items: Iterable[Mapping[str, Any]], plan: Callable[[], Mapping[str, Any]]) -> None:
        """Write the list of the batches, then the plan, after which the list is complete.

        :param items: the batches.
        :param plan: returns the plan, once every batch was listed.
        """
        self.bucket.write_lines(self.items, items)
        self.write(PLAN, json.dumps(plan(), indent=1).encode())

    def other(self, identifier: str | None) -> SweepStore | None:
        """Another sweep of the same guard.

        :param identifier: its ID; None for none.
        """
        return replace(self, id=identifier) if identifier else None

    def batches(self) -> Iterator[Mapping[str, Any]]:
        """The batches, by repository."""
        return self.bucket.lines(self.items)

    def repository(self, item: Mapping[str, Any]) -> Repository:
        """The repository of a batch."""
        return Repository(self.partition, item["region"], item["registry"], item["repository"])

    def rows(self, batches: Iterable[int]) -> Iterator[Row]:
        """The rows of batches, in their order."""
        numbers = list(batches)
        with Pool(_READERS) as pool:
            for start in range(0, len(numbers), _READERS):
                some = numbers[start : start + _READERS]
                for rows in pool.results(lambda number: list(self.bucket.lines(self.results(number))), some):
                    yield from rows

    def finished(self) -> set[int]:
        """The numbers of the batches that have rows."""
        return self._numbers(f"{RESULTS}/")

    def write_failure(self, batch: int, failure: Mapping[str, Any]) -> None:
        """Record the error of a batch that failed in every attempt.

        :param batch: its number.
        :param failure: `Error` and `Cause`, as Step Functions reports them.
        """
        self.write(f"failures/{batch}.json", json.dumps(failure).encode())

    def failures(self) -> Iterator[tuple[int, str]]:
        """The batches that failed after their retries, each with its error."""
        for number in sorted(self._numbers("failures/")):
            error = self.bucket.read_json(f"{self.folder}failures/{number}.json") or {}
            yield number, f"{error.get('Error', 'unknown')}: {_cause(str(error.get('Cause', '')))}"

    def refused(self) -> Iterator[Mapping[str, Any]]:
        """The refused images."""
        return self.bucket.lines(self.folder + REFUSED)

    def write_refused(self, images: Iterable[Mapping[str, Any]]) -> None:
        """Write the refused images."""
        self.bucket.write_lines(self.folder + REFUSED, images)

    def write(self, name: str, content: bytes, content_type: str = "application/json") -> None:
        """Write one of the sweep's objects, whole."""
        self.bucket.write(self.folder + name, content, content_type)

    def latest(self) -> str | None:
        """The ID of the sweep that ended last; None where none has."""
        known = self.bucket.read_json(self._latest)
        return str(known["id"]) if known else None

    def set_latest(self) -> None:
        """Make this sweep the latest one, unless a newer one has ended before it was resumed."""
        if (self.latest() or "") > self.id:
            return
        self.bucket.write(self._latest, json.dumps({"id": self.id}).encode())

    @property
    def _latest(self) -> str:
        return f"{self.guard}/{SWEEPS}/{LATEST}"

    def _numbers(self, kind: str) -> set[int]:
        prefix = self.folder + kind
        return {int(key[len(prefix) :].partition(".")[0]) for key in self.bucket.keys(prefix)}


def _cause(text: str) -> str:
    """The message of a Lambda's error, which Step Functions quotes as JSON."""
    try:
        cause = json.loads(text)
    except ValueError:
        return text
    return str(cause.get("errorMessage", text)) if isinstance(cause, dict) else text
