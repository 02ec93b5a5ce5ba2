"""The tags of stacks: the CDK CLI passes them to CloudFormation beside the template, where nothing resolves a token."""

from __future__ import annotations

import sys
from functools import lru_cache

from aws_cdk import Stack

from .synthesis.snapshot import StageSnapshot
from .tokens import is_literal


class StackTags:
    """The tags of a stage's stacks that contain a token."""

    def __init__(self, snapshot: StageSnapshot) -> None:
        """
        :param snapshot: the complete stage.
        """
        self._unresolved: list[tuple[Stack, str, str]] = [
            (stack, name, value)
            for stack in snapshot.stacks
            for name, value in stack.tags.tag_values().items()
            if not is_literal(value)
        ]

    def replace(self, token: str, text: str) -> None:
        """Replace a token in all tags.

        :param token: the token.
        :param text: what takes its place.
        """
        for index, (stack, name, value) in enumerate(self._unresolved):
            if token in value:
                replaced = value.replace(token, text)
                # The tag that CDK set has a priority of its own, and the higher one counts.
                stack.tags.set_tag(name, replaced, sys.maxsize)
                self._unresolved[index] = (stack, name, replaced)


@lru_cache(maxsize=1)
def stack_tags_of(snapshot: StageSnapshot) -> StackTags:
    """The tags of a stage's stacks, which all images of one snapshot share: to read them takes calls for each stack.

    :param snapshot: the complete stage.
    """
    return StackTags(snapshot)
