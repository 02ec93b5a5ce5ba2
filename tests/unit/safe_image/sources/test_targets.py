"""References to ECR, in every partition, go through its API, with commands for the right region and account."""

from __future__ import annotations

import pytest
from image_verifier.rules.names import Names
from image_verifier.sources.ecr_image import EcrImage

from safe_image.sources.targets import TargetResolver

ACCOUNT = "123456789012"
DIGEST = "sha256:" + "a" * 64


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")


@pytest.mark.parametrize(
    ("host", "region", "partition", "endpoint"),
    [
        ("dkr.ecr.eu-west-1.amazonaws.com", "eu-west-1", "aws", "api.ecr.eu-west-1.amazonaws.com"),
        ("dkr.ecr-fips.us-east-1.amazonaws.com", "us-east-1", "aws", "ecr-fips.us-east-1.amazonaws.com"),
        ("dkr-ecr.us-west-2.on.aws", "us-west-2", "aws", "ecr.us-west-2.api.aws"),
        ("dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1", "aws-cn", "api.ecr.cn-north-1.amazonaws.com.cn"),
        ("dkr.ecr.us-gov-west-1.amazonaws.com", "us-gov-west-1", "aws-us-gov", "api.ecr.us-gov-west-1.amazonaws.com"),
        ("dkr.ecr.us-iso-east-1.c2s.ic.gov", "us-iso-east-1", "aws-iso", "api.ecr.us-iso-east-1.c2s.ic.gov"),
        ("dkr.ecr.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1", "aws-iso-b", "api.ecr.us-isob-east-1.sc2s.sgov.gov"),
        ("dkr.ecr.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1", "aws-eusc", "api.ecr.eusc-de-east-1.amazonaws.eu"),
    ],
)
def test_a_reference_to_ecr_is_read_in_its_own_region_and_partition(
    host: str, region: str, partition: str, endpoint: str
) -> None:
    target = TargetResolver().target(f"{ACCOUNT}.{host}/team/app:v1", "linux/amd64")
    source = target.open()
    assert isinstance(source, EcrImage)
    assert source._arn == f"arn:{partition}:ecr:{region}:{ACCOUNT}:repository/team/app"
    assert endpoint in source._client.meta.endpoint_url
    assert (target.names.region, target.names.registry_id, target.names.repository) == (region, ACCOUNT, "team/app")


def test_the_commands_for_an_image_of_cdk_remove_its_local_copy_too() -> None:
    tag = "f" * 64
    host = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
    names = (
        TargetResolver().target(f"{host}/cdk-hnb659fds-container-assets-{ACCOUNT}-eu-west-1:{tag}", "linux/arm64").names
    )
    assert names.local_image == f"cdkasset-{tag}"
    assert names.platform == "linux/arm64"


def test_an_image_that_is_referenced_by_digest_has_no_tag_in_its_commands() -> None:
    names = TargetResolver().target(f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/app@{DIGEST}", "linux/amd64").names
    assert names == Names(
        reference=f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/app@{DIGEST}",
        region="eu-west-1",
        registry_id=ACCOUNT,
        repository="app",
        digest=DIGEST,
    )
