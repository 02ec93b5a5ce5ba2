"""RegistryGuard: verifies each image that anybody pushes to ECR."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from aws_cdk import Duration, RemovalPolicy, Stack, Token
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct
from image_verifier.custom_resource.metrics import NAMESPACE
from image_verifier.image.ecr_events import DETAIL_TYPE, SOURCE
from image_verifier.image.references import REJECTED_TAGS
from image_verifier.registry.settings import VARIABLE, OnRefused, RepositoryRule, Settings

from ..argument_types import check_types
from ..options import enum_member
from ..verifier import MEMORY_MIB, MEMORY_TO_READ_MIB
from .guard_names import guard_name
from .guard_parts import allow, guard_alarm, guard_function
from .images_in_use import ImagesInUse
from .registry_rule import RegistryRule
from .registry_sweep import RegistrySweep
from .sweep_machine import SweepMachine

OnRefusedValue = OnRefused | Literal["report", "tag", "untag"]

_TIMEOUT: Final = Duration.minutes(5)
_TIMEOUT_TO_READ: Final = Duration.minutes(15)
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html: at least six times the function's timeout.
_VISIBILITY_FACTOR: Final = 6
_ATTEMPTS: Final = 5
_BATCH: Final = 10
# All environment variables of a function have 4 KB: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_MAX_SETTINGS: Final = 3500
_READS: Final = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
)


class RegistryGuard(Construct):
    """Verifies each image that anybody pushes to the account's ECR in the region of the stack.

    A refused image is announced on an event bus and, if there is one, on a topic; it is counted in the metric `Refused`
    of the namespace `CdkSafeImage`; and its report is written to a bucket. A push that could not be verified is
    retried, then kept in a dead-letter queue, whose alarm reports it.

    A repository's rule says how its images are verified. Without a rule, an image is judged by its consumers, if
    `watch_running` is set and there are any; else it is refused only if no runtime can pull it. Attestations and
    signatures beside an image, charts, build caches and Windows images are never announced.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        bucket: s3.IBucket | None = None,
        bus: events.IEventBus | None = None,
        max_concurrency: int = 10,
        on_refused: OnRefusedValue = OnRefused.REPORT,
        repositories: Sequence[ecr.IRepository] | None = None,
        rules: Mapping[str, RegistryRule] | None = None,
        sweep: RegistrySweep | None = None,
        topic: sns.ITopic | None = None,
        verify_layers: bool = False,
        watch_running: bool = False,
    ) -> None:
        """
        :param scope: the parent construct.
        :param id: the construct's id.
        :param bucket: the bucket for the reports. Default: its own, which stays when the stack is deleted
        :param bus: the event bus for the events. Default: the account's default bus
        :param max_concurrency: the largest number of Lambdas that verify at once, 2 to 1000. Default: 10
        :param on_refused: the handling of a refused image's tag. `report` leaves it alone; `tag` gives the image a
            second tag, `cdk-safe-image-rejected-` and 12 digits of its digest; `untag` removes the tag, but only if no
            runtime at all can pull the image. Default: report
        :param repositories: the repositories that are guarded. Default: all of the account in this region
        :param rules: the policies by repository name; the names may have the wildcards `*` and `?`, and the first
            one that matches counts. Default: none
        :param sweep: scheduled sweeps over the images that are in the registry already. Default: none
        :param topic: the topic that gets the refusals, and the alarms. Default: none
        :param verify_layers: whether every layer of an image without a rule is downloaded and read. Default: False
        :param watch_running: whether an image that ECS or Lambda run is announced when it is deleted, archived or
            retagged, and whether an image without a rule is judged by its consumers. Default: False
        :raises ValueError: if a setting is not valid; the message says what to use instead.
        """
        super().__init__(scope, id)
        path, stack = self.node.path, Stack.of(self)
        check_types(path, bucket=bucket, bus=bus, max_concurrency=max_concurrency, repositories=repositories)
        check_types(path, rules=rules, sweep=sweep, topic=topic)
        if repositories is not None and not repositories:
            raise ValueError(f"{path}: repositories is empty, so that nothing is guarded: leave it out to guard all")
        if not 2 <= max_concurrency <= 1000:
            raise ValueError(f"{path}: max_concurrency is {max_concurrency}: use 2 to 1000")
        policies = _policies(path, rules or {})
        handling = enum_member(path, "on_refused", OnRefused, on_refused)
        reads_layers = verify_layers or any(rule.policy.verify_layers for rule in policies)
        self.bucket: s3.IBucket = bucket or _own_bucket(self)
        # Public, since the stack's outputs may have to show where the reports are.
        self.name = guard_name(self)
        own_bus = events.EventBus.from_event_bus_name(self, "DefaultBus", "default") if bus is None else bus
        bus_name = bus.event_bus_arn if bus else "default"
        self.images_in_use = (
            ImagesInUse(
                self, name=self.name, bus=own_bus, bus_name=bus_name, topic=topic, repositories=repositories or ()
            )
            if watch_running
            else None
        )
        settings = Settings(
            guard=self.name,
            partition=stack.partition,
            url_suffix=stack.url_suffix,
            bucket=self.bucket.bucket_name,
            bus=bus_name,
            topic=topic.topic_arn if topic else "",
            on_refused=handling,
            rules=policies,
            verify_layers=verify_layers,
            inventory=self.images_in_use.table.table_name if self.images_in_use else "",
        ).as_json()
        if len(json.dumps(settings)) > _MAX_SETTINGS:
            raise ValueError(
                f"{path}: rules needs more than {_MAX_SETTINGS} characters, and a Lambda's environment has no room for "
                "more: use fewer rules, with wildcards, or several guards with repositories="
            )
        timeout = _TIMEOUT_TO_READ if reads_layers else _TIMEOUT
        self.dead_letter_queue = sqs.Queue(self, "DeadLetters", enforce_ssl=True, retention_period=Duration.days(14))
        self.queue = sqs.Queue(
            self,
            "Pushes",
            enforce_ssl=True,
            visibility_timeout=Duration.seconds(_VISIBILITY_FACTOR * timeout.to_seconds()),
            dead_letter_queue=sqs.DeadLetterQueue(max_receive_count=_ATTEMPTS, queue=self.dead_letter_queue),
        )
        self.function = guard_function(
            self,
            "",
            entry_point="registry_push",
            description="Verifies each container image that is pushed to ECR",
            role_description="Verifies pushed images: reads repositories, announces refusals, and logs",
            settings={VARIABLE: settings},
            timeout=timeout,
            memory_mib=MEMORY_TO_READ_MIB if reads_layers else MEMORY_MIB,
        )
        self.function.add_event_source(
            event_sources.SqsEventSource(
                self.queue,
                batch_size=1 if reads_layers else _BATCH,
                max_concurrency=max_concurrency,
                report_batch_item_failures=True,
            )
        )
        self._allow(repositories, handling, own_bus, topic)
        self._listen(repositories)
        self.alarm = guard_alarm(
            self,
            "NotVerified",
            "Pushed images were not verified, or a sweep did not start: see the dead-letter queue",
            self.dead_letter_queue.metric_approximate_number_of_messages_visible(period=Duration.minutes(1)),
            topic,
        )
        self.sweep = (
            SweepMachine(
                self,
                sweep,
                name=self.name,
                settings=settings,
                bucket=self.bucket,
                topic=topic,
                inventory=self.images_in_use.table if self.images_in_use else None,
                dead_letters=self.dead_letter_queue,
            )
            if sweep
            else None
        )

    def metric_refused(self, **options: Any) -> cloudwatch.Metric:
        """The number of refused images.

        :param options: the arguments of `cloudwatch.Metric`, such as `period`.
        """
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name="Refused",
            dimensions_map={"Stack": self.name},
            **{"statistic": "Sum", **options},
        )

    def _allow(
        self,
        repositories: Sequence[ecr.IRepository] | None,
        handling: OnRefused,
        bus: events.IEventBus,
        topic: sns.ITopic | None,
    ) -> None:
        """Give the Lambda the permissions for its calls, and no others."""
        every = Stack.of(self).format_arn(service="ecr", resource="repository", resource_name="*")
        arns = [repository.repository_arn for repository in repositories or ()] or [every]
        more = {OnRefused.REPORT: (), OnRefused.TAG: ("ecr:PutImage",), OnRefused.UNTAG: ("ecr:BatchDeleteImage",)}
        allow(self.function, sorted((*_READS, *more[handling])), arns)
        prefix = f"{self.name}/*"
        allow(self.function, ["s3:GetObject", "s3:PutObject"], [self.bucket.arn_for_objects(prefix)])
        if self.bucket.encryption_key is not None:
            self.bucket.encryption_key.grant_encrypt_decrypt(self.function)
        if topic is not None:
            topic.grant_publish(self.function)
        bus.grant_put_events_to(self.function)
        if self.images_in_use is not None:
            allow(self.function, ["dynamodb:Query"], [self.images_in_use.table.table_arn])

    def _listen(self, repositories: Sequence[ecr.IRepository] | None) -> None:
        names = [repository.repository_name for repository in repositories or ()]
        detail: dict[str, Any] = {
            "action-type": ["PUSH"],
            "result": ["SUCCESS"],
            # The manifests of an index are pushed without a tag, and these tags are the guard's own.
            "image-tag": [{"anything-but": {"prefix": REJECTED_TAGS}}],
            **({"repository-name": names} if names else {}),
        }
        events.Rule(
            self,
            "Rule",
            description="Sends each push of a tag to the verifier",
            event_pattern=events.EventPattern(source=[SOURCE], detail_type=[DETAIL_TYPE], detail=detail),
            targets=[targets.SqsQueue(self.queue, dead_letter_queue=self.dead_letter_queue)],
        )


def _policies(path: str, rules: Mapping[str, RegistryRule]) -> tuple[RepositoryRule, ...]:
    for pattern, rule in rules.items():
        if not isinstance(rule, RegistryRule):
            raise ValueError(f"{path}: the rule for {pattern!r} is {rule!r}: use RegistryRule(runs_on=…)")
        if Token.is_unresolved(pattern) or not pattern:
            raise ValueError(f"{path}: rules has a name that is empty or only known at deploy: use a literal name")
    return tuple(RepositoryRule(pattern, rule.policy(f"{path}: rule {pattern!r}")) for pattern, rule in rules.items())


def _own_bucket(scope: Construct) -> s3.Bucket:
    return s3.Bucket(
        scope,
        "Reports",
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        encryption=s3.BucketEncryption.S3_MANAGED,
        enforce_ssl=True,
        removal_policy=RemovalPolicy.RETAIN,
    )
