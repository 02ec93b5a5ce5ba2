"""Policy: the requirements that an image must meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .image.model import Platform
from .report import FailOn
from .rules.catalog import CATALOG
from .rules.requirement_types import KINDS, LABEL, Requirement
from .rules.runtimes import RUNTIMES, Runtime
from .text import nearest, readable_size


@dataclass(frozen=True)
class Baseline:
    """Another image, with whose size an image is compared.

    :param reference: the other image.
    :param size: its compressed size in bytes.
    :param max_size: the largest compressed size in bytes that an image compared with it may have.
    """

    reference: str
    size: int
    max_size: int


@dataclass(frozen=True)
class Policy:
    """The requirements that an image must meet.

    :param runs_on: names of the runtimes that must be able to run it, at least one.
    :param platform: the platform that the image must be for.
    :param min_size: the smallest compressed size in bytes; None sets no bound.
    :param max_size: the largest compressed size in bytes; None sets no bound.
    :param verify_layers: whether every layer's bytes are read, which finds errors that only a pull would show.
    :param acknowledge: reasons for waived findings, by their id.
    :param fail_on: the lowest severity that refuses the image.
    :param require: conditions beyond those of the runtimes.
    :param baseline: another image that this one must not be much larger than; None compares with nothing.
    :raises ValueError: for a policy that no image can meet; the message says what to use instead.
    """

    runs_on: tuple[str, ...]
    platform: Platform
    min_size: int | None = None
    max_size: int | None = None
    verify_layers: bool = False
    acknowledge: Mapping[str, str] = field(default_factory=dict)
    fail_on: FailOn = FailOn.ERROR
    require: tuple[Requirement, ...] = ()
    baseline: Baseline | None = None

    def __post_init__(self) -> None:
        self._check_runtimes()
        self._check_sizes()
        self._check_requirements()
        self._check_waivers()

    def _check_runtimes(self) -> None:
        if not self.runs_on:
            raise ValueError(f"runs_on is empty: name at least one of {', '.join(RUNTIMES)}")
        for name in self.runs_on:
            if name not in RUNTIMES:
                raise ValueError(f"runs_on names {name!r}, which is not a runtime: use {nearest(name, RUNTIMES)}")
            runtime = RUNTIMES[name]
            if not runtime.runs(str(self.platform)):
                accepted = " or ".join(runtime.platforms)
                problem = (
                    f"{runtime.title} cannot run {self.platform}"
                    if self.platform.os == "linux"
                    # Fargate and others run images for Windows, which no check here knows.
                    else f"images for {self.platform} cannot be verified"
                )
                raise ValueError(f"{problem}: use {accepted}")

    def _check_sizes(self) -> None:
        for bound, size in (("min_size", self.min_size), ("max_size", self.max_size)):
            if size is not None and size < 0:
                raise ValueError(f"{bound} is {size} bytes: use a size of 0 or more")
        if self.max_size == 0:
            raise ValueError("max_size is 0 bytes: no image fits")
        if self.min_size is not None and self.max_size is not None and self.min_size > self.max_size:
            raise ValueError(
                f"min_size ({readable_size(self.min_size)}) is above max_size ({readable_size(self.max_size)}): "
                "no image fits"
            )
        for runtime in self.runtimes:
            if runtime.max_bytes is not None and self.min_size is not None and self.min_size > runtime.max_bytes:
                raise ValueError(
                    f"min_size ({readable_size(self.min_size)}) is above the maximum of {runtime.title} "
                    f"({readable_size(runtime.max_bytes)}): no image fits"
                )

    def _check_requirements(self) -> None:
        for kind in KINDS:
            values = sorted(set(self.required(kind)))
            # An image can be required to have any number of labels, but only one value of every other kind.
            if kind != LABEL and len(values) > 1:
                raise ValueError(f"require names {kind} with {' and with '.join(values)}: keep one of them")

    def _check_waivers(self) -> None:
        for finding, reason in self.acknowledge.items():
            if finding not in CATALOG:
                raise ValueError(
                    f"acknowledge names {finding!r}, which is not a finding's id: use {nearest(finding, CATALOG)}"
                )
            if not reason.strip():
                raise ValueError(f"acknowledge gives no reason for {finding!r}: say why the finding may pass")
            kind = next((name for name, kind in KINDS.items() if finding in kind.findings), None)
            if kind and not self.required(kind):
                raise ValueError(
                    f"acknowledge names {finding!r}, which is found only where {kind} is required: leave it out, or "
                    f"add {kind} to require"
                )

    def required(self, kind: str) -> tuple[str, ...]:
        """The values of a kind of requirement in `require`; empty where it is not required.

        :param kind: one of `KINDS`.
        """
        return tuple(r.value for r in self.require if r.kind == kind)

    @property
    def runtimes(self) -> tuple[Runtime, ...]:
        """The rows of `runs_on`, in its order and each once."""
        return tuple(RUNTIMES[name] for name in dict.fromkeys(self.runs_on))
