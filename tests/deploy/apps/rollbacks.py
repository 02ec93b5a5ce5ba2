"""Templates with one verified image, and with a later resource that fails if the parameter `Fail` is `yes`.

Stack `Parameter` has the image's tag in the parameter `Tag`. Each tag in context `tags` has a stack that contains it,
and one in which an aspect also prefixes all logical IDs.
"""

from __future__ import annotations

import json

import aws_cdk as cdk
import jsii
from aws_cdk import aws_ecr as ecr
from constructs import IConstruct

from cdk_safe_image import ImageVerification, ImageVerifier

app = cdk.App()


@jsii.implements(cdk.IAspect)
class Prefix:
    """Prefixes the logical IDs of resources, as aspects for naming conventions do."""

    def visit(self, node: IConstruct) -> None:
        if isinstance(node, cdk.CfnResource):
            name = cdk.Stack.of(node).get_logical_id(node)
            node.override_logical_id(name if name.startswith("Team") else f"Team{name}")


def add_image(stack: cdk.Stack, tag: str) -> None:
    image = ImageVerification(
        stack,
        "Image",
        repository=ecr.Repository.from_repository_name(stack, "Repository", app.node.get_context("repository")),
        tag=tag,
        verifier=ImageVerifier(stack, "Verifier", timeout=cdk.Duration.seconds(int(app.node.get_context("timeout")))),
    )
    cdk.CfnOutput(stack, "ImageUri", value=image.image_uri)
    fail = cdk.CfnParameter(stack, "Fail", default="no")
    # Nothing signals it, so it fails after one second.
    handle = cdk.CfnWaitConditionHandle(stack, "Handle")
    later = cdk.CfnWaitCondition(stack, "Later", handle=handle.ref, timeout="1", count=1)
    later.cfn_options.condition = cdk.CfnCondition(
        stack, "Fails", expression=cdk.Fn.condition_equals(fail.value_as_string, "yes")
    )
    later.node.add_dependency(image)


parameter = cdk.Stack(app, "Parameter")
add_image(parameter, cdk.CfnParameter(parameter, "Tag").value_as_string)
for tag in json.loads(app.node.get_context("tags")):
    add_image(cdk.Stack(app, f"Tag-{tag}"), tag)
    prefixed = cdk.Stack(app, f"Prefixed-{tag}")
    add_image(prefixed, tag)
    cdk.Aspects.of(prefixed).add(Prefix())
app.synth()
