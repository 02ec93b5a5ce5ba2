"""The construct that an object stands for.

For a construct that JavaScript made, jsii gives Python another object at each access. The address of the construct in
Node.js is the same for all of them: compare constructs by it, and never by identity.
https://github.com/aws/jsii/blob/main/packages/%40jsii/python-runtime/src/jsii/_reference_map.py
"""

from __future__ import annotations

from typing import Any, cast

from constructs import IConstruct


def address(construct: IConstruct) -> str:
    """The address of a construct in Node.js, which no other construct of this process has.

    The address that `construct.node` has is unique in its tree only, and takes two calls to Node.js.
    """
    return str(cast(Any, construct).__jsii_ref__.ref)


def is_same(one: IConstruct | None, other: IConstruct | None) -> bool:
    """Whether two objects stand for the same construct."""
    if one is other:
        return True
    return one is not None and other is not None and address(one) == address(other)
