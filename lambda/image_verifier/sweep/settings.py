"""The settings of a sweep: the construct writes them into the Lambdas' environment, the handlers parse them."""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from .. import __version__
from ..registry.settings import Settings

VARIABLE: Final = "REGISTRY_SWEEP"
"""The environment variable that contains the settings of the sweep, beside those of the guard."""


@dataclass(frozen=True)
class SweepSettings:
    """The settings of the sweeps of one guard.

    :param repositories: the names of the repositories, with the wildcards `*`, `?` and `[…]`; empty for all.
    :param tags: the tags that a repository must have, with their values; an empty value accepts each.
    :param everything: whether images are verified that passed in the sweep before.
    :param verify_layers: whether every layer is read.
    :param max_images: the largest number of images without an earlier verdict.
    :param max_bytes: the largest sum of their compressed sizes, where the layers are read.
    """

    repositories: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    everything: bool = False
    verify_layers: bool = False
    max_images: int = 1_000_000
    max_bytes: int = 1 << 40

    def includes(self, name: str) -> bool:
        """Whether a repository of this name is swept."""
        return not self.repositories or any(fnmatch.fnmatchcase(name, pattern) for pattern in self.repositories)

    def as_json(self) -> dict[str, Any]:
        """The settings as the environment variable contains them."""
        return {
            "repositories": list(self.repositories),
            "tags": dict(self.tags),
            "everything": self.everything,
            "verifyLayers": self.verify_layers,
            "maxImages": self.max_images,
            "maxBytes": self.max_bytes,
        }

    @classmethod
    def parse(cls, text: str) -> SweepSettings:
        """Parse the environment variable.

        :raises ValueError: if the construct cannot have written it.
        """
        value: Mapping[str, Any] = json.loads(text)
        try:
            return cls(
                repositories=tuple(value["repositories"]),
                tags=dict(value["tags"]),
                everything=bool(value["everything"]),
                verify_layers=bool(value["verifyLayers"]),
                max_images=int(value["maxImages"]),
                max_bytes=int(value["maxBytes"]),
            )
        except KeyError as e:
            raise ValueError(f"{VARIABLE} lacks {e}") from None


def fingerprint(guard: Settings, sweep: SweepSettings) -> str:
    """A hash of everything besides an image on which its verdict depends: the rules, the depth and the verifier."""
    known = {"rules": guard.as_json()["rules"], "layers": sweep.verify_layers, "version": __version__, "code": _code()}
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


@cache
def _code() -> str:
    """A hash of this package's sources, as they were deployed."""
    package = Path(__file__).parents[1]
    hashed = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        hashed.update(file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return hashed.hexdigest()
