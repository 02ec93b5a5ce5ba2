"""ImageVerification: any image in ECR, and the properties that its resource passes to the verifier."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsii
import pytest
from aws_cdk import Aspects, CfnOutput, CfnParameter, CfnResource, Duration, IAspect, NestedStack, Size, Stack, Stage
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_ssm as ssm
from aws_cdk.cx_api import CloudAssembly
from image_verifier.custom_resource.properties import Properties

from cdk_safe_image import ImageVerification, ImageVerifier, Pin, SafeDockerImageAsset
from tests.unit.cdk_safe_image.app import (
    VERIFICATION,
    new_app,
    not_empty,
    resources,
    run_on_fargate,
    stack_in,
    the_only,
)

DIGEST = "sha256:" + "0123456789abcdef" * 4
REPOSITORY = "arn:aws:ecr:eu-west-1:111122223333:repository/shop"


def shop(stack: Stack) -> ecr.IRepository:
    return ecr.Repository.from_repository_arn(stack, "Shop", REPOSITORY)


def verified(stack: Stack, **keywords: Any) -> ImageVerification:
    keywords = {"repository": shop(stack), "tag": "v1"} | keywords
    return ImageVerification(stack, "Verified", **keywords)


def synthesized(**keywords: Any) -> tuple[str, dict[str, Any]]:
    """The logical ID and the properties of a verification."""
    app = new_app()
    verified(stack_in(app, region="eu-west-1"), **keywords)
    name, resource = the_only(app.synth(), VERIFICATION)
    return name, resource["Properties"]


def actions(assembly: Any, stack: str = "Demo") -> dict[str, Any]:
    """The resources that the policies of a stack allow, by action."""
    return {
        action: statement["Resource"]
        for policy in resources(assembly, "AWS::IAM::Policy", stack).values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }


def test_the_verifier_parses_the_properties_that_the_construct_writes() -> None:
    _, properties = synthesized(
        runs_on=["lambda", "ecs-ec2"],
        platform=ecr_assets.Platform.LINUX_ARM64,
        min_size=Size.kibibytes(1),
        max_size=Size.mebibytes(1),
        pin="tag",
        local_image="cdkasset-1",
    )
    assert all(isinstance(value, (str, dict)) for name, value in properties.items() if name != "RunsOn")
    read = Properties.parse(properties | {"RepositoryUri": "uri"})
    assert read.repository_arn == REPOSITORY
    assert (read.tag, read.digest, read.pin) == ("v1", "", "tag")
    assert read.policy.runs_on == ("lambda", "ecs-ec2")
    assert str(read.policy.platform) == "linux/arm64"
    assert (read.policy.min_size, read.policy.max_size) == (1024, 1024 * 1024)
    assert (read.local_image, read.construct_path) == ("cdkasset-1", "Demo/Verified")


def test_a_digest_is_verified_too() -> None:
    _, properties = synthesized(tag=None, digest=DIGEST)
    assert properties["ImageDigest"] == DIGEST
    assert "ImageTag" not in properties


def test_an_asset_passes_its_tag_and_the_name_of_the_local_image(docker_folder: str) -> None:
    app = new_app()
    image = SafeDockerImageAsset(stack_in(app), "Image", directory=docker_folder)
    _, resource = the_only(app.synth(), VERIFICATION)
    # The tag is literal, because `cdk gc` keeps the images whose tags it finds in templates.
    assert resource["Properties"]["ImageTag"] == image.asset_hash
    assert resource["Properties"]["LocalImage"] == f"cdkasset-{image.asset_hash}"


def test_the_logical_id_contains_the_image_and_the_policy() -> None:
    asked: list[dict[str, Any]] = [
        {},
        {"tag": "v2"},
        {"tag": None, "digest": DIGEST},
        {"runs_on": "lambda"},
        {"platform": ecr_assets.Platform.LINUX_ARM64},
        {"min_size": Size.bytes(1)},
        {"max_size": Size.bytes(1)},
        {"pin": Pin.TAG},
        {"service_timeout": Duration.minutes(9)},
        {"local_image": "cdkasset-1"},
    ]
    names = [synthesized(**keywords)[0] for keywords in asked]
    assert len(set(names)) == len(names)
    assert synthesized()[0] == names[0]
    assert synthesized(gate="image")[0] == names[0]


def test_the_logical_id_contains_the_verifiers_identity_and_not_its_settings() -> None:
    def name(id: str, **keywords: Any) -> str:
        app = new_app()
        stack = stack_in(app)
        verified(stack, verifier=ImageVerifier(stack, id, **keywords))
        return the_only(app.synth(), VERIFICATION)[0]

    assert name("One") == name("One", memory_size=1024)
    assert name("One") != name("Two")
    assert name("One") != synthesized()[0]


def test_a_long_path_still_makes_a_logical_id() -> None:
    app = new_app()
    stack = stack_in(app)
    ImageVerification(stack, "V" * 240, repository=shop(stack), tag="v1")
    name, _ = the_only(app.synth(), VERIFICATION)
    assert len(name) <= 255


def test_a_tag_from_a_parameter_keeps_its_logical_id() -> None:
    def name(default: str) -> str:
        app = new_app()
        stack = stack_in(app)
        verified(stack, tag=CfnParameter(stack, "Tag", default=default).value_as_string)
        name, resource = the_only(app.synth(), VERIFICATION)
        assert resource["Properties"]["ImageTag"] == {"Ref": "Tag"}
        return name

    assert name("v1") == name("v2")


def test_the_role_may_only_read_the_repository_and_the_status_of_its_stack() -> None:
    app = new_app()
    verified(stack_in(app))
    assembly = app.synth()
    assert actions(assembly) == {
        "ecr:BatchCheckLayerAvailability": REPOSITORY,
        "ecr:BatchGetImage": REPOSITORY,
        "ecr:DescribeImages": REPOSITORY,
        "ecr:GetDownloadUrlForLayer": REPOSITORY,
        "cloudformation:DescribeStacks": {"Ref": "AWS::StackId"},
    }
    _, resource = the_only(assembly, VERIFICATION)
    assert resource["DependsOn"] == list(resources(assembly, "AWS::IAM::Policy"))


def test_images_of_one_repository_share_a_policy(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    for name in ("One", "Two"):
        SafeDockerImageAsset(stack, name, directory=docker_folder)
    assert len(resources(app.synth(), "AWS::IAM::Policy")) == 1


@jsii.implements(IAspect)
class PrefixesLogicalIds:
    def visit(self, node: Any) -> None:
        if isinstance(node, CfnResource) and not (name := Stack.of(node).get_logical_id(node)).startswith("Acme"):
            node.override_logical_id(f"Acme{name}")


def test_an_aspect_that_prefixes_logical_ids_leaves_each_image_and_policy_a_logical_id_of_its_own(
    docker_folder: str,
) -> None:
    def name(**keywords: Any) -> str:
        app = new_app()
        SafeDockerImageAsset(stack_in(app), "Image", directory=docker_folder, **keywords)
        Aspects.of(app).add(PrefixesLogicalIds())
        return the_only(app.synth(), VERIFICATION)[0]

    names = [name(), name(max_size=Size.gibibytes(1)), name(extra_hash="another image"), name()]
    assert all(it.startswith("Acme") for it in names)
    assert len(set(names)) == 3
    assert names[0] == names[3]


def test_an_image_that_cdk_did_not_build_runs_on_ecs_and_lambda() -> None:
    app = new_app()
    stack = stack_in(app)
    image = verified(stack, runs_on=["fargate", "lambda"])
    run_on_fargate(stack, "Web", image)
    lambda_.DockerImageFunction(stack, "Function", code=image.docker_image_code())
    assembly = app.synth()
    name, _ = the_only(assembly, VERIFICATION)
    uri = {"Fn::GetAtt": [name, "ImageUri"]}
    _, task = the_only(assembly, "AWS::ECS::TaskDefinition")
    assert task["Properties"]["ContainerDefinitions"][0]["Image"] == uri
    function = image_function(assembly)
    assert function["Properties"]["Code"]["ImageUri"]["Fn::Join"][1][-1].endswith("/shop:v1")
    assert name in function["DependsOn"]
    # The task's role may pull from the repository.
    (pulls,) = [
        policy["Properties"]["PolicyDocument"]["Statement"][0]
        for name, policy in resources(assembly, "AWS::IAM::Policy").items()
        if name.startswith("WebTask")
    ]
    assert pulls["Resource"] == REPOSITORY


def image_function(assembly: CloudAssembly) -> Any:
    """The only function of an image."""
    functions = resources(assembly, "AWS::Lambda::Function").values()
    (function,) = [it for it in functions if it["Properties"].get("PackageType") == "Image"]
    return function


def function_version(folder: str, on: bool = True, nested: bool = False, **keywords: Any) -> str:
    """The logical ID of the version of a function, which CDK derives from the function's properties."""
    app = new_app(**({} if on else {"cdk-safe-image:verify": "off"}))
    stack = stack_in(app)
    image = SafeDockerImageAsset(stack, "Image", directory=folder, runs_on="lambda", **keywords)
    scope = NestedStack(stack, "Below") if nested else stack
    function = lambda_.DockerImageFunction(scope, "Function", code=image.docker_image_code())
    function.add_alias("live")
    assembly = app.synth()
    templates = [json.loads(path.read_text()) for path in Path(assembly.directory).glob("*.template.json")]
    (name,) = [
        name
        for template in templates
        for name, it in template["Resources"].items()
        if it["Type"] == "AWS::Lambda::Version"
    ]
    return str(name)


