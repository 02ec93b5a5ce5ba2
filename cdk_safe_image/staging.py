"""Stages the Lambda's code: the `image_verifier` package as it is installed, without Docker and without network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import image_verifier


@contextmanager
def verifier_code() -> Iterator[str]:
    """A temporary folder that holds `image_verifier/**/*.py` and nothing else.

    Only sources, so that the asset's hash is the same from a checkout and from a wheel, before and after an
    import has written its `__pycache__`.
    """
    package = Path(image_verifier.__file__).parent
    with TemporaryDirectory(prefix="cdk-safe-image-") as folder:
        for source in package.rglob("*.py"):
            target = Path(folder, package.name, source.relative_to(package))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        yield folder
