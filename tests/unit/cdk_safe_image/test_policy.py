"""The policy of images: its keywords, their defaults by scope, and contradictions."""

from __future__ import annotations

import inspect
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, CfnParameter, NestedStack, Size, Stack, Stage
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk.cx_api import CloudAssembly
from constructs import Construct
from image_verifier.custom_resource.properties import Properties

from cdk_safe_image import (
    FailOn,
    ImagePolicy,
    ImageVerification,
    ImageVerifier,
    OnFailure,
    Require,
    RunsOn,
    SafeDockerImageAsset,
)
from cdk_safe_image.options import Options
from tests.unit.cdk_safe_image.app import VERIFICATION, new_app, not_empty, resources, serve, stack_in, the_only
from tests.unit.cdk_safe_image.test_verification import DIGEST, REPOSITORY, actions, synthesized, verified


def read(assembly: CloudAssembly, stack: str = "Demo") -> Properties:
    """The properties of a stack's only verification, as the verifier parses them."""
    _, resource = the_only(assembly, VERIFICATION, stack)
    known = {"RepositoryArn": REPOSITORY, "RepositoryUri": "uri"}
    return Properties.parse(resource["Properties"] | known)


def judged(scope: Any, **keywords: Any) -> Properties:
    """The verification's properties for an image in a stack below a scope."""
    stack = scope if isinstance(scope, Stack) else Stack(scope, "Demo")
    verified(stack, **keywords)
    stage = Stage.of(stack)
    assert stage
    return read(stage.synth(), stack.stack_name)


def test_every_keyword_reaches_the_verifier() -> None:
    app = new_app()
    stack = stack_in(app, region="eu-west-1")
    read = judged(
        stack,
        runs_on=[RunsOn.LAMBDA],
        platform=ecr_assets.Platform.LINUX_ARM64,
        min_size=Size.bytes(1),
        max_size=Size.bytes(2),
        verify_layers=True,
        fail_on=FailOn.WARNING,
        require=[Require.max_layers(50), Require.NON_ROOT_USER, Require.label("team"), Require.NO_LATEST_BASE],
        acknowledge={"base-not-said": "bazel does not say it"},
        on_failure=OnFailure.UNTAG,
        pin="tag",
    )
    policy = read.policy
    assert (policy.runs_on, str(policy.platform)) == (("lambda",), "linux/arm64")
    assert (policy.min_size, policy.max_size, policy.verify_layers) == (1, 2, True)
    assert policy.fail_on is FailOn.WARNING
    assert list(map(str, policy.require)) == ["label:team", "max-layers:50", "no-latest-base", "non-root-user"]
    assert policy.acknowledge == {"base-not-said": "bazel does not say it"}
    assert (read.on_failure, read.pin) == (OnFailure.UNTAG, "tag")


def test_strings_and_enum_members_mean_the_same() -> None:
    app = new_app()
    read = judged(stack_in(app), fail_on="warning", on_failure="untag", require=["non-root-user", "label:team"])
    assert (read.policy.fail_on, read.on_failure) == (FailOn.WARNING, OnFailure.UNTAG)
    assert list(map(str, read.policy.require)) == ["label:team", "non-root-user"]


def test_default_values_are_not_in_the_template() -> None:
    _, properties = synthesized()
    assert not properties.keys() & {"FailOn", "Require", "Acknowledge", "OnFailure", "NotifyTopicArn"}


def test_the_logical_id_does_not_depend_on_the_order_of_values() -> None:
    asked: list[dict[str, Any]] = [
        {},
        {"fail_on": "warning"},
        {"fail_on": "never"},
        {"on_failure": "untag"},
        {"require": [Require.max_layers(1)]},
        {"require": [Require.max_layers(2)]},
        {"require": [Require.max_layers(2), Require.NON_ROOT_USER]},
    ]
    names = [synthesized(**keywords)[0] for keywords in asked]
    assert len(set(names)) == len(names)
    assert synthesized(fail_on="error", on_failure="keep", require=[])[0] == names[0]
    assert synthesized(require=[Require.NON_ROOT_USER, Require.max_layers(2)])[0] == names[-1]


def test_constructs_and_defaults_accept_the_same_keywords() -> None:
    policy = {field.name for field in fields(Options)}
    own = {"scope", "id", "self", "repository", "tag", "digest", "service_timeout", "local_image", "build_outputs"}
    assert set(inspect.signature(ImagePolicy.defaults).parameters) - {"scope"} == policy
    assert set(inspect.signature(ImageVerification.__init__).parameters) - own == policy


