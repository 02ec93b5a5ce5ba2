"""`doctor` and `preflight` with a real Docker that leaves tags on attestations, and with the classic image store."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_aws import ACCOUNT, REGION, LocalAws
from local_engines import debian
from local_engines.dockerd import DockerEngine
from tests.pushing import push
from tests.unit.images import Layout
from tests.unit.safe_image.sources.test_cloud_assembly import assembly

HASH = "cd" * 32
TWIN = f"cdkasset-{HASH}"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("context")
    shutil.copy(debian.unpacked("bookworm", ("busybox-static",)) / "bin" / "busybox", folder)
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY busybox /bin/busybox\nCMD ["/bin/busybox"]\n')
    return folder


@pytest.fixture(scope="module")
def old() -> Iterator[DockerEngine]:
    """Docker 26.1, which has the tag race, with containerd's image store."""
    with DockerEngine.start(store="containerd", suites=("trixie",), own=True) as engine:
        yield engine


@pytest.fixture(scope="module")
def classic() -> Iterator[DockerEngine]:
    """The same Docker with the classic image store."""
    with DockerEngine.start(store="classic", suites=("trixie",), own=True) as engine:
        yield engine


def run(environment: dict[str, str], folder: Path, *arguments: str) -> dict[str, Any]:
    """Run the command in a folder. Returns its report, with the exit code as `exit`."""
    command = [sys.executable, "-m", "safe_image", *arguments, "--format", "json"]
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return {"exit": done.returncode, **json.loads(done.stdout)}


def lines(report: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {line["subject"]: (line["status"], line["message"]) for line in report["lines"]}


def kept(engine: DockerEngine, context: Path, *arguments: str) -> None:
    """Build an image under the tag that CDK uses locally."""
    engine.docker("build", "--quiet", "--tag", TWIN, *arguments, str(context))


def published(aws: LocalAws, folder: Path) -> Path:
    """An assembly with one image, and its empty repository."""
    repository = f"engines-{folder.name}".lower()
    aws.client("ecr").create_repository(repositoryName=repository)
    destination = {"repositoryName": repository, "imageTag": HASH}
    out = assembly(folder / "cdk.out", destination, source={"directory": "asset", "platform": "linux/amd64"})
    manifest = out / "Shop.assets.json"
    manifest.write_text(manifest.read_text().replace("ab" * 32, HASH))
    return out


def test_doctor_reports_a_docker_that_leaves_tags_on_attestations_and_the_images_that_it_built(
    aws: LocalAws, old: DockerEngine, context: Path, tmp_path: Path
) -> None:
    kept(old, context, "--provenance=true")
    report = run({**aws.env(), **old.env()}, tmp_path, "doctor", "--offline")
    found = lines(report)
    assert report["exit"] == 1
    assert found["engine"][0] == "error"
    assert f"Docker {old.version} with containerd's image store pushes a build's attestation" in found["engine"][1]
    assert found["images that CDK keeps here"] == (
        "error",
        f"1 of 1 may have an attestation, and CDK pushes them again without a build: {TWIN[:21]}…",
    )
    old.docker("image", "rm", TWIN)


def test_preflight_finds_an_attestation_that_docker_does_not_list(
    aws: LocalAws, old: DockerEngine, context: Path, tmp_path: Path
) -> None:
    out = published(aws, tmp_path)
    for argument, expected in (("--provenance=true", (1, "stale")), ("--provenance=false", (0, "kept"))):
        kept(old, context, argument)
        report = run({**aws.env(), **old.env()}, tmp_path, "preflight", str(out))
        assert (report["exit"], report["images"][0]["state"]) == expected, report
    kept(old, context, "--provenance=true")
    assert run({**aws.env(), **old.env()}, tmp_path, "preflight", str(out), "--fix")["exit"] == 0
    assert not old.docker("image", "ls", "--quiet", TWIN).strip()


def test_the_classic_store_and_its_images_have_no_finding(
    aws: LocalAws, classic: DockerEngine, context: Path, tmp_path: Path
) -> None:
    kept(classic, context)
    report = run({**aws.env(), **classic.env()}, tmp_path, "doctor", "--offline")
    found = lines(report)
    assert report["exit"] == 0
    assert found["engine"] == ("ok", f"Docker {classic.version} with the classic image store")
    assert found["images that CDK keeps here"] == ("ok", "1, none with an attestation")
    out = published(aws, tmp_path)
    report = run({**aws.env(), **classic.env()}, tmp_path, "preflight", str(out))
    assert (report["exit"], report["images"][0]["state"]) == (0, "kept"), report
    assert report["images"][0]["repository"].startswith("engines-")
    classic.docker("image", "rm", TWIN)


def test_an_unverified_image_is_checked_for_its_known_platform(aws: LocalAws, tmp_path: Path) -> None:
    repository = "engines-unverified"
    aws.client("ecr").create_repository(repositoryName=repository)
    (tmp_path / "layout").mkdir()
    layout = Layout(tmp_path / "layout")
    layout.source(layout.image(config={"architecture": "arm64"}))
    push(aws, layout.path, repository, HASH)
    destination = {"repositoryName": repository, "imageTag": HASH}
    for platform, state in (("", "pushed"), ("linux/arm64", "pushed"), ("linux/amd64", "broken")):
        out = assembly(tmp_path / f"out{platform}", destination, source={"directory": "asset", "platform": platform})
        report = run({**aws.env(), "CDK_DOCKER": "docker-that-is-not"}, tmp_path, "preflight", str(out))
        assert report["images"][0]["state"] == state, report
    assert [finding["id"] for finding in report["images"][0]["findings"]] == ["platform-mismatch"]


def test_a_repository_that_the_deploy_will_create_is_not_a_finding(aws: LocalAws, tmp_path: Path) -> None:
    command = {"executable": ["sh", "-c", "docker load"]}
    for source, words in (({"directory": "asset"}, "will build it"), (command, "will run its command")):
        out = assembly(tmp_path / words, {"repositoryName": "engines-to-be", "imageTag": HASH}, source=source)
        report = run({**aws.env(), "CDK_DOCKER": "docker-that-is-not"}, tmp_path, "preflight", str(out))
        assert (report["exit"], report["images"][0]["state"]) == (0, "absent"), report
        assert report["images"][0]["message"].endswith(words)


def test_a_role_that_cannot_be_assumed_is_not_needed_in_the_callers_own_account(
    secured: LocalAws, tmp_path: Path
) -> None:
    """In another account the role is needed: exit code 2, with the role's name."""
    repository = "engines-role"
    secured.client("ecr").create_repository(repositoryName=repository)
    for account, state in ((ACCOUNT, "absent"), ("111122223333", "unknown")):
        role = f"arn:aws:iam::{account}:role/there-is-none"
        destination = {"repositoryName": repository, "imageTag": HASH, "region": REGION, "assumeRoleArn": role}
        out = assembly(tmp_path / account, destination)
        report = run({**secured.env(), "CDK_DOCKER": "docker-that-is-not"}, tmp_path, "preflight", str(out))
        (image,) = report["images"]
        assert image["state"] == state, image
        assert report["exit"] == (2 if state == "unknown" else 0)
        assert state == "absent" or role in image["message"]
