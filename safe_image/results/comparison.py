"""Two images side by side: what differs, and which of it breaks which runtime. Nothing is asked of anybody."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any, Final, Literal

from image_verifier.image.model import Image
from image_verifier.report import Finding, Report, Severity
from image_verifier.rules.runtimes import RUNTIMES
from image_verifier.text import readable_size

from .layer_rows import LayerRow, layer_rows, run_config, without_secret

Change = Literal["same", "retyped", "recompressed", "changed", "added", "removed"]
Standing = Literal["runs", "in doubt", "refused"]

# No engine takes as many layers, and to align more could take hours: they stand beside each other as they are numbered.
_MOST_ALIGNED: Final = 1000

# What became of the first image's layer in the second one, in words.
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
    :param first: what the first image says; a line for each of several things.
    :param second: what the second image says.
    :param breaks: the ids of what refuses only the second image, and has this difference as its reason.
    """

    name: str
    first: str
    second: str
    breaks: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether they say different things."""
        return self.first != self.second


@dataclass(frozen=True)
class LayerPair:
    """Layers that stand beside each other; one of them may be missing.

    :param change: what became of the first in the second.
    :param breaks: the ids of what refuses only the second image, and was found on the second layer.
    """

    change: Change
    first: LayerRow | None
    second: LayerRow | None
    breaks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Two images side by side.

    :param first: the report of the first image, the good one.
    :param second: the report of the second image, the bad one.
    :param fields: what they say of themselves.
    :param layers: their layers, bottom first.
    :param broken: what refuses the second image and not the first, each for the runtimes where that is so.
    :param mended: what refuses the first image and not the second.
    :param doubted: what lets doubt the second image and not the first.
    :param common: what refuses both.
    """

    first: Report
    second: Report
    fields: tuple[Field, ...]
    layers: tuple[LayerPair, ...]
    broken: tuple[Finding, ...]
    mended: tuple[Finding, ...]
    doubted: tuple[Finding, ...]
    common: tuple[Finding, ...]

    @property
    def runtimes(self) -> tuple[tuple[str, Standing, Standing], ...]:
        """Each runtime's name, and how the first and the second image stand there."""
        return tuple((name, _standing(self.first, name), _standing(self.second, name)) for name in self.first.runs_on)

    @property
    def breaks_on(self) -> tuple[str, ...]:
        """The runtimes that refuse the second image and not the first."""
        return tuple(name for name, first, second in self.runtimes if second == "refused" != first)

    @property
    def in_a_sentence(self) -> str:
        """What comes of the difference."""
        if self.breaks_on:
            where = ", ".join(RUNTIMES[name].title for name in self.breaks_on)
            return f"The second image is refused where the first is not: {where}."
        if self.broken:
            return "Both images are refused, the second for more than the first."
        if self.second.errors:
            return "Both images are refused, and nothing refuses the second alone."
        return (
            "The first image is refused, and the second is not." if self.first.errors else "Neither image is refused."
        )


def compare(first: Report, second: Report) -> Comparison:
    """Put two images side by side.

    :param first: the report of the first image, the good one.
    :param second: the report of the second image, the bad one, for the same runtimes.
    """
    broken = _without(second.errors, first.errors)
    rows, others = (layer_rows(report.image, report.findings) for report in (first, second))
    return Comparison(
        first,
        second,
        tuple(_fields(first.image, second.image, broken)),
        tuple(_pairs(rows, others, broken)),
        broken,
        mended=_without(first.errors, second.errors),
        doubted=_without(_doubts(second), (*_doubts(first), *first.errors)),
        common=_without(second.errors, broken),
    )


