"""The parts of a template that accept no attribute of a resource get the image as it was given.

CDK's own rules for templates make the synth fail where CloudFormation would refuse the template.
"""

from __future__ import annotations

import pytest
from aws_cdk import CfnCondition, CfnMapping, CfnOutput, CfnParameter, Fn

from cdk_safe_image import SafeDockerImageAsset
from tests.unit.cdk_safe_image.app import messages_of, new_app, run_on_fargate, stack_in


def test_texts_and_conditions_contain_the_plain_tag(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    run_on_fargate(stack, "Web", image)
    output = CfnOutput(
        stack,
        "Output",
        value=image.image_tag,
        export_name=f"tag-{image.image_tag}",
        description=f"as {image.image_tag}",
    )
    output.condition = CfnCondition(stack, "Is", expression=Fn.condition_equals(image.image_tag, stack.stack_name))
    assembly = app.synth()
    template = assembly.get_stack_by_name("Demo").template
    made = template["Outputs"]["Output"]
    assert made["Value"]["Fn::GetAtt"][1] == "ImageTag"
    assert made["Export"] == {"Name": f"tag-{image.asset_hash}"}
    assert made["Description"] == f"as {image.asset_hash}"
    assert template["Conditions"]["Is"]["Fn::Equals"][0] == image.asset_hash
    assert not messages_of(assembly, "error")


def test_the_digest_has_no_plain_value(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    CfnOutput(stack, "Output", value="-", description=image.image_digest)
    (error,) = messages_of(app.synth(), "error")
    assert "Demo/Output uses image_digest of Demo/Image where it cannot wait" in error


@pytest.mark.parametrize("section", ["Parameters", "Mappings"])
def test_an_image_that_a_resource_would_get_without_waiting_is_an_error(docker_folder: str, section: str) -> None:
    app = new_app()
    stack = stack_in(app)
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    if section == "Parameters":
        tag = CfnParameter(stack, "Indirect", default=image.image_tag).value_as_string
    else:
        tag = CfnMapping(stack, "Indirect", mapping={"web": {"tag": image.image_tag}}).find_in_map("web", "tag")
    CfnOutput(stack, "Output", value=tag)
    errors = messages_of(app.synth(), "error")
    assert any("Demo/Indirect contains the image Demo/Image, and a resource" in it for it in errors)
