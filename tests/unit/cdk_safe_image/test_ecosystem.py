"""The constructs under every synthesizer, in pipelines and stages, in every partition, for foreign repositories too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import (
    App,
    CliCredentialsStackSynthesizer,
    DefaultStackSynthesizer,
    DockerImageAssetLocation,
    Environment,
    IStackSynthesizer,
    LegacyStackSynthesizer,
    Stack,
    Stage,
    pipelines,
)
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from aws_cdk.app_staging_synthesizer_alpha import AppStagingSynthesizer
from aws_cdk.aws_s3 import BucketEncryption
from aws_cdk.cx_api import CloudAssembly

from cdk_safe_image import ImageVerification, SafeDockerImageAsset, SafeImages
from tests.unit.cdk_safe_image.app import VERIFICATION, new_app, resources, run_on_fargate, stack_in, strings, the_only

ACCOUNT, OTHER = "111122223333", "444455556666"


def repository_of(assembly: CloudAssembly, stack: str = "Demo") -> str:
    """The verification has the tag that CDK pushes; returns the repository's name on both sides."""
    _, verification = the_only(assembly, VERIFICATION, stack)
    artifact = assembly.get_stack_by_name(stack)
    (image,) = json.loads(Path(assembly.directory, f"{artifact.id}.assets.json").read_text())["dockerImages"].values()
    (destination,) = image["destinations"].values()
    assert verification["Properties"]["ImageTag"] == destination["imageTag"]
    assert destination["repositoryName"] in json.dumps(verification["Properties"]["RepositoryArn"])
    assert destination["repositoryName"] in json.dumps(verification["Properties"]["RepositoryUri"])
    return str(destination["repositoryName"])


@pytest.mark.parametrize(
    ("synthesizer", "repository"),
    [
        (DefaultStackSynthesizer(), f"cdk-hnb659fds-container-assets-{ACCOUNT}-eu-west-1"),
        (DefaultStackSynthesizer(qualifier="mine"), f"cdk-mine-container-assets-{ACCOUNT}-eu-west-1"),
        (DefaultStackSynthesizer(image_assets_repository_name="mine"), "mine"),
        (CliCredentialsStackSynthesizer(), f"cdk-hnb659fds-container-assets-{ACCOUNT}-eu-west-1"),
    ],
)
def test_the_verification_has_the_tag_that_the_synthesizer_pushes(
    docker_folder: str, synthesizer: IStackSynthesizer, repository: str
) -> None:
    app = new_app()
    stack = Stack(app, "Demo", env=Environment(account=ACCOUNT, region="eu-west-1"), synthesizer=synthesizer)
    run_on_fargate(stack, "Web", SafeDockerImageAsset(stack, "Image", directory=docker_folder))
    assembly = app.synth()
    assert repository_of(assembly) == repository
    _, task = the_only(assembly, "AWS::ECS::TaskDefinition")
    name, _ = the_only(assembly, VERIFICATION)
    assert task["Properties"]["ContainerDefinitions"][0]["Image"] == {"Fn::GetAtt": [name, "ImageUri"]}


def test_the_app_staging_synthesizers_repository_is_verified_after_it_was_made(docker_folder: str) -> None:
    staging = AppStagingSynthesizer.default_resources(
        app_id="shop", staging_bucket_encryption=BucketEncryption.S3_MANAGED
    )
    app = App(analytics_reporting=False, default_stack_synthesizer=staging)
    stack = Stack(app, "Demo", env=Environment(account=ACCOUNT, region="eu-west-1"))
    run_on_fargate(stack, "Web", SafeDockerImageAsset(stack, "Image", directory=docker_folder, asset_name="web"))
    assembly = app.synth()
    repository = repository_of(assembly)
    (made,) = resources(assembly, "AWS::ECR::Repository", "StagingStack-shop").values()
    assert made["Properties"]["RepositoryName"] == repository == "shop/web"
    artifact = assembly.get_stack_by_name("Demo")
    assert f"StagingStack-shop-{ACCOUNT}-eu-west-1" in [it.id for it in artifact.dependencies]


