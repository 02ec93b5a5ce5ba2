"""Templates: which images they name, where, and what runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from safe_image.documents.cloudformation import read_cloudformation
from safe_image.documents.settings import Settings
from safe_image.documents.unknown import Unknown, concatenate
from safe_image.errors import UsageError
from tests.unit.safe_image.documents.files import ECR, PSEUDO, facts, known, template, write

TASK = """\
Parameters:
  Tag: {Type: String, Default: "1.20"}
Resources:
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      RequiresCompatibilities: [FARGATE]
      RuntimePlatform: {CpuArchitecture: ARM64}
      ContainerDefinitions:
        - Name: web
          Image: !Sub "${AWS::AccountId}.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}/shop:${Tag}"
          Environment: [{Name: IMAGE, Value: "not/an:image"}]
        - Name: proxy
          Image: public.ecr.aws/nginx/nginx:1.27
"""


def test_a_template_names_its_images_with_runtime_platform_and_line(tmp_path: Path) -> None:
    web, proxy = template(tmp_path, TASK)
    path = "Resources.Task.Properties.ContainerDefinitions"
    assert facts(web) == (f"{ECR}/shop:1.20", ("fargate",), "linux/arm64", 11, f"{path}[0].Image")
    assert facts(proxy) == ("public.ecr.aws/nginx/nginx:1.27", ("fargate",), "linux/arm64", 14, f"{path}[1].Image")


def test_a_set_value_replaces_a_parameters_default(tmp_path: Path) -> None:
    assert known(template(tmp_path, TASK, "Tag=2", "AWS::Region=eu-central-1"))[0] == f"{ECR}/shop:2"


def image_of(folder: Path, value: str, head: str = "", *settings: str) -> str:
    """The image of a function whose `ImageUri` is a value of YAML; what is missing, where it is not known."""
    text = f"{head}\nResources:\n  Repo: {{Type: AWS::ECR::Repository, Properties: {{RepositoryName: shop}}}}\n"
    text += f"  F:\n    Type: AWS::Lambda::Function\n    Properties:\n      Code:\n        ImageUri: {value}\n"
    file = write(folder, "one.yaml", text)
    (image,) = read_cloudformation(file, Settings.parse(settings), PSEUDO.__getitem__)
    return f"{image.missing}. {image.advice}" if image.missing else image.reference


HEAD = """\
Parameters:
  Env: {Type: String, Default: prod}
  Tags: {Type: CommaDelimitedList, Default: "1, 2"}
  Open: {Type: String}
  Stored: {Type: "AWS::SSM::Parameter::Value<String>", Default: /shop/tag}
Mappings:
  ByEnv: {prod: {Tag: p1}, dev: {Tag: d1}}
Conditions:
  IsProd: !Equals [!Ref Env, prod]
  IsOpen: !Equals [!Ref Open, "yes"]
  IsEither: !Or [!Condition IsProd, !Condition IsOpen]
  IsNeither: !Not [!Condition IsEither]
  IsBoth: !And [!Condition IsProd, !Condition IsNeither]
