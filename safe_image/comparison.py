"""Two images side by side: what differs, and which of it breaks which runtime. Nothing is asked of anybody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, Literal

from image_verifier.findings import Finding, Report
from image_verifier.image import Image

from .layers import LayerRow, layer_rows

Change = Literal["same", "retyped", "recompressed", "changed", "added", "removed"]

# Where a Dockerfile or a build says it, in words.
CHANGES: Final[Mapping[Change, str]] = {
    "same": "shared",
    "retyped": "same bytes, other type",
    "recompressed": "same content, other compression",
    "changed": "changed",
    "added": "only in the second",
    "removed": "only in the first",
}


@dataclass(frozen=True)
class Field:
    """One thing that images say of themselves.

    :param name: what it is.
    :param first: what the first image says.
    :param second: what the second image says.
    """

    name: str
    first: str
    second: str

    @property
    def differs(self) -> bool:
        """Whether they say different things."""
        return self.first != self.second


@dataclass(frozen=True)
class LayerPair:
    """Layers that stand beside each other; one of them may be missing.

    :param change: what became of the first in the second.
    """

    change: Change
    first: LayerRow | None
    second: LayerRow | None


@dataclass(frozen=True)
class Comparison:
    """Two images side by side.

    :param first: the report of the first image, the good one.
    :param second: the report of the second image, the bad one.
    :param fields: what they say of themselves.
    :param layers: their layers, bottom first.
    :param broken: what refuses the second image and not the first.
    :param mended: what refuses the first image and not the second.
    """

    first: Report
    second: Report
    fields: tuple[Field, ...]
    layers: tuple[LayerPair, ...]
    broken: tuple[Finding, ...]
    mended: tuple[Finding, ...]

    @property
    def runtimes(self) -> tuple[tuple[str, bool, bool], ...]:
        """Each runtime's name, and whether it can run the first and the second image."""
        return tuple((name, _runs(self.first, name), _runs(self.second, name)) for name in self.first.runs_on)

    def breaks(self, field: Field) -> tuple[Finding, ...]:
        """The findings that a difference is the reason of."""
        return tuple(f for f in self.broken if field.differs and not f.layer and f.id.startswith(_ABOUT[field.name]))


# With what the findings about a field begin.
_ABOUT: Final[Mapping[str, tuple[str, ...]]] = {
    "what the name points at": ("index-", "not-an-image", "schema-", "manifest-"),
    "manifest": ("manifest-", "not-an-image", "schema-", "index-"),
    "config": ("config-",),
    "platform": ("platform-",),
    "compressed size": ("image-",),
    "layers": ("diff-ids", "too-many-layers", "no-layers", "layers-above"),
    "entrypoint": ("entrypoint-", "no-command"),
    "command": ("entrypoint-", "no-command"),
    "user": ("user-",),
    "working directory": ("working-dir",),
    "environment": (),
    "labels": ("label-", "base-"),
}


def compare(first: Report, second: Report) -> Comparison:
    """Put two images side by side.

    :param first: the report of the first image, the good one.
    :param second: the report of the second image, the bad one, for the same runtimes.
    """
    return Comparison(
        first,
        second,
        tuple(_fields(first.image, second.image)),
        tuple(_layers(layer_rows(first.image, first.findings), layer_rows(second.image, second.findings))),
        _only(second, first),
        _only(first, second),
    )


def _only(of: Report, without: Report) -> tuple[Finding, ...]:
    """What refuses one image on a runtime, and the other not."""
    known = {(finding.id, name) for finding in without.errors for name in finding.runs_on}
    return tuple(f for f in of.errors if any((f.id, name) not in known for name in f.runs_on))


def _runs(report: Report, runtime: str) -> bool:
    return not any(runtime in finding.runs_on for finding in report.errors)


def _fields(first: Image, second: Image) -> Iterator[Field]:
    for (name, one), (_, other) in zip(_said(first), _said(second), strict=True):
        yield Field(name, one, other)


def _said(image: Image) -> Iterator[tuple[str, str]]:
    """What an image says of itself, by what it is."""
    top, manifest, config = image.top, image.manifest, image.config
    yield "what the name points at", top.media_type if top else "nothing"
    yield "manifest", manifest.document.media_type if manifest else "none"
    yield "config", manifest.config.media_type if manifest else "none"
    yield "platform", str(config.platform) if config else "unknown"
    yield "compressed size", f"{image.size} bytes"
    yield "layers", str(len(image.layers))
    yield "entrypoint", _words(config.entrypoint if config else ())
    yield "command", _words(config.command if config else ())
    yield "user", config.user if config else ""
    yield "working directory", config.working_dir if config else ""
    yield "environment", "\n".join(sorted(config.env)) if config else ""
    yield "labels", "\n".join(f"{k}={v}" for k, v in sorted(config.labels.items())) if config else ""


def _words(words: Sequence[str]) -> str:
    import shlex

    return shlex.join(words)


def _layers(first: Sequence[LayerRow], second: Sequence[LayerRow]) -> Iterator[LayerPair]:
    """Layers of the same content beside each other, others in their order."""
    one, other = ([row.diff_id or row.layer.digest for row in rows] for rows in (first, second))
    for kind, i, i_end, j, j_end in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        left, right = first[i:i_end], second[j:j_end]
        for number in range(max(len(left), len(right))):
            a = left[number] if number < len(left) else None
            b = right[number] if number < len(right) else None
            yield LayerPair(_change(a, b, same=kind == "equal"), a, b)


def _change(first: LayerRow | None, second: LayerRow | None, *, same: bool) -> Change:
    if first is None:
        return "added"
    if second is None:
        return "removed"
    if not same:
        return "changed"
    if first.layer.digest != second.layer.digest:
        return "recompressed"
    return "same" if first.layer.media_type == second.layer.media_type else "retyped"
