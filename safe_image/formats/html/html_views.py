"""Layers, findings and indexes as the pages draw them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from image_verifier.image import media_types
from image_verifier.image.model import Descriptor, Image
from image_verifier.report import Finding, Severity
from image_verifier.rules.runtimes import RUNTIMES
from image_verifier.text import readable_size

from ...results.layer_rows import LayerRow

_DIGEST: Final = len("sha256:") + 12
# A layer's thickness is one of so many, which the style knows.
_THICKNESSES: Final = 8
# Of more layers than this, the ends are drawn, and every layer that something was found on.
_MOST_DRAWN: Final = 30
_ENDS_DRAWN: Final = 8
# And no more than this: no engine takes as many, and a page must stay one that can be opened.
_MOST_FOLDED: Final = 1000
# A command within a sentence.
_COMMAND: Final = re.compile(r"docker build(?: --[\w-]+(?:=\S+| \w+/[\w/]+)?)+")


@dataclass(frozen=True)
class LayerView:
    """A layer as it is drawn.

    :param thickness: from 0 to 7: its share of the largest layer, by the square root, so that small ones differ too.
    :param colour: its compression, or `other` for what no engine unpacks.
    :param marks: the ids of what was found on it, each with its finding's place in the page.
    :param grade: `bad`, `doubt`, or empty where nothing was found that nobody acknowledged.
    """

    number: int
    size: str
    thickness: int
    colour: str
    kind: str
    digest: str
    step: str
    marks: tuple[tuple[str, str], ...]
    grade: str


@dataclass(frozen=True)
class Fold:
    """Layers that are drawn only when somebody asks for them.

    :param count: how many they are.
    :param size: of all of them.
    :param layers: none where they are more than any engine takes.
    """

    count: int
    size: str
    layers: tuple[LayerView, ...]


@dataclass(frozen=True)
class Step:
    """One step of what mends a finding.

    :param before: what is said before a command.
    :param command: the command; empty where the step has none.
    :param after: what is said after it; a command that nothing follows stands on a line of its own.
    """

    before: str
    command: str = ""
    after: str = ""

    @classmethod
    def of(cls, text: str) -> Step:
        """The step of a remedy's line."""
        if text.startswith("$ "):
            return cls("", text[2:])
        match = _COMMAND.search(text)
        return cls(text[: match.start()], match[0], text[match.end() :]) if match else cls(text)


@dataclass(frozen=True)
class FindingView:
    """A finding as it is shown.

    :param remedy: the lines of its remedy.
    :param place: its place in the page.
    :param layers: the numbers of the layers that it is about.
    """

    finding: Finding
    remedy: Sequence[str]
    place: str
    layers: tuple[int, ...] = ()

    @property
    def weight(self) -> str:
        """Its severity, or `acknowledged`."""
        return "acknowledged" if self.finding.acknowledged else self.finding.severity.value

    @property
    def runs_on(self) -> str:
        """Where it matters."""
        return titles(self.finding.runs_on)

    @property
    def said_by(self) -> str:
        """Whose words the runtime's error is in."""
        return titles(self.finding.runs_on[:1])

    @property
    def steps(self) -> tuple[Step, ...]:
        """What mends it; nothing where nothing has to be mended."""
        if self.finding.acknowledged or self.finding.severity is Severity.INFO:
            return ()
        return tuple(map(Step.of, self.remedy))


@dataclass(frozen=True)
class Node:
    """A document in the tree below a name: an index, or a manifest in it.

    :param is_aside: whether it is no image, but says something of one.
    """

    title: str
    digest: str
    note: str
    is_chosen: bool = False
    is_aside: bool = False
    children: tuple[Node, ...] = ()


def titles(runs_on: Sequence[str]) -> str:
    """Runtimes as people call them."""
    return ", ".join(RUNTIMES[name].title for name in runs_on)


def finding_views(
    findings: Iterable[tuple[Finding, Sequence[str]]], rows: Sequence[LayerRow], place: str
) -> list[FindingView]:
    """Findings as they are shown.

    :param findings: what was found, each with the lines of its remedy.
    :param rows: the image's layers.
    :param place: what the names of their places in the page begin with.
    """
    return [
        FindingView(
            finding,
            remedy,
            f"{place}-{number}",
            tuple(sorted(row.number for row in rows if is_told_by(finding, row.findings))),
        )
        for number, (finding, remedy) in enumerate(findings, start=1)
    ]


