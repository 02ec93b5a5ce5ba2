"""Fault: we could not determine whether an image is good. It never mixes with a finding, which says that it is bad."""

from __future__ import annotations

from .text import in_sentences


class Fault(Exception):
    """We could not tell whether the image is good.

    :param message: which call failed, on what, with which answer.
    :param advice: what to do about it.
    """

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    @property
    def text(self) -> str:
        """Both, as one line."""
        return in_sentences(self.message, self.advice)
