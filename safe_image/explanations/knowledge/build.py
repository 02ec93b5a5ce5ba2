"""Failures while an image is built: no container runs yet, and no image is to blame but the base image."""

from __future__ import annotations

from typing import Final

from ..cause import Cause, Words, near
from ..contexts import BUILD, PULL

_DOCKER_EMULATION: Final = "https://docs.docker.com/build/building/multi-platform/#qemu"

CAUSES: Final = (
    Cause(
        "build-without-emulation",
        "The build machine cannot run programs of the other architecture: QEMU (binfmt) emulation is missing.",
        "The build asks for a platform that is not the machine's own, and a RUN step is the first program of that "
        "architecture. Without an emulator the kernel refuses it with exec format error. A base image of the wrong "
        "architecture has the same effect.",
        "build",
        ("build machine",),
        words=(
            *near(BUILD, "exec format error", "exec user process caused: exec format error"),
            "exec /bin/sh: exec format error did not complete successfully",
            "exec /bin/sh: exec format error{step}did not complete successfully",
            ".buildkit_qemu_emulator: {it}: invalid argument",
            "qemu: uncaught target signal",
            "Could not open '/lib64/ld-linux-x86-64.so.2'",
        ),
        confirm=(
            "Compare the machine with the platform of the build:",
            "$ uname -m",
            "$ docker buildx inspect --bootstrap",
        ),
        remedy=(
            "Install the emulators on the build machine, or build on a machine of that architecture:",
            "$ docker run --privileged --rm tonistiigi/binfmt --install arm64,amd64",
            "In GitHub Actions, run docker/setup-qemu-action before the build, or use an arm64 runner.",
        ),
        prevention=(
            "Set platform= of the asset to the architecture of the service, and build on a runner of that "
            "architecture: emulation is slow and breaks some compilers.",
        ),
        sources=(_DOCKER_EMULATION, "https://github.com/aws/aws-cdk/issues/30239"),
    ),
    Cause(
        "build-name-invalid",
        "The name (tag) of the image that is built is not a valid reference: it must be lowercase, without spaces.",
        "Usually a variable in the name is empty, or a user or repository name of Git has capitals.",
        "build",
        ("build machine",),
        words=near(BUILD, "invalid reference format", "must be lowercase", "invalid tag"),
        confirm=("Look at --tag and the variables in it.",),
        remedy=("Write the name in lower case, as REGISTRY/repository:tag, and build again.",),
        sources=("https://pkg.go.dev/github.com/distribution/reference",),
    ),
    Cause(
        "build-disk-full",
        "The build machine's disk is full.",
        "Layers, build cache and old images fill the disk of the machine, of the Docker Desktop VM or of the CI "
        "runner.",
        "build",
        ("build machine",),
        words=near(BUILD, "no space left on device", "ENOSPC", "write error: disk full"),
        confirm=("Look at the disk and at what Docker uses:", "$ df -h", "$ docker system df"),
        remedy=("Free disk space on the build machine, or give it a larger disk, and build again.",),
        prevention=("Limit the build cache, and give CI runners a larger disk.",),
        sources=("https://docs.docker.com/reference/cli/docker/system/df/",),
    ),
    Cause(
        "build-out-of-memory",
        "The build machine ran out of memory, so the kernel killed a build step.",
        "A compiler or a package manager in a RUN step needs more memory than the machine or the Docker Desktop VM "
        "has. Exit code 137 is a killed process.",
        "build",
        ("build machine",),
        words=(
            *near(
                BUILD,
                "did not complete successfully: exit code: 137",
                "cannot allocate memory",
                "probably means the system ran out of memory",
                "Reached heap limit Allocation failed",
                "JavaScript heap out of",
            ),
            *near(BUILD, "returned a non-zero code: 137", "signal: killed", "ResourceExhausted"),
        ),
        remedy=("Give the build machine or the Docker Desktop VM more memory, or build with fewer parallel jobs.",),
        prevention=("Build on a runner that has enough memory.",),
        sources=("https://docs.docker.com/desktop/settings-and-maintenance/settings/#resources",),
    ),
    Cause(
        "build-file-missing",
        "A file that the Dockerfile copies is not in the build context.",
        "COPY and ADD read only what lies below the build's directory. A path that starts elsewhere, a .dockerignore "
        "entry or a missing build step hides the file.",
        "build",
        ("build machine", "application"),
        words=(
            *near(BUILD, "failed to compute cache key", "failed to calculate checksum of ref"),
            "COPY failed: file not found in build context",
            "failed to solve: failed to read dockerfile: open {file}: no such file or directory",
            "unable to prepare context: path",
            "Cannot locate specified Dockerfile",
        ),
        confirm=("Compare the path with the asset's directory and its .dockerignore.",),
        remedy=("Correct the path, set directory= or file= of the asset, or remove the entry from .dockerignore.",),
        prevention=("Run the same docker build in a clean checkout in CI.",),
        sources=("https://docs.docker.com/build/concepts/context/",),
    ),
    Cause(
        "no-docker",
        "No Docker daemon runs on the build machine.",
        "The docker command reached no daemon: Docker Desktop is not started, the user may not open the socket, or "
        "DOCKER_HOST names another place.",
        "build",
        ("build machine",),
        words=(
            "Cannot connect to the Docker daemon",
            "Is the docker daemon running",
            "error during connect: {it}docker",
            "permission denied while trying to connect to the Docker daemon socket",
            "permission denied while trying to connect to the docker API",
            "spawnSync docker ENOENT",
            "spawn docker ENOENT",
            "docker: command not found",
            "Unable to execute 'docker' in order to build a container asset",
            "failed to connect to the docker API",
            "open //./pipe/docker",
        ),
        confirm=("Ask for the daemon:", "$ docker info"),
        remedy=("Start Docker, set DOCKER_HOST, or name another tool such as finch or podman in CDK_DOCKER.",),
        prevention=("Run safe-image doctor in the pipeline before the deploy.",),
        sources=("https://docs.docker.com/engine/daemon/troubleshoot/",),
    ),
    Cause(
        "build-buildx-missing",
        "The docker on the build machine has no buildx (BuildKit), which this build needs.",
        "Options such as --mount, --secret, --cache-to and --output need BuildKit. Docker packages of distributions "
        "often lack the buildx plugin.",
        "build",
        ("build machine",),
        words=(
            "BuildKit is enabled but the buildx component is missing or broken",
            "the --mount option requires BuildKit",
            "unknown flag: --cache-to",
            "unknown flag: --output",
            "unknown flag: --provenance",
            "'buildx' is not a docker command",
            "Cache export is not supported for the docker driver",
        ),
        confirm=("$ docker buildx version",),
        remedy=(
            "Install the buildx plugin (docker-buildx-plugin), or create a builder with docker buildx create --use.",
        ),
        prevention=("Install Docker from Docker's own packages on build machines.",),
        sources=("https://docs.docker.com/build/buildkit/", "https://docs.docker.com/go/buildx/"),
    ),
    Cause(
        "build-builder-not-booted",
        "The container of the builder (BuildKit) did not start on the build machine, so nothing was built.",
        "A builder of the docker-container driver runs in a container of its own. The machine was overloaded, or it "
        "does not allow privileged containers.",
        "build",
        ("build machine",),
        words=near(
            r"bootingbuildkit", "ERROR: exit code", "ERROR: Error response from daemon", "booting buildkit: exit"
        ),
        confirm=("Read the builder's own log:", "$ docker logs buildx_buildkit_NAME0"),
        remedy=("Start the builder again, or build without it:", "$ docker buildx inspect --bootstrap"),
        sources=("https://docs.docker.com/build/builders/drivers/docker-container/",),
    ),
    Cause(
        "bundling-failed",
        "The command that CDK ran in a container to bundle an asset failed; its own lines above this one say why.",
        "cdk synth runs the bundling command of a function or a construct with docker run, before an image is built or "
        "pushed. CDK repeats only docker's exit code.",
        "build",
        ("application", "build machine"),
        words=("Failed to bundle asset", "docker exited with status"),
        confirm=("Run the printed docker command by hand, without its output directory.",),
        remedy=("Fix what the command's own lines show, and give those to safe-image explain.",),
        sources=("https://docs.aws.amazon.com/cdk/v2/guide/assets.html",),
        specificity="frame",
    ),
    Cause(
        "build-step-failed",
        "A step of the Dockerfile failed; the reason is in the lines above this one.",
        "The builder reports only the step and its exit code. The program that the step ran printed the reason itself.",
        "build",
        ("application", "unknown"),
        words=(
            "failed to solve: process {step} did not complete successfully: exit code",
            "failed to solve: executor failed running",
            "executor failed running {step}: exit code",
            "did not complete successfully: exit code",
            "The command {step} returned a non-zero code",
            Words("exited with error code", r"dockerbuild", source="https://github.com/aws/aws-cdk/issues/30239"),
            Words("Failed to build asset", "", PULL),
        ),
        confirm=("Build again with every line shown:", "$ docker build --progress=plain --no-cache ."),
        remedy=("Read the lines of the failed step, and give those to safe-image explain.",),
        sources=("https://docs.docker.com/reference/cli/docker/buildx/build/#progress",),
        specificity="frame",
    ),
)
