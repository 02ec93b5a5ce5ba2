"""The repositories of images, with their ARNs and URIs: each is read and resolved once, since both call Node.js."""

from __future__ import annotations

from typing import Any, Final, cast

from aws_cdk import Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from constructs import IConstruct

from .synthesis.facts import Fact, stack_of
from .synthesis.identity import address
from .synthesis.snapshot import as_json
from .tokens import is_literal

# By the addresses of the stack and of the repository.
_resolved: Final[dict[tuple[str, str], tuple[Any, Any]]] = {}


# By the address of the stack and the resolved name.
_of_assets: Final[dict[tuple[str, str], ecr.IRepository]] = {}


def repository_of(asset: ecr_assets.DockerImageAsset | ecr_assets.TarballImageAsset) -> ecr.IRepository:
    """The repository of an asset: the same object for all assets of a stack in one repository.

    CDK makes one for each asset, and their attributes are different tokens.

    :param asset: the asset.
    """
    stack, repository = stack_of(asset), asset.repository
    name = repository.repository_name
    key = (address(stack), as_json(name if is_literal(name) else stack.resolve(name)))
    return _of_assets.setdefault(key, repository)


@Fact
def arn_of(repository: IConstruct) -> str:
    """The ARN of a repository, which may be a token."""
    return cast(ecr.IRepository, repository).repository_arn


@Fact
def uri_of(repository: IConstruct) -> str:
    """The URI of a repository, which may be a token."""
    return cast(ecr.IRepository, repository).repository_uri


def resolved_repository(stack: Stack, repository: ecr.IRepository) -> tuple[Any, Any]:
    """The ARN and the URI of a repository, as the template of a stack contains them.

    :param stack: the stack.
    :param repository: the repository.
    """
    key = (address(stack), address(repository))
    if key not in _resolved:
        arn, uri = stack.resolve([arn_of(repository), uri_of(repository)])
        _resolved[key] = (arn, uri)
    return _resolved[key]
