"""Images made after public reports: each is refused or passed as the report says, healthy shapes among them.

`reported.tar.xz` holds an OCI layout for each, and `cases.json` with the runtimes, the platform and the truth.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.report import Report
from image_verifier.verify import verify

from safe_image.sources.oci_layout import LayoutFolder, OciLayout

ARCHIVE: Final = Path(__file__).with_name("reported.tar.xz")
# The errors of each broken image by runtime, with its layers; every other image and runtime has none.
ERRORS: Final[Mapping[str, Mapping[str, str]]] = {
    "localproxy-128-entrypoint-is-a-folder": {
        "fargate": "entrypoint-not-executable",
        "ecs-ec2": "entrypoint-not-executable",
    },
    "chainloop-3324-arm64-label-amd64-binary": {
        "eks": "entrypoint-wrong-machine",
        "fargate": "entrypoint-wrong-machine",
    },
    "atmos-2931-arm64-label-amd64-userland-sh-cmd": {
        "eks": "entrypoint-wrong-machine",
        "fargate": "entrypoint-wrong-machine",
    },
    "techtospeech-6-crlf": {"fargate": "interpreter-missing", "ecs-ec2": "interpreter-missing"},
    "crlf-env-shebang": {"fargate": "interpreter-missing"},
    "relay-71-arm64-only-index": {"fargate": "platform-missing", "batch": "platform-missing"},
    # A registry that accepts the push serves it, and only dockerd's classic store compares the two types.
    "kaniko-160-docker-type-oci-body": {"ecs-ec2": "manifest-type-mismatch"},
    "kaniko-2883-oci-manifest-docker-layers": {"sagemaker": "manifest-type-refused"},
    "alex-43-lambda-index-with-attestation": {"lambda": "index-not-taken"},
    "buildkit-5480-docker-desktop-oci-for-sagemaker": {"sagemaker": "index-not-taken"},
    "lambda-mode-entry-0700": {"lambda": "entrypoint-closed"},
    "roadmap-876-cache-manifest-without-layers": {"fargate": "not-an-image"},
}
# What an image cannot show: these fail for the arguments or the mounts of the task.
OUTSIDE_OF_THE_IMAGE: Final = frozenset(
    {"jenkins-258-no-entrypoint-args-as-command", "moby-runc-4991-symlinked-mount-point"}
)
# Images with a warning: what they do decides whether they fail.
WARNINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "flox-4178-etc-passwd-absolute-links": {"fargate": "passwd-link-absolute", "eks": "passwd-link-absolute"},
    "nix2container-98-etc-is-a-link": {"fargate": "etc-is-link", "eks": "passwd-link-absolute"},
    "lambda-workdir-0700": {"lambda": "working-dir-closed"},
    "tf-lambda-301-modes-0000": {"lambda": "code-unreadable"},
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reported")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder / "images"


def _cases() -> Mapping[str, Mapping[str, Any]]:
    with tarfile.open(ARCHIVE) as archive:
        file = archive.extractfile("images/cases.json")
        assert file
        found: dict[str, Mapping[str, Any]] = json.load(file)
        return found


def _report(images: Path, name: str, case: Mapping[str, Any]) -> Report:
    policy = Policy(tuple(case["runs_on"]), Platform.parse(case["platform"]), verify_layers=True)
    return verify(OciLayout(LayoutFolder(images / name)), policy)


@pytest.mark.parametrize(("name", "case"), _cases().items(), ids=_cases())
def test_a_reported_image_is_refused_for_what_was_reported_and_a_healthy_one_passes(
    images: Path, name: str, case: Mapping[str, Any]
) -> None:
    report = _report(images, name, case)
    errors = report.errors
    by_runtime = {runtime: [f.id for f in errors if runtime in f.runs_on] for runtime in case["runs_on"]}
    for runtime, ids in by_runtime.items():
        expected = ERRORS.get(name, {}).get(runtime)
        assert (ids[:1] == [expected]) if expected else (ids == []), runtime
    for runtime, expected in WARNINGS.get(name, {}).items():
        assert expected in {f.id for f in report.findings if runtime in f.runs_on}


def test_the_reported_images_are_all_accounted_for() -> None:
    assert len(_cases()) == 28
    assert set(ERRORS) | OUTSIDE_OF_THE_IMAGE | set(WARNINGS) <= set(_cases())
