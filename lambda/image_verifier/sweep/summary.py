"""Step 3 of a sweep: the summary of all batches, the refused images, what is new among them, and the page.

The rows are read one after the other. Memory holds 16 bytes for each image that is refused now or was before, and at
most as many rows as the page lists.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Final

from .. import __version__
from ..audit.audit_page import LISTED, MAX_IMAGES, audit_page
from ..audit.row import Row
from ..audit.sweep_summary import SweepBounds, SweepChange, SweepSummary, UnfinishedBatch
from ..audit.totals import AuditTotals, refusing
from ..outcome_json import policy_as_json
from ..registry.settings import Settings
from .settings import SweepSettings
from .store import SweepStore

# The most images that the summary names as new, and as gone, and the most batches without rows.
_MAX_NAMED: Final = 100
_MAX_UNFINISHED: Final = 1000

Refused = Mapping[str, Any]
"""One refused image, as a line of `refused.jsonl`."""


@dataclass
class Changes:
    """The images that are refused in one of two sweeps only.

    :param count: the number of all of them.
    :param images: the first ones.
    """

    count: int = 0
    images: list[Refused] = field(default_factory=list)

    def add(self, image: Refused) -> None:
        """Count one image."""
        self.count += 1
        if len(self.images) < _MAX_NAMED:
            self.images.append(image)

    @property
    def named(self) -> SweepChange:
        """The number, and the first images."""
        return SweepChange(self.count, tuple(self.images))


@dataclass
class SweepTotals:
    """The totals of a sweep, complete once every row was read.

    :param totals: the totals of the rows.
    :param skipped: the number of images that were skipped.
    :param listed: the first rows of refused and unknown images.
    :param refused: hashes of the refused images.
    """

    totals: AuditTotals = field(default_factory=AuditTotals)
    skipped: int = 0
    listed: list[Row] = field(default_factory=list)
    refused: set[bytes] = field(default_factory=set)

    def refused_among(self, rows: Iterable[Row]) -> Iterator[Refused]:
        """Count the rows, and return the refused images among them."""
        for row in rows:
            self.totals.add(row)
            self.skipped += row["verdict"] == "skipped"
            if row["verdict"] in LISTED and len(self.listed) < MAX_IMAGES:
                self.listed.append(row)
            if row["verdict"] == "fail":
                image = {name: row[name] for name in ("repository", "digest", "tags", "reference")}
                findings = [{"id": one["id"], "message": one["message"]} for one in refusing(row)]
                self.refused.add(_hash(image))
                yield {**image, "findings": findings}


@dataclass(frozen=True)
class SumUp:
    """Sums up one sweep.

    :param store: the sweep.
    :param guard: the settings of the guard.
    :param sweep: the settings of the sweep.
    :param account: the account of the guard.
    :param region: its region.
    """

    store: SweepStore
    guard: Settings
    sweep: SweepSettings
    account: str
    region: str

    def write(self, started: datetime) -> SweepSummary:
        """Read the rows of all batches, write the summary and the page, and make this the latest sweep.

        :param started: when the sweep started, in UTC.
        :returns: the summary.
        :raises Fault: if an object cannot be read or written.
        """
        plan = self.store.plan()
        finished = self.store.finished()
        read = SweepTotals()
        self.store.write_refused(read.refused_among(self.store.rows(sorted(finished))))
        new, gone = self._changes(read.refused, self.store.other(plan["previous"]))
        whole = read.totals.whole
        summary = SweepSummary(
            id=self.store.id,
            started=started,
            ended=datetime.now(timezone.utc),
            tool_version=__version__,
            account=self.account,
            region=self.region,
            depth="layers" if self.sweep.verify_layers else "default",
            rules=[{"pattern": rule.pattern, "policy": policy_as_json(rule.policy)} for rule in self.guard.rules],
            fingerprint=plan["fingerprint"],
            previous=plan["previous"],
            counts={
                "repositories": plan["repositories"],
                "images": whole.images,
                "passed": whole.passed,
                "refused": whole.refused,
                "unknown": whole.unknown,
                "skipped": read.skipped,
                "unfinished": plan["batches"] - len(finished),
            },
            repositories=[
                {"repository": name, **vars(total)} for name, total in sorted(read.totals.repositories.items())
            ],
            unfinished=tuple(self._unfinished(finished)) if plan["batches"] > len(finished) else (),
            bounds=SweepBounds(**plan["bounds"]),
            new=new.named,
            gone=gone.named,
        )
        self._write(summary, read)
        return summary

    def _write(self, summary: SweepSummary, read: SweepTotals) -> None:
        pieces = audit_page(lambda: read.listed, summary.head(self.store.uri("results/")), read.totals)
        self.store.write("page.html", "".join(pieces).encode(), "text/html; charset=utf-8")
        self.store.write("summary.json", json.dumps(summary.as_json(), indent=1).encode())
        self.store.set_latest()

    def _changes(self, refused: set[bytes], before: SweepStore | None) -> tuple[Changes, Changes]:
        """The images that are refused only now, and those that were refused only in the sweep before."""
        new, gone, known = Changes(), Changes(), set()
        for image in before.refused() if before else ():
            known.add(_hash(image))
            if _hash(image) not in refused:
                gone.add(image)
        for image in self.store.refused():
            if _hash(image) not in known:
                new.add(image)
        return new, gone

    def _unfinished(self, finished: set[int]) -> Iterator[UnfinishedBatch]:
        """The first batches without rows, each with its error where one is known."""
        errors = dict(self.store.failures())
        missing = (item for item in self.store.batches() if item["batch"] not in finished)
        for item, _ in zip(missing, range(_MAX_UNFINISHED), strict=False):
            error = errors.get(item["batch"], "it was not run, or its error was not recorded")
            yield UnfinishedBatch(item["batch"], self.store.repository(item).uri, tuple(item["digests"]), error)


def _hash(image: Refused) -> bytes:
    return hashlib.blake2b(f"{image['repository']}@{image['digest']}".encode(), digest_size=16).digest()
