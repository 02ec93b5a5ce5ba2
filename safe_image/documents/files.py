"""Reads a file that names images, as JSON or as YAML, by its first character."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from image_verifier.faults import Fault

from ..errors import UsageError
from ..sources.json_limits import MAX_JSON_BYTES
from ..sources.regular_files import open_regular
from .json_values import parse_json
from .values import Values

# How messages and places call standard input, which a reference calls `-`.
STANDARD_INPUT: Final = "<stdin>"
# The parser of YAML is slow: a second and a half for each MiB.
_MAX_YAML_BYTES: Final = 16 * 1024 * 1024


def read_documents(file: str, *, short_forms: bool = False) -> Iterator[Values]:
    """The documents of a file: one of JSON, or several of YAML.

    :param file: the file's path, or `STANDARD_INPUT`.
    :param short_forms: whether a tag such as `!Sub` stands for CloudFormation's function.
    :raises UsageError: if it cannot be read, is neither, or exceeds a limit.
    """
    text = _read(file)
    if text.lstrip()[:1] in ("{", "["):
        yield parse_json(text, file)
        return
    if len(text) > _MAX_YAML_BYTES:
        raise UsageError(f"{file}: it has more than {_MAX_YAML_BYTES:,} bytes, the limit for YAML: use JSON")
    # Imported here: a plan or a template of CDK is JSON.
    from .yaml_values import parse_yaml

    yield from parse_yaml(text, file, _short_form if short_forms else _without_tag)


def read_document(file: str, *, short_forms: bool = False) -> Values:
    """The only document of a file.

    :param file: the file's path, or `STANDARD_INPUT`.
    :param short_forms: whether a tag such as `!Sub` stands for CloudFormation's function.
    :raises UsageError: if it cannot be read, is not one mapping, or exceeds a limit.
    """
    documents = list(read_documents(file, short_forms=short_forms))
    if len(documents) != 1 or not isinstance(documents[0].value, dict):
        raise UsageError(f"{file}: it is not one mapping, such as a template or a task definition")
    return documents[0]


def _read(file: str) -> str:
    try:
        stream = sys.stdin.buffer if file == STANDARD_INPUT else open_regular(Path(file))
    except Fault as e:
        raise UsageError(e.text) from e
    if stream is None:
        raise UsageError(f"{file}: there is no such file: pass the path of one that exists")
    with stream:
        data = stream.read(MAX_JSON_BYTES + 1)
    if len(data) > MAX_JSON_BYTES:
        raise UsageError(f"{file}: it has more than {MAX_JSON_BYTES:,} bytes")
    if not data.strip():
        # Kubernetes' manifests may be none at all. Where the command before a pipe failed, this one must not succeed.
        raise UsageError(f"{file}: it is empty: check whether the command that writes it succeeded")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise UsageError(f"{file}: it is not text in UTF-8") from e


def _without_tag(tag: str, value: Any) -> Any:
    return value


def _short_form(tag: str, value: Any) -> Any:
    """The full form of a function: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/."""
    name = tag.removeprefix("!")
    if name in ("Ref", "Condition"):
        return {name: value}
    if name == "GetAtt" and isinstance(value, str):
        return {"Fn::GetAtt": value.split(".", 1)}
    return {f"Fn::{name}": value}
