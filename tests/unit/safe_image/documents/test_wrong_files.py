"""Files of another kind are one line that says what is expected."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from safe_image.documents.document_targets import _READERS
from safe_image.documents.settings import Settings
from safe_image.errors import UsageError
from safe_image.sources.targets import TargetResolver
from tests.unit.safe_image.documents.files import write

WRONG = [
    ("task-definition:", "{}", "it is not a task definition: it has no list of containerDefinitions"),
    ("task-definition:", '{"containerDefinitions": {{ x }}}', "this is not valid JSON"),
    ("terraform:", "{}", "it is not a plan or a state: use the output of terraform show -json"),
    ("terraform:", '{"@level": "info"}\n{"@level": "info"}', "this is not valid JSON: Extra data"),
    ("compose:", "version: 3", "it is not a Compose file: it has no services"),
    ("kubernetes:", "a: [", "this is not valid YAML"),
    ("kubernetes:", "a: \x00", "this is not valid YAML"),
    ("kubernetes:", "Resources: {}", "it is not a Kubernetes manifest: it has no kind"),
    ("kubernetes:", "kind: Pod\n---\n- a", "it is not a Kubernetes manifest: it has no kind"),
    ("cloudformation:", "Resources:\n  A: !Sub x", ":2: the resource A is not a mapping with a Type"),
    (
        "terraform:",
        '{"format_version": "1.0", "values": {"root_module": {"resources": [{"type": "aws_ecs_task_definition", '
        '"address": "a.b", "values": {"container_definitions": "x"}}]}}}',
        "container_definitions of a.b is not valid JSON",
    ),
]


@pytest.mark.parametrize(("scheme", "text", "message"), WRONG)
def test_a_file_of_another_kind_is_one_line(tmp_path: Path, scheme: str, text: str, message: str) -> None:
    file = write(tmp_path, "file", text)
    with pytest.raises(UsageError) as error:
        list(_READERS[scheme](file, Settings(), TargetResolver()))
    assert message in str(error.value)
    assert str(error.value).startswith(file)
    assert "\n" not in str(error.value)


SHAPELESS = ["[]", "null", '"a"', "{}", '{"a": [{"b": [[1, null, true]]}]}', "[[[]]]"]


@pytest.mark.parametrize("scheme", list(_READERS))
@pytest.mark.parametrize("text", SHAPELESS)
def test_no_shape_of_a_file_ends_in_a_traceback(tmp_path: Path, scheme: str, text: str) -> None:
    kinds = {
        "cloudformation:": '{"Resources": {"A": {"Type": "AWS::ECS::TaskDefinition", "Properties": @}, "B": @}}',
        "task-definition:": '{"containerDefinitions": @, "runtimePlatform": @}',
        "terraform:": '{"format_version": "1", "values": {"root_module": {"resources": [@, {"type": '
        '"aws_lambda_function", "address": "a", "values": {"image_uri": @}}], "child_modules": [@]}}}',
        "kubernetes:": '{"kind": "Pod", "spec": {"containers": @, "nodeSelector": @, "affinity": @}}',
        "compose:": '{"services": {"a": @, "b": {"image": @, "platform": @}}}',
    }
    for one in (text, kinds[scheme].replace("@", text)):
        file = write(tmp_path, "file", one)
        with contextlib.suppress(UsageError):
            list(_READERS[scheme](file, Settings(), TargetResolver()))
