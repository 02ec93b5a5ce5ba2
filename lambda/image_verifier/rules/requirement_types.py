"""Requirement: a condition beyond what every runtime asks for, off until a policy names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Kind:
    """One kind of requirement.

    :param findings: what may be found where it is not met.
    :param value: what is written after its name and a colon; empty where nothing is.
    """

    findings: tuple[str, ...]
    value: str = ""


NON_ROOT_USER: Final = "non-root-user"
NO_LATEST_BASE: Final = "no-latest-base"
LABEL: Final = "label"
MAX_LAYERS: Final = "max-layers"

KINDS: Final[Mapping[str, Kind]] = {
    NON_ROOT_USER: Kind(("user-is-root",)),
    NO_LATEST_BASE: Kind(("base-is-latest", "base-not-said")),
    LABEL: Kind(("label-missing",), "NAME"),
    MAX_LAYERS: Kind(("layers-above-maximum",), "NUMBER"),
}


@dataclass(frozen=True)
class Requirement:
    """A condition that a policy requires, written as `kind` or as `kind:value`.

    :param kind: one of `KINDS`.
    :param value: the label's name, or the number of layers; empty where the kind takes none.
    """

    kind: str
    value: str = ""

    @classmethod
    def parse(cls, text: str) -> Requirement:
        """The requirement that a text such as `non-root-user` or `max-layers:50` names.

        :raises ValueError: if there is none; the message says what to write.
        """
        name, _, value = text.partition(":")
        kind = KINDS.get(name)
        if kind is None:
            raise ValueError(f"require names {text!r}, which is no requirement: write one of {_written()}")
        if bool(kind.value) != bool(value.strip()):
            raise ValueError(f"require names {text!r}: write {_form(name)}")
        if name == MAX_LAYERS and not (value.isascii() and value.isdigit() and int(value) > 0):
            raise ValueError(f"require names {text!r}: write a number of layers from 1 on, such as {name}:50")
        return cls(name, value)

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}" if self.value else self.kind


def _form(name: str) -> str:
    return f"{name}:{KINDS[name].value}" if KINDS[name].value else name


def _written() -> str:
    return ", ".join(map(_form, KINDS))
