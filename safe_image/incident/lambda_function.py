"""A Lambda function: its state, its last update, the last error in its log, and its image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from .aws_reader import AwsReader
from .incident import Failure, Incident

_ERRORS: Final = '?"Runtime." ?"errorType" ?"exec format error" ?"Task timed out" ?"Permission denied"'
_MOST_LINES: Final = 50
_ARCHITECTURES: Final = {"arm64": "linux/arm64"}


def function_incident(reader: AwsReader, name: str) -> Incident:
    """The incident of a function.

    :param reader: reads from AWS.
    :param name: the function's name or ARN.
    :raises Fault: if the function cannot be read.
    """
    found = reader.require("lambda", "get_function", name, FunctionName=name)
    configuration, code = found.get("Configuration", {}), found.get("Code", {})
    told = tuple(_states(configuration))
    logged = "" if told else _last_error(reader, configuration, name)
    text = "\n".join(told) or logged
    image, digest, source = _image(code)
    if configuration.get("PackageType") == "Zip":
        reader.notes.append("The function has no image: it is deployed as a zip archive.")
    architecture = next(iter(configuration.get("Architectures", [])), "")
    return Incident(
        f"function {configuration.get('FunctionName', name)}",
        "failed" if text else "healthy",
        (Failure("", text, image, digest, source),) if text else (),
        "lambda",
        _ARCHITECTURES.get(architecture, "linux/amd64"),
        tuple(_proof(configuration, told, logged)),
        tuple(reader.notes),
    )


def _states(configuration: Mapping[str, Any]) -> Iterable[str]:
    """The messages of the function's state and its last update, where they are not well."""
    if configuration.get("State") not in (None, "Active"):
        yield _said(
            configuration, "State", f"The function is currently in the following state: {configuration['State']}"
        )
    if configuration.get("LastUpdateStatus") == "Failed":
        yield _said(configuration, "LastUpdateStatus", "The last update failed")


def _said(configuration: Mapping[str, Any], field: str, text: str) -> str:
    reason, code = configuration.get(f"{field}Reason", ""), configuration.get(f"{field}ReasonCode", "")
    return ": ".join(filter(None, (text, code, reason)))


def _last_error(reader: AwsReader, configuration: Mapping[str, Any], name: str) -> str:
    group = configuration.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{name.rpartition(':')[2]}"
    without = "The function's log could not be read, so errors of calls are missing."
    found = reader.read(
        "logs", "filter_log_events", group, without, logGroupName=group, filterPattern=_ERRORS, limit=_MOST_LINES
    )
    lines = [str(event.get("message", "")).strip() for event in found.get("events", [])]
    return lines[-1] if lines else ""


def _image(code: Mapping[str, Any]) -> tuple[str, str, str]:
    resolved = str(code.get("ResolvedImageUri", "")).partition("@")[2]
    image = str(code.get("ImageUri", ""))
    if not image:
        return "", "", ""
    return image, resolved, "the digest that the function uses" if resolved else "the tag as it is now"


def _proof(configuration: Mapping[str, Any], told: Iterable[str], logged: str) -> Iterable[str]:
    state, update = configuration.get("State", "unknown"), configuration.get("LastUpdateStatus", "unknown")
    yield f"State: {state}. Last update: {update}."
    yield from told
    if logged:
        yield f"The log: {logged}"
