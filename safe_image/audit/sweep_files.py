"""The files of a sweep that ran in AWS, in its bucket or copied to a folder: the summary, and the rows one by one.

https://github.com/cdk-safe-image/cdk-safe-image/blob/main/docs/registry-guard.md
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol

from image_verifier.audit.audit_page import AuditHead
from image_verifier.audit.json_shapes import count, flag, list_of, members, optional, strict_json, string
from image_verifier.audit.row import Row
from image_verifier.audit.s3_objects import Bucket, too_large
from image_verifier.audit.sweep_summary import ITEMS, LATEST, PLAN, RESULTS, SUMMARY, SWEEP_ID, SWEEPS, SweepSummary
from image_verifier.faults import Fault
from image_verifier.pool import Pool, result
from image_verifier.report import Severity
from image_verifier.rules.catalog import CATALOG
from image_verifier.rules.runtimes import RUNTIMES
from image_verifier.text import shortened

from ..errors import UsageError
from ..sources.aws_sessions import AwsSessions
from ..sources.regular_files import file_kind, open_regular

_S3: Final = "s3://"
# The number of files that are read ahead: each has the rows of a hundred images at most.
_AHEAD: Final = 16
_VERDICTS: Final = frozenset({"pass", "fail", "unknown", "skipped"})
_FINDING: Final = members(
    **dict.fromkeys(("id", "severity", "message", "expected", "found", "runtime_error", "acknowledged"), string),
    runs_on=list_of(string, at_least=1),
    runtime_error_predicted=flag,
    remedy=list_of(string),
)
_ROW: Final = members(
    **dict.fromkeys(("reference", "repository", "platform", "verdict"), string),
    **dict.fromkeys(("digest", "pushed_at", "media_type"), optional(string)),
    **dict.fromkeys(("runs_on", "tags", "in_use_by"), list_of(string)),
    size_bytes=optional(count),
    findings=list_of(_FINDING),
    fault=optional(members(message=string, advice=string)),
)
_COUNTS: Final = {"pass": "passed", "fail": "refused", "unknown": "unknown"}
_SEVERITIES: Final = frozenset(severity.value for severity in Severity)
# Far more than the files of a sweep have: rows of a hundred images, totals of 100,000 repositories.
_MAX_ROWS: Final = 16 * 1024 * 1024
_MAX_SUMMARY: Final = 64 * 1024 * 1024
_FORM: Final = "use s3://BUCKET/PREFIX, where PREFIX is a guard's STACK-GUARD, or a folder with the same files"


class Files(Protocol):
    """Files by relative name, in S3 or in a folder."""

    @property
    def place(self) -> str:
        """The place, for messages, with a slash at its end."""

    def read(self, name: str, at_most: int) -> bytes | None:
        """The content of a file of so many bytes at most; None where there is no such file. Raises `Fault`."""

    def has(self, name: str) -> bool:
        """Whether there is such a file. Raises `Fault`."""

    def names(self, folder: str) -> Iterator[str]:
        """The names of all files in a folder; empty for the one itself. Raises `Fault`."""

    def below(self, folder: str) -> Files:
        """The files of a folder."""


@dataclass(frozen=True)
class _Objects:
    bucket: Bucket
    prefix: str

    @property
    def place(self) -> str:
        return f"{_S3}{self.bucket.name}/{self.prefix}"

    def read(self, name: str, at_most: int) -> bytes | None:
        return self.bucket.read(self.prefix + name, at_most)

    def has(self, name: str) -> bool:
        return next(self.bucket.keys(self.prefix + name), "") == self.prefix + name

    def names(self, folder: str) -> Iterator[str]:
        prefix = f"{self.prefix}{folder}/" if folder else self.prefix
        return (key.removeprefix(self.prefix) for key in self.bucket.keys(prefix))

    def below(self, folder: str) -> Files:
        return _Objects(self.bucket, f"{self.prefix}{folder}/")


@dataclass(frozen=True)
class _Folder:
    path: Path

    @property
    def place(self) -> str:
        return f"{self.path}/"

    def read(self, name: str, at_most: int) -> bytes | None:
        file = open_regular(self.path / name)
        if file is None:
            return None
        with file:
            content = file.read(at_most + 1)
        if len(content) > at_most:
            raise too_large(str(self.path / name), at_most)
        return content

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()

    def names(self, folder: str) -> Iterator[str]:
        try:
            found = sorted((self.path / folder).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return iter(())
        except OSError as e:
            raise Fault(f"{self.path / folder} could not be read: {e.strerror}", "Check its permissions.") from e
        return (str(Path(folder, file.name)) for file in found)

    def below(self, folder: str) -> Files:
        return _Folder(self.path / folder)


@dataclass(frozen=True)
class SweepFiles:
    """The files of one sweep that has ended.

    :param files: where they lie.
    :param summary: its summary.
    """

    files: Files
    summary: SweepSummary

    @property
    def results(self) -> str:
        """The place of the rows."""
        return f"{self.files.place}{RESULTS}/"

    def head(self, verdicts: Mapping[str, int]) -> AuditHead:
        """The facts of the sweep's report, and what is missing from its rows.

        :param verdicts: the number of the rows of each verdict.
        """
        counted = {verdict: self.summary.counts[name] for verdict, name in _COUNTS.items()}
        lost = [
            f"The summary has {known:,} {_COUNTS[verdict]}, and {self.results} has {verdicts.get(verdict, 0):,}."
            for verdict, known in counted.items()
            if known != verdicts.get(verdict, 0)
        ]
        return self.summary.head(self.results, lost)

    def rows(self) -> Iterator[Row]:
        """The rows, file by file, some of them read ahead.

        :raises Fault: if a file cannot be read, or has a line that is not a row.
        """
        names = (name for name in self.files.names(RESULTS) if name.endswith(".jsonl"))
        with Pool(_AHEAD) as pool:

            def submit(name: str) -> tuple[str, Future[bytes | None]]:
                return name, pool.submit(self.files.read, name, _MAX_ROWS)

            running = deque(map(submit, islice(names, _AHEAD)))
            while running:
                name, future = running.popleft()
                content = result(future)
                running.extend(map(submit, islice(names, 1)))
                yield from self._rows(name, content or b"")

    def _rows(self, name: str, content: bytes) -> Iterator[Row]:
        lines = content.split(b"\n")
        # A line that was cut off has no end, and may be valid JSON all the same.
        if lines.pop():
            raise self._not_a_row(name, len(lines) + 1, "is cut off: copy the file again")
        for number, line in enumerate(lines, start=1):
            try:
                row = strict_json(line)
            except (ValueError, RecursionError):
                raise self._not_a_row(name, number, "is not JSON: copy the file again") from None
            if why := _why_not_a_row(row):
                raise self._not_a_row(name, number, why)
            yield row

    def _not_a_row(self, name: str, line: int, why: str) -> Fault:
        return Fault(f"{self.files.place}{name}, line {line}, {why}", f"Version {self.summary.tool_version} wrote it.")


def sweep_files(where: str, sessions: AwsSessions) -> SweepFiles:
    """The sweep at a place, or the newest one below it.

    :param where: `s3://BUCKET/PREFIX`, `s3://BUCKET/PREFIX/sweeps/ID`, or a folder with the same files.
    :param sessions: the AWS sessions.
    :raises UsageError: if there is no sweep that has ended.
    :raises Fault: if a file cannot be read.
    """
    files = _files(where, sessions)
    if (text := files.read(SUMMARY, _MAX_SUMMARY)) is not None:
        return SweepFiles(files, _summary(files, text))
    if SWEEP_ID.fullmatch(files.place.rstrip("/").rpartition("/")[2]) or files.has(ITEMS):
        raise _without_summary(files)
    sweeps = files if where.rstrip("/").rpartition("/")[2] == SWEEPS else files.below(SWEEPS)
    newest = sweeps.below(_latest(sweeps))
    text = newest.read(SUMMARY, _MAX_SUMMARY)
    if text is None:
        raise _without_summary(newest)
    return SweepFiles(newest, _summary(newest, text))


def _files(where: str, sessions: AwsSessions) -> Files:
    if not where.startswith(_S3):
        if "://" in where:
            raise UsageError(f"--from {where} is neither in S3 nor a folder: {_FORM}")
        if not where or file_kind(Path(where)) != "folder":
            raise UsageError(f"--from {where} is not a folder: {_FORM}")
        return _Folder(Path(where))
    bucket, _, prefix = where.removeprefix(_S3).strip("/").partition("/")
    if not bucket or not prefix:
        raise UsageError(f"--from {where} has no {'prefix' if bucket else 'bucket'}: {_FORM}")
    client = sessions.client("s3")
    return _Objects(Bucket(client, bucket, sessions.partition(client.meta.region_name)), f"{prefix}/")


def _latest(sweeps: Files) -> str:
    text = sweeps.read(LATEST, _MAX_ROWS)
    if text is None:
        if next(sweeps.names(""), None):
            raise UsageError(f"No sweep below {sweeps.place} has ended: wait for it, or look at its execution")
        raise UsageError(f"There are no sweeps in {sweeps.place}: {_FORM}")
    try:
        newest = strict_json(text)["id"]
    except (ValueError, LookupError, TypeError, RecursionError):
        newest = ""
    if not isinstance(newest, str) or not SWEEP_ID.fullmatch(newest):
        raise UsageError(f"{sweeps.place}{LATEST} has no sweep's ID: pass --from {sweeps.place}ID")
    return newest


def _summary(files: Files, text: bytes) -> SweepSummary:
    try:
        return SweepSummary.parse(text)
    except ValueError as e:
        raise UsageError(f"{files.place}{SUMMARY} {e}: pass --from the folder of another sweep") from e


def _without_summary(files: Files) -> UsageError:
    if not files.has(ITEMS):
        return UsageError(f"There is no sweep in {files.place}: {_FORM}")
    done = sum(1 for _ in files.names(RESULTS))
    return UsageError(
        f"The sweep in {files.place} has no {SUMMARY}, and results of {done:,}{_of_batches(files)} batches: "
        "wait for its end, or look at its execution"
    )


def _of_batches(files: Files) -> str:
    """The number of a sweep's batches, in words behind another number; empty where it is not known."""
    try:
        plan = strict_json(files.read(PLAN, _MAX_ROWS) or b"")
    except (ValueError, RecursionError):
        return ""
    return f" of {plan['batches']:,}" if members(batches=count)(plan) is None else ""


def _why_not_a_row(row: Any) -> str:
    """Why a line is not a row that this version can show, as a predicate; empty where it is one."""
    if (place := _ROW(row)) is not None:
        part = f"its {place} is missing or not valid: " if place else ""
        return f"is not a row of an audit: {part}pass --from the folder of a sweep"
    if row["verdict"] not in _VERDICTS:
        return "is not a row of an audit: its verdict is not valid"
    return _unknown_name(row)


def _unknown_name(row: Row) -> str:
    names: list[tuple[Collection[str], str, str]] = []
    for finding in row["findings"]:
        names += [(CATALOG, finding["id"], "finding"), (_SEVERITIES, finding["severity"], "severity")]
    names += [(RUNTIMES, runtime, "runtime") for one in (row, *row["findings"]) for runtime in one["runs_on"]]
    for known, name, kind in names:
        if name not in known:
            return f"has the {kind} {shortened(name, 60)!r}, which this version does not know: use a newer one"
    return ""
