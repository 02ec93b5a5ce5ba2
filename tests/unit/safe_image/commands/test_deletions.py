"""`heal` and `preflight --fix` delete nothing that is good, that runs, or that belongs to somebody else."""

from __future__ import annotations

import json
import os
import pty
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from image_verifier.image.media_types import OCI_INDEX
from image_verifier.image.references import rejected_tag

from safe_image.cli import main
from tests.unit.aws_server import ACCOUNT, REGION, Aws, serving_aws
from tests.unit.ecr_repository import EcrRepository, held_attestation, repository
from tests.unit.images import GZIP
from tests.unit.programs import OLD_DOCKER, docker

HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
IMAGE = f"{HOST}/shop:v1"
CLUSTER = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/prod"
SERVICE = f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/prod/web"
DEFINITION = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/web:7"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:api:3"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Aws]:
    with serving_aws() as server:
        server.use(monkeypatch)
        monkeypatch.setenv("CDK_DOCKER", "docker-that-is-not")
        monkeypatch.setattr("sys.stdin", (tmp_path / "nothing").open("w+"))
        nothing_runs(server)
        yield server


@pytest.fixture
def shop(aws: Aws, tmp_path: Path) -> EcrRepository:
    return repository(aws, tmp_path / "layout")


def nothing_runs(aws: Aws) -> None:
    aws.answers |= {"ListClusters": {"clusterArns": []}, "ListFunctions": {"Functions": []}}


def service_runs(aws: Aws, image: str, digest: str, *, status: str = "SUCCESSFUL", current: bool = True) -> None:
    """An ECS service of one container, as a revision that ECS has resolved."""
    revision = f"arn:aws:ecs:{REGION}:{ACCOUNT}:service-revision/prod/web/1"
    containers = [{"containerName": "web", "image": image, **({"imageDigest": digest} if digest else {})}]
    service = {"serviceArn": SERVICE, "serviceName": "web", "taskDefinition": DEFINITION}
    aws.answers |= {
        "ListClusters": {"clusterArns": [CLUSTER]},
        "ListServices": {"serviceArns": [SERVICE]},
        "DescribeServices": {"services": [{**service, "currentServiceRevisions": [{"arn": revision}] * current}]},
        "ListServiceDeployments": {
            "serviceDeployments": [{"status": status, "createdAt": 1, "targetServiceRevisionArn": revision}]
        },
        "DescribeServiceRevisions": {
            "serviceRevisions": [
                {"serviceRevisionArn": revision, "taskDefinition": DEFINITION, "containerImages": containers}
            ]
        },
        "DescribeTaskDefinition": {"taskDefinition": {"containerDefinitions": [{"name": "web", "image": image}]}},
        "ListTaskDefinitions": {"taskDefinitionArns": []},
        "ListTasks": {"taskArns": []},
    }


def function_runs(aws: Aws, image: str) -> None:
    aws.answers["ListFunctions"] = {
        "Functions": [{"FunctionName": "api", "FunctionArn": FUNCTION, "PackageType": "Image"}]
    }
    aws.answers["GetFunction"] = {"Code": {"ImageUri": f"{HOST}/shop:v1", "ResolvedImageUri": image}}


def task_runs(aws: Aws, image: str, digest: str) -> None:
    arn = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/prod/1"
    aws.answers |= {
        "ListClusters": {"clusterArns": [CLUSTER]},
        "ListServices": {"serviceArns": []},
        "ListTasks": {"taskArns": [arn]},
        "DescribeTasks": {"tasks": [{"taskArn": arn, "containers": [{"image": image, "imageDigest": digest}]}]},
    }


def heal(*arguments: str) -> int:
    return main(["heal", IMAGE, "--yes", *arguments])


