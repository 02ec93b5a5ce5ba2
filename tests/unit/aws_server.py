"""An AWS whose responses a test sets: refusals and failures that the local AWS does not have on demand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

import pytest

from tests.unit.local_server import listening

ACCOUNT = "111122223333"
REGION = "eu-west-1"
_IDENTITY = {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/test", "UserId": "test"}


@dataclass(frozen=True)
class Refusal:
    """An error of an API."""

    code: str
    message: str
    status: int = 400


@dataclass
class Aws:
    """The server.

    :param endpoint: its address.
    :param answers: the response by action: a document, a `Refusal`, or a function that makes one from the parameters.
    :param calls: the calls, oldest first: the action, and its parameters.
    :param blobs: the content of `/blobs/NAME` by name, for download URLs.
    :param objects: S3's objects, by `BUCKET/KEY`.
    """

    endpoint: str
    answers: dict[str, Any] = field(default_factory=lambda: {"GetCallerIdentity": _IDENTITY})
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)

    def use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make boto3 call this server."""
        for name, value in {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "example",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }.items():
            monkeypatch.setenv(name, value)

    @staticmethod
    def refusal(code: str, message: str, status: int = 400) -> Refusal:
        return Refusal(code, message, status)

    @staticmethod
    def repository(mutability: str) -> dict[str, Any]:
        """The response of DescribeRepositories for CDK's repository."""
        name = f"cdk-hnb659fds-container-assets-{ACCOUNT}-{REGION}"
        uri = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{name}"
        arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"
        repository = {"repositoryName": name, "repositoryArn": arn, "repositoryUri": uri}
        return {"repositories": [{**repository, "imageTagMutability": mutability}]}

    def _answer(self, action: str, parameters: dict[str, Any]) -> Any:
        self.calls.append((action, parameters))
        answer = self.answers[action]
        return answer(parameters) if callable(answer) else answer


class _Handler(BaseHTTPRequestHandler):
    def parse_request(self) -> bool:
        """boto3 waits for the answer to `Expect` for a second; Python gives it for HTTP/1.1 alone."""
        is_valid = super().parse_request()
        if is_valid and self.headers.get("Expect") == "100-continue":
            self.handle_expect_100()
        return is_valid

    def log_message(self, *_: Any) -> None:
        return


@contextmanager
def serving_aws() -> Iterator[Aws]:
    """Run the server."""

    class Handler(_Handler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            target = self.headers.get("X-Amz-Target")
            if target:
                answer = aws._answer(target.rpartition(".")[2], json.loads(body))
                self._send(answer, _json(answer), "application/x-amz-json-1.1")
            else:
                parameters = dict(parse_qsl(body.decode()))
                action = parameters["Action"]
                answer = aws._answer(action, parameters)
                self._send(answer, _xml(action, answer), "text/xml")

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            if path.startswith("/blobs/"):
                self.send_response(200)
                self.send_header("Content-Length", str(len(aws.blobs[path[7:]])))
                self.end_headers()
                self.wfile.write(aws.blobs[path[7:]])
                return
            if not path.startswith("/2015-03-31/"):
                status, content = _s3(aws, unquote(path.strip("/")), dict(parse_qsl(query)))
                self.send_response(status)
                self.send_header("Content-Type", "application/xml")
                self.send_header("ETag", '"0"')
                self.send_header("Last-Modified", formatdate(usegmt=True))
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                return
            # Lambda's API: https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html
            name = unquote(path.removeprefix("/2015-03-31/functions").strip("/"))
            parameters = {**dict(parse_qsl(query)), **({"FunctionName": name} if name else {})}
            answer = aws._answer("GetFunction" if name else "ListFunctions", parameters)
            self._send(answer, _json(answer), "application/json")

        def do_PUT(self) -> None:
            """S3's PutObject, of a body in the chunks of `aws-chunked` or in one piece."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            aws.calls.append(("PutObject", {"path": self.path}))
            name = unquote(self.path.partition("?")[0].strip("/"))
            if self.headers.get("If-None-Match") == "*" and name in aws.objects:
                refusal = Refusal("PreconditionFailed", "At least one of the pre-conditions did not hold.", 412)
                self._send(refusal, _s3_error(refusal), "application/xml")
                return
            aws.objects[name] = body
            self.send_response(200)
            self.send_header("ETag", '"0"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _send(self, answer: Any, content: str, media_type: str) -> None:
            self.send_response(answer.status if isinstance(answer, Refusal) else 200)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(content.encode())))
            self.end_headers()
            self.wfile.write(content.encode())

    with listening(Handler) as port:
        aws = Aws(f"http://127.0.0.1:{port}")
        yield aws


def _s3(aws: Aws, path: str, query: dict[str, str]) -> tuple[int, bytes]:
    """S3's ListObjectsV2 and GetObject: the status and the content."""
    if "list-type" in query:
        prefix = f"{path}/{query['prefix']}"
        keys = sorted(name.removeprefix(f"{path}/") for name in aws.objects if name.startswith(prefix))
        found = "".join(f"<Contents><Key>{escape(key)}</Key></Contents>" for key in keys)
        return 200, f"<ListBucketResult><KeyCount>{len(keys)}</KeyCount>{found}</ListBucketResult>".encode()
    aws.calls.append(("GetObject", {"path": path}))
    refusal = aws.answers.get("GetObject")
    if callable(refusal):
        refusal = refusal(path)
    if refusal is None and path in aws.objects:
        return 200, aws.objects[path]
    refusal = refusal or Refusal("NoSuchKey", "The specified key does not exist.", 404)
    return refusal.status, _s3_error(refusal).encode()


def _s3_error(refusal: Refusal) -> str:
    return f"<Error><Code>{refusal.code}</Code><Message>{escape(refusal.message)}</Message></Error>"


def _json(answer: Any) -> str:
    return json.dumps({"__type": answer.code, "message": answer.message} if isinstance(answer, Refusal) else answer)


def _xml(action: str, answer: Any) -> str:
    if isinstance(answer, Refusal):
        error = f"<Error><Code>{answer.code}</Code><Message>{escape(answer.message)}</Message></Error>"
        return f"<ErrorResponse>{error}</ErrorResponse>"
    return f"<{action}Response><{action}Result>{_elements(answer)}</{action}Result></{action}Response>"


def _elements(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"<{name}>{_elements(one)}</{name}>" for name, one in value.items())
    if isinstance(value, list):
        return "".join(f"<member>{_elements(one)}</member>" for one in value)
    return escape(str(value))
