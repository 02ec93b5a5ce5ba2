"""One verified image and its verifier, whose settings are in the context."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr

from cdk_safe_image import ImageVerification, ImageVerifier

app = cdk.App()
stack = cdk.Stack(app, app.node.get_context("stack"))


def number(name: str) -> int | None:
    value = app.node.try_get_context(name)
    return int(value) if value else None


def seconds(name: str) -> cdk.Duration | None:
    value = number(name)
    return cdk.Duration.seconds(value) if value else None


verifier = ImageVerifier(
    stack,
    app.node.try_get_context("verifier") or "Verifier",
    managed_policies=app.node.try_get_context("managed") == "yes",
    memory_size=number("memory"),
    timeout=seconds("timeout"),
)
if app.node.try_get_context("dead"):
    function = verifier.function.node.default_child
    assert isinstance(function, cdk.CfnResource)
    function.add_property_override("Handler", "image_verifier.nothing.handler")
ImageVerification(
    stack,
    "Image",
    repository=ecr.Repository.from_repository_name(stack, "Repository", app.node.get_context("repository")),
    tag=app.node.get_context("tag"),
    verifier=verifier,
    service_timeout=seconds("service_timeout"),
)
app.synth()
