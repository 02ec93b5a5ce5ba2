"""The config: is it there and whole, does the engine read it, is it for this platform, can it be started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ..image.model import MAX_CONFIG_BYTES, Image, is_digest, sha256
from ..policy import Policy
from ..report import Finding, Severity
from ..rules.engine_messages import engine_message
from ..rules.runtimes import Runtime
from .artifact import is_refused
from .manifest import size_error


def is_there(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The config's descriptor is sound, and names a blob that has that digest and size."""
    if image.manifest is None:
        return
    config, content = image.manifest.config, image.config_content
    family = runtime.engines[0].family
    exact = any(engine.exact_sizes for engine in runtime.engines)
    if not is_digest(config.digest) or (config.size <= 0 and exact):
        yield Finding(
            "config-descriptor-invalid",
            Severity.ERROR,
            f"The manifest's config has the digest {config.digest!r} and the size {config.size}.",
            expected="a sha256 digest, and the size of the config in bytes",
            runtime_error=size_error("config-descriptor-invalid", config, len(content or b""), family),
        )
    elif content is None:
        if image.missing:
            yield Finding(
                "config-missing",
                Severity.ERROR,
                f"The registry does not hold the image's config {config.digest}.",
                runtime_error=engine_message(
                    "config-missing", family, digest=config.digest, media_type=config.media_type
                ),
            )
    elif len(content) > MAX_CONFIG_BYTES:
        yield Finding(
            "config-too-large",
            Severity.ERROR,
            f"The config has more than {MAX_CONFIG_BYTES} bytes.",
            expected=f"at most {MAX_CONFIG_BYTES} bytes",
        )
    elif sha256(content) != config.digest:
        yield Finding(
            "config-digest-mismatch",
            Severity.ERROR,
            f"The bytes of the config {config.digest} have the digest {sha256(content)}.",
            expected=config.digest,
            found=sha256(content),
            # containerd looks at the size first.
            runtime_error=size_error("config-size-mismatch", config, len(content), family)
            if exact and family == "containerd" and len(content) != config.size
            else engine_message(
                "config-digest-mismatch",
                family,
                name=f"config-{config.digest}",
                digest=config.digest,
                actual=sha256(content),
            ),
        )
    elif len(content) != config.size and exact:
        yield Finding(
            "config-size-mismatch",
            Severity.ERROR,
            f"The manifest says that the config has {config.size} bytes; it has {len(content)}.",
            expected=f"{config.size} bytes",
            found=f"{len(content)} bytes",
            runtime_error=size_error("config-size-mismatch", config, len(content), family),
        )


