"""The fields that two images are compared by: how each is read, and the findings that a difference in it can cause."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from image_verifier.image.model import Image
from image_verifier.text import readable_size

from .layer_rows import run_config
from .redaction import redact, redact_variable


def _top_type(image: Image) -> str:
    return image.top.media_type or "(no media type)" if image.top else "nothing"


def _manifest(image: Image) -> str:
    manifest = image.manifest
    if manifest is None:
        return "unreadable" if _is_unreadable(image, "manifest") else ""
    served, declared = manifest.document.media_type, manifest.declared_type
    calls_itself = f", which calls itself {declared}" if declared not in ("", served) else ""
    return served + calls_itself + _unreadable_by(manifest.problems)


def _config(image: Image) -> str:
    if image.manifest is None:
        return ""
    if image.config:
        state = _unreadable_by(image.config.problems)
    else:
        state = ", unreadable" if _is_unreadable(image, "config") else ", missing"
    return image.manifest.config.media_type + state


def _is_unreadable(image: Image, document: str) -> bool:
    return image.unreadable is not None and image.unreadable[0] == document


def _unreadable_by(engines: Iterable[str]) -> str:
    names = " and ".join(engines)
    return f", unreadable for {names}" if names else ""


def _platform(image: Image) -> str:
    return str(image.config.platform) if image.config else ""


def _size(image: Image) -> str:
    if image.manifest is None:
        return ""
    exact = f"{image.size:,} bytes"
    return exact if image.size < 1024 else f"{readable_size(image.size)} ({exact})"


def _layers(image: Image) -> str:
    if image.config is None:
        return str(len(image.layers))
    diff_ids = f"{len(image.config.diff_ids)} diff IDs" if image.config.has_rootfs else "no rootfs"
    other_type = image.config.rootfs_type not in ("", "layers")
    rootfs = f", rootfs of type {image.config.rootfs_type!r}" if other_type else ""
    return f"{len(image.layers)}, {diff_ids}{rootfs}"


def _entrypoint(image: Image) -> str:
    return redact(shlex.join(image.config.entrypoint)) if image.config else ""


def _command(image: Image) -> str:
    return redact(shlex.join(image.config.command)) if image.config else ""


def _user(image: Image) -> str:
    return image.config.user if image.config else ""


def _working_dir(image: Image) -> str:
    return image.config.working_dir if image.config else ""


def _environment(image: Image) -> str:
    return "\n".join(map(redact_variable, sorted(image.config.env))) if image.config else ""


def _labels(image: Image) -> str:
    return _mapping(image.config.labels if image.config else {})


def _annotations(image: Image) -> str:
    return _mapping(image.manifest.annotations if image.manifest else {})


def _mapping(values: Mapping[str, str]) -> str:
    return "\n".join(redact_variable(f"{key}={value}") for key, value in sorted(values.items()))


def _run_config(key: str) -> Callable[[Image], str]:
    """The function that reads a key of the config's `config` object, in whatever form it has."""

    def text(image: Image) -> str:
        value: Any = run_config(image.config_content).get(key)
        if isinstance(value, dict) and not any(value.values()):
            return "\n".join(sorted(value))
        return redact(value if isinstance(value, str) else json.dumps(value, sort_keys=True) if value else "")

    return text


# Each field: its name, the function that reads it, and the findings that a difference in it can cause.
IMAGE_FIELDS: Final[Sequence[tuple[str, Callable[[Image], str], tuple[str, ...]]]] = (
    (
        "reference resolves to",
        _top_type,
        ("image-missing", "index-not-taken", "index-incomplete", "platform-missing", "platform-variants", "schema-1"),
    ),
    (
        "manifest",
        _manifest,
        (
            "manifest-missing",
            "manifest-unreadable",
            "manifest-type-mismatch",
            "manifest-foreign",
            "manifest-type-refused",
            "not-an-image",
        ),
    ),
    (
        "config",
        _config,
        ("not-an-image", "config-missing", "config-unreadable", "config-too-large", "config-descriptor-invalid"),
    ),
    ("platform", _platform, ("platform-mismatch", "platform-unknown", "not-an-image")),
    (
        "compressed size",
        _size,
        ("image-too-small", "image-too-large", "image-grew", "image-too-large-for-runtime", "image-needs-storage"),
    ),
    (
        "layers",
        _layers,
        (
            "diff-ids-count",
            "rootfs-missing",
            "rootfs-type-unknown",
            "too-many-layers",
            "layers-not-mountable",
            "no-layers",
            "layers-above-maximum",
            "history-too-long",
        ),
    ),
    ("entrypoint", _entrypoint, ("no-command", "argument-invalid", "entrypoint-missing", "entrypoint-not-executable")),
    ("command", _command, ("no-command", "argument-invalid", "entrypoint-missing", "entrypoint-not-executable")),
    ("user", _user, ("user-missing", "user-is-root")),
    ("working directory", _working_dir, ("working-dir-relative", "working-dir-invalid", "working-dir-closed")),
    ("environment", _environment, ("env-invalid",)),
    ("exposed ports", _run_config("ExposedPorts"), ()),
    ("volumes", _run_config("Volumes"), ("mount-point-invalid",)),
    ("stop signal", _run_config("StopSignal"), ()),
    ("health check", _run_config("Healthcheck"), ()),
    ("labels", _labels, ("label-missing", "base-is-latest", "base-not-said")),
    ("annotations", _annotations, ("base-is-latest", "base-not-said")),
)
