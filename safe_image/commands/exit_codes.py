"""The exit codes of every command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from image_verifier.outcome import ImageVerdict

UNKNOWN: Final = 2

# The exit code of a command that checks several images is the highest of these.
EXIT_CODES: Final[Mapping[ImageVerdict, int]] = {"pass": 0, "skipped": 0, "fail": 1, "unknown": UNKNOWN}

EXIT_CODES_HELP: Final = """\
exit codes:
  0  every image passes, or nothing is wrong
  1  at least one image is refused, or something is wrong
  2  usage error, or the result is unknown
"""
