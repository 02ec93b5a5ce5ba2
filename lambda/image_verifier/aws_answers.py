"""The checks of AWS's answers: each accounts for everything that the call requested, in a body of the announced length.

A connection that ends early, or a proxy, can leave a body that botocore parses to nothing: it reads bodies without
comparing their length, and makes an empty response of JSON that it cannot parse. A missing part is therefore never read
as "there is none". https://github.com/boto/botocore/blob/develop/botocore/parsers.py, `_parse_body_as_json`;
https://github.com/boto/botocore/blob/develop/botocore/httpsession.py, `enforce_content_length`
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Parameters = Mapping[str, Any]
Answer = Mapping[str, Any]

# The digest of a signed manifest of schema 1 is that of its payload, without the signatures.
_SIGNED: Final = "application/vnd.docker.distribution.manifest.v1+prettyjws"

# The failures that say that there is no layer; any other one leaves it open:
# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_LayerFailure.html
_NO_LAYER: Final = frozenset({"InvalidLayerDigest", "MissingLayerDigest"})


class BadAnswer(Exception):
    """An answer that AWS cannot have sent like this. The message is a predicate: `has 3 of 8 bytes`."""


def web_page() -> BadAnswer:
    """The error for an answer that is a web page."""
    return BadAnswer("is a web page, which AWS does not send")


def check_body(response_dict: Mapping[str, Any], **_: Any) -> None:
    """Check a body before botocore parses it: a handler for its event `before-parse`.

    :param response_dict: botocore's view of the response.
    :raises BadAnswer: if the body is shorter or longer than announced, or a web page.
    """
    headers, body = response_dict["headers"], response_dict["body"]
    announced = headers.get("content-length", "")
    if isinstance(body, bytes) and announced.isdigit() and announced != str(len(body)):
        raise BadAnswer(f"has {len(body)} of {announced} bytes")
    # A proxy or a login form has answered in the place of AWS, whose load balancers send HTML only with 5xx.
    if response_dict["status_code"] < 500 and is_web_page(headers.get("content-type", "")):
        raise web_page()


def is_web_page(content_type: str) -> bool:
    """Whether this is the Content-Type of a web page: AWS sends JSON, XML and bytes."""
    kind = content_type.lower()
    return "html" in kind or (kind.startswith("text/") and "xml" not in kind)


def check_complete(api: str, parameters: Parameters, answer: Answer) -> None:
    """Check that an answer accounts for everything that the call requested.

    :param api: the operation, such as `BatchGetImage`.
    :param parameters: the call's parameters.
    :param answer: the parsed answer.
    :raises BadAnswer: if a part is missing.
    """
    missing = _MISSING.get(api, _anything)(parameters, answer)
    if missing:
        raise BadAnswer(f"lacks {missing}")


def _anything(_: Parameters, answer: Answer) -> str:
    return "" if answer.keys() - {"ResponseMetadata"} else "any content"


def _has(*names: str) -> Callable[[Parameters, Answer], str]:
    """The answer has all of these members."""

    def missing(_: Parameters, answer: Answer) -> str:
        return ", ".join(name for name in names if answer.get(name) is None)

    return missing


def _list_of(name: str, member: str) -> Callable[[Parameters, Answer], str]:
    """The answer has a list, empty or not, and each item has a text under this name."""

    def missing(_: Parameters, answer: Answer) -> str:
        items = answer.get(name)
        if items is None:
            return name
        return "" if all(_is_text(item, member) for item in items) else f"{member} in {name}"

    return missing


def _is_text(item: Answer, name: str) -> bool:
    value = item.get(name)
    return isinstance(value, str) and bool(value)


def _first_missing(wanted: Sequence[Mapping[str, str]], found: Sequence[Mapping[str, str]]) -> str:
    """The first of the wanted image IDs that none of the found ones contains."""
    for one in wanted:
        if not any(one.items() <= other.items() for other in found):
            return " and ".join(one.values())
    return ""


def _ids(items: Sequence[Answer]) -> list[Mapping[str, str]]:
    return [item["imageId"] for item in items]


def _images(parameters: Parameters, answer: Answer) -> str:
    images = answer.get("images", ())
    for image in images:
        digest, manifest = image["imageId"]["imageDigest"], image["imageManifest"]
        actual = "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()
        if actual != digest and image.get("imageManifestMediaType") != _SIGNED:
            return f"the bytes of {digest}"
    return _first_missing(parameters["imageIds"], [*_ids(images), *_ids(answer.get("failures", ()))])


def _deleted_images(parameters: Parameters, answer: Answer) -> str:
    return _first_missing(parameters["imageIds"], [*answer.get("imageIds", ()), *_ids(answer.get("failures", ()))])


def _image_details(parameters: Parameters, answer: Answer) -> str:
    details = answer.get("imageDetails")
    if details is None:
        return "imageDetails"
    if not all(_is_text(detail, "imageDigest") for detail in details):
        return "imageDigest in imageDetails"
    found = [
        {"imageDigest": detail["imageDigest"], "imageTag": tag}
        for detail in details
        for tag in detail.get("imageTags") or [""]
    ]
    return _first_missing(parameters.get("imageIds", ()), found)


def _layers(parameters: Parameters, answer: Answer) -> str:
    layers = (layer["layerDigest"] for layer in answer.get("layers", ()) if _is_text(layer, "layerAvailability"))
    failures = (
        failure.get("layerDigest") for failure in answer.get("failures", ()) if failure.get("failureCode") in _NO_LAYER
    )
    return next(iter(sorted({*parameters["layerDigests"]} - {*layers, *failures})), "")


def _download_url(parameters: Parameters, answer: Answer) -> str:
    digest = parameters["layerDigest"]
    return "" if _is_text(answer, "downloadUrl") and answer.get("layerDigest", digest) == digest else "downloadUrl"


def _repositories(parameters: Parameters, answer: Answer) -> str:
    missing = _list_of("repositories", "repositoryName")(parameters, answer)
    found = {repository["repositoryName"] for repository in answer.get("repositories", ())}
    return missing or next(iter(sorted({*parameters.get("repositoryNames", ())} - found)), "")


def _stack(parameters: Parameters, answer: Answer) -> str:
    """The stack of a request by name or by ARN, `arn:…:stack/NAME/ID`."""
    wanted = parameters.get("StackName")
    if wanted is None:
        return _list_of("Stacks", "StackStatus")(parameters, answer)
    for stack in answer.get("Stacks", ()):
        names = (stack.get("StackId"), stack.get("StackName"))
        if _is_text(stack, "StackStatus") and (wanted in names or wanted.split("/")[1:2] == [names[1]]):
            return ""
    return f"the status of {wanted}"


def _described(asked: str, found: str, name: str, other: str) -> Callable[[Parameters, Answer], str]:
    """The answer of ECS has each of the items, which were requested by ARN or by name, or a failure for it."""

    def missing(parameters: Parameters, answer: Answer) -> str:
        names = {item.get(key) for item in answer.get(found, ()) for key in (name, other)}
        names |= {failure.get("arn") for failure in answer.get("failures", ())}
        # A failure has the ARN of what was requested by its name.
        known = names | {text.rpartition("/")[2] for text in names if text}
        return next((one for one in parameters[asked] if one not in known and one.rpartition("/")[2] not in known), "")

    return missing


def _accepted_events(_: Parameters, answer: Answer) -> str:
    """EventBridge reports an event that it did not accept in an answer that is a success otherwise."""
    if answer.get("FailedEntryCount") == 0:
        return ""
    codes = {str(entry.get("ErrorCode")) for entry in answer.get("Entries", ()) if entry.get("ErrorCode")}
    return f"the event's acceptance ({', '.join(sorted(codes)) or 'no code'})"


def _credentials(_: Parameters, answer: Answer) -> str:
    credentials = answer.get("Credentials") or {}
    names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
    return ", ".join(name for name in names if not _is_text(credentials, name))


# The missing part of the answer to each operation, empty if there is none. Any other one must answer with something.
_MISSING: Final[Mapping[str, Callable[[Parameters, Answer], str]]] = {
    # Its answer has no content.
    "AbortMultipartUpload": _has(),
    "AssumeRole": _credentials,
    "BatchCheckLayerAvailability": _layers,
    "BatchDeleteImage": _deleted_images,
    "BatchGetImage": _images,
    "BatchGetItem": _has("Responses"),
    "BatchWriteItem": _has("UnprocessedItems"),
    "CompleteMultipartUpload": _has("ETag"),
    "CreateMultipartUpload": _has("UploadId"),
    "DescribeImages": _image_details,
    "DescribeRepositories": _repositories,
    "DescribeServiceRevisions": _described(
        "serviceRevisionArns", "serviceRevisions", "serviceRevisionArn", "serviceRevisionArn"
    ),
    "DescribeServices": _described("services", "services", "serviceArn", "serviceName"),
    "DescribeStackEvents": _list_of("StackEvents", "ResourceStatus"),
    "DescribeStacks": _stack,
    "DescribeTaskDefinition": _has("taskDefinition"),
    "DescribeTasks": _described("tasks", "tasks", "taskArn", "taskArn"),
    "GetCallerIdentity": _has("Account"),
    "GetDownloadUrlForLayer": _download_url,
    "GetFunction": _has("Code"),
    "GetObject": _has("Body", "ContentLength"),
    "ListClusters": _has("clusterArns"),
    "ListFunctions": _list_of("Functions", "FunctionArn"),
    "ListServiceDeployments": _list_of("serviceDeployments", "status"),
    "ListServices": _has("serviceArns"),
    "ListStackResources": _list_of("StackResourceSummaries", "ResourceType"),
    "ListStacks": _list_of("StackSummaries", "StackName"),
    "ListTagsForResource": _has("tags"),
    "ListTaskDefinitions": _has("taskDefinitionArns"),
    "ListTasks": _has("taskArns"),
    "ListObjectsV2": _has("KeyCount"),
    "PutEvents": _accepted_events,
    "PutImage": _has("image"),
    # Its answer has no content.
    "PutItem": _has(),
    "PutObject": _has("ETag"),
    "Publish": _has("MessageId"),
    "Query": _has("Items"),
    "UploadPart": _has("ETag"),
}