def test_defaults_of_an_app_reach_every_image_below_it(docker_folder: str) -> None:
    app = new_app()
    ImagePolicy.defaults(app, runs_on=RunsOn.ECS_EC2, platform=ecr_assets.Platform.LINUX_ARM64, fail_on="warning")
    SafeDockerImageAsset(stack_in(app), "Image", directory=docker_folder)
    verified(stack_in(app, "Other"))
    assembly = app.synth()
    for stack in ("Demo", "Other"):
        policy = read(assembly, stack).policy
        assert (policy.runs_on, str(policy.platform), policy.fail_on.value) == (("ecs-ec2",), "linux/arm64", "warning")


def test_defaults_set_the_build_of_an_asset(docker_folder: str) -> None:
    app = new_app()
    ImagePolicy.defaults(app, runs_on="sagemaker", platform=ecr_assets.Platform.LINUX_ARM64)
    SafeDockerImageAsset(stack_in(app), "Image", directory=docker_folder)
    assets = json.loads((Path(app.synth().directory) / "Demo.assets.json").read_text())
    (source,) = [image["source"] for image in assets["dockerImages"].values()]
    assert source["platform"] == "linux/arm64"
    assert "oci-mediatypes=false" in source["dockerOutputs"][0]


def test_the_nearest_scope_wins_keyword_by_keyword() -> None:
    app = new_app()
    ImagePolicy.defaults(app, min_size=Size.bytes(1), max_size=Size.bytes(100), fail_on="warning")
    stage = Stage(app, "Prod")
    ImagePolicy.defaults(stage, min_size=Size.bytes(2), require=[Require.NON_ROOT_USER])
    policy = judged(Stack(stage, "Demo"), min_size=Size.bytes(3)).policy
    assert (policy.min_size, policy.max_size) == (3, 100)
    assert (policy.fail_on, list(map(str, policy.require))) == (FailOn.WARNING, ["non-root-user"])


def test_an_image_can_undo_a_default() -> None:
    app = new_app()
    ImagePolicy.defaults(
        app,
        verify_layers=True,
        fail_on="never",
        require=["non-root-user"],
        acknowledge={"user-is-root": "not yet"},
        min_size=Size.mebibytes(1),
        pin="tag",
    )
    read = judged(
        stack_in(app),
        verify_layers=False,
        fail_on="error",
        require=[],
        acknowledge={},
        min_size=Size.bytes(0),
        pin="digest",
    )
    policy = read.policy
    assert (policy.verify_layers, policy.fail_on, policy.require) == (False, FailOn.ERROR, ())
    assert (policy.acknowledge, policy.min_size, read.pin) == ({}, 0, "digest")


def test_a_default_verifier_serves_all_stacks() -> None:
    app = new_app()
    ImagePolicy.defaults(app, verifier=ImageVerifier(stack_in(app, "Home"), "Verifier"))
    verified(stack_in(app))
    assert resources(app.synth(), "AWS::Lambda::Function") == {}


def test_a_default_gate_of_the_image_lets_other_services_change() -> None:
    app = new_app()
    ImagePolicy.defaults(app, gate="image")
    stack = stack_in(app)
    verified(stack)
    serve(stack, "Web", ecs.FargateTaskDefinition(stack, "Task"))
    _, service = the_only(app.synth(), "AWS::ECS::Service")
    assert "DependsOn" not in service


def test_defaults_of_one_app_do_not_reach_another() -> None:
    ImagePolicy.defaults(new_app(), fail_on="warning")
    assert judged(stack_in(new_app())).policy.fail_on is FailOn.ERROR


def test_defaults_add_nothing_to_a_template() -> None:
    app = new_app()
    stack = not_empty(stack_in(app))
    ImagePolicy.defaults(app, fail_on="warning")
    ImagePolicy.defaults(stack, fail_on="error")
    assert list(app.synth().get_stack_by_name("Demo").template["Resources"]) == ["NotEmpty"]


def test_defaults_after_an_image_are_an_error_with_the_call_to_move(docker_folder: str) -> None:
    app = new_app()
    SafeDockerImageAsset(stack_in(app), "Image", directory=docker_folder)
    with pytest.raises(
        ValueError,
        match=r"^ImagePolicy.defaults of the app is called after the image Demo/Image was made: move the call up",
    ):
        ImagePolicy.defaults(app, fail_on="never")


