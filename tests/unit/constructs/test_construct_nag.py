"""cdk-nag's packs find nothing in what the constructs make, and nothing in it is suppressed."""

from __future__ import annotations

import json
from pathlib import Path

import cdk_nag
import pytest
from aws_cdk import App, Environment, Stack, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs

import cdk_safe_image
from cdk_safe_image import ImageVerification, ImageVerifier, SafeDockerImageAsset
from tests.unit.constructs.app import new_app

PACKS = {
    "AwsSolutions": cdk_nag.AwsSolutionsChecks,
    "HIPAA.Security": cdk_nag.HIPAASecurityChecks,
    "NIST.800.53.R5": cdk_nag.NIST80053R5Checks,
    "PCI.DSS.321": cdk_nag.PCIDSS321Checks,
}


def findings(app: App, *packs: str) -> str:
    """What the packs find; nothing where the synth goes through."""
    Validations.of(app).add_plugins(*(PACKS[pack](app, verbose=True) for pack in packs))
    try:
        app.synth()
    except RuntimeError as error:
        return str(error)
    return ""


def stack_in(app: App) -> Stack:
    return Stack(app, "Demo", env=Environment(account="111122223333", region="us-east-1"))


def test_aws_solutions_finds_nothing_by_default(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    ImageVerification(stack, "Verified", repository=image.repository, tag="v1", runs_on="lambda", verify_layers=True)
    assert findings(app, "AwsSolutions") == ""


def hardened(stack: Stack) -> ImageVerifier:
    """As docs/constructs.md has it."""
    key = kms.Key(stack, "Key", enable_key_rotation=True)
    return ImageVerifier(
        stack,
        "Verifier",
        vpc=ec2.Vpc.from_vpc_attributes(
            stack,
            "Vpc",
            vpc_id="vpc-0123456789abcdef0",
            availability_zones=["us-east-1a"],
            isolated_subnet_ids=["subnet-0123456789abcdef0"],
        ),
        dead_letter_queue=sqs.Queue(stack, "DeadLetters", encryption_master_key=key, enforce_ssl=True),
        encryption_key=key,
        managed_policies=True,
        reserved_concurrent_executions=10,
    )


@pytest.mark.parametrize("pack", ["HIPAA.Security", "NIST.800.53.R5", "PCI.DSS.321"])
def test_a_pack_for_regulated_accounts_finds_nothing_with_the_documented_verifier(
    docker_folder: str, pack: str
) -> None:
    app = new_app()
    stack = stack_in(app)
    SafeDockerImageAsset(stack, "Image", directory=docker_folder, verifier=hardened(stack))
    assert findings(app, pack) == ""


def test_the_packs_look_at_all_of_it(docker_folder: str) -> None:
    """Without this, a pack that finds nothing might have looked at nothing."""
    app = new_app()
    stack = stack_in(app)
    SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    ecs.Cluster(stack, "Cluster", container_insights_v2=ecs.ContainerInsights.DISABLED)
    found = findings(app, "HIPAA.Security", "AwsSolutions")
    for rule in ("LambdaDLQ", "LambdaInsideVPC", "LambdaConcurrency", "IAMNoInlinePolicy", "AwsSolutions-ECS4"):
        assert rule in found


def test_nothing_of_ours_is_suppressed(docker_folder: str) -> None:
    sources = Path(cdk_safe_image.__file__).parent.rglob("*.py")
    words = ("cdk_nag", "NagSuppressions", "Validations")
    assert not [path.name for path in sources for word in words if word in path.read_text()]
    app = new_app()
    stack = stack_in(app)
    SafeDockerImageAsset(stack, "Image", directory=docker_folder, verifier=hardened(stack))
    assert "cdk_nag" not in json.dumps(app.synth().get_stack_by_name("Demo").template)