@pytest.mark.parametrize("protects", [False, True])
def test_each_image_of_a_stack_is_verified_in_its_own_repository(
    docker_folder: str, tmp_path: Path, protects: bool
) -> None:
    Path(tmp_path, "Dockerfile").write_text("FROM scratch\nLABEL name=worker\n")
    staging = AppStagingSynthesizer.default_resources(
        app_id="shop", staging_bucket_encryption=BucketEncryption.S3_MANAGED
    )
    app = App(analytics_reporting=False, default_stack_synthesizer=staging)
    if protects:
        SafeImages.protect(app)
    stack = Stack(app, "Demo", env=Environment(account=ACCOUNT, region="eu-west-1"))
    asset_class = ecr_assets.DockerImageAsset if protects else SafeDockerImageAsset
    tags = {}
    for name, folder in (("web", docker_folder), ("worker", str(tmp_path))):
        asset = asset_class(stack, name, directory=folder, asset_name=name)
        tags[name] = asset.asset_hash
        ecs.FargateTaskDefinition(stack, f"{name}Task").add_container(
            "app", image=ecs.ContainerImage.from_docker_image_asset(asset)
        )
    verified = {
        (it["Properties"]["ImageTag"], it["Properties"]["LocalImage"]): json.dumps(it["Properties"]["RepositoryArn"])
        for it in resources(app.synth(), VERIFICATION).values()
    }
    assert set(verified) == {(tag, f"cdkasset-{tag}") for tag in tags.values()}
    for name, tag in tags.items():
        assert verified[tag, f"cdkasset-{tag}"].endswith(f'repository/shop/{name}"}}')


class NamesEachImageLatest(DefaultStackSynthesizer):
    def add_docker_image_asset(self, *, source_hash: str, **_more: Any) -> DockerImageAssetLocation:
        return DockerImageAssetLocation(image_uri="", repository_name="shop", image_tag="latest")


@pytest.mark.parametrize(
    ("synthesizer", "tag"),
    [(DefaultStackSynthesizer(docker_tag_prefix="web-"), "web-{}"), (NamesEachImageLatest(), "latest")],
)
def test_the_local_name_is_the_one_that_the_cli_gives_whatever_the_tag_is(
    docker_folder: str, synthesizer: IStackSynthesizer, tag: str
) -> None:
    app = new_app()
    stack = Stack(app, "Demo", env=Environment(account=ACCOUNT, region="eu-west-1"), synthesizer=synthesizer)
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    _, verification = the_only(app.synth(), VERIFICATION)
    assert verification["Properties"]["ImageTag"] == tag.format(image.asset_hash)
    assert verification["Properties"]["LocalImage"] == f"cdkasset-{image.asset_hash}"


def test_the_legacy_synthesizer_works_too(docker_folder: str) -> None:
    app = new_app()
    stack = Stack(app, "Demo", synthesizer=LegacyStackSynthesizer())
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    _, verification = the_only(app.synth(), VERIFICATION)
    assert verification["Properties"]["ImageTag"] == image.asset_hash
    assert "repository/aws-cdk/assets" in json.dumps(verification["Properties"]["RepositoryArn"])


class Shop(Stage):
    def __init__(self, scope: Any, id: str, folder: str, **keywords: Any) -> None:
        super().__init__(scope, id, **keywords)
        stack = Stack(self, "Shop")
        self.image = SafeDockerImageAsset(stack, "Image", directory=folder)
        run_on_fargate(stack, "Web", self.image)


def test_each_environment_of_a_stage_has_its_own_verifier_for_the_same_image(docker_folder: str) -> None:
    app = new_app()
    regions = {"Beta": "us-east-1", "Production": "eu-central-1"}
    stages = {
        name: Shop(app, name, docker_folder, env=Environment(account=ACCOUNT, region=region))
        for name, region in regions.items()
    }
    assembly = app.synth()
    tags = set()
    for name, region in regions.items():
        nested = assembly.get_nested_assembly(f"assembly-{name}")
        stack = f"{name}-Shop"
        assert repository_of(nested, stack).endswith(region)
        tags.add(the_only(nested, VERIFICATION, stack)[1]["Properties"]["ImageTag"])
        assert len(resources(nested, "AWS::Lambda::Function", stack)) == 1
    assert tags == {stage.image.asset_hash for stage in stages.values()}
    assert len(tags) == 1


def test_cdk_pipelines_publish_the_image_before_the_stack_that_verifies_it(docker_folder: str) -> None:
    app = new_app()
    here = Environment(account=ACCOUNT, region="us-east-1")
    stack = Stack(app, "Pipeline", env=here)
    source = pipelines.CodePipelineSource.connection(
        "shop/shop", "main", connection_arn=f"arn:aws:codestar-connections:us-east-1:{ACCOUNT}:connection/1"
    )
    pipeline = pipelines.CodePipeline(
        stack, "Pipeline", synth=pipelines.ShellStep("Synth", input=source, commands=["cdk synth"])
    )
    stage = Shop(app, "Production", docker_folder, env=here)
    pipeline.add_stage(stage)
    assembly = app.synth()
    _, made = the_only(assembly, "AWS::CodePipeline::Pipeline", "Pipeline")
    stages = {it["Name"]: it["Actions"] for it in made["Properties"]["Stages"]}
    names = list(stages)
    assert names.index("Assets") < names.index("Production")
    assert {action["Name"] for action in stages["Assets"]} == {"Image", "CdkSafeImage_Verifier_Function_Code"}
    published = " ".join(
        text for it in resources(assembly, "AWS::CodeBuild::Project", "Pipeline").values() for text in strings(it)
    )
    assert stage.image.asset_hash in published


