"""Stages the Lambda's code: the `image_verifier` package as it is installed, without Docker and without network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import image_verifier
from aws_cdk import Stage
from constructs import Construct


@contextmanager
def verifier_code(scope: Construct) -> Iterator[str]:
    """A folder that holds `image_verifier/**/*.py` and nothing else, for as long as CDK needs it.

    Only sources, so that the asset's hash is the same from a checkout and from a wheel, before and after an
    import has written its `__pycache__`.

    :param scope: the construct whose asset it is.
    """
    if scope.node.try_get_context("aws:cdk:disable-asset-staging"):
        # `cdk synth --no-staging`: nothing is copied, and whoever reads the assembly finds the code here.
        outdir = Stage.of(scope).asset_outdir  # type: ignore[union-attr] # every asset lies in an app
        yield _copy(Path(outdir, "cdk-safe-image"))
        return
    with TemporaryDirectory(prefix="cdk-safe-image-") as folder:
        yield _copy(Path(folder))


def _copy(folder: Path) -> str:
    package = Path(image_verifier.__file__).parent
    for source in package.rglob("*.py"):
        target = folder / package.name / source.relative_to(package)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return str(folder)
