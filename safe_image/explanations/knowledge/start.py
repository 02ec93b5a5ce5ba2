"""Failures when a container is created and its program executed: the entrypoint, the user, the folders."""

from __future__ import annotations

from typing import Final

from ..cause import Cause, Words, near, unless
from ..contexts import BUILD, EXTRACT

_CHECK: Final = (
    "Read the image's files:",
    "$ safe-image check {image} --layers --runs-on {runs_on} --platform {platform}",
)
_ECS_START: Final = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cannot-start-container.html"
_RUNC: Final = "https://github.com/opencontainers/runc/blob/main/libcontainer/standard_init_linux.go"
_ENTRYPOINT: Final = "https://docs.docker.com/reference/dockerfile/#entrypoint"
_START: Final = (
    r"exec:|startingcontainerprocess|unabletostart|runtimecreate|cannotstart|standard_init_linux|\[?fatal?tini"
)
_AGENTCORE_OR_BUILD: Final = BUILD + "|agentcore"

CAUSES: Final = (
    Cause(
        "wrong-architecture",
        "The program is built for another architecture (platform) than the host's, such as arm64 on x86_64.",
        "Usually the image was built on an Apple silicon Mac or an arm64 runner without a platform. Engines do not "
        "check the platform of a single image when they pull it, so it fails at the start. A script without #! gives "
        "the same error.",
        "start",
        ("image", "task definition"),
        words=unless(
            _AGENTCORE_OR_BUILD,
            "exec format error",
            "exec user process caused: exec format error",
            'exec user process caused "exec format error"',
            "cannot execute binary file",
            "does not match the detected host platform{it}exec format error",
        ),
        confirm=_CHECK,
        remedy=(
            "Build for the platform of the service, and push under a new tag:",
            "$ docker buildx build . -t REPOSITORY:TAG --push --platform {platform}",
            "Or set the task's runtimePlatform (cpuArchitecture) to the image's. A script needs #!/bin/sh as its first "
            "line.",
        ),
        prevention=("Set platform= of the asset; SafeDockerImageAsset requires and verifies it.",),
        sources=(
            "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html",
            "https://repost.aws/knowledge-center/ecs-task-exec-format-error",
        ),
        findings=(
            "platform-mismatch",
            "entrypoint-wrong-machine",
            "programs-wrong-machine",
            "entrypoint-format-invalid",
        ),
    ),
    Cause(
        "interpreter-not-found",
        "The program's interpreter is not in the image: a script with Windows line ends (CRLF), or a binary for "
        "another C library.",
        "The file is there, but the kernel does not find the program that must execute it: /bin/bash in an Alpine "
        "image, `/bin/sh\\r` from a checkout on Windows, or the glibc loader in an image with musl.",
        "start",
        ("image",),
        words=(
            *unless(BUILD, "exec user process caused: no such file or directory"),
            'exec user process caused "no such file or directory"',
            "exec {program}: no such file or directory",
            "env: '{name}': No such file or directory",
            "env: can't execute '{name}': No such file or directory",
            "\\r: command not found",
            "bad interpreter: No such file or directory",
            "/bin/bash^M",
            "/usr/bin/env: 'bash\\r'",
            "cannot execute: required file not found",
        ),
        confirm=_CHECK,
        remedy=(
            "Convert the script to Unix line ends, install the interpreter, or build for the image's C library; push "
            "under a new tag.",
        ),
        prevention=("Add `*.sh text eol=lf` to .gitattributes.",),
        sources=(
            _RUNC,
            "https://docs.github.com/get-started/getting-started-with-git/configuring-git-to-handle-line-endings",
        ),
        findings=("interpreter-missing", "entrypoint-missing"),
    ),
    Cause(
        "c-library-too-old",
        "The program needs a newer C library (glibc) than the image or the runtime has.",
        "A binary is linked against the glibc of the machine that built it. Built on a newer system, such as a current "
        "Ubuntu runner, it does not start on an older base image or on Amazon Linux.",
        "start",
        ("image", "build machine"),
        words=unless(
            BUILD,
            "version `GLIBC_{version}' not found",
            "version `GLIBCXX_{version}' not found",
            "version `GLIBC_{version}' not found (required by {program})",
            "version `GLIBCXX_{version}' not found (required by {program})",
        ),
        confirm=("Compare the C library of the base image with the builder's:", "$ ldd --version"),
        remedy=(
            "Build in the base image itself or on a system that is as old, link statically, or use a newer base image; "
            "push under a new tag.",
        ),
        prevention=("Build in a stage of the same Dockerfile, from the same base image.",),
        sources=("https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html",),
    ),
    Cause(
        "entrypoint-not-found",
        "The program of the command is not in the image, or a volume mounted over its directory hides it.",
        "The path in ENTRYPOINT or CMD is wrong, the last stage of the Dockerfile did not copy the file, or the task "
        "definition mounts an empty volume (EFS, bind mount) where the program lies.",
        "start",
        ("image", "task definition"),
        words=(
            'exec: "{program}": stat {program}: no such file or directory',
            'exec: "{program}": no such file or directory',
            'exec: "{program}": stat',
            Words("stat {program}: no such file or directory", _START, EXTRACT),
            "exec: {program}: not found",
            *near(r"entrypoint", "not found", unless="lambda"),
        ),
        confirm=(*_CHECK, "Compare the task definition's mountPoints with the program's path."),
        remedy=(
            "Correct the path in ENTRYPOINT, CMD or the task definition's command, or copy the file in the last stage.",
            "If a volume covers the directory, mount it elsewhere.",
        ),
        prevention=("Run the image once in the pipeline before the deploy.",),
        sources=(_ECS_START, _ENTRYPOINT),
        findings=("entrypoint-missing", "no-layers", "not-an-image"),
    ),
    Cause(
        "command-not-in-path",
        "The command was not found in the image: arguments are run as the command (no ENTRYPOINT), or the program is "
        "not in PATH.",
        "The task definition's command replaces CMD. Without an ENTRYPOINT, its first word must be a program. A whole "
        "command line in one string is taken as the name of one program.",
        "start",
        ("task definition", "image"),
        words=(
            *unless("docker-credential", "executable file not found in $PATH", "executable file not found in"),
            "exec: {program}: executable file not found",
            *unless(BUILD, "/bin/sh: {line}: {program}: not found", "sh: {program}: not found", "command not found"),
        ),
        confirm=_CHECK,
        remedy=(
            'Write the command as a list whose first word is a program: ["sh", "-c", "…"], or give the image an '
            "ENTRYPOINT.",
        ),
        sources=(_ENTRYPOINT, _ECS_START),
        findings=("entrypoint-missing", "no-command", "no-layers"),
    ),
    Cause(
        "entrypoint-refused",
        "The command is a directory, or a file that is not executable (chmod +x) for the image's user.",
        "COPY keeps the mode of the file on the build machine, and Windows has none. ENTRYPOINT may also point at a "
        "directory instead of the program in it.",
        "start",
        ("image",),
        words=(
            'exec: "{program}": permission denied',
            'exec: "{program}": is a directory',
            "exec {program}: permission denied",
            "exec user process caused: permission denied",
            *unless(BUILD, "/bin/sh: {line}: {program}: Permission denied", "sh: {program}: Permission denied"),
            'exec user process caused "permission denied"',
            *near(_START, "permission denied", unless=BUILD + "|lambda|fork/exec|/var/task"),
        ),
        confirm=_CHECK,
        remedy=("Write COPY --chmod=755, or correct the path in ENTRYPOINT, and push under a new tag.",),
        prevention=("Commit the executable bit: git update-index --chmod=+x FILE.",),
        sources=("https://docs.docker.com/reference/dockerfile/#copy---chown---chmod", _ECS_START),
        findings=("entrypoint-not-executable", "entrypoint-unreadable", "entrypoint-missing"),
    ),
    Cause(
        "command-missing",
        "The image has neither ENTRYPOINT nor CMD, and the task definition gives no command.",
        "Images from scratch and artifacts that are not images have no command.",
        "start",
        ("image", "task definition"),
        words=("no command specified", "args must not be empty", "No command specified", "no command defined"),
        confirm=_CHECK,
        remedy=("Add CMD or ENTRYPOINT to the Dockerfile, or a command to the task definition.",),
        sources=(_ENTRYPOINT,),
        findings=("no-command", "rootfs-type-unknown", "not-an-image"),
    ),
    Cause(
        "passwd-is-a-link",
        "An absolute link leads to /etc/passwd or /etc/group in the image, and containerd 2.2.0 to 2.2.7 (Fargate, "
        "EKS) does not follow it.",
        "Nix, flox and some Android images link /etc or these files into a store. containerd 2.2 opens them inside the "
        "image's root only and reports that the path escapes from its parent. From 2.2.3 on it follows one link, if "
        "the file itself is the link.",
        "create",
        ("image", "host engine"),
        words=("path escapes from parent", "openat {path}: path escapes from parent"),
        confirm=_CHECK,
        remedy=("Copy /etc/passwd and /etc/group into the image as ordinary files, and push under a new tag.",),
        prevention=("Use numeric users and real files in /etc.",),
        sources=(
            "https://github.com/containerd/containerd/issues/12683",
            "https://github.com/containerd/containerd/pull/13015",
            "https://github.com/flox/flox/issues/4178",
        ),
        findings=("passwd-link-absolute",),
    ),
    Cause(
        "etc-is-a-link",
        "/etc in the image is a link, and Fargate must create the directory /etc itself.",
        "Images of Nix tools often link /etc into a store. Fargate alone makes /etc for its resolv.conf and hosts "
        "files, and fails on the link.",
        "create",
        ("image",),
        words=("fail to create /etc", "container rootfs: fail to create /etc", "rootfs/etc: file exists"),
        confirm=_CHECK,
        remedy=("Make /etc a real directory in the image, and push under a new tag.",),
        sources=("https://github.com/nlewo/nix2container/issues/98", "https://github.com/Cosmian/kms/issues/633"),
        findings=("etc-is-link",),
    ),
    Cause(
        "user-unknown",
        "The image's user or group is not in its /etc/passwd or /etc/group.",
        "USER, or the task definition's user, names somebody whom no step of the Dockerfile created. Images from "
        "scratch have no /etc/passwd at all.",
        "start",
        ("image", "task definition"),
        words=(
            "unable to find user {name}: no matching entries in passwd file",
            "no matching entries in passwd file",
            "unable to find group {name}: no matching entries in group file",
            "no matching entries in group file",
            *unless(EXTRACT, "no users found", "no groups found", "invalid USER value"),
            *unless(EXTRACT, "mount callback failed on … open … no such file or directory"),
            *unless(EXTRACT, "mount callback failed on … stat … no such file or directory"),
            *unless(EXTRACT, "mount callback failed on …: read …: is a directory"),
            "unable to setup user",
            "uids and gids must be in range",
        ),
        confirm=_CHECK,
        remedy=("Create the user before USER (RUN useradd …), or use a number, which needs no entry: USER 1000.",),
        prevention=("Use numeric users.",),
        sources=("https://docs.docker.com/reference/dockerfile/#user",),
        findings=("user-missing",),
    ),
    Cause(
        "working-dir-unusable",
        "The working directory (WORKDIR) is not an absolute path, or is not a directory in the image.",
        "WORKDIR, or the task definition's workingDirectory, is relative, or a file or a broken link lies there.",
        "start",
        ("image", "task definition"),
        words=(
            "Cwd must be an absolute path",
            "error during container init: mkdir {cwd}: not a directory",
            "error during container init: mkdir {cwd}: file exists",
            "error during container init: mkdir {cwd}: invalid argument",
            "Cannot mkdir: {cwd} is not a directory",
            "chdir to cwd ({cwd}) set in config.json failed",
            "evalSymlinksInScope: too many links in",
        ),
        confirm=_CHECK,
        remedy=("Write an absolute path of a directory after WORKDIR, and push under a new tag.",),
        sources=("https://docs.docker.com/reference/dockerfile/#workdir",),
        findings=("working-dir-relative", "working-dir-invalid", "mount-point-invalid"),
    ),
    Cause(
        "mount-failed",
        "A mount into the container failed: a file is mounted on a directory or the other way round, or the path in "
        "the image is something else.",
        "Volumes of the task definition (EFS over / or /dev gives errno 524), VOLUME in the Dockerfile, and files such "
        "as /etc/resolv.conf are mounted before the program starts.",
        "start",
        ("task definition", "image"),
        words=(
            "Are you trying to mount a directory onto a file",
            'error mounting "{source}" to rootfs at "{path}"',
            "error mounting {it} to rootfs",
            "rootfs_linux.go{it}mounting {source} to rootfs",
            "error creating device nodes: mknod {path}: errno 524",
            "error creating device nodes: mknod",
            "cannot mount volume over existing file, file exists",
            "error closing exec fds: open /proc/self/fd: no such file or directory",
            Words("lstat …: not a directory", _START),
            "invalid mount config for type",
            "bind source path does not exist",
        ),
        also=("evalSymlinksInScope: too many links in",),
        confirm=_CHECK,
        remedy=("Correct the mount's path in the task definition, or what lies there in the image.",),
        sources=(_ECS_START,),
        findings=("mount-point-invalid", "working-dir-invalid"),
    ),
    Cause(
        "environment-invalid",
        "An environment variable or an argument of the image cannot be passed to a program: no name, no =, or a NUL "
        "character.",
        "A tool wrote ENV entries by itself, or a value has a NUL character.",
        "start",
        ("image", "task definition"),
        words=(
            "environment variable name can't be empty",
            "can't contain null(\\x00)",
            "invalid environment variable:",
            "exec {program}: invalid argument",
        ),
        confirm=_CHECK,
        remedy=("Give every entry of ENV a name and a value, and push under a new tag.",),
        sources=(_RUNC,),
        findings=("env-invalid", "argument-invalid"),
    ),
)
