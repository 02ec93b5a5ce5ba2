"""CloudFormation's side of a custom resource: invokes the Lambda, waits for its response, and validates it.

ministack accepts every response. CloudFormation refuses some responses, ignores others, has its own wording for
reasons, and sends a Delete after a failed Create. This module does what CloudFormation does:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html
It replaces ministack's function of the same signature (see server.py).
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlencode
from xml.sax.saxutils import escape, unescape

from local_aws.asgi import Request, Response

PREFIX = "/_local/cloudformation/"
MAX_RESPONSE = 4096
"""Bytes of a response; one more is too many."""
_MAX_PHYSICAL_ID = 1024
_DEFAULT_TIMEOUT = 3600
"""Seconds."""

_EVENT = re.compile(
    r"<member><StackId>(?P<stack>[^<]*)</StackId>.*?<LogicalResourceId>(?P<resource>[^<]*)</LogicalResourceId>"
)

_NO_RESPONSE = (
    "CloudFormation did not receive a response from your Custom Resource. Please check your logs for requestId "
    "[{request_id}]. If you are using the Python cfn-response module, you may need to update your Lambda function "
    "code so that CloudFormation can attach the updated version."
)
_FAILED = "Received response status [FAILED] from custom resource. Message returned: {reason} (RequestId: {request_id})"


class ResourceFailed(Exception):
    """The resource failed; the message is the reason in the stack's event."""


@dataclass
class CustomResourceRequest:
    """A request to a custom resource and its responses: an entry of the log that tests read.

    :param answers: every body that was put to the ResponseURL, as text.
    :param ignored: the reason for each response that CloudFormation ignores.
    """

    request_type: str
    request_id: str
    stack_id: str
    logical_id: str
    physical_id: str | None
    properties: dict[str, Any]
    answered_at: float | None = None
    status: str = ""
    reason: str = ""
    answers: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


@dataclass
class _Pending:
    request: CustomResourceRequest
    token: str
    signature: str
    answered: threading.Event = field(default_factory=threading.Event)
    answer: dict[str, Any] = field(default_factory=dict)


