"""The apps of these tests run on the built wheel, and use nothing of the checkout."""

from __future__ import annotations

import subprocess
from pathlib import Path

from local_aws import LocalAws
from local_engines.checkout import ROOT
from tests.deploy.conftest import NewImages, NewJourney

_WHERE = (
    "import cdk_safe_image, image_verifier, sys; print(cdk_safe_image.__file__, image_verifier.__file__, *sys.path)"
)


def test_the_apps_run_on_the_wheel_and_not_on_the_checkout(aws: LocalAws, python: Path) -> None:
    done = subprocess.run([python, "-I", "-c", _WHERE], env=aws.env(), capture_output=True, text=True, check=True)
    own = python.parent.parent
    package, verifier, *path = map(Path, done.stdout.split())
    assert package.is_relative_to(own)
    assert verifier.is_relative_to(own)
    assert [folder for folder in path if folder.is_relative_to(ROOT) and not folder.is_relative_to(own)] == []


def test_two_synths_of_an_app_are_equal_byte_for_byte(new_images: NewImages, new_journey: NewJourney) -> None:
    images, journey = new_images(), new_journey("services")
    context = {"repository": images.name, "images": {"Web": "a", "Worker": "b"}}
    one, two = journey.synth("one", **context), journey.synth("two", **context)
    assert _files(one) == _files(two)


def _files(folder: Path) -> dict[str, bytes]:
    """The files of a cloud assembly that a deploy uses. CDK's reports about the synthesis lie beside them."""
    patterns = ("*.template.json", "*.assets.json", "asset.*.zip")
    found = {pattern: [path for path in folder.glob(pattern) if path.is_file()] for pattern in patterns}
    assert all(found.values())
    return {str(path.relative_to(folder)): path.read_bytes() for paths in found.values() for path in paths}
