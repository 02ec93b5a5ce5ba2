"""One local AWS per test session, with repositories, and with stacks that have a custom resource."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from local_aws import LocalAws
from tests.local_aws.helpers import Pushed

_names = (f"repository-{number}" for number in itertools.count())


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    with LocalAws.start() as running:
        yield running


@pytest.fixture(scope="session")
def secured() -> Iterator[LocalAws]:
    """A local AWS that enforces IAM."""
    with LocalAws.start(auth=True) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_faults_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for name in ("aws", "secured"):
        if name in request.fixturenames:
            request.getfixturevalue(name).faults.clear()


@pytest.fixture
def repository(aws: LocalAws) -> Pushed:
    """A new, empty repository."""
    name = next(_names)
    aws.client("ecr").create_repository(repositoryName=name)
    return Pushed(aws, name)


# boto3 is imported where it is used: its import takes most of a cold start.
_FUNCTION = """
import json, urllib.request
def handler(event, context):
    properties = event["ResourceProperties"]
    answer = {
        "Status": "SUCCESS", "PhysicalResourceId": "a-thing", "StackId": event["StackId"],
        "RequestId": event["RequestId"], "LogicalResourceId": event["LogicalResourceId"],
        "Data": {"Text": "text", "Flag": True, "Number": 3},
    }
    for service, method, arguments in json.loads(properties.get("Calls", "[]")):
        import boto3
        try:
            getattr(boto3.client(service), method)(**arguments)
        except Exception as error:
            answer.update(Status="FAILED", Reason=f"{method}: {error}")
    if event["RequestType"] != "Delete":
        answer.update(json.loads(properties.get("Answer", "{}")))
    if properties.get("Drop"):
        del answer[properties["Drop"]]
    for _ in range(int(properties.get("Times", "1"))):
        body = json.dumps(answer).encode()
        urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], body, method="PUT"))
"""


def stack_template(properties: Mapping[str, Any], statements: list[dict[str, Any]] | None = None) -> str:
    """A stack with a function (with these permissions) and a custom resource (with these properties)."""
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role: dict[str, Any] = {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]}}
    if statements:
        document = {"Version": "2012-10-17", "Statement": statements}
        role["Policies"] = [{"PolicyName": "policy", "PolicyDocument": document}]
    function = {
        "Runtime": "python3.12",
        "Handler": "index.handler",
        "Timeout": 20,
        "Code": {"ZipFile": _FUNCTION},
        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
    }
    thing = {"ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]}, "ServiceTimeout": 60, **properties}
    outputs = {name: {"Value": {"Fn::GetAtt": ["Thing", name]}} for name in ("Text", "Flag", "Number")}
    return json.dumps(
        {
            "Resources": {
                "Role": {"Type": "AWS::IAM::Role", "Properties": role},
                "Function": {"Type": "AWS::Lambda::Function", "Properties": function},
                "Thing": {"Type": "Custom::Thing", "Properties": thing},
            },
            "Outputs": outputs,
        }
    )


@dataclass(frozen=True)
class Deployed:
    """The result of a stack's creation."""

    status: str
    reason: str
    outputs: dict[str, str]
    requests: list[dict[str, Any]]


Deploy = Callable[..., Deployed]


@pytest.fixture
def deploy() -> Deploy:
    """Create a stack, and wait until its creation ends. `requests` are those to its custom resource."""

    def make(
        aws: LocalAws, properties: Mapping[str, Any] | None = None, statements: list[dict[str, Any]] | None = None
    ) -> Deployed:
        name = next(_names)
        client = aws.client("cloudformation")
        template = stack_template(properties or {}, statements)
        client.create_stack(StackName=name, TemplateBody=template, Capabilities=["CAPABILITY_IAM"])
        deadline = time.monotonic() + 120
        while (stack := client.describe_stacks(StackName=name)["Stacks"][0])["StackStatus"].endswith("PROGRESS"):
            assert time.monotonic() < deadline, stack
            time.sleep(0.05)
        events = client.describe_stack_events(StackName=name)["StackEvents"]
        reasons = [
            event.get("ResourceStatusReason", "") for event in events if event["ResourceStatus"] == "CREATE_FAILED"
        ]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
        requests = [request for request in aws.custom_resources() if request["stack_id"] == stack["StackId"]]
        return Deployed(stack["StackStatus"], reasons[0] if reasons else "", outputs, requests)

    return make
