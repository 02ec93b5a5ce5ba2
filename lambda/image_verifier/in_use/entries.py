"""The rows of the inventory for some uses: the images by digest, tag and repository, and the indexes around them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from .. import aws
from ..audit.repository import Repository
from ..running.image_use import ImageUse
from ..running.indexes import IndexReader, Manifests
from .image_keys import digest_key, repository_of, tag_key, tag_of
from .inventory import Entry
from .watch_settings import WatchSettings

# The failures of BatchGetImage for an image that cannot be pulled, an archived one included.
_CANNOT_BE_PULLED: Final = frozenset({"ImageNotFound", "ImageInaccessible"})


@dataclass
class Entries:
    """The rows for some uses.

    :param rows: the rows.
    :param missing: the images in use that ECR does not return: the repository and the digest of each.
    """

    rows: list[Entry] = field(default_factory=list)
    missing: list[tuple[Repository, str]] = field(default_factory=list)


def entries_of(uses: Iterable[ImageUse], settings: WatchSettings) -> Entries:
    """Make the rows for some uses; ECR is called for the indexes of the account's own repositories.

    :param uses: the uses.
    :param settings: the settings of the watch.
    :raises Fault: if an index cannot be read.
    """
    by_repository: dict[Repository, list[ImageUse]] = {}
    for use in uses:
        if repository := repository_of(use.reference, settings.partition):
            by_repository.setdefault(repository, []).append(use)
    entries = Entries()
    for repository, own in by_repository.items():
        manifests = _manifests(repository, own) if repository.registry_id == settings.account else Manifests()
        digests = dict.fromkeys(use.digest for use in own if use.digest in manifests.absent)
        entries.missing += [(repository, digest) for digest in digests]
        for use in own:
            entries.rows += [Entry(key, use) for key in _keys(repository, use, manifests)]
    return entries


def _manifests(repository: Repository, uses: Sequence[ImageUse]) -> Manifests:
    reader = IndexReader(aws.client("ecr", repository.region), repository.arn, _CANNOT_BE_PULLED)
    tags = (tag_of(use.reference) for use in uses)
    return reader.read((use.digest for use in uses), (tag for tag in tags if tag))


def _keys(repository: Repository, use: ImageUse, manifests: Manifests) -> Iterable[str]:
    """The keys under which a use is found."""
    tag = tag_of(use.reference)
    tagged = manifests.tags.get(tag, "")
    digests = manifests.family(use.digest or tagged) - {""}
    if tagged and use.digest in manifests.family(tagged):
        # The tag references an index with the manifest that runs.
        digests.add(tagged)
    return [
        repository.arn,
        *([tag_key(repository, tag)] if tag else []),
        *(digest_key(repository, digest) for digest in sorted(digests)),
    ]
