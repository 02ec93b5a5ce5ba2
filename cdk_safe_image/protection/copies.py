"""Copies of images, for stacks that run an image of another stack and cannot wait for that stack.

A stack that runs an image of another stack depends on that stack, in which the image is pushed and verified. If the
stack of the image already depends on the other one, for example on its VPC, that would be a cycle. Then the image
becomes an asset of the stack that runs it, too: the same image with the same tag, which the CDK CLI pushes before it
deploys that stack, and which is verified there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import jsii
from aws_cdk import Annotations, CfnResource, IPropertyInjector, PropertyInjectors, Stack
from aws_cdk import aws_ecr_assets as ecr_assets
from constructs import Construct

from ..build import BuildRecord
from ..consumers import user_path
from ..stack_resources import StackResources

_TYPE: Final = ecr_assets.DockerImageAsset.PROPERTY_INJECTION_ID


def copy_image(
    image: ecr_assets.DockerImageAsset | ecr_assets.TarballImageAsset,
    build: BuildRecord | None,
    stack: Stack,
    dependent: CfnResource,
) -> ecr_assets.DockerImageAsset | None:
    """Make an image an asset of another stack too. If that is not possible, add an error.

    :param image: the image.
    :param build: how its build was set; None if it was not.
    :param stack: the top-level stack whose resources reference the image.
    :param dependent: one of these resources.
    :returns: the copy; None if an error was added.
    """
    own = Stack.of(image)
    if own.environment != stack.environment:
        problem = f"{own.environment} and {stack.environment} are different environments"
    elif build is None:
        problem = "only SafeImages can make the image in two stacks, and it did not build this one"
    elif _is_gone(folder := Path(build.properties["directory"])):
        problem = f"its folder {folder} does not exist any more"
    else:
        copy = _copy(image.node.path, build, stack)
        problem = "their synthesizers push to different repositories"
        if stack.resolve(image.image_uri) == stack.resolve(copy.image_uri):
            return copy
    Annotations.of(dependent).add_error(
        f"{user_path(dependent)} uses the image {image.node.path}. Its stack {stack.node.path} cannot wait for "
        f"{own.node.path}, which depends on it, and the image cannot be verified in {stack.node.path}: {problem}. "
        f"Make the image in {stack.node.path}."
    )
    return None


def _is_gone(folder: Path) -> bool:
    # A relative path belongs to the working directory of Node.js, which Python does not know.
    return folder.is_absolute() and not folder.is_dir()


def _copy(path: str, build: BuildRecord, stack: Stack) -> ecr_assets.DockerImageAsset:
    stack_resources = StackResources.of(stack)
    holder = Construct(stack_resources, f"Copy/{path}")
    PropertyInjectors.of(holder).add(_SameProperties(build.properties))
    # The injector replaces the folder, too.
    copy = ecr_assets.DockerImageAsset(holder, "Image", directory=".")
    stack_resources.builds[copy.node.path] = replace(build, scope=holder)
    return copy


@jsii.implements(IPropertyInjector)
class _SameProperties:
    """Replaces the properties of an asset by those of another one, as CDK passed them."""

    def __init__(self, properties: Mapping[str, Any]) -> None:
        self._properties = properties

    @property
    def construct_unique_id(self) -> str:
        return _TYPE

    def inject(self, original_props: Any, *, id: str, scope: Construct) -> Any:
        return self._properties