@pytest.mark.parametrize(
    ("region", "partition", "suffix"),
    [
        ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
        ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
        ("eu-west-1", "aws", "amazonaws.com"),
    ],
)
def test_hosts_and_arns_belong_to_the_partition(docker_folder: str, region: str, partition: str, suffix: str) -> None:
    app = new_app()
    stack = stack_in(app, region=region)
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    lambda_.DockerImageFunction(stack, "Function", code=image.docker_image_code())
    assembly = app.synth()
    template = json.dumps(assembly.get_stack_by_name("Demo").template)
    _, verification = the_only(assembly, VERIFICATION)
    arn = "".join(_known(verification["Properties"]["RepositoryArn"], partition, suffix))
    uri = "".join(_known(verification["Properties"]["RepositoryUri"], partition, suffix))
    name = f"cdk-hnb659fds-container-assets-{ACCOUNT}-{region}"
    assert arn == f"arn:{partition}:ecr:{region}:{ACCOUNT}:repository/{name}"
    assert uri == f"{ACCOUNT}.dkr.ecr.{region}.{suffix}/{name}"
    assert "arn:aws:" not in template
    assert "amazonaws.com/" not in template


def _known(value: Any, partition: str, suffix: str) -> list[str]:
    """A joined value, with the values of the pseudo parameters in that partition."""
    if isinstance(value, str):
        return [value.replace("${AWS::Partition}", partition).replace("${AWS::URLSuffix}", suffix)]
    if "Fn::Sub" in value:
        return _known(value["Fn::Sub"], partition, suffix)
    if "Ref" in value:
        return [{"AWS::Partition": partition, "AWS::URLSuffix": suffix}[value["Ref"]]]
    return [text for part in value["Fn::Join"][1] for text in _known(part, partition, suffix)]


def test_another_accounts_repository_is_read_under_its_own_arn() -> None:
    app = new_app()
    stack = stack_in(app, region="us-east-1")
    arn = f"arn:aws:ecr:us-east-1:{OTHER}:repository/shop"
    repository = ecr.Repository.from_repository_attributes(
        stack, "Repository", repository_arn=arn, repository_name="shop"
    )
    image = ImageVerification(stack, "Verified", repository=repository, tag="v1")
    run_on_fargate(stack, "Web", image)
    assembly = app.synth()
    _, verification = the_only(assembly, VERIFICATION)
    assert verification["Properties"]["RepositoryArn"] == arn
    policies = resources(assembly, "AWS::IAM::Policy")
    (reads,) = [it for name, it in policies.items() if name.startswith("CdkSafeImagePermissions")]
    statement, *_ = reads["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Resource"] == arn


def test_a_repository_of_the_app_in_another_account_needs_a_physical_name() -> None:
    """CDK cannot reference, across accounts, a name that CloudFormation only generates at deploy."""
    app = new_app()
    far = Stack(app, "Far", env=Environment(account=OTHER, region="us-east-1"))
    repository = ecr.Repository(far, "Repository", repository_name="shop")
    stack = stack_in(app, region="us-east-1")
    ImageVerification(stack, "Verified", repository=repository, tag="v1")
    assembly = app.synth()
    _, verification = the_only(assembly, VERIFICATION)
    assert f":ecr:us-east-1:{OTHER}:repository/shop" in json.dumps(verification["Properties"]["RepositoryArn"])


def test_hotswap_and_watch_see_a_plain_tag_when_verification_is_off(docker_folder: str) -> None:
    """Hotswap evaluates the template itself, and knows no attribute of a custom resource that it does not deploy."""
    app = new_app(**{"cdk-safe-image:verify": "off"})
    stack = stack_in(app, region="us-east-1")
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    run_on_fargate(stack, "Web", image)
    lambda_.DockerImageFunction(stack, "Function", code=image.docker_image_code())
    assembly = app.synth()
    template = assembly.get_stack_by_name("Demo").template
    assert not resources(assembly, VERIFICATION)
    _, task = the_only(assembly, "AWS::ECS::TaskDefinition")
    _, function = the_only(assembly, "AWS::Lambda::Function")
    for uri in (task["Properties"]["ContainerDefinitions"][0]["Image"], function["Properties"]["Code"]["ImageUri"]):
        assert f":{image.asset_hash}" in json.dumps(uri)
        assert "GetAtt" not in json.dumps(uri)
    assert "CdkSafeImage" not in json.dumps(template)
