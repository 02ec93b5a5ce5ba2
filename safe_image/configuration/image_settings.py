"""The settings of a configuration file: every key with its kind, read and checked once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, time
from typing import Any, Final

from image_verifier.report import FailOn
from image_verifier.text import nearest

from ..errors import UsageError

_POSITION: Final = re.compile(r"\[\d+\]", re.ASCII)


@dataclass(frozen=True)
class Waiver:
    """A finding that is accepted.

    :param finding: its ID.
    :param reason: why it is accepted.
    :param expires: the last day on which it is accepted; None for no end.
    """

    finding: str
    reason: str
    expires: date | None = None


@dataclass(frozen=True)
class ImageSettings:
    """The settings for some images. A value that is None or empty is not set.

    :param runs_on: the runtimes.
    :param platform: the platform, such as `linux/arm64`.
    :param layers: whether the bytes of layers are read.
    :param min_size: the smallest compressed size, such as `50MiB`.
    :param max_size: the largest compressed size, such as `2GiB`.
    :param fail_on: the lowest severity that refuses an image.
    :param require: conditions beyond those of the runtimes.
    :param acknowledge: the findings that are accepted.
    """

    runs_on: tuple[str, ...] = ()
    platform: str = ""
    layers: bool | None = None
    min_size: str = ""
    max_size: str = ""
    fail_on: FailOn | None = None
    require: tuple[str, ...] = ()
    acknowledge: tuple[Waiver, ...] = ()

    def over(self, other: ImageSettings) -> ImageSettings:
        """These settings, and those of `other` where these have none; conditions and waivers of both."""
        values = {f.name: getattr(self, f.name) or getattr(other, f.name) for f in fields(self)}
        if self.layers is not None:
            values["layers"] = self.layers
        values["require"] = tuple(dict.fromkeys((*other.require, *self.require)))
        values["acknowledge"] = (*other.acknowledge, *self.acknowledge)
        return ImageSettings(**values)


@dataclass(frozen=True)
class Section:
    """The settings for the images that match a pattern.

    :param match: the patterns, with `*` and `?`.
    :param settings: the settings.
    """

    match: tuple[str, ...]
    settings: ImageSettings


def settings_of(table: Mapping[str, Any], place: str, today: date) -> tuple[ImageSettings, tuple[Section, ...]]:
    """The settings of a file: for all images, and for those that match a pattern.

    :param table: the file's table.
    :param place: the file's name, which messages begin with.
    :param today: the day, by which a waiver expires.
    :raises UsageError: if a key or a value is wrong; the message says where, and what to use instead.
    """
    known = (*_KEYS, "images")
    _check_keys(table, known, place)
    sections = []
    for number, entry in enumerate(_tables(table.get("images", []), f"{place}: images"), start=1):
        where = f"{place}: images[{number}]"
        _check_keys(entry, ("match", *_KEYS), where)
        if "match" not in entry:
            raise UsageError(f'{where} has no match: add the pattern of its images, such as match = "shop*"')
        match = _one_or_more(entry["match"], f"{where}.match")
        sections.append(Section(match, _settings(entry, where, today)))
    return _settings(table, place, today), tuple(sections)


def _settings(table: Mapping[str, Any], place: str, today: date) -> ImageSettings:
    separator = "." if place.endswith("]") else ": "
    values = {
        key.replace("-", "_"): read(table[key], f"{place}{separator}{key}", today)
        for key, read in _KEYS.items()
        if key in table
    }
    return ImageSettings(**values)


def _check_keys(table: Mapping[str, Any], known: Sequence[str], place: str) -> None:
    for key in table:
        if key not in known:
            raise UsageError(f"{place} has the unknown key {key!r}: use {nearest(key, known)}")


def _text(value: Any, place: str, *_: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{place} is {_kind(value)}: use a text")
    return value


def _size(value: Any, place: str, *_: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f'{place} is {_kind(value)}: use a text with a unit, such as "50MiB"')
    return value


def _flag(value: Any, place: str, *_: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{place} is {_kind(value)}: use true or false")
    return value


def _texts(value: Any, place: str, *_: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise UsageError(f"{place} is {_kind(value)}: use a list of texts")
    for number, one in enumerate(value, start=1):
        if not isinstance(one, str):
            raise UsageError(f"{place}[{number}] is {_kind(one)}: use a text")
    return tuple(value)


def _one_or_more(value: Any, place: str, *_: Any) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else _texts(value, place)
    if not texts or not all(text.strip() for text in texts):
        raise UsageError(f"{place} is empty: use a text, or a list of texts")
    return texts


def _fail_on(value: Any, place: str, *_: Any) -> FailOn:
    known = [severity.value for severity in FailOn]
    if value not in known:
        raise UsageError(f"{place} is {value!r}: use {nearest(str(value), known)}")
    return FailOn(value)


def _waivers(value: Any, place: str, today: date) -> tuple[Waiver, ...]:
    waivers = []
    for number, entry in enumerate(_tables(value, place), start=1):
        where = f"{place}[{number}]"
        _check_keys(entry, ("id", "reason", "expires"), where)
        for key in ("id", "reason"):
            if key not in entry:
                raise UsageError(f"{where} has no {key}: an acknowledgement has an id and a reason")
        finding = _text(entry["id"], f"{where}.id")
        expires = entry.get("expires")
        if expires is not None and (not isinstance(expires, date) or isinstance(expires, datetime)):
            raise UsageError(f"{where}.expires is {_kind(expires)}: use a date without quotes, such as 2027-01-31")
        if expires is not None and expires < today:
            raise UsageError(
                f"{where}: the acknowledgement of {finding} expired on {expires}: fix the finding, or set a later date"
            )
        waivers.append(Waiver(finding, _text(entry["reason"], f"{where}.reason"), expires))
    return tuple(waivers)


def _tables(value: Any, place: str) -> Sequence[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise UsageError(f"{place} is {_kind(value)}: use tables, each under a line [[{_header(place)}]]")
    return value


def _header(place: str) -> str:
    """The name that TOML gives a list of tables, which has no positions, such as `images.acknowledge`."""
    file, _, path = place.rpartition(": ")
    name = _POSITION.sub("", path)
    return f"tool.safe-image.{name}" if file.endswith("pyproject.toml") else name


def _kind(value: Any) -> str:
    if isinstance(value, str) and not value.strip():
        return "an empty text"
    return _KINDS.get(type(value), "a number")


_KINDS: Final[Mapping[type, str]] = {
    bool: "true or false",
    str: "a text",
    list: "a list",
    dict: "a table",
    date: "a date",
    datetime: "a date with a time",
    time: "a time",
}


# Every key of the file, as the command line calls it, and how its value is read.
_KEYS: Final[Mapping[str, Callable[[Any, str, date], Any]]] = {
    "runs-on": _one_or_more,
    "platform": _text,
    "layers": _flag,
    "min-size": _size,
    "max-size": _size,
    "fail-on": _fail_on,
    "require": _texts,
    "acknowledge": _waivers,
}
KEYS: Final = tuple(_KEYS)
