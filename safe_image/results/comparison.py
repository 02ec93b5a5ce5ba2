"""Two images side by side: what differs, and which difference breaks which runtime. Reads nothing but two reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Final, Literal

from image_verifier.image.model import Image
from image_verifier.report import Finding, Report, Severity
from image_verifier.rules.runtimes import RUNTIMES

from .image_fields import IMAGE_FIELDS
from .layer_rows import LayerRow, layer_rows

LayerChange = Literal["same", "retyped", "recompressed", "changed", "added", "removed"]
Standing = Literal["runs", "in doubt", "refused"]

# No engine accepts as many layers, and aligning more could take hours: these are paired by their numbers.
_MAX_ALIGNED: Final = 1000

# How a layer of the first image changed in the second, in words.
LAYER_CHANGES: Final[Mapping[LayerChange, str]] = {
    "same": "shared",
    "retyped": "same bytes, other type",
    "recompressed": "same content, other compression",
    "changed": "changed",
    "added": "only in the second",
    "removed": "only in the first",
}


@dataclass(frozen=True)
class ComparedField:
    """One field of both images.

    :param name: the field's name.
    :param first: its value in the first image; a list has a line for each item.
    :param second: its value in the second image.
    :param breaks: the ids of findings that refuse only the second image, because of this difference.
    """

    name: str
    first: str
    second: str
    breaks: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether the two values differ."""
        return self.first != self.second


@dataclass(frozen=True)
class LayerPair:
    """A layer of each image, side by side; one of them may be missing.

    :param change: how the first layer changed in the second image.
    :param breaks: the ids of findings on the second layer that refuse only the second image.
    """

    change: LayerChange
    first: LayerRow | None
    second: LayerRow | None
    breaks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Two images side by side.

    :param first: the report of the first image, the good one.
    :param second: the report of the second image, the bad one.
    :param fields: the fields of both images.
    :param layers: the layers of both images, bottom first.
    :param broken: the findings that refuse only the second image, each for the runtimes where that is so.
    :param mended: the findings that refuse only the first image.
    :param doubted: the warnings for the second image only.
    :param common: the findings that refuse both images.
    """

    first: Report
    second: Report
    fields: tuple[ComparedField, ...]
    layers: tuple[LayerPair, ...]
    broken: tuple[Finding, ...]
    mended: tuple[Finding, ...]
    doubted: tuple[Finding, ...]
    common: tuple[Finding, ...]

    @property
    def runtimes(self) -> tuple[tuple[str, Standing, Standing], ...]:
        """Each runtime's name, with the standing of the first and of the second image there."""
        return tuple((name, _standing(self.first, name), _standing(self.second, name)) for name in self.first.runs_on)

    @property
    def breaks_on(self) -> tuple[str, ...]:
        """The runtimes that refuse the second image and not the first."""
        return tuple(name for name, first, second in self.runtimes if second == "refused" != first)

    @property
    def summary(self) -> str:
        """The result in one sentence."""
        if self.breaks_on:
            return f"The second image is refused where the first is not: {_titles(self.breaks_on)}."
        both = tuple(name for name, first, second in self.runtimes if first == second == "refused")
        if both:
            where = f"{'All runtimes refuse' if len(both) == len(self.runtimes) else _titles(both) + _verb(both)}"
            also = "the second also for findings that the first does not have" if self.broken else ""
            return f"{where} both images, {also or 'and no finding refuses only the second'}."
        if self.first.errors:
            where = _titles(tuple(name for name, first, _ in self.runtimes if first == "refused"))
            return f"The first image is refused, and the second is not: {where}."
        return "Neither image is refused."


def _titles(names: Sequence[str]) -> str:
    return ", ".join(RUNTIMES[name].title for name in names)


def _verb(names: Sequence[str]) -> str:
    return " alone refuses" if len(names) == 1 else " refuse"


def compare(first: Report, second: Report) -> Comparison:
    """Compare two images.

    :param first: the report of the first image, the good one.
    :param second: the report of the second image, the bad one, for the same runtimes.
    """
    broken = _without(second.errors, first.errors)
    first_rows, second_rows = (layer_rows(report.image, report.findings) for report in (first, second))
    return Comparison(
        first,
        second,
        tuple(_fields(first.image, second.image, broken)),
        tuple(_pairs(first_rows, second_rows, broken)),
        broken,
        mended=_without(first.errors, second.errors),
        doubted=_without(_doubts(second), (*_doubts(first), *first.errors)),
        common=_without(second.errors, broken),
    )


def _without(findings: Sequence[Finding], others: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings, each for the runtimes where the others have none of the same id."""
    known = {(finding.id, name) for finding in others for name in finding.runs_on}
    left = (replace(f, runs_on=tuple(name for name in f.runs_on if (f.id, name) not in known)) for f in findings)
    return tuple(finding for finding in left if finding.runs_on)


def _doubts(report: Report) -> tuple[Finding, ...]:
    """The findings that do not refuse the image, without information and without acknowledged ones."""
    open_findings = (f for f in report.findings if f.severity is not Severity.INFO and not f.acknowledged)
    return tuple(f for f in open_findings if not report.refuses(f))


def _standing(report: Report, runtime: str) -> Standing:
    if any(runtime in finding.runs_on for finding in report.errors):
        return "refused"
    return "in doubt" if any(runtime in finding.runs_on for finding in _doubts(report)) else "runs"


def _fields(first: Image, second: Image, broken: Sequence[Finding]) -> Iterator[ComparedField]:
    for name, read, causes in IMAGE_FIELDS:
        one, other = read(first), read(second)
        breaks = _ids(f for f in broken if one != other and f.id in causes)
        yield ComparedField(name, one, other, breaks)


def _ids(findings: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(finding.id for finding in findings))


def _pairs(first: Sequence[LayerRow], second: Sequence[LayerRow], broken: Sequence[Finding]) -> Iterator[LayerPair]:
    """The layers in pairs: those of the same content side by side, the others in their order."""
    broken_ids = {finding.id for finding in broken}
    for i, i_end, j, j_end in _aligned([row.content for row in first], [row.content for row in second]):
        for one, other in zip_longest(first[i:i_end], second[j:j_end]):
            findings = other.findings if other else ()
            yield LayerPair(_change(one, other), one, other, _ids(f for f in findings if f.id in broken_ids))


def _aligned(first: Sequence[str], second: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """The bounds of the parts that stand side by side."""
    if max(len(first), len(second)) > _MAX_ALIGNED:
        yield 0, len(first), 0, len(second)
        return
    for _, i, i_end, j, j_end in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        yield i, i_end, j, j_end


def _change(first: LayerRow | None, second: LayerRow | None) -> LayerChange:
    if first is None:
        return "added"
    if second is None:
        return "removed"
    if first.content != second.content:
        return "changed"
    if first.layer.digest != second.layer.digest:
        return "recompressed"
    return "same" if first.layer.media_type == second.layer.media_type else "retyped"
