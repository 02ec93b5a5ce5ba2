"""Failures that Lambda reports of an image: its format, its place, its permissions."""

from __future__ import annotations

from typing import Final

from ..cause import Cause, near
from ..contexts import LAMBDA

_CREATE: Final = "https://docs.aws.amazon.com/lambda/latest/dg/images-create.html"
_STATES: Final = "https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html"
_CHECK: Final = ("Check the image for Lambda:", "$ safe-image check {image} --runs-on lambda --platform {platform}")
_CHECK_LAYERS: Final = (
    "Check the image for Lambda, its layers too:",
    "$ safe-image check {image} --runs-on lambda --platform {platform} --layers",
)

CAUSES: Final = (
    Cause(
        "lambda-index",
        "Lambda was given an index, or an image with an attestation (provenance) beside it, and accepts only a single "
        "image.",
        "docker build attaches provenance by default, which turns the tag into an index. A build for several platforms "
        "and SOCI do the same.",
        "create",
        ("image", "build machine"),
        words=(
            "image manifest, config or layer media type for the source image {uri} is not supported",
            "image manifest or layer media type for the source image {uri} is not supported",
            "image manifest, config or layer media type for the source image",
            "image manifest or layer media type for the source image",
            "media type for the source image",
        ),
        confirm=_CHECK,
        remedy=(
            "Build one platform without an attestation, and push under a new tag:",
            "$ docker buildx build . -t REPOSITORY:TAG --push --platform {platform} --provenance=false --sbom=false",
        ),
        prevention=("Build with SafeDockerImageAsset, or set BUILDX_NO_DEFAULT_ATTESTATIONS=1 in the pipeline.",),
        sources=(
            _CREATE,
            "https://github.com/serverless/serverless/issues/12933",
            "https://github.com/docker/buildx/issues/1533",
        ),
        findings=("index-not-taken", "manifest-type-refused", "not-an-image", "layer-type-unsupported"),
    ),
    Cause(
        "lambda-layer-refused",
        "Lambda refuses a layer of the image: it is an attestation's, or an uncompressed layer under Docker's media "
        "type.",
        "Either the tag points at a build attestation (provenance), which happens when several manifests race for an "
        "immutable tag, or a tool such as Bazel pushed layers without compression.",
        "create",
        ("image", "build machine"),
        words=("UnsupportedImageLayerDetected", "ImageLayerFailure"),
        confirm=_CHECK,
        remedy=(
            "For an attestation: build with --provenance=false, and push under a new tag.",
            "For an uncompressed layer: let the tool write gzip layers.",
        ),
        prevention=("Build with SafeDockerImageAsset, which verifies the image before the function is updated.",),
        sources=(
            "https://github.com/aws/aws-cdk/issues/33522",
            "https://github.com/bazel-contrib/rules_oci/issues/777",
        ),
        findings=("not-an-image", "layer-type-unsupported"),
    ),
    Cause(
        "lambda-uri-invalid",
        "Lambda cannot use this image URI: the image is in another region, the URI has no tag or both a tag and a "
        "digest, or it is not one of a private ECR repository.",
        "Lambda takes images only from ECR in the function's own region, by tag or by digest: no Docker Hub, no "
        "public.ecr.aws, no FIPS or dual stack host name.",
        "create",
        ("task definition",),
        words=(
            "Source image {uri} is not valid",
            "Source image {uri} is not valid. Provide a valid source image",
            *near(LAMBDA, "ImageUri{it}failed to satisfy constraint", "Member must satisfy regular expression pattern"),
        ),
        confirm=("Compare the region in the URI with the function's.",),
        remedy=(
            "Push the image to ECR in the function's region, and use ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG.",
        ),
        prevention=("Replicate the repository into the region (ECR replication), or build the asset in each region.",),
        sources=(_CREATE, "https://github.com/aws-samples/bedrock-access-gateway/issues/205"),
        findings=("image-missing",),
    ),
    Cause(
        "lambda-image-missing",
        "The function's image does not exist in ECR.",
        "The push did not happen, or the tag or digest is another one.",
        "create",
        ("registry", "task definition"),
        words=("Source image {uri} does not exist",),
        confirm=(
            "$ aws ecr describe-images --region {region} --registry-id {registry_id} --repository-name {repository}",
        ),
        remedy=("Push the image before the function is created, or correct the URI.",),
        sources=("https://github.com/aws/aws-cdk/issues/24648",),
        findings=("image-missing",),
    ),
    Cause(
        "lambda-image-deleted",
        "The function's image was deleted from ECR, by a lifecycle rule or by hand.",
        "Lambda keeps using the digest that it resolved. When ECR no longer has it, the function becomes inactive and "
        "can no longer be invoked.",
        "run",
        ("registry",),
        words=(
            "trying to use a deleted image",
            "ImageDeleted",
            "Lambda has lost access to the image",
        ),
        confirm=("See the digest of the function:", "$ aws lambda get-function --function-name NAME --query Code"),
        remedy=(
            "Push the image again, then update the function's code with it:",
            "$ aws lambda update-function-code --function-name NAME --image-uri {image}",
        ),
        prevention=("Keep images in use out of lifecycle rules: count tagged images generously.",),
        sources=(_STATES, "https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html"),
        findings=("image-missing",),
    ),
    Cause(
        "lambda-cannot-initialize",
        "Lambda cannot initialize the image: the tag now is an index (SOCI v2, an attestation), or the image is "
        "damaged.",
        "The function's image was accepted once and could not be optimized afterwards. SOCI v2 and builds with "
        "provenance turn a tag into an index, which Lambda does not accept; layers that are refused have the same "
        "effect.",
        "start",
        ("image",),
        words=(
            "Lambda cannot initialize the provided container image",
            "CodeArtifactUserFailed",
            "cannot initialize the provided container image",
        ),
        confirm=_CHECK_LAYERS,
        remedy=(
            "Build one platform without an attestation and without SOCI v2, push under a new tag, and update the "
            "function:",
            "$ docker buildx build . -t REPOSITORY:TAG --push --platform {platform} --provenance=false --sbom=false",
        ),
        prevention=("Turn SOCI indexing off for repositories of Lambda images.",),
        sources=("https://github.com/CloudSnorkel/cdk-github-runners/issues/768", _STATES),
        findings=("index-not-taken", "not-an-image", "layer-type-unsupported", "manifest-type-refused"),
    ),
    Cause(
        "lambda-not-ready",
        "Lambda is still getting the function ready: wait, it will work shortly.",
        "After a create, an update or weeks without a call, Lambda optimizes the image before the first call. Nothing "
        "is wrong with the image.",
        "start",
        ("nobody",),
        words=(
            "CodeArtifactUserPending",
            "Lambda is initializing your function",
            "It will be ready to invoke shortly",
            "The operation cannot be performed at this time. The function is currently in the following state: Pending",
            "function is currently in the following state: Pending",
            "The function is currently in the following state: Inactive",
            "An update is in progress for resource: arn:aws:lambda",
        ),
        confirm=("See the state:", "$ aws lambda get-function --function-name NAME --query Configuration.State"),
        remedy=(
            "Wait until the function is active, then call it again:",
            "$ aws lambda wait function-active-v2 --function-name NAME",
        ),
        prevention=("Wait for function-active-v2 or function-updated-v2 in scripts after each update.",),
        sources=(_STATES,),
    ),
    Cause(
        "lambda-access-denied",
        "Lambda may not read the image: the repository's policy does not permit the service, or the role that deploys "
        "lacks ECR permissions.",
        "For an image of the same account, Lambda adds the permission itself if the deployer may. For another account, "
        "the repository's policy must allow lambda.amazonaws.com and that account.",
        "create",
        ("permissions",),
        words=(
            "Lambda does not have permission to access the ECR image",
            "Lambda does not have permission to access the image",
            "does not have permission to access the ECR",
            "ImageAccessDenied",
        ),
        confirm=(
            "$ aws ecr get-repository-policy --region {region} --registry-id {registry_id} --repository-name "
            "{repository}",
        ),
        remedy=(
            "Allow lambda.amazonaws.com ecr:BatchGetImage and ecr:GetDownloadUrlForLayer in the repository's policy, "
            "for another account with a condition on aws:sourceArn.",
        ),
        sources=("https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#gettingstarted-images-permissions",),
    ),
    Cause(
        "lambda-key-unusable",
        "Lambda cannot use a KMS key: the repository's, or that of the function's environment variables.",
        "The key is disabled, or its policy does not allow the execution role kms:Decrypt.",
        "start",
        ("permissions",),
        words=(
            "KMSAccessDeniedException",
            "KMSDisabledException",
            "Lambda was unable to decrypt the environment variables",
        ),
        confirm=("$ aws kms describe-key --key-id KEY",),
        remedy=("Enable the key and allow the role kms:Decrypt.",),
        sources=("https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html",),
    ),
    Cause(
        "lambda-image-too-large",
        "The image is larger than Lambda accepts: 10 GB uncompressed.",
        "Large models, compilers or caches in the image exceed Lambda's limit.",
        "create",
        ("image", "quota"),
        words=(
            "ImageSizeLimitExceeded",
            "Uncompressed container image size exceeds",
            "image size exceeds 10",
            "InvalidImage(ImageTooLarge",
        ),
        confirm=_CHECK,
        remedy=("Make the image smaller, or load large files from S3 or EFS at the start.",),
        sources=("https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html",),
        findings=("image-too-large-for-runtime",),
    ),
    Cause(
        "lambda-invalid-image",
        "Lambda refused the image, and this text does not say why.",
        "InvalidImage is followed by the reason in parentheses. Without it, the check of the image is the shortest "
        "way.",
        "create",
        ("image", "unknown"),
        words=("InvalidImage",),
        confirm=_CHECK_LAYERS,
        remedy=(
            "Read the whole reason:",
            "$ aws lambda get-function --function-name NAME --query Configuration.StateReason",
        ),
        sources=(_STATES,),
        specificity="frame",
    ),
)
