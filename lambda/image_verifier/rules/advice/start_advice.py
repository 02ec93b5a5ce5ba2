"""Advice for findings about the start of a container: its command, user, working directory and mounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .row import Advice, Then

_DOCKERFILE: Final = "https://docs.docker.com/reference/dockerfile/"
_EXECVE: Final = "https://man7.org/linux/man-pages/man2/execve.2.html"
_LAMBDAS_USER: Final = "https://simonko.dev/posts/aws/non-root-lambda-image"
_OPEN_MODES: Final = "Set modes with COPY --chmod, which does not depend on the build machine's umask."
_RUN_ONCE: Final = "Start the image once in the pipeline, or set verify_layers=True."

STARTS: Final[Mapping[str, Advice]] = {
    "entrypoint-missing": Advice(
        "ENTRYPOINT or CMD has a wrong path, or names a program that only an earlier stage of the Dockerfile has.",
        "Set ENTRYPOINT or CMD to a program of the image, or copy it there: the last stage of a Dockerfile has from "
        "the others only the files that COPY --from brings.",
        _RUN_ONCE,
        f"{_DOCKERFILE}#entrypoint",
        Then.REBUILD,
    ),
    "entrypoint-not-executable": Advice(
        "The script was committed on Windows or copied without its executable bit.",
        "Make the command executable: COPY --chmod=755 in the Dockerfile, or chmod +x before the build.",
        "Store the executable bit in git: git update-index --chmod=+x FILE.",
        f"{_DOCKERFILE}#copy---chown---chmod",
        Then.REBUILD,
    ),
    "entrypoint-unreadable": Advice(
        "The build copied a script with mode 0700 or 0711, and USER is somebody else than its owner.",
        "Let the image's user read the script: COPY --chmod=755 in the Dockerfile.",
        _OPEN_MODES,
        f"{_DOCKERFILE}#copy---chown---chmod",
        Then.REBUILD,
    ),
    "entrypoint-closed": Advice(
        "The build copied the program with mode 0700 or 0711, or into a folder with mode 0700, such as /root. Lambda "
        "ignores USER.",
        "Let everybody execute the command: COPY --chmod=755 in the Dockerfile, and RUN chmod 755 for a folder.",
        _OPEN_MODES,
        _LAMBDAS_USER,
        Then.REBUILD,
    ),
    "entrypoint-format-invalid": Advice(
        "The script has no #! line, or an editor saved a byte order mark before it.",
        "Begin the script with a line such as #!/bin/sh, and remove anything before it, a byte order mark too.",
        "Save scripts as UTF-8 without byte order mark.",
        _EXECVE,
        Then.REBUILD,
    ),
    "entrypoint-wrong-machine": Advice(
        "The last stage is FROM --platform=$BUILDPLATFORM, ARG TARGETARCH has a fixed value, or the Dockerfile fetches "
        "a program for one fixed architecture.",
        "Put the program for {platform} into the image: remove --platform=$BUILDPLATFORM from the last FROM, remove the"
        " value of ARG TARGETARCH, and fetch or compile programs for {architecture}.",
        "Use FROM --platform=$BUILDPLATFORM only in stages that compile for $TARGETARCH.",
        "https://docs.docker.com/build/building/multi-platform/",
        Then.REBUILD,
    ),
    "programs-wrong-machine": Advice(
        "The last stage is FROM --platform=$BUILDPLATFORM, so its base is for the build machine, and only the program "
        "that was copied into it is for the platform.",
        "Use a base for {platform}: remove --platform=$BUILDPLATFORM from the last FROM.",
        "Use FROM --platform=$BUILDPLATFORM only in stages that compile for $TARGETARCH.",
        "https://docs.docker.com/build/building/multi-platform/",
        Then.REBUILD,
    ),
    "interpreter-missing": Advice(
        "The script has Windows line ends (\\r), or the program was built for another C library, such as one of Debian "
        "on Alpine.",
        "Add the interpreter to the image, or reference one that is there. Remove Windows line ends from a script, and "
        "build a program for the C library of the base image.",
        "Set *.sh text eol=lf in .gitattributes, and compile in a stage that has the base image of the last one.",
        _EXECVE,
        Then.REBUILD,
    ),
    "user-missing": Advice(
        "The Dockerfile sets USER to a name that only another stage or an earlier base image has.",
        "Create the user before USER in the Dockerfile (RUN useradd ...), or set a number, which needs no entry: "
        "USER 1000.",
        "Set USER to a number.",
        f"{_DOCKERFILE}#user",
        Then.REBUILD,
    ),
    "passwd-link-absolute": Advice(
        "Tools such as Nix and flox link /etc or the files in it into a store, by absolute paths.",
        "Put regular files at /etc/passwd and /etc/group into the image, in a folder /etc; with Nix, copy them in "
        "fakeRootCommands.",
        "Build images with files in /etc, not with links.",
        "https://github.com/containerd/containerd/issues/12683",
        Then.REBUILD,
    ),
    "etc-is-link": Advice(
        "A build with Nix puts all of /etc into one package, and links /etc to it.",
        "Make /etc a folder in the image; it may hold relative links.",
        "Let at least two packages add files to /etc, or create the folder in extraCommands.",
        "https://github.com/nlewo/nix2container/issues/98",
        Then.REBUILD,
    ),
    "working-dir-invalid": Advice(
        "WORKDIR is a file in the image, or its path goes through one.",
        "Set WORKDIR in the Dockerfile to a folder, or to a path that does not exist yet.",
        _RUN_ONCE,
        f"{_DOCKERFILE}#workdir",
        Then.REBUILD,
    ),
    "working-dir-closed": Advice(
        "WORKDIR is in the home folder of a user, such as /root, or the build created it with mode 0700.",
        "Let everybody enter the folder: RUN chmod 755 in the Dockerfile, for each folder on the way, or set WORKDIR "
        "to another folder such as /var/task.",
        _OPEN_MODES,
        _LAMBDAS_USER,
        Then.REBUILD,
    ),
    "code-unreadable": Advice(
        "The files were copied with modes that allow only their owner to read them, such as 0600 or 0000. Build tools "
        "other than docker may set no modes at all.",
        "Let everybody read the code: COPY --chmod=755 in the Dockerfile.",
        _OPEN_MODES,
        _LAMBDAS_USER,
        Then.REBUILD,
    ),
    "mount-point-invalid": Advice(
        "The image has a file where the engine mounts a folder, or a folder in place of a file such as /etc/hosts.",
        "Move the path in the image elsewhere, or remove it from VOLUME in the Dockerfile.",
        "Leave /proc, /sys, /dev, /etc/hosts, /etc/hostname and /etc/resolv.conf to the engine.",
        "https://github.com/opencontainers/runc/blob/main/libcontainer/rootfs_linux.go",
        Then.REBUILD,
    ),
}
