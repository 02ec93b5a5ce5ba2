"""How the command answers somebody who mistypes, pipes, waits, or calls it where little is set up."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from image_verifier.image import media_types
from image_verifier.image.model import Platform
from image_verifier.report import Finding, Severity
from image_verifier.rules.names import Names
from image_verifier.rules.remedies import remedy

from safe_image.cli import main
from safe_image.sources.docker_credentials import credentials
from safe_image.sources.targets import TargetResolver
from tests.unit.images import Layout
from tests.unit.registry_server import Answer, serving
from tests.unit.safe_image.sources.test_cloud_assembly import assembly

ZSTD = media_types.DOCKER_LAYER_ZSTD
DOCKER_GZIP = media_types.DOCKER_LAYER_GZIP


def layout(folder: Path, *layer_types: str) -> str:
    made = Layout(folder)
    made.path.mkdir()
    made.source(made.image(layer_types=layer_types or (DOCKER_GZIP,), schema_2=True))
    return f"oci-layout:{folder}"


def run(*arguments: str) -> int:
    try:
        return main(arguments)
    except SystemExit as e:
        return int(e.code or 0)


# Help


def test_the_command_alone_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    alone = capsys.readouterr()
    assert run("--help") == 0
    assert alone.out == capsys.readouterr().out
    assert alone.err == ""


def test_help_of_a_command_is_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("help", "check") == 0
    shown = capsys.readouterr().out
    assert "--max-growth" in shown
    assert run("check", "--help") == 0
    assert capsys.readouterr().out == shown
    assert run("help", "check", "--no-color") == 0
    assert capsys.readouterr().out == shown
    assert run("help", "help") == 0
    assert "usage: safe-image help" in capsys.readouterr().out
    assert run("help", "chekc") == 2
    assert "did you mean check?" in capsys.readouterr().err


# Options of every command


def test_quiet_shows_only_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = layout(tmp_path / "good"), layout(tmp_path / "bad", DOCKER_GZIP, ZSTD)
    assert run("check", "-q", good) == 0
    assert capsys.readouterr().out == ""
    assert run("--quiet", "check", good, bad) == 1
    shown = capsys.readouterr().out
    assert "PASS" not in shown
    assert f"FAIL  {bad}" in shown
    assert shown.endswith("\n2 images: 1 passed, 1 refused (1 error)\n")


def test_verbose_shows_the_requests_and_no_query(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as registry:
        registry.image("app", "v1")
        location = f"http://{registry.host}/v2/app/manifests/v1?X-Amz-Signature=secret"
        registry.answers["/v2/app/manifests/moved"] = Answer(307, b"", {"Location": location})
        assert run("check", "-v", f"{registry.host}/app:v1") == 0
        run("check", "-v", f"{registry.host}/app:moved")
    shown = capsys.readouterr().err
    assert f"safe-image: 200 GET http://{registry.host}/v2/app/manifests/v1\n" in shown
    assert "secret" not in shown


def test_quiet_and_verbose_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "-q", "-v", "shop:1") == 2
    assert "not allowed with argument" in capsys.readouterr().err


def test_several_runtimes_may_share_an_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--runs-on", "fargate, eks", "--runs-on", "batch"]
    assert run("check", layout(tmp_path / "good"), *options) == 0
    assert "linux/amd64 on ECS on Fargate, EKS, " in capsys.readouterr().out
    assert run("check", "shop:1", "--runs-on", "fargate,") == 2
    assert "--runs-on names ''" in capsys.readouterr().err


# Mistyped words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("check", "--acknowledge", "layer-tipe-unsupported=x", "shop:1"), "use layer-type-unsupported"),
        (("check", "--require", "nonroot-user", "shop:1"), "use non-root-user"),
        (("check", "--fail-on", "eror", "shop:1"), "did you mean error? "),
        (("check", "--format", "jsn", "shop:1"), "NAME json"),
        (("runtimes", "fargat"), "use fargate\n"),
        (("explain", "layer-type-unsuported"), "use layer-type-unsupported\n"),
        (("check", "--acknowledge", "foreign=x", "shop:1"), "use layer-foreign\n"),
        (("check", "--acknowledge", "unlike-any=x", "shop:1"), "use one such as "),
    ],
)
def test_a_mistyped_word_gets_the_nearest_and_not_a_list_of_all(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    message = capsys.readouterr().err
    assert words in message
    assert message.count(",") < 4


def test_a_mistyped_prefix_is_named_where_the_reference_cannot_be_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "oci-layot:/build/shop:latest") == 2
    assert "did you mean oci-layout:/build/shop:latest?" in capsys.readouterr().err


def test_a_file_in_a_layout_leads_to_the_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = layout(tmp_path / "shop")
    assert run("check", f"{reference}/index.json") == 2
    assert capsys.readouterr().err.endswith(f"shop/index.json is a file: use {reference}\n")


def test_a_file_whose_name_is_not_a_reference_leads_to_its_prefixes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("Shop.tar").touch()
    assert run("check", "Shop.tar") == 2
    assert capsys.readouterr().err == (
        "safe-image: 'Shop.tar' is not an image reference, but a file: "
        "use docker-archive:Shop.tar or oci-archive:Shop.tar\n"
    )
    assert run("check", "A" * 5000) == 2
    assert "is not a repository's name" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["sha256:abc", f"sha256:{'a' * 64}", f"@sha256:{'a' * 64}", "a" * 64])
def test_a_digest_without_a_repository_is_not_looked_up_in_docker_hub(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", text) == 2
    expected = f"safe-image: '{text}' names no repository: use REPOSITORY@DIGEST, or docker-daemon:ID\n"
    assert capsys.readouterr().err == expected


# Pipes, streams and terminals


def test_an_ascii_terminal_gets_the_commands_own_characters_in_ascii() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "safe_image", "explain", "exec format error"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert "  wrong-architecture - stage: start - to blame: image, task definition\n" in done.stdout


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["help", "check"], ["runtimes"], ["completion", "zsh"]]
)
def test_a_closed_pipe_is_no_error_message(arguments: list[str]) -> None:
    # A shell's pipeline, whose reader ends before the command writes.
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; sys.stdin.read(); from safe_image.cli import main; sys.exit(main())",
            *arguments,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Unbuffered, argparse itself would ignore the error.
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        text=True,
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    process.stdin.close()
    assert process.stderr.read() == ""
    assert process.wait() == 2
    process.stderr.close()


def test_a_report_that_cannot_be_written_does_not_take_the_result_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = layout(tmp_path / "bad", DOCKER_GZIP, ZSTD)
    assert run("check", bad, "--format", "json", "-o", "/dev/full") == 2
    printed = capsys.readouterr()
    assert f"FAIL  {bad}" in printed.out
    assert "No space left on device" in printed.err


def test_a_user_without_a_home_has_no_docker_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("DOCKER_CONFIG")
    monkeypatch.setattr(Path, "home", no_home)
    assert credentials("registry.example.com") is None


@pytest.mark.parametrize("command", ["check", "config"])
def test_a_working_folder_that_was_removed_is_one_line(command: str, tmp_path: Path) -> None:
    image = layout(tmp_path / "image")
    (tmp_path / "gone").mkdir()
    words = shlex.join([sys.executable, "-m", "safe_image", command, *([image] if command == "check" else [])])
    script = f"cd {tmp_path}/gone && rmdir ../gone && {words}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "safe-image: the working folder was removed: change to another folder, or pass --isolated\n"


@pytest.mark.parametrize("reference", ["", " "])
def test_an_empty_reference_is_named_as_such(reference: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", reference) == 2
    assert capsys.readouterr().err == "safe-image: a reference is empty: pass the name of an image\n"


# Cloud assemblies


def test_an_image_that_the_deploy_will_push_leads_to_preflight_and_not_to_a_push() -> None:
    names = Names(reference="…", local_image="cdkasset-abc", repository="assets", assembly="build/cdk.out")
    steps = remedy(Finding("image-missing", Severity.ERROR, "missing", ("fargate",)), names)
    assert steps == (
        "Deploy: CDK builds and pushes the image. To find stale images that it would reuse:",
        "$ safe-image preflight build/cdk.out",
    )


def test_an_image_of_an_assembly_is_called_by_its_construct(tmp_path: Path) -> None:
    destination = {"repositoryName": "assets", "imageTag": "a" * 64, "region": "eu-west-1"}
    folder = assembly(tmp_path / "cdk.out", destination, environment="aws://111122223333/eu-west-1")
    (target,) = TargetResolver().targets(f"cdk.out:{folder}", str(Platform("linux", "amd64")))
    assert target.construct == "Shop/Image"
    assert target.names.assembly == str(folder)


# Comparisons


def test_the_headline_of_a_comparison_names_the_runtime_that_refuses_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    oci = Layout(tmp_path / "oci")
    oci.path.mkdir()
    oci.source(oci.image())
    run("diff", f"oci-layout:{oci.path}", f"oci-layout:{oci.path}")
    headline = capsys.readouterr().out.splitlines()[3]
    assert headline == "SageMaker alone refuses both images, and no finding refuses only the second."


# Imports are most of what the check of an image in a folder costs. None of these has a part in it.
_NOT_FOR_A_FOLDER = frozenset(
    {
        *("rich", "jinja2", "urllib3", "boto3", "botocore", "isal", "ruamel", "aws_cdk"),
        *("difflib", "tomllib", "logging", "concurrent", "queue", "tarfile", "shutil", "secrets", "base64", "textwrap"),
        *("image_verifier.pool", "image_verifier.retry", "image_verifier.layers", "image_verifier.rules.advice"),
        *("image_verifier.rules.remedies", "safe_image.results.redaction", "safe_image.results.pushed_images"),
        *("safe_image.sources.aws_sessions", "safe_image.sources.counted_source", "safe_image.documents"),
    }
)
# Each costs a file and up to a millisecond. An import that is not needed for every image belongs into its function.
_MOST_MODULES = 72


def test_the_check_of_an_image_in_a_folder_imports_only_what_it_needs(tmp_path: Path) -> None:
    program = "import sys; from safe_image.cli import main; main(['check', sys.argv[1]]); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program, layout(tmp_path / "good")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("PASS")
    modules = set(done.stdout.splitlines()[-1].split())
    assert not modules & _NOT_FOR_A_FOLDER
    assert len([name for name in modules if name.startswith(("safe_image", "image_verifier"))]) <= _MOST_MODULES


def test_the_version_is_printed_without_the_verifier() -> None:
    program = (
        "import argparse, sys\n"
        "argparse.ArgumentParser().format_help(); before = set(sys.modules)\n"  # Python 3.14's imports dataclasses
        "from safe_image.cli import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {"image_verifier.policy", "safe_image.results.check_runner", "safe_image.commands.check", "dataclasses"}
    assert not heavy & set(done.stdout.split())
    assert "safe_image.cli" in done.stdout.split()
