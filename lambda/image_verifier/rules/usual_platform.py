"""The platform of an image where nobody sets one: no Lambda imports it."""

from __future__ import annotations

from collections.abc import Iterable

from .runtimes import RUNTIMES


def usual_platform(names: Iterable[str], default: str) -> str:
    """The platform of an image where nobody sets one.

    :param names: the runtimes; unknown ones are reported elsewhere.
    :param default: the platform that is used where each of them surely runs it, or where they agree on no other.
    """
    runtimes = [RUNTIMES[name] for name in names if name in RUNTIMES]
    candidates = (default, *(platform for runtime in runtimes for platform in runtime.platforms))
    return next((p for p in candidates if all(r.runs(p) and p not in r.doubtful_platforms for r in runtimes)), default)
