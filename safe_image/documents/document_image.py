"""An image that a file names, as each parser yields it."""

from __future__ import annotations

from dataclasses import dataclass

from ..sources.place import Place


@dataclass(frozen=True)
class DocumentImage:
    """An image that a file names.

    :param reference: its reference; where a part of it is not known, a placeholder stands for that part.
    :param place: the place that names it.
    :param runs_on: the runtimes that the file says; empty where it says none.
    :param platform: the platform that the file says, such as `linux/amd64`; None where it says none.
    :param missing: why the reference is not known: a sentence. Empty where it is known.
    :param advice: what to do then: a sentence.
    """

    reference: str
    place: Place
    runs_on: tuple[str, ...] = ()
    platform: str | None = None
    missing: str = ""
    advice: str = ""
