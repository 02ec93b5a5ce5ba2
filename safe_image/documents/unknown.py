"""Values that a file leaves open, and texts that contain them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Unknown:
    """A value that only the deploy knows.

    :param text: what stands for it in a text, such as `${Tag}`.
    :param missing: what is not known, such as `the parameter Tag`.
    :param advice: what to do, such as `Pass --set Tag=VALUE`.
    """

    text: str
    missing: str
    advice: str


class NoValue:
    """`AWS::NoValue`: the property is as if it were not there."""


NO_VALUE: Final = NoValue()


def concatenate(parts: Iterable[Any], separator: str = "") -> str | Unknown:
    """The parts as one text; unknown if one of them is.

    :param parts: texts, numbers, booleans and unknown values.
    :param separator: the text between them.
    """
    known = list(parts)
    unknown = [part for part in known if isinstance(part, Unknown)]
    text = separator.join(part.text if isinstance(part, Unknown) else plain(part) for part in known)
    if not unknown:
        return text
    return Unknown(
        text,
        " and ".join(dict.fromkeys(part.missing for part in unknown)),
        ". ".join(dict.fromkeys(sentence for part in unknown for sentence in part.advice.split(". "))),
    )


def plain(value: Any) -> str:
    """A value as CloudFormation writes it into a text.

    :param value: a text, a number or a boolean.
    """
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
