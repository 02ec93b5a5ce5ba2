"""The stopped tasks of a service, from all pages of ECS."""

from __future__ import annotations

import pytest

from safe_image.incident.aws_reader import AwsReader
from safe_image.incident.ecs_tasks import stopped_tasks
from safe_image.sources.aws_sessions import AwsSessions
from tests.unit.aws_server import serving_aws


def test_the_newest_task_is_found_on_any_page(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = {"": {"taskArns": ["a/1"], "nextToken": "more"}, "more": {"taskArns": ["a/2"]}}
    with serving_aws() as aws:
        aws.use(monkeypatch)
        aws.answers |= {
            "ListTasks": lambda asked: pages[asked.get("nextToken", "")],
            "DescribeTasks": lambda asked: {
                "tasks": [{"taskArn": arn, "stoppedAt": int(arn[-1])} for arn in asked["tasks"]]
            },
        }
        tasks = stopped_tasks(AwsReader(AwsSessions()), "prod", "web")
    assert [task["taskArn"] for task in tasks] == ["a/2", "a/1"]


def test_more_tasks_than_are_read_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = AwsReader(AwsSessions())
    with serving_aws() as aws:
        aws.use(monkeypatch)
        aws.answers |= {
            "ListTasks": {"taskArns": ["a/1"], "nextToken": "more"},
            "DescribeTasks": {"tasks": [{"taskArn": "a/1", "stoppedAt": 1}]},
        }
        stopped_tasks(reader, "prod", "web")
    assert reader.notes == ["More than 2,000 stopped tasks: the newest may be missing."]
