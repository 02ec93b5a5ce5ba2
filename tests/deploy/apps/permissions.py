"""Stacks of one verified image each, their names in context `stacks`."""

from __future__ import annotations

import json

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr

from cdk_safe_image import ImageVerification, ImageVerifier

app = cdk.App()
for name in json.loads(app.node.get_context("stacks")):
    stack = cdk.Stack(app, name)
    # So little that a denial is soon reported.
    verifier = ImageVerifier(stack, "Verifier", timeout=cdk.Duration.seconds(20))
    ImageVerification(
        stack,
        "Image",
        repository=ecr.Repository.from_repository_name(stack, "Repository", app.node.get_context("repository")),
        tag=app.node.get_context("tag"),
        verifier=verifier,
    )
app.synth()
