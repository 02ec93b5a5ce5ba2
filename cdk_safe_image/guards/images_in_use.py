"""ImagesInUse: the inventory of the images that an account runs, and the alarm when one of them is removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct
from image_verifier.custom_resource.metrics import NAMESPACE
from image_verifier.image.ecr_events import DETAIL_TYPE, PUSH, SOURCE
from image_verifier.image.references import REJECTED_TAGS
from image_verifier.in_use.announcement import METRIC
from image_verifier.in_use.consumer_events import DEPLOYMENT, LAMBDA, SERVICE_ACTION, TASK
from image_verifier.in_use.inventory import CONSUMER, ENDS, IMAGE
from image_verifier.in_use.watch_settings import MAX_AGE_SECONDS, READING_HOURS, VARIABLE, WatchSettings

from ..verifier import MEMORY_MIB
from .guard_parts import allow, guard_alarm, guard_function

_REMOVAL_TIMEOUT: Final = Duration.minutes(2)
_READING_TIMEOUT: Final = Duration.minutes(15)
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html: at least six times the function's timeout.
_VISIBILITY_FACTOR: Final = 6
# A removal waits for the first reading of the account: seven times 12 minutes are more than its hour.
_ATTEMPTS: Final = 7
# A batch of removals is one look-up: each may have two keys, and BatchGetItem accepts 100.
_BATCH: Final = 40
# Lambda requires a window for batches of more than ten.
_WINDOW: Final = Duration.seconds(10)
_CONSUMER_READS: Final = (
    "ecs:DescribeServiceRevisions",
    "ecs:DescribeServices",
    "ecs:DescribeTaskDefinition",
    "ecs:DescribeTasks",
    "ecs:ListServiceDeployments",
    "ecs:ListTaskDefinitions",
    "lambda:GetFunction",
)
_ACCOUNT_READS: Final = ("ecs:ListClusters", "ecs:ListServices", "ecs:ListTasks", "lambda:ListFunctions")
# The reader and the watcher: id, entry point, description, what the role permits, and timeout.
_FUNCTIONS: Final = (
    (
        "Reader",
        "running_inventory",
        "Keeps the inventory of the images in use",
        "Reads consumers in ECS and Lambda, writes the inventory, announces missing images, logs",
        _READING_TIMEOUT,
    ),
    (
        "Watcher",
        "image_removal",
        "Announces each image in use that is deleted, archived or retagged",
        "Reads the inventory and its consumers, announces removed images, and logs",
        _REMOVAL_TIMEOUT,
    ),
)
_SERVICE_ACTIONS: Final = ("SERVICE_STEADY_STATE", "TASKSET_STEADY_STATE")


class ImagesInUse(Construct):
    """The resources of a guard that watch over the images in use.

    :param guard: the guard, which is the parent construct.
    :param name: the guard's name, in metrics.
    :param bus: the event bus for the events.
    :param bus_name: its name or ARN.
    :param topic: the topic for messages and alarms; None for none.
    :param repositories: the repositories whose images are watched; empty for all.
    """

    def __init__(
        self,
        guard: Construct,
        *,
        name: str,
        bus: events.IEventBus,
        bus_name: str,
        topic: sns.ITopic | None,
        repositories: Sequence[ecr.IRepository],
    ) -> None:
        super().__init__(guard, "InUse")
        stack = Stack.of(self)
        self._name = name
        self.table = dynamodb.Table(
            self,
            "Inventory",
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            partition_key=dynamodb.Attribute(name=IMAGE, type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name=CONSUMER, type=dynamodb.AttributeType.STRING),
            time_to_live_attribute=ENDS,
            # Each reading of the account writes it anew.
            removal_policy=RemovalPolicy.DESTROY,
        )
        settings = WatchSettings(
            guard=name,
            partition=stack.partition,
            account=stack.account,
            region=stack.region,
            table=self.table.table_name,
            bus=bus_name,
            topic=topic.topic_arn if topic else "",
        ).as_json()
        self.dead_letter_queue = sqs.Queue(self, "DeadLetters", enforce_ssl=True, retention_period=Duration.days(14))
        self.reader, self.watcher = (
            guard_function(
                self,
                name,
                entry_point=entry_point,
                description=description,
                role_description=may,
                settings={VARIABLE: settings},
                timeout=timeout,
                memory_mib=MEMORY_MIB,
            )
            for name, entry_point, description, may, timeout in _FUNCTIONS
        )
        for function, reads in ((self.reader, (*_CONSUMER_READS, *_ACCOUNT_READS)), (self.watcher, _CONSUMER_READS)):
            self._allow(function, reads, bus, topic)
        self._listen(repositories)
        events.Rule(
            self,
            "Schedule",
            description="Reads all consumers of the account",
            schedule=events.Schedule.rate(Duration.hours(READING_HOURS)),
            targets=[targets.LambdaFunction(self.reader, dead_letter_queue=self.dead_letter_queue)],
        )
        self.unknown_alarm = guard_alarm(
            self,
            "Unknown",
            "It is not known whether removed images are in use: their events are in the dead-letter queue",
            self.dead_letter_queue.metric_approximate_number_of_messages_visible(period=Duration.minutes(1)),
            topic,
        )
        self.age_alarm = guard_alarm(
            self,
            "Age",
            "The inventory of the images in use was not read anew: see the log of its reader",
            self._metric("InventoryAge", statistic="Minimum", period=Duration.seconds(MAX_AGE_SECONDS)),
            topic,
            # No reading at all is no better than one that fails.
            missing=cloudwatch.TreatMissingData.BREACHING,
        )
        # The message on the topic says more than its alarm could.
        self.removed_alarm = guard_alarm(self, "Removed", "An image in use was removed", self.metric_removed(), None)

    def metric_removed(self, **options: Any) -> cloudwatch.Metric:
        """The number of removed images that are in use.

        :param options: the arguments of `cloudwatch.Metric`, such as `period`.
        """
        return self._metric(METRIC, **{"statistic": "Sum", **options})

    def _metric(self, name: str, **options: Any) -> cloudwatch.Metric:
        return cloudwatch.Metric(namespace=NAMESPACE, metric_name=name, dimensions_map={"Stack": self._name}, **options)

    def _allow(
        self, function: lambda_.Function, reads: Sequence[str], bus: events.IEventBus, topic: sns.ITopic | None
    ) -> None:
        """Give a Lambda the permissions for its calls, and no others."""
        # The listings and the task definitions accept no narrower resource, and the consumers have no known names.
        allow(function, sorted(reads), ["*"])
        every = Stack.of(self).format_arn(service="ecr", resource="repository", resource_name="*")
        allow(function, ["ecr:BatchGetImage", "ecr:DescribeImages"], [every])
        allow(
            function,
            ["dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:PutItem", "dynamodb:Query"],
            [self.table.table_arn],
        )
        bus.grant_put_events_to(function)
        if topic is not None:
            topic.grant_publish(function)

    def _listen(self, repositories: Sequence[ecr.IRepository]) -> None:
        names = [repository.repository_name for repository in repositories]
        image: dict[str, Any] = {"result": ["SUCCESS"], **({"repository-name": names} if names else {})}
        removals = self._queue("Removals", self.watcher, _REMOVAL_TIMEOUT, max_concurrency=10)
        # Whatever is not a push may take the image away: ECR itself is asked what became of it.
        gone = {**image, "action-type": [{"anything-but": [PUSH]}]}
        self._rule("Removal", "An image may be gone", SOURCE, [DETAIL_TYPE], gone, removals)
        moved = {**image, "action-type": [PUSH], "image-tag": [{"anything-but": {"prefix": REJECTED_TAGS}}]}
        self._rule("Push", "A tag may have moved", SOURCE, [DETAIL_TYPE], moved, removals)
        consumers = self._queue("Consumers", self.reader, _READING_TIMEOUT, max_concurrency=2)
        # The tasks of a service use what its revisions do.
        alone = {"lastStatus": ["RUNNING"], "group": [{"anything-but": {"prefix": "service:"}}]}
        self._rule("Task", "A task without a service runs", "aws.ecs", [TASK], alone, consumers)
        self._rule("Deployment", "A service may use other images", "aws.ecs", [DEPLOYMENT], None, consumers)
        steady = {"eventName": list(_SERVICE_ACTIONS)}
        self._rule("Steady", "A service uses its images", "aws.ecs", [SERVICE_ACTION], steady, consumers)
        # A change of state of a function, which follows an update; what CloudTrail sends has types that begin with AWS.
        states = events.Match.anything_but_prefix("AWS ")
        self._rule("Function", "A function may use another image", LAMBDA, states, None, consumers)

    def _rule(
        self,
        id: str,
        description: str,
        source: str,
        types: list[str],
        detail: Mapping[str, Any] | None,
        queue: sqs.Queue,
    ) -> None:
        events.Rule(
            self,
            id,
            description=description,
            event_pattern=events.EventPattern(source=[source], detail_type=types, detail=detail),
            targets=[targets.SqsQueue(queue, dead_letter_queue=self.dead_letter_queue)],
        )

    def _queue(self, id: str, function: lambda_.Function, timeout: Duration, *, max_concurrency: int) -> sqs.Queue:
        queue = sqs.Queue(
            self,
            id,
            enforce_ssl=True,
            visibility_timeout=Duration.seconds(_VISIBILITY_FACTOR * timeout.to_seconds()),
            dead_letter_queue=sqs.DeadLetterQueue(max_receive_count=_ATTEMPTS, queue=self.dead_letter_queue),
        )
        function.add_event_source(
            event_sources.SqsEventSource(
                queue,
                batch_size=_BATCH,
                max_batching_window=_WINDOW,
                max_concurrency=max_concurrency,
                report_batch_item_failures=True,
            )
        )
        return queue
