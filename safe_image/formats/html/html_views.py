"""Layers, their findings, and indexes as the pages draw them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from image_verifier.image import media_types
from image_verifier.image.model import Descriptor, Image
from image_verifier.pages.finding_view import FindingView
from image_verifier.report import Finding, Severity
from image_verifier.text import readable_size

from ...results.layer_rows import LayerRow

_DIGEST: Final = len("sha256:") + 12
# The number of thicknesses that the style sheet has for a layer.
_THICKNESSES: Final = 8
# Of more layers, only the ends are drawn, and every layer that has a finding.
_MAX_DRAWN: Final = 30
_ENDS_DRAWN: Final = 8
# More layers are only counted: no engine accepts as many, and a browser must be able to open the page.
_MAX_FOLDED: Final = 1000


@dataclass(frozen=True)
class LayerView:
    """A layer as it is drawn.

    :param thickness: from 0 to 7: its share of the largest layer, by the square root, so that small ones differ too.
    :param colour: its compression, or `other` for a type that no engine unpacks.
    :param marks: the ids of its findings, each with the finding's anchor in the page.
    :param grade: `bad`, `doubt`, or empty where it has no finding, or only acknowledged ones.
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
class FoldedLayers:
    """Layers that are shown only when the reader unfolds them.

    :param count: the number of layers.
    :param size: the size of all of them.
    :param layers: the layers; empty where they are more than any engine accepts.
    """

    count: int
    size: str
    layers: tuple[LayerView, ...]


@dataclass(frozen=True)
class TreeNode:
    """A document in the tree below a reference: an index, or a manifest in it.

    :param is_aside: whether it is not an image but describes one, as an attestation does.
    """

    title: str
    digest: str
    note: str
    is_chosen: bool = False
    is_aside: bool = False
    children: tuple[TreeNode, ...] = ()


def finding_views(
    findings: Iterable[tuple[Finding, Sequence[str]]], rows: Sequence[LayerRow], place: str
) -> list[FindingView]:
    """Findings as they are shown.

    :param findings: the findings, each with the lines of its remedy.
    :param rows: the image's layers.
    :param place: the prefix of their anchors in the page.
    """
    return [
        FindingView(
            finding,
            remedy,
            f"{place}-{number}",
            tuple(sorted(row.number for row in rows if is_same_finding(finding, row.findings))),
        )
        for number, (finding, remedy) in enumerate(findings, start=1)
    ]


def is_same_finding(one: Finding, findings: Iterable[Finding]) -> bool:
    """Whether one of the findings is the same, perhaps for another runtime.

    :param one: the finding that is looked for.
    :param findings: the findings that are searched.
    """
    return any((f.id, f.layer, f.found) == (one.id, one.layer, one.found) for f in findings)


def layer_view(row: LayerRow, largest: int, findings: Sequence[FindingView]) -> LayerView:
    """A layer as it is drawn.

    :param row: the layer.
    :param largest: the size in bytes of the largest layer.
    :param findings: the findings that the page shows.
    """
    share = math.sqrt(row.layer.size / largest) if largest > 0 and row.layer.size > 0 else 0.0
    on_it = [view for view in findings if is_same_finding(view.finding, row.findings)]
    labels = {view.label for view in on_it} - {"acknowledged"}
    return LayerView(
        number=row.number,
        size=readable_size(row.layer.size),
        thickness=min(_THICKNESSES - 1, int(share * _THICKNESSES)),
        colour=_colour(row.layer),
        kind=row.short_type,
        digest=row.layer.digest[:_DIGEST],
        step=row.step,
        marks=tuple((view.finding.id, view.place) for view in on_it),
        grade="bad" if Severity.ERROR.value in labels else "doubt" if labels else "",
    )


def stack(rows: Sequence[LayerRow], findings: Sequence[FindingView]) -> list[LayerView | FoldedLayers]:
    """An image's layers, the top one first; long runs of layers without findings are folded.

    :param rows: the layers, bottom first.
    :param findings: the findings that the page shows.
    """
    largest = max((row.layer.size for row in rows), default=0)

    def view(row: LayerRow) -> LayerView:
        return layer_view(row, largest, findings)

    return [
        view(some[0])
        if is_drawn
        else FoldedLayers(
            len(some),
            readable_size(sum(max(row.layer.size, 0) for row in some)),
            tuple(map(view, some)) if len(some) <= _MAX_FOLDED else (),
        )
        for is_drawn, some in _folded(rows[::-1])
    ]


def _folded(rows: Sequence[LayerRow]) -> Iterator[tuple[bool, Sequence[LayerRow]]]:
    """Each layer that is drawn, and each run of layers that is folded."""

    def is_drawn(place: int) -> bool:
        is_end = not _ENDS_DRAWN <= place < len(rows) - _ENDS_DRAWN
        return len(rows) <= _MAX_DRAWN or is_end or (bool(rows[place].findings) and len(rows) <= _MAX_FOLDED)

    for drawn, places in groupby(range(len(rows)), is_drawn):
        some = [rows[place] for place in places]
        yield from ((True, [row]) for row in some) if drawn else ((False, some),)


def _colour(layer: Descriptor) -> str:
    known = media_types.is_containerd_layer(layer.media_type, docker_zstd=True)
    return media_types.declared_compression(layer.media_type) if known else "other"


def tree(image: Image) -> TreeNode | None:
    """The documents below the image's reference; None where it points directly at a manifest."""
    return _index(image, 0) if image.indexes else None


def _index(image: Image, depth: int) -> TreeNode:
    index = image.indexes[depth]
    chosen = image.chosen[depth] if depth < len(image.chosen) else None
    children = tuple(
        _index(image, depth + 1) if child is chosen and depth + 1 < len(image.indexes) else _child(child, chosen)
        for child in index.manifests
    )
    number = len(children)
    note = f"{number} manifest" if number == 1 else f"{number} manifests"
    return TreeNode("index", index.document.digest[:_DIGEST], note, is_chosen=True, children=children)


def _child(child: Descriptor, chosen: Descriptor | None) -> TreeNode:
    platform = str(child.platform) if child.platform else "no platform"
    # BuildKit stores attestations beside the image: https://docs.docker.com/build/metadata/attestations/attestation-storage/
    if platform == "unknown/unknown":
        return TreeNode("attestation", child.digest[:_DIGEST], "not an image: runtimes ignore it", is_aside=True)
    note = "chosen for this platform" if child is chosen else "for other platforms"
    return TreeNode(platform, child.digest[:_DIGEST], note, is_chosen=child is chosen)
