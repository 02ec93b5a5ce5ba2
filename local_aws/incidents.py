"""ECS services, tasks, functions and stacks that failed, in AWS's documented shapes: a test records them.

ministack runs no tasks, so nothing in it can fail to be pulled. Calls about what was recorded are answered here; all
others go to ministack. The shapes are those of botocore's service models:
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html and its neighbours.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

from local_aws.asgi import Response, json_response

Record = Mapping[str, Any]
_FUNCTIONS = "/2015-03-31/functions/"
_AMZ_JSON = "application/x-amz-json-1.1"
_KINDS = (
    "services",
    "tasks",
    "taskDefinitions",
    "serviceDeployments",
    "serviceRevisions",
    "functions",
    "stackEvents",
)


@dataclass
class Incidents:
    """The recorded objects, by kind: the objects of the API's responses."""

    records: dict[str, list[Record]] = field(default_factory=lambda: {kind: [] for kind in _KINDS})

    def record(self, records: Mapping[str, list[Record]]) -> None:
        """Record objects beside those that are recorded already.

        :param records: the objects by kind, as the API returns them.
        """
        for kind, objects in records.items():
            self.records[kind].extend(objects)

    def clear(self) -> None:
        """Forget everything."""
        for objects in self.records.values():
            objects.clear()

    def answer(self, name: str, path: str, body: bytes) -> Response | None:
        """Answer a call about something recorded; None leaves it to ministack.

        :param name: the call, such as `ecs:DescribeTasks`.
        :param path: the request's path.
        :param body: the request's body.
        """
        service, _, action = name.partition(":")
        if service == "ecs" and any(self.records[kind] for kind in _KINDS[:5]):
            answer = _ECS.get(action)
            return answer and json_response(200, answer(self, json.loads(body or b"{}")), _AMZ_JSON)
        if service == "lambda" and f"{path}/".startswith(_FUNCTIONS):
            name = unquote(f"{path}/".removeprefix(_FUNCTIONS).rstrip("/"))
            return self._function(name) if name else self._list_functions()
        if name == "cloudformation:DescribeStackEvents":
            return self._stack_events(parse_qs(body.decode()).get("StackName", [""])[0])
        return None

    def list_clusters(self, parameters: Record) -> Record:
        """ListClusters."""
        return {
            "clusterArns": sorted({one["clusterArn"] for kind in ("services", "tasks") for one in self.records[kind]})
        }

    def list_services(self, parameters: Record) -> Record:
        """ListServices."""
        return {"serviceArns": [one["serviceArn"] for one in self._in(parameters, "services")]}

    def describe_services(self, parameters: Record) -> Record:
        """DescribeServices."""
        wanted = parameters["services"]
        found = [one for one in self._in(parameters, "services") if {one["serviceName"], one["serviceArn"]} & {*wanted}]
        names = {name for one in found for name in (one["serviceName"], one["serviceArn"])}
        missing = [{"arn": name, "reason": "MISSING"} for name in wanted if name not in names]
        return {"services": found, "failures": missing}

    def list_tasks(self, parameters: Record) -> Record:
        """ListTasks."""
        status, service = parameters.get("desiredStatus", "RUNNING"), parameters.get("serviceName", "")
        tasks = (one for one in self._in(parameters, "tasks") if one.get("desiredStatus", "STOPPED") == status)
        group = f"service:{service.rpartition('/')[2]}"
        return {"taskArns": [one["taskArn"] for one in tasks if not service or one.get("group") == group]}

    def describe_tasks(self, parameters: Record) -> Record:
        """DescribeTasks."""
        return self._found(parameters["tasks"], self._in(parameters, "tasks"), "taskArn", "tasks")

    def describe_task_definition(self, parameters: Record) -> Record:
        """DescribeTaskDefinition."""
        wanted = parameters["taskDefinition"]
        known = self.records["taskDefinitions"]
        return {"taskDefinition": next(one for one in known if one["taskDefinitionArn"].endswith(wanted))}

    def list_service_deployments(self, parameters: Record) -> Record:
        """ListServiceDeployments."""
        wanted = parameters["service"].rpartition("/")[2]
        known = self.records["serviceDeployments"]
        return {"serviceDeployments": [one for one in known if one["serviceArn"].endswith(f"/{wanted}")]}

    def describe_service_revisions(self, parameters: Record) -> Record:
        """DescribeServiceRevisions."""
        known = self.records["serviceRevisions"]
        return self._found(parameters["serviceRevisionArns"], known, "serviceRevisionArn", "serviceRevisions")

    @staticmethod
    def _found(wanted: list[str], known: list[Record], key: str, kind: str) -> Record:
        found = [one for one in known if one[key] in wanted]
        missing = {*wanted} - {one[key] for one in found}
        return {kind: found, "failures": [{"arn": arn, "reason": "MISSING"} for arn in sorted(missing)]}

    def _in(self, parameters: Record, kind: str) -> list[Record]:
        cluster = parameters.get("cluster", "default").rpartition("/")[2]
        return [one for one in self.records[kind] if one["clusterArn"].rpartition("/")[2] == cluster]

    def _function(self, name: str) -> Response | None:
        known = (one for one in self.records["functions"] if name.endswith(one["Configuration"]["FunctionName"]))
        found = next(known, None)
        return json_response(200, found) if found else None

    def _list_functions(self) -> Response | None:
        known = [one["Configuration"] for one in self.records["functions"]]
        return json_response(200, {"Functions": known}) if known else None

    def _stack_events(self, name: str) -> Response | None:
        events = [one for one in self.records["stackEvents"] if name in (one["StackName"], one["StackId"])]
        if not events:
            return None
        members = "".join(f"<member>{_xml(event)}</member>" for event in events)
        text = f"<DescribeStackEventsResult><StackEvents>{members}</StackEvents></DescribeStackEventsResult>"
        xml = f'<DescribeStackEventsResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">{text}'
        metadata = "<ResponseMetadata><RequestId>local</RequestId></ResponseMetadata>"
        body = f"{xml}{metadata}</DescribeStackEventsResponse>"
        return Response(200, body.encode(), {"Content-Type": "text/xml"})


def _xml(event: Record) -> str:
    return "".join(f"<{key}>{escape(str(value))}</{key}>" for key, value in event.items())


_ECS: Mapping[str, Callable[[Incidents, Record], Record]] = {
    "ListClusters": Incidents.list_clusters,
    "ListServices": Incidents.list_services,
    "DescribeServices": Incidents.describe_services,
    "ListTasks": Incidents.list_tasks,
    "DescribeTasks": Incidents.describe_tasks,
    "DescribeTaskDefinition": Incidents.describe_task_definition,
    "ListServiceDeployments": Incidents.list_service_deployments,
    "DescribeServiceRevisions": Incidents.describe_service_revisions,
}