def test_a_second_call_for_the_defaults_of_a_scope_is_refused() -> None:
    app = new_app()
    ImagePolicy.defaults(app, fail_on="never")
    with pytest.raises(ValueError, match=r"^ImagePolicy.defaults of the app is called twice"):
        ImagePolicy.defaults(app, pin="tag")


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"fail_on": "errors"}, "fail_on is 'errors': use 'error' or 'warning' or 'never'"),
        ({"on_failure": "delete"}, "on_failure is 'delete': use 'keep' or 'untag'"),
        (
            {"fail_on": "never", "on_failure": "untag"},
            "fail_on is 'never', so that no image is refused, but on_failure",
        ),
        ({"min_size": Size.bytes(2), "max_size": Size.bytes(1)}, "min_size (2 bytes) is above max_size (1 bytes)"),
        (
            {"platform": ecr_assets.Platform.custom("windows/amd64")},
            "images for windows/amd64 cannot be verified: use linux/amd64 or linux/arm64",
        ),
        ({"runs_on": []}, "runs_on is empty: name at least one of"),
        ({"require": "non-root-user"}, "require is 'non-root-user': use a list"),
        ({"require": Require.NON_ROOT_USER}, "use a list, such as [Require.NON_ROOT_USER]"),
        ({"require": ["root"]}, "'root', which is no"),
        ({"require": ["label"]}, "require names 'label'"),
        ({"require": ["non-root-user:1000"]}, "require names 'non-root-user:1000'"),
        ({"require": ["max-layers:none"]}, "max-layers:50"),
        (
            {"require": [Require.max_layers(1), Require.max_layers(2)]},
            "require names max-layers with 1 and with 2",
        ),
        ({"acknowledge": {"user-is-root": "old"}}, "'user-is-root', which is found only where non-root-user is"),
        ({"runs_on": 5}, "runs_on is 5: use a runtime's name or a list of them, such as ['fargate', 'lambda']"),
        (
            {"platform": "linux/arm64"},
            "platform is 'linux/arm64': use ecr_assets.Platform.LINUX_AMD64 or ecr_assets.Platform.LINUX_ARM64",
        ),
        (
            {"platform": lambda_.Architecture.ARM_64},
            "platform is an object of aws_cdk.aws_lambda.Architecture: use ecr_assets.Platform.",
        ),
        ({"min_size": "100MB"}, "min_size is '100MB': use a size, such as Size.mebibytes(100)"),
        ({"max_size": 100}, "max_size is 100: use a size, such as Size.mebibytes(100)"),
        ({"verify_layers": "false"}, "verify_layers is 'false': use True or False"),
        ({"require": 5}, "require is 5: use a list, such as [Require.NON_ROOT_USER]"),
        ({"require": [None]}, "require is [None]: use a list, such as [Require.NON_ROOT_USER]"),
        ({"acknowledge": ["no-command"]}, "acknowledge is ['no-command']: use each finding's id with the reason to"),
        ({"acknowledge": {"no-command": None}}, "acknowledge is {'no-command': None}: use each finding's id with"),
        ({"notify": "arn:aws:sns:eu-west-1:111122223333:T"}, "use a topic, such as sns.Topic.from_topic_arn("),
        ({"verifier": "Verifier"}, "verifier is 'Verifier': use an ImageVerifier"),
    ],
)
def test_invalid_and_contradicting_options_are_refused_by_image_and_defaults(
    keywords: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=r"^Demo/Verified: ") as refused:
        verified(stack_in(new_app()), **keywords)
    assert message in str(refused.value)
    with pytest.raises(ValueError, match=r"^ImagePolicy.defaults of the app: ") as refused:
        ImagePolicy.defaults(new_app(), **keywords)
    assert message in str(refused.value)


def test_a_keyword_that_contradicts_a_default_is_refused_at_the_image() -> None:
    app = new_app()
    ImagePolicy.defaults(app, on_failure="untag")
    with pytest.raises(ValueError, match=r"^Demo/Verified: fail_on is 'never'.*use on_failure='keep'"):
        verified(stack_in(app), fail_on="never")


@pytest.mark.parametrize("count", [0, -1])
def test_max_layers_is_at_least_one(count: int) -> None:
    with pytest.raises(ValueError, match="max-layers"):
        Require.max_layers(count)


def test_untag_requires_a_tag_that_is_known_at_synth() -> None:
    stack = stack_in(new_app())
    with pytest.raises(ValueError, match="Demo/Verified: on_failure is 'untag', but the image is given by its digest"):
        verified(stack, tag=None, digest=DIGEST, on_failure="untag")
    stack = stack_in(new_app())
    tag = CfnParameter(stack, "Tag").value_as_string
    with pytest.raises(ValueError, match="Demo/Verified: on_failure is 'untag', but the tag is only known at deploy"):
        verified(stack, tag=tag, on_failure="untag")


def test_a_size_limit_must_be_known_at_synth() -> None:
    stack = stack_in(new_app())
    bound = Size.bytes(CfnParameter(stack, "Bound", type="Number").value_as_number)
    with pytest.raises(ValueError, match="Demo/Verified: min_size is only known at deploy: use a number"):
        verified(stack, min_size=bound)


