"""`make image`: build the command as an image for amd64 and arm64, and let the command itself check both."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from typing import Final

from local_engines import base_images
from local_engines.checkout import ROOT
from local_engines.dockerd import DockerEngine
from release.image.tree import MACHINES, make_tree

_FOLDER: Final = ROOT / "release" / "image"
_TREES: Final = ROOT / "dist" / "image"
_NAME: Final = "safe-image"
# Every runtime can unpack gzip; the layers of a base image may have another compression.
_OUTPUT: Final = "--output=type=image,oci-mediatypes=true,compression=gzip,force-compression=true"
_DEBIAN: Final = base_images.BaseImage(name="plain-python", packages=("python3",), command="python3")


def build(engine: DockerEngine, architecture: str, base: str) -> str:
    """Build the image for one processor, and return its name in the engine.

    :param engine: the engine.
    :param architecture: amd64 or arm64.
    :param base: the base image; empty for the Dockerfile's own.
    """
    make_tree(_TREES / architecture, architecture)
    name = f"{_NAME}:{architecture}"
    bases = [f"--build-arg=BASE={base}"] * bool(base)
    engine.docker(
        "build", "--quiet", f"--platform=linux/{architecture}", f"--build-arg=TARGETARCH={architecture}", *bases,
        _OUTPUT, f"--file={_FOLDER / 'Dockerfile'}", f"--tag={name}", str(_TREES),
        # An attestation beside the image is for the release's registry, and not for the check.
        env={"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"},
    )  # fmt: skip
    return name


def check(engine: DockerEngine, name: str, architecture: str) -> subprocess.CompletedProcess[str]:
    """Check an image of the command by the command of this checkout."""
    return subprocess.run(
        [
            sys.executable, "-m", "safe_image", "check", "--layers", "--isolated", "--require=non-root-user",
            f"--platform=linux/{architecture}", "--runs-on=fargate", "--runs-on=eks", f"docker-daemon:{name}",
        ],
        env={**os.environ, **engine.env()}, cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip


def main() -> int:
    """Build and check; 1 where an image is refused, or does not run."""
    parser = argparse.ArgumentParser(description="Build the image of the command.")
    parser.add_argument("--debian-base", action="store_true", help="make the base image of Debian's packages")
    debian = parser.parse_args().debian_base
    failed = False
    with DockerEngine.start() as engine:
        for architecture in MACHINES:
            base = base_images.provide(engine, _DEBIAN, architecture) if debian else ""
            name = build(engine, architecture, base)
            checked = check(engine, name, architecture)
            print(checked.stdout + checked.stderr, flush=True)
            failed = failed or checked.returncode != 0
        print(engine.docker("run", "--rm", "--read-only", f"{_NAME}:amd64", "--version"), end="")
        print(_checks_a_folder(engine), end="")
    shutil.rmtree(_TREES, ignore_errors=True)
    return int(failed)


def _checks_a_folder(engine: DockerEngine) -> str:
    """The output of the image that checks the example image, without network and without a file system to write to."""
    mount = f"--volume={ROOT / 'examples'}:/work:ro"
    options = ["--rm", "--read-only", "--network=none", mount]
    return engine.docker("run", *options, f"{_NAME}:amd64", "check", "oci-archive:broken-image.tar", "--fail-on=never")


if __name__ == "__main__":
    sys.exit(main())
