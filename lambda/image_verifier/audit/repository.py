"""One ECR repository, and the list of all of a registry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from .. import aws
from ..image.ecr_hosts import ecr_host
from ..retry import RetryBudget

# For how long one call is retried, in seconds: a throttled account needs longer to recover than a broken one. Each
# thread waits by itself, with jitter and up to 5 s, so that all together call as often as AWS accepts. botocore's
# "adaptive" mode is not used: after twenty calls that were throttled at once, 130 images took 50 s with it, and 6 s
# without.
RETRY_SECONDS: Final = 60.0
# The largest page of DescribeRepositories.
_PAGE: Final = 1000


@dataclass(frozen=True, order=True)
class Repository:
    """One ECR repository."""

    partition: str
    region: str
    registry_id: str
    name: str

    @property
    def arn(self) -> str:
        """`arn:PARTITION:ecr:REGION:ACCOUNT:repository/NAME`."""
        return f"arn:{self.partition}:ecr:{self.region}:{self.registry_id}:repository/{self.name}"

    @property
    def uri(self) -> str:
        """`ACCOUNT.dkr.ecr.REGION.SUFFIX/NAME`, as in an image's name."""
        return f"{ecr_host(self.registry_id, self.region, self.partition)}/{self.name}"


def list_repositories(client: Any, place: Repository) -> Iterator[Repository]:
    """Every repository of a registry, page by page.

    :param client: a boto3 ECR client of its region.
    :param place: the registry, as a repository with the name `*`.
    :raises Fault: if the call fails.
    """
    pages = aws.pages(
        client,
        "describe_repositories",
        place.arn,
        lambda: RetryBudget.of(RETRY_SECONDS),
        registryId=place.registry_id,
        maxResults=_PAGE,
    )
    for page in pages:
        for repository in page["repositories"]:
            yield replace(place, name=repository["repositoryName"])
