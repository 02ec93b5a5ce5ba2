"""Debian packages of one suite are fetched one after the other. An apt-get of the test notices another one."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local_engines import debian

# Stands in for apt-get, which downloads. Its state folder is that of the configuration, its third argument.
_APT_GET = """#!/bin/sh
case "$*" in *--print-uris*) echo "'http://mirror/debian/dists/{codename}/InRelease' x"; exit ;; esac
busy="$(dirname "$3")/busy"
mkdir "$busy" || exit 1
sleep 0.2
case "$*" in *download*) touch package.deb ;; esac
rmdir "$busy"
"""
_DPKG_DEB = '#!/bin/sh\nmkdir "$3"\n'


def test_two_downloads_of_a_suite_do_not_change_its_lists_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("apt-get", _APT_GET.format(codename=debian.codename())), ("dpkg-deb", _DPKG_DEB)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(debian, "LOCAL", tmp_path)
    with ThreadPoolExecutor() as pool:
        folders = list(pool.map(lambda name: debian.unpacked("trixie", (name,)), ("one", "two")))
    assert len({*folders}) == 2
    assert all(folder.is_dir() for folder in folders)
