"""A cloud assembly as it lies in a folder: its stacks with their nested templates, images and dependencies."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

_NESTED: Final = "AWS::CloudFormation::Stack"
# CDK adds a hash of the function to the logical ID of its current version, so that a new image is a new version.
_VERSION_HASH: Final = re.compile(r"(CurrentVersion[0-9A-F]{8})[0-9a-f]{32}")


@dataclass(frozen=True)
class AppStack:
    """A stack of an app.

    :param name: its artifact's ID, behind those of its stages.
    :param folder: the folder of its assembly.
    :param template_file: the file of its template.
    :param assets: its asset manifest.
    :param dependencies: the names of the stacks that it directly depends on.
    """

    name: str
    folder: Path
    template_file: str
    assets: Mapping[str, Any]
    dependencies: frozenset[str]

    @cached_property
    def size(self) -> int:
        """The bytes of its templates, as they are uploaded."""
        files = [self.template_file, *(file for _, file in self._nested(self.template, ()))]
        return sum((self.folder / file).stat().st_size for file in files)

    @cached_property
    def template(self) -> dict[str, Any]:
        """Its own template."""
        return self._read(self.template_file)

    @cached_property
    def templates(self) -> dict[tuple[str, ...], dict[str, Any]]:
        """Its templates, by the logical IDs of the nested stacks that lead to each."""
        return {(): self.template, **{path: self._read(file) for path, file in self._nested(self.template, ())}}

    @cached_property
    def images(self) -> dict[str, str]:
        """The names of its images, by their tags."""
        found = {}
        for tag, image in self.assets.get("dockerImages", {}).items():
            text = (self.folder / image["source"]["directory"] / "Dockerfile").read_text()
            found[tag] = text.partition("name=")[2].strip()
        return found

    def _read(self, file: str) -> dict[str, Any]:
        text = _VERSION_HASH.sub(r"\1", (self.folder / file).read_text())
        template: dict[str, Any] = json.loads(text)
        return template

    def _nested(self, template: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
        for name, resource in template.get("Resources", {}).items():
            if resource["Type"] == _NESTED:
                url = json.dumps(resource["Properties"]["TemplateURL"])
                file = next(it["source"]["path"] for key, it in self.assets["files"].items() if key in url)
                yield (*path, name), file
                yield from self._nested(self._read(file), (*path, name))


def stacks_in(folder: Path, stage: str = "") -> dict[str, AppStack]:
    """The stacks of an assembly, those of its stages included, by their names.

    :param folder: the folder of the assembly.
    :param stage: the name of the stage, with a slash.
    """
    artifacts = json.loads((folder / "manifest.json").read_text())["artifacts"]
    found: dict[str, AppStack] = {}
    for name, artifact in artifacts.items():
        properties = artifact.get("properties", {})
        if artifact["type"] == "cdk:cloud-assembly":
            found |= stacks_in(folder / properties["directoryName"], f"{stage}{name}/")
        elif artifact["type"] == "aws:cloudformation:stack":
            others = artifact.get("dependencies", [])
            manifests = [artifacts[it] for it in others if artifacts[it]["type"] == "cdk:asset-manifest"]
            assets: dict[str, Any] = {}
            for manifest in manifests:
                assets = json.loads((folder / manifest["properties"]["file"]).read_text())
            stacks = frozenset(f"{stage}{it}" for it in others if artifacts[it]["type"] == "aws:cloudformation:stack")
            found[f"{stage}{name}"] = AppStack(f"{stage}{name}", folder, properties["templateFile"], assets, stacks)
    return found
