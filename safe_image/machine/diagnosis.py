"""What is known of one thing that a build depends on, and whether it can make broken images."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from image_verifier.faults import Fault

from .fixes import Fix


class Status(str, Enum):
    """What a probe comes to."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Diagnosis:
    """What is known of one thing.

    :param subject: the thing.
    :param status: whether it can make broken images.
    :param message: why, in words.
    :param source: where that is known from.
    :param commands: what a person can do about it.
    :param fixes: what `--fix` does about it.
    """

    subject: str
    status: Status
    message: str
    source: str = ""
    commands: tuple[str, ...] = ()
    fixes: tuple[Fix, ...] = ()

    @classmethod
    def unknown(cls, subject: str, fault: Fault) -> Diagnosis:
        """The diagnosis of a probe that failed.

        :param subject: the thing.
        :param fault: why nothing is known of it.
        """
        return cls(subject, Status.UNKNOWN, fault.text)
