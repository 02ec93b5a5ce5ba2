"""The construct that an object stands for.

For a construct that JavaScript made, jsii gives Python another object at each access. The address of a construct's node
is the same for all of them: compare constructs by it, and never by identity.
https://github.com/aws/jsii/blob/main/packages/%40jsii/python-runtime/src/jsii/_reference_map.py
"""

from __future__ import annotations

from typing import Final
from weakref import WeakKeyDictionary

from constructs import IConstruct

# An address never changes, and each look-up is two calls to Node.js.
_ADDRESSES: Final[WeakKeyDictionary[IConstruct, str]] = WeakKeyDictionary()


def address(construct: IConstruct) -> str:
    """The address of a construct, which is unique in its tree."""
    known = _ADDRESSES.get(construct)
    if known is None:
        known = _ADDRESSES[construct] = construct.node.addr
    return known


def is_same(one: IConstruct | None, other: IConstruct | None) -> bool:
    """Whether two objects stand for the same construct of a tree."""
    if one is other:
        return True
    return one is not None and other is not None and address(one) == address(other)
