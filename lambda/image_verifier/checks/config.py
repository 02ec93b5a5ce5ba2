"""The config: is it there and intact, can the engine read it, is it for this platform, can it be started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ..image.model import MAX_CONFIG_BYTES, is_digest, sha256
from ..image.schemas import config_error
from ..report import Finding, Severity
from ..rules.engines import Engine
from .manifest import foreign_url, size_error
from .subject import Subject, finding


def is_there(subject: Subject) -> Iterator[Finding]:
    """The config's descriptor is valid, and references a blob that has that digest and size."""
    image, words, exact = subject.image, subject.words, subject.engine.exact_sizes
    if image.manifest is None:
        return
    config, content = image.manifest.config, image.config_content
    if not is_digest(config.digest) or (config.size <= 0 and exact):
        yield finding(
            "config-descriptor-invalid",
            f"The manifest's descriptor of the config is invalid: its digest is {config.digest!r} and its size is "
            f"{config.size}.",
            expected="a sha256 digest, and the size of the config in bytes",
            runtime_error=size_error("config-descriptor-invalid", config, len(content or b""), subject.engine),
        )
    elif content is None:
        if image.missing:
            yield finding(
                "config-missing",
                f"The registry does not hold the image's config {config.digest}.",
                words,
                digest=config.digest,
                media_type=config.media_type,
            )
    elif len(content) > MAX_CONFIG_BYTES:
        yield finding(
            "config-too-large",
            f"The config is larger than {MAX_CONFIG_BYTES} bytes and was not read.",
            expected=f"at most {MAX_CONFIG_BYTES} bytes",
        )
    elif sha256(content) != config.digest:
        yield _digest_mismatch(subject, config.digest, content)
    elif len(content) != config.size and exact:
        yield finding(
            "config-size-mismatch",
            f"The size of the config in the manifest's descriptor is {config.size} bytes, but the config is "
            f"{len(content)} bytes.",
            expected=f"{config.size} bytes",
            found=f"{len(content)} bytes",
            runtime_error=size_error("config-size-mismatch", config, len(content), subject.engine),
        )


def is_fetched_from_the_registry(subject: Subject) -> Iterator[Finding]:
    """The config's descriptor has no URL, which containerd would try before the registry."""
    manifest = subject.image.manifest
    url = foreign_url(manifest.config) if manifest else ""
    if manifest and url and subject.engine.family == "containerd":
        yield finding(
            "config-foreign",
            f"The config {manifest.config.digest} is fetched from {url}, not from the registry.",
            severity=Severity.WARNING,
            expected="a config that the registry holds",
            found=url,
        )


def _digest_mismatch(subject: Subject, digest: str, content: bytes) -> Finding:
    assert subject.image.manifest
    config, engine = subject.image.manifest.config, subject.engine
    # containerd compares the size before the digest.
    by_size = engine.exact_sizes and engine.family == "containerd" and len(content) != config.size
    return finding(
        "config-digest-mismatch",
        f"The config {digest} does not match its digest: its bytes have the digest {sha256(content)}.",
        "" if by_size else engine.words,
        expected=digest,
        found=sha256(content),
        runtime_error=size_error("config-size-mismatch", config, len(content), engine) if by_size else "",
        name=f"config-{digest}",
        digest=digest,
        actual=sha256(content),
    )


def is_readable(subject: Subject) -> Iterator[Finding]:
    """The engine's decoder accepts the config, and the config has a `rootfs`."""
    image, engine = subject.image, subject.engine
    assert image.manifest
    problems: Mapping[str, str] = image.config.problems if image.config else {}
    if image.unreadable and image.unreadable[0] == "config":
        problems = image.unreadable[1]
    why = engine.cannot_read_config(problems)
    if why:
        yield finding(
            "config-unreadable",
            f"The config {image.manifest.config.digest} cannot be read: {config_error(why)}.",
            engine.words,
            why=why,
        )
    elif image.config and not image.config.has_rootfs:
        yield finding(
            "rootfs-missing",
            "The config has no rootfs, so it lists none of the layers.",
            engine.words,
            expected=f"rootfs.diff_ids with {len(image.layers)} entries",
            counted=sum(engine.counts(layer.media_type) for layer in image.layers),
            diff_ids=0,
        )


def has_a_layered_rootfs(subject: Subject) -> Iterator[Finding]:
    """The config's `rootfs.type` is `layers`, where an engine unpacks nothing else."""
    rootfs_type = subject.image.config.rootfs_type if subject.image.config else ""
    if rootfs_type not in ("", "layers") and subject.engine.layered_rootfs:
        yield finding(
            "rootfs-type-unknown",
            f"The config's rootfs has the type {rootfs_type!r}: {subject.runtime.title} pulls such an image without "
            "unpacking it, and cannot start it.",
            expected="layers",
            found=rootfs_type,
        )


