"""What a policy requires beyond what runtimes ask for: a user, a base, labels, a number of layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..image.model import Config, Image
from ..image.references import Reference
from ..image.users import is_root
from ..policy import Policy
from ..report import Finding, Severity
from ..rules.requirement_types import LABEL, MAX_LAYERS, NO_LATEST_BASE, NON_ROOT_USER
from ..rules.runtimes import Runtime
from .artifact import is_refused

# https://github.com/opencontainers/image-spec/blob/main/annotations.md#pre-defined-annotation-keys
_BASE_NAME: Final = "org.opencontainers.image.base.name"
# What a Dockerfile writes after FROM for no base at all.
_NO_BASE: Final = "scratch"


def _config(image: Image, runtime: Runtime) -> Config | None:
    """The config, where nothing before has told that the image is none."""
    return None if any(is_refused(image, engine) for engine in runtime.engines) else image.config


def has_a_user_besides_root(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """Where that is required, the runtime runs it as somebody else than root.

    A user that is named, and not by its number, is looked up in the image's /etc/passwd where the layers were read.
    """
    config = _config(image, runtime)
    if not policy.required(NON_ROOT_USER) or config is None or runtime.own_user:
        return
    user_ids: set[int] = set()
    if image.contents:
        from .start import user_ids as ids_in_the_layers

        user_ids = ids_in_the_layers(image, runtime)
    if 0 in user_ids if user_ids else is_root(config.user):
        names = f"its config names the user {config.user!r}" if config.user else "its config names no user"
        yield Finding(
            "user-is-root",
            Severity.ERROR,
            f"The image runs as root, since {names}.",
            expected="a user whose ID is not 0",
            found=config.user or "no user",
        )


def has_no_latest_base(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """Where that is required, the image says its base, and that it is not whatever was the latest one."""
    config = _config(image, runtime)
    if not policy.required(NO_LATEST_BASE) or config is None or image.manifest is None:
        return
    # Labels come down from the base, annotations do not.
    base = image.manifest.annotations.get(_BASE_NAME) or config.labels.get(_BASE_NAME, "")
    if base == _NO_BASE:
        return
    try:
        tag = Reference.parse(base).tag
    except ValueError:
        yield Finding(
            "base-not-said",
            Severity.ERROR,
            f"The image says that its base is {base!r}, which is no image's name."
            if base
            else "The image does not say on which base it is built.",
            expected=f"the base's name in the annotation or the label {_BASE_NAME}",
            found=base or "neither",
        )
        return
    if tag == "latest":
        yield Finding(
            "base-is-latest",
            Severity.ERROR,
            f"The image is built on {base}, which is another one after each of its releases.",
            expected="a base with a version in its tag, or with a digest",
            found=base,
        )


def has_its_labels(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The image has every label that is required, with something in it."""
    config = _config(image, runtime)
    for name in policy.required(LABEL) if config else ():
        assert config
        if not config.labels.get(name, "").strip():
            yield Finding(
                "label-missing",
                Severity.ERROR,
                f"The image's label {name} is empty."
                if name in config.labels
                else f"The image does not have the label {name}.",
                expected=f"LABEL {name}=... in the Dockerfile",
                found=", ".join(config.labels)[:200] or "no labels",
            )


def has_no_more_layers_than_allowed(image: Image, runtime: Runtime, policy: Policy) -> Iterator[Finding]:
    """The image has no more layers than the policy allows."""
    if _config(image, runtime) is None:
        return
    for most in map(int, policy.required(MAX_LAYERS)):
        if len(image.layers) > most:
            yield Finding(
                "layers-above-maximum",
                Severity.ERROR,
                f"The image has {len(image.layers)} layers, and at most {most} are allowed.",
                expected=f"at most {most} layers",
                found=str(len(image.layers)),
            )
