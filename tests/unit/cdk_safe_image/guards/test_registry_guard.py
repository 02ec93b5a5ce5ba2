"""RegistryGuard's template: what it listens to, what its Lambda may do, and settings that are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk import App, Environment, Stack, Stage
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_events as events
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct
from image_verifier.in_use.watch_settings import VARIABLE as WATCH_VARIABLE
from image_verifier.in_use.watch_settings import WatchSettings
from image_verifier.registry.settings import VARIABLE

from cdk_safe_image import RegistryGuard, RegistryRule, RegistrySweep
from tests.unit.cdk_safe_image.app import new_app, resources, stack_in

READS = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
]
RECEIVES = [
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
    "sqs:ReceiveMessage",
]


@pytest.fixture
def stack() -> Stack:
    return stack_in(new_app())


def every(stack: Stack, kind: str) -> list[dict[str, Any]]:
    """The properties of all resources of a type."""
    app = stack.node.root
    assert isinstance(app, App)
    return [resource["Properties"] for resource in resources(app.synth(), kind).values()]


def the_only(stack: Stack, kind: str) -> dict[str, Any]:
    """The properties of the only resource of a type."""
    (found,) = every(stack, kind)
    return found


def actions(stack: Stack) -> list[str]:
    """Every action that the Lambda's role allows, but for its log."""
    policy = the_only(stack, "AWS::IAM::Policy")["PolicyDocument"]["Statement"]
    listed = [one["Action"] if isinstance(one["Action"], list) else [one["Action"]] for one in policy]
    return sorted(action for each in listed for action in each)


def settings(stack: Stack) -> str:
    """The settings as the template has them, with its references."""
    found = the_only(stack, "AWS::Lambda::Function")["Environment"]["Variables"][VARIABLE]
    return json.dumps(found)


def test_by_default_the_lambda_may_read_receive_announce_and_write_a_report_and_nothing_else(stack: Stack) -> None:
    RegistryGuard(stack, "Guard")
    assert actions(stack) == sorted([*READS, *RECEIVES, "events:PutEvents", "s3:GetObject", "s3:PutObject"])


@pytest.mark.parametrize(
    ("on_refused", "action"), [("tag", "ecr:PutImage"), ("untag", "ecr:BatchDeleteImage"), ("report", "")]
)
def test_only_a_guard_that_changes_tags_may_change_them(stack: Stack, on_refused: Any, action: str) -> None:
    RegistryGuard(stack, "Guard", on_refused=on_refused)
    changes = [one for one in actions(stack) if one.startswith("ecr:") and one not in READS]
    assert changes == [action] * bool(action)


def test_a_topic_a_bus_and_an_encrypted_bucket_add_just_their_own_permissions(stack: Stack) -> None:
    RegistryGuard(
        stack,
        "Guard",
        topic=sns.Topic(stack, "Topic"),
        bus=events.EventBus(stack, "Bus"),
        bucket=s3.Bucket(stack, "Bucket", encryption_key=kms.Key(stack, "Key")),
    )
    keys = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    expected = [*READS, *RECEIVES, *keys, "events:PutEvents", "s3:GetObject", "s3:PutObject", "sns:Publish"]
    assert actions(stack) == sorted(expected)


def test_repositories_bound_the_permissions_and_the_events(stack: Stack) -> None:
    shop = ecr.Repository.from_repository_name(stack, "Shop", "shop")
    RegistryGuard(stack, "Guard", repositories=[shop])
    rule = the_only(stack, "AWS::Events::Rule")["EventPattern"]
    assert rule["detail"]["repository-name"] == ["shop"]
    policy = the_only(stack, "AWS::IAM::Policy")["PolicyDocument"]["Statement"]
    (reads,) = [one["Resource"] for one in policy if "ecr:BatchGetImage" in one["Action"]]
    assert json.dumps(reads).endswith(':repository/shop"]]}')


def test_the_rule_listens_to_pushes_of_tags_that_are_not_the_guards_own(stack: Stack) -> None:
    RegistryGuard(stack, "Guard")
    assert the_only(stack, "AWS::Events::Rule")["EventPattern"] == {
        "source": ["aws.ecr"],
        "detail-type": ["ECR Image Action"],
        "detail": {
            "action-type": ["PUSH"],
            "result": ["SUCCESS"],
            "image-tag": [{"anything-but": {"prefix": "cdk-safe-image-rejected-"}}],
        },
    }


