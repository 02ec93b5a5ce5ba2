"""A cloud assembly is read without a call to AWS."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import pytest
from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.report import FailOn

from safe_image.commands.arguments import add_policy_options, default_policy, parse_policy
from safe_image.errors import UsageError
from safe_image.sources.cloud_assembly import Environment, assembly_images
from safe_image.sources.targets import TargetResolver

HASH = "ab" * 32
HERE = Environment("111122223333", "eu-west-1")
ROLE = "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/cdk-hnb659fds-image-publishing-role"
UNBOUND = {"repositoryName": "assets-${AWS::AccountId}-${AWS::Region}", "imageTag": HASH, "assumeRoleArn": ROLE}
BOUND = {
    "repositoryName": "assets",
    "imageTag": HASH,
    "region": "cn-north-1",
    "assumeRoleArn": "arn:aws-cn:iam::444455556666:role/publishing",
}
VERIFICATION: dict[str, Any] = {
    "Type": "Custom::ImageVerification",
    "Properties": {"ImageTag": HASH, "RunsOn": ["lambda"], "MinSize": "1024", "RepositoryArn": {"Ref": "Anything"}},
}


def assembly(
    folder: Path,
    *destinations: dict[str, Any],
    environment: str = "aws://unknown-account/unknown-region",
    source: dict[str, Any] | None = None,
    resources: dict[str, Any] | None = None,
) -> Path:
    """A cloud assembly of one stack with one image."""
    folder.mkdir(parents=True, exist_ok=True)
    image = {
        "displayName": "Shop/Image",
        "source": source or {"directory": "asset", "platform": "linux/arm64"},
        "destinations": dict(enumerate(destinations or (UNBOUND,))),
    }
    artifacts = {
        "Shop.assets": {"type": "cdk:asset-manifest", "properties": {"file": "Shop.assets.json"}},
        "Shop": {
            "type": "aws:cloudformation:stack",
            "environment": environment,
            "properties": {"templateFile": "Shop.template.json"},
            "dependencies": ["Shop.assets"],
            "displayName": "Shop",
        },
    }
    write(folder / "manifest.json", {"version": "48.0.0", "artifacts": artifacts})
    write(folder / "Shop.assets.json", {"version": "48.0.0", "dockerImages": {HASH: image}})
    write(folder / "Shop.template.json", {"Resources": resources or {}})
    return folder


def write(file: Path, document: Any) -> None:
    file.write_text(json.dumps(document))


def test_an_image_of_a_stack_without_an_environment_goes_to_the_callers_environment(tmp_path: Path) -> None:
    (image,) = assembly_images(assembly(tmp_path))
    assert image.needs_environment
    here = image.at(HERE)
    assert (here.account, here.region) == ("111122223333", "eu-west-1")
    assert here.repository == "assets-111122223333-eu-west-1"
    assert here.role_arn == "arn:aws:iam::111122223333:role/cdk-hnb659fds-image-publishing-role"
    assert not here.needs_environment


def test_an_image_of_a_stack_with_an_environment_goes_there(tmp_path: Path) -> None:
    (image,) = assembly_images(assembly(tmp_path, BOUND, environment="aws://444455556666/cn-north-1"))
    assert not image.needs_environment
    assert (image.account, image.region, image.repository) == ("444455556666", "cn-north-1", "assets")


def test_an_image_has_its_stack_its_platform_and_its_copy_on_the_builders_machine(tmp_path: Path) -> None:
    (image,) = assembly_images(assembly(tmp_path))
    assert (image.name, image.stacks, image.platform) == ("Shop/Image", ("Shop",), "linux/arm64")
    assert image.local_image == f"cdkasset-{HASH}"
    assert image.is_built


def test_an_image_of_another_program_is_not_built_and_has_no_copy(tmp_path: Path) -> None:
    (image,) = assembly_images(assembly(tmp_path, source={"executable": ["sh", "-c", "docker load"]}))
    assert not image.is_built
    assert image.local_image == ""


def test_the_options_of_the_role_are_read(tmp_path: Path) -> None:
    tags = {"Tags": [{"Key": "team", "Value": "shop"}]}
    more = {"assumeRoleExternalId": "for-${AWS::AccountId}", "assumeRoleAdditionalOptions": tags}
    (image,) = assembly_images(assembly(tmp_path, {**UNBOUND, **more}))
    here = image.at(HERE)
    assert (here.external_id, here.role_options) == ("for-111122223333", tags)


def test_the_policy_is_the_one_of_its_verification(tmp_path: Path) -> None:
    (image,) = assembly_images(assembly(tmp_path, resources={"Verification": VERIFICATION}))
    (policy,) = image.policies
    assert (policy.runs_on, policy.min_size) == (("lambda",), 1024)


def test_the_policy_is_found_in_a_stack_in_the_stack(tmp_path: Path) -> None:
    nested = {"Type": "AWS::CloudFormation::Stack", "Metadata": {"aws:asset:path": "Inner.nested.template.json"}}
    folder = assembly(tmp_path, resources={"Nested": nested})
    write(folder / "Inner.nested.template.json", {"Resources": {"Verification": VERIFICATION, "Nested": nested}})
    (image,) = assembly_images(folder)
    (policy,) = image.policies
    assert policy.runs_on == ("lambda",)


def options(*arguments: str) -> Namespace:
    parser = ArgumentParser()
    add_policy_options(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize(("platform", "asked"), [("linux/arm64", "linux/arm64"), ("riscv", "linux/amd64")])
def test_an_image_without_a_verification_is_checked_for_fargate_on_its_own_platform(platform: str, asked: str) -> None:
    known = default_policy(platform)
    assert (known.runs_on, str(known.platform)) == (("fargate",), asked)


def test_options_override_or_extend_the_policy_of_a_verification() -> None:
    known = Policy(
        ("lambda",), Platform.parse("linux/arm64"), min_size=1, max_size=9, acknowledge={"image-needs-storage": "x"}
    )
    assert parse_policy(options(), known) == known
    more = parse_policy(
        options("--layers", "--max-size", "5B", "--acknowledge", "layer-foreign=y", "--fail-on", "warning"), known
    )
    assert (more.runs_on, more.min_size, more.max_size, more.verify_layers) == (("lambda",), 1, 5, True)
    assert (more.acknowledge, more.fail_on) == ({"image-needs-storage": "x", "layer-foreign": "y"}, FailOn.WARNING)
    other = parse_policy(options("--runs-on", "eks", "--platform", "linux/amd64"), known)
    assert (other.runs_on, str(other.platform)) == (("eks",), "linux/amd64")
    assert str(parse_policy(options("--runs-on", "agentcore")).platform) == "linux/arm64"
    with pytest.raises(UsageError, match="cannot run linux/arm/v7"):
        parse_policy(options("--runs-on", "eks", "--platform", "linux/arm/v7"), known)


def test_the_images_of_stages_are_found_and_those_in_one_place_are_one(tmp_path: Path) -> None:
    assembly(tmp_path / "assembly-Test")
    assembly(tmp_path / "assembly-Live", BOUND, environment="aws://444455556666/cn-north-1")
    assembly(tmp_path / "assembly-Again", resources={"Verification": VERIFICATION})
    stages = {
        name: {"type": "cdk:cloud-assembly", "properties": {"directoryName": f"assembly-{name}"}}
        for name in ("Test", "Live", "Again")
    }
    write(tmp_path / "manifest.json", {"artifacts": stages})
    found = assembly_images(tmp_path)
    assert len(found) == 2
    assert [bool(image.policies) for image in found] == [True, False]


def verification(runs_on: str, **more: Any) -> dict[str, Any]:
    return {**VERIFICATION, "Properties": {**VERIFICATION["Properties"], "RunsOn": [runs_on], **more}}


def stages(folder: Path, *names: str) -> None:
    """The manifest of an app with these stages."""
    artifacts = {n: {"type": "cdk:cloud-assembly", "properties": {"directoryName": f"assembly-{n}"}} for n in names}
    write(folder / "manifest.json", {"artifacts": artifacts})


def runtimes(folder: Path) -> list[tuple[str, ...]]:
    (image,) = assembly_images(folder)
    return [policy.runs_on for policy in image.policies]


def test_an_image_has_the_policies_of_all_verifications_of_its_place_and_tag(tmp_path: Path) -> None:
    twice = {"A": verification("lambda"), "B": verification("fargate"), "Again": verification("lambda")}
    assert runtimes(assembly(tmp_path / "one", resources=twice)) == [("lambda",), ("fargate",)]
    for name, runs_on in (("Api", "lambda"), ("Web", "fargate"), ("Job", "lambda")):
        assembly(tmp_path / f"assembly-{name}", resources={"V": verification(runs_on)})
    stages(tmp_path, "Api", "Job", "Web")
    assert runtimes(tmp_path) == [("lambda",), ("fargate",)]


@pytest.mark.parametrize(("repository", "found"), [(UNBOUND["repositoryName"], True), ("another", False)])
def test_a_stack_that_verifies_the_image_of_another_stack_counts(tmp_path: Path, repository: str, found: bool) -> None:
    folder = assembly(tmp_path)
    arn = {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":ecr:", {"Fn::Sub": f"x:repository/{repository}"}]]}
    write(folder / "Web.template.json", {"Resources": {"V": verification("fargate", RepositoryArn=arn)}})
    manifest = json.loads((folder / "manifest.json").read_text())
    web = {**manifest["artifacts"]["Shop"], "properties": {"templateFile": "Web.template.json"}, "dependencies": []}
    manifest["artifacts"]["Web"] = {**web, "displayName": "Web"}
    write(folder / "manifest.json", manifest)
    assert runtimes(folder) == ([("fargate",)] if found else [])


def test_a_stack_bound_to_the_callers_environment_and_an_unbound_one_share_a_place(tmp_path: Path) -> None:
    bound = {"repositoryName": "assets", "imageTag": HASH, "region": HERE.region}
    for name, environment, runs_on in (("Api", "unknown-account/unknown-region", "lambda"), ("Web", "", "fargate")):
        where = f"aws://{environment or f'{HERE.account}/{HERE.region}'}"
        resources = {"V": verification(runs_on)}
        assembly(tmp_path / f"assembly-{name}", bound, environment=where, resources=resources)
    stages(tmp_path, "Api", "Web")
    resolver = TargetResolver()
    resolver.sessions._environment = HERE
    targets = resolver.assembly_targets(f"cdk.out:{tmp_path}")
    assert len({target.reference for target in targets}) == 1
    assert [target.policy and target.policy.runs_on for target in targets] == [("lambda",), ("fargate",)]


def test_stages_that_are_nested_very_deep_are_refused(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(20):
        write(
            folder / "manifest.json",
            {"artifacts": {"Stage": {"type": "cdk:cloud-assembly", "properties": {"directoryName": "stage"}}}},
        )
        folder /= "stage"
        folder.mkdir()
    with pytest.raises(UsageError, match="more than 10 deep"):
        assembly_images(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "is not a cloud assembly"), ("[]", "is not a document of a cloud assembly"), ("{", "cannot be read")],
)
def test_a_folder_that_is_not_an_assembly_is_one_line_that_says_what_to_use(
    tmp_path: Path, content: str | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(UsageError, match=words):
        assembly_images(tmp_path)


@pytest.mark.parametrize("strange", [None, [], "text", 7, {"a": None}, {"a": []}, {"a": {"type": []}}])
def test_parts_of_an_unknown_type_are_skipped(tmp_path: Path, strange: Any) -> None:
    write(assembly(tmp_path) / "manifest.json", {"artifacts": strange})
    assert assembly_images(tmp_path) == ()
    write(assembly(tmp_path) / "Shop.assets.json", {"dockerImages": strange})
    assert assembly_images(tmp_path) == ()
    write(assembly(tmp_path) / "Shop.template.json", {"Resources": strange})
    assert len(assembly_images(tmp_path)) == 1
    for part in ("source", "destinations"):
        folder = assembly(tmp_path)
        manifest = json.loads((folder / "Shop.assets.json").read_text())
        manifest["dockerImages"][HASH][part] = strange
        write(folder / "Shop.assets.json", manifest)
        assembly_images(folder)


@pytest.mark.parametrize("value", [{"Ref": "Parameter"}, 7, [7], None])
def test_a_policy_of_an_unknown_type_is_one_line(tmp_path: Path, value: Any) -> None:
    strange = {**VERIFICATION, "Properties": {**VERIFICATION["Properties"], "RunsOn": value, "MinSize": value}}
    with pytest.raises(UsageError, match="that this release of safe-image does not know"):
        assembly_images(assembly(tmp_path, resources={"Verification": strange}))


def test_a_template_of_a_later_release_is_reported_and_not_misread(tmp_path: Path) -> None:
    later = {**VERIFICATION, "Properties": {**VERIFICATION["Properties"], "RunsOn": ["moon-base"]}}
    with pytest.raises(UsageError, match="moon-base"):
        assembly_images(assembly(tmp_path, resources={"Verification": later}))
