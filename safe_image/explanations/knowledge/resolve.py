"""Failures before anything is transferred: the name, the tag, permissions, secrets, quotas of the registry."""

from __future__ import annotations

from typing import Final

from ..cause import Cause, Words, near, unless
from ..contexts import ANY, BUILD, PULL, PUSH

_ECS_PULL: Final = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html"
_ECR_ERRORS: Final = "https://docs.aws.amazon.com/AmazonECR/latest/userguide/common-errors-docker.html"
_ECR_POLICY: Final = (
    "$ aws ecr get-repository-policy --region {region} --registry-id {registry_id} --repository-name {repository}"
)

CAUSES: Final = (
    Cause(
        "image-not-found",
        "The repository has no image of that tag or digest.",
        "The push did not happen or went elsewhere, the tag is misspelled, a lifecycle rule expired the image, or the "
        "tag was moved and ECS still asks for the digest that it resolved before. An archived image gives the same "
        "error.",
        "resolve",
        ("registry", "task definition"),
        words=(
            *unless(
                r"dockerbuild|failedtosolve",
                'failed to resolve reference "{reference}": {reference}: not found',
                "failed to resolve reference{reference}: not found",
                "failed to resolve ref {reference}: not found",
                "manifest for {reference} not found",
                "manifest unknown",
            ),
            "Requested image not found",
            "The image with imageId {id} does not exist within the repository",
            "tag does not exist: {reference}",
            "No such image: {reference}",
            *near(r"cannotpullcontainererror:error:image", "image {image} not found"),
            "ImageNotFoundException",
            "reference does not exist",
            "failed to copy: httpReadSeeker: failed open: content at {url} not found: not found",
            "failed to copy: httpReadSeeker: failed open: could not fetch content descriptor {it} not found",
        ),
        confirm=(
            "See whether the tag or the digest is there:",
            "$ aws ecr describe-images --region {region} --registry-id {registry_id} --repository-name {repository}",
        ),
        remedy=(
            "Push the image again, or correct the tag in the task definition. If only the digest is gone, force a new "
            "deployment, so that ECS resolves the tag anew:",
            "$ aws ecs update-service --cluster CLUSTER --service SERVICE --force-new-deployment",
        ),
        prevention=("Keep tags in use out of lifecycle rules, use immutable tags, and deploy by digest.",),
        sources=(_ECS_PULL, "https://github.com/aws/containers-roadmap/issues/2687", _ECR_ERRORS),
        findings=(
            "image-missing",
            "image-archived",
            "manifest-missing",
            "index-incomplete",
            "layer-missing",
            "config-missing",
            "index-descriptor-type",
            "layer-descriptor-invalid",
        ),
    ),
    Cause(
        "repository-missing",
        "The registry has no such repository in that account and region.",
        "The image's name leads to another account, another region or another repository than the push did, or the "
        "repository was removed.",
        "resolve",
        ("task definition", "registry"),
        words=(
            *unless(PUSH, "The repository with name", "name unknown", "RepositoryNotFoundException"),
            *near(PULL, "repository {name} not found", "404 Not Found"),
            "repository name not known to registry",
        ),
        confirm=(
            "List the repositories:",
            "$ aws ecr describe-repositories --region {region} --registry-id {registry_id}",
        ),
        remedy=("Correct account, region and name of the image, or create the repository and push the image there.",),
        prevention=("Reference the image through a construct, and not by a name that is written twice.",),
        sources=(_ECR_ERRORS, _ECS_PULL),
    ),
    Cause(
        "reference-invalid",
        "The image's name is not a valid reference: it must be lowercase, without https:// and spaces.",
        "A repository's name has lower case letters, digits and separators only. Usually a variable in the name is "
        "empty, or the name has capitals or a scheme.",
        "resolve",
        ("task definition",),
        words=(
            "invalid reference format",
            "must be lowercase",
            "could not parse reference",
            "failed to parse reference",
            "InvalidImageName",
            "couldn't parse image name",
            "couldn't parse image reference",
            "invalid tag format",
            "failed to normalize image reference",
        ),
        confirm=("Look at the image of the task definition as it was deployed.",),
        remedy=("Write the name as REGISTRY/repository:tag, all lower case, and deploy again.",),
        prevention=("Reference the image through a construct.",),
        sources=("https://pkg.go.dev/github.com/distribution/reference",),
    ),
    Cause(
        "pull-denied",
        "The puller of the image is not allowed to read it: the execution role, the node's role, the repository's "
        "policy or the login lacks a permission.",
        "A pull from ECR needs ecr:GetAuthorizationToken, ecr:BatchGetImage and ecr:GetDownloadUrlForLayer. For an "
        "image of another account, the repository's policy must allow it too. Docker Hub gives the same answer for a "
        "private or misspelled name.",
        "resolve",
        ("permissions",),
        words=(
            *unless(PUSH + "|dockerbuild|failedtosolve|lambda", "pull access denied", "no basic auth credentials"),
            "not found: does not exist or no pull access",
            '"code":"UNAUTHORIZED","message":"authentication required"',
            *near(
                PULL,
                "403 Forbidden",
                "401 Unauthorized",
                "unauthorized: authentication required",
                "AccessDenied",
                "access denied",
                "insufficient_scope: authorization failed",
                "denied: requested access to the resource is denied",
                "error parsing HTTP 403 response body",
                "failed to authorize",
                "denied: denied",
                unless=PUSH + "|failedtosolve|dockerbuild|" + "lambdadoesnot",
            ),
            *unless(
                f"{BUILD}|{PUSH}",
                "/manifests/{tag}: unauthorized",
                "/manifests/{tag}: denied",
                "Error response from daemon: unauthorized",
                "error from registry: unauthorized",
                "error from registry: denied",
                "failed to fetch oauth token: unexpected status: 403 Forbidden",
                "failed to fetch oauth token: unexpected status: 401 Unauthorized",
                "failed to fetch anonymous token: unexpected status: 403 Forbidden",
                "failed to fetch anonymous token: unexpected status: 401 Unauthorized",
            ),
            "is not authorized to perform: ecr:BatchGetImage",
            "is not authorized to perform: ecr:GetAuthorizationToken",
            "is not authorized to perform: ecr:GetDownloadUrlForLayer",
            "is not authorized to perform: ecr:BatchCheckLayerAvailability",
            "is not authorized to perform: ecr:BatchImportUpstreamImage",
            "no identity-based policy allows the ecr:",
            "may require 'docker login'",
            "permission_denied: read_package",
            "access to the requested resource is not authorized",
            "artifactregistry.repositories.downloadArtifacts",
            "unable to retrieve ecr registry auth: service call has been retried{it}AccessDenied",
        ),
        confirm=(
            "See the repository's policy, and the permissions of the role that pulls:",
            _ECR_POLICY,
            "$ aws ecs describe-task-definition --task-definition TASK_DEFINITION --query "
            "'taskDefinition.executionRoleArn'",
        ),
        remedy=(
            "Allow the role ecr:GetAuthorizationToken on *, and ecr:BatchGetImage, ecr:GetDownloadUrlForLayer and "
            "ecr:BatchCheckLayerAvailability on the repository: repository.grant_pull(role) in CDK.",
            "On a machine, log in again; a login lasts twelve hours:",
            "$ aws ecr get-login-password --region {region} | docker login --username AWS --password-stdin {registry}",
        ),
        prevention=("Let CDK grant the pull: ContainerImage.from_ecr_repository or from_docker_image_asset.",),
        sources=(_ECS_PULL, "https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-pull-iam.html", _ECR_ERRORS),
    ),
    Cause(
        "public-login-stale",
        "public.ecr.aws refuses the pull, usually because of an expired login: run docker logout public.ecr.aws.",
        "public.ecr.aws allows anonymous pulls, but not a login that has expired. The engine sends the stored login "
        "with every request, so the registry answers 403 Forbidden instead of the permission that nobody needs.",
        "resolve",
        ("permissions",),
        words=(
            Words("public.ecr.aws/{name}: unexpected status from HEAD request to {url}: 403 Forbidden", unless=BUILD),
            Words("public.ecr.aws/{name}: 403 Forbidden", unless=BUILD),
        ),
        remedy=("Remove the stored login and pull again:", "$ docker logout public.ecr.aws"),
        prevention=("Do not log in to public.ecr.aws on machines that keep their Docker configuration.",),
        sources=("https://docs.aws.amazon.com/AmazonECR/latest/public/public-troubleshooting.html",),
    ),
    Cause(
        "pull-login-expired",
        "The login for the registry has expired: an ECR token lasts twelve hours, and the engine sends an old one.",
        "docker login stores the token, and every later pull sends it. A machine that runs for more than twelve hours, "
        "or a pull secret that nobody renews, sends an expired token.",
        "resolve",
        ("permissions", "host engine"),
        words=near(
            PULL + "|pulling|errorresponsefromdaemon|pullsecret",
            "Your authorization token has expired",
            "authorization token has expired",
            unless=rf"{PUSH}|failedtosolve|dockerbuild|public\.ecr\.aws",
        ),
        remedy=(
            "Log in again and pull again; for ECR:",
            "$ aws ecr get-login-password --region {region} | docker login --username AWS --password-stdin {registry}",
        ),
        prevention=("Let amazon-ecr-credential-helper get a token for each pull, or pull with the node's role.",),
        sources=("https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html", _ECR_ERRORS),
    ),
    Cause(
        "registry-password-wrong",
        "The registry refuses the login: the user name, the password or the access token of the pull is wrong.",
        "The secret of the service (repositoryCredentials, imagePullSecrets, CodeBuild's registryCredential) or the "
        "stored login has an old password, or a JSON key with another name than username and password.",
        "resolve",
        ("permissions",),
        words=unless(
            f"{BUILD}|{PUSH}", "unauthorized: incorrect username or password", "incorrect username or password"
        ),
        confirm=("Log in by hand with the same user name and password:", "$ docker login {registry}"),
        remedy=("Correct the user name and the access token in the secret, and pull again.",),
        prevention=("Keep the image in ECR, where the role pulls without a password.",),
        sources=("https://docs.aws.amazon.com/AmazonECS/latest/developerguide/private-auth.html",),
    ),
    Cause(
        "accept-header-refused",
        "ECR refuses the request for the manifest: a media type in the engine's Accept header is not valid for ECR.",
        "An engine lists the media types that it accepts. ECR answers 405 if one of them is empty, too long or not a "
        "media type. Engines in development and proxies that rewrite headers send such a list.",
        "resolve",
        ("host engine", "registry"),
        words=(
            "Invalid parameter at 'acceptedMediaTypes' failed to satisfy constraint",
            *near(PULL, "405 Method Not Allowed", unless=PUSH),
        ),
        confirm=("Pull the image with another engine or from another network.",),
        remedy=("Upgrade the engine on the host, or pull without the proxy.",),
        sources=(
            "https://github.com/bottlerocket-os/bottlerocket/issues/399",
            "https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchGetImage.html",
        ),
    ),
    Cause(
        "pull-rate-limited",
        "The registry refuses the pull, because too many were made: a rate limit or a quota.",
        "Docker Hub limits pulls without a login by address, and all tasks behind one NAT gateway share an address. "
        "ECR throttles when many tasks start at once.",
        "resolve",
        ("quota", "registry"),
        words=(
            *unless(
                f"{BUILD}|{PUSH}",
                "toomanyrequests: You have reached your pull rate limit",
                "You have reached your unauthenticated pull rate limit",
                "You have reached your pull rate limit",
                "toomanyrequests:",
            ),
            *near(
                PULL,
                "toomanyrequests",
                "429 Too Many Requests",
                "Rate exceeded",
                "ThrottlingException",
                unless=f"{BUILD}|{PUSH}",
            ),
            "UpstreamTooManyRequests",
        ),
        remedy=(
            "From Docker Hub: pull with a login (repositoryCredentials), through ECR (pull through cache), or take the "
            "same image from public.ecr.aws/docker/library.",
            "From ECR: start fewer tasks at once, and request a higher quota.",
        ),
        prevention=("Keep every image that a service runs in your own ECR.",),
        sources=(
            "https://docs.docker.com/docker-hub/usage/",
            "https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html",
        ),
    ),
    Cause(
        "pull-through-failed",
        "ECR could not fetch the image from the upstream registry of a pull through cache.",
        "The upstream's login in Secrets Manager is wrong, the upstream limits pulls, or the first puller lacks "
        "ecr:BatchImportUpstreamImage and ecr:CreateRepository.",
        "resolve",
        ("registry", "permissions"),
        words=(
            "UnableToGetUpstreamImageException",
            "UpstreamAccessDenied",
            "UpstreamUnavailable",
            "UnableToGetUpstreamLayerException",
            "unable to pull image from the upstream",
        ),
        confirm=("Validate the rule:", "$ aws ecr validate-pull-through-cache-rule --ecr-repository-prefix PREFIX"),
        remedy=(
            "Correct the upstream's login, and allow the role ecr:BatchImportUpstreamImage and ecr:CreateRepository.",
        ),
        sources=("https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache.html",),
    ),
    Cause(
        "key-unusable",
        "The KMS key that encrypts the repository's images cannot be used.",
        "The key is disabled or marked for deletion, or its policy does not allow ECR or the role kms:Decrypt.",
        "resolve",
        ("permissions",),
        words=(
            *near(ANY + "|image", "KmsException", "KmsError", "KMS key used to encrypt the image is not accessible"),
            *near(ANY, "KMS.DisabledException", "is pending deletion", "not authorized to perform: kms:Decrypt"),
        ),
        confirm=(
            "See the repository's key, and its state:",
            "$ aws ecr describe-repositories --region {region} --registry-id {registry_id} --repository-names "
            "{repository} --query 'repositories[].encryptionConfiguration'",
            "$ aws kms describe-key --key-id KEY",
        ),
        remedy=("Enable the key, and allow ECR and the role kms:Decrypt in its policy.",),
        sources=("https://docs.aws.amazon.com/AmazonECR/latest/userguide/encryption-at-rest.html",),
    ),
    Cause(
        "registry-failed",
        "The registry answered with an error of its own (5xx).",
        "The registry or the proxy before it is overloaded or out of order.",
        "resolve",
        ("registry",),
        words=(
            "received unexpected HTTP status: 5",
            *near(
                PULL,
                "500 Internal Server Error",
                "502 Bad Gateway",
                "503 Service Unavailable",
                "504 Gateway Time",
                "received unexpected HTTP status: 5",
                "unknown: Internal Server Error",
                "upstream connect error",
                unless=PUSH,
            ),
        ),
        confirm=("See the state of the service at https://health.aws.amazon.com or https://www.dockerstatus.com.",),
        remedy=("Try again. If it stays, look at the registry's status page and at the proxy.",),
        prevention=("Keep images that services run in a registry of the same region.",),
        sources=("https://health.aws.amazon.com/health/status", _ECR_ERRORS),
    ),
)
