"""Dependencies between resources and between stacks, with every supported version of aws-cdk-lib.

Newer versions deprecate `add_dependency` in favor of methods that older ones do not have.
"""

from __future__ import annotations

from typing import Any

from aws_cdk import CfnResource, Stack


def add_dependency(resource: CfnResource, dependency: CfnResource) -> None:
    """Make a resource wait for another one of the same top-level stack.

    :param resource: the resource that waits.
    :param dependency: the resource that it waits for. One that the template will not contain is ignored.
    """
    add: Any = getattr(resource, "add_resource_dependency", resource.add_dependency)
    add(dependency)


def add_stack_dependency(stack: Stack, dependency: Stack, reason: str) -> None:
    """Make a stack wait for another stack.

    :param stack: the stack that waits.
    :param dependency: the stack that it waits for.
    :param reason: why, for CDK's message about a cycle.
    :raises RuntimeError: if the dependency makes a cycle.
    """
    add: Any = getattr(stack, "add_stack_dependency", stack.add_dependency)
    add(dependency, reason)
