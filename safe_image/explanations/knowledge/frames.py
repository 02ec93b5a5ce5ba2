"""Texts that say where something failed and not why: the cause is not in the text, and this is how to get it."""

from __future__ import annotations

from typing import Final

from ..cause import Cause, near, unless
from ..contexts import BUILD

_ECS_PULL: Final = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html"
_STOPPED: Final = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html"
_WHOLE_REASON: Final = (
    "Read the whole reason:",
    "$ aws ecs describe-tasks --cluster CLUSTER --tasks TASK --query 'tasks[].[stoppedReason,containers[].reason]'",
    "$ safe-image explain --service CLUSTER/SERVICE",
)
_CHECK_LAYERS: Final = ("Read the image's layers:", "$ safe-image check {image} --layers --runs-on {runs_on}")

CAUSES: Final = (
    Cause(
        "layer-not-unpacked",
        "A layer could not be unpacked, and this text does not say the cause.",
        "The engine names the layer and what the operating system answered. That can be the host (permissions, a "
        "broken store, a security module) or the layer's content.",
        "unpack",
        ("unknown",),
        words=(
            "failed to extract layer {layer}: {error}",
            "failed to extract layer",
            "failed to register layer: {error}",
            "failed to register layer",
            "failed to unpack image on snapshotter",
            "ApplyLayer exit status 1",
            "mount callback failed on",
            "failed to mount {path}/containerd-mount",
        ),
        confirm=(
            *_CHECK_LAYERS,
            "Pull the image on another host: if that works, the first host is to blame. Its engine's log says more:",
            "$ journalctl -u containerd -u docker --since -1h",
        ),
        remedy=("Find out which of the two it is before you change anything.",),
        sources=("https://github.com/containerd/containerd/blob/main/core/unpack/unpacker.go",),
        findings=(
            "layer-truncated",
            "layer-corrupt",
            "tar-invalid",
            "path-duplicated",
            "xattr-invalid",
            "hardlink-target-missing",
        ),
        specificity="frame",
    ),
    Cause(
        "not-fetched",
        "A part of the image could not be fetched, and this text does not say the cause.",
        "The engine names what it fetched. The reason, such as a time-out or a status of the registry, stands behind "
        "it.",
        "pull",
        ("unknown",),
        words=(
            "failed to copy: httpReadSeeker: failed open",
            "failed to copy:",
            *unless(BUILD, "failed to resolve reference", "failed to resolve ref", "failed to do request"),
            "failed to pull and unpack image",
            'failed commit on ref "',
            "pull image manifest has been retried",
            "ref pull has been retried",
            "image config pull has been retried",
            "Error response from daemon: Get",
        ),
        confirm=_WHOLE_REASON,
        remedy=("Give the whole text to safe-image explain: its end says why.",),
        sources=(_ECS_PULL,),
        specificity="frame",
    ),
    Cause(
        "not-pushed",
        "The push failed, and this text does not say why.",
        "The CDK CLI and CI tools repeat only docker's exit code. The lines above have docker's own message.",
        "push",
        ("unknown",),
        words=(
            "docker push {reference} exited with error code",
            "docker push{it}exited with error code",
            "failed to push",
            "error pushing image",
            "error determining upload URL",
            "Failed to publish asset",
            "Failed to publish one or more assets",
            "Failed to publish",
        ),
        confirm=("Push by hand to see docker's message:", "$ docker push {image}"),
        remedy=("Give docker's own message to safe-image explain.",),
        sources=("https://github.com/aws/aws-cdk/issues/33264",),
        specificity="frame",
    ),
    Cause(
        "not-started",
        "The container could not be created or started, and this text does not say the cause.",
        "The engine names the step. The reason stands behind the last colon, or was cut off.",
        "start",
        ("unknown",),
        words=(
            "failed to create shim task",
            "OCI runtime create failed",
            "unable to start container process",
            "failed to create new container runtime task",
            "failed to create task for container",
            "error during container init",
        ),
        confirm=_WHOLE_REASON,
        remedy=("Give the whole text to safe-image explain: its end says why.",),
        sources=("https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cannot-start-container.html",),
        specificity="frame",
    ),
    Cause(
        "resources-not-initialized",
        "The task failed before its container started, and this text does not say the cause.",
        "ResourceInitializationError covers the network interface, secrets, volumes and the log driver. The words "
        "behind it name which.",
        "start",
        ("unknown",),
        words=("ResourceInitializationError",),
        confirm=_WHOLE_REASON,
        remedy=("Give the whole reason to safe-image explain.",),
        sources=("https://docs.aws.amazon.com/AmazonECS/latest/developerguide/resource-initialization-error.html",),
        specificity="wrapper",
    ),
    Cause(
        "pull-failed",
        "The image could not be pulled, and this text does not say why.",
        "CannotPullContainerError and its like say only that the pull failed. The reason stands behind it.",
        "pull",
        ("unknown",),
        words=(
            "CannotPullContainer",
            "CannotPullECRContainerError",
            "CannotPullImageManifestError",
            "Failed to pull image",
        ),
        confirm=(*_WHOLE_REASON, "Check the image:", "$ safe-image check {image} --runs-on {runs_on}"),
        remedy=("Give the whole reason to safe-image explain.",),
        sources=(_ECS_PULL,),
        specificity="wrapper",
    ),
    Cause(
        "start-failed",
        "The container could not be started, and this text does not say why.",
        "CannotStartContainerError, ContainerCannotRun and TaskFailedToStart say only that the start failed.",
        "start",
        ("unknown",),
        words=(
            "CannotStartContainer",
            "CannotCreateContainer",
            "TaskFailedToStart",
            "ContainerCannotRun",
            "RunContainerError",
        ),
        confirm=_WHOLE_REASON,
        remedy=("Give the whole reason to safe-image explain.",),
        sources=(_STOPPED,),
        specificity="wrapper",
    ),
    Cause(
        "custom-resource-failed",
        "The function behind a custom resource answered FAILED; the text after `Message returned` says why, if "
        "anything.",
        "CloudFormation repeats what the function sends. Where that is only a log stream's name, the cause is in that "
        "log.",
        "create",
        ("unknown",),
        words=("Received response status [FAILED] from custom resource", "Failed to create resource. See reason in"),
        confirm=("Read the function's log:", "$ aws logs tail /aws/lambda/FUNCTION --since 1h"),
        remedy=("Give the message in the log to safe-image explain.",),
        sources=("https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-custom-resources.html",),
        specificity="wrapper",
    ),
    Cause(
        "deployment-failed",
        "A service's deployment failed, and this text does not say why: the reason is in the stopped tasks.",
        "The circuit breaker and CloudFormation report only that tasks did not become healthy. Stopped tasks vanish "
        "after about an hour.",
        "other",
        ("unknown",),
        words=(
            "ECS Deployment Circuit Breaker was triggered",
            "Deployment Circuit Breaker",
            "deployment failed: tasks failed to start",
            "HandlerErrorCode: NotStabilized",
            "did not stabilize",
            "Exceeded attempts to wait",
            "Failed to deploy your application image",
            "has reached a steady state{it}deployment failed",
            "unable to consistently start tasks successfully",
            *near(r"ecs::service|awsecsservice", "Resource creation cancelled", "Resource timed out"),
        ),
        confirm=(
            "Let safe-image read the stopped tasks and the events:",
            "$ safe-image explain --service CLUSTER/SERVICE",
        ),
        remedy=("Explain the service, or give the stopped task's reason to safe-image explain.",),
        sources=(
            "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html",
            _STOPPED,
        ),
        specificity="wrapper",
    ),
)
