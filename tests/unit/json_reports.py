"""Holds a JSON report to the published schema, key by key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

from image_verifier import __version__
from jsonschema import Draft202012Validator

SCHEMA: Final[Mapping[str, Any]] = json.loads(
    files("safe_image.formats").joinpath("report.schema.json").read_text(encoding="utf-8")
)


def closed(schema: Any) -> Any:
    """The schema, which refuses keys that it does not name."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    more = {"additionalProperties": False} if "properties" in schema and schema.get("type") == "object" else {}
    return {key: closed(value) for key, value in schema.items()} | more


def valid(report: Any) -> Any:
    """The report, which the schema of its command accepts."""
    own = {**SCHEMA, "oneOf": [{"$ref": f"#/$defs/{report['report']}"}]}
    for schema in (SCHEMA, closed(own)):
        assert [str(error) for error in Draft202012Validator(schema).iter_errors(report)] == []
    assert report["tool"] == {"name": "safe-image", "version": __version__}
    return report
