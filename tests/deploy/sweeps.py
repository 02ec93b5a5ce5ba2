"""Runs sweeps of a deployed guard, and reads their objects in its bucket."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local_aws import LocalAws

_SECONDS = 300


@dataclass(frozen=True)
class Sweeps:
    """The sweeps of one guard.

    :param aws: where it is deployed.
    :param machine: ARN of its state machine.
    :param bucket: the bucket with the results.
    :param folder: the beginning of its keys.
    """

    aws: LocalAws
    machine: str
    bucket: str
    folder: str

    def start(self, **given: str) -> str:
        """Start a sweep; the ARN of its execution."""
        client = self.aws.client("stepfunctions")
        return str(client.start_execution(stateMachineArn=self.machine, input=json.dumps(given))["executionArn"])

    def ended(self, execution: str, seconds: float = _SECONDS) -> dict[str, Any]:
        """The output of a sweep, once it has succeeded."""
        ends = time.monotonic() + seconds
        while (found := self._described(execution))["status"] == "RUNNING":
            assert time.monotonic() < ends, found
            time.sleep(0.2)
        assert found["status"] == "SUCCEEDED", found
        output: dict[str, Any] = json.loads(found["output"])
        return output

    def executions(self) -> set[str]:
        """The ARNs of all executions so far."""
        listed = self.aws.client("stepfunctions").list_executions(stateMachineArn=self.machine)
        return {one["executionArn"] for one in listed["executions"]}

    def started_after(self, before: set[str], seconds: float = _SECONDS) -> set[str]:
        """The executions that something else starts, once there is one.

        :param before: the executions before.
        """
        ends = time.monotonic() + seconds
        while not (new := self.executions() - before):
            assert time.monotonic() < ends
            time.sleep(0.5)
        return new

    def meanwhile(self, execution: str, condition: Callable[[], bool], seconds: float = _SECONDS) -> None:
        """Wait for something to become true while a sweep runs."""
        ends = time.monotonic() + seconds
        while not condition():
            found = self._described(execution)
            assert found["status"] == "RUNNING", found
            assert time.monotonic() < ends, found
            time.sleep(0.2)

    def _described(self, execution: str) -> dict[str, Any]:
        found: dict[str, Any] = self.aws.client("stepfunctions").describe_execution(executionArn=execution)
        return found

    def keys(self, prefix: str) -> list[str]:
        """The keys of a sweep's objects, or the beginning of them."""
        pages = self.aws.client("s3").get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.bucket, Prefix=f"{self.folder}{prefix}")
        return [one["Key"].removeprefix(self.folder) for page in found for one in page.get("Contents", ())]

    def read(self, key: str) -> str:
        """The content of an object."""
        body = self.aws.client("s3").get_object(Bucket=self.bucket, Key=self.folder + key)["Body"]
        return str(body.read().decode())

    def rows(self, sweep: str) -> list[dict[str, Any]]:
        """Every row of a sweep."""
        keys = self.keys(f"{sweep}/results/")
        return [json.loads(line) for key in keys for line in self.read(key).splitlines()]
