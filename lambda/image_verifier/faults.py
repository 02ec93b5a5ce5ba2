"""Fault: it is not known whether an image is good. A finding is something else: it says that the image is bad."""

from __future__ import annotations

from .text import in_sentences, shortened


class Fault(Exception):
    """It is not known whether the image is good.

    :param message: which call failed, on what, and with which answer.
    :param advice: how to fix it, in whole sentences.
    """

    def __init__(self, message: str, advice: str = "") -> None:
        # It may quote a server's answer of any length.
        self.message = shortened(message)
        super().__init__(self.message)
        self.advice = advice

    @property
    def text(self) -> str:
        """The message and the advice, as one line."""
        return in_sentences(self.message, self.advice)
