"""The local AWS's one address: answers ECR, `/v2/` and control calls itself, and passes the rest to ministack."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from dataclasses import dataclass
from urllib.parse import parse_qs

from local_aws.account import ACCOUNT, REGION
from local_aws.asgi import (
    App,
    BodyTooLarge,
    Disconnected,
    Message,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    call,
    json_response,
    replay,
    send_response,
)
from local_aws.custom_resources import PREFIX as RESPONSE_PREFIX
from local_aws.custom_resources import CustomResources
from local_aws.ecr_api import EcrApi
from local_aws.ecr_messages import TARGET, error_response, registry_address
from local_aws.fault_injection import Call, CallFault, CallLog, InjectedFaults
from local_aws.incidents import Incidents
from local_aws.layer_downloads import PREFIX as LAYER_PREFIX
from local_aws.layer_downloads import CutOff, LayerDownloads
from local_aws.registry_api import RegistryApi

CONTROL_PREFIX = "/_local/control/"

_CREDENTIAL = re.compile(r"Credential=([^/,]+)/\d+/([^/]+)/([^/]+)/aws4_request")
_REPOSITORY_URI = re.compile(rb'"repositoryUri": ?"[^"/]+/')
_QUIET = ("/_ministack/", "/_localstack/", "/health")
_DENIALS = frozenset(
    {
        # ministack's errors for a caller that it refuses before it reads the request.
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    }
)
_DEFAULT_MESSAGES = {
    "AccessDeniedException": f"User: arn:aws:sts::{ACCOUNT}:assumed-role/role/session is not authorized to perform: "
    "{name} because no identity-based policy allows the {name} action",
    "ThrottlingException": "Rate exceeded",
}


@dataclass(frozen=True)
class Identity:
    """The caller of a request, and its name: `service:Action`, or `service:METHOD` where the API is REST."""

    name: str
    principal: str
    region: str
    protocol: str


class Gateway:
    """The ASGI app in front of ministack's.

    :param ministack: ministack's app.
    :param auth: whether IAM is enforced; then ministack authorizes every ECR call before the gateway answers it.
    """

    def __init__(
        self,
        ministack: App,
        ecr: EcrApi,
        registry: RegistryApi,
        layers: LayerDownloads,
        custom_resources: CustomResources,
        faults: InjectedFaults,
        incidents: Incidents,
        log: CallLog,
        auth: bool,
    ) -> None:
        self._ministack, self._ecr, self._registry, self._layers = ministack, ecr, registry, layers
        self._custom_resources, self._faults, self._log, self._auth = custom_resources, faults, log, auth
        self._incidents = incidents

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on to ministack."""
        if self._auth and scope["type"] == "http":
            # The policy of CDK's bootstrap bucket denies every request without TLS, which loopback does not need.
            scope = {**scope, "headers": [*scope["headers"], (b"x-forwarded-proto", b"https")]}
        if scope["type"] != "http" or scope["path"].startswith(_QUIET):
            await self._ministack(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            if scope["path"].startswith(CONTROL_PREFIX):
                await send_response(send, await self._control(request))
            else:
                await self._logged(request, send)
        except BodyTooLarge:
            await send_response(send, Response(413))
        except (Disconnected, CutOff):
            return

    async def _logged(self, request: Request, send: Send) -> None:
        """Answer a call, with its faults, and log it."""
        started, status = time.time(), 0
        body = await request.body() if _is_api_call(request) else None
        identity = identify(request, body or b"")

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            faults = self._faults.for_call(identity.name, (body or b"").decode(errors="replace"))
            for fault in faults:
                await asyncio.sleep(fault.delay)
            error = next((fault for fault in faults if fault.code), None)
            if error is not None:
                await send_response(send_and_note_status, fault_response(error, identity))
            else:
                await self._answer(request, body, identity, send_and_note_status)
        finally:
            self._log.add(Call(identity.name, request.path, started, status, time.time() - started, identity.principal))

    async def _answer(self, request: Request, body: bytes | None, identity: Identity, send: Send) -> None:
        path, base = request.path, f"http://{request.headers.get('host', 'localhost')}"
        recorded = self._incidents.answer(identity.name, path, body or b"")
        if recorded:
            await send_response(send, recorded)
        elif path.startswith(LAYER_PREFIX):
            await send_response(send, self._layers.serve(request))
        elif path.startswith(RESPONSE_PREFIX):
            await send_response(send, self._custom_resources.answer(request, await request.body()))
        elif path.startswith("/v2/") and identity.name.startswith("registry:"):
            await send_response(send, await self._registry.answer(request, base))
        elif identity.name.startswith("ecr:") and body is not None:
            await send_response(send, await self._answer_ecr(request, body, identity, base))
        elif identity.name == "cloudformation:DescribeStackEvents" and body is not None:
            events = await call(self._ministack, request.scope, body)
            await send_response(send, self._custom_resources.with_properties(events))
        else:
            await self._ministack(
                request.scope, request.receive if body is None else replay(body, request.receive), send
            )

    async def _answer_ecr(self, request: Request, body: bytes, identity: Identity, base: str) -> Response:
        action = identity.name.partition(":")[2]
        answers_itself = action in self._ecr.actions
        if action == "DeleteRepository" and (refusal := await self._ecr.refuse_deletion(body)):
            return refusal
        if self._auth or not answers_itself:
            response = await call(self._ministack, *_with_repository_name(action, request.scope, body))
            if not answers_itself:
                return _with_local_registry(response, base)
            if error := _denial(response):
                return _with_resource(error, body, identity.region)
        return await self._ecr.answer(action, body, base)

    async def _control(self, request: Request) -> Response:
        """The control API: faults, recorded incidents, the log of calls, the log of requests to custom resources."""
        resource = request.path.removeprefix(CONTROL_PREFIX)
        if (request.method, resource) == ("POST", "faults"):
            self._faults.add(json.loads(await request.body()))
        elif (request.method, resource) == ("DELETE", "faults"):
            self._faults.clear()
        elif (request.method, resource) == ("POST", "incidents"):
            self._incidents.record(json.loads(await request.body()))
        elif (request.method, resource) == ("DELETE", "incidents"):
            self._incidents.clear()
        elif (request.method, resource) == ("GET", "calls"):
            return json_response(200, self._log.listed())
        elif (request.method, resource) == ("DELETE", "calls"):
            self._log.reset()
        elif (request.method, resource) == ("GET", "custom-resources"):
            return json_response(200, self._custom_resources.listed())
        elif (request.method, resource) == ("DELETE", "custom-resources"):
            self._custom_resources.reset()
        else:
            return json_response(404, {"message": f"the control API has no {request.method} {request.path}"})
        return json_response(200, {})


def identify(request: Request, body: bytes) -> Identity:
    """Find the service and the action of a request in its path, headers and body."""
    headers = request.headers
    signed = _CREDENTIAL.search(headers.get("authorization", ""))
    principal, region, service = signed.groups() if signed else ("", REGION, "")
    target = headers.get("x-amz-target", "")
    if request.path.startswith(LAYER_PREFIX):
        return Identity(f"layer:{request.method}", principal, region, "s3")
    if request.path.startswith(RESPONSE_PREFIX):
        return Identity("cloudformation:Response", principal, region, "s3")
    if target:
        service = "ecr" if target.startswith(TARGET) else service
        return Identity(f"{service}:{target.rpartition('.')[2]}", principal, region, "json")
    if re.match(r"/v2(/|$)", request.path) and not signed:
        return Identity(f"registry:{request.method}", principal, region, "registry")
    if "x-www-form-urlencoded" in headers.get("content-type", ""):
        action = parse_qs(body.decode("latin-1")).get("Action", [""])[0]
        return Identity(f"{service}:{action}", principal, region, "query")
    return Identity(f"{service or 's3'}:{request.method}", principal, region, "s3" if service == "s3" else "json")


def fault_response(fault: CallFault, identity: Identity) -> Response:
    """An error in the service's own protocol."""
    message = fault.message or _DEFAULT_MESSAGES.get(fault.code, fault.code).format(name=identity.name)
    protocol = identity.protocol
    if protocol == "json":
        return error_response(fault.status, fault.code, message)
    if protocol == "registry":
        return json_response(fault.status, {"errors": [{"code": fault.code, "message": message}]})
    error = f"<Error><Code>{fault.code}</Code><Message>{message}</Message></Error>"
    if protocol == "query":
        error = f"<ErrorResponse>{error}<RequestId>local</RequestId></ErrorResponse>"
    return Response(fault.status, error.encode(), {"Content-Type": "text/xml"})


def _is_api_call(request: Request) -> bool:
    """Whether a request has the JSON or query protocol, with a small body; all other bodies are streamed."""
    return request.method == "POST" and request.path == "/"


def _with_repository_name(action: str, scope: Scope, body: bytes) -> tuple[Scope, bytes]:
    """The request with its repository in the parameter that ministack's IAM reads, rather than in a list of one."""
    parameters = json.loads(body or b"{}")
    names = parameters.get("repositoryNames", [])
    if action != "DescribeRepositories" or len(names) != 1:
        return scope, body
    # The signature covers the original body; some clients sign its hash in this header.
    signed = {b"x-amz-content-sha256": hashlib.sha256(body).hexdigest().encode(), **dict(scope["headers"])}
    with_name = json.dumps({**parameters, "repositoryName": names[0]}).encode()
    return {**scope, "headers": list(signed.items())}, with_name


def _denial(response: Response) -> dict[str, str]:
    """ministack's error for a caller that it refuses; empty when it accepts the caller."""
    if response.status < 400:
        return {}
    assert isinstance(response.body, bytes)
    error: dict[str, str] = json.loads(response.body)
    return error if error.get("__type", "").rpartition("#")[2] in _DENIALS else {}


def _with_resource(error: dict[str, str], body: bytes, region: str) -> Response:
    """A denial in ECR's words; ministack's message lacks the resource."""
    name = json.loads(body or b"{}").get("repositoryName")
    arn = f"arn:aws:ecr:{region}:{ACCOUNT}:repository/{name}" if name else "*"
    message = error.get("message") or error.get("Message", "")
    return error_response(400, error["__type"], message.replace(" because ", f" on resource: {arn} because "))


def _with_local_registry(response: Response, base: str) -> Response:
    """The response with the local registry in every repositoryUri, where ministack puts AWS's."""
    assert isinstance(response.body, bytes)
    body = _REPOSITORY_URI.sub(f'"repositoryUri": "{registry_address(base)}/'.encode(), response.body)
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return Response(response.status, body, headers)
