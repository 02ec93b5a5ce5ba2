"""Every probe of `safe-image doctor`, on this machine and in this account, run side by side."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from image_verifier.faults import Fault
from image_verifier.pool import Pool

from ..sources.aws_sessions import AwsSessions
from .build_probes import TOOLS, probe_builder, probe_engine, probe_environment, probe_tool
from .diagnosis import Diagnosis
from .docker import Docker
from .leftover_probes import probe_local_images, probe_repository


def diagnose(docker: Docker, sessions: AwsSessions | None, qualifier: str, folder: Path) -> list[Diagnosis]:
    """Everything that is known of this machine and this account.

    :param docker: the engine that builds.
    :param sessions: who asks AWS; None asks nothing of it.
    :param qualifier: of the CDK bootstrap.
    :param folder: the folder of the CDK app, where its CLI may be installed.
    """
    first, engine = probe_engine(docker)
    lines = [first]
    probes: list[tuple[str, Iterator[Diagnosis]]] = [
        ("buildx", probe_builder(docker, os.environ)),
        ("environment", probe_environment(os.environ, engine)),
        *((tool.name, probe_tool(tool, folder, engine)) for tool in TOOLS),
        ("images that CDK keeps here", probe_local_images(docker, engine)),
    ]
    if sessions:
        probes.append(("bootstrap repository", probe_repository(sessions, qualifier, engine)))
    with Pool(len(probes)) as pool:
        for found in pool.results(lambda probe: _safely(*probe), probes):
            lines += found
    return lines


def _safely(subject: str, probe: Iterable[Diagnosis]) -> list[Diagnosis]:
    """What a probe says; one that cannot tell keeps nobody from theirs, and loses nothing of what it has said."""
    lines: list[Diagnosis] = []
    try:
        lines.extend(probe)
    except Fault as fault:
        lines.append(Diagnosis.unknown(subject, fault))
    return lines
