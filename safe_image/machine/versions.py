"""Versions of programs, and their order."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_VERSION: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-(?:rc|alpha|beta)\.?(\d+))?")
_RELEASE: Final = 1 << 30


class Version(NamedTuple):
    """Three numbers, and the number of the release candidate; a release sorts after all of its candidates."""

    major: int
    minor: int
    patch: int
    candidate: int = _RELEASE

    @classmethod
    def parse(cls, text: str) -> Version | None:
        """The first version in a text; None where there is none.

        :param text: such as `2.179.0 (build abc)`, `28.5.2+dfsg4` or `3.0.0-rc.143`.
        """
        match = _VERSION.search(text)
        return cls(*(_RELEASE if number is None else int(number) for number in match.groups())) if match else None

    def __str__(self) -> str:
        release = f"{self.major}.{self.minor}.{self.patch}"
        return release if self.candidate == _RELEASE else f"{release}-rc.{self.candidate}"