def is_on_a_known_platform(subject: Subject) -> Iterator[Finding]:
    """The runtime is known to run this platform."""
    runtime, platform = subject.runtime, str(subject.policy.platform)
    why = runtime.doubtful_platforms.get(platform)
    if why and subject.image.config:
        yield finding(
            "platform-doubtful",
            f"The image is for {platform}, which {runtime.title} may not run: {why}.",
            severity=Severity.WARNING,
            expected=" or ".join(p for p in runtime.platforms if p not in runtime.doubtful_platforms),
            found=platform,
        )


def is_for_the_platform(subject: Subject) -> Iterator[Finding]:
    """The config has the required platform; no engine checks that of a single manifest before it is started."""
    if subject.image.config is None:
        return
    platform, required = subject.image.config.platform, subject.policy.platform
    if platform.os == required.os and not platform.architecture:
        yield finding(
            "platform-unknown",
            f"The config does not name the image's architecture, and {required} is required.",
            severity=Severity.WARNING,
            expected=str(required),
            found="none",
        )
    elif (platform.os, platform.architecture) not in {(p.os, p.architecture) for p in required.accepts()}:
        yield finding(
            "platform-mismatch",
            f"The image is built for {platform}, but {required} is required.",
            _platform_words(subject.engine, other_os=platform.os != required.os),
            "operating system" if platform.os != required.os else "",
            expected=str(required),
            found=str(platform),
            os=platform.os,
        )


def _platform_words(engine: Engine, *, other_os: bool) -> str:
    """Whose message is quoted; the error of a program for another operating system depends on the program."""
    if other_os:
        return engine.words if engine.checks_os else ""
    return engine.starter


def has_no_more_history_than_layers(subject: Subject) -> Iterator[Finding]:
    """The history lists no more layers than there are diff_ids, where the engine counts them.

    https://github.com/moby/moby/blob/master/daemon/internal/image/store.go, Create
    """
    config = subject.image.config
    engine = subject.engine
    if not config or not engine.counts_history or len(subject.image.layers) != len(config.diff_ids):
        return
    if config.history_layers > len(config.diff_ids):
        yield finding(
            "history-too-long",
            f"The config's history lists {config.history_layers} layers, but the config has only "
            f"{len(config.diff_ids)} diff_ids.",
            engine.words,
            expected=f"at most {len(config.diff_ids)} steps without empty_layer",
            found=str(config.history_layers),
        )


def can_be_started(subject: Subject) -> Iterator[Finding]:
    """There is a command to execute, in a working directory that an engine accepts."""
    config, family = subject.image.config, subject.engine.starter
    if config is None:
        return
    if not config.entrypoint and not config.command:
        yield finding(
            "no-command",
            "The image has neither an entrypoint nor a command.",
            family,
            expected="ENTRYPOINT or CMD in the Dockerfile",
        )
    if config.working_dir and not config.working_dir.startswith("/"):
        yield finding(
            "working-dir-relative",
            f"The working directory {config.working_dir!r} is not absolute.",
            family,
            expected="an absolute path in WORKDIR",
            found=config.working_dir,
        )
    command = (*config.entrypoint, *config.command)
    number = next((number for number, word in enumerate(command, 1) if "\0" in word), 0)
    if number:
        yield finding(
            "argument-invalid",
            f"Word {number} of the image's command contains a NUL character.",
            # Where it is the first word, no engine gets as far.
            family if number > 1 else "",
            expected="words without NUL characters",
            program=command[0],
            error="invalid argument",
        )


# The fault of an entry of Env, by the variant of the engines' message.
_ENV_PROBLEMS: Final = {
    "name": "has no name before its `=`",
    "NUL": "contains a NUL character in its {part}",
    "=": "has no `=`: containerd's own client cannot start such an image; dockerd and Kubernetes drop the entry",
}


def _env_problem(entry: str) -> tuple[str, str]:
    """The problem of an entry of Env, and in which part of the entry it is; both empty where it can be set."""
    name, equals, _ = entry.partition("=")
    if not equals:
        return ("=", "") if entry else ("", "")
    if not name:
        return "name", "name"
    part = "name" if "\0" in name else "value"
    return ("NUL", part) if "\0" in entry else ("", "")


def can_be_given_its_environment(subject: Subject) -> Iterator[Finding]:
    """Every entry of Env is a name and a value. The entry itself may be a secret and is not reported.

    https://github.com/containerd/containerd/blob/main/pkg/oci/spec_opts.go, WithImageConfigArgs: an entry without
    `=` stays. WithEnv, which Kubernetes' interface uses, and dockerd drop it.
    https://github.com/opencontainers/runc/blob/main/libcontainer/env.go
    """
    config = subject.image.config
    first: dict[tuple[str, str], int] = {}
    for number, entry in enumerate(config.env if config else (), 1):
        first.setdefault(_env_problem(entry), number)
    for (problem, part), number in first.items():
        doubtful = problem == "="
        if problem and (not doubtful or subject.engine.starter == "containerd"):
            yield finding(
                "env-invalid",
                f"Entry {number} of the config's Env {_ENV_PROBLEMS[problem].format(part=part)}.",
                subject.engine.starter,
                problem,
                severity=Severity.WARNING if doubtful else Severity.ERROR,
                expected="NAME=value",
                part=part,
            )