"""
VALUES = [
    ('!Join [":", [shop, !FindInMap [ByEnv, !Ref Env, Tag]]]', "shop:p1"),
    ('!FindInMap [ByEnv, test, Tag, {DefaultValue: "shop:0"}]', "shop:0"),
    ('!If [IsProd, "shop:p", "shop:d"]', "shop:p"),
    ('!If [IsEither, "shop:p", "shop:d"]', "shop:p"),
    ('!If [IsBoth, "shop:p", "shop:d"]', "shop:d"),
    ('!Sub ["shop:${T}-${Env}-${!Env}", {T: !Select [1, !Ref Tags]}]', "shop:2-prod-${Env}"),
    ('!Select [0, !Split ["|", "shop:1|shop:2"]]', "shop:1"),
    ('!Sub "${Repo.RepositoryUri}:1"', f"{ECR}/shop:1"),
    ('!Join ["/", [!Select [5, !Split [":", !GetAtt Repo.Arn]], x]]', "repository/shop/x"),
    ('!Sub "host.example.com/${Repo}:1"', "host.example.com/shop:1"),
    ('!Sub "shop:${Open}"', "only the deploy knows the parameter Open. Pass --set Open=VALUE."),
    ('!If [IsOpen, "shop:p", "shop:d"]', "only the deploy knows the parameter Open. Pass --set Open=VALUE."),
    ('!Sub "shop:${Stored}"', "only the deploy knows the parameter Stored. Pass --set Stored=VALUE."),
    ('!ImportValue "shop-uri"', "only the deploy knows the export shop-uri. Pass --set shop-uri=VALUE."),
    (
        '"shop:{{resolve:ssm:/shop/tag}}"',
        "only the deploy knows the value of {{resolve:ssm:/shop/tag}}. Pass --set resolve:ssm:/shop/tag=VALUE.",
    ),
    ("!GetAtt Build.Image", "only the deploy knows the attribute Image of Build. Pass --set Build.Image=VALUE."),
    ("!Cidr [1, 2, 3]", "only the deploy knows the result of Fn::Cidr. Set the image without it."),
    (
        "!Join [1]",
        "only the deploy knows the result of Fn::Join, whose arguments are not valid. Fix the arguments of Fn::Join.",
    ),
]


@pytest.mark.parametrize(("value", "found"), VALUES)
def test_functions_are_resolved_as_far_as_they_can_be(tmp_path: Path, value: str, found: str) -> None:
    assert image_of(tmp_path, value, HEAD) == found


SETTINGS = [
    ('!Sub "shop:${Open}"', "Open=3", "shop:3"),
    ('!Sub "shop:${Stored}"', "Stored=3", "shop:3"),
    ('!ImportValue "shop-uri"', "shop-uri=shop:3", "shop:3"),
    ('"shop:{{resolve:ssm:/shop/tag}}"', "resolve:ssm:/shop/tag=3", "shop:3"),
    ("!GetAtt Build.Image", "Build.Image=shop:3", "shop:3"),
]


@pytest.mark.parametrize(("value", "setting", "found"), SETTINGS)
def test_what_the_message_says_to_set_makes_the_image_known(
    tmp_path: Path, value: str, setting: str, found: str
) -> None:
    assert image_of(tmp_path, value, HEAD, setting) == found


def test_a_resource_whose_condition_does_not_hold_names_no_image(tmp_path: Path) -> None:
    text = """\
        Conditions: {Never: !Equals [a, b]}
        Resources:
          A: {Type: AWS::Lambda::Function, Condition: Never, Properties: {Code: {ImageUri: "a:1"}}}
          B:
            Type: AWS::ECS::TaskDefinition
            Properties:
              ContainerDefinitions:
                - {Image: "b:1"}
                - !If [Never, {Image: "c:1"}, !Ref AWS::NoValue]
        """
    assert known(template(tmp_path, text)) == ["b:1"]


def test_functions_of_sam_have_their_globals_and_the_image_of_sam_build(tmp_path: Path) -> None:
    text = """\
        Transform: AWS::Serverless-2016-10-31
        Globals: {Function: {PackageType: Image, Architectures: [arm64]}}
        Resources:
          Built:
            Type: AWS::Serverless::Function
            Metadata: {DockerTag: v1, DockerContext: ., Dockerfile: Dockerfile}
          Packaged:
            Type: AWS::Serverless::Function
            Properties: {ImageUri: "111122223333.dkr.ecr.eu-west-1.amazonaws.com/f:1", Architectures: [x86_64]}
            Metadata: {DockerTag: v1, Dockerfile: Dockerfile}
          Zipped: {Type: AWS::Serverless::Function, Properties: {PackageType: Zip, CodeUri: .}}
        """
    built, packaged = template(tmp_path, text)
    assert facts(built)[:3] == ("docker-daemon:built:v1", ("lambda",), "linux/arm64")
    assert facts(packaged)[:3] == (f"{ECR}/f:1", ("lambda",), "linux/amd64")


def test_a_loop_makes_a_resource_for_each_value(tmp_path: Path) -> None:
    text = """\
        Transform: AWS::LanguageExtensions
        Parameters: {Names: {Type: CommaDelimitedList, Default: "web,job-1"}}
        Resources:
          Fn::ForEach::Tasks:
            - Name
            - !Ref Names
            - Task&{Name}:
                Type: AWS::ECS::TaskDefinition
                Properties:
                  ContainerDefinitions:
                    - Image: !Sub "shop/${Name}:1"
        """
    images = template(tmp_path, text)
    assert known(images) == ["shop/web:1", "shop/job-1:1"]
    assert [image.place.line for image in images] == [11, 11]


def test_a_nested_stack_is_read_from_its_local_file_with_its_parameters(tmp_path: Path) -> None:
    write(
        tmp_path,
        "child/child.yaml",
        """\
        Parameters: {Tag: {Type: String}}
        Resources:
          F: {Type: AWS::Lambda::Function, Properties: {Code: {ImageUri: !Sub "child:${Tag}"}}}
        Outputs: {Uri: {Value: !Sub "child/other:${Tag}"}}
        """,
    )
    text = """\
        Resources:
          Child:
            Type: AWS::CloudFormation::Stack
            Properties: {TemplateURL: ./child/child.yaml, Parameters: {Tag: "7"}}
          Parent: {Type: AWS::Lambda::Function, Properties: {Code: {ImageUri: !GetAtt Child.Outputs.Uri}}}
          Far: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: "https://s3.amazonaws.com/b/t.yaml"}}
        """
    *images, far = template(tmp_path, text)
    assert known(images) == ["child:7", "child/other:7"]
    assert images[0].place.file == str(tmp_path / "child/child.yaml")
    assert far.missing == "the template of the nested stack Far is not a local file"


def test_templates_that_nest_each_other_end_in_one_line(tmp_path: Path) -> None:
    text = "Resources: {Me: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: template.yaml}}}"
    with pytest.raises(UsageError, match="nested more than 10 levels deep"):
        template(tmp_path, text)


def test_images_that_a_service_provides_are_left_out(tmp_path: Path) -> None:
    text = """\
        Resources:
          A: {Type: AWS::CodeBuild::Project, Properties: {Environment: {Image: "aws/codebuild/standard:7.0"}}}
          B:
            Type: AWS::CodeBuild::Project
            Properties: {Environment: {Image: "own:1", Type: ARM_CONTAINER}}
        """
    (image,) = template(tmp_path, text)
    assert facts(image)[:3] == ("own:1", (), "linux/arm64")


def test_a_template_of_cdk_is_read_as_it_is(tmp_path: Path) -> None:
    uri = {"Fn::Sub": "${AWS::AccountId}.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}/cdk-hnb659fds-container-assets:abc"}
    manifest = [{"kind": "Pod", "spec": {"containers": [{"image": "@"}, {"image": "public.ecr.aws/a/b:1"}]}}]
    before, after = json.dumps(manifest).split("@")
    resources = {
        "Image": {
            "Type": "Custom::ImageVerification",
            "Properties": {"RepositoryUri": {"Fn::Sub": "${AWS::AccountId}.example.com/shop"}, "ImageTag": "def"},
        },
        "Task": {
            "Type": "AWS::ECS::TaskDefinition",
            "Properties": {
                "ContainerDefinitions": [{"Image": uri}, {"Image": {"Fn::GetAtt": ["Image", "ImageUri"]}}],
                "RequiresCompatibilities": ["FARGATE"],
            },
        },
        "Manifest": {
            "Type": "Custom::AWSCDK-EKS-KubernetesResource",
            "Properties": {"Manifest": {"Fn::Join": ["", [before, {"Ref": "Open"}, after]]}},
        },
    }
    text = json.dumps({"Parameters": {"Open": {"Type": "String"}}, "Resources": resources}, indent=1)
    asset, verified, unknown, public = template(tmp_path, text, name="Stack.template.json")
    assert facts(asset)[:3] == (f"{ECR}/cdk-hnb659fds-container-assets:abc", ("fargate",), "linux/amd64")
    assert verified.reference == "111122223333.example.com/shop:def"
    assert text.splitlines()[asset.place.line - 1].strip().startswith('"Image"')
    assert (unknown.missing, unknown.runs_on) == ("only the deploy knows the parameter Open", ("eks",))
    assert facts(public)[:3] == ("public.ecr.aws/a/b:1", ("eks",), None)


BAD = [
    ("Resources: [a]", "it is not a template: it has no Resources"),
    ("a: 1\na: 2\n", ":2: the key a is repeated: remove one of the two"),
    ('{"a": 1, "a": 2}', "the key a is repeated: remove one of the two"),
    ("{'a", "this is not valid JSON"),
    ("a: [1\nb", "this is not valid YAML"),
    ("a: *b", "the alias *b has no anchor &b"),
    ("? [a]\n: b\n", "a key is a list or a mapping: use a text"),
    ("- " * 300 + "a", "it is nested more than 200 levels deep"),
    ("[" * 100_000, "it is nested more than 200 levels deep"),
    ("a", "it is not one mapping"),
    ("a: 1\n---\nb: 2\n", "it is not one mapping"),
    (
        "a0: &a0 ["
        + ",".join("x" * 100)
        + "]\n"
        + "".join(f"a{n}: &a{n} [{','.join(['*a' + str(n - 1)] * 20)}]\n" for n in range(1, 9)),
        "it stands for more than 1,000,000 values",
    ),
    ("Conditions: {A: !Condition B, B: !Condition A}\nResources: {F: {Type: X, Condition: A}}", "in a circle"),
    (
        "Resources:\n  Fn::ForEach::A: [I, " + json.dumps(list(range(10_001))) + ", {'${I}': {Type: T}}]",
        "10,000 resources",
    ),
]


def doubled(levels: int) -> str:
    """A map whose last value stands for a text of 2^levels parts."""
    keys = "".join(
        f"    K{n}: {{V: !Join ['', [!FindInMap [M, K{n - 1}, V], !FindInMap [M, K{n - 1}, V]]]}}\n"
        for n in range(1, levels)
    )
    image = f"{{Code: {{ImageUri: !FindInMap [M, K{levels - 1}, V]}}}}"
    function = f"{{Type: AWS::Lambda::Function, Properties: {image}}}"
    return f"Mappings:\n  M:\n    K0: {{V: a}}\n{keys}Resources:\n  F: {function}\n"


COSTLY = [
    (doubled(30), "its functions stand for more than 1,000,000 values"),
    (
        "Resources:\n  F:\n    Type: AWS::Lambda::Function\n    Properties:\n      Code:\n"
        f"        ImageUri: !Sub ['{'${A}' * 3000}', {{A: {'a' * 3000}}}]\n",
        "Fn::Sub makes a text of more than 4,194,304 characters",
    ),
    (
        "Resources:\n  Fn::ForEach::A:\n  - I\n  - &l [" + ",".join(map(str, range(200))) + "]\n"
        "  - Fn::ForEach::B${I}: [J, *l, {}]\n",
        "its loops make more than 10,000 resources",
    ),
    (
        "Resources:\n"
        + "".join(
            f"  S{n}: {{Type: AWS::CloudFormation::Stack, Properties: {{TemplateURL: template.yaml}}}}\n" for n in "abc"
        ),
        "nested more than 10 levels deep",
    ),
]


@pytest.mark.parametrize(("text", "message"), [*BAD, *COSTLY])
def test_a_file_that_cannot_be_read_is_one_line_with_its_name(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        template(tmp_path, text)
    assert message in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "template.yaml"))
    assert "\n" not in str(error.value)


def test_aliases_and_merged_keys_are_read(tmp_path: Path) -> None:
    text = """\
        Resources:
          A: &task
            Type: AWS::ECS::TaskDefinition
            Properties: &properties
              RequiresCompatibilities: [EC2]
              ContainerDefinitions: [{Image: "a:1"}]
          B:
            <<: *task
            Properties: {<<: *properties, RequiresCompatibilities: [EXTERNAL]}
        """
    a, b = template(tmp_path, text)
    assert (a.runs_on, b.runs_on, b.reference) == (("ecs-ec2",), ("ecs-anywhere",), "a:1")


def test_resources_that_a_transform_adds_are_not_known(tmp_path: Path) -> None:
    text = "Resources:\n  Fn::Transform: {Name: AWS::Include, Parameters: {Location: s3://bucket/more.yaml}}\n"
    (image,) = template(tmp_path, text)
    assert (image.reference, image.place.line) == ("Fn::Transform", 2)
    assert image.missing == "the resources that a transform adds are not known"
    assert "--template-stage Processed" in image.advice


def test_values_that_lack_for_one_reason_have_this_reason_once() -> None:
    advice = "No region is configured. Set AWS_REGION. Pass --set {}=VALUE"
    both = concatenate([Unknown(f"${{{name}}}", f"the value of {name}", advice.format(name)) for name in ("A", "B")])
    assert both == Unknown(
        "${A}${B}",
        "the value of A and the value of B",
        "No region is configured. Set AWS_REGION. Pass --set A=VALUE. Pass --set B=VALUE",
    )
