"""The keys of the inventory: an image of ECR by digest, by tag, or by its repository alone."""

from __future__ import annotations

from ..audit.repository import Repository
from ..image.ecr_hosts import ECR_HOST
from ..image.references import Reference


def repository_of(reference: str, partition: str) -> Repository | None:
    """The repository of a reference; None where it is not one of ECR.

    :param reference: the reference, as its user has it.
    :param partition: the partition of the user's account.
    """
    try:
        parsed = Reference.parse(reference)
    except ValueError:
        return None
    host = ECR_HOST.fullmatch(parsed.registry)
    return Repository(partition, host["region"], host["account"], parsed.repository) if host else None


def tag_of(reference: str) -> str:
    """The tag that a reference names, also beside a digest; empty where it names only a digest.

    :param reference: a valid reference.
    """
    name, at, _ = reference.partition("@")
    tag = Reference.parse(name).tag
    # Without a tag and a digest, the tag `latest` is meant.
    return tag if not at or name.endswith(f":{tag}") else ""


def digest_key(repository: Repository, digest: str) -> str:
    """The key of an image by its digest."""
    return f"{repository.arn}@{digest}"


def tag_key(repository: Repository, tag: str) -> str:
    """The key of an image by its tag."""
    return f"{repository.arn}:{tag}"
