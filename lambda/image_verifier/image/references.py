"""How people name an image: `[registry/]repository[:tag][@digest]`, read as Docker reads it.

https://github.com/distribution/reference/blob/main/regexp.go and normalize.go
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from .model import is_digest

DOCKER_HUB: Final = "docker.io"
_DOMAIN_PART: Final = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_REGISTRY: Final = re.compile(rf"(?:{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*|\[[a-fA-F0-9:]+\])(?::[0-9]{{1,5}})?")
_COMPONENT: Final = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LONGEST_REPOSITORY: Final = 255
REJECTED_TAGS: Final = "cdk-safe-image-rejected-"
"""The beginning of the second tag of a rejected image."""


@dataclass(frozen=True)
class Reference:
    """An image's name, in full.

    :param registry: the registry's host, with its port where it has one; `docker.io` for Docker Hub.
    :param repository: the repository's name in the registry.
    :param tag: the tag; empty where the image is named by its digest.
    :param digest: the digest; empty where the image is named by its tag.
    """

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """The image that a text references.

        A name without a registry is Docker Hub's, one without a tag means `latest`, and where there are both a tag
        and a digest the digest counts.

        :raises ValueError: if Docker would not read it either; the message says what to use instead.
        """
        name, at, digest = text.partition("@")
        if at and not is_digest(digest):
            raise ValueError(f"{text!r}: use sha256: and 64 hexadecimal digits after the @")
        name, tag = _split_tag(name)
        if tag is not None and not _TAG.fullmatch(tag):
            raise ValueError(f"{text!r}: {tag!r} is not a tag: use up to 128 letters, digits, points, - and _")
        registry, repository = _split_registry(name)
        if not _REGISTRY.fullmatch(registry):
            raise ValueError(f"{text!r}: {registry!r} is not a registry's host")
        if not _REPOSITORY.fullmatch(repository) or len(repository) > _LONGEST_REPOSITORY:
            raise ValueError(
                f"{text!r}: {repository!r} is not a repository's name: use lower-case letters and digits, with "
                "single points, underscores, dashes or slashes between them"
            )
        return cls(registry, repository, "" if digest else tag or "latest", digest)

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}" + (f"@{self.digest}" if self.digest else f":{self.tag}")


def _split_tag(name: str) -> tuple[str, str | None]:
    head, colon, tail = name.rpartition(":")
    # Digits behind the last colon are a port where a slash follows them.
    return (head, tail) if colon and "/" not in tail else (name, None)


def _split_registry(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if slash and (any(c in first for c in ".:") or first == "localhost" or first != first.lower()):
        registry, repository = first, rest
    else:
        registry, repository = DOCKER_HUB, name
    if registry in (DOCKER_HUB, "index.docker.io"):
        registry, repository = DOCKER_HUB, repository if "/" in repository else f"library/{repository}"
    return registry, repository


def rejected_tag(digest: str) -> str:
    """The second tag of a rejected image, which is not to be deleted.

    :param digest: the manifest's digest.
    """
    return f"{REJECTED_TAGS}{digest.partition(':')[2][:12]}"
