"""SafeDockerImageAsset: a DockerImageAsset with a pinned build and a verification."""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, CfnOutput, Size, Stack
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk.cx_api import CloudAssembly
from image_verifier.rules.runtimes import RUNTIMES

from cdk_safe_image import Compression, Gate, ImagePolicy, Pin, RunsOn, SafeDockerImageAsset, SafeImages
from tests.unit.cdk_safe_image.app import (
    TASK,
    VERIFICATION,
    messages_of,
    new_app,
    resources,
    run_on_fargate,
    stack_in,
    the_only,
)

OUTPUTS = "type=docker,attestation-inline=false,oci-mediatypes=true"
SCHEMA_2 = "type=docker,attestation-inline=false,oci-mediatypes=false,compression=gzip,force-compression=true"
GZIP = f"{OUTPUTS},compression=gzip,force-compression=true"
ZSTD = f"{OUTPUTS},compression=zstd,force-compression=true"


# Keywords that the oldest supported aws-cdk-lib does not have.
NEWER = {"build_contexts"}


def made(folder: str, app: App | None = None, **keywords: Any) -> SafeDockerImageAsset:
    return SafeDockerImageAsset(stack_in(app or new_app()), "Image", directory=folder, **keywords)


def tag(folder: str, **keywords: Any) -> str:
    return made(folder, **keywords).asset_hash


def build(assembly: CloudAssembly) -> dict[str, Any]:
    """The arguments for `docker build`."""
    manifest = json.loads(Path(assembly.directory, "Demo.assets.json").read_text())
    (image,) = manifest["dockerImages"].values()
    source: dict[str, Any] = image["source"]
    return source


def built(folder: str, **keywords: Any) -> dict[str, Any]:
    app = new_app()
    made(folder, app, **keywords)
    return build(app.synth())


def test_it_is_a_docker_image_asset(docker_folder: str) -> None:
    app = new_app()
    image = made(docker_folder, app)
    assert isinstance(image, ecr_assets.DockerImageAsset)
    role = iam.Role(Stack.of(image), "Role", assumed_by=iam.AccountRootPrincipal())
    image.repository.grant_pull(role)
    assert [name for name in resources(app.synth(), "AWS::IAM::Policy") if name.startswith("Role")]


def test_the_asset_accepts_every_keyword_of_docker_image_asset() -> None:
    theirs = set(inspect.signature(ecr_assets.DockerImageAsset.__init__).parameters)
    ours = set(inspect.signature(SafeDockerImageAsset.__init__).parameters)
    policy = set(inspect.signature(ImagePolicy.defaults).parameters) - {"scope", "platform"}
    assert ours - theirs - NEWER == {*policy, "compression", "source_date_epoch"}
    assert theirs <= ours


def test_every_keyword_reaches_the_build(docker_folder: str) -> None:
    source = built(
        docker_folder,
        asset_name="name",
        build_args={"A": "1"},
        build_secrets={"s": "src=file"},
        build_ssh="default",
        cache_disabled=True,
        cache_from=[ecr_assets.DockerCacheOption(type="registry", params={"ref": "x"})],
        cache_to=ecr_assets.DockerCacheOption(type="inline"),
        display_name="shown",
        file="Other.dockerfile",
        network_mode=ecr_assets.NetworkMode.HOST,
        platform=ecr_assets.Platform.LINUX_ARM64,
        target="stage",
    )
    directory = source.pop("directory")
    assert directory.startswith("asset.")
    assert source == {
        "dockerBuildArgs": {"A": "1"},
        "dockerBuildSecrets": {"s": "src=file"},
        "dockerBuildSsh": "default",
        "dockerBuildTarget": "stage",
        "dockerFile": "Other.dockerfile",
        "networkMode": "host",
        "platform": "linux/arm64",
        "dockerOutputs": [OUTPUTS],
        "cacheFrom": [{"type": "registry", "params": {"ref": "x"}}],
        "cacheTo": {"type": "inline"},
        "cacheDisabled": True,
    }