class CustomResources:
    """Sends requests to custom resources, and receives their responses."""

    def __init__(self, base: str, send: Callable[[str, str, bytes], Response]) -> None:
        """Start with an empty log.

        :param base: our address.
        :param send: invokes a function, given its ARN, its region and the event; called from worker threads.
        """
        self._base, self._send = base, send
        self._pending: dict[str, _Pending] = {}
        self._log: list[CustomResourceRequest] = []
        self._properties: dict[tuple[str, str], str] = {}

    def with_properties(self, events: Response) -> Response:
        """The answer to DescribeStackEvents, with the properties of custom resources, which ministack omits."""

        def add(member: re.Match[str]) -> str:
            stack, resource = (unescape(member[name]) for name in ("stack", "resource"))
            properties = self._properties.get((stack, resource))
            return (
                f"{member[0]}<ResourceProperties>{escape(properties)}</ResourceProperties>" if properties else member[0]
            )

        assert isinstance(events.body, bytes)
        body = _EVENT.sub(add, events.body.decode())
        headers = {name: value for name, value in events.headers.items() if name != "content-length"}
        return Response(events.status, body.encode(), headers)

    def invoke(
        self,
        request_type: str,
        logical_id: str,
        props: Mapping[str, Any],
        stack_name: str,
        stack_id: str,
        resource_type: str,
        physical_id: str | None = None,
        old_props: Mapping[str, Any] | None = None,
    ) -> tuple[str, dict[str, str]]:
        """Send a request, and wait for the physical ID and the attributes in its response.

        Blocks, so call it from a worker thread.

        :raises ResourceFailed: with CloudFormation's wording.
        """
        event = {"ResourceType": resource_type, "ResourceProperties": _as_strings(props)}
        if old_props is not None:
            event["OldResourceProperties"] = _as_strings(old_props)
        self._properties[stack_id, logical_id] = json.dumps(event["ResourceProperties"])
        timeout = int(props.get("ServiceTimeout", _DEFAULT_TIMEOUT))
        pending = self._request(request_type, logical_id, stack_id, physical_id, event)
        if not pending.answered.wait(timeout):
            pending.request.status, pending.request.reason = (
                "FAILED",
                _NO_RESPONSE.format(request_id=pending.request.request_id),
            )
        if pending.request.status == "SUCCESS":
            return pending.answer["PhysicalResourceId"], _attributes(pending.answer.get("Data") or {})
        if request_type == "Create":
            self._clean_up(pending, logical_id, stack_name, stack_id, event, timeout)
        raise ResourceFailed(pending.request.reason)

    def answer(self, request: Request, body: bytes) -> Response:
        """Answer a PUT to a ResponseURL. Like S3, accept any body; CloudFormation validates it afterwards."""
        pending = self._pending.get(request.path.removeprefix(PREFIX))
        if pending is None or request.method != "PUT":
            return Response(403, b"<Error><Code>AccessDenied</Code></Error>", {"Content-Type": "application/xml"})
        if not hmac.compare_digest(pending.signature, request.query.get("X-Amz-Signature", "")):
            return Response(
                403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>", {"Content-Type": "application/xml"}
            )
        self._validate(pending, body)
        return Response(200)

    def listed(self) -> list[dict[str, Any]]:
        """Every request since the start or the last reset, the oldest first."""
        return [asdict(request) for request in self._log]

    def reset(self) -> None:
        """Clear the log."""
        self._log = []

    def _request(
        self, request_type: str, logical_id: str, stack_id: str, physical_id: str | None, event: dict[str, Any]
    ) -> _Pending:
        request = CustomResourceRequest(
            request_type, str(uuid.uuid4()), stack_id, logical_id, physical_id, event["ResourceProperties"]
        )
        pending = _Pending(request, str(uuid.uuid4()), secrets.token_hex(32))
        self._pending[pending.token] = pending
        self._log.append(request)
        query = urlencode({"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Signature": pending.signature})
        full_event = {
            "RequestType": request_type,
            "RequestId": request.request_id,
            "StackId": stack_id,
            "ResponseURL": f"{self._base}{PREFIX}{pending.token}?{query}",
            "LogicalResourceId": logical_id,
            **({"PhysicalResourceId": physical_id} if physical_id is not None else {}),
            **event,
        }
        region = stack_id.split(":")[3]
        function = str(event["ResourceProperties"].get("ServiceToken", ""))
        sent = self._send(function, region, json.dumps(full_event).encode())
        if sent.status >= 300:
            request.status, request.reason = "FAILED", f"{sent.body!r} (Service: Lambda, function {function})"
            pending.answered.set()
        return pending

    def _clean_up(
        self, created: _Pending, logical_id: str, stack_name: str, stack_id: str, event: dict[str, Any], timeout: int
    ) -> None:
        """Send the Delete that follows a failed Create. A failure is only logged: ministack has no state for it."""
        physical_id = (
            created.answer.get("PhysicalResourceId") or f"{stack_name}-{logical_id}-{created.token[:12].upper()}"
        )
        deletion = self._request("Delete", logical_id, stack_id, physical_id, event)
        # A function that never responded will not respond to the Delete either, so nobody waits for it.
        if created.request.answered_at and not deletion.answered.wait(timeout):
            deletion.request.status, deletion.request.reason = (
                "FAILED",
                _NO_RESPONSE.format(request_id=deletion.request.request_id),
            )

    def _validate(self, pending: _Pending, body: bytes) -> None:
        request = pending.request
        request.answers.append(body.decode(errors="replace"))
        if pending.answered.is_set() or request.status:
            request.ignored.append("a second response")
            return
        status, reason = "FAILED", ""
        try:
            answer = json.loads(body) if len(body) <= MAX_RESPONSE else {}
        except ValueError:
            answer = None
        if len(body) > MAX_RESPONSE:
            reason = "Response object is too long."
        elif not isinstance(answer, dict):
            reason = "Response is not valid JSON"
        elif wrong := _wrong_names(answer, request):
            # The response belongs to another request: CloudFormation goes on waiting.
            request.ignored.append(f"wrong {', '.join(wrong)}")
            return
        elif not _is_physical_id(answer.get("PhysicalResourceId")):
            reason = "Invalid PhysicalResourceId"
        elif answer.get("Status") not in ("SUCCESS", "FAILED"):
            reason = "Invalid Status"
        elif answer["Status"] == "FAILED":
            reason = _FAILED.format(reason=answer.get("Reason", ""), request_id=request.request_id)
        else:
            status = "SUCCESS"
        pending.answer = answer if isinstance(answer, dict) else {}
        request.status, request.reason, request.answered_at = status, reason, time.time()
        pending.answered.set()


def _wrong_names(answer: Mapping[str, Any], request: CustomResourceRequest) -> list[str]:
    expected = {
        "StackId": request.stack_id,
        "RequestId": request.request_id,
        "LogicalResourceId": request.logical_id,
    }
    return [name for name, value in expected.items() if answer.get(name) != value]


def _is_physical_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value.encode()) <= _MAX_PHYSICAL_ID


def _as_strings(value: Any) -> Any:
    """Properties as CloudFormation sends them, with every scalar as a string."""
    if isinstance(value, Mapping):
        return {key: _as_strings(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_strings(item) for item in value]
    return _text(value)


def _attributes(data: Mapping[str, Any]) -> dict[str, str]:
    """Attributes as Fn::GetAtt returns them. ministack's outputs fail on anything but a string."""
    return {name: _text(value) for name, value in data.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
