"""Pseudo parameters: what the user set counts before the environment, which is asked only where it is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from safe_image.documents.pseudo_parameters import PseudoParameters
from safe_image.documents.settings import Settings
from safe_image.documents.unknown import Unknown
from safe_image.sources.aws_sessions import AwsSessions


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials and no region."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def pseudo(*settings: str) -> PseudoParameters:
    return PseudoParameters(Settings.parse(settings), AwsSessions())


@pytest.mark.parametrize(
    ("region", "partition", "suffix"),
    [
        ("eu-west-1", "aws", "amazonaws.com"),
        ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
        ("eusc-de-east-1", "aws-eusc", "amazonaws.eu"),
    ],
)
def test_partition_and_suffix_follow_from_the_region(region: str, partition: str, suffix: str) -> None:
    values = pseudo(f"AWS::Region={region}", "AWS::AccountId=111122223333")
    assert [values(f"AWS::{name}") for name in ("Region", "Partition", "URLSuffix", "AccountId")] == [
        region,
        partition,
        suffix,
        "111122223333",
    ]


def test_without_a_region_the_message_says_both_ways_to_set_it() -> None:
    value = pseudo()("AWS::Region")
    assert value == Unknown(
        "${AWS::Region}",
        "the value of AWS::Region",
        "No region is configured. Set AWS_REGION, or the profile's region. Pass --set AWS::Region=VALUE",
    )


def test_a_value_that_only_the_deploy_has_can_be_set() -> None:
    assert pseudo("AWS::StackName=shop")("AWS::StackName") == "shop"
    assert pseudo()("AWS::StackName").missing == "the value of AWS::StackName"