def test_build_contexts_reach_the_build_if_aws_cdk_lib_has_them(docker_folder: str) -> None:
    contexts = {"base": "docker-image://alpine"}
    if set(inspect.signature(ecr_assets.DockerImageAsset.__init__).parameters) >= NEWER:
        assert built(docker_folder, build_contexts=contexts)["dockerBuildContexts"] == contexts
    else:
        with pytest.raises(TypeError, match="build_contexts"):
            built(docker_folder, build_contexts=contexts)


def test_the_platform_is_amd64_by_default(docker_folder: str) -> None:
    assert built(docker_folder)["platform"] == "linux/amd64"


@pytest.mark.parametrize(
    ("keywords", "outputs"),
    [
        ({}, [OUTPUTS]),
        ({"runs_on": "ecs-ec2"}, [OUTPUTS]),
        ({"runs_on": RunsOn.LAMBDA}, [GZIP]),
        ({"runs_on": ["fargate", "lambda"]}, [GZIP]),
        ({"runs_on": ["sagemaker"]}, [SCHEMA_2]),
        ({"runs_on": ["sagemaker", "lambda"]}, [SCHEMA_2]),
        ({"runs_on": ["lambda", "sagemaker"]}, [SCHEMA_2]),
        ({"outputs": ["type=docker,attestation-inline=false"]}, ["type=docker,attestation-inline=false"]),
        ({"outputs": []}, None),
        ({"compression": "gzip"}, [GZIP]),
        ({"compression": Compression.ZSTD}, [ZSTD]),
        ({"compression": "zstd", "runs_on": ["fargate", "lambda"]}, [ZSTD]),
        ({"compression": "as-built"}, [OUTPUTS]),
        ({"compression": Compression.AS_BUILT, "runs_on": "lambda"}, [OUTPUTS]),
        ({"compression": "gzip", "runs_on": "sagemaker"}, [SCHEMA_2]),
    ],
)
def test_the_build_has_no_attestation_and_media_types_that_the_runtime_knows(
    docker_folder: str, keywords: dict[str, Any], outputs: list[str] | None
) -> None:
    assert built(docker_folder, **keywords).get("dockerOutputs") == outputs


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CDK_DOCKER", "podman"),
        ("CDK_DOCKER", "/usr/bin/podman"),
        ("CDK_DOCKER", "podman.exe"),
        ("DOCKER_BUILDKIT", "0"),
    ],
)
def test_a_builder_without_outputs_gets_none_and_makes_the_same_tag(
    docker_folder: str, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    elsewhere = tag(docker_folder)
    monkeypatch.setenv(name, value)
    assert "dockerOutputs" not in built(docker_folder)
    assert tag(docker_folder) == elsewhere
    assert built(docker_folder, outputs=["type=tar"])["dockerOutputs"] == ["type=tar"]


@pytest.mark.parametrize("docker", ["finch", "/usr/local/bin/finch", "nerdctl", "docker"])
def test_a_builder_that_passes_outputs_to_buildkit_gets_them(
    docker_folder: str, monkeypatch: pytest.MonkeyPatch, docker: str
) -> None:
    monkeypatch.setenv("CDK_DOCKER", docker)
    assert built(docker_folder, compression="zstd")["dockerOutputs"] == [ZSTD]


def test_the_time_of_the_build_is_a_build_argument(docker_folder: str) -> None:
    source = built(docker_folder, source_date_epoch=1704067200, build_args={"A": "1"})
    assert source["dockerBuildArgs"] == {"A": "1", "SOURCE_DATE_EPOCH": "1704067200"}
    assert "dockerBuildArgs" not in built(docker_folder)


@pytest.mark.parametrize(
    ("docker", "keywords", "warned"),
    [
        ("podman", {"compression": "zstd"}, ["compression-not-passed"]),
        ("podman", {"compression": "as-built"}, []),
        ("podman", {}, []),
        ("docker", {"compression": "zstd", "runs_on": "lambda"}, ["compression-doubted"]),
        ("docker", {"compression": "gzip", "runs_on": "lambda"}, []),
        ("docker", {"compression": "zstd"}, []),
    ],
)
def test_an_unconfirmed_compression_is_a_warning(
    docker_folder: str, monkeypatch: pytest.MonkeyPatch, docker: str, keywords: dict[str, Any], warned: list[str]
) -> None:
    monkeypatch.setenv("CDK_DOCKER", docker)
    app = new_app()
    made(docker_folder, app, **keywords)
    warnings = messages_of(app.synth(), "warning")
    assert len(warnings) == len(warned)
    assert all(f"cdk-safe-image:{name}" in text for name, text in zip(warned, warnings, strict=True))


def test_the_tag_differs_from_that_of_docker_image_asset(docker_folder: str) -> None:
    """So the deploy never reuses a tag that an earlier build left on an attestation."""
    bare = ecr_assets.DockerImageAsset(
        stack_in(new_app()),
        "Image",
        directory=docker_folder,
        platform=ecr_assets.Platform.LINUX_AMD64,
        outputs=[OUTPUTS],
    )
    assert tag(docker_folder) != bare.asset_hash


def test_the_tag_depends_on_the_build_options(docker_folder: str) -> None:
    tags = [
        tag(docker_folder),
        tag(docker_folder, runs_on="lambda"),
        tag(docker_folder, outputs=[]),
        tag(docker_folder, outputs=["type=docker"]),
        tag(docker_folder, extra_hash="mine"),
        tag(docker_folder, extra_hash="yours"),
        tag(docker_folder, platform=ecr_assets.Platform.LINUX_ARM64),
        tag(docker_folder, build_args={"A": "1"}),
        tag(docker_folder, compression="zstd"),
        tag(docker_folder, source_date_epoch=0),
        tag(docker_folder, source_date_epoch=1),
    ]
    assert len(set(tags)) == len(tags)


def test_the_tag_depends_on_nothing_that_does_not_change_the_image(docker_folder: str) -> None:
    asked = {"min_size": Size.mebibytes(1), "pin": Pin.TAG, "gate": Gate.IMAGE, "runs_on": "ecs-ec2"}
    assert tag(docker_folder, compression="as-built") == tag(docker_folder)
    assert tag(docker_folder, compression="gzip", runs_on="lambda") == tag(docker_folder, runs_on="lambda")
    assert tag(docker_folder, **asked) == tag(docker_folder)


def test_the_users_invalidation_is_kept(docker_folder: str) -> None:
    def without(name: str, **keywords: Any) -> str:
        return tag(docker_folder, invalidation={name: False}, **keywords)

    options = ecr_assets.DockerImageAssetInvalidationOptions(build_args=False)
    assert tag(docker_folder, invalidation=options, build_args={"A": "1"}) == tag(docker_folder)
    assert without("extra_hash", extra_hash="mine") == tag(docker_folder)
    assert without("outputs", outputs=["type=docker"]) == without("outputs", outputs=["type=tar"])
    assert without("platform") != tag(docker_folder)


def test_the_printed_edit_alone_gives_an_image_with_own_outputs_a_new_tag(docker_folder: str) -> None:
    refused = tag(docker_folder, outputs=["type=docker"], invalidation={"outputs": False})
    assert tag(docker_folder, invalidation={"outputs": False}) == refused, "without outputs= alone the tag stays"
    assert tag(docker_folder) != refused


def test_image_tag_and_image_uri_are_gated_for_constructs_written_in_javascript_too(docker_folder: str) -> None:
    app = new_app()
    image = made(docker_folder, app)
    stack = Stack.of(image)
    ecs.FargateTaskDefinition(stack, "T").add_container(
        "app", image=ecs.ContainerImage.from_docker_image_asset(image), environment={"TAG": image.image_tag}
    )
    CfnOutput(stack, "Uri", value=image.repository.repository_uri_for_tag(image.image_tag))
    assembly = app.synth()
    name, _ = the_only(assembly, VERIFICATION)
    _, task = the_only(assembly, "AWS::ECS::TaskDefinition")
    (container,) = task["Properties"]["ContainerDefinitions"]
    assert container["Image"] == {"Fn::GetAtt": [name, "ImageUri"]}
    assert container["Environment"] == [{"Name": "TAG", "Value": {"Fn::GetAtt": [name, "ImageTag"]}}]
    output = assembly.get_stack_by_name("Demo").template["Outputs"]["Uri"]["Value"]
    assert output["Fn::Join"][1][-1] == {"Fn::GetAtt": [name, "ImageTag"]}


def test_outputs_that_allow_an_attestation_are_a_warning(docker_folder: str) -> None:
    app = new_app()
    made(docker_folder, app, outputs=["type=docker,oci-mediatypes=true"])
    (warning,) = messages_of(app.synth(), "warning")
    assert warning.startswith("Demo/Image: ")
    assert "Add attestation-inline=false" in warning
    assert "cdk-safe-image:outputs-may-attest" in warning


@pytest.mark.parametrize("outputs", [None, [], [OUTPUTS], ["type=docker, attestation-inline=false"]])
def test_outputs_without_attestation_are_not_a_warning(docker_folder: str, outputs: list[str] | None) -> None:
    app = new_app()
    made(docker_folder, app, outputs=outputs)
    assert messages_of(app.synth(), "warning") == []


@pytest.mark.parametrize(
    ("version", "old"), [("2.178.2", True), ("2.99.0 (build 1)", True), ("2.179.0", False), ("2.1148.1", False)]
)
def test_a_cli_that_allows_attestations_is_one_warning_for_each_stack(
    docker_folder: str, monkeypatch: pytest.MonkeyPatch, version: str, old: bool
) -> None:
    monkeypatch.setenv("CDK_CLI_VERSION", version)
    app = new_app()
    stack = stack_in(app)
    for name in ("One", "Two"):
        SafeDockerImageAsset(stack, name, directory=docker_folder)
    warnings = messages_of(app.synth(), "warning")
    assert len(warnings) == old
    assert all(version in text and "2.179.0" in text and "size 0" in text for text in warnings)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"directory": "/nowhere"}, "Demo/Image: directory is '/nowhere', which is not a folder"),
        ({"directory": "nowhere"}, f"directory is 'nowhere', which is not a folder in {Path.cwd()}: use the folder of"),
        ({"directory": None}, "Demo/Image: directory is None: use the path of a folder as a string"),
        ({"directory": Path("service")}, "use the path of a folder as a string, such as str(path)"),
        (
            {"file": str(Path(__file__).resolve())},
            "set directory= to the folder that contains it, or file= to its path",
        ),
        ({"outputs": "type=docker"}, "outputs is 'type=docker': use a list"),
        ({"source_date_epoch": 1.5}, "source_date_epoch is 1.5: use whole seconds since 1970"),
        ({"source_date_epoch": "1"}, "source_date_epoch is '1': use whole seconds since 1970"),
        ({"source_date_epoch": True}, "source_date_epoch is True: use whole seconds since 1970"),
        ({"build_args": ["VERSION=1.4"]}, "build_args is ['VERSION=1.4']: use a dict of strings, such as {'VERSION'"),
        ({"build_args": {"VERSION": 1.4}}, "build_args is {'VERSION': 1.4}: use a dict of strings"),
        ({"exclude": "*.md"}, "exclude is '*.md': use a list, such as ['*.md']"),
        ({"extra_hash": 14}, "extra_hash is 14: use a string"),
        ({"invalidation": "outputs"}, "invalidation is 'outputs': use the options, such as ecr_assets."),
        ({"file": "Missing"}, "does not contain Missing: set directory= to the folder that contains it, or file="),
        ({"runs_on": "mainframe"}, "runs_on names 'mainframe', which is not a runtime"),
        ({"runs_on": "ECS_EC2"}, "runs_on names 'ECS_EC2', which is not a runtime: use ecs-ec2"),
        ({"runs_on": []}, "runs_on is empty: name at least one of fargate"),
        (
            {"platform": ecr_assets.Platform.custom("linux/s390x")},
            "ECS on Fargate cannot run linux/s390x",
        ),
        ({"platform": ecr_assets.Platform.custom("amd64")}, "'amd64' is not a platform"),
        ({"min_size": Size.bytes(2), "max_size": Size.bytes(1)}, "min_size (2 bytes) is above max_size (1 bytes)"),
        ({"pin": "hash"}, "pin is 'hash': use 'digest' or 'tag'"),
        ({"gate": "none"}, "gate is 'none': use 'stack' or 'image'"),
        ({"compression": "estargz"}, "compression is 'estargz': use 'gzip' or 'zstd' or 'as-built'"),
        (
            {"compression": "zstd", "outputs": []},
            "has both compression and outputs: set the compression in the outputs",
        ),
        ({"compression": "zstd", "runs_on": "sagemaker"}, "sagemaker only accepts Docker schema 2, which has no zstd"),
        ({"source_date_epoch": -1}, "source_date_epoch is -1: use whole seconds since 1970"),
        (
            {"source_date_epoch": 1, "build_args": {"SOURCE_DATE_EPOCH": "2"}},
            "source_date_epoch and build_args both set SOURCE_DATE_EPOCH",
        ),
    ],
)
def test_bad_input_is_refused_with_the_path_and_a_valid_value(
    docker_folder: str, keywords: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=r"^Demo/Image") as refused:
        made(keywords.pop("directory", docker_folder), **keywords)
    assert message in str(refused.value)


