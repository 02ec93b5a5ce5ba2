"""Every command of docs/provenance.md runs with the real tools, and the attached documents can be read again."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_aws import LocalAws
from local_aws.toolchain import install, install_aws_cli
from local_engines import debian
from local_engines.checkout import ROOT
from local_engines.dockerd import DockerEngine

PAGE = (ROOT / "docs" / "provenance.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REPOSITORY = "shop"
STACK = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}, "Outputs": {"ImageUri": {}}}


# The command that writes the SBOM downloads 340 MB. Its place is taken by a file, but in `make provenance`.
GENERATOR = "npx "
NPX = """#!/bin/sh
exec {node} {npm}/bin/npx-cli.js "$@"
"""


def commands() -> list[str]:
    """The commands of the page, in its order."""
    return [line[2:] for block in BLOCK.findall(PAGE) for line in block.splitlines() if line.startswith("$ ")]


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    with DockerEngine.start(store="containerd", own=True) as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's folder, with the sources of an image and an SBOM."""
    folder = tmp_path_factory.mktemp("user")
    service = folder / "service"
    service.mkdir()
    shutil.copy(debian.unpacked("bookworm", ("busybox-static",)) / "bin" / "busybox", service)
    (service / "package.json").write_text('{"name": "shop", "version": "1.4.0"}')
    steps = ("FROM scratch", "COPY busybox /bin/busybox", "COPY package.json /srv/", 'CMD ["/bin/busybox"]')
    (service / "Dockerfile").write_text("\n".join(steps))
    return folder


@pytest.fixture(scope="module")
def environment(aws: LocalAws, engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A user's shell: the page's tools on its PATH, and the password of the new key."""
    node = install().node_bin
    npx = tmp_path_factory.mktemp("bin") / "npx"
    npx.write_text(NPX.format(node=node / "node", npm=node.parent / "lib" / "node_modules" / "npm"))
    npx.chmod(0o755)
    tools = [str(debian.unpacked("sid", (name,)) / "usr" / "bin") for name in ("oras", "cosign")]
    own = [
        str(npx.parent),
        str(node),
        str(install_aws_cli()),
        str(engine.client.parent),
        str(Path(sys.executable).parent),
    ]
    path = os.pathsep.join([*tools, *own, os.environ["PATH"]])
    return {**os.environ, **aws.env(), **engine.env(), "PATH": path, "COSIGN_PASSWORD": "secret"}


@pytest.fixture(scope="module")
def image(aws: LocalAws, engine: DockerEngine, folder: Path, environment: dict[str, str]) -> str:
    """An image that was built as the constructs build it, and deployed by the stack `Shop`."""
    aws.client("ecr").create_repository(repositoryName=REPOSITORY, imageTagMutability="IMMUTABLE")
    name = f"{aws.registry}/{REPOSITORY}"
    output = "type=docker,attestation-inline=false,oci-mediatypes=true"
    password = subprocess.run(["aws", "ecr", "get-login-password"], env=environment, capture_output=True, check=True)
    engine.docker("login", "--username=AWS", "--password-stdin", aws.registry, stdin=password.stdout)
    engine.docker("build", f"--output={output}", f"--tag={name}:1.4", str(folder / "service"))
    engine.docker("push", f"{name}:1.4")
    found = aws.client("ecr").describe_images(repositoryName=REPOSITORY, imageIds=[{"imageTag": "1.4"}])
    uri = f"{name}@{found['imageDetails'][0]['imageDigest']}"
    template = json.dumps({**STACK, "Outputs": {"ImageUri": {"Value": uri}}})
    client = aws.client("cloudformation")
    client.create_stack(StackName="Shop", TemplateBody=template)
    client.get_waiter("stack_create_complete").wait(StackName="Shop", WaiterConfig={"Delay": 1})
    return uri


@pytest.fixture(scope="module", params=["sample", pytest.param("every", marks=pytest.mark.exhaustive)])
def output(image: str, folder: Path, environment: dict[str, str], request: pytest.FixtureRequest) -> str:
    """The output of all commands of the page, after each has succeeded."""
    every = commands()
    if request.param == "sample":
        every.remove(next(command for command in every if command.startswith(GENERATOR)))
        (folder / "sbom.cdx.json").write_text('{"bomFormat": "CycloneDX", "components": [{"name": "shop"}]}')
    script = "\n".join(["set -e -o pipefail", *every])
    done = subprocess.run(
        ["bash", "-c", script],
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_provenance_is_signed_for_the_digest_of_the_image(output: str, image: str, folder: Path) -> None:
    envelope = json.loads((folder / "provenance.dsse.json").read_text())
    statement = json.loads(base64.b64decode(envelope["payload"]))
    assert [f"sha256:{subject['digest']['sha256']}" for subject in statement["subject"]] == [image.partition("@")[2]]
    assert statement["predicate"] == json.loads((folder / "provenance.json").read_text())
    assert statement["predicate"]["invocation"]["configSource"] == {"entryPoint": "Dockerfile"}


def test_the_sbom_is_found_by_the_image_and_pulled_again(output: str, folder: Path) -> None:
    sbom = (folder / "sbom" / "sbom.cdx.json").read_bytes()
    assert sbom == (folder / "sbom.cdx.json").read_bytes()
    assert "shop" in {component["name"] for component in json.loads(sbom)["components"]}, "the package in the image"


def test_the_image_has_neither_changed_nor_become_an_index(
    output: str, image: str, aws: LocalAws, environment: dict[str, str]
) -> None:
    details = aws.client("ecr").describe_images(repositoryName=REPOSITORY)["imageDetails"]
    tagged = [detail for detail in details if detail.get("imageTags")]
    assert [(detail["imageTags"], detail["imageDigest"]) for detail in tagged] == [(["1.4"], image.partition("@")[2])]
    assert tagged[0]["imageManifestMediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert {detail["subjectManifestDigest"] for detail in details if detail not in tagged} == {image.partition("@")[2]}
    assert output.count("1 image: 1 passed") == 1, "check reads the image"
    audit = [sys.executable, "-m", "safe_image", "audit", REPOSITORY]
    done = subprocess.run(audit, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("1 image: 1 passed\n"), "audit does not count the documents"