def test_the_reports_stay_when_the_stack_is_deleted(stack: Stack) -> None:
    RegistryGuard(stack, "Guard")
    app = stack.node.root
    assert isinstance(app, App)
    (bucket,) = resources(app.synth(), "AWS::S3::Bucket").values()
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_a_push_that_cannot_be_verified_ends_in_a_queue_whose_alarm_goes_to_the_topic(stack: Stack) -> None:
    RegistryGuard(stack, "Guard", topic=sns.Topic(stack, "Topic"))
    alarm = the_only(stack, "AWS::CloudWatch::Alarm")
    assert alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
    assert (alarm["Threshold"], alarm["EvaluationPeriods"], alarm["TreatMissingData"]) == (1, 1, "notBreaching")
    assert len(alarm["AlarmActions"]) == 1


def test_a_guard_that_reads_layers_gets_one_push_at_a_time_and_the_memory_and_time_for_it(stack: Stack) -> None:
    RegistryGuard(stack, "Guard", rules={"shop": RegistryRule(verify_layers=True)})
    assert the_only(stack, "AWS::Lambda::EventSourceMapping")["BatchSize"] == 1
    function = the_only(stack, "AWS::Lambda::Function")
    assert (function["MemorySize"], function["Timeout"]) == (1769, 900)


def test_rules_reach_the_lambda_in_their_order(stack: Stack) -> None:
    RegistryGuard(stack, "Guard", rules={"b*": RegistryRule(runs_on="lambda"), "a*": RegistryRule()})
    text = settings(stack)
    assert text.index("b*") < text.index("a*")


def test_guards_with_one_id_in_different_scopes_of_a_stack_have_names_of_their_own(stack: Stack) -> None:
    for scope in (stack, Construct(stack, "Shop"), Construct(Construct(stack, "Office"), "Web")):
        RegistryGuard(scope, "Guard")
    functions = every(stack, "AWS::Lambda::Function")
    parts = [one["Environment"]["Variables"][VARIABLE]["Fn::Join"][1] for one in functions]
    names = {json.loads("".join(part if isinstance(part, str) else "-" for part in each))["guard"] for each in parts}
    assert names == {"Demo-Guard", "Demo-Shop--Guard", "Demo-Office--Web--Guard"}


def test_two_guards_of_one_name_are_an_error_that_names_both(stack: Stack) -> None:
    RegistryGuard(Construct(stack, "Shop"), "Guard")
    with pytest.raises(ValueError, match="use another id") as error:
        RegistryGuard(stack, "Shop--Guard")
    assert str(error.value) == (
        "Demo/Shop--Guard: Demo/Shop/Guard has the same name, Demo-Shop--Guard, in keys and metrics: use another id"
    )


def test_guards_of_other_regions_and_stages_may_have_the_same_name() -> None:
    app = new_app()
    for stage in ("Test", "Prod"):
        for region in ("eu-west-1", "us-east-1"):
            scope = Stack(Stage(app, f"{stage}-{region}"), "Demo", stack_name="Demo", env=Environment(region=region))
            RegistryGuard(scope, "Guard")


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"repositories": []}, "Guard: repositories is empty, so that nothing is guarded: leave it out to guard all"),
        (
            {"repositories": "shop"},
            "Guard: repositories is 'shop': use a list of repositories, such as [ecr.Repository.",
        ),
        ({"repositories": ["shop"]}, "Guard: repositories is ['shop']: use a list of repositories"),
        (
            {"rules": ["shop"]},
            "Guard: rules is ['shop']: use a dict, such as {'shop/*': RegistryRule(runs_on='lambda')}",
        ),
        ({"bucket": "reports"}, "Guard: bucket is 'reports': use a bucket, such as s3.Bucket.from_bucket_name("),
        ({"bus": "default"}, "Guard: bus is 'default': use an event bus, such as events.EventBus."),
        ({"topic": "arn:aws:sns:eu-west-1:111122223333:T"}, "use a topic, such as sns.Topic.from_topic_arn("),
        ({"sweep": "daily"}, "Guard: sweep is 'daily': use a sweep, such as RegistrySweep(schedule=events.Schedule."),
        (
            {"sweep": RegistrySweep(schedule="daily")},  # type: ignore[arg-type]
            "Guard: sweep: schedule is 'daily': use events.Schedule.rate(",
        ),
        ({"max_concurrency": "10"}, "Guard: max_concurrency is '10': use a whole number, such as 10"),
        ({"max_concurrency": 1}, "Guard: max_concurrency is 1: use 2 to 1000"),
        ({"on_refused": "delete"}, "Guard: on_refused is 'delete': use 'report' or 'tag' or 'untag'"),
        ({"rules": {"shop": {"runs_on": "lambda"}}}, "use RegistryRule(runs_on=…)"),
        ({"rules": {"": RegistryRule()}}, "rules has a name that is empty or only known at deploy"),
        ({"rules": {"shop": RegistryRule(runs_on="mars")}}, "rule 'shop': runs_on names 'mars'"),  # type: ignore[arg-type]
        ({"rules": {f"shop-{n}": RegistryRule() for n in range(100)}}, "rules needs more than 3500 characters"),
    ],
)
def test_a_wrong_setting_says_what_to_use_instead(stack: Stack, keywords: Any, message: str) -> None:
    with pytest.raises(ValueError, match="Guard") as error:
        RegistryGuard(stack, "Guard", **keywords)
    assert message in str(error.value)