def is_readable(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The engine's decoder takes the config, and it has a `rootfs`."""
    engine = runtime.engines[0]
    problems: Mapping[str, str] = image.config.problems if image.config else {}
    if image.unreadable and image.unreadable[0] == "config":
        problems = image.unreadable[1]
    if image.manifest is None or is_refused(image, engine):
        return
    for refusing in runtime.engines:
        why = refusing.cannot_read(problems)
        if why:
            yield Finding(
                "config-unreadable",
                Severity.ERROR,
                f"The config {image.manifest.config.digest} cannot be read: {why}.",
                runtime_error=engine_message("config-unreadable", refusing.family, why=why),
            )
    if image.config and not engine.cannot_read(problems) and not image.config.has_rootfs:
        counted = sum(engine.counts(layer.media_type) for layer in image.layers)
        yield Finding(
            "rootfs-missing",
            Severity.ERROR,
            "The config has no rootfs, so it names none of the layers.",
            expected=f"rootfs.diff_ids with {len(image.layers)} entries",
            runtime_error=engine_message("rootfs-missing", engine.family, counted=counted, diff_ids=0),
        )


def has_a_layered_rootfs(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The config's `rootfs.type` is `layers`, where an engine unpacks nothing else."""
    rootfs_type = image.config.rootfs_type if image.config else ""
    if rootfs_type not in ("", "layers") and any(engine.layered_rootfs for engine in runtime.engines):
        yield Finding(
            "rootfs-type-unknown",
            Severity.ERROR,
            f"The config's rootfs has the type {rootfs_type!r}: {runtime.title} pulls such an image without unpacking "
            "it, and cannot start it.",
            expected="layers",
            found=rootfs_type,
        )


def is_on_a_known_platform(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """It is known that the runtime runs this platform."""
    why = runtime.doubtful_platforms.get(str(policy.platform))
    if why and image.config:
        yield Finding(
            "platform-doubtful",
            Severity.WARNING,
            f"The image is for {policy.platform}, and {why}.",
            expected=" or ".join(p for p in runtime.platforms if p not in runtime.doubtful_platforms),
            found=str(policy.platform),
        )


def is_for_the_platform(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The config says the platform that was asked for; nobody checks a single manifest's before it is started."""
    if image.config is None or any(is_refused(image, engine) for engine in runtime.engines):
        return
    platform, asked = image.config.platform, policy.platform
    if platform.os == asked.os and not platform.architecture:
        yield Finding(
            "platform-unknown",
            Severity.WARNING,
            f"The config does not say for which architecture the image is; {asked} was asked for.",
            expected=str(asked),
            found="none",
        )
    elif (platform.os, platform.architecture) not in {(p.os, p.architecture) for p in asked.accepts()}:
        refusing = next((e for e in runtime.engines if e.checks_os and platform.os != asked.os), None)
        yield Finding(
            "platform-mismatch",
            Severity.ERROR,
            f"The image is built for {platform}, and {asked} was asked for.",
            expected=str(asked),
            found=str(platform),
            runtime_error=engine_message(
                "platform-mismatch",
                (refusing or runtime.engines[0]).family,
                "operating system" if refusing else "",
                os=platform.os,
            ),
        )


def has_no_more_history_than_layers(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The history names no more layers than there are diff_ids, where the engine counts them.

    https://github.com/moby/moby/blob/master/daemon/internal/image/store.go, Create
    """
    config = image.config
    for engine in runtime.engines:
        if not config or not engine.counts_history or len(image.layers) != len(config.diff_ids):
            continue
        if config.history_layers > len(config.diff_ids):
            yield Finding(
                "history-too-long",
                Severity.ERROR,
                f"The config's history has {config.history_layers} steps that made a layer, and {len(config.diff_ids)} "
                "diff_ids.",
                expected=f"at most {len(config.diff_ids)} steps without empty_layer",
                found=str(config.history_layers),
                runtime_error=engine_message("history-too-long", engine.family),
            )


def can_be_started(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """There is something that can be executed, in a working directory that an engine takes."""
    config = image.config
    if config is None or any(is_refused(image, engine) for engine in runtime.engines):
        return
    family = runtime.engines[0].family
    if not config.entrypoint and not config.command:
        yield Finding(
            "no-command",
            Severity.ERROR,
            "The image has neither an entrypoint nor a command.",
            expected="ENTRYPOINT or CMD in the Dockerfile",
            runtime_error=engine_message("no-command", family),
        )
    if config.working_dir and not config.working_dir.startswith("/"):
        yield Finding(
            "working-dir-relative",
            Severity.ERROR,
            f"The working directory {config.working_dir!r} is not absolute.",
            expected="an absolute path in WORKDIR",
            found=config.working_dir,
            runtime_error=engine_message("working-dir-relative", family),
        )
    command = (*config.entrypoint, *config.command)
    number = next((number for number, word in enumerate(command, 1) if "\0" in word), 0)
    if number:
        yield Finding(
            "argument-invalid",
            Severity.ERROR,
            f"Word {number} of the image's command has a NUL character.",
            expected="words without NUL characters",
            # With the first word, no engine gets as far.
            runtime_error=engine_message("argument-invalid", family, program=command[0], error="invalid argument")
            if number > 1
            else "",
        )


# What is wrong with an entry of Env, by how engines say it.
_ENV_PROBLEMS: Final = {
    "name": "has no name before its `=`",
    "NUL": "has a NUL character in its {part}",
    "=": "has no `=`: containerd's own client starts no such image, dockerd and Kubernetes leave the entry out",
}


def _env_problem(entry: str) -> tuple[str, str]:
    """What is wrong with an entry of Env, and in which part of it; nothing where it can be set."""
    name, equals, _ = entry.partition("=")
    if not equals:
        return ("=", "") if entry else ("", "")
    if not name:
        return "name", "name"
    part = "name" if "\0" in name else "value"
    return ("NUL", part) if "\0" in entry else ("", "")


def can_be_given_its_environment(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """Every entry of Env is a name and a value. The entry itself may be a secret, and is not told.

    https://github.com/containerd/containerd/blob/main/pkg/oci/spec_opts.go, WithImageConfigArgs: an entry without
    `=` stays. With WithEnv, as Kubernetes' interface has it, and with dockerd it goes.
    https://github.com/opencontainers/runc/blob/main/libcontainer/env.go
    """
    config = image.config
    if config is None or any(is_refused(image, engine) for engine in runtime.engines):
        return
    first: dict[tuple[str, str], int] = {}
    for number, entry in enumerate(config.env, 1):
        first.setdefault(_env_problem(entry), number)
    for (problem, part), number in first.items():
        doubtful = problem == "="
        if problem and not (doubtful and all(engine.family != "containerd" for engine in runtime.engines)):
            yield Finding(
                "env-invalid",
                Severity.WARNING if doubtful else Severity.ERROR,
                f"Entry {number} of the config's Env {_ENV_PROBLEMS[problem].format(part=part)}.",
                expected="NAME=value",
                runtime_error=engine_message(
                    "env-invalid", "containerd" if doubtful else runtime.engines[0].family, problem, part=part
                ),
            )
