"""Terraform's resources that run images: the rows of CloudFormation's types that they stand for.

https://registry.terraform.io/providers/hashicorp/aws/latest/docs and, for awscc, whose resources are CloudFormation's,
https://registry.terraform.io/providers/hashicorp/awscc/latest/docs
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from image_verifier.rules.consumer_types import ConsumerType
from image_verifier.rules.consumers import CONSUMERS

_WORD_STARTS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True)
class TerraformType:
    """A resource of a provider.

    :param consumer: the row that it stands for.
    :param json: attributes that hold JSON.
    :param moved: attributes with another name or place in CloudFormation.
    """

    consumer: ConsumerType
    json: tuple[str, ...] = ()
    moved: Mapping[str, str] = field(default_factory=dict)

    def properties(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The properties of CloudFormation that the attributes stand for.

        :param values: the attributes, with JSON parsed.
        """
        properties: dict[str, Any] = {}
        for name, value in values.items():
            path = self.moved.get(name, _property_name(name)).split(".")
            below = properties
            for part in path[:-1]:
                below = below.setdefault(part, {})
            below[path[-1]] = _renamed(value)
        for path_ in self._paths():
            _unwrap(properties, path_.split("."))
        return properties

    def _paths(self) -> set[str]:
        """The paths that the row reads."""
        rules = (rule.path for image in self.consumer.images for rule in (*image.runtimes, *image.platforms))
        return {*rules, *(path for image in self.consumer.images for path in (image.path, image.system))} - {""}


def attribute_path(path: tuple[str | int, ...]) -> str:
    """The path of a property as Terraform writes it.

    :param path: the property's path.
    """
    parts = (f"[{part}]" if isinstance(part, int) else f".{_attribute_name(part)}" for part in path)
    return "".join(parts).removeprefix(".")


def _property_name(name: str) -> str:
    return "".join(f"{word[:1].upper()}{word[1:]}" for word in name.split("_"))


def _attribute_name(name: str) -> str:
    return _WORD_STARTS.sub("_", name).lower()


def _renamed(value: Any) -> Any:
    if isinstance(value, list):
        return [_renamed(element) for element in value]
    if isinstance(value, Mapping):
        return {_property_name(name): _renamed(its) for name, its in value.items()}
    return value


def _unwrap(value: Any, path: list[str]) -> None:
    """Replace the blocks on a path, which are lists of one mapping, by their mapping."""
    if len(path) < 2:
        return
    name, *rest = path
    if isinstance(value, list):
        for element in value:
            _unwrap(element, rest)
    elif isinstance(value, dict) and name in value:
        below = value[name]
        if isinstance(below, list) and rest[0] != "*":
            value[name] = below[0] if below else {}
        _unwrap(value[name], rest)


def _of_aws(name: str, *json: str, **moved: str) -> TerraformType:
    return TerraformType(CONSUMERS[f"AWS::{name}"], json, moved)


def _of_awscc(row: ConsumerType) -> tuple[str, TerraformType]:
    _, service, resource = row.name.split("::")
    return f"awscc_{service.lower()}_{_attribute_name(resource)}", TerraformType(row)


TERRAFORM_TYPES: Final[Mapping[str, TerraformType]] = {
    "aws_ecs_task_definition": _of_aws("ECS::TaskDefinition", "container_definitions"),
    "aws_ecs_express_gateway_service": _of_aws("ECS::ExpressGatewayService"),
    "aws_lambda_function": _of_aws("Lambda::Function", image_uri="Code.ImageUri"),
    "aws_batch_job_definition": _of_aws(
        "Batch::JobDefinition", "container_properties", "ecs_properties", "node_properties"
    ),
    "aws_apprunner_service": _of_aws("AppRunner::Service"),
    "aws_bedrockagentcore_agent_runtime": _of_aws("BedrockAgentCore::Runtime"),
    "aws_sagemaker_model": _of_aws("SageMaker::Model", container="Containers"),
    "aws_sagemaker_data_quality_job_definition": _of_aws("SageMaker::DataQualityJobDefinition"),
    "aws_sagemaker_image_version": _of_aws("SageMaker::ImageVersion"),
    "aws_codebuild_project": _of_aws("CodeBuild::Project"),
    "aws_emrserverless_application": _of_aws("EMRServerless::Application"),
    "aws_lightsail_container_service_deployment_version": _of_aws(
        "Lightsail::Container", container="ContainerServiceDeployment.Containers"
    ),
    "aws_imagebuilder_container_recipe": _of_aws("ImageBuilder::ContainerRecipe"),
    **dict(_of_awscc(row) for row in CONSUMERS.values() if row.name.startswith("AWS::")),
}
