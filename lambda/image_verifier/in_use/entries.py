"""The rows of the inventory for some uses: the images by digest, tag and repository, and the indexes around them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .. import aws
from ..audit.repository import Repository
from ..running.image_use import ImageUse
from ..running.indexes import IndexReader, Manifests
from .image_keys import digest_key, repository_of, tag_key, tag_of
from .inventory import Entry
from .watch_settings import WatchSettings


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
        # Only of these does ECR report removals to this guard, and only these may it read.
        is_own = (repository.registry_id, repository.region) == (settings.account, settings.region)
        manifests = _manifests(repository, own) if is_own else Manifests()
        digests = dict.fromkeys(use.digest for use in own if use.digest in manifests.absent)
        entries.missing += [(repository, digest) for digest in digests]
        for use in own:
            entries.rows += [Entry(key, use) for key in _keys(repository, use, manifests)]
    return entries


def _manifests(repository: Repository, uses: Sequence[ImageUse]) -> Manifests:
    # One image that cannot be read, such as one under a disabled key, must not keep all others out of the inventory.
    reader = IndexReader(aws.client("ecr", repository.region), repository.arn, is_strict=False)
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