def is_told_by(one: Finding, findings: Iterable[Finding]) -> bool:
    """Whether one of the findings says the same, if perhaps of another runtime.

    :param one: a finding.
    :param findings: those that are looked through.
    """
    return any((f.id, f.layer, f.found) == (one.id, one.layer, one.found) for f in findings)


def layer_view(row: LayerRow, largest: int, findings: Sequence[FindingView]) -> LayerView:
    """A layer as it is drawn.

    :param row: the layer.
    :param largest: the size in bytes of the largest layer beside it.
    :param findings: what the page shows of the findings on it.
    """
    share = math.sqrt(row.layer.size / largest) if largest > 0 and row.layer.size > 0 else 0.0
    on_it = [view for view in findings if is_told_by(view.finding, row.findings)]
    weights = {view.weight for view in on_it} - {"acknowledged"}
    return LayerView(
        number=row.number,
        size=readable_size(row.layer.size),
        thickness=min(_THICKNESSES - 1, int(share * _THICKNESSES)),
        colour=_colour(row.layer),
        kind=row.short_type,
        digest=row.layer.digest[:_DIGEST],
        step=row.step,
        marks=tuple((view.finding.id, view.place) for view in on_it),
        grade="bad" if Severity.ERROR.value in weights else "doubt" if weights else "",
    )


def stack(rows: Sequence[LayerRow], findings: Sequence[FindingView]) -> list[LayerView | Fold]:
    """An image's layers as they lie on each other, the top one first; long rows of unremarkable ones are folded.

    :param rows: the layers, bottom first.
    :param findings: what the page shows of the findings.
    """
    largest = max((row.layer.size for row in rows), default=0)

    def view(row: LayerRow) -> LayerView:
        return layer_view(row, largest, findings)

    return [
        view(some[0])
        if is_drawn
        else Fold(
            len(some),
            readable_size(sum(max(row.layer.size, 0) for row in some)),
            tuple(map(view, some)) if len(some) <= _MOST_FOLDED else (),
        )
        for is_drawn, some in _folded(rows[::-1])
    ]


def _folded(rows: Sequence[LayerRow]) -> Iterator[tuple[bool, Sequence[LayerRow]]]:
    """Each layer that is drawn, and each row of layers that is folded."""

    def is_drawn(place: int) -> bool:
        is_end = not _ENDS_DRAWN <= place < len(rows) - _ENDS_DRAWN
        return len(rows) <= _MOST_DRAWN or is_end or (bool(rows[place].findings) and len(rows) <= _MOST_FOLDED)

    for drawn, places in groupby(range(len(rows)), is_drawn):
        some = [rows[place] for place in places]
        yield from ((True, [row]) for row in some) if drawn else ((False, some),)


def _colour(layer: Descriptor) -> str:
    known = media_types.is_containerd_layer(layer.media_type, docker_zstd=True)
    return media_types.declared_compression(layer.media_type) if known else "other"


def tree(image: Image) -> Node | None:
    """The documents below the image's name; None where it points right at a manifest, which is no tree."""
    return _index(image, 0) if image.indexes else None


def _index(image: Image, depth: int) -> Node:
    index = image.indexes[depth]
    chosen = image.chosen[depth] if depth < len(image.chosen) else None
    children = tuple(
        _index(image, depth + 1) if child is chosen and depth + 1 < len(image.indexes) else _child(child, chosen)
        for child in index.manifests
    )
    number = len(children)
    note = f"{number} manifest" if number == 1 else f"{number} manifests"
    return Node("index", index.document.digest[:_DIGEST], note, is_chosen=True, children=children)


def _child(child: Descriptor, chosen: Descriptor | None) -> Node:
    platform = str(child.platform) if child.platform else "no platform"
    # What BuildKit puts beside an image: https://docs.docker.com/build/metadata/attestations/attestation-storage/
    if platform == "unknown/unknown":
        return Node("attestation", child.digest[:_DIGEST], "no image: runtimes pass it by", is_aside=True)
    note = "chosen for this platform" if child is chosen else "for other platforms"
    return Node(platform, child.digest[:_DIGEST], note, is_chosen=child is chosen)
