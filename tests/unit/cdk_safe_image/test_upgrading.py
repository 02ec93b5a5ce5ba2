"""The changes that another version of the library makes in a template, as docs/upgrading.md says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_

from cdk_safe_image import ImagePolicy, SafeDockerImageAsset, SafeImages, build, verifier
from tests.unit.cdk_safe_image.app import VERIFICATION, new_app, run_on_fargate, stack_in


def template(folder: str, **policy: Any) -> dict[str, Any]:
    app = new_app()
    stack = stack_in(app)
    if policy:
        ImagePolicy.defaults(stack, **policy)
    run_on_fargate(stack, "Web", SafeDockerImageAsset(stack, "Image", directory=folder))
    result: dict[str, Any] = app.synth().get_stack_by_name("Demo").template["Resources"]
    return result


def changes(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """The types of the resources that differ."""
    names = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    return {(before.get(name) or after[name])["Type"] for name in names}


def test_other_code_of_the_verifier_updates_the_function_and_verifies_no_image_again(
    docker_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = template(docker_folder)
    (tmp_path / "newer.py").write_text("newer = True\n")
    monkeypatch.setattr(verifier, "verifier_code", lambda *_: lambda_.Code.from_asset(str(tmp_path)))
    after = template(docker_folder)
    assert before.keys() == after.keys()
    assert changes(before, after) == {"AWS::Lambda::Function"}


def test_other_memory_of_the_verifier_verifies_no_image_again(
    docker_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = template(docker_folder)
    monkeypatch.setattr(verifier, "MEMORY_MIB", 640)
    assert changes(before, template(docker_folder)) == {"AWS::Lambda::Function"}


def test_another_policy_replaces_the_verification_and_keeps_the_tag(docker_folder: str) -> None:
    before, after = template(docker_folder), template(docker_folder, fail_on="warning")
    old, new = ({name for name, it in its.items() if it["Type"] == VERIFICATION} for its in (before, after))
    assert old.isdisjoint(new)
    assert before.keys() - old == after.keys() - new
    tags = [its[name]["Properties"]["ImageTag"] for its, names in ((before, old), (after, new)) for name in names]
    assert len(set(tags)) == 1


def test_other_default_outputs_give_each_image_another_tag(docker_folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = template(docker_folder)
    monkeypatch.setattr(build, "_DEFAULT", {**build._DEFAULT, "compression": "gzip"})
    (old,), (new,) = (
        {it["Properties"]["ImageTag"] for it in its.values() if it["Type"] == VERIFICATION}
        for its in (before, template(docker_folder))
    )
    assert old != new


def test_without_the_library_a_template_has_nothing_of_it(docker_folder: str) -> None:
    def synth(protect: bool) -> str:
        app = new_app()
        if protect:
            SafeImages.protect(app)
        task = ecs.FargateTaskDefinition(stack_in(app), "Task")
        task.add_container("app", image=ecs.ContainerImage.from_asset(docker_folder))
        return json.dumps(app.synth().get_stack_by_name("Demo").template)

    assert "CdkSafeImage" in synth(protect=True)
    assert "CdkSafeImage" not in synth(protect=False)
