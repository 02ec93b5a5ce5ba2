"""Runs programs one after the other in this process, and prints the result of each as a line of JSON.

The working directory has `service/Dockerfile` and `function/Dockerfile`, as the docs assume. The variable `app` of a
program is synthesized; the line has the number of resources of each type, and our warnings and errors.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def main(programs: Path) -> None:
    """Run the programs of a JSON file, which holds pairs of a file's name and a source."""
    for name, source in json.loads(programs.read_text()):
        scope: dict[str, Any] = {"__name__": "__main__", "__file__": name}
        try:
            exec(compile(source, name, "exec"), scope)
            assembly = scope["app"].synth()
            result: dict[str, Any] = {"resources": _resources(assembly), "annotations": list(_annotations(assembly))}
        except Exception:
            result = {"error": traceback.format_exc()}
        print(json.dumps(result), flush=True)


def _resources(assembly: Any) -> dict[str, int]:
    return dict(Counter(kind for it in _assemblies(assembly) for stack in it.stacks for kind in _kinds(stack.template)))


def _annotations(assembly: Any) -> Iterator[str]:
    """The warnings and errors, for which `cdk synth --strict` fails."""
    for path in Path(assembly.directory).rglob("*.json"):
        if path.name == "manifest.json" or path.name.endswith(".metadata.json"):
            yield from _messages(json.loads(path.read_text()))


def _messages(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if value.get("type") in ("aws:cdk:warning", "aws:cdk:error"):
            yield str(value["data"])
        for inner in value.values():
            yield from _messages(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _messages(inner)


def _assemblies(assembly: Any) -> Iterator[Any]:
    yield assembly
    for nested in assembly.nested_assemblies:
        yield from _assemblies(nested.nested_assembly)


def _kinds(template: Any) -> list[str]:
    return [resource["Type"] for resource in template.get("Resources", {}).values()]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