def words(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr()
    return " ".join((said.out + said.err).split())


def test_a_rejected_tag_is_named_with_its_digest_before_it_is_removed(
    aws: Aws, shop: EcrRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = shop.push(shop.layout.attestation(), "v1")
    assert heal() == 0
    assert shop.deleted == [{"imageTag": "v1", "imageDigest": digest}]
    said = words(capsys)
    plan, _, done = said.partition("To be done:")
    assert f"imageTag=v1,imageDigest={digest}" in done.partition("done:")[0]
    assert "Other accounts and regions were not looked at." in plan
    assert "Now deploy again" in done


def test_without_a_terminal_the_plan_the_exact_line_and_the_permission_are_printed(
    aws: Aws, shop: EcrRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = shop.push(shop.layout.attestation(), "v1")
    assert main(["heal", IMAGE]) == 1
    assert shop.deleted == []
    said = words(capsys)
    assert f"imageTag=v1,imageDigest={digest}" in said
    assert f"stdin is not a terminal. Run: safe-image heal {IMAGE} --yes" in said
    assert f"ecr:BatchDeleteImage on arn:aws:ecr:{REGION}:{ACCOUNT}:repository/shop" in said


@pytest.mark.parametrize(
    "layer",
    ["application/vnd.dev.cosign.simplesigning.v1+json", "application/vnd.cncf.helm.chart.content.v1.tar+gzip"],
)
def test_a_signature_or_a_chart_is_kept(
    aws: Aws, shop: EcrRepository, layer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.push(shop.layout.image(layer_types=(layer,)), "v1")
    assert heal() == 1
    assert shop.deleted == []
    assert "which may be there on purpose" in words(capsys)


def test_an_image_that_can_be_pulled_loses_its_tag_and_is_not_deleted(
    aws: Aws, shop: EcrRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = shop.push(shop.layout.image(config={"architecture": "arm64"}), "v1")
    assert heal("--platform", "linux/amd64") == 0
    assert shop.tags == {rejected_tag(digest): digest}
    assert digest in shop.manifests
    assert f"gets the tag {rejected_tag(digest)} first, and nothing is deleted" in words(capsys)


def test_an_image_that_can_be_pulled_keeps_its_tag_where_nobody_can_look(
    aws: Aws, shop: EcrRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = shop.push(shop.layout.image(config={"architecture": "arm64"}), "v1")
    CUT["denied"](aws)
    assert heal("--platform", "linux/amd64") == 1
    assert shop.tags == {"v1": digest}


def test_an_image_that_only_its_policy_refuses_is_left_alone(
    aws: Aws, shop: EcrRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = shop.push(shop.layout.image(), "v1")
    assert heal("--max-size", "1B") == 1
    assert shop.tags == {"v1": digest}
    said = words(capsys)
    assert "Nothing is removed. A build would make the same image again" in said
    assert "Now deploy again" not in said


def test_heal_promises_nothing_where_another_finding_refuses_the_same_build_again(
    aws: Aws, shop: EcrRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.push(shop.layout.image(), "v1")
    aws.answers["BatchCheckLayerAvailability"] = lambda asked: {
        "layers": [{"layerDigest": one, "layerAvailability": "UNAVAILABLE"} for one in asked["layerDigests"]]
    }
    assert heal("--max-size", "1B") == 0
    said = words(capsys)
    assert "Before you deploy, change the build as shown above" in said
    assert "Now deploy again" not in said


def test_heal_names_the_docker_of_this_machine_that_would_make_the_same_image_again(
    aws: Aws, shop: EcrRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for version, is_named in ((OLD_DOCKER, True), ("28.5.2", False)):
        monkeypatch.setenv("CDK_DOCKER", str(docker(tmp_path / version, version)))
        shop.push(shop.layout.attestation(), "v1")
        assert heal() == 0
        said = words(capsys)
        assert (
            f"Before you deploy, upgrade Docker to 28.2.0 or later (or 25.0.16): version {version}" in said
        ) is is_named
        assert ("Now deploy again" in said) is not is_named


def test_an_image_that_a_second_reading_finds_good_is_kept(
    aws: Aws, shop: EcrRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    """One bad answer, as of a connection that was cut, must not delete a good image."""
    digest = shop.push(shop.layout.image(), "v1")
    real, answers = aws.answers["BatchCheckLayerAvailability"], iter([True])

    def once_unavailable(asked: Mapping[str, Any]) -> Any:
        answer = real(asked)
        if next(answers, False):
            answer["layers"][0]["layerAvailability"] = "UNAVAILABLE"
        return answer

    aws.answers["BatchCheckLayerAvailability"] = once_unavailable
    assert heal("--platform", "linux/amd64") == 2
    assert shop.deleted == []
    assert shop.tags == {"v1": digest}
    assert "was kept: at a second reading, one of its verifications accepts the image" in words(capsys)


def test_an_index_is_never_deleted_for_the_tag_of_its_attestation(
    aws: Aws, shop: EcrRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    index, attestation = held_attestation(shop, "v1")
    assert heal() == 0
    assert shop.tags == {rejected_tag(attestation): attestation}
    assert {index, attestation} <= set(shop.manifests)
    assert [image["imageTag"] for image in shop.deleted] == ["v1", "v1"]
    said = words(capsys)
    assert f"it gets the tag {rejected_tag(attestation)} first, and nothing is deleted" in said
    assert f"{attestation} was tagged {rejected_tag(attestation)} first, and nothing was deleted" in said


def test_a_second_tag_on_other_bytes_removes_nothing(
    aws: Aws, shop: EcrRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    _, attestation = held_attestation(shop, "v1")
    aws.answers["PutImage"] = {"image": {"imageId": {"imageDigest": "sha256:" + "0" * 64}}}
    assert heal() == 2
    assert shop.tags == {"v1": attestation}
    assert f"and not {attestation}" in words(capsys)


def test_a_service_runs_an_index_by_digest_and_it_is_still_there_after_the_tag_of_its_attestation_is_removed(
    aws: Aws, shop: EcrRepository
) -> None:
    index, attestation = held_attestation(shop, "v1")
    service_runs(aws, f"{HOST}/shop@{index}", index)
    assert heal() == 0
    assert shop.tags == {rejected_tag(attestation): attestation}
    assert len(shop.manifests) == 3
    # The manifest of something that runs gets its second tag before the first deletion is tried.
    changes = [action for action, _ in aws.calls if action in ("PutImage", "BatchDeleteImage")]
    assert changes == ["PutImage", "BatchDeleteImage"]


Run = Callable[[Aws, str], None]
RUNS: dict[str, Run] = {
    "ECS service prod/web": lambda aws, digest: service_runs(aws, IMAGE, digest),
    "Lambda function api:3": lambda aws, digest: function_runs(aws, f"{HOST}/shop@{digest}"),
    "ECS task prod/1": lambda aws, digest: task_runs(aws, IMAGE, digest),
}


@pytest.mark.parametrize("user", RUNS)
def test_a_digest_that_something_runs_is_kept(
    aws: Aws, shop: EcrRepository, user: str, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = shop.push(shop.layout.attestation(), "v1")
    RUNS[user](aws, digest)
    assert heal() == 1
    assert shop.deleted == []
    assert f"Kept: the tag v1 of shop ({digest}): {user} runs it" in words(capsys)


@pytest.mark.parametrize(("status", "current"), [("SUCCESSFUL", False), ("IN_PROGRESS", False)])
def test_a_digest_that_a_service_rolls_back_to_or_starts_next_is_kept(
    aws: Aws, shop: EcrRepository, status: str, current: bool
) -> None:
    digest = shop.push(shop.layout.attestation(), "v1")
    service_runs(aws, IMAGE, digest, status=status, current=current)
    assert heal() == 1
    assert shop.deleted == []


def test_a_digest_of_a_deployment_that_was_rolled_back_runs_no_more(aws: Aws, shop: EcrRepository) -> None:
    digest = shop.push(shop.layout.attestation(), "v1")
    good = shop.push(shop.layout.image(), "good")
    service_runs(aws, IMAGE, digest, status="ROLLBACK_SUCCESSFUL", current=False)
    aws.answers["DescribeTaskDefinition"] = {
        "taskDefinition": {"containerDefinitions": [{"image": f"{HOST}/shop@{good}"}]}
    }
    assert heal() == 0
    assert [image["imageDigest"] for image in shop.deleted] == [digest]


def test_a_tag_that_a_service_has_not_resolved_is_kept(aws: Aws, shop: EcrRepository) -> None:
    shop.push(shop.layout.attestation(), "v1")
    service_runs(aws, IMAGE, "")
    assert heal() == 1
    assert shop.deleted == []


def test_a_service_that_runs_an_index_of_indexes_runs_the_manifests_in_them(aws: Aws, shop: EcrRepository) -> None:
    inner, attestation = held_attestation(shop, "v1")
    outer = shop.push(shop.layout.index({"mediaType": OCI_INDEX, "digest": inner, "size": 1}))
    service_runs(aws, f"{HOST}/shop@{outer}", outer)
    assert heal() == 0
    assert shop.tags == {rejected_tag(attestation): attestation}
    changes = [action for action, _ in aws.calls if action in ("PutImage", "BatchDeleteImage")]
    assert changes == ["PutImage", "BatchDeleteImage"]


def test_every_page_of_services_and_functions_is_read(aws: Aws, shop: EcrRepository) -> None:
    digest = shop.push(shop.layout.attestation(), "v1")
    function_runs(aws, f"{HOST}/shop@{digest}")
    second = aws.answers["ListFunctions"]
    aws.answers["ListFunctions"] = lambda asked: second if "Marker" in asked else {"Functions": [], "NextMarker": "m"}
    assert heal() == 1
    assert shop.deleted == []


def test_a_service_that_was_deleted_meanwhile_runs_nothing(aws: Aws, shop: EcrRepository) -> None:
    digest = shop.push(shop.layout.attestation(), "v1")
    service_runs(aws, IMAGE, digest)
    aws.answers["DescribeServices"] = {"services": [], "failures": [{"arn": SERVICE, "reason": "MISSING"}]}
    assert heal() == 0
    assert [image["imageDigest"] for image in shop.deleted] == [digest]


def test_an_index_is_kept_if_one_of_its_manifests_runs(aws: Aws, shop: EcrRepository) -> None:
    """Lambda refuses the index, and a service runs the image in it."""
    image = shop.layout.image()
    shop.push(image)
    shop.push(shop.layout.index({**image, "platform": {"os": "linux", "architecture": "amd64"}}), "v1")
    service_runs(aws, f"{HOST}/shop@{image['digest']}", image["digest"])
    assert heal("--runs-on", "lambda") == 1
    assert shop.deleted == []


def refused_by_a_stack(aws: Aws, *resources: dict[str, str]) -> None:
    """A stack whose last deploy refused the image, and which has these resources."""
    stack = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/Shop/1"
    properties = {
        "RepositoryArn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/shop",
        "RepositoryUri": f"{HOST}/shop",
        "ImageTag": "v1",
        "RunsOn": ["fargate"],
        "Platform": "linux/amd64",
    }
    event = {"StackId": stack, "EventId": "e", "StackName": "Shop", "Timestamp": "2026-01-01T00:00:00Z"}
    failed = {
        **event,
        "ResourceType": "Custom::ImageVerification",
        "ResourceStatus": "CREATE_FAILED",
        "ResourceProperties": json.dumps(properties),
    }
    aws.answers["DescribeStackEvents"] = {"StackEvents": [failed]}
    aws.answers["ListStackResources"] = {"StackResourceSummaries": list(resources)}


@pytest.mark.parametrize("is_recorded", [True, False])
def test_a_digest_that_the_stack_has_verified_before_keeps_its_tag(
    aws: Aws, shop: EcrRepository, is_recorded: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = shop.push(shop.layout.attestation(), "v1")
    record = json.dumps([["f", digest if is_recorded else "sha256:1", 1, "t", 1]])
    common = {"LogicalResourceId": "V", "ResourceStatus": "UPDATE_COMPLETE", "LastUpdatedTimestamp": "2026-01-01"}
    refused_by_a_stack(aws, {**common, "ResourceType": "Custom::ImageVerification", "PhysicalResourceId": record})
    assert main(["heal", "--stack", "Shop", "--region", REGION, "--yes"]) == (1 if is_recorded else 0)
    assert (shop.tags == {"v1": digest}) is is_recorded
    assert ("the stack that refused it has verified it before" in words(capsys)) is is_recorded


def _a_service_that_is_missing(aws: Aws) -> None:
    service_runs(aws, IMAGE, "")
    aws.answers.update(DescribeServices={})


CUT: dict[str, Callable[[Aws], None]] = {
    "denied": lambda aws: aws.answers.update(ListClusters=aws.refusal("AccessDeniedException", "no")),
    "empty": lambda aws: aws.answers.update(ListClusters={}),
    "no functions": lambda aws: aws.answers.update(ListFunctions={}),
    "a service is missing": _a_service_that_is_missing,
    "other account": lambda aws: aws.answers.update(
        GetCallerIdentity={"Account": "444455556666", "Arn": "arn", "UserId": "x"}
    ),
}


@pytest.mark.parametrize("how", CUT)
def test_where_nobody_can_look_only_what_no_runtime_can_pull_is_removed(
    aws: Aws, shop: EcrRepository, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    CUT[how](aws)
    image = shop.layout.image()
    shop.push(image)
    index = shop.push(shop.layout.index({**image, "platform": {"os": "linux", "architecture": "amd64"}}), "v1")
    assert heal("--runs-on", "lambda") == 1
    assert shop.tags == {"v1": index}
    assert "only images that no runtime can pull are removed" in words(capsys)
    shop.push(shop.layout.attestation(), "v1")
    assert heal("--runs-on", "lambda") == 0
    assert shop.tags == {}


def test_what_another_runtime_can_pull_loses_its_tag_and_is_not_deleted(
    aws: Aws, shop: EcrRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    # A scheduled task, or another account, may run it on Fargate by its digest.
    image = shop.layout.image()
    shop.push(image)
    index = shop.push(shop.layout.index({**image, "platform": {"os": "linux", "architecture": "amd64"}}), "v1")
    assert heal("--runs-on", "lambda") == 0
    assert shop.tags == {rejected_tag(index): index}
    assert index in shop.manifests
    assert f"gets the tag {rejected_tag(index)} first, and nothing is deleted" in words(capsys)


def test_a_layer_that_ecr_failed_to_look_up_is_not_a_missing_layer(
    aws: Aws, shop: EcrRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = shop.push(shop.layout.image(), "v1")
    aws.answers["BatchCheckLayerAvailability"] = lambda asked: {
        "failures": [{"layerDigest": layer, "failureCode": "InternalError"} for layer in asked["layerDigests"]]
    }
    assert heal() == 2
    assert shop.tags == {"v1": digest}
    assert "The response to ecr:BatchCheckLayerAvailability" in words(capsys)


@pytest.mark.parametrize("reference", ["shop", "shop:latest"])
def test_a_service_that_has_not_resolved_a_reference_without_a_tag_keeps_the_tag_latest(
    aws: Aws, shop: EcrRepository, reference: str
) -> None:
    digest = shop.push(shop.layout.attestation(), "latest")
    service_runs(aws, f"{HOST}/{reference}", "")
    assert main(["heal", f"{HOST}/shop:latest", "--yes"]) == 1
    assert shop.tags == {"latest": digest}


# preflight


def two_stacks(folder: Path, *runtimes: str) -> Path:
    """An assembly of two stacks that verify one tag, each for a runtime of its own."""
    folder.mkdir()
    artifacts: dict[str, Any] = {}
    for name, runs_on in zip(("Api", "Web"), runtimes, strict=True):
        properties = {"ImageTag": "v1", "RunsOn": [runs_on], "Platform": "linux/amd64"}
        template = {"Resources": {"V": {"Type": "Custom::ImageVerification", "Properties": properties}}}
        destination = {"repositoryName": "shop", "imageTag": "v1", "region": REGION}
        image = {"source": {"directory": "a", "platform": "linux/amd64"}, "destinations": {"here": destination}}
        (folder / f"{name}.template.json").write_text(json.dumps(template))
        (folder / f"{name}.assets.json").write_text(json.dumps({"dockerImages": {"v1": image}}))
        artifacts[f"{name}.assets"] = {"type": "cdk:asset-manifest", "properties": {"file": f"{name}.assets.json"}}
        artifacts[name] = {
            "type": "aws:cloudformation:stack",
            "environment": f"aws://{ACCOUNT}/{REGION}",
            "properties": {"templateFile": f"{name}.template.json"},
            "dependencies": [f"{name}.assets"],
        }
    (folder / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))
    return folder


@pytest.mark.parametrize("runtimes", [("lambda", "fargate"), ("fargate", "lambda")])
def test_the_policies_of_all_stacks_count_before_a_deploy(
    aws: Aws, shop: EcrRepository, tmp_path: Path, runtimes: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A Fargate stack runs an index, which the Lambda stack of the same app will be refused for."""
    image = shop.layout.image()
    shop.push(image)
    shop.push(shop.layout.index({**image, "platform": {"os": "linux", "architecture": "amd64"}}), "v1")
    out = two_stacks(tmp_path / "out", *runtimes)
    assert main(["preflight", str(out), "--fix"]) == 1
    assert shop.deleted == []
    said = words(capsys)
    assert "index-not-taken (lambda)" in said
    assert "one of its verifications accepts the image" in said
    assert main(["check", f"cdk.out:{out}", "--format", "json"]) == 1
    images = json.loads(capsys.readouterr().out)["images"]
    assert {(tuple(one["runs_on"]), one["verdict"]) for one in images} == {
        (("lambda",), "fail"),
        (("fargate",), "pass"),
    }


def test_what_every_stack_refuses_is_removed(aws: Aws, shop: EcrRepository, tmp_path: Path) -> None:
    digest = shop.push(shop.layout.attestation(), "v1")
    assert main(["preflight", str(two_stacks(tmp_path / "out", "lambda", "fargate")), "--fix"]) == 0
    assert shop.deleted == [{"imageTag": "v1", "imageDigest": digest}]


@pytest.mark.parametrize(("typed", "removed"), [("y\n", True), ("n\n", False)])
def test_preflight_asks_a_terminal_before_it_fixes(
    aws: Aws, shop: EcrRepository, tmp_path: Path, typed: str, removed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.push(shop.layout.attestation(), "v1")
    out = two_stacks(tmp_path / "out", "lambda", "fargate")
    outer, inner = pty.openpty()
    with os.fdopen(inner, "r") as terminal:
        os.write(outer, typed.encode())
        monkeypatch.setattr("sys.stdin", terminal)
        assert main(["preflight", str(out), "--fix"]) == (0 if removed else 1)
    os.close(outer)
    assert bool(shop.deleted) is removed


# doctor


def test_doctor_removes_only_tags_that_cdk_made_of_what_no_runtime_can_pull(
    aws: Aws, shop: EcrRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.answers["DescribeRepositories"] = aws.repository("MUTABLE")
    monkeypatch.chdir(tmp_path)
    signature = shop.layout.image(layer_types=("application/vnd.dev.cosign.simplesigning.v1+json",))
    chart = shop.layout.image(layer_types=("application/vnd.cncf.helm.chart.content.v1.tar+gzip",))
    envelope = shop.layout.image(layer_types=("application/vnd.dsse.envelope.v1+json",))
    statement = shop.layout.attestation()
    digest, other = "ab" * 32, "cd" * 32
    kept = {
        f"sha256-{digest}.sig": signature,
        f"sha256-{digest}.att": envelope,
        f"sha256-{digest}": statement,
        "provenance-1": statement,
        "chart-1": chart,
        "3" * 64: signature,
        "4" * 64: chart,
        "5" * 64: shop.layout.image(layer_types=(GZIP,)),
    }
    for tag, descriptor in kept.items():
        shop.push(descriptor, tag)
    for tag in (digest, f"prefix-{other}"):
        shop.push(statement, tag)
    main(["doctor", "--fix", "--yes"])
    assert {image["imageTag"] for image in shop.deleted} == {digest, f"prefix-{other}"}
    assert set(shop.tags) == set(kept)
