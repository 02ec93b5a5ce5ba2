"""One verified image whose policy is in the context: `asked` in JSON, and `topic`, the ARN of an SNS topic."""

from __future__ import annotations

import json

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_sns as sns

from cdk_safe_image import ImagePolicy, ImageVerification

app = cdk.App()
topic = app.node.try_get_context("topic")
stack = cdk.Stack(app, app.node.get_context("stack"))
ImagePolicy.defaults(
    app,
    notify=sns.Topic.from_topic_arn(stack, "Topic", topic) if topic else None,
    **json.loads(app.node.get_context("asked")),
)
image = ImageVerification(
    stack,
    "Image",
    repository=ecr.Repository.from_repository_name(stack, "Repository", app.node.get_context("repository")),
    tag=app.node.get_context("tag"),
)
# What uses the image here: its attributes must be those of an image also where nothing refuses it.
cdk.CfnOutput(stack, "ImageUri", value=image.image_uri)
cdk.CfnOutput(stack, "ImageDigest", value=image.image_digest)
app.synth()
