"""Without verification, a stack still exports what the deployed stacks import."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns

from cdk_safe_image import ImageVerification, ImageVerifier, SafeDockerImageAsset, SafeImages
from tests.unit.cdk_safe_image.app import new_app, not_empty, stack_in
from tests.unit.cdk_safe_image.test_safe_images import with_from_asset


def with_a_verifier(home: Stack, user: Stack, folder: str) -> None:
    SafeDockerImageAsset(user, "Image", directory=folder, verifier=ImageVerifier(home, "Verifier"))


def with_a_role(home: Stack, user: Stack, folder: str) -> None:
    role = iam.Role(home, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    SafeDockerImageAsset(user, "Image", directory=folder, verifier=ImageVerifier(user, "Verifier", role=role))


def with_a_topic(home: Stack, user: Stack, folder: str) -> None:
    topic = sns.Topic(home, "Topic", master_key=kms.Key(home, "Key"))
    SafeDockerImageAsset(user, "Image", directory=folder, notify=topic)


def with_a_repository(home: Stack, user: Stack, folder: str) -> None:
    ImageVerification(user, "Image", repository=ecr.Repository(home, "Repository"), tag="v1")


def with_every_image(home: Stack, user: Stack, folder: str) -> None:
    SafeImages.protect(user, verifier=ImageVerifier(home, "Verifier"))
    with_from_asset(user, folder)


@pytest.mark.parametrize("use", [with_a_verifier, with_a_role, with_a_topic, with_a_repository, with_every_image])
def test_without_verification_every_export_stays_that_a_deployed_stack_imports(docker_folder: str, use: Any) -> None:
    def exports(app: App) -> dict[str, Any]:
        home, user = not_empty(stack_in(app, "Home")), not_empty(stack_in(app, "User"))
        use(home, user, docker_folder)
        outputs: dict[str, Any] = app.synth().get_stack_by_name("Home").template.get("Outputs", {})
        return outputs

    on, off = exports(new_app()), exports(new_app(**{"cdk-safe-image:verify": "off"}))
    assert on
    assert on.items() <= off.items()


def test_without_verification_a_stack_by_itself_exports_nothing(docker_folder: str) -> None:
    app = new_app(**{"cdk-safe-image:verify": "off"})
    stack = stack_in(app)
    topic = sns.Topic(stack, "Topic")
    SafeDockerImageAsset(stack, "Image", directory=docker_folder, verifier=ImageVerifier(stack, "V"), notify=topic)
    assert "Outputs" not in app.synth().get_stack_by_name("Demo").template
