"""Our own calls to ministack, as the account's root, over its public HTTP API."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from local_aws.account import ACCOUNT, REGION
from local_aws.asgi import App, Response, Scope, call

# An access key that is the account's number belongs to the account's root; ministack does not check its signature.
_AUTHORIZATION = (
    f"AWS4-HMAC-SHA256 Credential={ACCOUNT}/20260101/{{region}}/{{service}}/aws4_request, "
    "SignedHeaders=host, Signature=local"
)


@dataclass(frozen=True)
class RepositoryRecord:
    """A repository as ministack describes it."""

    name: str
    created_at: float
    immutable: bool


@dataclass(frozen=True)
class MinistackClient:
    """Calls ministack's app as root."""

    app: App

    async def post(
        self, service: str, path: str, body: bytes, headers: dict[str, str], region: str = REGION
    ) -> Response:
        """POST to a service, which sees the resources of `region`."""
        authorization = _AUTHORIZATION.format(region=region, service=service)
        all_headers = {"host": "localhost", "authorization": authorization, **headers}
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": quote(path).encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in all_headers.items()],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 0),
        }
        return await call(self.app, scope, body)

    async def repository(self, name: str, region: str = REGION) -> RepositoryRecord | None:
        """The repository of that name, or None. CloudFormation creates and deletes them without passing the gateway."""
        response = await self.post(
            "ecr",
            "/",
            json.dumps({"repositoryNames": [name]}).encode(),
            {
                "x-amz-target": "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories",
                "content-type": "application/x-amz-json-1.1",
            },
            region,
        )
        if response.status != 200:
            return None
        assert isinstance(response.body, bytes)
        found: dict[str, Any] = json.loads(response.body)["repositories"][0]
        return RepositoryRecord(name, float(found["createdAt"]), found.get("imageTagMutability") == "IMMUTABLE")

    async def invoke_function(self, function: str, event: bytes, region: str = REGION) -> Response:
        """Invoke a Lambda function as CloudFormation does: asynchronously."""
        return await self.post(
            "lambda",
            f"/2015-03-31/functions/{function}/invocations",
            event,
            {"content-type": "application/json", "x-amz-invocation-type": "Event"},
            region,
        )
