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
        "build-base-lacks-platform",
        "The base image after FROM has no image for the platform of the build.",
        "The base image's tag is an index, or one image, without that architecture. The builder stops before the first "
        "step.",
        "build",
        ("base image",),
        words=(
            *near(
                BUILD, "no match for platform in manifest", "no matching manifest for {platform} in the manifest list"
            ),
            *near(BUILD, "does not provide the specified platform", "does not match the specified platform"),
            *near(BUILD, "image {it} was found but does not provide the specified platform"),
            *near(BUILD, "no image found in manifest list for architecture", "InvalidBaseImagePlatform"),
        ),
        confirm=("List the platforms of the base image:", "$ docker buildx imagetools inspect BASE_IMAGE"),
        remedy=("Use a tag of the base image that has the platform, or build for a platform that it has.",),
        prevention=("Pin the base image by the digest of an index that has every platform that you build.",),
        sources=(
            "https://docs.docker.com/build/building/multi-platform/",
            "https://github.com/moby/buildkit/issues/3891",
        ),
    ),
    Cause(
        "build-base-login-stale",
        "public.ecr.aws refuses the base image, usually because of an expired login: run docker logout public.ecr.aws.",
        "public.ecr.aws allows anonymous pulls, but not a login that has expired. Docker sends the stored login with "
        "every request, so the registry answers 403 Forbidden.",
        "build",
        ("permissions", "build machine"),
        words=(
            *near(
                BUILD,
                "public.ecr.aws/{name}: unexpected status from HEAD request to {url}: 403 Forbidden",
                "public.ecr.aws/{name}: 403 Forbidden",
            ),
            "pull access denied, repository does not exist or may require authorization{it}public.ecr.aws",
            *near(r"public\.ecr\.aws", "authorization token has expired", "Your authorization token has expired"),
        ),
        remedy=(
            "Remove the stored login and build again:",
            "$ docker logout public.ecr.aws",
            "Or log in again; the login service of public.ecr.aws is in us-east-1 alone:",
            "$ aws ecr-public get-login-password --region us-east-1 | docker login --username AWS --password-stdin "
            "public.ecr.aws",
        ),
        prevention=("Do not log in to public.ecr.aws on machines that keep their Docker configuration.",),
        sources=(
            "https://docs.aws.amazon.com/AmazonECR/latest/public/public-troubleshooting.html",
            "https://github.com/aws/aws-sam-cli/issues/4067",
        ),
    ),
    Cause(
        "build-base-denied",
        "The registry refuses the base image after FROM: the build machine has no valid login, or the image does not "
        "exist.",
        "The build machine, and not the service, pulls the base image. For a private repository its login is missing "
        "or older than twelve hours; Docker Hub gives the same answer for a misspelled name.",
        "build",
        ("permissions", "base image"),
        words=(
            *near(
                r"failedtosolve|dockerbuild|dockerfile",
                "pull access denied",
                "insufficient_scope: authorization failed",
            ),
            *near(
                r"failedtosolve|dockerbuild|dockerfile",
                "no basic auth credentials",
                "/manifests/{tag}: unauthorized",
                "/manifests/{tag}: denied",
                "failed to authorize: failed to fetch oauth token: unexpected status: 403 Forbidden",
                "failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized",
                "failed to authorize: failed to fetch anonymous token: unexpected status: 403 Forbidden",
                "failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized",
                "error from registry: unauthorized",
                "error from registry: denied",
                "401 Unauthorized",
                "403 Forbidden",
            ),
        ),
        confirm=("Pull the base image on the build machine:", "$ docker pull BASE_IMAGE"),
        remedy=(
            "Correct the name after FROM, or log in to its registry; for ECR:",
            "$ aws ecr get-login-password --region {region} | docker login --username AWS --password-stdin {registry}",
        ),
        prevention=("Log in in the pipeline before each build, or copy base images into your own ECR.",),
        sources=(
            "https://docs.aws.amazon.com/AmazonECR/latest/userguide/common-errors-docker.html",
            "https://docs.docker.com/reference/cli/docker/login/",
        ),
    ),
    Cause(
        "build-base-missing",
        "The base image after FROM does not exist: its tag or its name is wrong, or it was removed.",
        "The builder asks the registry for the base image and gets not found. No image of yours is involved.",
        "build",
        ("base image",),
        words=(
            *near(
                BUILD, "failed to resolve source metadata for {image}: not found", "load metadata for {image}not found"
            ),
            *near(r"failedtosolve|dockerbuild|dockerfile", "manifest unknown"),
            *near(
                BUILD,
                "failed to solve: {image}: not found",
                "failed to resolve source metadata for {image}{it}not found",
            ),
        ),
        confirm=("Ask the registry for the base image:", "$ docker buildx imagetools inspect BASE_IMAGE"),
        remedy=("Correct the name or the tag after FROM.",),
        prevention=("Pin the base image by a digest, or copy it into your own repository.",),
        sources=("https://docs.docker.com/reference/dockerfile/#from",),
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
        "build-network",
        "The build machine cannot reach the registry of the base image.",
        "DNS, a proxy or the connection of the build machine fails while the builder loads the base image. The service "
        "and its network are not involved.",
        "build",
        ("network", "build machine"),
        words=(
            *near(
                r"failedtosolve|dockerbuild|failedtoresolvesourcemetadata|loadmetadata",
                "i/o timeout",
                "TLS handshake timeout",
                "no such host",
                "connection refused",
                "connection reset by peer",
                "Client.Timeout exceeded",
                "context deadline exceeded",
                "server misbehaving",
                "network is unreachable",
                "failed to authorize: failed to fetch anonymous token",
                "failed to authorize: failed to fetch oauth token",
                "DeadlineExceeded",
                "dial tcp: lookup",
                "unexpected EOF",
            ),
            *near(
                BUILD, "Temporary failure resolving", "Could not resolve host", "Temporary failure in name resolution"
            ),
        ),
        confirm=("Pull the base image on the build machine:", "$ docker pull BASE_IMAGE"),
        remedy=("Build again. If it fails again, check the DNS, the proxy and the VPN of the build machine.",),
        prevention=("Pull base images through ECR (pull through cache) or public.ecr.aws/docker/library.",),
        sources=("https://docs.docker.com/engine/daemon/proxy/",),
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
        "build-rate-limited",
        "Docker Hub refuses the base image, because the build machine's address has pulled too often.",
        "Docker Hub limits pulls without a login by address, and CI runners share addresses.",
        "build",
        ("quota", "registry"),
        words=near(
            BUILD + "|loadmetadata",
            "toomanyrequests",
            "429 Too Many Requests",
            "pull rate limit",
        ),
        remedy=(
            "Log in to Docker Hub on the build machine and build again:",
            "$ docker login",
            "Or take the same image from public.ecr.aws/docker/library.",
        ),
        prevention=("Pull base images through ECR (pull through cache).",),
        sources=("https://docs.docker.com/docker-hub/usage/",),
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
