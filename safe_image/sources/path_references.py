"""References to images in files: `PATH`, `PATH:NAME`, `PATH@DIGEST` and `PATH:NAME@DIGEST`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from image_verifier.image.model import is_digest

from ..errors import UsageError
from .regular_files import file_kind

# The places at which a path may end. A path and a name may both contain colons.
_ENDS: Final = re.compile(r"(?=:|@sha256:)|$")


@dataclass(frozen=True)
class PathReference:
    """A path, and the image in it.

    :param path: the folder or file.
    :param name: the image's name or tag; empty where none was written.
    :param digest: the digest of the image's index or manifest; empty where none was written.
    """

    path: Path
    name: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str, usage: str) -> PathReference:
        """Split a reference at the end of its path: the longest one that exists, or else at the first colon.

        :param text: the reference, without its scheme.
        :param usage: the reference's form, such as `oci-layout:PATH[:NAME|@DIGEST]`, for messages.
        :raises UsageError: if it has no path, or its digest is not a digest.
        """
        prefixes = [text[: match.start()] for match in _ENDS.finditer(text)]
        path = next((prefix for prefix in reversed(prefixes) if prefix and file_kind(Path(prefix))), prefixes[0])
        written = f"{usage.partition(':')[0]}:{text}"
        if not path:
            raise UsageError(f"{written!r} has no path: use {usage}")
        name, at, digest = text[len(path) :].removeprefix(":").partition("@")
        if at and not is_digest(digest):
            raise UsageError(
                f"{written!r}: {digest!r} is not a digest: use sha256: and 64 hexadecimal digits after the @"
            )
        return cls(Path(path), name, digest)
