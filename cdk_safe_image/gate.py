"""The gate: the ECS services of a stack wait for its verifications, directly or through a join.

A join is an empty resource that depends on several verifications, and on which services depend. With it the
dependencies in a template grow with services plus images. Without it they grow with services times images: 60 of each
took 300 KB of the 1 MB that a template may have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Protocol

from aws_cdk import CfnResource, CfnWaitConditionHandle
from constructs import Construct, IConstruct

from .dependencies import add_dependency
from .synthesis.facts import node_of, scopes_of, stack_of
from .synthesis.identity import address
from .synthesis.nesting import outwards, top_level
from .synthesis.snapshot import StageSnapshot

_HASH_LENGTH: Final = 10


class GatedVerification(IConstruct, Protocol):
    """The part of a verification that the gate uses."""

    @property
    def resource(self) -> CfnResource:
        """The custom resource in the template."""
        ...

    @property
    def prerequisites(self) -> list[IConstruct]:
        """The constructs that must exist before the verification."""
        ...

    @property
    def identity(self) -> str:
        """The part of its logical ID that differs for each image; empty if the image is only known at deploy."""
        ...


@dataclass
class _Waiter:
    """A resource of the verifications' stack that waits: an ECS service, or a nested stack that contains services.

    :param service: the service, or one of the nested stack. CDK makes the whole nested stack wait for it.
    :param waits_for: the verifications, by logical ID.
    """

    service: CfnResource
    waits_for: dict[str, GatedVerification] = field(default_factory=dict)

    @property
    def joined(self) -> frozenset[str]:
        """The verifications that a join may stand for.

        A verification that is updated in place is not one of them: CloudFormation leaves an existing join unchanged
        then, and no document says that a service waits for a dependency of an unchanged resource.
        """
        return frozenset(name for name, it in self.waits_for.items() if it.identity and it.identity in name)


def close_gate(scope: Construct, verifications: Sequence[GatedVerification], snapshot: StageSnapshot) -> None:
    """Make the ECS services of a stack, nested stacks included, wait for verifications.

    :param scope: a construct of the verifications' stack, which gets the joins.
    :param verifications: verifications of one stack.
    :param snapshot: the complete stage.
    """
    groups: dict[frozenset[str], list[_Waiter]] = {}
    for waiter in _waiters(scope, verifications, snapshot):
        groups.setdefault(waiter.joined, []).append(waiter)
    for joined, group in groups.items():
        has_join = len(joined) + len(group) < len(joined) * len(group)
        replaced: list[CfnResource] = [group[0].waits_for[name].resource for name in sorted(joined)]
        waited_for = [_join(scope, sorted(joined), replaced)] if has_join else replaced
        for waiter in group:
            updated = [it.resource for name, it in waiter.waits_for.items() if name not in joined]
            for resource in (*waited_for, *updated):
                add_dependency(waiter.service, resource)


def _join(scope: Construct, logical_ids: Sequence[str], resources: Sequence[CfnResource]) -> CfnResource:
    """A resource that is complete when the others are.

    Its construct ID holds their logical IDs: CloudFormation cannot update it, and so it is a new one for each new
    image. https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-waitconditionhandle.html
    """
    identity = hashlib.sha256(" ".join(logical_ids).encode()).hexdigest()[:_HASH_LENGTH]
    join = CfnWaitConditionHandle(scope, f"Gate{identity}")
    # CloudFormation takes changed metadata for an update. CDK's metadata is the construct path, which changes if the
    # user moves the stack into a stage.
    join.add_deletion_override("Metadata")
    join.node.add_dependency(*resources)
    return join


def _waiters(scope: Construct, verifications: Sequence[GatedVerification], snapshot: StageSnapshot) -> list[_Waiter]:
    stack = stack_of(scope)
    own = address(stack)
    logical_ids: list[str] = stack.resolve([verification.resource.logical_id for verification in verifications])
    services = [
        (service, stacks[: stacks.index(own)])
        for service, stacks in ((service, list(map(address, stacks))) for service, stacks in snapshot.services)
        if own in stacks
    ]
    waiters: dict[str, _Waiter] = {}
    scopes = cache(lambda service: set(map(address, scopes_of(service))))
    has_nested = any(nested_stacks for _, nested_stacks in services)
    for name, verification in zip(logical_ids, verifications, strict=True):
        ordered = _ordered_scope(verification, scope, snapshot)
        prerequisites = snapshot.dependency_closure(verification.prerequisites) if has_nested else ()
        # A nested stack that contains a prerequisite of the verification cannot wait for the verification.
        blocked = {address(around) for it in prerequisites for around in outwards(stack_of(it))}
        for service, nested_stacks in services:
            if (ordered is None or address(ordered) in scopes(service)) and blocked.isdisjoint(nested_stacks):
                key = nested_stacks[-1] if nested_stacks else address(service)
                waiters.setdefault(key, _Waiter(service)).waits_for[name] = verification
    return list(waiters.values())


def _ordered_scope(verification: GatedVerification, ours: Construct, snapshot: StageSnapshot) -> IConstruct | None:
    """The nearest construct around a verification that depends on an ECS service, if there is one.

    A service inside that construct may wait for the verification. A service outside may not, since it may be the one
    that the construct depends on, or a dependency of that one.

    :param verification: the verification.
    :param ours: our construct of the stack. It and the constructs in it never depend on a service.
    :param snapshot: the complete stage.
    """
    services = {service for service, _ in snapshot.services}
    scopes = list(scopes_of(verification))
    addresses = [*map(address, scopes)]
    first = addresses.index(address(top_level(stack_of(verification)))) + 1
    last = addresses.index(address(ours)) if address(ours) in addresses else len(scopes)
    for scope in reversed(scopes[first:last]):
        dependencies = node_of(scope).dependencies
        if dependencies and services.intersection(snapshot.dependency_closure(dependencies)):
            return scope
    return None
