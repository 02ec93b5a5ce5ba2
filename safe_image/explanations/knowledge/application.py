"""Failures of an image that was pulled and started: its program ends, is killed, does not answer, or cannot connect."""

from __future__ import annotations

from typing import Final

from ..cause import Cause, Words, unless
from ..contexts import BUILD, LAMBDA

_STOPPED: Final = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html"
_LOG: Final = ("Read the container's own log:", "$ aws logs tail LOG_GROUP --since 1h")

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
        "container-killed",
        "The container was killed (exit code 137): it used too much memory, or did not end in time after a stop.",
        "137 is signal 9. The image was pulled and started. The kernel sends it when memory runs out, and the engine "
        "when a program ignores the request to stop.",
        "run",
        ("application", "task definition"),
        words=unless(BUILD, "exited with code 137", "exit code 137", "exit code: 137", "exitCode: 137"),
        confirm=("Look at the memory metrics, and whether somebody stopped the container at that time.",),
        remedy=("Raise the memory, or let the program end on SIGTERM within the stop timeout.",),
        sources=(_STOPPED, "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/out-of-memory.html"),
    ),
    Cause(
        "container-crashed",
        "The program crashed with a segmentation fault (exit code 139, SIGSEGV).",
        "The image was pulled and started. Native code touched memory that it does not have: a bug, a library for "
        "another version of the C library, or an emulated architecture.",
        "run",
        ("application", "image"),
        words=unless(BUILD, "exited with code 139", "exit code 139", "exit code: 139", "exitCode: 139"),
        confirm=_LOG,
        remedy=("Run the image with a core dump or a debugger, and look at native modules first.",),
        sources=(_STOPPED,),
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
            "Health check failed on port",
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
)