@pytest.mark.parametrize("nested", [False, True])
def test_a_change_of_the_policy_makes_no_version_of_an_unchanged_function(docker_folder: str, nested: bool) -> None:
    def version(**keywords: Any) -> str:
        return function_version(docker_folder, nested=nested, **keywords)

    assert version() == version(max_size=Size.gibibytes(1)) == version(pin="tag") == version(on=False)
    assert version() != version(extra_hash="another image")


def test_a_function_gets_the_digest_if_the_user_pins_it(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder, runs_on="lambda", pin=Pin.DIGEST)
    lambda_.DockerImageFunction(stack, "Function", code=image.docker_image_code())
    assembly = app.synth()
    name, _ = the_only(assembly, VERIFICATION)
    assert image_function(assembly)["Properties"]["Code"] == {"ImageUri": {"Fn::GetAtt": [name, "ImageUri"]}}


def test_a_variable_of_a_function_gets_the_plain_tag_too(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    code = lambda_.Code.from_inline("x")
    runtime = lambda_.Runtime("python3.13", lambda_.RuntimeFamily.PYTHON, supports_inline_code=True)
    variables = {"IMAGE_TAG": image.image_tag}
    lambda_.Function(stack, "Starts", code=code, handler="index.x", runtime=runtime, environment=variables)
    assembly = app.synth()
    functions = resources(assembly, "AWS::Lambda::Function")
    (starts,) = [it for name, it in functions.items() if name.startswith("Starts")]
    assert starts["Properties"]["Environment"]["Variables"] == {"IMAGE_TAG": image.asset_hash}
    assert the_only(assembly, VERIFICATION)[0] in starts["DependsOn"]


@pytest.mark.parametrize("named_by", ["tag", "digest"])
@pytest.mark.parametrize("source", ["parameter", "ssm", "dynamic reference"])
def test_an_image_that_is_only_known_at_deploy_runs_on_ecs_and_lambda(named_by: str, source: str) -> None:
    app = new_app()
    stack = stack_in(app)
    values: dict[str, Callable[[], str]] = {
        "parameter": lambda: CfnParameter(stack, "Value").value_as_string,
        "ssm": lambda: ssm.StringParameter.value_for_string_parameter(stack, "/shop/image"),
        "dynamic reference": lambda: "{{resolve:ssm:/shop/image}}",
    }
    value = values[source]()
    image = verified(stack, **{"tag": None, named_by: value}, runs_on=["fargate", "lambda"])
    run_on_fargate(stack, "Web", image)
    lambda_.DockerImageFunction(stack, "Function", code=image.docker_image_code())
    assembly = app.synth()
    name, resource = the_only(assembly, VERIFICATION)
    verified_uri = {"Fn::GetAtt": [name, "ImageUri"]}
    _, task = the_only(assembly, "AWS::ECS::TaskDefinition")
    assert task["Properties"]["ContainerDefinitions"][0]["Image"] == verified_uri
    function = image_function(assembly)
    assert json.dumps(stack.resolve(value))[1:-1] in json.dumps(function["Properties"]["Code"])
    assert name in function["DependsOn"]
    assert resource["Properties"]["ImageTag" if named_by == "tag" else "ImageDigest"] == stack.resolve(value)


def test_another_stack_gets_a_given_digest_as_it_is() -> None:
    app = new_app()
    image = verified(stack_in(app, "Other"), tag=None, digest=DIGEST)
    stack = not_empty(stack_in(app))
    CfnOutput(stack, "Digest", value=image.image_digest)
    CfnOutput(stack, "Uri", value=image.image_uri)
    template = app.synth().get_stack_by_name("Demo").template
    assert template["Outputs"]["Digest"]["Value"] == DIGEST
    assert template["Outputs"]["Uri"]["Value"]["Fn::Join"][1][-1].endswith(f"/shop@{DIGEST}")


def test_a_shared_verifier_gets_its_permissions_from_the_stack_that_uses_it() -> None:
    app = new_app()
    home, stack = stack_in(app, "Home"), stack_in(app)
    verified(stack, verifier=ImageVerifier(home, "Verifier"))
    assembly = app.synth()
    assert resources(assembly, "AWS::Lambda::Function") == {}
    assert set(actions(assembly)) >= {"ecr:BatchGetImage"}
    assert actions(assembly, "Home") == {}
    assert "Demo" not in [it.id for it in assembly.get_stack_by_name("Home").dependencies]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"digest": DIGEST}, "Demo/Verified has both a tag and a digest: pass exactly one"),
        ({"tag": None}, "Demo/Verified has neither a tag nor a digest: pass exactly one"),
        ({"tag": None, "digest": "sha256:123"}, "digest is 'sha256:123': use sha256: and 64 digits"),
        ({"tag": DIGEST}, "which is not a valid tag: pass it as digest="),
        ({"tag": "shop:v1"}, "tag is 'shop:v1', which is not a valid tag"),
        ({"tag": f"1.4@{DIGEST}"}, "which is not a valid tag: pass 1.4 as tag=, or the digest as digest="),
        ({"tag": ""}, "tag is ''"),
        ({"tag": None, "digest": DIGEST, "pin": "tag"}, "pin is 'tag', but the image is given by its digest"),
        (
            {"service_timeout": Duration.minutes(1)},
            "service_timeout is 60 s: use more than the 300 s that the verification may take",
        ),
        ({"service_timeout": Duration.hours(2)}, "at most 3600 s"),
        ({"service_timeout": 600}, "service_timeout is 600: use a duration, such as Duration.minutes(10)"),
        (
            {"repository": "shop"},
            "repository is 'shop': use a repository, such as ecr.Repository.from_repository_name(",
        ),
        ({"repository": None}, "repository is None: use a repository, such as ecr.Repository.from_repository_name("),
        ({"tag": 42}, "tag is 42: use a string"),
        ({"tag": None, "digest": 42}, "digest is 42: use a string"),
    ],
)
def test_bad_input_is_refused_with_the_path_and_a_valid_value(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"^Demo/Verified") as refused:
        verified(stack_in(new_app()), **keywords)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("home", "message"),
    [
        (
            lambda app: stack_in(app, "Home", "us-east-1"),
            "in region eu-west-1, but its verifier Home/Verifier is in us-east-1",
        ),
        (
            lambda app: stack_in(app, "Home"),
            "in region eu-west-1, but its verifier Home/Verifier is in one that is only known",
        ),
        (
            lambda app: stack_in(Stage(app, "Live"), "Home", "eu-west-1"),
            "its verifier Live/Home/Verifier are in different",
        ),
    ],
)
def test_a_verifier_that_cloudformation_could_not_call_is_refused(home: Any, message: str) -> None:
    app = new_app()
    verifier = ImageVerifier(home(app), "Verifier")
    with pytest.raises(
        ValueError, match=f"Demo/Verified .*{message}.*Make an ImageVerifier|{message}.*make an ImageVerifier"
    ):
        verified(stack_in(app, region="eu-west-1"), verifier=verifier)


