"""cdk-nag's packs find nothing in the constructs' resources, and no finding is suppressed."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path

import cdk_nag
import pytest
from aws_cdk import App, Duration, Environment, Stack, Validations
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_events as events
from aws_cdk import aws_sns as sns

import cdk_safe_image
from cdk_safe_image import ImageVerification, RegistryGuard, RegistrySweep, SafeDockerImageAsset, SafeImages
from tests.unit.cdk_safe_image.app import new_app

PACKS: dict[str, Callable[..., cdk_nag.NagPack]] = {
    "AwsSolutions": cdk_nag.AwsSolutionsChecks,
    "HIPAA.Security": cdk_nag.HIPAASecurityChecks,
    "NIST.800.53.R5": cdk_nag.NIST80053R5Checks,
    "PCI.DSS.321": cdk_nag.PCIDSS321Checks,
}


def findings(app: App, *packs: str) -> str:
    """The findings of the packs; empty if the synth succeeds."""
    Validations.of(app).add_plugins(*(PACKS[pack](app, verbose=True) for pack in packs))
    try:
        app.synth(force=True)
    except RuntimeError as error:
        return str(error)
    return ""


def stack_in(app: App) -> Stack:
    return Stack(app, "Demo", env=Environment(account="111122223333", region="us-east-1"))


def test_aws_solutions_finds_nothing_with_the_default_verifier(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    topic = sns.Topic.from_topic_arn(stack, "Topic", "arn:aws:sns:us-east-1:111122223333:refusals")
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder, on_failure="untag", notify=topic)
    ImageVerification(stack, "Verified", repository=image.repository, tag="v1", runs_on="lambda", verify_layers=True)
    assert findings(app, "AwsSolutions") == ""


def test_aws_solutions_finds_nothing_in_the_resources_that_protect_adds(docker_folder: str) -> None:
    app = new_app()
    SafeImages.protect(app)
    ecr_assets.DockerImageAsset(stack_in(app), "Image", directory=docker_folder)
    assert findings(app, "AwsSolutions") == ""


def hardened() -> App:
    """examples/hardened_verifier.py, which docs/constructs.md shows for regulated accounts."""
    app = runpy.run_path(str(Path(__file__).parents[3] / "examples" / "hardened_verifier.py"))["app"]
    assert isinstance(app, App)
    return app


@pytest.mark.parametrize("pack", ["HIPAA.Security", "NIST.800.53.R5", "PCI.DSS.321"])
def test_a_pack_for_regulated_accounts_finds_nothing_with_the_documented_verifier(pack: str) -> None:
    assert findings(hardened(), pack) == ""


def test_the_packs_check_every_resource(docker_folder: str) -> None:
    """Otherwise a pack without findings might have checked no resource."""
    app = new_app()
    stack = stack_in(app)
    SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    ecs.Cluster(stack, "Cluster", container_insights_v2=ecs.ContainerInsights.DISABLED)
    found = findings(app, "HIPAA.Security", "AwsSolutions")
    for rule in ("LambdaDLQ", "LambdaInsideVPC", "LambdaConcurrency", "IAMNoInlinePolicy", "AwsSolutions-ECS4"):
        assert rule in found


def test_in_a_vpc_aws_solutions_only_finds_the_permissions_that_ec2_requires() -> None:
    """EC2 accepts no narrower resource for the network interfaces of a Lambda."""
    found = findings(hardened(), "AwsSolutions")
    assert re.findall(r"Acknowledge with '(.*)'", found) == ["AwsSolutions::AwsSolutions-IAM5[Resource::*]"]


def test_no_finding_is_suppressed_in_our_code() -> None:
    sources = Path(cdk_safe_image.__file__).parent.rglob("*.py")
    words = ("cdk_nag", "NagSuppressions", "Validations")
    assert not [path.name for path in sources for word in words if word in path.read_text()]
    assert "cdk_nag" not in json.dumps(hardened().synth().get_stack_by_name("Hardened").template)


def test_aws_solutions_finds_no_more_in_a_guard_that_sweeps_than_docs_registry_guard_names() -> None:
    """Wildcards for repositories and objects, access logs of the bucket, and logs and traces of each batch."""
    app = new_app()
    schedule = events.Schedule.rate(Duration.days(1))
    RegistryGuard(stack_in(app), "Guard", sweep=RegistrySweep(schedule=schedule))
    found = set(re.findall(r"AwsSolutions-(\w+)", findings(app, "AwsSolutions")))
    assert found == {"IAM5", "S1", "SF1", "SF2"}
