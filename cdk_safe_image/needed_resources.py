"""The resources that the verifications of a stage need, which therefore cannot wait for one.

An image's tag reaches them if a user adds it to all resources of a stack, as a tag or with an aspect.
"""

from __future__ import annotations

from functools import lru_cache

from aws_cdk import CfnResource
from constructs import IConstruct
from image_verifier.custom_resource.schema import RESOURCE_TYPE

from .stack_resources import StackResources
from .synthesis.facts import node_of
from .synthesis.identity import address
from .synthesis.snapshot import StageSnapshot, type_of
from .verifier import ImageVerifier


@lru_cache(maxsize=1)
def needed_by_verifications(snapshot: StageSnapshot) -> frozenset[str]:
    """The addresses of the resources that verifications need, and of the verifications, which do not wait for another.

    All images of one snapshot share the result: to list the constructs takes calls for each stack.

    :param snapshot: the complete stage.
    """
    ours = snapshot.of(StackResources)
    of_verifications = [it for each in ours for made in each.verifications for it in made.needs]
    # A verifier may not have a verification yet.
    needed: list[IConstruct] = [*ours, *snapshot.of(ImageVerifier), *of_verifications]
    scopes = {address(construct): construct for construct in needed}.values()
    inside = {address(construct) for scope in scopes for construct in node_of(scope).find_all()}
    resources = snapshot.of(CfnResource)
    return frozenset(
        address(resource) for resource in resources if address(resource) in inside or type_of(resource) == RESOURCE_TYPE
    )
