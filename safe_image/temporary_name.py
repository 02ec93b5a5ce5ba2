"""The name of a file until it is complete."""

from __future__ import annotations

import os
from pathlib import Path


def temporary_name(path: Path) -> Path:
    """A name beside a file, for its next content: rename it when it is complete.

    Nobody can guess the name, and the file must be created with mode `x`, which follows no link: in a folder that
    others can write to, a link of theirs would otherwise lead the content to another file.

    :param path: the file.
    """
    return path.with_name(f".safe-image-{os.urandom(8).hex()}.tmp")
