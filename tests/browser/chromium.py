"""Debian's Chromium under `.local/`, without installing it: its packages, and those that they need, unpacked.

It runs on the release of Debian that the packages are of, since it takes the machine's own libc: Chromium starts itself
again for each of its processes, which it cannot do behind another release's loader.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local_engines import debian
from local_engines.checkout import LOCAL

# The part of Chromium that draws pages without a screen; the whole browser would be another 100 MB.
_PACKAGE: Final = "chromium-headless-shell"
_PROGRAM: Final = Path("usr/lib/chromium/chromium-headless-shell")
# The machine's own are used; the drivers and the compiler that they bring draw on graphics hardware.
_LEFT_OUT: Final = ("libc6_", "libgl1-mesa-dri_", "libllvm", "libz3-")
# For a machine that is not Debian.
_INSTALLED: Final = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Chromium:
    """A browser that can be started.

    :param program: its executable.
    :param environment: what it finds its libraries and its fonts by.
    """

    program: Path
    environment: Mapping[str, str]


def chromium() -> Chromium:
    """Debian's, fetched once; elsewhere the one that is installed.

    :raises DebianError: if there is none; the message says what is missing.
    """
    try:
        return _of(_unpacked())
    except debian.DebianError as e:
        installed = next(filter(None, map(shutil.which, _INSTALLED)), None)
        if installed:
            return Chromium(Path(installed), {})
        raise debian.DebianError(
            f"none of {', '.join(_INSTALLED)} is installed, and Debian's cannot be had: {e}"
        ) from e


def _unpacked() -> Path:
    """The folder that the packages are in, as if it were the machine's root."""
    suite, architecture = debian.codename(), debian.architecture()
    folder = LOCAL / "debian" / f"{suite}-{architecture}-{_PACKAGE}"
    with debian.locked(folder.with_suffix(".lock")):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent) as fresh:
                root, debs = Path(fresh, "root"), Path(fresh, "debs")
                for deb in debian.downloaded_with_dependencies(suite, [_PACKAGE], debs, architecture):
                    if not deb.name.startswith(_LEFT_OUT):
                        debian.run(["dpkg-deb", "--extract", str(deb), str(root)])
                root.rename(folder)
    return folder


def _of(root: Path) -> Chromium:
    folders = sorted({library.parent for library in root.glob("**/lib*.so*")})
    environment = {
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, folders)),
        # Fonts and what is said of them, too: https://www.freedesktop.org/software/fontconfig/fontconfig-user.html
        "FONTCONFIG_SYSROOT": str(root),
    }
    return Chromium(root / _PROGRAM, environment)
