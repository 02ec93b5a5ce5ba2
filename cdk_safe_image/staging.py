"""Stages the Lambda's code: the installed `image_verifier` package, without Docker and without network."""

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
    """A folder that contains `image_verifier/**/*.py` and nothing else, for as long as CDK needs it.

    It contains only sources, so that the asset's hash is the same from a checkout and from a wheel, before and after
    Python writes `__pycache__`.

    :param scope: the construct that the asset belongs to.
    """
    if scope.node.try_get_context("aws:cdk:disable-asset-staging"):
        # `cdk synth --no-staging`: CDK copies nothing, and tools that read the assembly expect the code here.
        outdir = Stage.of(scope).asset_outdir  # type: ignore[union-attr] # every asset belongs to an app
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
