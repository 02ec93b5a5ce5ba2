"""The words by which an error is recognised: what the catalogue has engines say, and what else users were shown.

A wording is a template. `{name}` and `…` stand for what differs each time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from image_verifier.rules.catalog import CATALOG
from image_verifier.rules.engine_messages import MESSAGES
from image_verifier.rules.runtimes import RUNTIMES

from .normalize import squashed

_HOLE: Final = re.compile(r"\{[a-z_0-9]+\}|…")
# Less than this is in any text.
_LEAST: Final = 9

_ENGINES: Final = "measured: containerd 1.6.20, 1.7.24, 2.1.9 and dockerd 28.5.2"

# Who calls whom on the way to an error, and how much of it is shown, differs from place to place.
_BEFORE: Final = (
    "failed to unpack image on snapshotter overlayfs: ",
    "failed to create task for container: ",
    "failed to create shim task: ",
    "OCI runtime create failed: runc create failed: ",
    "error pulling image configuration: ",
    "download failed after attempts=1: ",
    "failed to extract layer {diff_id}: ",
    "unable to start container process: ",
    "exec {program}: ",
)
_AFTER: Final = (": unknown", ": failed precondition", ": invalid argument")

# Where one wording has several causes, these are the likelier ones, by how often users report them.
_LIKELY: Final = (
    "not-an-image",
    "platform-mismatch",
    "layer-type-unsupported",
    "image-missing",
    "platform-missing",
    "index-not-taken",
    "entrypoint-missing",
    "layer-missing",
    "diff-ids-count",
    "diff-id-wrong",
)

_ECS: Final = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html"
_ECS_STOPPED: Final = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html"
_ECR: Final = "https://docs.aws.amazon.com/AmazonECR/latest/userguide/common-errors-docker.html"
_ECR_API: Final = "https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchGetImage.html"
_LAMBDA: Final = "https://docs.aws.amazon.com/lambda/latest/dg/images-create.html"
_CDK_30258: Final = "https://github.com/aws/aws-cdk/issues/30258"
_CDK_33264: Final = "https://github.com/aws/aws-cdk/issues/33264"
_CDK_30680: Final = "https://github.com/aws/aws-cdk/issues/30680"
_GO_JSON: Final = "https://pkg.go.dev/encoding/json"
_RUNC: Final = "https://github.com/opencontainers/runc/blob/main/libcontainer/standard_init_linux.go"
_STREAM_PROCESSOR: Final = "failed to get stream processor for %s: no processor for media-type"
_START: Final = 'exec: "{program}": '
_UNREADABLE: Final = ("config-unreadable", "manifest-unreadable")
NOTHING: Final = ("says-nothing",)
_ENDS_EARLY: Final = ("layer-truncated", "layer-corrupt", "tar-invalid", "diff-id-wrong")
_OTHER_BYTES: Final = (
    "layer-size-mismatch",
    "config-size-mismatch",
    "manifest-size-mismatch",
    "layer-digest-mismatch",
    "config-digest-mismatch",
    "manifest-digest-mismatch",
)
_NO_TAR: Final = ("diff-id-wrong", "tar-invalid", "layer-type-unsupported")


@dataclass(frozen=True)
class Wording:
    """One way in which an error is worded.

    :param text: the template.
    :param causes: what it can mean, likeliest first: ids of findings, or of causes outside of the image.
    :param source: where it is known from.
    """

    text: str
    causes: tuple[str, ...]
    source: str

    @property
    def is_open(self) -> bool:
        """Whether it says only where something went wrong, and leaves open what."""
        return self.causes == NOTHING or self.text.endswith(("{error}", "{why}"))

    @property
    def parts(self) -> tuple[str, ...]:
        """What is the same each time, squashed."""
        return tuple(filter(None, map(squashed, _HOLE.split(self.text))))


# What the catalogue does not have: how AWS's services word it, and what no image is to blame for.
_OTHERS: Final[Sequence[tuple[str, str, tuple[str, ...]]]] = (
    # The kind of the image
    (_STREAM_PROCESSOR % "application/vnd.in-toto+json", _CDK_30258, ("not-an-image",)),
    (
        _STREAM_PROCESSOR % "application/vnd.docker.image.rootfs.diff.tar.zstd",
        "https://github.com/bottlerocket-os/bottlerocket/issues/3806",
        ("layer-type-unsupported",),
    ),
    ("unsupported media type application/vnd.in-toto+json", _CDK_30680, ("not-an-image",)),
    (
        'failed commit on ref "manifest-sha256:{digest}": unexpected status from PUT request to {url}: 400 Bad Request',
        _CDK_33264,
        ("not-an-image", "tag-immutable"),
    ),
    (
        "UnsupportedImageLayerDetected",
        "https://github.com/aws/aws-cdk/issues/33522",
        ("not-an-image", "layer-type-unsupported"),
    ),
    (
        "MissingParentDirectory",
        "https://github.com/aws/aws-lambda-web-adapter/issues/236",
        ("parent-folder-missing",),
    ),
    (
        "image manifest, config or layer media type for the source image {uri} is not supported",
        "https://github.com/serverless/serverless/issues/12933",
        ("index-not-taken", "manifest-type-refused", "not-an-image"),
    ),
    (
        "image manifest or layer media type for the source image {uri} is not supported",
        "https://github.com/midrender/examples/issues/25",
        ("index-not-taken", "not-an-image"),
    ),
    (
        'media type "application/vnd.docker.distribution.manifest.v1+prettyjws" is no longer supported',
        _ENGINES,
        ("schema-1",),
    ),
    ("ocimanifest: expected manifest but found index", _ENGINES, ("index-descriptor-type", "manifest-unreadable")),
    (
        "short read: expected {size} bytes but got {actual}",
        _ENGINES,
        (
            "layer-size-mismatch",
            "config-size-mismatch",
            "manifest-size-mismatch",
            "layer-size-zero",
            "config-descriptor-invalid",
        ),
    ),
    ("mismatched image rootfs and manifest layers", _ENGINES, ("not-an-image", "layer-type-unsupported")),
    (
        "children: invalid desc {digest}: media-type: expected manifest but found index ({media_type})",
        _ENGINES,
        ("index-descriptor-type", "manifest-unreadable"),
    ),
    (
        "failed to copy: httpReadSeeker: failed open: content at …/manifests/{digest} not found: not found",
        _ENGINES,
        ("manifest-missing", "index-incomplete"),
    ),
    # The size is compared before the digest is.
    ('failed commit on ref "{name}": "{name}" failed size validation: {actual} != {declared}', _ENGINES, _OTHER_BYTES),
    ("failed to read expected number of bytes: unexpected EOF", _ENGINES, _OTHER_BYTES),
    # The platform
    ("no match for platform in manifest", _ENGINES, ("platform-missing",)),
    (
        "image Manifest does not contain descriptor matching platform '{platform}'",
        _ECS,
        ("platform-missing",),
    ),
    (
        "failed to find a descriptor for platform {platform}",
        "https://github.com/aws/containers-roadmap/issues/1120",
        ("platform-missing",),
    ),
    (
        "The requested image's platform ({platform}) does not match the detected host platform",
        "https://github.com/av/harbor/issues/14",
        ("platform-mismatch",),
    ),
    (
        "Failure reason : Failed to copy the image from ECR",
        "https://github.com/aws/apprunner-roadmap/issues/46",
        ("platform-mismatch", "image-missing", "access-denied"),
    ),
    (
        "Runtime.InvalidEntrypoint",
        "https://github.com/aws/aws-lambda-rust-runtime/issues/391",
        ("platform-mismatch", "entrypoint-missing", "entrypoint-not-executable", "entrypoint-format-invalid"),
    ),
    # The image is not there
    ("Source image {uri} does not exist", "https://github.com/aws/aws-cdk/issues/24648", ("image-missing",)),
    (
        "Source image {uri} is not valid",
        "https://github.com/aws-samples/bedrock-access-gateway/issues/205",
        ("image-missing",),
    ),
    ("manifest unknown", _ECR, ("image-missing", "manifest-missing")),
    ("Requested image not found", _ECR_API, ("image-missing",)),
    ("The image with imageId {id} does not exist within the repository", _ECR_API, ("image-missing",)),
    (
        "failed to resolve ref {reference}: not found",
        "https://github.com/aws/containers-roadmap/issues/2687",
        ("image-missing", "image-archived"),
    ),
    (
        "tag does not exist: {reference}",
        "https://github.com/aws-samples/serverless-patterns/pull/1264",
        ("image-missing",),
    ),
    ("No such image: {reference}", "https://github.com/vllm-project/aibrix/issues/1120", ("image-missing",)),
    (
        "The repository with name '{repository}' does not exist",
        "https://github.com/actions/starter-workflows/issues/2647",
        ("repository-missing",),
    ),
    # Documents that engines cannot read, in the words of Go's decoder
    ("invalid character {it} looking for beginning of", _GO_JSON, _UNREADABLE),
    ("invalid character {it} in literal", _GO_JSON, _UNREADABLE),
    ("invalid character {it} after", _GO_JSON, _UNREADABLE),
    ("unexpected end of JSON input", _GO_JSON, _UNREADABLE),
    ("json: cannot unmarshal {it} into Go", _GO_JSON, _UNREADABLE),
    ("parsing time {it} as {layout}: cannot parse", "https://pkg.go.dev/time#ParseError", _UNREADABLE),
    # The layers' bytes
    (
        'wrong diff id "{actual}" calculated on extraction "{expected}"',
        "https://github.com/containerd/containerd/blob/main/core/unpack/unpacker.go",
        ("diff-id-wrong",),
    ),
    ("failed to extract layer {diff_id}: unexpected EOF", _ENGINES, _ENDS_EARLY),
    ("failed to register layer: unexpected EOF", _ENGINES, _ENDS_EARLY),
    ("gzip: invalid checksum", _ENGINES, ("layer-corrupt",)),
    ("gzip: invalid header", _ENGINES, ("layer-corrupt",)),
    ("flate: corrupt input before offset", "https://pkg.go.dev/compress/flate#CorruptInputError", ("layer-corrupt",)),
    ("invalid input: magic number mismatch", _ENGINES, ("layer-corrupt",)),
    ("CRC check failed", _ENGINES, ("layer-corrupt",)),
    ("archive/tar: invalid tar header", _ENGINES, _NO_TAR),
    ("unhandled tar header type", _ENGINES, ("tar-invalid",)),
    ("failed to register layer: invalid entry name", _ENGINES, ("tar-invalid",)),
    ("failed to extract layer {diff_id}: link {it}: no such file or directory", _ENGINES, ("hardlink-target-missing",)),
    ("failed to register layer: link{it}: no such file or directory", _ENGINES, ("hardlink-target-missing",)),
    ("ctd-decoder resolves to executable in current directory", _ENGINES, ("layer-type-unsupported",)),
    # The start
    (_START + "stat {program}: no such file or directory", _ENGINES, ("entrypoint-missing", "no-layers")),
    (_START + "executable file not found in $PATH", _RUNC, ("entrypoint-missing",)),
    (_START + "permission denied", _RUNC, ("entrypoint-not-executable",)),
    (_START + "is a directory", _RUNC, ("entrypoint-not-executable", "entrypoint-missing")),
    ("exec {program}: no such file or directory", _RUNC, ("interpreter-missing", "entrypoint-missing")),
    ("exec {program}: invalid argument", _ENGINES, ("argument-invalid",)),
    ("exec {program}: permission denied", _RUNC, ("entrypoint-unreadable", "entrypoint-not-executable")),
    ("no users found", _ENGINES, ("user-missing",)),
    ("mount callback failed on {it} no such file or directory", _ENGINES, ("user-missing",)),
    # Permissions
    ("no basic auth credentials", "https://github.com/aws-actions/amazon-ecr-login/issues/337", ("access-denied",)),
    ("authorization token has expired", "https://github.com/aws/aws-cli/issues/6580", ("access-denied",)),
    (
        "pull access denied for {repository}",
        "https://github.com/aws/aws-cdk/issues/4274",
        ("access-denied", "repository-missing"),
    ),
    ("error parsing HTTP 403 response body", "https://github.com/deis/builder/issues/426", ("access-denied",)),
    (
        'exec: "docker-credential-{helper}": executable file not found in $PATH',
        "https://docs.docker.com/reference/cli/docker/login/#credential-helpers",
        ("access-denied",),
    ),
    ("403 Forbidden", _ECR, ("access-denied",)),
    ("401 Unauthorized", _ECS, ("access-denied",)),
    ("unauthorized: authentication required", _ECR, ("access-denied",)),
    ("AccessDenied", _ECS, ("access-denied",)),
    ("is not authorized to perform: ecr:", _ECS, ("access-denied",)),
    (
        "Be sure you configure your service with a valid access role to your ECR repository",
        "https://github.com/aws-containers/hello-app-runner/issues/3",
        ("access-denied", "repository-missing"),
    ),
    (
        "Lambda does not have permission to access the ECR image",
        "https://repost.aws/knowledge-center/lambda-ecr-image",
        ("lambda-access-denied",),
    ),
    # The network
    ("i/o timeout", "https://github.com/ActionIQ/terraform-aws-retool-ecs-fargate/issues/20", ("no-route",)),
    ("Client.Timeout exceeded while awaiting headers", _ECS, ("no-route",)),
    ("request canceled while waiting for connection", _ECS, ("no-route",)),
    ("context deadline exceeded", _ECS, ("no-route",)),
    ("connect: connection refused", _ENGINES, ("no-route",)),
    ("no such host", _ECS, ("no-route",)),
    ("RequestError: send request failed", _ECS_STOPPED, ("no-route",)),
    (
        "unable to pull secrets or registry auth",
        _ECS_STOPPED,
        ("no-route", "access-denied", "secret-unavailable"),
    ),
    ("x509: certificate", "https://pkg.go.dev/crypto/x509#UnknownAuthorityError", ("proxy-or-certificate",)),
    ("500 Internal Server Error", _ENGINES, ("registry-failed",)),
    ("503 Service Unavailable", _ECR, ("registry-failed", "rate-limited")),
    # Quotas, keys, disks
    ("toomanyrequests", "https://docs.docker.com/docker-hub/usage/", ("rate-limited",)),
    ("429 Too Many Requests", _ECR, ("rate-limited",)),
    ("Rate exceeded", _ECR, ("rate-limited",)),
    ("ThrottlingException", _ECR, ("rate-limited",)),
    ("KmsException", _ECR_API, ("key-unusable",)),
    ("KmsError", _ECR_API, ("key-unusable",)),
    ("KMSAccessDeniedException", _LAMBDA, ("key-unusable",)),
    ("KMS key used to encrypt the image is not accessible", _ECR_API, ("key-unusable",)),
    ("no space left on device", _ECS, ("disk-full", "image-needs-storage")),
    # What happens around the image
    (
        "OutOfMemory",
        "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/out-of-memory.html",
        ("out-of-memory",),
    ),
    (
        "OOMKilled",
        "https://kubernetes.io/docs/tasks/configure-pod-container/assign-memory-resource/",
        ("out-of-memory",),
    ),
    ("Essential container in task exited", _ECS_STOPPED, ("ended-by-itself",)),
    ("Task failed ELB health checks", _ECS_STOPPED, ("ended-by-itself",)),
    ("Task failed container health checks", _ECS_STOPPED, ("ended-by-itself",)),
    ("CrashLoopBackOff", "https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/", ("ended-by-itself",)),
    ("failed to validate logger args", _ECS_STOPPED, ("log-driver",)),
    ("failed to initialize logging driver", _ECS_STOPPED, ("log-driver",)),
    ("The specified log group does not exist", _ECS_STOPPED, ("log-driver",)),
    (
        "cannot be overwritten because the {it} is immutable",
        "https://github.com/moby/buildkit/issues/3776",
        ("tag-immutable", "not-an-image"),
    ),
    ("blob unknown", "https://github.com/moby/moby/issues/53293", ("push-incomplete",)),
    ("Cannot connect to the Docker daemon", "https://docs.docker.com/engine/daemon/troubleshoot/", ("no-docker",)),
    # What wraps another error, and says nothing by itself
    (
        "ECS Deployment Circuit Breaker was triggered",
        "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html",
        NOTHING,
    ),
    (
        "Your service failed to create. Review the application logs",
        "https://github.com/aws-samples/redcap-on-aws/issues/11",
        NOTHING,
    ),
    (
        "Failed to deploy your application image",
        "https://github.com/aws/apprunner-roadmap/issues/46",
        NOTHING,
    ),
    (
        "HandlerErrorCode: NotStabilized",
        "https://github.com/aws-samples/redcap-on-aws/issues/11",
        NOTHING,
    ),
    ("ImagePullBackOff", "https://kubernetes.io/docs/concepts/containers/images/", NOTHING),
    ("ErrImagePull", "https://kubernetes.io/docs/concepts/containers/images/", NOTHING),
    ("CannotPullContainerError", _ECS, NOTHING),
    (
        "CannotStartContainerError",
        "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cannot-start-container.html",
        NOTHING,
    ),
)


@cache
def wordings() -> tuple[Wording, ...]:
    """Every wording, each once: those that the catalogue and this list share have the causes of both."""
    found: dict[tuple[str, ...], Wording] = {}
    for wording in (*(Wording(text, causes, source) for text, source, causes in _OTHERS), *_from_the_catalogue()):
        parts = wording.parts
        if sum(map(len, parts)) < _LEAST:
            continue
        first = found.setdefault(parts, wording)
        causes = dict.fromkeys((*first.causes, *wording.causes))
        found[parts] = Wording(first.text, tuple(causes), first.source)
    return tuple(found.values())


def _from_the_catalogue() -> Iterator[Wording]:
    for finding in sorted(CATALOG, key=_rank):
        for text in MESSAGES.get(finding, {}).values():
            yield Wording(_stripped(text), (finding,), _ENGINES)
    for runtime in RUNTIMES.values():
        source = runtime.sources[-1]
        for text in dict.fromkeys(runtime.refused_manifests.values()):
            yield Wording(text, ("index-not-taken", "manifest-type-refused", "not-an-image"), source)
        for text in dict.fromkeys(runtime.refused_layers.values()):
            yield Wording(text, ("not-an-image", "layer-type-unsupported"), source)
        if runtime.parent_error:
            yield Wording(runtime.parent_error, ("parent-folder-missing",), source)


def _stripped(text: str) -> str:
    """A template without what stands around the error itself, unless that is all that there is."""
    for before in _BEFORE:
        rest = text.removeprefix(before)
        text = rest if len(squashed(_HOLE.sub("", rest))) >= _LEAST else text
    for after in _AFTER:
        text = text.removesuffix(after)
    return text


def _rank(finding: str) -> int:
    return _LIKELY.index(finding) if finding in _LIKELY else len(_LIKELY)
