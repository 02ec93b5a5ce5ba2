"""ImageVerifier: the Lambda, its role, its code, and that the same inputs make the same template."""

from __future__ import annotations

import compileall
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import image_verifier
import pytest
from aws_cdk import Duration, Size, Token
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk.cx_api import CloudAssembly

from cdk_safe_image import ImageVerifier, SafeDockerImageAsset, staging
from tests.unit.cdk_safe_image.app import new_app, resources, stack_in, strings, the_only

FUNCTION = "AWS::Lambda::Function"
SOURCES = Path(image_verifier.__file__).parent


@pytest.fixture(scope="module")
def assembly(docker_folder: str) -> CloudAssembly:
    app = new_app()
    SafeDockerImageAsset(stack_in(app), "Image", directory=docker_folder)
    return app.synth()


def code_zip(assembly: CloudAssembly) -> Path:
    _, function = the_only(assembly, FUNCTION)
    return Path(assembly.directory, f"asset.{function['Properties']['Code']['S3Key']}")


def test_logical_ids_are_an_interface(assembly: CloudAssembly) -> None:
    """A changed one is a breaking change for the CHANGELOG. The verification's own ends in a hash."""
    names = set(assembly.get_stack_by_name("Demo").template["Resources"])
    assert {name for name in names if not name.startswith("ImageVerification")} == {
        "CdkSafeImageVerifierFunction4E7D03B0",
        "CdkSafeImageVerifierLogs4B03EF82",
        "CdkSafeImageVerifierRoleB19106AA",
        *(name for name in names if name.startswith("CdkSafeImagePermissions")),
    }
    assert len(names) == 5


def test_its_role_may_write_its_own_log_and_nothing_else(assembly: CloudAssembly) -> None:
    _, role = the_only(assembly, "AWS::IAM::Role")
    log_group, group = the_only(assembly, "AWS::Logs::LogGroup")
    (inline,) = role["Properties"]["Policies"]
    assert inline["PolicyDocument"]["Statement"] == [
        {
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Effect": "Allow",
            "Resource": {"Fn::GetAtt": [log_group, "Arn"]},
        }
    ]
    assert "ManagedPolicyArns" not in role["Properties"]
    assert group["Properties"]["RetentionInDays"] == 30
    assert group["DeletionPolicy"] == "Delete"


def test_the_lambda_is_a_plain_zip_of_python_with_limits(assembly: CloudAssembly) -> None:
    _, function = the_only(assembly, FUNCTION)
    properties = function["Properties"]
    assert properties["Runtime"] == "python3.14"
    assert properties["Architectures"] == ["x86_64"]
    assert properties["Handler"] == "image_verifier.entrypoints.custom_resource.handler"
    assert (properties["MemorySize"], properties["Timeout"]) == (512, 300)
    assert not {"Layers", "Environment", "VpcConfig"} & set(properties)
    (verification,) = resources(assembly, "Custom::ImageVerification").values()
    assert verification["Properties"]["ServiceTimeout"] == "360"


def test_the_code_contains_sources_of_the_verifier_and_nothing_else(assembly: CloudAssembly) -> None:
    with zipfile.ZipFile(code_zip(assembly)) as code:
        staged = set(code.namelist())
    assert "image_verifier/entrypoints/custom_resource.py" in staged
    assert staged < {f"image_verifier/{path.relative_to(SOURCES)}" for path in SOURCES.rglob("*.py")}


def test_the_staged_handler_can_be_imported_without_the_rest_of_the_project(assembly: CloudAssembly) -> None:
    archive = code_zip(assembly)
    module = "image_verifier.entrypoints.custom_resource"
    program = f"import sys; sys.path.insert(0, {str(archive)!r}); import {module} as h; print(h.__file__)"
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(archive) in done.stdout


