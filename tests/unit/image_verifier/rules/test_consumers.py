"""The table of consumers has every type of CloudFormation that names an image, and reads how each runs it."""

from __future__ import annotations

import gzip
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aws_cdk
import pytest
from image_verifier.rules.consumer_types import Use
from image_verifier.rules.consumers import CONSUMERS
from image_verifier.rules.runtimes import RUNTIMES

# How CloudFormation calls a property that names an image.
IMAGE = re.compile(r"(Image|ImageUri|ImageIdentifier|ContainerUri|EcrUri)(\.\*)?$")
# Properties of that name whose image no resource runs, each with the reason.
NOT_RUN = {
    "AWS::ImageBuilder::ContainerRecipe InstanceConfiguration.Image": "an AMI",
    "AWS::ImageBuilder::ImageRecipe ParentImage": "an AMI",
    "AWS::IoTWireless::FuotaTask FirmwareUpdateImage": "firmware in S3",
    "AWS::Omics::Workflow ContainerRegistryMap.ImageMappings.*.SourceImage": "replaced by the DestinationImage",
    "AWS::Omics::WorkflowVersion ContainerRegistryMap.ImageMappings.*.SourceImage": "replaced by the DestinationImage",
    "AWS::SageMaker::InferenceComponent Specification.Container.DeployedImage.ResolvedImage": "an output",
    "AWS::SageMaker::InferenceComponent Specification.Container.DeployedImage.SpecifiedImage": "an output",
    "AWS::SageMaker::ModelCard Content.ModelOverview.InferenceEnvironment.ContainerImage.*": "a description",
    "AWS::SageMaker::ModelCard Content.ModelPackageDetails.InferenceSpecification.Containers.*.Image": "a description",
    "AWS::SageMaker::ModelCard Content.TrainingDetails.TrainingJobDetails.TrainingEnvironment.ContainerImage.*": (
        "a description"
    ),
}
# These two types are not CloudFormation's own: CDK's EKS module makes them.
CUSTOM = "Custom::"


def l1_classes() -> Mapping[str, Any]:
    """The types of the installed aws-cdk-lib, by their names in jsii."""
    assert aws_cdk.__file__
    (archive,) = Path(aws_cdk.__file__).parent.glob("_jsii/*.tgz")
    with tarfile.open(archive) as files:
        member = next(member for member in files if member.name == "package/.jsii.gz")
        text = files.extractfile(member)
        assert text
        types: Mapping[str, Any] = json.loads(gzip.decompress(text.read()))["types"]
    return types


def parts(type_: Mapping[str, Any], key: str) -> Iterator[str]:
    """The names of the structures or the primitives that a jsii type is made of."""
    if key in type_:
        yield type_[key]
    for one in type_.get("union", {}).get("types", ()):
        yield from parts(one, key)
    if "collection" in type_:
        yield from parts(type_["collection"]["elementtype"], key)


def properties(types: Mapping[str, Any], name: str, path: str = "", above: tuple[str, ...] = ()) -> Iterator[str]:
    """The paths of all properties with a string that a structure has."""
    if name in above or types.get(name, {}).get("kind") != "interface" or not name.startswith("aws-cdk-lib."):
        return
    for it in types[name].get("properties", ()):
        many = ".*" if "collection" in json.dumps(it["type"]) else ""
        here = f"{path}{it['name'][0].upper()}{it['name'][1:]}{many}"
        if "string" in parts(it["type"], "primitive"):
            yield here
        for below in parts(it["type"], "fqn"):
            yield from properties(types, below, f"{here}.", (*above, name))


def image_properties() -> set[str]:
    """The properties of the installed aws-cdk-lib that name an image, each with its type."""
    types = l1_classes()
    return {
        f"{its['docs']['custom']['cloudformationResource']} {path}"
        for name, its in types.items()
        if "cloudformationResource" in its.get("docs", {}).get("custom", {}) and f"{name}Props" in types
        for path in properties(types, f"{name}Props")
        if IMAGE.search(path)
    }


def rows() -> set[str]:
    """The properties of the table, in the same form."""
    return {
        f"{row.name} {image.path}"
        for row in CONSUMERS.values()
        for image in row.images
        if not row.name.startswith(CUSTOM)
    }


def test_every_property_of_cloudformation_that_names_an_image_has_a_row() -> None:
    assert image_properties() - set(NOT_RUN) <= rows()
    assert len(CONSUMERS) == 33


@pytest.mark.skipif(find_spec("aws_cdk.aws_bedrockagentcore") is None, reason="this aws-cdk-lib lacks newer types")
def test_every_row_is_a_property_of_cloudformation() -> None:
    assert rows() | set(NOT_RUN) <= image_properties()


def test_every_row_names_known_runtimes_and_platforms() -> None:
    for row in CONSUMERS.values():
        for image in row.images:
            runtimes = {name for rule in image.runtimes for name in (*rule.values.values(), rule.otherwise)} - {""}
            assert runtimes <= set(RUNTIMES)
            platforms = {name for rule in image.platforms for name in (*rule.values.values(), rule.otherwise)} - {""}
            assert platforms <= {"linux/amd64", "linux/arm64", "windows/amd64"}


