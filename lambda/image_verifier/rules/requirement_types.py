"""Requirement: a condition beyond those of the runtimes, off until a policy requires it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..text import nearest


@dataclass(frozen=True)
class RequirementKind:
    """One kind of requirement.

    :param findings: the ids of the findings where it is not met.
    :param value: what follows its name and a colon; empty where the kind has no value.
    """

    findings: tuple[str, ...]
    value: str = ""


NON_ROOT_USER: Final = "non-root-user"
NO_LATEST_BASE: Final = "no-latest-base"
LABEL: Final = "label"
MAX_LAYERS: Final = "max-layers"

KINDS: Final[Mapping[str, RequirementKind]] = {
    NON_ROOT_USER: RequirementKind(("user-is-root",)),
    NO_LATEST_BASE: RequirementKind(("base-is-latest", "base-not-said")),
    LABEL: RequirementKind(("label-missing",), "NAME"),
    MAX_LAYERS: RequirementKind(("layers-above-maximum",), "NUMBER"),
}


@dataclass(frozen=True)
class Requirement:
    """A condition that a policy requires, written as `kind` or as `kind:value`.

    :param kind: one of `KINDS`.
    :param value: the label's name, or the number of layers; empty where the kind has no value.
    """

    kind: str
    value: str = ""

    @classmethod
    def parse(cls, text: str) -> Requirement:
        """Parse a requirement, such as `non-root-user` or `max-layers:50`.

        :raises ValueError: if it is not one; the message says what to use instead.
        """
        name, _, value = text.partition(":")
        kind = KINDS.get(name)
        if kind is None:
            raise ValueError(f"require names {text!r}, which is not a requirement: use {nearest(text, _forms())}")
        if bool(kind.value) != bool(value.strip()):
            raise ValueError(f"require names {text!r}: use {_form(name)}")
        if name == MAX_LAYERS and not (value.isascii() and value.isdigit() and int(value) > 0):
            raise ValueError(f"require names {text!r}: use a number of layers from 1 on, such as {name}:50")
        return cls(name, value)

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}" if self.value else self.kind


def _form(name: str) -> str:
    return f"{name}:{KINDS[name].value}" if KINDS[name].value else name


def _forms() -> list[str]:
    return list(map(_form, KINDS))
