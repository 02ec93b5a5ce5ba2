"""The difference to the sweep before: the images that are refused only now, and those that no longer are.

An image is gone only if that is known: it passes or is skipped now, or all images of its repository were listed and it
is not among them. The refusal of any other image is carried, so that the next sweep does not call it new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..audit.sweep_summary import SweepChange
from .store import SweepStore

# The most images that the summary names as new, and as gone.
_MAX_NAMED: Final = 100
_CARRIED: Final = "carried"

Refused = Mapping[str, Any]
"""One refused image, as a line of `refused.jsonl`."""


@dataclass
class Changes:
    """The images that are refused in one of two sweeps only.

    :param count: the number of all of them.
    :param images: the first ones.
    """

    count: int = 0
    images: list[Refused] = field(default_factory=list)

    def add(self, image: Refused) -> None:
        """Count one image."""
        self.count += 1
        if len(self.images) < _MAX_NAMED:
            self.images.append({name: value for name, value in image.items() if name != _CARRIED})

    @property
    def named(self) -> SweepChange:
        """The number, and the first images."""
        return SweepChange(self.count, tuple(self.images))


class RefusedBefore:
    """The images that the sweep before refused.

    :param before: that sweep; None for none.
    """

    def __init__(self, before: SweepStore | None) -> None:
        self._before = before
        self.hashes = {image_hash(image["repository"], image["digest"]) for image in self._images()}

    def carried(
        self, now: SweepStore, refused: set[bytes], cleared: set[bytes], unlisted: Iterable[str], gone: Changes
    ) -> Iterator[Refused]:
        """The images without a verdict of this sweep, as lines of its `refused.jsonl`.

        :param now: this sweep.
        :param refused: the hashes of the images that it refuses.
        :param cleared: the hashes of those that pass or are skipped.
        :param unlisted: the names of the repositories whose images are not all in its batches.
        :param gone: gets the images that are not refused any more.
        """
        left, names = self.hashes - refused - cleared, set(unlisted)
        doubtful = _in_batches(now, left) if left else set()
        for image in self._images():
            known = image_hash(image["repository"], image["digest"])
            if known in refused:
                continue
            if known in doubtful or (known in left and image["repository"].partition("/")[2] in names):
                yield {**image, _CARRIED: True}
            else:
                gone.add(image)

    def new(self, now: SweepStore) -> Changes:
        """The images that are refused only now.

        :param now: this sweep, whose refused images are written.
        """
        new = Changes()
        for image in now.refused():
            if image_hash(image["repository"], image["digest"]) not in self.hashes:
                new.add(image)
        return new

    def _images(self) -> Iterator[Refused]:
        return iter(self._before.refused() if self._before else ())


def image_hash(repository: str, digest: str | None) -> bytes:
    """A short name of an image, since memory may hold many of them.

    :param repository: the repository's URI.
    :param digest: the image's digest; None for a row without one.
    """
    return hashlib.blake2b(f"{repository}@{digest}".encode(), digest_size=16).digest()


def _in_batches(sweep: SweepStore, wanted: set[bytes]) -> set[bytes]:
    """Those of some images that are in the batches of a sweep."""
    batches = ((sweep.repository(item).uri, item["digests"]) for item in sweep.batches())
    hashes = (image_hash(uri, digest) for uri, digests in batches for digest in digests)
    return {known for known in hashes if known in wanted}
