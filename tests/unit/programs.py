"""Programs that print the text of a test: versions that are not installed, and faults that real ones do not have."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

OLD_DOCKER = "26.1.5"
GOOD_DOCKER = "28.5.2"


def program(folder: Path, name: str, answers: Mapping[str, str], failures: Mapping[str, str] | None = None) -> Path:
    """Write a program.

    :param folder: the folder; it is created if it does not exist.
    :param name: its name.
    :param answers: its output, by the beginning of its arguments.
    :param failures: its error output before it exits with 1, by the beginning of its arguments; these come first.
        Other arguments are reported as unknown.
    """
    folder.mkdir(exist_ok=True)
    lines = ["#!/bin/sh", f'echo "$*" >> {shlex.quote(str(folder / name))}.calls', 'case "$*" in']
    for words, text in (failures or {}).items():
        lines.append(f"  {shlex.quote(words)}*) printf '%s\\n' {shlex.quote(text)} >&2; exit 1 ;;")
    for words, text in answers.items():
        lines.append(f"  {shlex.quote(words)}*) printf '%s\\n' {shlex.quote(text)} ;;")
    lines += [f"  *) echo '{name}: unknown' >&2; exit 1 ;;", "esac"]
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o755)
    return path


def calls(folder: Path, name: str) -> list[str]:
    """The arguments of a program's calls."""
    file = folder / f"{name}.calls"
    return file.read_text().splitlines() if file.exists() else []


def docker(
    folder: Path,
    version: str = GOOD_DOCKER,
    *,
    store: str = "containerd",
    images: Mapping[str, str] | None = None,
    name: str = "docker",
    answers: Mapping[str, str] | None = None,
    failures: Mapping[str, str] | None = None,
) -> Path:
    """Write a docker of a version and an image store, with images of these names and media types."""
    status = [["driver-type", "io.containerd.snapshotter.v1"]] if store == "containerd" else [["Backing Filesystem"]]
    kept = images or {}
    inspected = [{"Descriptor": {"mediaType": media_type}} if media_type else {} for media_type in kept.values()]
    defaults = {
        "info": json.dumps({"ServerVersion": version, "DriverStatus": status}),
        "buildx version": "github.com/docker/buildx v0.29.1 1234",
        "image ls": "\n".join(kept),
        "image inspect": json.dumps(inspected),
        "image rm": "Untagged",
    }
    return program(folder, name, {**defaults, **(answers or {})}, failures)