def test_the_verifier_may_only_remove_tags_if_untag_is_set(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    verified(stack, on_failure="untag")
    SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    assembly = app.synth()
    policies = resources(assembly, "AWS::IAM::Policy").values()
    allowed = [
        statement
        for policy in policies
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Action"] == "ecr:BatchDeleteImage"
    ]
    assert allowed == [{"Action": "ecr:BatchDeleteImage", "Effect": "Allow", "Resource": REPOSITORY}]
    assert actions(assembly)["cloudformation:ListStackResources"] == {"Ref": "AWS::StackId"}


def test_an_asset_of_cdk_may_be_untagged(docker_folder: str) -> None:
    app = new_app()
    SafeDockerImageAsset(stack_in(app), "Image", directory=docker_folder, on_failure=OnFailure.UNTAG)
    assert read(app.synth()).on_failure is OnFailure.UNTAG


def test_the_verifier_may_publish_to_the_topic_and_use_its_key() -> None:
    app = new_app()
    stack = stack_in(app)
    key = kms.Key(stack, "Key")
    topic = sns.Topic(stack, "Topic", master_key=key)
    verified(stack, notify=topic)
    ImageVerification(stack, "Other", repository=shop_again(stack), tag="v2", notify=topic)
    assembly = app.synth()
    topic_ref = {"Ref": the_only(assembly, "AWS::SNS::Topic")[0]}
    allowed = actions(assembly)
    assert allowed["sns:Publish"] == topic_ref
    key_arn = {"Fn::GetAtt": [the_only(assembly, "AWS::KMS::Key")[0], "Arn"]}
    assert allowed["kms:GenerateDataKey"] == allowed["kms:Decrypt"] == key_arn
    for resource in resources(assembly, VERIFICATION).values():
        assert resource["Properties"]["NotifyTopicArn"] == topic_ref
    # Two images, one repository, one topic: each permission once.
    (policy,) = resources(assembly, "AWS::IAM::Policy").values()
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    assert [s["Action"] for s in statements].count("sns:Publish") == 1


def shop_again(stack: Stack) -> Any:
    return stack.node.find_child("Shop")


def test_the_verifier_may_publish_to_a_topic_with_a_literal_arn() -> None:
    app = new_app()
    stack = stack_in(app)
    topic = sns.Topic.from_topic_arn(stack, "Topic", "arn:aws:sns:eu-west-1:111122223333:alarms")
    verified(stack, notify=topic)
    assembly = app.synth()
    assert actions(assembly)["sns:Publish"] == "arn:aws:sns:eu-west-1:111122223333:alarms"


def test_a_fifo_topic_is_refused() -> None:
    stack = stack_in(new_app())
    with pytest.raises(ValueError, match=r"^Demo/Verified: notify is a FIFO topic"):
        verified(stack, notify=sns.Topic(stack, "Topic", fifo=True))


def test_with_fail_on_never_an_output_shows_the_findings() -> None:
    app = new_app()
    stack = stack_in(app)
    verified(stack, fail_on=FailOn.NEVER)
    ImageVerification(stack, "Other", repository=shop_again(stack), tag="v1")
    assembly = app.synth()
    (name,) = [n for n, it in resources(assembly, VERIFICATION).items() if it["Properties"].get("FailOn")]
    outputs = assembly.get_stack_by_name("Demo").template["Outputs"]
    ((output, content),) = outputs.items()
    assert output.startswith("CdkSafeImageFindingsVerified")
    assert content["Value"] == {"Fn::GetAtt": [name, "Warnings"]}
    assert "Export" not in content


def test_the_findings_of_a_nested_stack_are_an_output_of_the_top_level_stack() -> None:
    app = new_app()
    nested = NestedStack(stack_in(app), "Nested")
    verified(nested, fail_on="never")
    outputs = app.synth().get_stack_by_name("Demo").template["Outputs"]
    assert [name for name in outputs if "FindingsNestedVerified" in name]


def test_images_whose_paths_only_differ_by_a_dash_have_separate_outputs() -> None:
    app = new_app()
    stack = stack_in(app)
    repository = verified(stack, fail_on="never").repository
    ImageVerification(Construct(stack, "Web"), "Image", repository=repository, tag="v1", fail_on="never")
    ImageVerification(stack, "Web-Image", repository=repository, tag="v1", fail_on="never")
    assert len(app.synth().get_stack_by_name("Demo").template["Outputs"]) == 3


def test_with_verification_off_no_output_is_added() -> None:
    app: App = new_app(**{"cdk-safe-image:verify": "off"})
    stack = not_empty(stack_in(app))
    verified(stack, fail_on="never")
    assert "Outputs" not in app.synth().get_stack_by_name("Demo").template
