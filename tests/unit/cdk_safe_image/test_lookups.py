"""In the first synth a lookup returns a dummy: nothing is refused for it, or the CLI would never look up the value."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_ssm as ssm

from cdk_safe_image import ImagePolicy, ImageVerification, ImageVerifier, SafeDockerImageAsset, SafeImages
from tests.unit.cdk_safe_image.app import new_app, not_empty, stack_in

# Each keyword with a value from a lookup.
KEYWORDS: dict[str, Any] = {
    "runs_on": lambda dummy: [dummy],
    "platform": lambda dummy: ecr_assets.Platform.custom(dummy),
    "fail_on": lambda dummy: dummy,
    "require": lambda dummy: [f"max-layers:{dummy}"],
    "acknowledge": lambda dummy: {dummy: "why"},
    "on_failure": lambda dummy: dummy,
    "pin": lambda dummy: dummy,
    "gate": lambda dummy: dummy,
}


def looked_up(stack: Stack) -> str:
    return ssm.StringParameter.value_from_lookup(stack, "/shop/value")


@pytest.fixture
def app() -> App:
    return new_app()


@pytest.fixture
def stack(app: App) -> Stack:
    return stack_in(app, region="eu-west-1")


@pytest.mark.parametrize("keywords", [{"tag": ""}, {"digest": ""}, {"tag": "", "on_failure": "untag"}])
def test_an_image_may_be_named_by_a_lookup(app: App, stack: Stack, keywords: Any) -> None:
    shop = ecr.Repository.from_repository_name(stack, "Shop", looked_up(stack))
    named: Any = {name: value or looked_up(stack) for name, value in keywords.items()}
    ImageVerification(stack, "Image", repository=shop, **named)
    app.synth()


def test_a_repository_may_be_named_by_a_lookup_with_capital_letters(app: App, stack: Stack) -> None:
    name = ssm.StringParameter.value_from_lookup(stack, "/Shop/Repository")
    ImageVerification(stack, "Image", repository=ecr.Repository.from_repository_name(stack, "Shop", name), tag="v1")
    app.synth()


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_every_keyword_accepts_a_lookup(app: App, stack: Stack, docker_folder: str, keyword: str) -> None:
    keywords: Any = {keyword: KEYWORDS[keyword](looked_up(stack))}
    SafeDockerImageAsset(stack, "Asset", directory=docker_folder, **keywords)
    shop = ecr.Repository.from_repository_name(stack, "Shop", "shop")
    ImageVerification(stack, "Image", repository=shop, tag="v1", **keywords)
    ImagePolicy.defaults(not_empty(Stack(app, "Policy")), **keywords)
    if keyword not in ("platform", "pin"):
        SafeImages.protect(not_empty(Stack(app, "Protected")), **keywords)
    app.synth()


def test_a_protected_image_accepts_a_platform_from_a_lookup(app: App, stack: Stack, docker_folder: str) -> None:
    SafeImages.protect(stack)
    platform = ecr_assets.Platform.custom(looked_up(stack))
    ecr_assets.DockerImageAsset(stack, "Image", directory=docker_folder, platform=platform)
    app.synth()


def test_the_other_keywords_accept_a_lookup_too(app: App, stack: Stack, docker_folder: str) -> None:
    value: Any = looked_up(stack)
    SafeDockerImageAsset(stack, "Image", directory=docker_folder, compression=value)
    ImageVerifier(stack, "Verifier", runtime=lambda_.Runtime(value, lambda_.RuntimeFamily.PYTHON))
    SafeImages.report(stack, unverified=value)
    app.synth()


@pytest.mark.skipif(not hasattr(iam.Role, "from_lookup"), reason="this aws-cdk-lib cannot look up a role")
def test_a_verifier_accepts_a_role_from_a_lookup(app: App, stack: Stack) -> None:
    ImageVerifier(stack, "Verifier", role=iam.Role.from_lookup(stack, "Role", role_name="verifier"))
    app.synth()


def test_a_wrong_tag_is_still_refused(stack: Stack) -> None:
    shop = ecr.Repository.from_repository_name(stack, "Shop", "shop")
    with pytest.raises(ValueError, match="which is not a valid tag"):
        ImageVerification(stack, "Image", repository=shop, tag="dummy:value")
