"""The summary of a sweep, and where its files lie: what the Lambdas write and `safe-image audit --from` reads.

docs/registry-guard.md describes each member.

PREFIX/sweeps/latest.json            the ID of the newest sweep that has ended, written last
PREFIX/sweeps/ID/items.jsonl         the batches, one a line
PREFIX/sweeps/ID/plan.json           their number, once all are listed
PREFIX/sweeps/ID/results/N.jsonl     the rows of one batch, as in the JSON report of `audit`
PREFIX/sweeps/ID/summary.json        this summary
PREFIX/sweeps/ID/page.html           the page
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any, Final

from ..text import readable_size, shortened
from .audit_page import AuditHead
from .json_shapes import count, flag, list_of, map_of, mapping, members, optional, strict_json, string

SCHEMA_VERSION: Final = 1
SWEEPS: Final = "sweeps"
LATEST: Final = "latest.json"
ITEMS: Final = "items.jsonl"
RESULTS: Final = "results"
FAILURES: Final = "failures"
REFUSED: Final = "refused.jsonl"
SUMMARY: Final = "summary.json"
PAGE: Final = "page.html"
PLAN: Final = "plan.json"
SWEEP_ID: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ")
"""A sweep's ID: the start of its execution in UTC, such as `2026-11-28T13-30-00Z`."""

_NO_RULE: Final = "refuses only images that no runtime can pull"
# A terminal and a page name as many unfinished batches; the summary has all.
_MAX_NAMED: Final = 10
_MAX_ERROR: Final = 300
_CHANGE: Final = members(
    count=count,
    images=list_of(
        members(
            repository=string,
            digest=string,
            tags=list_of(string),
            reference=string,
            findings=list_of(members(id=string, message=string)),
        )
    ),
)
_SHAPE: Final = members(
    **dict.fromkeys(("id", "started", "ended", "tool_version", "account", "region", "depth", "fingerprint"), string),
    schema_version=count,
    rules=list_of(members(pattern=string, policy=mapping)),
    previous=optional(string),
    counts=members(**dict.fromkeys(("passed", "refused", "unknown", "unfinished"), count)),
    repositories=list_of(members(repository=string)),
    unfinished=list_of(members(batch=count, repository=string, digests=list_of(string), error=string)),
    bounds=members(max_images=optional(count), max_bytes=optional(count), is_met=flag, left_out=map_of(count)),
    new=_CHANGE,
    gone=_CHANGE,
)


@dataclass(frozen=True)
class UnfinishedBatch:
    """A batch that failed after its retries.

    :param batch: its number.
    :param repository: its repository's URI.
    :param digests: its images.
    :param error: the error's text.
    """

    batch: int
    repository: str
    digests: tuple[str, ...]
    error: str


