"""Base images where no registry can be reached: Debian's packages, unpacked, as one zstd layer.

They stand in for the images that the example's Dockerfiles name. No maintainer script runs, so what such a script
would have left behind, and the programs need, is written here.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from local_engines import debian
from local_engines.checkout import LOCAL
from local_engines.dockerd import DockerEngine

_SUITE = "trixie"
_REPOSITORY = "cdk-safe-image/base"
_COMMON = (
    "base-files", "base-passwd", "bash", "ca-certificates", "coreutils", "dash", "findutils", "grep", "gzip",
    "hostname", "libc-bin", "media-types", "netbase", "sed", "tar", "tzdata",
)  # fmt: skip
_LIBRARIES = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
_MERGED = ("bin", "lib", "lib64", "sbin")
# What slim images leave out too.
_LEFT_OUT = ("./usr/share/doc/*", "./usr/share/man/*", "./usr/share/locale/*", "./usr/share/info/*")


class BaseImageError(RuntimeError):
    """A base image cannot be made; the message says which step failed."""


@dataclass(frozen=True)
class BaseImage:
    """What is in a base image.

    `links` are symbolic links as {path: target}, such as a package's own script would make; `{libraries}` in a
    path is the architecture's folder of libraries.
    """

    name: str
    packages: tuple[str, ...]
    command: str
    links: dict[str, str] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """The image's name in the engine. It changes with the content, so that a stale one is never used."""
        recipe = repr((_SUITE, _COMMON, _LEFT_OUT, self))
        return f"{_REPOSITORY}:{self.name}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


PYTHON = BaseImage(
    name="python",
    packages=("python3", "python3-pil", "python3-sklearn", "libblas3", "liblapack3"),
    command="python3",
    links={
        "usr/local/bin/python": "/usr/bin/python3",
        # update-alternatives makes these two.
        "usr/lib/{libraries}/libblas.so.3": "blas/libblas.so.3",
        "usr/lib/{libraries}/liblapack.so.3": "lapack/liblapack.so.3",
    },
)
"""Python 3 with scikit-learn and Pillow, which *autotag* needs."""

NODE = BaseImage(name="node", packages=("nodejs", "tesseract-ocr", "tesseract-ocr-all"), command="node")
"""Node with Tesseract and its languages, which *alt-text* needs."""


def provide(engine: DockerEngine, base: BaseImage, architecture: str = "amd64") -> str:
    """Make `base` an image of `engine`, and return its name there.

    Parameters
        architecture: amd64 or arm64; no program of it is run, so that no emulation is needed.

    The layer is fetched and packed once and kept under `.local/`. Raises `BaseImageError`, `DebianError` or
    `EngineError`.
    """
    reference = f"{base.reference}-{architecture}"
    if reference not in engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split():
        engine.docker(
            "import", f"--platform=linux/{architecture}",
            "--change=ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "--change=ENV LANG=C.UTF-8",
            f'--change=CMD ["{base.command}"]',
            str(_layer(base, architecture)), reference,
        )  # fmt: skip
    return reference


def _layer(base: BaseImage, architecture: str) -> Path:
    """The base's file system as a tar with zstd: the compression that Docker then keeps as it is."""
    packed = LOCAL / "base-images" / f"{base.reference.rpartition(':')[2]}-{architecture}.tar.zst"
    with debian.locked(packed.with_suffix(".lock")):
        if not packed.exists():
            with tempfile.TemporaryDirectory(dir=packed.parent, prefix=f"{base.name}-") as work:
                tree = Path(work) / "tree"
                debs = debian.downloaded_with_dependencies(
                    _SUITE, [*_COMMON, *base.packages], Path(work) / "debs", architecture
                )
                _unpack(debs, tree)
                _configure(tree, base, architecture)
                fresh = Path(work) / "layer"
                _pack(tree, fresh)
                fresh.rename(packed)
    return packed


def _unpack(debs: list[Path], tree: Path) -> None:
    for folder in _MERGED:  # Debian's packages count on these links, which no package's files bring
        (tree / "usr" / folder).mkdir(parents=True)
        (tree / folder).symlink_to(f"usr/{folder}")
    exclude = [f"--exclude={pattern}" for pattern in _LEFT_OUT]
    for deb in debs:
        # --keep-directory-symlink: /bin stays a link where a package brings it as a folder
        _piped(
            ["dpkg-deb", "--fsys-tarfile", str(deb)],
            ["tar", "--extract", "--keep-directory-symlink", f"--directory={tree}", *exclude],
        )


def _configure(tree: Path, base: BaseImage, architecture: str) -> None:
    for name in ("passwd", "group"):
        shutil.copyfile(tree / "usr/share/base-passwd" / f"{name}.master", tree / "etc" / name)
    for path, target in base.links.items():
        link = tree / path.format(libraries=_LIBRARIES[architecture])
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


def _pack(tree: Path, layer: Path) -> None:
    zstd = debian.unpacked(_SUITE, ("zstd",)) / "usr/bin/zstd"
    _piped(
        ["tar", "--create", "--sort=name", "--mtime=@0", "--numeric-owner", f"--directory={tree}", "."],
        [str(zstd), "-q", "-1", "-T0", "-o", str(layer)],
    )


def _piped(source: list[str], sink: list[str]) -> None:
    with subprocess.Popen(source, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as first:
        second = subprocess.run(sink, stdin=first.stdout, capture_output=True)
        assert first.stdout is not None
        assert first.stderr is not None
        first.stdout.close()
        said = first.stderr.read()
    for argv, code, error in ((source, first.returncode, said), (sink, second.returncode, second.stderr)):
        if code != 0:
            raise BaseImageError(f"{argv[0]} ended with {code}: {error.decode(errors='replace').strip()}")
