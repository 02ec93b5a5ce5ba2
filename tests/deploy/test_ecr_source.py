"""The ECR source against the local ECR: its requests, its faults, and that it prints no secret."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from image_verifier import aws as aws_call
from image_verifier.faults import Fault
from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.report import Report
from image_verifier.retry import RetryBudget
from image_verifier.sources.ecr_image import EcrImage
from image_verifier.verify import verify

from local_aws import ACCOUNT, REGION, LocalAws
from tests.pushing import push
from tests.unit.images import GZIP, Layout

POLICY = Policy(("fargate",), Platform.parse("linux/amd64"))
Verify = Callable[..., Report]


@pytest.fixture(scope="module")
def repository(aws: LocalAws) -> Iterator[str]:
    aws.client("ecr").create_repository(repositoryName="source")
    yield "source"
    aws.client("ecr").delete_repository(repositoryName="source", force=True)


def source(aws: LocalAws, repository: str, tag: str, seconds: float = 60) -> EcrImage:
    client: Any = aws.client("ecr")
    client = boto3.client(
        "ecr",
        region_name=REGION,
        endpoint_url=aws.endpoint,
        aws_access_key_id=client._request_signer._credentials.access_key,
        aws_secret_access_key=client._request_signer._credentials.secret_key,
        config=aws_call.CLIENT_CONFIG,
    )
    return EcrImage(
        client,
        repository_arn=f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{repository}",
        repository_uri=f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{repository}",
        tag=tag,
        retry_budget=RetryBudget.of(seconds, denied_seconds=seconds),
    )


@pytest.fixture
def image(aws: LocalAws, repository: str, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., EcrImage]:
    """Pushes what a layout says and returns its source."""

    def pushed(top: Callable[[Layout], dict[str, Any]], **more: Any) -> EcrImage:
        layout = Layout(tmp_path)
        layout.source(top(layout))
        tag = request.node.name.replace("[", "-").replace("]", "")[:120]
        push(aws, tmp_path, repository, tag)
        aws.reset_calls()
        return source(aws, repository, tag, **more)

    return pushed


def calls(aws: LocalAws) -> Counter[str]:
    return Counter(call["name"] for call in aws.calls())


def test_a_good_image_passes(image: Callable[..., EcrImage]) -> None:
    report = verify(image(lambda layout: layout.image()), POLICY)
    assert report.verdict == "pass", report.findings


@pytest.mark.parametrize("count", [1, 100])
def test_an_image_needs_five_requests_for_any_number_of_layers(
    aws: LocalAws, image: Callable[..., EcrImage], count: int
) -> None:
    verify(image(lambda layout: layout.image(layer_types=(GZIP,) * count)), POLICY)
    assert calls(aws) == Counter(
        {
            "ecr:DescribeImages": 1,
            "ecr:BatchGetImage": 1,
            "ecr:BatchCheckLayerAvailability": 1,
            "ecr:GetDownloadUrlForLayer": 1,
            "layer:GET": 1,
        }
    )


def test_each_manifest_of_an_index_needs_one_more_request(aws: LocalAws, image: Callable[..., EcrImage]) -> None:
    def top(layout: Layout) -> dict[str, Any]:
        amd64 = {**layout.image(), "platform": {"os": "linux", "architecture": "amd64"}}
        return layout.index(amd64, {**layout.attestation(), "platform": {"os": "unknown", "architecture": "unknown"}})

    report = verify(image(top), POLICY)
    assert report.verdict == "pass", report.findings
    # containerd from 2.1 on fails if one of the index's manifests is absent, so each is asked for.
    assert sum(calls(aws).values()) == 7


def test_a_tag_on_an_attestation_is_refused(image: Callable[..., EcrImage]) -> None:
    report = verify(image(lambda layout: layout.attestation()), POLICY)
    assert [f.id for f in report.errors] == ["not-an-image"]


def test_a_tag_that_does_not_exist_is_a_finding(aws: LocalAws, repository: str) -> None:
    report = verify(source(aws, repository, "none"), POLICY)
    assert [f.id for f in report.errors] == ["image-missing"]


def test_a_missing_repository_is_a_fault_with_its_name(aws: LocalAws) -> None:
    with pytest.raises(Fault, match=r"repository/nowhere failed with RepositoryNotFoundException") as fault:
        verify(source(aws, "nowhere", "x"), POLICY)
    assert "Use a repository that exists" in fault.value.advice


def test_access_denied_is_a_fault_with_the_call_and_the_permission(
    aws: LocalAws, image: Callable[..., EcrImage]
) -> None:
    there = image(lambda layout: layout.image(), seconds=1)
    aws.faults.deny("ecr:BatchGetImage")
    with pytest.raises(Fault, match=r"ecr:BatchGetImage on arn:\S+ failed with AccessDenied") as fault:
        verify(there, POLICY)
    assert "Allow ecr:BatchGetImage on arn:" in fault.value.advice


def test_access_that_is_denied_to_a_new_role_is_retried(aws: LocalAws, image: Callable[..., EcrImage]) -> None:
    there = image(lambda layout: layout.image())
    aws.faults.deny("ecr:*", seconds=1)
    assert verify(there, POLICY).verdict == "pass"


def test_throttling_and_server_errors_are_retried(aws: LocalAws, image: Callable[..., EcrImage]) -> None:
    there = image(lambda layout: layout.image())
    aws.faults.throttle("ecr:DescribeImages", times=2)
    aws.faults.error("ecr:BatchGetImage", "ServerException", status=500, times=1)
    assert verify(there, POLICY).verdict == "pass"


def test_a_denied_key_is_a_fault(aws: LocalAws, image: Callable[..., EcrImage]) -> None:
    there = image(lambda layout: layout.image())
    digest = aws.client("ecr").describe_images(repositoryName="source", imageIds=[there._id])["imageDetails"][0]
    aws.faults.content(digest["imageDigest"], "kms")
    with pytest.raises(Fault, match="KmsError") as fault:
        verify(there, POLICY)
    assert "kms:Decrypt" in fault.value.advice


def test_a_missing_layer_is_a_finding(aws: LocalAws, image: Callable[..., EcrImage], tmp_path: Path) -> None:
    there = image(lambda layout: layout.image())
    (top,) = json.loads(tmp_path.joinpath("index.json").read_text())["manifests"]
    blob = tmp_path.joinpath("blobs", *top["digest"].split(":"))
    aws.faults.content(json.loads(blob.read_bytes())["layers"][0]["digest"], "gone")
    assert [f.id for f in verify(there, POLICY).errors] == ["layer-missing"]


def test_an_incomplete_download_is_a_fault_without_its_secret(
    aws: LocalAws, image: Callable[..., EcrImage], tmp_path: Path
) -> None:
    there = image(lambda layout: layout.image(), seconds=1)
    (top,) = json.loads(tmp_path.joinpath("index.json").read_text())["manifests"]
    blob = tmp_path.joinpath("blobs", *top["digest"].split(":"))
    aws.faults.content(json.loads(blob.read_bytes())["config"]["digest"], "truncated")
    with pytest.raises(Fault, match="The download of sha256:") as fault:
        verify(there, POLICY)
    assert "X-Amz-Signature" not in str(fault.value)


def test_an_archived_image_is_a_finding(aws: LocalAws, image: Callable[..., EcrImage]) -> None:
    there = image(lambda layout: layout.image())
    client: Any = aws.client("ecr")
    client.update_image_storage_class(repositoryName="source", imageId=there._id, targetStorageClass="ARCHIVE")
    assert [f.id for f in verify(there, POLICY).errors] == ["image-archived"]