@pytest.mark.parametrize("scope", ["Demo", None, Stack])
def test_a_scope_that_is_not_a_construct_is_refused(docker_folder: str, scope: Any) -> None:
    for name, call in (
        ("SafeDockerImageAsset", lambda: SafeDockerImageAsset(scope, "Image", directory=docker_folder)),
        ("ImagePolicy.defaults", lambda: ImagePolicy.defaults(scope)),
        ("SafeImages.protect", lambda: SafeImages.protect(scope)),
        ("SafeImages.report", lambda: SafeImages.report(scope)),
    ):
        with pytest.raises(ValueError, match="use an app, a stage, a stack or another construct") as refused:
            call()
        assert str(refused.value).startswith(f"{name}: scope is {scope!r}: ")


@pytest.mark.parametrize("keyword", ["cmd", "entrypoint"])
def test_the_command_of_a_function_is_a_list(docker_folder: str, keyword: str) -> None:
    with pytest.raises(ValueError, match=f"docker_image_code of Demo/Image: {keyword} is 'app.handler': use a list"):
        made(docker_folder).docker_image_code(**{keyword: "app.handler"})


def test_a_negative_size_is_refused(docker_folder: str) -> None:
    with pytest.raises((ValueError, RuntimeError), match=r"(?i)min_size|negative"):
        made(docker_folder, min_size=Size.bytes(-1))


