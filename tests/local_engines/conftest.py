"""The engines push to and pull from the local AWS of tests/local_aws."""

from tests.local_aws.conftest import aws, secured

__all__ = ["aws", "secured"]
