"""The consumers: CloudFormation's types with a property that names an image, as data.

Each row says where the images stand, on which runtime they run, and what says the platform, in CloudFormation's names.
The constructs and `check` read the same rows. A new type is one row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .consumer_types import ConsumerType, ImageProperty, Rule

# How ECS calls the kinds of its hosts, in RequiresCompatibilities and as a task's launch type.
LAUNCH_TYPES: Final[Mapping[str, str]] = {
    "FARGATE": "fargate",
    "EC2": "ecs-ec2",
    "EXTERNAL": "ecs-anywhere",
    "MANAGED_INSTANCES": "ecs-managed-instances",
}
# How ECS, Batch and Lambda call the architectures, in capitals.
ARCHITECTURES: Final[Mapping[str, str]] = {"X86_64": "linux/amd64", "ARM64": "linux/arm64"}
_FARGATE: Final = {"FARGATE": "linux/amd64"}
_BATCH: Final = (Rule(otherwise="batch"),)
_EKS: Final = (Rule(otherwise="eks"),)
_SAGEMAKER: Final = (Rule(otherwise="sagemaker"),)
_AGENTCORE: Final = (Rule(otherwise="agentcore"),)
_LAMBDA: Final = (Rule(otherwise="lambda"),)
_FUNCTION_PLATFORM: Final = (
    Rule(
        "Architectures.*",
        ARCHITECTURES,
        "its architecture",
        otherwise="linux/amd64",
        other_words="the default of a function without architecture",
    ),
)
# https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-compute-types.html
_BUILD_TYPES: Final = {
    **dict.fromkeys(("LINUX_CONTAINER", "LINUX_GPU_CONTAINER", "LINUX_LAMBDA_CONTAINER"), "linux/amd64"),
    **dict.fromkeys(("ARM_CONTAINER", "ARM_LAMBDA_CONTAINER"), "linux/arm64"),
    **dict.fromkeys(
        ("WINDOWS_CONTAINER", "WINDOWS_SERVER_2019_CONTAINER", "WINDOWS_SERVER_2022_CONTAINER"), "windows/amd64"
    ),
}


def _fargate_default(property_: str, words: str) -> Rule:
    return Rule(property_, _FARGATE, f"the default of {words} without RuntimePlatform")


def _batch_job(path: str, runtime_platform: str) -> ImageProperty:
    # A job with several containers is one task, whose RuntimePlatform applies to all of them.
    # https://docs.aws.amazon.com/batch/latest/APIReference/API_EcsProperties.html and
    # https://docs.aws.amazon.com/batch/latest/APIReference/API_RuntimePlatform.html
    return ImageProperty(
        path,
        _BATCH,
        (
            Rule(f"{runtime_platform}.CpuArchitecture", ARCHITECTURES, "its container's RuntimePlatform"),
            _fargate_default("PlatformCapabilities.*", "a Fargate job"),
        ),
        system=f"{runtime_platform}.OperatingSystemFamily",
    )


def _nodes(properties: str) -> str:
    # Jobs of several nodes do not run on Fargate, and nothing in them says a platform.
    return f"NodeProperties.NodeRangeProperties.*.{properties}"


def _on_sagemaker(name: str, *paths: str) -> ConsumerType:
    # Instances of both architectures exist, and the resources do not say on which they run.
    return ConsumerType(name, tuple(ImageProperty(path, _SAGEMAKER) for path in paths))


def _elsewhere(name: str, *paths: str, provided: tuple[str, ...] = ()) -> ConsumerType:
    """A type whose service pulls with an unknown engine."""
    return ConsumerType(name, tuple(ImageProperty(path, provided=provided) for path in paths))


_ROWS: Final = (
    ConsumerType(
        "AWS::ECS::TaskDefinition",
        (
            ImageProperty(
                "ContainerDefinitions.*.Image",
                runtimes=(
                    Rule("RequiresCompatibilities.*", LAUNCH_TYPES),
                    # Fargate requires awsvpc, which may also be EC2:
                    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
                    Rule("NetworkMode", dict.fromkeys(("BRIDGE", "HOST", "NONE"), "ecs-ec2"), otherwise="ecs-ec2"),
                ),
                platforms=(
                    Rule("RuntimePlatform.CpuArchitecture", ARCHITECTURES, "its RuntimePlatform"),
                    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
                    _fargate_default("RequiresCompatibilities.*", "a task definition"),
                ),
                system="RuntimePlatform.OperatingSystemFamily",
            ),
        ),
    ),
    # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateDaemon.html: on Managed Instances alone.
    ConsumerType(
        "AWS::ECS::DaemonTaskDefinition",
        (ImageProperty("ContainerDefinitions.*.Image", (Rule(otherwise="ecs-managed-instances"),)),),
    ),
    # Always on Fargate. Where nothing says the architecture it is x86_64, unless ECS finds that the image is for the
    # other one: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateExpressGatewayService.html and
    # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RuntimePlatformOverride.html
    ConsumerType(
        "AWS::ECS::ExpressGatewayService",
        (
            ImageProperty(
                "PrimaryContainer.Image",
                (Rule(otherwise="fargate"),),
                (Rule("CpuArchitecture", ARCHITECTURES, "its CpuArchitecture"),),
            ),
        ),
    ),
    ConsumerType(
        "AWS::Lambda::Function",
        (ImageProperty("Code.ImageUri", _LAMBDA, _FUNCTION_PLATFORM),),
        # https://docs.aws.amazon.com/lambda/latest/dg/images-create.html
        own_region=True,
        condition=("PackageType", "Image"),
    ),
    ConsumerType(
        "AWS::Serverless::Function",
        (ImageProperty("ImageUri", _LAMBDA, _FUNCTION_PLATFORM),),
        own_region=True,
        condition=("PackageType", "Image"),
    ),
    ConsumerType(
        "AWS::Batch::JobDefinition",
        (
            _batch_job("ContainerProperties.Image", "ContainerProperties.RuntimePlatform"),
            _batch_job(
                "EcsProperties.TaskProperties.*.Containers.*.Image", "EcsProperties.TaskProperties.*.RuntimePlatform"
            ),
            ImageProperty("EksProperties.PodProperties.Containers.*.Image", _EKS),
            ImageProperty("EksProperties.PodProperties.InitContainers.*.Image", _EKS),
            ImageProperty(_nodes("Container.Image"), _BATCH),
            ImageProperty(_nodes("EcsProperties.TaskProperties.*.Containers.*.Image"), _BATCH),
            ImageProperty(_nodes("EksProperties.PodProperties.Containers.*.Image"), _EKS),
            ImageProperty(_nodes("EksProperties.PodProperties.InitContainers.*.Image"), _EKS),
        ),
    ),
    # No source says on which architectures it runs; the verification itself warns about arm64.
    ConsumerType(
        "AWS::AppRunner::Service",
        (ImageProperty("SourceConfiguration.ImageRepository.ImageIdentifier", (Rule(otherwise="app-runner"),)),),
    ),
    # Its micro-VMs are arm64; the instances of a capacity provider may have either architecture.
    # https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/runtime-service-contract.html
    ConsumerType(
        "AWS::BedrockAgentCore::Runtime",
        (
            ImageProperty(
                "AgentRuntimeArtifact.ContainerConfiguration.ContainerUri",
                _AGENTCORE,
                (
                    Rule(
                        "CapacityProviderConfiguration",
                        otherwise="linux/arm64",
                        other_words="AgentCore's micro-VMs are arm64",
                    ),
                ),
            ),
        ),
    ),
    ConsumerType(
        "AWS::BedrockAgentCore::Harness",
        (
            ImageProperty(
                "EnvironmentArtifact.ContainerConfiguration.ContainerUri",
                _AGENTCORE,
                (Rule(otherwise="linux/arm64", other_words="AgentCore's micro-VMs are arm64"),),
            ),
        ),
    ),
    _on_sagemaker("AWS::SageMaker::Model", "PrimaryContainer.Image", "Containers.*.Image"),
    _on_sagemaker(
        "AWS::SageMaker::InferenceComponent", "Specification.Container.Image", "Specifications.*.Container.Image"
    ),
    _on_sagemaker(
        "AWS::SageMaker::ModelPackage",
        "InferenceSpecification.Containers.*.Image",
        "AdditionalInferenceSpecifications.*.Containers.*.Image",
        "AdditionalInferenceSpecificationsToAdd.*.Containers.*.Image",
    ),
    _on_sagemaker(
        "AWS::SageMaker::Algorithm", "TrainingSpecification.TrainingImage", "InferenceSpecification.Containers.*.Image"
    ),
    _on_sagemaker("AWS::SageMaker::ProcessingJob", "AppSpecification.ImageUri"),
    _on_sagemaker("AWS::SageMaker::DataQualityJobDefinition", "DataQualityAppSpecification.ImageUri"),
    _on_sagemaker("AWS::SageMaker::ModelBiasJobDefinition", "ModelBiasAppSpecification.ImageUri"),
    _on_sagemaker("AWS::SageMaker::ModelExplainabilityJobDefinition", "ModelExplainabilityAppSpecification.ImageUri"),
    _on_sagemaker("AWS::SageMaker::ModelQualityJobDefinition", "ModelQualityAppSpecification.ImageUri"),
    _on_sagemaker(
        "AWS::SageMaker::MonitoringSchedule",
        "MonitoringScheduleConfig.MonitoringJobDefinition.MonitoringAppSpecification.ImageUri",
    ),
    # CDK applies these to a cluster, whose nodes may have either architecture.
    ConsumerType("Custom::AWSCDK-EKS-KubernetesResource", (ImageProperty("Manifest", _EKS, holds_manifests=True),)),
    ConsumerType("Custom::AWSCDK-EKS-HelmChart", (ImageProperty("Values", _EKS, holds_manifests=True),)),
    # Studio runs it, and no source says what Studio refuses.
    _elsewhere("AWS::SageMaker::ImageVersion", "BaseImage"),
    ConsumerType(
        "AWS::CodeBuild::Project",
        (
            ImageProperty(
                "Environment.Image",
                platforms=(Rule("Environment.Type", _BUILD_TYPES, "its environment's type"),),
                provided=("aws/codebuild/",),
            ),
        ),
    ),
    _elsewhere("AWS::ElasticBeanstalk::ApplicationVersion", "BuildConfiguration.Image", provided=("aws/codebuild/",)),
    ConsumerType(
        "AWS::EMRServerless::Application",
        tuple(
            ImageProperty(
                path,
                platforms=(
                    # https://docs.aws.amazon.com/emr-serverless/latest/APIReference/API_CreateApplication.html
                    Rule(
                        "Architecture",
                        ARCHITECTURES,
                        "its Architecture",
                        otherwise="linux/amd64",
                        other_words="the default of an application without Architecture",
                    ),
                ),
            )
            for path in ("ImageConfiguration.ImageUri", "WorkerTypeSpecifications.*.ImageConfiguration.ImageUri")
        ),
    ),
    _elsewhere(
        "AWS::GameLift::ContainerGroupDefinition",
        "GameServerContainerDefinition.ImageUri",
        "SupportContainerDefinitions.*.ImageUri",
    ),
    _elsewhere(
        "AWS::CleanRoomsML::ConfiguredModelAlgorithm",
        "TrainingContainerConfig.ImageUri",
        "InferenceContainerConfig.ImageUri",
    ),
    _elsewhere("AWS::Omics::Workflow", "ContainerRegistryMap.ImageMappings.*.DestinationImage"),
    _elsewhere("AWS::Omics::WorkflowVersion", "ContainerRegistryMap.ImageMappings.*.DestinationImage"),
    _elsewhere("AWS::IoTSiteWise::Task", "TaskConfiguration.ContainerTaskConfiguration.EcrUri"),
    _elsewhere("AWS::IoTAnalytics::Dataset", "Actions.*.ContainerAction.Image", provided=("arn:",)),
    # An image that was pushed to Lightsail itself begins with a colon.
    _elsewhere("AWS::Lightsail::Container", "ContainerServiceDeployment.Containers.*.Image", provided=(":",)),
    # An image of Image Builder's own is an ARN.
    _elsewhere("AWS::ImageBuilder::ContainerRecipe", "ParentImage", provided=("arn:",)),
)
CONSUMERS: Final[Mapping[str, ConsumerType]] = {row.name: row for row in _ROWS}
