"""The healthy and broken images from which the fuzzer starts: those of the corpus, and generated ones."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from release.engines.compare import in_layout
from release.engines.drafts import Draft, StoredImage, healthy
from release.engines.mutations import KINDS
from tests.corpus.cases import unpack

_MAX_TAR = 1 << 20


@dataclass(frozen=True)
class Seeds:
    """The images and layers that inputs are mutations of.

    :param images: the images of the corpus.
    :param tars: uncompressed layers of the corpus.
    """

    images: Sequence[StoredImage]
    tars: Sequence[bytes]

    @classmethod
    def of_corpus(cls, folder: Path) -> Seeds:
        """The corpus, unpacked into a folder."""
        images = [in_layout(case.folder).image for case in unpack(folder)]
        blobs = {digest: content for image in images for digest, content in sorted(image.blobs.items())}
        tars = [tar for content in blobs.values() if (tar := _inflated(content)) and b"ustar" in tar[:512]]
        return cls(images, tars)

    def draft(self, rng: random.Random) -> Draft:
        """A generated image with none to three of the faults that `make engines` compares."""
        draft = healthy(rng)
        for kind in rng.sample(list(KINDS), rng.randint(0, 3)):
            # A mutation cannot edit a layer that another one has made unreadable.
            with suppress(tarfile.TarError, OSError, ValueError):
                if draft.layers:
                    KINDS[kind](rng, draft)
        return draft


def _inflated(content: bytes) -> bytes:
    if not content.startswith(b"\x1f\x8b"):
        return content[:_MAX_TAR]
    try:
        with gzip.open(io.BytesIO(content)) as stream:
            return stream.read(_MAX_TAR)
    except (OSError, EOFError, zlib.error):
        return b""
