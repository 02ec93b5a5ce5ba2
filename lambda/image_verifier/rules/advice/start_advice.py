"""Advice for findings about the start of a container: its command, user, working directory and mounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .row import Advice, Then

_OPEN_MODES: Final = "Set modes with COPY --chmod, which does not depend on the build machine's umask."
_RUN_ONCE: Final = "Start the image once in the pipeline, or set verify_layers=True."

STARTS: Final[Mapping[str, Advice]] = {
    "entrypoint-missing": Advice(
        "Set ENTRYPOINT or CMD to a program of the image, or copy it there: the last stage of a Dockerfile has from "
        "the others only the files that COPY --from brings.",
        _RUN_ONCE,
        Then.REBUILD,
    ),
    "entrypoint-not-executable": Advice(
        "Make the command executable: COPY --chmod=755 in the Dockerfile, or chmod +x before the build.",
        "Store the executable bit in git, with --chmod=+x of git update-index.",
        Then.REBUILD,
    ),
    "entrypoint-unreadable": Advice(
        "Let the image's user read the script: COPY --chmod=755 in the Dockerfile.",
        _OPEN_MODES,
        Then.REBUILD,
    ),
    "entrypoint-closed": Advice(
        "Let everybody execute the command: COPY --chmod=755 in the Dockerfile, and RUN chmod 755 for a folder.",
        _OPEN_MODES,
        Then.REBUILD,
    ),
    "entrypoint-format-invalid": Advice(
        "Begin the script with a line such as #!/bin/sh, and remove anything before it, a byte order mark too.",
        "Save scripts as UTF-8 without byte order mark.",
        Then.REBUILD,
    ),
    "entrypoint-wrong-machine": Advice(
        "Put the program for {platform} into the image: remove --platform=$BUILDPLATFORM from the last FROM, remove the"
        " value of ARG TARGETARCH, and fetch or compile programs for {architecture}.",
        "Use FROM --platform=$BUILDPLATFORM only in stages that compile for $TARGETARCH.",
        Then.REBUILD,
    ),
    "programs-wrong-machine": Advice(
        "Use a base for {platform}: remove --platform=$BUILDPLATFORM from the last FROM.",
        "Use FROM --platform=$BUILDPLATFORM only in stages that compile for $TARGETARCH.",
        Then.REBUILD,
    ),
    "interpreter-missing": Advice(
        "Add the interpreter to the image, or reference one that is there. Remove Windows line ends from a script, and "
        "build a program for the C library of the base image.",
        "Set *.sh text eol=lf in .gitattributes, and compile in a stage that has the base image of the last one.",
        Then.REBUILD,
    ),
    "user-missing": Advice(
        "Create the user before USER in the Dockerfile (RUN useradd ...), or set a number, which needs no entry: "
        "USER 1000.",
        "Set USER to a number.",
        Then.REBUILD,
    ),
    "passwd-link-absolute": Advice(
        "Put regular files at /etc/passwd and /etc/group into the image, in a folder /etc; with Nix, copy them in "
        "fakeRootCommands.",
        "Build images with files in /etc, not with links.",
        Then.REBUILD,
    ),
    "etc-is-link": Advice(
        "Make /etc a folder in the image; it may hold relative links.",
        "Let at least two packages add files to /etc, or create the folder in extraCommands.",
        Then.REBUILD,
    ),
    "working-dir-invalid": Advice(
        "Set WORKDIR in the Dockerfile to a folder, or to a path that does not exist yet.",
        _RUN_ONCE,
        Then.REBUILD,
    ),
    "working-dir-closed": Advice(
        "Let everybody enter the folder: RUN chmod 755 in the Dockerfile, for each folder on the way, or set WORKDIR "
        "to another folder such as /var/task.",
        _OPEN_MODES,
        Then.REBUILD,
    ),
    "code-unreadable": Advice(
        "Let everybody read the code: COPY --chmod=755 in the Dockerfile.",
        _OPEN_MODES,
        Then.REBUILD,
    ),
    "mount-point-invalid": Advice(
        "Move the path in the image elsewhere, or remove it from VOLUME in the Dockerfile.",
        "Leave /proc, /sys, /dev, /etc/hosts, /etc/hostname and /etc/resolv.conf to the engine.",
        Then.REBUILD,
    ),
}
