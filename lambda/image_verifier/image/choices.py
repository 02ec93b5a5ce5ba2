"""How families of engines choose a manifest from an index: data, since they differ in three questions only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Choice:
    """One way to choose a manifest from an index.

    :param variants: the variants of amd64 that are accepted, best first, besides none.
    :param blank_is_none: whether a platform with only empty fields counts as no platform.
    :param skips_os_features: whether a manifest that requires `os.features` is not accepted.
    """

    variants: tuple[str, ...] = ()
    blank_is_none: bool = False
    skips_os_features: bool = False


# https://github.com/containerd/containerd/blob/main/core/images/handlers.go, FilterPlatforms and LimitManifests
BY_CONTAINERD: Final = Choice()
# https://github.com/containerd/platforms/blob/v1.0.0-rc.4/platforms.go, Match
BY_CONTAINERD_2_3: Final = Choice(skips_os_features=True)
# It accepts the variants that the processor has: here v3, as all machines for ECS of the last ten years.
# https://github.com/moby/moby/blob/master/daemon/internal/distribution/pull_v2.go, filterManifests
# https://github.com/moby/moby/blob/v25.0.16/vendor/github.com/containerd/containerd/platforms/platforms.go, Match
BY_DOCKERD: Final = Choice(variants=("v3", "v2"), blank_is_none=True)
