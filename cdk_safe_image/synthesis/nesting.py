"""Nested stacks, and the stacks that contain them."""

from __future__ import annotations

from collections.abc import Iterator

from aws_cdk import Stack


def outwards(stack: Stack) -> Iterator[Stack]:
    """A stack, and the stacks around it if it is nested, the outermost last."""
    current: Stack | None = stack
    while current is not None:
        yield current
        current = current.nested_stack_parent


def top_level(stack: Stack) -> Stack:
    """The outermost stack around a nested stack; the stack itself if it is not nested."""
    *_, outermost = outwards(stack)
    return outermost
