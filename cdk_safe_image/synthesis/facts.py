"""Facts about constructs that never change: each is read once, because every reading is a call to Node.js.

The facts stay in memory until the process ends, as the constructs themselves do: jsii frees no object.
https://github.com/aws/jsii/blob/main/packages/%40jsii/python-runtime/src/jsii/_reference_map.py
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from aws_cdk import Stack, Stage
from constructs import Construct, IConstruct, Node

from .identity import address

_Value = TypeVar("_Value")


class Fact(Generic[_Value]):
    """A function of a construct that reads its value only once. Use it as a decorator."""

    def __init__(self, read: Callable[[IConstruct], _Value]) -> None:
        """
        :param read: reads the value from the construct.
        """
        self.__doc__ = read.__doc__
        self._read = read
        self._values: dict[str, _Value] = {}

    def __call__(self, construct: IConstruct) -> _Value:
        """The value for a construct."""
        key = address(construct)
        if key not in self._values:
            self._values[key] = self._read(construct)
        return self._values[key]

    def set(self, construct: IConstruct, value: _Value) -> None:
        """Set the value of a construct, where it follows from others.

        :param construct: the construct.
        :param value: what reading would return.
        """
        self._values[address(construct)] = value


@Fact
def node_of(construct: IConstruct) -> Node:
    """The node of a construct in the tree."""
    return construct.node


@Fact
def path_of(construct: IConstruct) -> str:
    """The path of a construct."""
    return node_of(construct).path


@Fact
def scopes_of(construct: IConstruct) -> list[IConstruct]:
    """The constructs that contain a construct, from the root to itself."""
    return node_of(construct).scopes


@Fact
def stack_of(construct: IConstruct) -> Stack:
    """The stack that contains a construct, which may be a nested one; the construct itself if it is a stack."""
    return Stack.of(construct)


@Fact
def stage_of(construct: IConstruct) -> Stage | None:
    """The stage around a construct; None if it is in no stage."""
    return Stage.of(construct)


def child_path(scope: IConstruct, id: str) -> str:
    """The path of a construct that is about to be made.

    :param scope: its parent.
    :param id: its id.
    """
    # `constructs` replaces the separator in IDs.
    # https://github.com/aws/constructs/blob/10.x/src/construct.ts
    return f"{path_of(scope)}/{id.replace('/', '--')}".lstrip("/")


def place(construct: Construct, scope: Construct, id: str) -> None:
    """Set the facts about a new construct that follow from its parent. The construct is neither a stack nor a stage.

    :param construct: the construct.
    :param scope: its parent.
    :param id: its id.
    """
    path_of.set(construct, child_path(scope, id))
    scopes_of.set(construct, [*scopes_of(scope), construct])
    stack = stack_of(scope)
    stack_of.set(construct, stack)
    stage_of.set(construct, stage_of(stack))
