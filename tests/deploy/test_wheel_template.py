"""The template is the same from the wheel and from the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from local_aws import LocalAws
from local_engines.checkout import ROOT

_SYNTH = """
import json, sys
from aws_cdk import App, Stack
import image_verifier
from cdk_safe_image import SafeDockerImageAsset

app = App(analytics_reporting=False, outdir=sys.argv[2])
SafeDockerImageAsset(Stack(app, "Demo"), "Image", directory=sys.argv[1])
print(json.dumps({"from": image_verifier.__file__, "template": app.synth().get_stack_by_name("Demo").template}))
"""


def _synth(python: Path, *flags: str, aws: LocalAws, image: Path, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    command = [str(python), *flags, "-c", _SYNTH, str(image), str(folder / "cdk.out")]
    done = subprocess.run(
        command, cwd=folder, env=aws.env(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_the_wheel_and_the_checkout_make_the_same_template(aws: LocalAws, python: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.mkdir()
    (image / "Dockerfile").write_text("FROM scratch\n")
    wheel = _synth(python, "-I", aws=aws, image=image, folder=tmp_path / "wheel")
    checkout = _synth(Path(sys.executable), aws=aws, image=image, folder=tmp_path / "checkout")
    assert Path(checkout["from"]).is_relative_to(ROOT / "lambda")
    assert not Path(wheel["from"]).is_relative_to(ROOT / "lambda")
    assert wheel["template"] == checkout["template"]