READS_CONSUMERS = [
    "ecs:DescribeServiceRevisions",
    "ecs:DescribeServices",
    "ecs:DescribeTaskDefinition",
    "ecs:DescribeTasks",
    "ecs:ListServiceDeployments",
    "ecs:ListTaskDefinitions",
    "lambda:GetFunction",
]
LISTS_CONSUMERS = ["ecs:ListClusters", "ecs:ListServices", "ecs:ListTasks", "lambda:ListFunctions"]
KEEPS_INVENTORY = ["dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:PutItem", "dynamodb:Query"]


def actions_of(stack: Stack, role: str) -> list[str]:
    """Every action that a role of the guard allows, but for its log."""
    (policy,) = [one for one in every(stack, "AWS::IAM::Policy") if one["PolicyName"].startswith(f"Guard{role}")]
    statements = policy["PolicyDocument"]["Statement"]
    listed = [one["Action"] if isinstance(one["Action"], list) else [one["Action"]] for one in statements]
    return sorted(action for each in listed for action in each)


def test_a_guard_that_watches_over_the_images_in_use_has_two_lambdas_more_with_their_own_permissions(
    stack: Stack,
) -> None:
    RegistryGuard(stack, "Guard", watch_running=True)
    common = [*RECEIVES, *KEEPS_INVENTORY, *READS_CONSUMERS, "ecr:BatchGetImage", "ecr:DescribeImages"]
    assert actions_of(stack, "InUseWatcher") == sorted([*common, "events:PutEvents"])
    assert actions_of(stack, "InUseReader") == sorted([*common, *LISTS_CONSUMERS, "events:PutEvents"])
    pushes = [*READS, *RECEIVES, "dynamodb:Query", "events:PutEvents", "s3:GetObject", "s3:PutObject"]
    assert actions_of(stack, "Role") == sorted(pushes)


def test_the_watch_listens_to_removals_and_to_consumers_and_reads_the_account_every_hour(stack: Stack) -> None:
    shop = ecr.Repository.from_repository_name(stack, "Shop", "shop")
    RegistryGuard(stack, "Guard", watch_running=True, repositories=[shop])
    rules = {rule["Description"]: rule for rule in every(stack, "AWS::Events::Rule")}
    assert rules["An image may be gone"]["EventPattern"]["detail"] == {
        "result": ["SUCCESS"],
        "repository-name": ["shop"],
        "action-type": [{"anything-but": ["PUSH"]}],
    }
    kinds = [kind for rule in rules.values() for kind in rule.get("EventPattern", {}).get("detail-type", ())]
    for kind in ("ECS Task State Change", "ECS Deployment State Change", "ECS Service Action"):
        assert kind in kinds
    assert rules["A function may use another image"]["EventPattern"] == {
        "source": ["aws.lambda"],
        "detail-type": [{"anything-but": {"prefix": "AWS "}}],
    }
    assert rules["Reads all consumers of the account"]["ScheduleExpression"] == "rate(1 hour)"


def test_a_doubt_about_the_images_in_use_and_an_inventory_that_is_not_read_are_alarms_on_the_topic(
    stack: Stack,
) -> None:
    RegistryGuard(stack, "Guard", watch_running=True, topic=sns.Topic(stack, "Topic"))
    alarms = {alarm["AlarmDescription"].partition(":")[0]: alarm for alarm in every(stack, "AWS::CloudWatch::Alarm")}
    unknown = alarms["It is not known whether removed images are in use"]
    age = alarms["The inventory of the images in use was not read anew"]
    assert len(unknown["AlarmActions"]) == len(age["AlarmActions"]) == 1
    assert (age["MetricName"], age["Statistic"], age["Period"]) == ("InventoryAge", "Minimum", 3 * 3600)
    assert age["TreatMissingData"] == "breaching"
    removed = alarms["An image in use was removed"]
    assert (removed["MetricName"], "AlarmActions" in removed) == ("InUseRemoved", False)


def test_every_lambda_of_the_watch_gets_settings_that_it_can_parse(stack: Stack) -> None:
    guard = RegistryGuard(stack, "Guard", watch_running=True)
    assert guard.images_in_use
    own = [one["Environment"]["Variables"].keys() for one in every(stack, "AWS::Lambda::Function")]
    assert sorted(map(list, own)) == [[WATCH_VARIABLE], [WATCH_VARIABLE], [VARIABLE]]
    assert WatchSettings.parse(json.dumps(WatchSettings("g", "aws", "1", "eu-west-1", "t").as_json())).table == "t"