ARM_TASK = {"CpuArchitecture": "ARM64"}
POD = {"PodProperties": {"Containers": [{"Image": "a"}], "InitContainers": [{"Image": "b"}]}}
USES: list[tuple[str, dict[str, Any], Use]] = [
    ("ECS::TaskDefinition", {"RequiresCompatibilities": ["EXTERNAL"]}, Use(("ecs-anywhere",))),
    ("ECS::TaskDefinition", {"RequiresCompatibilities": ["MANAGED_INSTANCES"]}, Use(("ecs-managed-instances",))),
    (
        "ECS::TaskDefinition",
        {"RequiresCompatibilities": ["EC2", "FARGATE"]},
        Use(("ecs-ec2", "fargate"), "linux/amd64", "the default of a task definition without RuntimePlatform"),
    ),
    (
        "ECS::TaskDefinition",
        {"RequiresCompatibilities": ["FARGATE"], "RuntimePlatform": ARM_TASK},
        Use(("fargate",), "linux/arm64", "its RuntimePlatform"),
    ),
    # Only the deploy knows the architecture.
    (
        "ECS::TaskDefinition",
        {"RequiresCompatibilities": ["FARGATE"], "RuntimePlatform": {"CpuArchitecture": {"Ref": "Architecture"}}},
        Use(("fargate",)),
    ),
    (
        "ECS::TaskDefinition",
        {
            "RequiresCompatibilities": ["FARGATE"],
            "RuntimePlatform": {"CpuArchitecture": "X86_64", "OperatingSystemFamily": "WINDOWS_SERVER_2022_CORE"},
        },
        Use(("fargate",), "windows/amd64", "its RuntimePlatform"),
    ),
    ("ECS::TaskDefinition", {}, Use(("ecs-ec2",))),
    ("ECS::TaskDefinition", {"NetworkMode": "awsvpc"}, Use()),
    ("ECS::DaemonTaskDefinition", {}, Use(("ecs-managed-instances",))),
    ("ECS::ExpressGatewayService", {}, Use(("fargate",))),
    (
        "ECS::ExpressGatewayService",
        {"CpuArchitecture": "ARM64"},
        Use(("fargate",), "linux/arm64", "its CpuArchitecture"),
    ),
    ("Lambda::Function", {"Architectures": ["arm64"]}, Use(("lambda",), "linux/arm64", "its architecture")),
    ("Batch::JobDefinition", {"EksProperties": POD}, Use(("eks",))),
    (
        "Batch::JobDefinition",
        {"NodeProperties": {"NodeRangeProperties": [{"Container": {"Image": "a"}}]}},
        Use(("batch",)),
    ),
    (
        "Batch::JobDefinition",
        {"NodeProperties": {"NodeRangeProperties": [{"EksProperties": POD}]}},
        Use(("eks",)),
    ),
    (
        "Batch::JobDefinition",
        {"PlatformCapabilities": ["FARGATE"], "ContainerProperties": {"Image": "a", "RuntimePlatform": ARM_TASK}},
        Use(("batch",), "linux/arm64", "its container's RuntimePlatform"),
    ),
    (
        "BedrockAgentCore::Runtime",
        {},
        Use(("agentcore",), "linux/arm64", "AgentCore's micro-VMs are arm64"),
    ),
    ("BedrockAgentCore::Runtime", {"CapacityProviderConfiguration": {"CapacityProviderArn": "a"}}, Use(("agentcore",))),
    (
        "CodeBuild::Project",
        {"Environment": {"Type": "ARM_CONTAINER", "Image": "a"}},
        Use((), "linux/arm64", "its environment's type"),
    ),
    ("SageMaker::ProcessingJob", {"AppSpecification": {"ImageUri": "a"}}, Use(("sagemaker",))),
]


@pytest.mark.parametrize(("name", "properties_", "use"), USES)
def test_a_consumer_says_its_runtimes_and_its_platform(name: str, properties_: dict[str, Any], use: Use) -> None:
    assert CONSUMERS[f"AWS::{name}"].use(properties_) == use


def test_each_image_of_a_job_has_its_own_runtime_and_place() -> None:
    range_ = [{"Container": {"Image": "one"}}, {"EksProperties": POD}]
    images = CONSUMERS["AWS::Batch::JobDefinition"].named_images({"NodeProperties": {"NodeRangeProperties": range_}})
    nodes = ("NodeProperties", "NodeRangeProperties")
    pod = (*nodes, 1, "EksProperties", "PodProperties")
    assert [(image.path, image.value, image.use.runs_on) for image in images] == [
        ((*nodes, 0, "Container", "Image"), "one", ("batch",)),
        ((*pod, "Containers", 0, "Image"), "a", ("eks",)),
        ((*pod, "InitContainers", 0, "Image"), "b", ("eks",)),
    ]


def test_the_images_of_both_branches_of_a_condition_are_named() -> None:
    proxy = {"Fn::If": ["IsProd", {"Image": "proxy"}, {"Ref": "AWS::NoValue"}]}
    containers = {"Fn::If": ["IsProd", [{"Image": "a"}, proxy], [{"Image": "b"}]]}
    images = CONSUMERS["AWS::ECS::TaskDefinition"].named_images({"ContainerDefinitions": containers})
    assert [image.value for image in images] == ["a", "proxy", "b"]
