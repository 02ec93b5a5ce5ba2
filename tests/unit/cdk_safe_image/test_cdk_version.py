"""An aws-cdk-lib that is too old."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import requires, version

from cdk_safe_image.cdk_version import OLDEST


def test_an_old_cdk_is_refused_with_its_version_and_the_one_to_install() -> None:
    app = "import aws_cdk; del aws_cdk.IPropertyInjector; import cdk_safe_image"
    done = subprocess.run([sys.executable, "-c", app], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: cdk-safe-image requires aws-cdk-lib {OLDEST} or later, but {version('aws-cdk-lib')} is "
        "installed: run pip install --upgrade aws-cdk-lib"
    )


def test_the_oldest_cdk_is_the_one_that_the_distribution_requires() -> None:
    (requirement,) = [it for it in requires("cdk-safe-image") or () if it.startswith("aws-cdk-lib")]
    assert f">={OLDEST}" in requirement.split(";")[0]
