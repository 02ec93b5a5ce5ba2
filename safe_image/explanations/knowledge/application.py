"""Failures of an image that was pulled and started: its program ends, is killed, does not answer, or cannot connect."""

from __future__ import annotations

from typing import Final

from ..cause import Cause, Words, unless
from ..contexts import ANY, BUILD, LAMBDA, PUSH

_STOPPED: Final = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html"
_LOG: Final = ("Read the container's own log:", "$ aws logs tail LOG_GROUP --since 1h")
_ELSEWHERE: Final = f"{ANY}|{BUILD}|{PUSH}|{LAMBDA}"

CAUSES: Final = (
    Cause(
        "container-out-of-memory",
        "The container was killed because it used more memory than its limit.",
        "The image was pulled and started. The kernel killed the program (exit code 137), or the host ran out of "
        "memory.",
        "run",
        ("application", "task definition"),
        words=(
            "OutOfMemoryError: Container killed due to memory usage",
            "Container killed due to memory usage",
            "OutOfMemory: Container killed",
            "OOMKilled",
            Words("Runtime exited with error: signal: killed", LAMBDA),
        ),
        confirm=("Look at the memory metrics of the service.",),
        remedy=("Raise the memory of the task, the function or the pod, or reduce what the program uses.",),
        sources=("https://docs.aws.amazon.com/AmazonECS/latest/developerguide/out-of-memory.html",),
    ),
    Cause(
        "health-check-failed",
        "The container started, and its health check failed: the program, its port or the check's path is to blame, "
        "not the image.",
        "The load balancer or the container's own check got no good answer in time, so ECS replaced the task.",
        "run",
        ("application", "task definition"),
        words=(
            "Task failed ELB health checks",
            "Task failed container health checks",
            "is unhealthy in (target-group",
            "is unhealthy in target-group",
            "failed container health checks",
            "Request timed out{it}target-group",
            "Health checks failed with these codes",
            "Liveness probe failed",
            "Readiness probe failed",
            "Startup probe failed",
            "Container health check failed",
            "Health check failed on protocol",
        ),
        confirm=_LOG,
        remedy=("Compare the check's port and path with the program, lengthen the grace period, and read the log.",),
        prevention=("Set health_check_grace_period to longer than the start takes.",),
        sources=(
            "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/troubleshoot-service-load-balancers.html",
            _STOPPED,
        ),
    ),
    Cause(
        "container-exited",
        "The container was started, and its program ended: the image could be pulled and run.",
        "An essential container that exits stops the task. The program's own log says why.",
        "run",
        ("application",),
        words=(
            "Essential container in task exited",
            "CrashLoopBackOff",
            "Back-off restarting failed container",
            "EssentialContainerExited",
            "Container exited with non-zero exit code",
            "exited with code",
            "Container failed to start{it}exit code",
            "Your service failed to create. Review the application logs",
        ),
        confirm=(
            "See the containers' exit codes:",
            "$ aws ecs describe-tasks --cluster CLUSTER --tasks TASK --query "
            "'tasks[].containers[].[name,exitCode,reason]'",
            *_LOG,
        ),
        remedy=(
            "Fix what the log shows. Exit code 137 is a kill (memory or stop time-out), 139 a crash, 126 and 127 a "
            "command that cannot be executed or found, 255 often another architecture.",
        ),
        sources=(_STOPPED, "https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/"),
        findings=(
            "platform-mismatch",
            "entrypoint-wrong-machine",
            "entrypoint-format-invalid",
            "interpreter-missing",
            "argument-invalid",
        ),
        specificity="frame",
    ),
    Cause(
        "stopped-by-request",
        "Somebody or a deployment stopped the task; nothing failed.",
        "ECS stops old tasks when a deployment or scaling replaces them.",
        "other",
        ("nobody",),
        words=("Task stopped by user", "UserInitiated", "Scaling activity initiated by", "ServiceSchedulerInitiated"),
        remedy=("Look for a stopped task with another reason.",),
        sources=(_STOPPED,),
    ),
    Cause(
        "application-heap",
        "The program's own heap is full; this is not the container's memory limit.",
        "A Java or Node.js program limits its heap itself. The image was pulled and started.",
        "other",
        ("application",),
        words=unless(BUILD, "java.lang.OutOfMemoryError", "JavaScript heap out of memory", "Java heap space"),
        confirm=_LOG,
        remedy=("Raise -Xmx, MaxRAMPercentage or --max-old-space-size together with the memory of the task.",),
        sources=("https://docs.oracle.com/en/java/javase/21/troubleshoot/troubleshooting-memory-leaks.html",),
    ),
    Cause(
        "application-error",
        "A program reports an error of its own here: nothing in the text is about an image.",
        "The words are a program's: there is no pull, no registry and no ECS beside them. The image was pulled and "
        "started.",
        "other",
        ("application",),
        words=unless(
            _ELSEWHERE,
            "i/o timeout",
            "connection refused",
            "connection reset by peer",
            "no such host",
            "could not connect to server",
            "OperationalError",
            "ECONNREFUSED",
            "ETIMEDOUT",
            "ENOTFOUND",
            "AccessDenied",
            "ThrottlingException",
            "Rate exceeded",
            "context deadline exceeded",
            "ModuleNotFoundError",
            "Cannot find module",
            "Traceback (most recent call last)",
            "Segmentation fault",
            "panic: runtime error",
            "Exception in thread",
            "UnhandledPromiseRejection",
            "EADDRINUSE",
            "address already in use",
        ),
        confirm=_LOG,
        remedy=(
            "Read the program's log around this line. If the service also failed to pull, give that error instead.",
        ),
        sources=(_STOPPED,),
        specificity="frame",
    ),
)
