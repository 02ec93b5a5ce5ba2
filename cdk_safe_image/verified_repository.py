"""A repository that returns the verified image for every tag, to be passed to CDK's classes for images in ECR."""

from __future__ import annotations

from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from constructs import Construct


class VerifiedRepository(ecr.RepositoryBase):
    """Wraps a repository, and returns the URI of the verified image for every tag.

    `ContainerImage.from_ecr_repository` and `DockerImageCode.from_ecr` make the URI themselves from a tag or a digest,
    before it is known which stack uses it.
    """

    def __init__(self, scope: Construct, id: str, *, repository: ecr.IRepository, image_uri: str) -> None:
        """
        :param scope: the parent construct.
        :param id: the construct's id.
        :param repository: the repository that contains the image.
        :param image_uri: the image's URI.
        """
        super().__init__(scope, id)
        self._repository = repository
        self._image_uri = image_uri

    @property
    def repository_arn(self) -> str:
        """The repository's ARN."""
        return self._repository.repository_arn

    @property
    def repository_name(self) -> str:
        """The repository's name."""
        return self._repository.repository_name

    def repository_uri_for_tag_or_digest(self, tag_or_digest: str | None = None) -> str:
        """The verified image's URI.

        :param tag_or_digest: not used.
        """
        return self._image_uri

    def add_to_resource_policy(self, statement: iam.PolicyStatement) -> iam.AddToResourcePolicyResult:
        """Add a statement to the repository's policy.

        :param statement: the statement.
        """
        return self._repository.add_to_resource_policy(statement)

    def grant_pull(self, grantee: iam.IGrantable) -> iam.Grant:
        """Grant the permission to pull from the repository.

        :param grantee: the principal that may pull.
        """
        return self._repository.grant_pull(grantee)