def test_a_directory_without_dockerfile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Demo/Image: '.*' does not contain Dockerfile"):
        made(str(tmp_path))


def test_a_relative_directory_begins_where_cdk_reads_it_from(
    docker_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Node.js keeps the working directory in which it was started."""
    directory = os.path.relpath(docker_folder)
    monkeypatch.chdir(tmp_path)
    assert made(directory).asset_hash == made(docker_folder).asset_hash


def test_an_assigned_image_uri_is_what_every_construct_reads(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    image = SafeDockerImageAsset(stack, "Image", directory=docker_folder)
    image.image_uri = "registry.example/mirror:1"
    run_on_fargate(stack, "Web", image)
    _, task = the_only(app.synth(), TASK)
    assert task["Properties"]["ContainerDefinitions"][0]["Image"] == image.image_uri == "registry.example/mirror:1"


def test_a_subclass_may_compute_its_own_image_uri(docker_folder: str) -> None:
    class Mirrored(SafeDockerImageAsset):
        @property  # type: ignore[misc]
        def image_uri(self) -> str:
            return f"registry.example/mirror:{self.asset_hash}"

    app = new_app()
    stack = stack_in(app)
    image = Mirrored(stack, "Image", directory=docker_folder)
    run_on_fargate(stack, "Web", image)
    _, task = the_only(app.synth(), TASK)
    assert task["Properties"]["ContainerDefinitions"][0]["Image"] == f"registry.example/mirror:{image.asset_hash}"


def test_runs_on_has_a_member_for_every_runtime() -> None:
    assert {member.value for member in RunsOn} == set(RUNTIMES)
