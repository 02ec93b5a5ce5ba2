"""The requirements of a policy beyond those of runtimes: a user, a base, labels, a number of layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..image.references import Reference
from ..image.users import is_root
from ..report import Finding
from ..rules.requirement_types import LABEL, MAX_LAYERS, NO_LATEST_BASE, NON_ROOT_USER
from .subject import Subject, finding

# https://github.com/opencontainers/image-spec/blob/main/annotations.md#pre-defined-annotation-keys
_BASE_NAME: Final = "org.opencontainers.image.base.name"
# The name after FROM in a Dockerfile that has no base at all.
_NO_BASE: Final = "scratch"


def has_a_user_besides_root(subject: Subject) -> Iterator[Finding]:
    """Where that is required, the config sets a user other than root.

    Where the layers were read, `start.runs_as_a_user_besides_root` runs in its place and looks up the user's name.
    """
    if subject.image.config:
        yield from refuse_root(subject, is_root=is_root(subject.image.config.user))


def refuse_root(subject: Subject, *, is_root: bool) -> Iterator[Finding]:
    """Report an image that runs as root, where another user is required and the runtime does not set one itself.

    :param is_root: whether the image runs as root, as far as it is known.
    """
    config = subject.image.config
    if not is_root or config is None or subject.runtime.own_user or not subject.policy.required(NON_ROOT_USER):
        return
    user = f"the user {config.user!r}" if config.user else "no user"
    yield finding(
        "user-is-root",
        f"The image runs as root: its config sets {user}.",
        expected="a user whose ID is not 0",
        found=config.user or "no user",
    )


def has_no_latest_base(subject: Subject) -> Iterator[Finding]:
    """Where that is required, the image names its base, and the base's tag is not `latest`."""
    config, manifest = subject.image.config, subject.image.manifest
    if not subject.policy.required(NO_LATEST_BASE) or config is None or manifest is None:
        return
    # An image inherits its base's labels, but not its annotations.
    base = manifest.annotations.get(_BASE_NAME) or config.labels.get(_BASE_NAME, "")
    if base == _NO_BASE:
        return
    try:
        tag = Reference.parse(base).tag
    except ValueError:
        yield finding(
            "base-not-said",
            f"The image names {base!r} as its base, which is not an image reference."
            if base
            else "The image does not name its base image.",
            expected=f"the base's name in the annotation or the label {_BASE_NAME}",
            found=base or "neither",
        )
        return
    if tag == "latest":
        yield finding(
            "base-is-latest",
            f"The image is built on {base}, whose tag moves with every release.",
            expected="a base with a version in its tag, or with a digest",
            found=base,
        )


def has_its_labels(subject: Subject) -> Iterator[Finding]:
    """The image has every label that is required, and none of them is empty."""
    config = subject.image.config
    for name in subject.policy.required(LABEL) if config else ():
        assert config
        if not config.labels.get(name, "").strip():
            yield finding(
                "label-missing",
                f"The image's label {name} is empty."
                if name in config.labels
                else f"The image does not have the label {name}.",
                expected=f"LABEL {name}=... in the Dockerfile",
                found=", ".join(config.labels)[:200] or "no labels",
            )


def has_no_more_layers_than_allowed(subject: Subject) -> Iterator[Finding]:
    """The image has no more layers than the policy allows."""
    count = len(subject.image.layers) if subject.image.config else 0
    for most in map(int, subject.policy.required(MAX_LAYERS)):
        if count > most:
            yield finding(
                "layers-above-maximum",
                f"The image has {count} layers, but at most {most} are allowed.",
                expected=f"at most {most} layers",
                found=str(count),
            )
