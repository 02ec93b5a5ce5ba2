"""Step 3 of a sweep: the summary of all batches, the refused images, what is new among them, and the page.

The rows are read one after the other. Memory holds 16 bytes for each image that is refused now or was before, and at
most as many rows as the page lists.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import chain
from typing import Final

from .. import __version__
from ..audit.audit_page import LISTED, MAX_IMAGES, audit_page
from ..audit.row import Row
from ..audit.sweep_summary import SweepBounds, SweepSummary, UnfinishedBatch
from ..audit.totals import AuditTotals, refusing
from ..outcome_json import policy_as_json
from ..registry.settings import Settings
from .changes import Changes, Refused, RefusedBefore, image_hash
from .settings import SweepSettings
from .store import SweepStore

# The most batches without rows that the summary names.
_MAX_UNFINISHED: Final = 1000


@dataclass
class SweepTotals:
    """The totals of a sweep, complete once every row was read.

    :param totals: the totals of the rows.
    :param skipped: the number of images that were skipped.
    :param listed: the first rows of refused and unknown images.
    :param before: hashes of the images that the sweep before refused.
    :param refused: hashes of the refused images.
    :param cleared: hashes of those that the sweep before refused, and that pass or are skipped now.
    """

    totals: AuditTotals = field(default_factory=AuditTotals)
    skipped: int = 0
    listed: list[Row] = field(default_factory=list)
    before: set[bytes] = field(default_factory=set)
    refused: set[bytes] = field(default_factory=set)
    cleared: set[bytes] = field(default_factory=set)

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
                self.refused.add(image_hash(row["repository"], row["digest"]))
                yield {**image, "findings": findings}
            elif row["verdict"] != "unknown" and self.before:
                self.cleared |= {image_hash(row["repository"], row["digest"])} & self.before


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
        before, gone = RefusedBefore(self.store.other(plan["previous"])), Changes()
        read = SweepTotals(before=before.hashes)
        unlisted = {*plan["unlisted"], *plan["bounds"]["left_out"]}
        refused = read.refused_among(self.store.rows(sorted(finished)))
        # Both sets are complete once the refused images of this sweep are written.
        carried = before.carried(self.store, read.refused, read.cleared, unlisted, gone)
        self.store.write_refused(chain(refused, carried))
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
            new=before.new(self.store).named,
            gone=gone.named,
        )
        self._write(summary, read)
        return summary

    def _write(self, summary: SweepSummary, read: SweepTotals) -> None:
        pieces = audit_page(lambda: read.listed, summary.head(self.store.uri("results/")), read.totals)
        self.store.write("page.html", "".join(pieces).encode(), "text/html; charset=utf-8")
        self.store.write("summary.json", json.dumps(summary.as_json(), indent=1).encode())
        self.store.set_latest()

    def _unfinished(self, finished: set[int]) -> Iterator[UnfinishedBatch]:
        """The first batches without rows, each with its error where one is known."""
        errors = dict(self.store.failures())
        missing = (item for item in self.store.batches() if item["batch"] not in finished)
        for item, _ in zip(missing, range(_MAX_UNFINISHED), strict=False):
            error = errors.get(item["batch"], "it was not run, or its error was not recorded")
            yield UnfinishedBatch(item["batch"], self.store.repository(item).uri, tuple(item["digests"]), error)
