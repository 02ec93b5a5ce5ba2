"""An image that a file names, as each parser yields it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from image_verifier.rules.consumer_types import Use

from ..sources.place import Place
from .unknown import Unknown


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


def image_at(place: Place, value: Any, use: Use) -> DocumentImage:
    """The image of a value that a file has at a place.

    :param place: the place.
    :param value: the reference, or `Unknown`.
    :param use: how it is run.
    """
    if isinstance(value, Unknown):
        missing, advice = f"only the deploy knows {value.missing}", f"{value.advice}."
        return DocumentImage(value.text, place, use.runs_on, use.platform, missing, advice)
    if not isinstance(value, str):
        return DocumentImage("?", place, use.runs_on, use.platform, "the image is not a text", "Use an image's name.")
    return DocumentImage(value, place, use.runs_on, use.platform)
