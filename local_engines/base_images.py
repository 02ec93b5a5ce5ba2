"""Base images without a registry: Debian's packages, unpacked, as one zstd layer.

They replace the images that the example's Dockerfiles reference. No maintainer script runs, so this module creates the
files that the programs need from such scripts.
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
# Slim images omit these too.
_OMITTED = ("./usr/share/doc/*", "./usr/share/man/*", "./usr/share/locale/*", "./usr/share/info/*")


class BaseImageError(RuntimeError):
    """A base image cannot be built; the message says which step failed."""


@dataclass(frozen=True)
class BaseImage:
    """The content of a base image.

    :param links: symbolic links, as {path: target}, that a package's own script would create; `{libraries}` in a path
        is the architecture's folder of libraries.
    """

    name: str
    packages: tuple[str, ...]
    command: str
    links: dict[str, str] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """The image's name in the engine. It changes with the content, so that a stale image is never used."""
        recipe = repr((_SUITE, _COMMON, _OMITTED, self))
        return f"{_REPOSITORY}:{self.name}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


PYTHON = BaseImage(
    name="python",
    packages=("python3", "python3-pil", "python3-sklearn", "libblas3", "liblapack3"),
    command="python3",
    links={
        "usr/local/bin/python": "/usr/bin/python3",
        # update-alternatives creates these two.
        "usr/lib/{libraries}/libblas.so.3": "blas/libblas.so.3",
        "usr/lib/{libraries}/liblapack.so.3": "lapack/liblapack.so.3",
    },
)
"""Python 3 with scikit-learn and Pillow, which *autotag* needs."""

NODE = BaseImage(name="node", packages=("nodejs", "tesseract-ocr", "tesseract-ocr-all"), command="node")
"""Node with Tesseract and its languages, which *alt-text* needs."""


def provide(engine: DockerEngine, base: BaseImage, architecture: str = "amd64") -> str:
    """Import `base` into `engine`, and return its name there. The layer is built once and cached under `.local/`.

    :param architecture: amd64 or arm64; the build runs no program of it, so that it needs no emulation.
    :raises BaseImageError: when a step of the build fails.
    :raises DebianError: when the packages cannot be fetched.
    :raises EngineError: when the import fails.
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
    """The base image's file system as a tar with zstd, the compression that Docker keeps."""
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
    for folder in _MERGED:  # Debian's packages need these links, which no package's files create
        (tree / "usr" / folder).mkdir(parents=True)
        (tree / folder).symlink_to(f"usr/{folder}")
    exclude = [f"--exclude={pattern}" for pattern in _OMITTED]
    for deb in debs:
        # --keep-directory-symlink: /bin stays a link where a package has it as a folder
        _pipe(
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
    _pipe(
        ["tar", "--create", "--sort=name", "--mtime=@0", "--numeric-owner", f"--directory={tree}", "."],
        [str(zstd), "-q", "-1", "-T0", "-o", str(layer)],
    )


def _pipe(source: list[str], sink: list[str]) -> None:
    with subprocess.Popen(source, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as first:
        second = subprocess.run(sink, stdin=first.stdout, capture_output=True)
        assert first.stdout is not None
        assert first.stderr is not None
        first.stdout.close()
        errors = first.stderr.read()
    for argv, code, error in ((source, first.returncode, errors), (sink, second.returncode, second.stderr)):
        if code != 0:
            raise BaseImageError(f"{argv[0]} failed with exit code {code}: {error.decode(errors='replace').strip()}")
