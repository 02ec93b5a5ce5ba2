"""Failures while bytes are on their way: the network, a mirror or the registry first, the image last."""

from __future__ import annotations

from typing import Final

from ..cause import Cause, Words, near, unless
from ..contexts import BUILD, EXTRACT, PULL, PUSH

_BYTES: Final = (
    "layer-size-mismatch",
    "config-size-mismatch",
    "manifest-size-mismatch",
    "layer-digest-mismatch",
    "config-digest-mismatch",
    "manifest-digest-mismatch",
    "layer-size-zero",
    "config-descriptor-invalid",
)
_PULL_AGAIN: Final = (
    "Pull again; on ECS the next task does. If it fails on one host only, look at that host's network, proxy and "
    "mirror.",
)
_CONFIRM: Final = (
    "Read the image's own bytes: if this passes, the transfer was to blame.",
    "$ safe-image check {image} --layers --runs-on {runs_on}",
)
_NOT_UNPACK: Final = f"{EXTRACT}|{BUILD}|{PUSH}"

CAUSES: Final = (
    Cause(
        "transfer-empty",
        "The transfer was interrupted: the connection ended before the first byte, and e3b0c442… is the digest of "
        "nothing.",
        "The engine got an empty body where it expected the layer. The network, a proxy or a mirror cut the "
        "connection; the image in the registry is usually fine.",
        "pull",
        ("network", "registry"),
        words=(
            "unexpected commit digest sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855, expected",
            "unexpected commit size 0, expected",
        ),
        confirm=_CONFIRM,
        remedy=_PULL_AGAIN,
        prevention=("Pull from a registry in the same region, through a VPC endpoint.",),
        sources=(
            "https://github.com/containerd/containerd/issues/3097",
            "https://github.com/containerd/containerd/blob/main/plugins/content/local/writer.go",
        ),
        findings=_BYTES,
    ),
    Cause(
        "transfer-wrong-size",
        "A mirror, a proxy or the registry sent another number of bytes than was requested, often because it ignores "
        "Range.",
        "containerd 2.1 and later fetches a layer in parallel pieces (Range requests) and resumes broken downloads "
        "that way. A mirror or proxy that answers with the whole layer makes it too long; a cut connection makes it "
        "too short.",
        "pull",
        ("registry", "network"),
        words=(
            'failed commit on ref "{name}": "{name}" failed size validation: {actual} != {declared}',
            "failed size validation",
            "unexpected commit size",
            "content range requests",
            "does not support seeking",
        ),
        confirm=_CONFIRM,
        remedy=(
            "Pull again without the mirror or the proxy. On a host of your own, set max_concurrent_downloads lower and "
            "concurrent_layer_fetch_buffer to 0.",
        ),
        prevention=("Upgrade the mirror, or let the engine pull from the registry itself.",),
        sources=(
            "https://github.com/containerd/containerd/issues/11864",
            "https://github.com/containerd/containerd/blob/main/plugins/content/local/writer.go",
        ),
        findings=_BYTES,
    ),
    Cause(
        "transfer-wrong-digest",
        "The bytes that arrived are not those of the digest: the network, a proxy or a mirror changed them on the way.",
        "A registry stores a blob under its digest, so a difference usually arises in transit: a proxy that rewrites "
        "or answers with a page of its own, a mirror with a broken cache, or a failing disk on the host.",
        "pull",
        ("network", "registry"),
        words=(
            "unexpected commit digest {actual}, expected {digest}",
            "unexpected commit digest",
            "filesystem layer verification failed for digest",
            "manifest verification failed for digest",
            "image config verification failed for digest",
            "Digest did not match",
            "does not match digest",
        ),
        confirm=_CONFIRM,
        remedy=_PULL_AGAIN,
        prevention=("Let proxies pass registries and S3 through unchanged.",),
        sources=("https://github.com/containerd/containerd/blob/main/plugins/content/local/writer.go",),
        findings=_BYTES,
    ),
    Cause(
        "transfer-cut",
        "The connection was interrupted while the image was being transferred over the network.",
        "The registry, S3, a proxy, a NAT gateway or the host closed the connection before all bytes had arrived. A "
        "busy NAT instance, a host without memory or a mirror does this repeatedly.",
        "pull",
        ("network", "registry"),
        words=(
            *near(
                PULL,
                "connection reset by peer",
                "unexpected EOF",
                "short read: expected",
                "stream error: stream ID",
                "http2: server sent GOAWAY",
                "http2: client connection lost",
                "use of closed network connection",
                "write: broken pipe",
                "Client.Timeout or context cancellation while reading body",
                ": EOF",
                "read: connection timed out",
                "download failed after attempts",
                unless=_NOT_UNPACK,
            ),
            *unless(
                _NOT_UNPACK,
                "short read: expected {size} bytes but got {actual}",
                "failed to read expected number of bytes",
            ),
            Words("failed to copy: httpReadSeeker: failed open: failed to do request", unless=r"starport|\.s3\."),
            "failed to copy: read tcp",
            *near(r"pullingimage|downloading|retrievingimage", "tar: Unexpected EOF in archive"),
        ),
        confirm=_CONFIRM,
        remedy=_PULL_AGAIN,
        prevention=("Pull from a registry in the same region, through VPC endpoints instead of a NAT instance.",),
        sources=(
            "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html",
            "https://github.com/containerd/containerd/issues/7972",
        ),
        findings=_BYTES,
    ),
    Cause(
        "pull-cancelled",
        "The pull was cancelled, or took longer than the host allows.",
        "The task was stopped, the host shut down, or the image is too large for the time-out of the pull "
        "(ECS_IMAGE_PULL_INACTIVITY_TIMEOUT, the kubelet's deadline).",
        "pull",
        ("host engine", "network"),
        words=near(
            PULL,
            "context canceled",
            "pull was cancelled",
            "inactivity time exceeded timeout",
            "DockerTimeoutError",
            "Could not transition to pulled; timed out",
            unless=_NOT_UNPACK,
        ),
        confirm=("Compare the image's size with the time that the pull took.",),
        remedy=("Pull again. If it stays, make the image smaller, or raise the time-out on hosts of your own.",),
        sources=("https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-config.html",),
        specificity="frame",
    ),
    Cause(
        "descriptor-size-zero",
        "The manifest says that a layer, a config or a manifest has no bytes, and containerd refuses to fetch it.",
        "The tool that wrote the manifest left the descriptor's size at 0. Docker does not look at it, so the image "
        "works there.",
        "pull",
        ("image",),
        words=("which reports content size of zero",),
        confirm=_CONFIRM,
        remedy=("Build and push again with another tool or version, under a new tag.",),
        sources=("https://github.com/containerd/containerd/blob/main/core/remotes/handlers.go",),
        findings=(
            "manifest-size-mismatch",
            "config-descriptor-invalid",
            "config-size-mismatch",
            "layer-size-zero",
            "layer-size-mismatch",
        ),
    ),
    Cause(
        "manifest-oversized",
        "The index or the manifest is larger than containerd accepts (about 4 MiB).",
        "Usually the address serves something else than a manifest, or a tool put data into annotations.",
        "resolve",
        ("image", "registry"),
        words=("rejecting {size} byte manifest",),
        confirm=("$ docker buildx imagetools inspect {image}",),
        remedy=("Correct the image's name, or build without the annotations.",),
        sources=("https://github.com/containerd/containerd/blob/main/core/remotes/docker/resolver.go",),
        findings=("manifest-too-large",),
    ),
)