@pytest.mark.parametrize(
    "name", ["shop:1.4", "shop@sha256", "Shop", "111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop", "https://x/shop"]
)
def test_a_reference_in_place_of_the_repository_name_is_refused(name: str) -> None:
    stack = stack_in(new_app())
    repository = ecr.Repository.from_repository_name(stack, "Shop", name)
    expected = f"Demo/Verified: repository has the name {name!r}, which is not valid: use the name without registry"
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}"):
        ImageVerification(stack, "Verified", repository=repository, tag="1.4")


def test_a_repository_name_that_is_only_known_at_deploy_is_accepted() -> None:
    stack = stack_in(new_app())
    name = CfnParameter(stack, "Name").value_as_string
    ImageVerification(stack, "Verified", repository=ecr.Repository.from_repository_name(stack, "Shop", name), tag="1.4")


def test_an_image_given_by_its_digest_has_no_tag_to_use() -> None:
    with pytest.raises(ValueError, match="Demo/Verified was given a digest and has no image_tag: use image_uri"):
        _ = verified(stack_in(new_app()), tag=None, digest=DIGEST).image_tag


def test_container_image_works_with_every_repository_of_every_stack() -> None:
    app = new_app()
    image = verified(stack_in(app, "Other"))
    task = ecs.FargateTaskDefinition(stack_in(app), "Task")
    task.add_container("app", image=image.container_image())
    _, resource = the_only(app.synth(), "AWS::ECS::TaskDefinition")
    uri = resource["Properties"]["ContainerDefinitions"][0]["Image"]
    assert uri["Fn::Join"][1][-1].endswith("/shop:v1")


def test_waivers_and_the_depth_reach_the_verifier() -> None:
    _, properties = synthesized(verify_layers=True, acknowledge={"no-command": "the task gives it"})
    policy = Properties.parse(properties | {"RepositoryUri": "uri"}).policy
    assert policy.verify_layers
    assert policy.acknowledge == {"no-command": "the task gives it"}


def test_an_unknown_waiver_is_an_error_with_the_construct_and_the_nearest_id() -> None:
    with pytest.raises(ValueError, match=r"Demo/Verified: acknowledge names 'no-comand'.*no-command"):
        synthesized(acknowledge={"no-comand": "because"})
