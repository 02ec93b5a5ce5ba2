"""Failures while an image is pushed: the tag, the repository, permissions, and manifests that a registry refuses."""

from __future__ import annotations

from typing import Final

from ..cause import Cause, Words, near, seen, unless
from ..contexts import PUSH

_CDK_33264: Final = "https://github.com/aws/aws-cdk/issues/33264"
_MOBY_49949: Final = "https://github.com/moby/moby/pull/49949"
_PUSH_POLICY: Final = "https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html"
_ECR_ERRORS: Final = "https://docs.aws.amazon.com/AmazonECR/latest/userguide/common-errors-docker.html"

CAUSES: Final = (
    Cause(
        "push-race",
        "Several manifests raced for one immutable tag, and the tag may now point at a build attestation.",
        "Docker before 28.2.0 (25.0.16 apart) with the containerd image store pushes the image, its attestation and "
        "the index to the same tag. The repository's tags are immutable, so the first push wins and the next gets 400. "
        "If the attestation won, a retry succeeds and the service cannot pull.",
        "push",
        ("build machine", "registry"),
        words=(
            "failed commit on ref manifest-sha256:{it}: unexpected status from PUT request to {url}: 400 Bad Request",
            "failed commit on ref index-sha256:{it}: unexpected status from PUT request to {url}: 400 Bad Request",
            *unless(
                "/blobs/",
                "unexpected status from PUT request to {url}: 400 Bad Request",
                "unexpected status from PUT request 400 Bad Request",
            ),
            "unexpected status: 400 Bad Request{it}manifest",
            *seen(
                "https://github.com/docker/for-mac/issues/7561",
                'failed commit on ref "manifest-sha256:{digest}": unexpected status: 400 Bad Request',
                'failed commit on ref "index-sha256:{digest}": unexpected status: 400 Bad Request',
            ),
        ),
        confirm=(
            "See whether the tag points at an attestation:",
            "$ safe-image check {image}",
            "See which tools the machine has:",
            "$ safe-image doctor",
        ),
        remedy=(
            "Do not just push again: the tag exists now, so CDK skips the push and deploys what the tag points at.",
            "Check the tag. If it is refused, safe-image heal removes it after asking, and the next deploy pushes "
            "anew.",
        ),
        prevention=(
            "Upgrade to Docker 28.2.0 or later and AWS CDK CLI 2.179.0 or later, or build without an attestation: "
            "SafeDockerImageAsset does.",
        ),
        sources=(_CDK_33264, _MOBY_49949, "https://github.com/aws/aws-cdk/issues/30258"),
        findings=("not-an-image",),
    ),
    Cause(
        "push-tag-immutable",
        "The tag exists already with another image, and the repository's tags are immutable.",
        "A repository with immutable tags accepts each tag once. The build made another image under the same tag, or "
        "the push of an attestation got there first.",
        "push",
        ("registry", "build machine"),
        words=(
            "cannot be overwritten because the {it} is immutable",
            "cannot be overwritten because the repository is immutable",
            "tag invalid: The image tag",
            "ImageTagAlreadyExistsException",
        ),
        confirm=(
            "See what the tag points at:",
            "$ aws ecr describe-images --region {region} --registry-id {registry_id} --repository-name {repository}",
        ),
        remedy=("Push under a new tag. If safe-image check refuses the image of the tag, safe-image heal removes it.",),
        prevention=("Derive the tag from the content or the commit, as CDK does.",),
        sources=(
            "https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html",
            "https://github.com/moby/buildkit/issues/3776",
        ),
    ),
    Cause(
        "push-artifact-refused",
        "The registry does not accept this kind of artifact manifest, such as a build cache or an OCI artifact.",
        "BuildKit pushes its cache as an index of layers, and newer versions push attestations with a subject. ECR "
        "accepts the cache only with image-manifest=true,oci-mediatypes=true.",
        "push",
        ("registry", "build machine"),
        words=(
            *near(PUSH + r"|cache", "405 Method Not Allowed"),
            *near(PUSH + r"|cache", "Invalid parameter at 'ImageManifest' failed to satisfy constraint"),
            "error writing manifest blob: failed commit on ref {ref}: unexpected status: 400 Bad Request",
            "Invalid parameter at 'ImageManifest'",
        ),
        confirm=("Look at what the failed push was: a cache (--cache-to), an attestation, or the image.",),
        remedy=(
            "For a cache, pass --cache-to type=registry,ref=REF,mode=max,image-manifest=true,oci-mediatypes=true.",
            "For an attestation, set BUILDX_NO_DEFAULT_ATTESTATIONS=1 or BUILDX_NO_DEFAULT_OCI_ARTIFACT=true.",
        ),
        prevention=("Keep the cache in a repository of its own.",),
        sources=(
            "https://github.com/moby/buildkit/issues/5747",
            "https://github.com/aws/containers-roadmap/issues/876",
            "https://docs.docker.com/build/cache/backends/registry/",
        ),
    ),
    Cause(
        "push-ended-early",
        "The registry closed the connection: often a push permission (such as ecr:InitiateLayerUpload) is missing, or "
        "the repository does not exist.",
        "ECR often answers a push that it does not allow by closing the connection, and Docker retries until it "
        "reports EOF. A proxy that limits uploads has the same effect.",
        "push",
        ("permissions", "network"),
        words=(
            "Upload failed, retrying: EOF",
            "Upload failed, retrying",
            "Failed to upload layer: Put {url}: EOF",
            "Failed to upload layer",
            *near(
                r"dockerpush|failedtopush|pushrefersto|/blobs/uploads", "error code 1: EOF", "EOF", "write: broken pipe"
            ),
            *near(
                r"dockerpush|failedtopush|pushrefersto|/blobs/uploads",
                "connection reset by peer",
                "use of closed network",
            ),
        ),
        confirm=(
            "Ask whether the repository exists, and what its policy allows:",
            "$ aws ecr describe-repositories --region {region} --registry-id {registry_id} --repository-names "
            "{repository}",
            "$ aws ecr get-repository-policy --region {region} --registry-id {registry_id} --repository-name "
            "{repository}",
        ),
        remedy=(
            "Allow the role that pushes ecr:GetAuthorizationToken on *, and on the repository "
            "ecr:BatchCheckLayerAvailability, ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload, "
            "ecr:PutImage and ecr:BatchGetImage. Create the repository if it is missing.",
        ),
        prevention=("Push with the roles of cdk bootstrap.",),
        sources=(_PUSH_POLICY, "https://repost.aws/knowledge-center/ecr-eof-error"),
    ),
    Cause(
        "push-too-large",
        "A proxy before the registry limits the size of uploads, and a layer is larger than that.",
        "nginx and other proxies accept small bodies only (client_max_body_size). ECR itself accepts layers of up to "
        "52,000 MiB.",
        "push",
        ("network", "registry"),
        words=("413 Request Entity Too Large", "HTTP 413", "413 Payload Too Large"),
        remedy=("Raise the proxy's limit, or push without the proxy. Splitting a large layer helps too.",),
        prevention=("Set client_max_body_size 0 for registries.",),
        sources=("https://distribution.github.io/distribution/recipes/nginx/",),
    ),
    Cause(
        "push-denied",
        "The role or the login that pushes does not have a permission for the repository.",
        "A push needs more permissions than a pull: ecr:InitiateLayerUpload, ecr:UploadLayerPart, "
        "ecr:CompleteLayerUpload, ecr:PutImage and ecr:BatchCheckLayerAvailability.",
        "push",
        ("permissions",),
        words=(
            *near(PUSH, "403 Forbidden", "denied: User:", "no basic auth credentials", "401 Unauthorized"),
            *near(PUSH, "denied: requested access to the resource is denied", "error parsing HTTP 403 response body"),
            *near(PUSH, "unauthorized: authentication required", "insufficient_scope: authorization failed"),
            *near(PUSH, "unauthorized to access repository", "permission_denied: write_package"),
            "installation not allowed to Write organization package",
            "is not authorized to perform: ecr:InitiateLayerUpload",
            "is not authorized to perform: ecr:UploadLayerPart",
            "is not authorized to perform: ecr:CompleteLayerUpload",
            "is not authorized to perform: ecr:PutImage",
            "is not authorized to perform: ecr-public:",
            "error checking push permissions{it}UNAUTHORIZED",
            "trying to reuse blob{it}at destination{it}403 (Forbidden)",
            "failed to push {reference}: unexpected status from HEAD request to {url}: 403 Forbidden",
        ),
        confirm=(
            "See who pushes, and what the repository allows:",
            "$ aws sts get-caller-identity",
            "$ aws ecr get-repository-policy --region {region} --registry-id {registry_id} --repository-name "
            "{repository}",
        ),
        remedy=(
            "Allow the role the push permissions on the repository, then log in again; a login lasts twelve hours:",
            "$ aws ecr get-login-password --region {region} | docker login --username AWS --password-stdin {registry}",
        ),
        prevention=("Push with the roles of cdk bootstrap, or repository.grant_push(role).",),
        sources=(_PUSH_POLICY, _ECR_ERRORS),
    ),
    Cause(
        "push-login-expired",
        "The login for the push has expired: an ECR token lasts twelve hours, and Docker still sends the old one.",
        "docker login stores the token in ~/.docker/config.json. A build agent that runs longer, or a job that takes "
        "that long, pushes with an expired one.",
        "push",
        ("permissions", "build machine"),
        words=(
            *near(PUSH, "authorization token has expired", "Your authorization token has expired"),
            Words(
                "denied: Your authorization token has expired. Reauthenticate and try again",
                unless=r"pulling|errorresponsefromdaemon|failedtosolve|public\.ecr\.aws",
            ),
            Words(
                "Your Authorization Token has expired. Please run 'aws ecr get-login",
                unless=r"pulling|errorresponsefromdaemon|failedtosolve|public\.ecr\.aws",
            ),
        ),
        remedy=(
            "Log in again and push again:",
            "$ aws ecr get-login-password --region {region} | docker login --username AWS --password-stdin {registry}",
        ),
        prevention=("Log in at the beginning of each job, or install amazon-ecr-credential-helper on the agent.",),
        sources=("https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html", _ECR_ERRORS),
    ),
    Cause(
        "push-blob-refused",
        "The registry refused the upload of a layer (a blob) with 400: its bytes are not those of the digest, or the "
        "upload broke off.",
        "A layer is uploaded before the manifest. A proxy that changes or buffers uploads, a damaged build cache, or a "
        "connection that ends too early makes other bytes arrive than the digest promises. No tag is involved yet.",
        "push",
        ("registry", "network", "build machine"),
        words=(
            "unexpected status from PUT request to {url}/blobs/{digest}: 400 Bad",
            "unexpected 400 response status trying to initiate upload",
        ),
        confirm=("Push from another machine, or without the proxy.",),
        remedy=("Push again. If it fails again, build that layer anew, without the cache of the machine.",),
        prevention=("Let proxies pass uploads to registries through unchanged.",),
        sources=("https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs",),
    ),
    Cause(
        "push-tag-invalid",
        "The registry refuses the tag of the push with 400: a tag has letters, digits, _, . and - only, no + or /.",
        "Versions such as 1.2.3+abc are valid in semantic versioning and not in a tag. Tools that push by themselves "
        "(rules_oci, ko, crane) send the tag as it is.",
        "push",
        ("build machine", "image"),
        words=("{url}: unexpected status code 400 Bad Request (HEAD responses have no body, use GET for details)",),
        confirm=("Look at the tag in the address of the failed request.",),
        remedy=("Replace characters that tags do not have, such as + by -, and push again.",),
        sources=("https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests",),
    ),
    Cause(
        "push-repository-missing",
        "The registry has no repository of that name, so the push fails: create the repository first.",
        "ECR does not create repositories on a push. The name, the account or the region is wrong, or cdk bootstrap "
        "was not run in this account and region.",
        "push",
        ("registry", "task definition"),
        words=(
            *near(
                PUSH,
                "The repository with name",
                "name unknown",
                "RepositoryNotFoundException",
                "repository does not exist",
            ),
        ),
        confirm=(
            "List the repositories:",
            "$ aws ecr describe-repositories --region {region} --registry-id {registry_id}",
        ),
        remedy=("Correct the name or the region, create the repository, or run cdk bootstrap for a CDK app.",),
        prevention=("Create the repository in a stack that is deployed before the push.",),
        sources=(_ECR_ERRORS,),
    ),
    Cause(
        "push-not-bootstrapped",
        "The account and region are not bootstrapped for CDK, or the bootstrap repository was removed.",
        "cdk deploy pushes images to the repository of the bootstrap stack. The stack is missing, too old, or its "
        "repository was removed by hand.",
        "push",
        ("registry", "build machine"),
        words=(
            "Has the environment been bootstrapped",
            "is the environment bootstrapped",
            "No ECR repository named",
            "please run cdk bootstrap",
            "This CDK deployment requires bootstrap stack version",
        ),
        confirm=("See the bootstrap stack:", "$ aws cloudformation describe-stacks --stack-name CDKToolkit"),
        remedy=("Bootstrap the environment again:", "$ cdk bootstrap"),
        prevention=("Bootstrap each account and region before the first deploy.",),
        sources=("https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-env.html",),
    ),
    Cause(
        "push-incomplete",
        "The manifest was pushed before everything that it references: a blob is missing in the registry.",
        "The push of a layer was cut or skipped, and the manifest followed. Docker 29.7.0 does this; so does a builder "
        "that pushes an attestation with a subject to a registry that does not know subjects.",
        "push",
        ("build machine", "registry"),
        words=(
            "manifest blob unknown",
            "blob unknown to registry",
            "LayersNotFoundException",
            "ReferencedImagesNotFoundException",
            *near(PUSH, "blob unknown", "unknown blob", "MANIFEST_BLOB_UNKNOWN"),
            *near(r"manifestupload|pushing", "BLOB_UNKNOWN", "code:BLOB_UNKNOWN,message:unknown blob"),
            "Images with digests {digest} required for pushing image into repository",
            "Layers with digests {digest} required for pushing image into repository",
        ),
        remedy=("Push again. With Docker 29.7.0, use another version, or set BUILDX_NO_DEFAULT_OCI_ARTIFACT=true.",),
        prevention=("Upgrade the builder.",),
        sources=("https://github.com/moby/moby/issues/53293", "https://github.com/moby/buildkit/issues/7007"),
    ),
    Cause(
        "push-throttled",
        "ECR throttles the push: its quota of requests is exceeded.",
        "Many pushes at once, or large images with many layers, exceed the rate of a region.",
        "push",
        ("quota",),
        words=near(PUSH, "toomanyrequests", "429 Too Many Requests", "ThrottlingException", "Rate exceeded"),
        remedy=("Push again later, with fewer pushes at once.",),
        prevention=("Request a higher quota for the API that is throttled.",),
        sources=("https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html",),
    ),
    Cause(
        "push-network",
        "The build machine cannot reach the registry to push.",
        "DNS, a proxy, a VPN or the connection of the build machine fails. The image and the service are not involved.",
        "push",
        ("network", "build machine"),
        words=near(
            r"dockerpush|failedtopush|pushrefersto|/blobs/uploads",
            "i/o timeout",
            "TLS handshake timeout",
            "no such host",
            "server misbehaving",
            "Client.Timeout exceeded",
            "context deadline exceeded",
            "connect: connection refused",
            "network is unreachable",
            "504 Gateway",
            "502 Bad Gateway",
        ),
        remedy=("Push again. If it fails again, check the DNS, the proxy and the VPN of the build machine.",),
        prevention=("Push from a runner in the region of the repository.",),
        sources=(_ECR_ERRORS,),
    ),
    Cause(
        "login-not-saved",
        "Docker could not save the login: its credential helper is missing or failed.",
        "docker login hands the password to the helper named in ~/.docker/config.json (credsStore). The helper is not "
        "installed, is locked, or holds an old entry.",
        "push",
        ("build machine",),
        words=(
            "Error saving credentials: error storing credentials",
            "error getting credentials - err:",
            "error getting credentials",
            'exec: "docker-credential-{helper}": executable file not found in $PATH',
            "The specified item already exists in the keychain",
            "docker login --username AWS --password-stdin {registry} exited with error code 1",
        ),
        confirm=("See which helper is set:", "$ cat ~/.docker/config.json"),
        remedy=(
            "Install the helper, or remove credsStore and credHelpers from ~/.docker/config.json, and deploy again.",
        ),
        prevention=("Give CI a DOCKER_CONFIG directory of its own.",),
        sources=("https://docs.docker.com/reference/cli/docker/login/#credential-stores",),
    ),
)
