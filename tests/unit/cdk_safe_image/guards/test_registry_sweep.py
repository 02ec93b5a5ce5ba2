"""The template of a guard's sweeps: the state machine, what each role may do, and settings that are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk import App, Duration, Size, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns

from cdk_safe_image import RegistryGuard, RegistryRule, RegistrySweep
from tests.unit.cdk_safe_image.app import new_app, resources, stack_in

DAILY = events.Schedule.rate(Duration.days(1))
LOGS = ["logs:CreateLogStream", "logs:PutLogEvents"]
OBJECTS = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListBucket", "s3:PutObject"]
# Every action of each role, as docs/registry-guard.md lists them.
ROLES = {
    "ListImagesRole": [*LOGS, *OBJECTS, "ecr:DescribeImages", "ecr:DescribeRepositories"],
    "VerifyBatchRole": [
        *LOGS,
        *OBJECTS,
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:DescribeImages",
        "ecr:GetDownloadUrlForLayer",
    ],
    "SumUpRole": [*LOGS, *OBJECTS, "sns:Publish"],
    "Role": [
        "lambda:InvokeFunction",
        "s3:AbortMultipartUpload",
        "s3:GetObject",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
        "states:DescribeExecution",
        "states:RedriveExecution",
        "states:StartExecution",
        "states:StopExecution",
    ],
    "StateMachineEventsRole": ["states:StartExecution"],
}


@pytest.fixture
def stack() -> Stack:
    return stack_in(new_app())


def template(stack: Stack, kind: str) -> dict[str, dict[str, Any]]:
    app = stack.node.root
    assert isinstance(app, App)
    return {name: resource["Properties"] for name, resource in resources(app.synth(), kind).items()}


def statements(document: dict[str, Any]) -> list[tuple[str, Any]]:
    """Each action of a policy, with its resources."""
    return [
        (action, one["Resource"])
        for one in document["Statement"]
        for action in (one["Action"] if isinstance(one["Action"], list) else [one["Action"]])
    ]


def actions_by_role(stack: Stack) -> dict[str, list[str]]:
    """The actions of each role of the sweep."""
    found: dict[str, set[str]] = {}
    for name, role in template(stack, "AWS::IAM::Role").items():
        inline = [policy["PolicyDocument"] for policy in role.get("Policies", ())]
        found[name] = {action for document in inline for action, _ in statements(document)}
    for policy in template(stack, "AWS::IAM::Policy").values():
        for role in policy["Roles"]:
            found[role["Ref"]] |= {action for action, _ in statements(policy["PolicyDocument"])}
    prefix = "GuardSweep"
    return {name.removeprefix(prefix)[:-8]: sorted(each) for name, each in found.items() if name.startswith(prefix)}


def definition(stack: Stack) -> dict[str, Any]:
    """The definition of the state machine; a reference is its logical ID."""
    (machine,) = template(stack, "AWS::StepFunctions::StateMachine").values()
    parts = machine["DefinitionString"]["Fn::Join"][1]
    text = "".join(part if isinstance(part, str) else str(next(iter(part.values()))) for part in parts)
    found: dict[str, Any] = json.loads(text.replace("['", "").replace("', 'Arn']", ""))
    return found


def test_each_role_has_the_permissions_for_its_calls_and_no_others(stack: Stack) -> None:
    RegistryGuard(stack, "Guard", topic=sns.Topic(stack, "Topic"), sweep=RegistrySweep(schedule=DAILY))
    assert actions_by_role(stack) == {name: sorted(each) for name, each in ROLES.items()}


def test_repositories_by_tag_and_a_key_add_their_permissions_only(stack: Stack) -> None:
    bucket = s3.Bucket(stack, "Bucket", encryption_key=kms.Key(stack, "Key"))
    RegistryGuard(stack, "Guard", bucket=bucket, sweep=RegistrySweep(schedule=DAILY, tags={"team": "shop"}))
    key = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    found = actions_by_role(stack)
    assert set(found["ListImagesRole"]) - set(ROLES["ListImagesRole"]) == {*key, "ecr:ListTagsForResource"}
    assert set(found["Role"]) - set(ROLES["Role"]) == set(key)
    assert "sns:Publish" not in found["SumUpRole"]


def test_objects_are_read_and_written_below_the_sweeps_only(stack: Stack) -> None:
    RegistryGuard(stack, "Guard", sweep=RegistrySweep(schedule=DAILY))
    for name, policy in template(stack, "AWS::IAM::Policy").items():
        if name.startswith("GuardSweep"):
            for action, resource in statements(policy["PolicyDocument"]):
                if action.startswith("s3:") and action != "s3:ListBucket":
                    assert "-Guard/sweeps/*" in json.dumps(resource), (name, action)


def test_only_the_repositories_that_are_swept_may_be_read(stack: Stack) -> None:
    RegistryGuard(stack, "Guard", sweep=RegistrySweep(schedule=DAILY, repositories=["shop/*", "web-[ab]"]))
    for name, policy in template(stack, "AWS::IAM::Policy").items():
        if name.startswith("GuardSweep"):
            for action, resource in statements(policy["PolicyDocument"]):
                if action.startswith("ecr:") and action != "ecr:DescribeRepositories":
                    assert [arn["Fn::Join"][1][-1].partition("repository/")[2] for arn in resource] == [
                        "shop/*",
                        "web-?",
                    ]


def test_a_batch_that_fails_is_retried_and_recorded_and_the_others_go_on(stack: Stack) -> None:
    RegistryGuard(stack, "Guard", sweep=RegistrySweep(schedule=DAILY, max_concurrency=7))
    states = definition(stack)["States"]
    batches = states["Verify the batches"]
    assert (batches["MaxConcurrency"], batches["ToleratedFailurePercentage"]) == (7, 100)
    assert batches["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
    assert batches["Next"] == batches["Catch"][0]["Next"] == "Sum up"
    verify = batches["ItemProcessor"]["States"]["Verify a batch"]
    assert [retry["MaxAttempts"] for retry in verify["Retry"]] == [10, 4]
    # States.ALL must be the last one, and alone.
    assert [retry["ErrorEquals"] for retry in verify["Retry"]][-1] == ["States.ALL"]
    assert verify["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Record the failure"}]


def test_each_step_calls_its_handler(stack: Stack) -> None:
    RegistryGuard(stack, "Guard", sweep=RegistrySweep(schedule=DAILY, verify_layers=True))
    handlers = {name: one["Handler"] for name, one in template(stack, "AWS::Lambda::Function").items()}
    states = definition(stack)["States"]
    verify = states["Verify the batches"]["ItemProcessor"]["States"]["Verify a batch"]
    record = states["Verify the batches"]["ItemProcessor"]["States"]["Record the failure"]
    called = [
        handlers[state["Parameters"]["FunctionName"]].rpartition(".")[2]
        for state in (states["List the images"], verify, record, states["Sum up"])
    ]
    assert called == ["list_images", "verify_batch", "sum_up", "sum_up"]


def test_a_sweep_that_fails_or_leaves_batches_or_images_unverified_is_an_alarm(stack: Stack) -> None:
    RegistryGuard(stack, "Guard", topic=sns.Topic(stack, "Topic"), sweep=RegistrySweep(schedule=DAILY))
    alarms = template(stack, "AWS::CloudWatch::Alarm").values()
    assert {alarm["MetricName"] for alarm in alarms} >= {"ExecutionsFailed", "SweepUnfinished", "SweepUnknown"}
    assert all(alarm["AlarmActions"] for alarm in alarms)


def test_the_bucket_with_the_results_stays_when_the_guard_is_removed(stack: Stack) -> None:
    RegistryGuard(stack, "Guard", sweep=RegistrySweep(schedule=DAILY))
    app = stack.node.root
    assert isinstance(app, App)
    (bucket,) = resources(app.synth(), "AWS::S3::Bucket").values()
    assert bucket["DeletionPolicy"] == "Retain"


def test_the_same_inputs_give_the_same_template() -> None:
    def synthesized() -> str:
        stack = stack_in(new_app())
        RegistryGuard(stack, "Guard", rules={"a/*": RegistryRule()}, sweep=RegistrySweep(schedule=DAILY))
        app = stack.node.root
        assert isinstance(app, App)
        return json.dumps(app.synth().get_stack_by_name(stack.stack_name).template)

    assert synthesized() == synthesized()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_concurrency": 0}, "Demo/Guard: sweep's max_concurrency is 0: use 1 to 1000"),
        ({"max_images": 0}, "Demo/Guard: sweep's max_images is 0: use 1 or more"),
        ({"max_size": Size.bytes(0)}, "Demo/Guard: sweep's max_size is 0 bytes: no image fits"),
        ({"repositories": "shop"}, "Demo/Guard: sweep's repositories is 'shop': use a list of names"),
        ({"repositories": [""]}, "Demo/Guard: sweep has a name that is empty or only known at deploy"),
        ({"repositories": [f"team-{number}/*" for number in range(400)]}, "use fewer names, with wildcards"),
    ],
)
def test_a_setting_that_is_not_valid_is_refused_in_one_line(
    stack: Stack, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        RegistryGuard(stack, "Guard", sweep=RegistrySweep(schedule=DAILY, **settings))
