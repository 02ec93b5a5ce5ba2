"""The context value that switches verification off, for `cdk watch`, hotswap and emergencies."""

from __future__ import annotations

from typing import Final

from aws_cdk import Annotations, Stack
from constructs import Construct

SWITCH: Final = "cdk-safe-image:verify"


def is_verification_on(scope: Construct) -> bool:
    """Whether images are verified at all. The stack gets a warning if they are not.

    :param scope: the construct whose context is read.
    :raises ValueError: if the context value is neither on nor off.
    """
    value = scope.node.try_get_context(SWITCH)
    if value in (None, "on", True):
        return True
    if value not in ("off", False):
        raise ValueError(f"{scope.node.path}: context {SWITCH} is {value!r}: use 'on' or 'off'")
    Annotations.of(Stack.of(scope)).add_warning_v2(
        "cdk-safe-image:verification-off",
        f"Images are deployed by their tags and without verification, because the context {SWITCH} is off. "
        "The next deploy without it verifies them.",
    )
    return False
