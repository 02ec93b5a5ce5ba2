"""The context value that switches verification off, for `cdk watch`, hotswap and emergencies."""

from __future__ import annotations

from typing import Final

from aws_cdk import Annotations
from constructs import IConstruct

from .synthesis.facts import Fact, node_of, stack_of

SWITCH: Final = "cdk-safe-image:verify"


@Fact
def is_verification_on(scope: IConstruct) -> bool:
    """Whether images are verified at all. The stack gets a warning if they are not.

    :param scope: the construct whose context is read. It contains a construct, so that its context cannot change.
    :raises ValueError: if the context value is neither on nor off.
    """
    value = node_of(scope).try_get_context(SWITCH)
    if value in (None, "on", True):
        return True
    if value not in ("off", False):
        raise ValueError(f"{scope.node.path}: context {SWITCH} is {value!r}: use 'on' or 'off'")
    Annotations.of(stack_of(scope)).add_warning_v2(
        "cdk-safe-image:verification-off",
        f"Images are deployed by their tags and without verification, because the context {SWITCH} is off. "
        "The next deploy without it verifies them.",
    )
    return False
