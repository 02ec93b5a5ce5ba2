"""The time to find the images of large files: templates of 1 MB in JSON and YAML, and a plan of 50 MB.

Beside each, the time of the plain parser: what finding and placing the images costs on top of it.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from safe_image.documents.cloudformation import read_cloudformation
from safe_image.documents.settings import Settings
from safe_image.documents.terraform import read_terraform

RUNS: Final = 3
_TEMPLATE_BYTES: Final = 1024 * 1024
_PLAN_BYTES: Final = 50 * 1000 * 1000
_PSEUDO: Final = {"AWS::AccountId": "111122223333", "AWS::Region": "eu-west-1", "AWS::URLSuffix": "amazonaws.com"}
_URI: Final = "${AWS::AccountId}.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}/shop:%d"


def main() -> None:
    """Print the table."""
    template = {"Resources": _grown(_task, _TEMPLATE_BYTES)}
    resources = list(_grown(_resource, _PLAN_BYTES).values())
    plan = {"format_version": "1.2", "planned_values": {"root_module": {"resources": resources}}}
    with tempfile.TemporaryDirectory() as folder:
        as_json, as_yaml, as_plan = (Path(folder, name) for name in ("template.json", "template.yaml", "plan.json"))
        as_json.write_text(json.dumps(template, indent=1))
        YAML(typ="safe", pure=True).dump(template, as_yaml)
        as_plan.write_text(json.dumps(plan))
        rows: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
            _name("template in JSON", as_json): (lambda: _template(as_json), lambda: json.loads(as_json.read_text())),
            _name("template in YAML", as_yaml): (lambda: _template(as_yaml), lambda: _events(as_yaml)),
            _name("plan", as_plan): (lambda: _plan(as_plan), lambda: json.loads(as_plan.read_text())),
        }
        print(f"Images of files, median of {RUNS} runs side by side, CPU time, {os.cpu_count()} cores")
        for name, (ours, parser) in rows.items():
            times = [(_seconds(ours), _seconds(parser)) for _ in range(RUNS)]
            images = ours()
            mine, theirs = (statistics.median(column) for column in zip(*times, strict=True))
            print(f"  {name:28} {images:5} images {mine:6.2f} s   parser alone {theirs:6.2f} s")


def _name(kind: str, file: Path) -> str:
    return f"{kind}, {file.stat().st_size / 1e6:.1f} MB"


def _grown(element: Callable[[int], dict[str, Any]], size: int) -> dict[str, dict[str, Any]]:
    """So many elements that their JSON has a size."""
    each = sum(len(json.dumps(element(number))) for number in range(20)) // 20
    return {f"R{number}": element(number) for number in range(size // each)}


def _task(number: int) -> dict[str, Any]:
    container = {"Name": "web", "Image": {"Fn::Sub": _URI % number}, "Environment": [{"Name": "A", "Value": "b"}]}
    properties = {"RequiresCompatibilities": ["FARGATE"], "ContainerDefinitions": [container]}
    return {"Type": "AWS::ECS::TaskDefinition", "Properties": properties}


def _resource(number: int) -> dict[str, Any]:
    """One task definition for twenty resources of other types, with attributes as a provider has them."""
    values: dict[str, Any] = {f"attribute_{n}": ["some value", {"nested": n}] for n in range(40)}
    if number % 20:
        return {"address": f"aws_iam_role.r{number}", "mode": "managed", "type": "aws_iam_role", "values": values}
    values["container_definitions"] = json.dumps([{"name": "web", "image": f"shop:{number}"}])
    type_ = "aws_ecs_task_definition"
    return {"address": f"{type_}.r{number}", "mode": "managed", "type": type_, "values": values}


def _template(file: Path) -> int:
    return len(list(read_cloudformation(str(file), Settings(), _PSEUDO.__getitem__)))


def _plan(file: Path) -> int:
    return len(list(read_terraform(str(file), Settings())))


def _events(file: Path) -> int:
    return sum(1 for _ in YAML(typ="safe", pure=True).parse(file.read_text()))


def _seconds(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
