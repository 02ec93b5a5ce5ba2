"""Policy: what somebody asks of an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .catalog import CATALOG
from .image import Platform
from .runtimes import RUNTIMES, Runtime


@dataclass(frozen=True)
class Policy:
    """What is asked of an image.

    :param runs_on: names of the runtimes that must be able to run it, at least one.
    :param platform: the platform that it must be for.
    :param min_size: the least compressed size in bytes; None is no bound.
    :param max_size: the largest compressed size in bytes; None is no bound.
    :param verify_layers: whether every layer's bytes are to be read, which tells what else only a pull would.
    :param acknowledge: reasons for which findings are waived, by their id.
    :raises ValueError: for a policy that no image can meet; the message says what to write instead.
    """

    runs_on: tuple[str, ...]
    platform: Platform
    min_size: int | None = None
    max_size: int | None = None
    verify_layers: bool = False
    acknowledge: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = ", ".join(RUNTIMES)
        if not self.runs_on:
            raise ValueError(f"runs_on is empty: name at least one of {known}")
        for name in self.runs_on:
            if name not in RUNTIMES:
                raise ValueError(f"runs_on names {name!r}, which is not a runtime: write one of {known}")
            runtime = RUNTIMES[name]
            if str(self.platform) not in runtime.platforms:
                takes = " or ".join(runtime.platforms)
                raise ValueError(f"{runtime.title} cannot run {self.platform}: write {takes}")
        for finding, reason in self.acknowledge.items():
            if finding not in CATALOG:
                raise ValueError(f"acknowledge names {finding!r}, which is no finding's id: {_nearest(finding)}")
            if not reason.strip():
                raise ValueError(f"acknowledge gives no reason for {finding!r}: write why it may pass")
        for bound, size in (("min_size", self.min_size), ("max_size", self.max_size)):
            if size is not None and size < 0:
                raise ValueError(f"{bound} is {size} bytes: write a size of 0 or more")
        if self.min_size is not None and self.max_size is not None and self.min_size > self.max_size:
            raise ValueError(
                f"min_size ({self.min_size} bytes) is above max_size ({self.max_size} bytes): no image fits"
            )

    @property
    def runtimes(self) -> tuple[Runtime, ...]:
        """The rows of `runs_on`, in its order and each once."""
        return tuple(RUNTIMES[name] for name in dict.fromkeys(self.runs_on))


def _nearest(finding: str) -> str:
    import difflib

    near = difflib.get_close_matches(finding, CATALOG, n=3)
    return f"write {' or '.join(near or CATALOG)}"
