"""A diagnosis: whether one thing that a build depends on can make broken images, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from image_verifier.faults import Fault

from .fixes import Fix


class Status(str, Enum):
    """The result of a probe."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Diagnosis:
    """The result for one thing that a build depends on.

    :param subject: the thing.
    :param status: whether it can make broken images.
    :param message: the reason, as a clause about the subject.
    :param source: a link to the evidence.
    :param commands: the commands that a person can run against it.
    :param fixes: the fixes that `--fix` applies.
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
        :param fault: the failure.
        """
        return cls(subject, Status.UNKNOWN, fault.text)
