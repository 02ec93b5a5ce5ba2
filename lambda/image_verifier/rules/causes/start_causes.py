"""The causes of findings about the start of a container: its command, user, working directory and mounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .usual_cause import UsualCause

_DOCKERFILE: Final = "https://docs.docker.com/reference/dockerfile/"
_EXECVE: Final = "https://man7.org/linux/man-pages/man2/execve.2.html"
_LAMBDAS_USER: Final = "https://simonko.dev/posts/aws/non-root-lambda-image"

STARTS: Final[Mapping[str, UsualCause]] = {
    "entrypoint-missing": UsualCause(
        "ENTRYPOINT or CMD has a wrong path, or names a program that only an earlier stage of the Dockerfile has.",
        f"{_DOCKERFILE}#entrypoint",
    ),
    "entrypoint-not-executable": UsualCause(
        "The script was committed on Windows or copied without its executable bit.",
        f"{_DOCKERFILE}#copy---chown---chmod",
    ),
    "entrypoint-unreadable": UsualCause(
        "The build copied a script with mode 0700 or 0711, and USER is somebody else than its owner.",
        f"{_DOCKERFILE}#copy---chown---chmod",
    ),
    "entrypoint-closed": UsualCause(
        "The build copied the program with mode 0700 or 0711, or into a folder with mode 0700, such as /root. Lambda "
        "ignores USER.",
        _LAMBDAS_USER,
    ),
    "entrypoint-format-invalid": UsualCause(
        "The script has no #! line, or an editor saved a byte order mark before it.", _EXECVE
    ),
    "entrypoint-wrong-machine": UsualCause(
        "The last stage is FROM --platform=$BUILDPLATFORM, ARG TARGETARCH has a fixed value, or the Dockerfile fetches "
        "a program for one fixed architecture.",
        "https://docs.docker.com/build/building/multi-platform/",
    ),
    "programs-wrong-machine": UsualCause(
        "The last stage is FROM --platform=$BUILDPLATFORM, so its base is for the build machine, and only the program "
        "that was copied into it is for the platform.",
        "https://docs.docker.com/build/building/multi-platform/",
    ),
    "interpreter-missing": UsualCause(
        "The script has Windows line ends (\\r), or the program was built for another C library, such as one of Debian "
        "on Alpine.",
        _EXECVE,
    ),
    "user-missing": UsualCause(
        "The Dockerfile sets USER to a name that only another stage or an earlier base image has.",
        f"{_DOCKERFILE}#user",
    ),
    "passwd-link-absolute": UsualCause(
        "Tools such as Nix and flox link /etc or the files in it into a store, by absolute paths.",
        "https://github.com/containerd/containerd/issues/12683",
    ),
    "etc-is-link": UsualCause(
        "A build with Nix puts all of /etc into one package, and links /etc to it.",
        "https://github.com/nlewo/nix2container/issues/98",
    ),
    "working-dir-invalid": UsualCause(
        "WORKDIR is a file in the image, or its path goes through one.", f"{_DOCKERFILE}#workdir"
    ),
    "working-dir-closed": UsualCause(
        "WORKDIR is in the home folder of a user, such as /root, or the build created it with mode 0700.", _LAMBDAS_USER
    ),
    "code-unreadable": UsualCause(
        "The files were copied with modes that allow only their owner to read them, such as 0600 or 0000. Build tools "
        "other than docker may set no modes at all.",
        _LAMBDAS_USER,
    ),
    "mount-point-invalid": UsualCause(
        "The image has a file where the engine mounts a folder, or a folder in place of a file such as /etc/hosts.",
        "https://github.com/opencontainers/runc/blob/main/libcontainer/rootfs_linux.go",
    ),
}
