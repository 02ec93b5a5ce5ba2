"""Files of the shapes that public projects have: each image that they name, with runtime, platform and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from safe_image.documents.document_targets import _READERS
from safe_image.documents.settings import Settings
from safe_image.sources.targets import TargetResolver
from tests.unit.safe_image.documents.files import ECR, PSEUDO

SHAPES = Path(__file__).parent / "shapes"
ASSETS = f"{ECR}/cdk-hnb659fds-container-assets-111122223333-eu-west-1"
DIGEST = "sha256:" + "b" * 64
FARGATE, LAMBDA = ("fargate",), ("lambda",)
AMD64, ARM64 = "linux/amd64", "linux/arm64"
Row = tuple[str, tuple[str, ...], str | None, int]
SHOP = 'module.shop["eu"]'

FOUND: dict[str, list[Row]] = {
    "cloudformation:fargate-service.yaml": [
        (f"{ECR}/staging/shop:latest", FARGATE, ARM64, 25),
        ("public.ecr.aws/datadog/agent:7.60.0", FARGATE, ARM64, 28),
    ],
    "cloudformation:sam.yaml": [("docker-daemon:resizefunction:python3.13-v1", LAMBDA, ARM64, 7)],
    "cloudformation:ShopStack.template.json": [
        (f"{ASSETS}:1f0c", FARGATE, AMD64, 9),
        (f"{ASSETS}:77ab", LAMBDA, ARM64, 30),
        (f"{ASSETS}:1f0c", ("batch",), AMD64, 57),
    ],
    "cloudformation:root.yaml": [
        ("Network (https://s3.amazonaws.com/templates/vpc.yaml)", (), None, 3),
        (f"{ECR}/production/shop:2.3", FARGATE, ARM64, 25),
        ("public.ecr.aws/datadog/agent:7.62.1", FARGATE, ARM64, 28),
        ("public.ecr.aws/nginx/nginx:1.27", FARGATE, ARM64, 29),
    ],
    "task-definition:ecspresso-task-def.json": [
        (f"{ECR}/shop:edge", FARGATE, ARM64, 9),
        ("{{ tfstate `aws_ecr_repository.log.repository_url` }}:1", FARGATE, ARM64, 11),
    ],
    "task-definition:describe-task-definition.json": [(f"{ECR}/shop:4.1", ("ecs-ec2",), None, 7)],
    "task-definition:codedeploy-taskdef.json": [("<IMAGE1_NAME>", FARGATE, AMD64, 3)],
    "terraform:terraform-plan.json": [
        (f"{ECR}/thumbs:9", LAMBDA, ARM64, 1),
        (
            "${aws_apprunner_service.site.source_configuration[0].image_repository[0].image_identifier}",
            ("app-runner",),
            None,
            1,
        ),
        ("ghcr.io/example/shop:1.9", FARGATE, ARM64, 1),
        ("public.ecr.aws/aws-observability/aws-otel-collector:v0.43", FARGATE, ARM64, 1),
        (f"${{{SHOP}.aws_ecs_task_definition.worker.image}}", ("ecs-ec2",), None, 1),
        ("ghcr.io/example/nightly:3", ("batch",), ARM64, 1),
        ("ghcr.io/example/api:2", ("eks",), ARM64, 1),
    ],
    "terraform:terraform-state.json": [
        ("ghcr.io/example/shop:1.8", ("ecs-managed-instances",), AMD64, 12),
        (f"{ECR}/score:5", ("sagemaker",), None, 33),
        (f"{ECR}/rank:5", ("sagemaker",), None, 33),
    ],
    "kubernetes:helm-output.yaml": [
        ("ghcr.io/example/shop:1.9", ("eks",), ARM64, 26),
        ("ghcr.io/example/shop:1.9", ("eks",), ARM64, 29),
        (f"ghcr.io/example/report@{DIGEST}", ("eks",), None, 41),
    ],
    "compose:compose.yaml": [
        ("ghcr.io/example/shop:1.9", (), ARM64, 8),
        ("ghcr.io/example/worker:${WORKER_TAG}", (), ARM64, 11),
        ("redis:8", (), None, 13),
        ("tools", (), None, 15),
    ],
}
UNKNOWN = {
    "Network (https://s3.amazonaws.com/templates/vpc.yaml)",
    "{{ tfstate `aws_ecr_repository.log.repository_url` }}:1",
    "<IMAGE1_NAME>",
    "${aws_apprunner_service.site.source_configuration[0].image_repository[0].image_identifier}",
    f"${{{SHOP}.aws_ecs_task_definition.worker.image}}",
    "ghcr.io/example/worker:${WORKER_TAG}",
    "tools",
}


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("AWS_ACCOUNT", "111122223333")
    for name in ("SHOP_TAG", "WORKER_TAG"):
        monkeypatch.delenv(name, raising=False)
    return Settings(PSEUDO)


@pytest.mark.parametrize("reference", FOUND)
def test_every_image_of_a_file_is_found(reference: str, settings: Settings) -> None:
    scheme, _, name = reference.partition(":")
    images = list(_READERS[f"{scheme}:"](str(SHAPES / name), settings, TargetResolver()))
    assert [(it.reference, it.runs_on, it.platform, it.place.line) for it in images] == FOUND[reference]
    assert {it.reference for it in images if it.missing} == UNKNOWN & {it.reference for it in images}


def test_every_file_is_read() -> None:
    assert {reference.partition(":")[2] for reference in FOUND} == {path.name for path in SHAPES.iterdir()}


SETTINGS = [
    ("task-definition:codedeploy-taskdef.json", "IMAGE1_NAME=shop:1", "shop:1"),
    ("compose:compose.yaml", "WORKER_TAG=4", "ghcr.io/example/worker:4"),
    (
        "terraform:terraform-plan.json",
        "aws_apprunner_service.site.source_configuration[0].image_repository[0].image_identifier=shop:1",
        "shop:1",
    ),
    ("terraform:terraform-plan.json", f"{SHOP}.aws_ecs_task_definition.worker.image=shop:2", "shop:2"),
]


@pytest.mark.parametrize(("reference", "setting", "found"), SETTINGS)
def test_what_is_missing_can_be_set(reference: str, setting: str, found: str) -> None:
    scheme, _, name = reference.partition(":")
    images = list(_READERS[f"{scheme}:"](str(SHAPES / name), Settings.parse([setting]), TargetResolver()))
    assert found in {image.reference for image in images if not image.missing}


def test_a_place_in_a_plan_has_the_resources_address(settings: Settings) -> None:
    images = list(_READERS["terraform:"](str(SHAPES / "terraform-plan.json"), settings, TargetResolver()))
    assert [image.place.path for image in images] == [
        "aws_lambda_function.thumbs[0].code.image_uri",
        "aws_apprunner_service.site.source_configuration.image_repository.image_identifier",
        f"{SHOP}.aws_ecs_task_definition.web.container_definitions[0].image",
        f"{SHOP}.aws_ecs_task_definition.web.container_definitions[1].image",
        f"{SHOP}.aws_ecs_task_definition.worker.container_definitions",
        f"{SHOP}.aws_batch_job_definition.nightly.container_properties.image",
        f"{SHOP}.module.jobs.kubernetes_deployment.api.spec[0].template[0].spec[0].containers[0].image",
    ]
