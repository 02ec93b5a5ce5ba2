"""The report as one page to look at: each image's layers as a drawn stack, with what was found on them.

The page is complete in itself: it asks for nothing over a network, and its content needs no script. Whatever comes from
an image is text in it, which the templates escape, and a content security policy lets nothing else run.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from image_verifier import __version__, media_types
from image_verifier.checks.size import readable_size
from image_verifier.findings import Finding, Severity
from image_verifier.image import Descriptor, Image
from image_verifier.runtimes import RUNTIMES

from ..comparison import CHANGES, Comparison, LayerPair
from .alike import alike
from .layers import LayerRow, layer_rows
from .text import printable

if TYPE_CHECKING:
    from jinja2 import Environment

    from ..outcomes import Outcome

_FOLDER: Final = Path(__file__).parent / "html"
_VERDICTS: Final = {"pass": "passed", "fail": "refused", "unknown": "unknown"}
_SIGNS: Final = {"same": "=", "retyped": "≈", "recompressed": "≈", "changed": "≠", "added": "+", "removed": "−"}
_DIGEST: Final = 19
# A layer's thickness is one of so many: what is drawn is its share of the largest layer.
_THICKNESSES: Final = 8
# More images than this are folded, but for those with something to see.
_MOST_OPEN: Final = 3


@dataclass(frozen=True)
class Layer:
    """A layer as it is drawn."""

    number: int
    size: str
    thickness: int
    colour: str
    kind: str
    digest: str
    step: str
    marks: tuple[str, ...]
    is_bad: bool
    is_doubtful: bool


@dataclass(frozen=True)
class Node:
    """A document in the tree below a name: an index, a manifest, an attestation."""

    title: str
    digest: str
    note: str
    is_chosen: bool
    is_aside: bool
    children: tuple[Node, ...] = ()


def report(outcomes: Iterable[Outcome], stream: TextIO) -> Iterator[str]:
    """The page, image by image as they come.

    :param outcomes: what became of the images.
    :param stream: what it is written to.
    """
    verdicts: Counter[str] = Counter()

    def images() -> Iterator[Mapping[str, Any]]:
        for number, outcome in enumerate(outcomes):
            verdicts[outcome.verdict] += 1
            yield _image(outcome, is_open=number < _MOST_OPEN or outcome.verdict != "pass")

    def tally() -> list[tuple[str, int, str]]:
        return [(verdict, verdicts[verdict], word) for verdict, word in _VERDICTS.items() if verdicts[verdict]]

    yield from page("check.html.j2", "Container images", images=images(), tally=tally)


def diff_page(comparison: Comparison, names: tuple[str, str]) -> Iterator[str]:
    """Two images side by side, as a page.

    :param comparison: the images.
    :param names: what they are called.
    """
    most = max((row.layer.size for pair in comparison.layers for row in (pair.first, pair.second) if row), default=0)
    trees = [node for r in (comparison.first, comparison.second) if (node := _tree(r.image))]
    return page(
        "diff.html.j2",
        "Two images side by side",
        names=[printable(name) for name in names],
        runtimes=[(RUNTIMES[name].title, one, other) for name, one, other in comparison.runtimes],
        broken=[_finding(f) for f in alike(comparison.broken)],
        mended=[_finding(f) for f in alike(comparison.mended)],
        shared=sum(pair.change == "same" for pair in comparison.layers),
        pairs=[_pair(pair, most) for pair in reversed(comparison.layers)],
        fields=[
            {
                "name": field.name,
                "differs": field.differs,
                "breaks": [finding.id for finding in comparison.breaks(field)],
                "first": [printable(line) for line in field.first.splitlines()] or ["(none)"],
                "second": [printable(line) for line in field.second.splitlines()] or ["(none)"],
            }
            for field in comparison.fields
        ],
        trees=trees,
    )


def page(template: str, title: str, **content: Any) -> Iterator[str]:
    """A page, piece by piece.

    :param template: its template's file name.
    :param title: its title.
    :param content: what the template shows.
    """
    from markupsafe import Markup

    style, script = ((_FOLDER / f"report.{name}").read_text(encoding="utf-8") for name in ("css", "js"))
    style += "".join(f".thick-{n} {{ --thick: {2 + n * 0.55:.2f}rem; }}\n" for n in range(_THICKNESSES))
    yield from (
        _templates()
        .get_template(template)
        .generate(
            title=title,
            version=__version__,
            # Files of our own; all else is escaped.
            style=Markup(style),  # noqa: S704
            script=Markup(script),  # noqa: S704
            style_hash=_hash(style),
            script_hash=_hash(script),
            **content,
        )
    )


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _image(outcome: Outcome, *, is_open: bool) -> Mapping[str, Any]:
    judged = outcome.report
    image = judged.image if judged else None
    rows = layer_rows(image, judged.findings) if judged and image else []
    most = max((row.layer.size for row in rows), default=0)
    fault = outcome.fault
    return {
        "reference": printable(outcome.reference),
        "verdict": outcome.verdict,
        "word": _VERDICTS[outcome.verdict],
        "is_open": is_open,
        "platform": str(outcome.policy.platform),
        "runs_on": ", ".join(RUNTIMES[name].title for name in outcome.policy.runs_on),
        "size": readable_size(image.size) if image and image.layers else "",
        "digest": printable(image.top.digest) if image and image.top else "",
        "fault": printable(f"{fault.message.rstrip('.')}. {fault.advice}".rstrip()) if fault else "",
        "layers": [_layer(row, most) for row in reversed(rows)],
        "tree": _tree(image) if image else None,
        "findings": [_finding(f) for f in alike(judged.findings)] if judged else [],
    }


def _layer(row: LayerRow, most: int) -> Layer:
    share = math.sqrt(row.layer.size / most) if most > 0 and row.layer.size > 0 else 0.0
    found = [f for f in row.findings if not f.acknowledged]
    return Layer(
        number=row.number,
        size=readable_size(row.layer.size),
        thickness=min(_THICKNESSES - 1, int(share * _THICKNESSES)),
        colour=_colour(row.layer),
        kind=printable(row.kind),
        digest=printable(row.layer.digest[:_DIGEST]),
        step=printable(row.step),
        marks=tuple(dict.fromkeys(f.id for f in row.findings)),
        is_bad=any(f.severity is Severity.ERROR for f in found),
        is_doubtful=bool(found),
    )


def _colour(layer: Descriptor) -> str:
    known = media_types.is_containerd_layer(layer.media_type, docker_zstd=True)
    return media_types.declared_compression(layer.media_type) if known else "other"


def _finding(finding: Finding) -> Mapping[str, Any]:
    return {
        "id": finding.id,
        "severity": finding.severity.value,
        "weight": "acknowledged" if finding.acknowledged else finding.severity.value,
        "runs_on": ", ".join(RUNTIMES[name].title for name in finding.runs_on),
        "said_by": RUNTIMES[finding.runs_on[0]].title if finding.runs_on else "",
        **{
            name: printable(getattr(finding, name))
            for name in ("message", "expected", "found", "runtime_error", "acknowledged")
        },
        "remedy": [
            {"is_command": step.startswith("$ "), "text": printable(step.removeprefix("$ "))}
            for step in finding.remedy
            if finding.severity is not Severity.INFO
        ],
    }


def _tree(image: Image) -> Node | None:
    """The documents below the name; None where it points right at a manifest, which is no tree."""
    if not image.indexes:
        return None
    return _index(image, 0, image.indexes[0].document.digest, is_chosen=True)


def _index(image: Image, depth: int, digest: str, *, is_chosen: bool) -> Node:
    index = image.indexes[depth]
    chosen = image.chosen[depth] if depth < len(image.chosen) else None
    children = []
    for child in index.manifests:
        if child == chosen and depth + 1 < len(image.indexes):
            children.append(_index(image, depth + 1, child.digest, is_chosen=True))
        else:
            children.append(_child(child, is_chosen=child == chosen))
    return Node("index", digest[:_DIGEST], f"{len(index.manifests)} manifests", is_chosen, False, tuple(children))


def _child(child: Descriptor, *, is_chosen: bool) -> Node:
    platform = str(child.platform) if child.platform else "no platform"
    # What BuildKit puts beside an image: https://docs.docker.com/build/metadata/attestations/attestation-storage/
    aside = platform == "unknown/unknown"
    note = f"{readable_size(child.size)} {'chosen for this platform' if is_chosen else ''}".rstrip()
    return Node("attestation" if aside else platform, printable(child.digest[:_DIGEST]), note, is_chosen, aside)


def _pair(pair: LayerPair, most: int) -> Mapping[str, Any]:
    sides: Sequence[LayerRow | None] = (pair.first, pair.second)
    return {
        "change": pair.change,
        "words": CHANGES[pair.change],
        "sign": _SIGNS[pair.change],
        "sides": [_layer(row, most) if row else None for row in sides],
        "marks": list(dict.fromkeys(f.id for f in (pair.second.findings if pair.second else ()))),
    }