def test_the_temporary_folder_is_empty_afterwards(
    docker_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    SafeDockerImageAsset(stack_in(new_app()), "Image", directory=docker_folder)
    assert list(tmp_path.glob("cdk-safe-image-*")) == []


def test_without_staging_the_code_lies_in_the_assembly(docker_folder: str) -> None:
    app = new_app(**{"aws:cdk:disable-asset-staging": True})
    SafeDockerImageAsset(stack_in(app), "Image", directory=docker_folder)
    assembly = app.synth()
    files = json.loads(Path(assembly.directory, "Demo.assets.json").read_text())["files"]
    (code,) = [Path(path) for file in files.values() if (path := file["source"]["path"]).endswith(".zip")]
    assert code.parent == Path(assembly.directory)
    assert "image_verifier/entrypoints/custom_resource.py" in zipfile.ZipFile(code).namelist()


def staged_name(folder: str, **context: Any) -> str:
    app = new_app(**context)
    SafeDockerImageAsset(stack_in(app), "Image", directory=folder)
    return code_zip(app.synth()).name


def test_the_hash_of_the_code_is_computed_from_its_files_and_not_by_cdk(
    docker_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes of a zip depend on the version of zlib."""
    digest = staging._digest("custom_resource")
    assert staged_name(docker_folder) == f"asset.{hashlib.sha256(digest.encode()).hexdigest()}.zip"
    monkeypatch.setattr(staging, "_files", lambda _: {"image_verifier/other.py": b"other = 1"})
    staging._digest.cache_clear()
    assert staging._digest("custom_resource") != digest
    staging._digest.cache_clear()


def test_the_salt_for_assets_gives_the_code_another_hash(docker_folder: str) -> None:
    salted = staged_name(docker_folder, **{"@aws-cdk/core:assetHashSalt": "salt"})
    assert salted != staged_name(docker_folder)


_SYNTH = """
import json, sys
from aws_cdk import App, Stack
import image_verifier
from cdk_safe_image import SafeDockerImageAsset
print(image_verifier.__file__)
app = App(analytics_reporting=False, outdir=sys.argv[2])
SafeDockerImageAsset(Stack(app, "Demo"), "Image", directory=sys.argv[1])
print(json.dumps(app.synth().get_stack_by_name("Demo").template))
"""


def test_a_synth_in_another_process_without_pycache_makes_the_same_template(
    assembly: CloudAssembly, docker_folder: str, tmp_path: Path
) -> None:
    """The other process imports copied sources without `__pycache__`; this one has imported the originals."""
    shutil.copytree(SOURCES, tmp_path / SOURCES.name, ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(SOURCES, quiet=1)
    assert list(SOURCES.rglob("*.pyc"))
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-B", "-c", _SYNTH, docker_folder, str(tmp_path / "cdk.out")],
        env=os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    where, template = done.stdout.splitlines()
    assert where.startswith(str(tmp_path))
    assert not list(tmp_path.rglob("*.pyc"))
    assert json.loads(template) == assembly.get_stack_by_name("Demo").template


def test_nothing_of_this_machine_is_in_the_template(assembly: CloudAssembly, docker_folder: str) -> None:
    texts = set(strings(assembly.get_stack_by_name("Demo").template))
    for place in (str(SOURCES), docker_folder, str(Path.cwd()), assembly.directory, "/tmp"):
        assert not [text for text in texts if place in text]


def test_changed_settings_keep_the_logical_id(docker_folder: str) -> None:
    def function(**keywords: Any) -> tuple[str, dict[str, Any]]:
        app = new_app()
        stack = stack_in(app)
        ImageVerifier(stack, "Verifier", **keywords)
        name, resource = the_only(app.synth(), FUNCTION)
        return name, resource["Properties"]

    name, properties = function(
        architecture=lambda_.Architecture.ARM_64,
        log_retention=logs.RetentionDays.ONE_DAY,
        memory_size=1024,
        runtime=lambda_.Runtime.PYTHON_3_13,
        timeout=Duration.minutes(10),
    )
    assert name == function()[0]
    assert properties["Architectures"] == ["arm64"]
    assert (properties["Runtime"], properties["MemorySize"], properties["Timeout"]) == ("python3.13", 1024, 600)


def test_the_lambda_uses_the_users_log_group() -> None:
    app = new_app()
    stack = stack_in(app)
    ImageVerifier(stack, "Verifier", log_group=logs.LogGroup(stack, "Mine"))
    assembly = app.synth()
    name, _ = the_only(assembly, "AWS::Logs::LogGroup")
    assert the_only(assembly, FUNCTION)[1]["Properties"]["LoggingConfig"] == {"LogGroup": {"Ref": name}}


def test_service_timeout_follows_the_verifiers_timeout(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    verifier = ImageVerifier(stack, "Verifier", timeout=Duration.minutes(10))
    SafeDockerImageAsset(stack, "Image", directory=docker_folder, verifier=verifier)
    (verification,) = resources(app.synth(), "Custom::ImageVerification").values()
    assert verification["Properties"]["ServiceTimeout"] == "660"


def _settings(*images: dict[str, Any], folder: str, **verifier: Any) -> tuple[Any, Any, list[str]]:
    """The Lambda's memory and timeout, and the service timeouts, of a stack with these images."""
    app = new_app()
    stack = stack_in(app)
    own = ImageVerifier(stack, "Verifier", **verifier) if verifier else None
    for number, keywords in enumerate(images):
        SafeDockerImageAsset(stack, f"Image{number}", directory=folder, **keywords, verifier=own)
    assembly = app.synth()
    properties = the_only(assembly, FUNCTION)[1]["Properties"]
    timeouts = [it["Properties"]["ServiceTimeout"] for it in resources(assembly, "Custom::ImageVerification").values()]
    return properties["MemorySize"], properties["Timeout"], sorted(timeouts)


@pytest.mark.parametrize(
    ("max_size", "seconds"),
    [(Size.mebibytes(100), 306), (Size.gibibytes(2), 408), (Size.gibibytes(10), 837), (Size.gibibytes(50), 900)],
)
def test_verify_layers_gives_the_verifier_a_processor_and_time_for_the_largest_image(
    docker_folder: str, max_size: Size, seconds: int
) -> None:
    settings = _settings({"verify_layers": True, "max_size": max_size}, folder=docker_folder)
    assert settings == (1769, seconds, [str(seconds + 60)])


def test_verify_layers_without_max_size_gives_the_verifier_the_longest_timeout(docker_folder: str) -> None:
    assert _settings({"verify_layers": True}, folder=docker_folder) == (1769, 900, ["960"])


@pytest.mark.parametrize("order", [1, -1])
def test_the_needs_of_one_image_change_no_other_images_verification(docker_folder: str, order: int) -> None:
    reading = {"verify_layers": True, "max_size": Size.gibibytes(2)}
    assert _settings(*[reading, {}][::order], folder=docker_folder) == (1769, 408, ["360", "468"])


def test_the_users_own_settings_are_kept(docker_folder: str) -> None:
    mine = {"memory_size": 3008, "timeout": Duration.minutes(2)}
    assert _settings({"verify_layers": True}, folder=docker_folder, **mine) == (3008, 120, ["180"])


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"runtime": lambda_.Runtime.NODEJS_22_X}, "runtime is nodejs22.x: use a Python runtime, such as python3.14"),
        ({"timeout": Duration.minutes(16)}, "timeout is 16 minutes: use 15 seconds to 15 minutes"),
        ({"timeout": Duration.seconds(Token.as_number({"Ref": "Seconds"}))}, "timeout is only known at deploy"),
        ({"timeout": Duration.seconds(10)}, "timeout is 10 seconds: use 15 seconds to 15 minutes"),
        ({"timeout": 300}, "timeout is 300: use a duration, such as Duration.minutes(10)"),
        ({"memory_size": "512"}, "memory_size is '512': use a number of MiB, such as 512"),
        ({"runtime": "python3.13"}, "runtime is 'python3.13': use a Python runtime, such as lambda_.Runtime."),
        ({"architecture": "arm64"}, "architecture is 'arm64': use an architecture, such as lambda_.Architecture."),
        ({"vpc": "vpc-1"}, "vpc is 'vpc-1': use a VPC, such as ec2.Vpc.from_lookup("),
        ({"role": "verifier"}, "role is 'verifier': use a role, such as iam.Role.from_role_arn("),
        ({"log_group": "/logs"}, "log_group is '/logs': use a log group, such as logs.LogGroup.from_log_group_name("),
        ({"encryption_key": "alias/a"}, "encryption_key is 'alias/a': use a key, such as kms.Key.from_key_arn("),
        ({"dead_letter_queue": "dead"}, "dead_letter_queue is 'dead': use a queue, such as sqs.Queue("),
        ({"permissions_boundary": "b"}, "permissions_boundary is 'b': use a policy, such as iam.ManagedPolicy."),
        ({"security_groups": ["sg-1"]}, "security_groups is ['sg-1']: use a list of security groups"),
    ],
)
def test_settings_that_lambda_does_not_accept_are_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"^Demo/Verifier") as refused:
        ImageVerifier(stack_in(new_app()), "Verifier", **keywords)
    assert message in str(refused.value)


def test_a_log_group_and_a_retention_contradict_each_other() -> None:
    stack = stack_in(new_app())
    with pytest.raises(ValueError, match=r"^Demo/Verifier: log_retention is for its own log group"):
        ImageVerifier(stack, "Verifier", log_group=logs.LogGroup(stack, "L"), log_retention=logs.RetentionDays.ONE_DAY)
