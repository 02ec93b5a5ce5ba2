"""An export that another stack imports can be neither removed nor changed, as on AWS."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from local_aws import LocalAws

_PARAMETER: dict[str, Any] = {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "-"}}


def _exporting(value: str | None) -> str:
    output = {"Value": value, "Export": {"Name": "shared"}}
    return json.dumps({"Resources": {"P": _PARAMETER}, "Outputs": {} if value is None else {"Shared": output}})


def _importing(is_on: bool) -> str:
    value = {"Fn::ImportValue": "shared"} if is_on else "-"
    return json.dumps({"Resources": {"P": {**_PARAMETER, "Properties": {"Type": "String", "Value": value}}}})


class Stacks:
    def __init__(self, aws: LocalAws) -> None:
        self._cloudformation = aws.client("cloudformation")

    def create(self, name: str, template: str) -> None:
        self._cloudformation.create_stack(StackName=name, TemplateBody=template)
        assert self._settled(name) == "CREATE_COMPLETE"

    def update(self, name: str, template: str) -> tuple[str, str]:
        """The stack's status after the update, and the reasons of its events."""
        self._cloudformation.update_stack(StackName=name, TemplateBody=template)
        status = self._settled(name)
        events = self._cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        return status, " ".join(event.get("ResourceStatusReason", "") for event in events)

    def _settled(self, name: str) -> str:
        while True:
            status = str(self._cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
            if not status.endswith("_IN_PROGRESS"):
                return status
            time.sleep(0.1)

    @property
    def exports(self) -> list[str]:
        return [export["Name"] for export in self._cloudformation.list_exports()["Exports"]]


@pytest.fixture(scope="module")
def stacks(aws: LocalAws) -> Stacks:
    stacks = Stacks(aws)
    stacks.create("Home", _exporting("one"))
    stacks.create("User", _importing(True))
    return stacks


@pytest.mark.parametrize(("value", "change"), [(None, "deleted"), ("two", "updated")])
def test_an_export_in_use_is_kept(stacks: Stacks, value: str | None, change: str) -> None:
    status, reasons = stacks.update("Home", _exporting(value))
    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert f"Export shared cannot be {change} as it is in use by User" in reasons
    assert stacks.exports == ["shared"]


def test_an_export_that_no_stack_imports_any_more_is_removed(stacks: Stacks) -> None:
    assert stacks.update("User", _importing(False))[0] == "UPDATE_COMPLETE"
    assert stacks.update("Home", _exporting(None))[0] == "UPDATE_COMPLETE"
    assert stacks.exports == []