def _without(findings: Sequence[Finding], others: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings for those runtimes where the others have none of the same kind."""
    known = {(finding.id, name) for finding in others for name in finding.runs_on}
    left = (replace(f, runs_on=tuple(name for name in f.runs_on if (f.id, name) not in known)) for f in findings)
    return tuple(finding for finding in left if finding.runs_on)


def _doubts(report: Report) -> tuple[Finding, ...]:
    """What does not refuse an image, and that nobody acknowledged."""
    grave = (f for f in report.findings if f.severity is not Severity.INFO and not f.acknowledged)
    return tuple(f for f in grave if f not in report.errors)


def _standing(report: Report, runtime: str) -> Standing:
    if any(runtime in finding.runs_on for finding in report.errors):
        return "refused"
    return "in doubt" if any(runtime in finding.runs_on for finding in _doubts(report)) else "runs"


def _points_at(image: Image) -> str:
    return image.top.media_type or "(no media type)" if image.top else "nothing"


def _manifest(image: Image) -> str:
    manifest = image.manifest
    if manifest is None:
        return "unreadable" if _is_unreadable(image, "manifest") else ""
    served, declared = manifest.document.media_type, manifest.declared_type
    calls_itself = f", which calls itself {declared}" if declared not in ("", served) else ""
    return served + calls_itself + _unreadable_for(manifest.problems)


def _config(image: Image) -> str:
    if image.manifest is None:
        return ""
    if image.config:
        state = _unreadable_for(image.config.problems)
    else:
        state = ", unreadable" if _is_unreadable(image, "config") else ", missing"
    return image.manifest.config.media_type + state


def _is_unreadable(image: Image, what: str) -> bool:
    return image.unreadable is not None and image.unreadable[0] == what


def _unreadable_for(families: Iterable[str]) -> str:
    names = " and ".join(families)
    return f", unreadable for {names}" if names else ""


def _platform(image: Image) -> str:
    return str(image.config.platform) if image.config else ""


def _size(image: Image) -> str:
    if image.manifest is None:
        return ""
    exact = f"{image.size:,} bytes"
    return exact if image.size < 1024 else f"{readable_size(image.size)} ({exact})"


def _layers(image: Image) -> str:
    if image.config is None:
        return str(len(image.layers))
    diff_ids = f"{len(image.config.diff_ids)} diff IDs" if image.config.has_rootfs else "no rootfs"
    return f"{len(image.layers)}, {diff_ids}"


def _entrypoint(image: Image) -> str:
    return shlex.join(image.config.entrypoint) if image.config else ""


def _command(image: Image) -> str:
    return shlex.join(image.config.command) if image.config else ""


def _user(image: Image) -> str:
    return image.config.user if image.config else ""


def _working_dir(image: Image) -> str:
    return image.config.working_dir if image.config else ""


def _environment(image: Image) -> str:
    return "\n".join(map(without_secret, sorted(image.config.env))) if image.config else ""


def _labels(image: Image) -> str:
    return _mapping(image.config.labels if image.config else {})


def _annotations(image: Image) -> str:
    return _mapping(image.manifest.annotations if image.manifest else {})


def _mapping(values: Mapping[str, str]) -> str:
    return "\n".join(f"{key}={value}" for key, value in sorted(values.items()))


def _run(key: str) -> Callable[[Image], str]:
    """What the config says of running it that no engine needs to be able to read."""

    def said(image: Image) -> str:
        value: Any = run_config(image.config_content).get(key)
        if isinstance(value, dict) and not any(value.values()):
            return "\n".join(sorted(value))
        return value if isinstance(value, str) else json.dumps(value, sort_keys=True) if value else ""

    return said


# What images say of themselves: its name, how it is read, and the findings of which a difference in it is the reason.
_FIELDS: Final[Sequence[tuple[str, Callable[[Image], str], tuple[str, ...]]]] = (
    (
        "what the name points at",
        _points_at,
        ("image-missing", "index-not-taken", "index-incomplete", "platform-missing", "platform-variants", "schema-1"),
    ),
    (
        "manifest",
        _manifest,
        ("manifest-missing", "manifest-unreadable", "manifest-type-mismatch", "manifest-type-refused", "not-an-image"),
    ),
    (
        "config",
        _config,
        ("not-an-image", "config-missing", "config-unreadable", "config-too-large", "config-descriptor-invalid"),
    ),
    ("platform", _platform, ("platform-mismatch", "platform-unknown", "not-an-image")),
    (
        "compressed size",
        _size,
        ("image-too-small", "image-too-large", "image-grew", "image-too-large-for-runtime", "image-needs-storage"),
    ),
    (
        "layers",
        _layers,
        (
            "diff-ids-count",
            "rootfs-missing",
            "too-many-layers",
            "layers-not-mountable",
            "no-layers",
            "layers-above-maximum",
            "history-too-long",
        ),
    ),
    ("entrypoint", _entrypoint, ("no-command", "argument-invalid", "entrypoint-missing", "entrypoint-not-executable")),
    ("command", _command, ("no-command", "argument-invalid", "entrypoint-missing", "entrypoint-not-executable")),
    ("user", _user, ("user-missing", "user-is-root")),
    ("working directory", _working_dir, ("working-dir-relative", "working-dir-invalid")),
    ("environment", _environment, ("env-invalid",)),
    ("exposed ports", _run("ExposedPorts"), ()),
    ("volumes", _run("Volumes"), ("mount-point-invalid",)),
    ("stop signal", _run("StopSignal"), ()),
    ("health check", _run("Healthcheck"), ()),
    ("labels", _labels, ("label-missing", "base-is-latest", "base-not-said")),
    ("annotations", _annotations, ("base-is-latest", "base-not-said")),
)


def _fields(first: Image, second: Image, broken: Sequence[Finding]) -> Iterator[Field]:
    for name, said, reasons in _FIELDS:
        one, other = said(first), said(second)
        breaks = _ids(f for f in broken if one != other and f.id in reasons)
        yield Field(name, one, other, breaks)


def _ids(findings: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(finding.id for finding in findings))


def _pairs(first: Sequence[LayerRow], second: Sequence[LayerRow], broken: Sequence[Finding]) -> Iterator[LayerPair]:
    """Layers of the same content beside each other, others in their order."""
    kinds = {finding.id for finding in broken}
    for i, i_end, j, j_end in _aligned([row.content for row in first], [row.content for row in second]):
        for one, other in zip_longest(first[i:i_end], second[j:j_end]):
            found = other.findings if other else ()
            yield LayerPair(_change(one, other), one, other, _ids(f for f in found if f.id in kinds))


def _aligned(first: Sequence[str], second: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """The bounds of the parts that stand beside each other."""
    if max(len(first), len(second)) > _MOST_ALIGNED:
        yield 0, len(first), 0, len(second)
        return
    for _, i, i_end, j, j_end in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        yield i, i_end, j, j_end


def _change(first: LayerRow | None, second: LayerRow | None) -> Change:
    if first is None:
        return "added"
    if second is None:
        return "removed"
    if first.content != second.content:
        return "changed"
    if first.layer.digest != second.layer.digest:
        return "recompressed"
    return "same" if first.layer.media_type == second.layer.media_type else "retyped"