@dataclass(frozen=True)
class SweepBounds:
    """The bounds of a sweep, and what they left out.

    :param max_images: the largest number of images; None for no bound.
    :param max_bytes: the largest number of compressed bytes that are downloaded; None for no bound.
    :param is_met: whether a bound was met.
    :param left_out: the number of images that were left out, by repository.
    """

    max_images: int | None = None
    max_bytes: int | None = None
    is_met: bool = False
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class SweepChange:
    """The images that differ from the sweep before.

    :param count: their number.
    :param images: the first of them: `repository`, `digest`, `tags`, `reference`, `findings` with `id` and `message`.
    """

    count: int = 0
    images: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class SweepSummary:
    """The report of a sweep, without its rows.

    :param id: its ID.
    :param started: when it began, in UTC.
    :param ended: when it ended, in UTC.
    :param tool_version: the version that judged the images.
    :param account: the account of the guard.
    :param region: its region.
    :param depth: `default`, or `layers` where every layer was read.
    :param rules: the policy by repository: `pattern` and `policy`.
    :param fingerprint: a hash of the rules, the depth and the verifier.
    :param previous: the ID of the sweep before; None for none.
    :param counts: the numbers of repositories, and of images by verdict.
    :param repositories: the numbers of images of each repository, as in the JSON report of `audit`.
    :param unfinished: the batches that failed.
    :param bounds: the bounds.
    :param new: what is refused now and was not in the sweep before.
    :param gone: what was refused in the sweep before and no longer is.
    """

    id: str
    started: datetime
    ended: datetime
    tool_version: str
    account: str
    region: str
    depth: str
    rules: Sequence[Mapping[str, Any]] = ()
    fingerprint: str = ""
    previous: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    repositories: Sequence[Mapping[str, Any]] = ()
    unfinished: Sequence[UnfinishedBatch] = ()
    bounds: SweepBounds = field(default_factory=SweepBounds)
    new: SweepChange = field(default_factory=SweepChange)
    gone: SweepChange = field(default_factory=SweepChange)

    def as_json(self) -> dict[str, Any]:
        """The object that `parse` reads again."""
        values = asdict(self)
        return {
            "schema_version": SCHEMA_VERSION,
            **values,
            "started": _time_text(self.started),
            "ended": _time_text(self.ended),
        }

    @classmethod
    def parse(cls, text: bytes) -> SweepSummary:
        """The summary of a file.

        :param text: the file's content.
        :raises ValueError: if it is not a summary of this version; the message is a predicate.
        """
        try:
            values = strict_json(text)
        except (ValueError, RecursionError) as e:
            raise ValueError(f"is not valid JSON ({shortened(str(e), 80)})") from e
        version = values.get("schema_version") if isinstance(values, dict) else None
        if version not in (None, SCHEMA_VERSION):
            raise ValueError(
                f"has schema_version {shortened(repr(version), 40)}, and this version reads {SCHEMA_VERSION}"
            )
        if (place := _SHAPE(values)) is not None:
            raise ValueError(f"is not the summary of a sweep: {place or 'the whole'} is missing or not valid")
        values["started"], values["ended"] = _time(values["started"]), _time(values["ended"])
        values["unfinished"] = tuple(
            UnfinishedBatch(one["batch"], one["repository"], tuple(one["digests"]), one["error"])
            for one in values["unfinished"]
        )
        bounds = values["bounds"]
        values["bounds"] = SweepBounds(**{name: bounds[name] for name in SweepBounds.__dataclass_fields__})
        for name in ("new", "gone"):
            values[name] = SweepChange(values[name]["count"], tuple(values[name]["images"]))
        return cls(**{name: values[name] for name in cls.__dataclass_fields__})

    @property
    def policy(self) -> str:
        """The policy in words."""
        patterns = ", ".join(str(rule["pattern"]) for rule in self.rules)
        depth = "reads every layer" if self.depth == "layers" else "reads manifests and configs, not the layers' bytes"
        rules = f"the rules for {patterns}, else {_NO_RULE}" if patterns else _NO_RULE
        return f"{rules}; {depth}"

    @property
    def incomplete(self) -> tuple[str, ...]:
        """Sentences about the images that were not checked; empty where all were."""
        return tuple(self._incomplete())

    def head(self, results: str, incomplete: Sequence[str] = ()) -> AuditHead:
        """The facts of the sweep's page.

        :param results: where the rows are, for the images that the page does not list.
        :param incomplete: what else is missing.
        """
        sentences = (*self.incomplete, *incomplete)
        return AuditHead(self.ended, self.policy, self.tool_version, sentences, results)

    def _incomplete(self) -> Iterator[str]:
        for batch in self.unfinished[:_MAX_NAMED]:
            count = len(batch.digests)
            were = "image was" if count == 1 else "images were"
            yield f"{batch.repository}: {count:,} {were} not checked: {shortened(batch.error, _MAX_ERROR)}"
        # The summary may name fewer batches than it counts.
        count = max(len(self.unfinished), self.counts["unfinished"])
        if (more := count - min(_MAX_NAMED, len(self.unfinished))) > 0:
            yield f"{more:,} more batches were not checked: see unfinished in {SUMMARY}."
        if self.bounds.is_met:
            bounds = [
                *([f"{self.bounds.max_images:,} images"] if self.bounds.max_images is not None else []),
                *([readable_size(self.bounds.max_bytes)] if self.bounds.max_bytes is not None else []),
            ]
            left_out = sum(self.bounds.left_out.values())
            were = "image was" if left_out == 1 else "images were"
            repositories = ", ".join(list(self.bounds.left_out)[:_MAX_NAMED])
            where = f" of {repositories}" if repositories else ""
            yield f"{left_out:,} {were} left out{where}: the bound of a sweep is {' and '.join(bounds)}."


def _time(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError as e:
        raise ValueError(
            f"has the time {shortened(repr(text), 40)}, which is not one such as 2026-11-28T13:30:00Z"
        ) from e


def _time_text(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
