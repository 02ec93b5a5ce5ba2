"""Failures at a container's start that are the host's: its kernel, its engine, its memory, its ports, its GPU."""

from __future__ import annotations

from typing import Final

from ..cause import Cause

_ECS_START: Final = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cannot-start-container.html"

CAUSES: Final = (
    Cause(
        "port-in-use",
        "A port that the container publishes is in use on the host.",
        "Another container or program on the instance listens on the host port of the task definition.",
        "start",
        ("host engine", "task definition"),
        words=("port is already allocated", "Bind for 0.0.0.0:{port} failed", "ports are not available"),
        confirm=("$ docker ps",),
        remedy=("Use a dynamic host port (hostPort 0) or awsvpc networking.",),
        sources=("https://docs.aws.amazon.com/AmazonECS/latest/developerguide/networking-networkmode-bridge.html",),
    ),
    Cause(
        "host-out-of-memory-start",
        "The host could not start the container: its memory limit is too small, or the host has no memory left.",
        "A limit of a few MiB kills runc itself before the program starts.",
        "start",
        ("task definition", "host engine"),
        words=(
            "container init was OOM-killed (memory limit too low?)",
            "container init was OOM-killed",
            "failed to write to memory.limit_in_bytes",
            "fork/exec /proc/self/exe: cannot allocate memory",
            "fork/exec {program}: resource temporarily unavailable",
            "Minimum memory limit allowed is",
        ),
        remedy=("Raise the container's memory in the task definition.",),
        sources=(_ECS_START,),
    ),
    Cause(
        "engine-did-not-answer",
        "The host's container engine did not answer in time, so the container was not created, started or inspected.",
        "The instance is overloaded: its disk (EBS burst balance), its memory or its CPU is exhausted, or too many "
        "tasks start at once. The image is not involved.",
        "start",
        ("host engine",),
        words=(
            "Could not transition to inspecting; timed out",
            "Could not transition to started; timed out",
            "Could not transition to created; timed out",
            "Could not transition to {state}; timed out",
        ),
        confirm=("Look at the instance's disk, memory and CPU metrics, and at the engine's log.",),
        remedy=("Start the task on another instance, or replace the instance.",),
        prevention=("Use larger or faster volumes (gp3), and leave memory for the host.",),
        sources=(_ECS_START,),
    ),
    Cause(
        "engine-feature-missing",
        "The host's engine does not support an option of the container.",
        "A device, GPU runtime, capability, ulimit or cgroup of the task definition needs another host.",
        "start",
        ("host engine", "task definition"),
        words=(
            "unknown or invalid runtime name",
            "failed to create shim task: OCI runtime create failed: unable to retrieve OCI runtime error",
            "error setting rlimits",
            "cgroups: cgroup mountpoint does not exist",
            "OCI runtime create failed: systemd not running",
        ),
        remedy=("Run the task on a host that has the feature, or remove the option.",),
        sources=(_ECS_START,),
    ),
    Cause(
        "gpu-missing",
        "The host has no NVIDIA driver or container toolkit that works, so a container with a GPU does not start.",
        "The NVIDIA hook of the engine runs before the program and finds no driver, another version of its library, or "
        "a GPU that is no longer there.",
        "start",
        ("host engine", "task definition"),
        words=(
            "could not select device driver",
            "nvidia-container-cli: initialization error",
            "nvidia-container-cli: initialization error: cannot open shared object file: no such file or directory",
            "nvidia-container-cli: initialization error: load library failed",
            "nvidia-container-cli: detection error",
            "nvidia-container-cli: device error",
            "nvidia-container-cli: requirement error",
        ),
        confirm=("Ask the driver on the host:", "$ nvidia-smi"),
        remedy=(
            "Use the GPU variant of the ECS or EKS image, or install the driver and the NVIDIA Container Toolkit.",
        ),
        prevention=("Keep the driver of the host at least as new as the image's CUDA requires.",),
        sources=(
            "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-gpu.html",
            "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/troubleshooting.html",
        ),
    ),
    Cause(
        "host-selinux",
        "The host's SELinux setting does not let runc label the container's keys.",
        "runc writes to /proc/self/attr/keycreate where SELinux is on for containers. A kernel or policy without that "
        "label refuses the write. The image is not involved.",
        "start",
        ("host engine",),
        words=("failed to set /proc/self/attr/keycreate",),
        confirm=("See the mode of SELinux on the host:", "$ getenforce"),
        remedy=("Install the host's container-selinux policy, or turn SELinux off in the engine's configuration.",),
        sources=("https://github.com/containerd/containerd/issues/5864",),
    ),
    Cause(
        "host-runtime-failed",
        "runc failed on the host before the container's program ran: the kernel, a cgroup or systemd refused.",
        "Namespaces, cgroups and mounts are set up first. An old kernel, a systemd that does not answer, or a host "
        "without memory makes that fail. The image is not involved.",
        "start",
        ("host engine",),
        words=(
            "running exec setns process for init caused",
            "error creating systemd unit",
            "applying cgroup configuration for process caused: error creating systemd unit",
            "unable to apply cgroup configuration",
            "nsexec{it}failed to",
        ),
        confirm=("Read the host's log:", "$ journalctl -u docker -u containerd --since -1h"),
        remedy=("Start the task on another host, and replace this one.",),
        prevention=("Use a current host image, and leave memory for the host.",),
        sources=(
            "https://github.com/opencontainers/runc/issues/3312",
            "https://github.com/opencontainers/runc/issues/1343",
        ),
    ),
)
