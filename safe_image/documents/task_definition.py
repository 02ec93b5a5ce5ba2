"""Images of ECS task definitions in JSON or YAML, as register-task-definition reads and describe-task-definition prints
them, with the placeholders that tools fill in before they register one.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, Final

from image_verifier.rules.consumer_types import template_names
from image_verifier.rules.consumers import CONSUMERS

from ..errors import UsageError
from .document_image import DocumentImage, image_at
from .files import read_document
from .settings import Settings
from .unknown import Unknown, concatenate

# ecspresso's functions of a template, the variables of envsubst, and the placeholders of CodeDeploy's actions:
# https://github.com/kayac/ecspresso#template-syntax and
# https://docs.aws.amazon.com/codepipeline/latest/userguide/tutorials-ecs-ecr-codedeploy.html
# Without braces in a call: openings that are never closed would cost the square of their number.
_PLACEHOLDER: Final = re.compile(r"\{\{(?P<call>[^{}]*)\}\}|\$\{(?P<variable>\w+)\}|<(?P<name>\w+)>")
_CALL: Final = re.compile(r"\s*(?:must_)?env\s+[`\"](?P<variable>\w+)[`\"](?:\s+[`\"](?P<default>[^`\"]*)[`\"])?\s*")
# The keys of what the API prints, and the types that they hold.
_KINDS: Final = {
    "taskDefinition": "AWS::ECS::TaskDefinition",
    "daemonTaskDefinition": "AWS::ECS::DaemonTaskDefinition",
}


def read_task_definition(file: str, settings: Settings) -> Iterator[DocumentImage]:
    """The images of a task definition.

    :param file: the file's path; `-` for standard input.
    :param settings: the values of `--set`.
    :raises UsageError: if it cannot be read, or is not a task definition.
    """
    document = read_document(file)
    key = next((key for key in _KINDS if isinstance(document.value.get(key), dict)), "")
    definition = template_names(document.value[key] if key else document.value)
    if not isinstance(definition.get("ContainerDefinitions"), list):
        raise UsageError(f"{file}: it is not a task definition: it has no list of containerDefinitions")
    for image in CONSUMERS[_KINDS.get(key, "AWS::ECS::TaskDefinition")].named_images(definition):
        path = (*([key] if key else []), *map(_api_name, image.path))
        yield image_at(document.place(path), _filled(image.value, settings), image.use)


def _api_name(part: str | int) -> str | int:
    return part if isinstance(part, int) else f"{part[:1].lower()}{part[1:]}"


def _filled(text: Any, settings: Settings) -> Any:
    """An image's name with its placeholders replaced by values of `--set`, of the environment, or defaults."""
    if not isinstance(text, str):
        return text
    parts: list[Any] = []
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        parts += [text[end : match.start()], _value_of(match, settings)]
        end = match.end()
    return concatenate([*parts, text[end:]])


def _value_of(match: re.Match[str], settings: Settings) -> str | Unknown:
    call = _CALL.fullmatch(match["call"] or "")
    if match["call"] is not None and call is None:
        advice = "Render the file first, such as by ecspresso render taskdef"
        return Unknown(match[0], f"the value of {match[0]}", advice)
    name = call["variable"] if call else match["variable"] or match["name"]
    value = settings.get(name)
    # The environment counts where the tool that fills the file in reads it, too.
    if value is None and match["name"] is None:
        value = os.environ.get(name)
    if value is None and call:
        value = call["default"]
    return Unknown(match[0], f"the variable {name}", f"Pass --set {name}=VALUE") if value is None else value
