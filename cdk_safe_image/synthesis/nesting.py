"""Nested stacks, and the stacks that contain them."""

from __future__ import annotations

from collections.abc import Iterator

from aws_cdk import Stack
from constructs import IConstruct

from .facts import Fact
from .identity import address


@Fact
def parent_stack(stack: IConstruct) -> Stack | None:
    """The stack that contains a nested stack; None for a stack that is not nested."""
    assert isinstance(stack, Stack)
    return stack.nested_stack_parent


def outwards(stack: Stack) -> Iterator[Stack]:
    """A stack, and the stacks around it if it is nested, the outermost last."""
    current: Stack | None = stack
    while current is not None:
        yield current
        current = parent_stack(current)


def top_level(stack: Stack) -> Stack:
    """The outermost stack around a nested stack; the stack itself if it is not nested."""
    *_, outermost = outwards(stack)
    return outermost


def top_level_name(stack: Stack) -> str:
    """The name of the outermost stack around a nested stack; empty for a stack that is not nested."""
    return "" if parent_stack(stack) is None else top_level(stack).stack_name


def common_stack(one: Stack, other: Stack) -> Stack:
    """The innermost stack that contains two stacks of the same top-level stack, or is one of them."""
    around = {address(stack) for stack in outwards(other)}
    return next(stack for stack in outwards(one) if address(stack) in around)
