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
    """Probe this machine and this account.

    :param docker: the engine that builds.
    :param sessions: the AWS sessions; None calls no AWS API.
    :param qualifier: the qualifier of the CDK bootstrap.
    :param folder: the folder of the CDK app, which may have a CDK CLI of its own.
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
    """A probe's diagnoses. A probe that fails stops no other probe, and keeps the diagnoses that it already has."""
    lines: list[Diagnosis] = []
    try:
        lines.extend(probe)
    except Fault as fault:
        lines.append(Diagnosis.unknown(subject, fault))
    return lines
