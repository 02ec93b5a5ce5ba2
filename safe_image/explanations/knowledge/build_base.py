"""Failures to get the base image of a build: its name, its platform, the login, the network of the build machine."""

from __future__ import annotations

from typing import Final

from ..cause import Cause, near
from ..contexts import BUILD

# The base image is there already where BuildKit pushes what it built.
_PUSHED: Final = r"failedtopush|pushinglayers|pushingmanifest|/blobs/uploads"

CAUSES: Final = (
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
                unless=_PUSHED,
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
        "build-stage-missing",
        "COPY --from references a stage that the Dockerfile does not have, so the builder looks for such an image on "
        "Docker Hub.",
        "A name after --from that no `FROM … AS name` defines is taken for an image. The stage was renamed or removed, "
        "or is in another Dockerfile.",
        "build",
        ("application", "build machine"),
        words=near(BUILD, "COPY --from={stage}failed to resolve source metadata for docker.io/library/"),
        confirm=("Compare the name after --from with the names after AS.",),
        remedy=("Name a stage of this Dockerfile after --from, or add the stage with FROM … AS name.",),
        sources=("https://docs.docker.com/reference/dockerfile/#copy---from",),
    ),
    Cause(
        "build-base-refused",
        "The registry refuses the request for the base image after FROM with 400 Bad Request: usually a stored login "
        "that is no longer valid, or a wrong name.",
        "The build machine, and not the service, asks for the base image. ECR answers 400 where it cannot read the "
        "token or the name.",
        "build",
        ("permissions", "build machine", "base image"),
        words=near(
            BUILD,
            "unexpected status code [manifests {tag}]: 400 Bad Request",
            "failed to resolve source metadata for {image}400 Bad Request",
            unless=_PUSHED,
        ),
        confirm=("Pull the base image on the build machine:", "$ docker pull BASE_IMAGE"),
        remedy=(
            "Log out of the base image's registry, log in again where it needs a login, and build again:",
            "$ docker logout REGISTRY",
        ),
        sources=(
            "https://github.com/aws/aws-cdk/issues/25396",
            "https://docs.aws.amazon.com/AmazonECR/latest/userguide/common-errors-docker.html",
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
                "failed to do request: Head {url}: EOF",
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
)
