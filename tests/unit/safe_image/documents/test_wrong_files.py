"""Files of another kind are one line that says what is expected."""

from __future__ import annotations

import contextlib
import json
import os
import tracemalloc
from pathlib import Path

import pytest

from safe_image.documents.compose import read_compose
from safe_image.documents.document_targets import _READERS
from safe_image.documents.json_values import parse_json
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
    ("kubernetes:", "", "it is empty: check whether the command that writes it succeeded"),
    ("terraform:", " \n", "it is empty: check whether the command that writes it succeeded"),
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
    (
        "terraform:",
        '{"format_version": "1.0", "values": {"root_module": {"resources": true}}}',
        "resources is not a list of mappings: use the output of terraform show -json",
    ),
    (
        "terraform:",
        '{"format_version": "1.0", "values": {}, "resource_changes": [{"address": "a.b", "change": {"after_unknown": '
        "true}}]}",
        "after_unknown of a.b is not a mapping: use the output of terraform show -json",
    ),
    (
        "terraform:",
        '{"format_version": "1.0", "values": {}, "resource_changes": [{"address": ["a"], "change": {"after_unknown": '
        "{}}}]}",
        "after_unknown of ['a'] is not a mapping: use the output of terraform show -json",
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


IMAGE = '{"containerDefinitions": [{"image": "@"}]}'
TEMPLATE = (
    '{"Resources": {"A": {"Type": "AWS::ECS::TaskDefinition", "Properties": {"ContainerDefinitions": [{"Image": @}]}}}}'
)
LOOP = json.dumps(
    {"Resources": {"Fn::ForEach::A": ["X", list(map(str, range(9000))), {"A${X}": {"Type": "A", "P": ["a"] * 3000}}]}}
)
# Each of them took minutes, or ended in a traceback.
DIGITS = "1" * 5000
COSTLY = {
    "a number of 5,000 digits": ("task-definition:", f'{{"cpu": {DIGITS}}}', "a number has too many digits"),
    "a position of 5,000 digits": (
        "cloudformation:",
        TEMPLATE.replace("@", f'{{"Fn::Select": ["{DIGITS}", ["a"]]}}'),
        "",
    ),
    "200,000 keys, and one of them twice": (
        "task-definition:",
        "{" + ",".join(f'"{number}": 1' for number in (*range(200_000), 199_999)) + "}",
        "the key 199999 is repeated",
    ),
    "9,000,000 values": ("task-definition:", '{"a": [' + "1," * 9_000_000 + "1]}", "it has more than 8,000,000 values"),
    "a tag of 1,000,000 characters": ("kubernetes:", "a: !" + "x" * 1_000_000 + " 1", "a tag of more than 50,000 char"),
    "a character that does not exist": ("kubernetes:", 'kind: "\\UFFFFFFFF"', "this is not valid YAML"),
    "openings of a template's calls": ("task-definition:", IMAGE.replace("@", "{{" * 200_000), ""),
    "openings of Fn::Sub": ("cloudformation:", TEMPLATE.replace("@", '{"Fn::Sub": "' + "${" * 200_000 + '"}'), ""),
    "openings of dynamic references": (
        "cloudformation:",
        TEMPLATE.replace("@", '{"Fn::Sub": "' + "{{resolve:" * 60_000 + '"}'),
        "",
    ),
    "variables within variables": ("compose:", '{"services": {"a": {"image": "' + "${a:-" * 200_000 + '"}}}', ""),
    "a loop around a large resource": ("cloudformation:", LOOP, "its loops make more than 2,000,000 values"),
}


@pytest.mark.parametrize("case", COSTLY)
def test_a_text_that_could_cost_minutes_or_a_traceback_costs_neither(tmp_path: Path, case: str) -> None:
    scheme, text, message = COSTLY[case]
    file, said = write(tmp_path, "file", text), ""
    try:
        list(_READERS[scheme](file, Settings(), TargetResolver()))
    except UsageError as e:
        said = str(e)
    assert message in said


def test_a_text_of_many_lines_takes_little_more_memory() -> None:
    text = '{"a":' + "\n" * 4_000_000 + '"b"}'
    tracemalloc.start()
    document = parse_json(text, "file")
    assert document.line_of(("a",)) == 4_000_001
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < len(text) // 10


def test_a_pipe_of_the_name_of_the_environments_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".env")
    file = write(tmp_path, "compose.yaml", "services: {a: {image: 'a:1'}}")
    (image,) = read_compose(file, Settings())
    assert image.reference == "a:1"


@pytest.mark.parametrize("type_", ["AWS::ECS::TaskDefinition", "AWS::CloudFormation::Stack"])
def test_properties_that_only_the_deploy_makes_are_unknown_and_not_left_out(tmp_path: Path, type_: str) -> None:
    resource = {"Type": type_, "Properties": {"Fn::Transform": {"Name": "Macro"}}}
    file = write(tmp_path, "file", json.dumps({"Resources": {"A": resource}}))
    (image,) = _READERS["cloudformation:"](file, Settings(), TargetResolver())
    assert image.missing


def test_properties_that_are_not_a_mapping_are_one_line(tmp_path: Path) -> None:
    file = write(tmp_path, "file", '{"Resources": {"A": {"Type": "AWS::ECS::TaskDefinition", "Properties": "x"}}}')
    with pytest.raises(UsageError, match=r":1: the Properties of A are not a mapping"):
        list(_READERS["cloudformation:"](file, Settings(), TargetResolver()))


SHAPELESS = ['{"Fn::If": {}}', "1.5", "[]", "null", '"a"', "{}", '{"a": [{"b": [[1, null, true]]}]}', "[[[]]]"]


@pytest.mark.parametrize("scheme", list(_READERS))
@pytest.mark.parametrize("text", SHAPELESS)
def test_no_shape_of_a_file_ends_in_a_traceback(tmp_path: Path, scheme: str, text: str) -> None:
    kinds = {
        "cloudformation:": '{"Resources": {"A": {"Type": "AWS::ECS::TaskDefinition", "Properties": @}, "B": {"Type": '
        '"AWS::CloudFormation::Stack", "Properties": @}, "C": {"Type": @}, "D": {"Type": "Custom::ImageVerification"}, '
        '"E": {"Type": "AWS::Lambda::Function", "Properties": {"Code": {"ImageUri": {"Fn::GetAtt": ["C", "Outputs.x"]}'
        ', "x": {"Fn::GetAtt": ["D", "ImageUri"]}}}}}}',
        "task-definition:": '{"containerDefinitions": [@, {"image": @}], "runtimePlatform": @}',
        "terraform:": '{"format_version": "1", "values": {"root_module": {"resources": [@, {"type": '
        '"aws_lambda_function", "address": "a", "values": {"image_uri": @}}], "child_modules": [@]}}, '
        '"resource_changes": [@, {"address": @, "change": @}, {"address": "a", "change": {"after_unknown": @}}]}',
        "kubernetes:": '{"kind": "Pod", "spec": {"containers": @, "nodeSelector": @, "affinity": @}}',
        "compose:": '{"services": {"a": @, "b": {"image": @, "platform": @}}}',
    }
    # Each place by itself, and all of them.
    first, *rest = kinds[scheme].split("@")
    places = [
        first + "".join((text if n == at else "{}") + part for n, part in enumerate(rest)) for at in range(len(rest))
    ]
    for one in (text, kinds[scheme].replace("@", text), *places):
        file = write(tmp_path, "file", one)
        with contextlib.suppress(UsageError):
            list(_READERS[scheme](file, Settings(), TargetResolver()))
