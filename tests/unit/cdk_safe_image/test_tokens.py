"""An attribute of a verified image is known at deploy: it cannot be split at synth, but passed on as it is."""

from __future__ import annotations

import copy
import html
import json
import re
import shlex
import string
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from aws_cdk import CfnOutput, DefaultTokenResolver, Fn, StringConcat, Tokenization
from constructs import Construct

from cdk_safe_image import SafeDockerImageAsset
from cdk_safe_image.tokens import shortest
from tests.unit.cdk_safe_image.app import new_app, stack_in

PARTS: dict[str, Callable[[str], Any]] = {
    "a slice": lambda text: text[:8],
    "a split": lambda text: text.split("-"),
    "a replacement": lambda text: text.replace(":", "-"),
    "upper case": lambda text: text.upper(),
    "a format with a width": lambda text: f"{text:.8}",
    "characters": lambda text: list(text),
}


@pytest.mark.parametrize("attribute", ["image_tag", "image_uri", "image_digest"])
@pytest.mark.parametrize("is_of_the_asset", [True, False])
def test_a_part_of_an_attribute_is_refused_with_what_to_use(
    docker_folder: str, attribute: str, is_of_the_asset: bool
) -> None:
    image = SafeDockerImageAsset(stack_in(new_app()), "Image", directory=docker_folder)
    text = getattr(image if is_of_the_asset else image.verification, attribute)
    for part in PARTS.values():
        with pytest.raises(
            ValueError,
            match=rf"{attribute} of Demo/Image is only known at deploy.*The tag alone is image_tag.*asset_hash of an",
        ):
            part(text)


def test_an_attribute_can_be_passed_on_whole_or_as_a_part_of_a_text(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    CfnOutput(stack, "Tag", value=image.image_tag)
    CfnOutput(stack, "Text", value=f"build-{image.image_tag}")
    CfnOutput(stack, "Sum", value="build-" + image.image_tag)
    CfnOutput(stack, "Copy", value="{tag:s}".format(**copy.deepcopy({"tag": image.image_tag})))
    CfnOutput(stack, "Part", value=Fn.select(0, Fn.split("-", image.image_tag)))
    CfnOutput(stack, "Hash", value=image.asset_hash[:8])
    outputs = app.synth().get_stack_by_name("Demo").template["Outputs"]
    attribute = outputs["Tag"]["Value"]
    assert outputs["Text"]["Value"] == outputs["Sum"]["Value"] == {"Fn::Join": ["", ["build-", attribute]]}
    assert outputs["Copy"]["Value"] == attribute
    assert outputs["Part"]["Value"]["Fn::Select"][1] == {"Fn::Split": ["-", attribute]}


@pytest.mark.parametrize("attribute", ["image_tag", "image_uri", "image_digest"])
def test_two_readings_of_an_attribute_are_equal(docker_folder: str, attribute: str) -> None:
    image = SafeDockerImageAsset(stack_in(new_app()), "Image", directory=docker_folder)
    for read in (image, image.verification):
        assert getattr(read, attribute) == getattr(read, attribute)


QUOTED: dict[str, Callable[[str], str]] = {
    "for a shell": shlex.quote,
    "for HTML": html.escape,
    "for JSON": json.dumps,
    "for JSON, indented": lambda text: json.dumps([text], indent=2),
    "for YAML": lambda text: yaml.safe_dump({"image": text}),
    "for YAML, by the other dumper": lambda text: yaml.dump({"image": text}),
    "for YAML, by the dumper in C": lambda text: yaml.dump({"image": text}, Dumper=yaml.CSafeDumper),
    "in a template of Python": lambda text: string.Template("image=$image").substitute(image=text),
    "as bytes": lambda text: text.encode().decode(),
    "as a replacement": lambda text: re.sub("IMAGE", text, "image=IMAGE"),
}


@pytest.mark.parametrize("quote", QUOTED.values(), ids=QUOTED)
def test_an_attribute_is_quoted_as_any_string_is(docker_folder: str, quote: Callable[[str], str]) -> None:
    image = SafeDockerImageAsset(stack_in(new_app()), "Image", directory=docker_folder)
    for text in (image.image_uri, image.image_tag):
        assert quote(text) == quote(str(text))


def test_an_attribute_can_be_resolved_outside_of_a_template(docker_folder: str) -> None:
    stack = stack_in(new_app())
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    resolver = DefaultTokenResolver(StringConcat())
    expected = {"Fn::GetAtt": [stack.get_logical_id(image.verification.resource), "ImageTag"]}
    scopes = (stack, Construct(stack, "Other"), CfnOutput(stack, "Output", value="-"), image.verification.resource)
    assert [Tokenization.resolve(image.image_tag, scope=it, resolver=resolver) for it in scopes] == [expected] * 4


def test_a_copy_of_an_attribute_cannot_be_split_either(docker_folder: str) -> None:
    image = SafeDockerImageAsset(stack_in(new_app()), "Image", directory=docker_folder)
    for text in (copy.copy(image.image_tag), copy.deepcopy(image.image_tag)):
        with pytest.raises(ValueError, match="image_tag of Demo/Image is only known at deploy"):
            text.split("-")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":ecr:", {"Fn::Sub": "${AWS::Region}"}]]},
            {"Fn::Sub": "arn:${AWS::Partition}:ecr:${AWS::Region}"},
        ),
        ({"Fn::Join": ["", ["${a}", {"Ref": "AWS::Region"}]]}, {"Fn::Sub": "${!a}${AWS::Region}"}),
        ({"Ref": "AWS::Region"}, {"Fn::Sub": "${AWS::Region}"}),
        ("shop", "shop"),
        ("${shop}", "${shop}"),
        *(
            (it, it)
            for it in (
                {"Fn::Join": ["-", ["a", {"Ref": "AWS::Region"}]]},
                {"Fn::Join": ["", ["a", {"Fn::Select": [0, {"Fn::Split": ["-", "b-c"]}]}]]},
                {"Fn::Sub": ["${a}", {"a": "b"}]},
            )
        ),
    ],
)
def test_the_shortest_form_of_a_fixed_value_is_one_substitution(value: Any, expected: Any) -> None:
    assert shortest(value) == expected
