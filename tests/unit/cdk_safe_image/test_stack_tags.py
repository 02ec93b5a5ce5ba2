"""The tags of stacks, which are in the manifest of the assembly and not in a template."""

from __future__ import annotations

from aws_cdk import Tags

from cdk_safe_image import SafeDockerImageAsset
from tests.unit.cdk_safe_image.app import messages_of, new_app, not_empty, run_on_fargate, stack_in


def test_a_stack_has_the_plain_tag_where_nothing_resolves_a_token(docker_folder: str) -> None:
    app = new_app()
    stack, other = stack_in(app), not_empty(stack_in(app, "Other"))
    images = [
        SafeDockerImageAsset(stack, name, directory=docker_folder, extra_hash=name) for name in ("Image", "Second")
    ]
    for image in images:
        run_on_fargate(stack, f"{image.node.id}Web", image)
    Tags.of(app).add("images", " ".join(image.image_tag for image in images))
    assembly = app.synth()
    for name in (stack.stack_name, other.stack_name):
        tags = assembly.get_stack_by_name(name).tags
        assert tags == {"images": " ".join(image.asset_hash for image in images)}
        assert not messages_of(assembly, "warning", name)
