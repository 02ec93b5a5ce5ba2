"""Debian packages without installation: fetched with the machine's own apt, unpacked under `.local/`.

The mirror, its credentials and any proxy come from the configuration of the machine's apt. The machine's package lists,
cache and database are neither read nor written.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from local_engines.checkout import LOCAL

# Suites under which the machine's sources may list a mirror of Debian, other than the machine's codename.
_RELEASES = ("stable", "testing", "unstable", "oldstable", "forky", "trixie", "bookworm", "bullseye", "sid")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class DebianError(RuntimeError):
    """Packages cannot be fetched on this machine; the message says why."""


def unpacked(suite: str, packages: Sequence[str]) -> Path:
    """The folder with `packages` of `suite` unpacked, without their dependencies. They are fetched once.

    :raises DebianError: when the packages cannot be fetched.
    """
    folder = LOCAL / "debian" / f"{suite}-{_digest(packages)}"
    with locked(folder.with_suffix(".lock")):
        if not folder.is_dir():
            debs = folder.with_suffix(".debs")
            fresh = folder.with_suffix(".fresh")
            for stale in (debs, fresh):
                shutil.rmtree(stale, ignore_errors=True)
            debs.mkdir()
            _Apt(suite, architecture()).run("download", *packages, cwd=debs)
            for deb in sorted(debs.glob("*.deb")):
                run(["dpkg-deb", "--extract", str(deb), str(fresh)])
            shutil.rmtree(debs)
            fresh.rename(folder)
    return folder


def downloaded_with_dependencies(suite: str, packages: Sequence[str], into: Path, architecture: str) -> list[Path]:
    """Fetch `packages` and all of their dependencies, as for an empty machine.

    :param into: the folder for the packages' files.
    :return: the files, sorted.
    :raises DebianError: when the packages cannot be fetched.
    """
    (into / "partial").mkdir(parents=True, exist_ok=True)
    _Apt(suite, architecture).run(
        "install", "--download-only", "--yes", "--no-install-recommends",
        "-o", f"Dir::Cache::archives={into}", *packages,
    )  # fmt: skip
    return sorted(into.glob("*.deb"))


def architecture() -> str:
    """This machine's architecture, in the words of Debian and container images.

    :raises DebianError: when this machine has no dpkg.
    """
    return run(["dpkg", "--print-architecture"]).strip()


@contextlib.contextmanager
def locked(lock: Path) -> Iterator[None]:
    """Hold `lock`, so that the second of two concurrent runs waits, and finds the work done."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(argv: Sequence[str], *, cwd: Path | None = None) -> str:
    """Run a command of the machine's packaging tools, and return its output.

    :raises DebianError: when the command fails or does not exist.
    """
    try:
        done = subprocess.run(
            argv,
            cwd=cwd,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError:
        raise DebianError(
            f"This machine has no {argv[0]}. Engines from packages need Debian, with apt and dpkg."
        ) from None
    if done.returncode != 0:
        raise DebianError(f"{' '.join(argv)} failed with exit code {done.returncode}:\n{done.stderr.strip()}")
    return done.stdout


def _digest(packages: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(packages).encode()).hexdigest()[:12]


def _sites() -> dict[str, str]:
    """The site from which this machine's apt fetches each suite, as {suite: site}.

    Unlike `apt-get indextargets`, `--print-uris` needs no package list from an earlier update.
    """
    printed = run(["apt-get", "update", "--print-uris"])
    sites: dict[str, str] = {}
    for line in printed.splitlines():
        uri = line.split("'")[1] if line.startswith("'") else ""
        if uri.endswith("/InRelease") and "/dists/" in uri:
            site, _, suite = uri.removesuffix("/InRelease").rpartition("/dists/")
            sites.setdefault(suite, site)
    return sites


def codename() -> str:
    """The codename of this machine's Debian release.

    :raises DebianError: when this machine does not run Debian.
    """
    release = Path("/etc/os-release")
    values = dict(line.split("=", 1) for line in release.read_text().splitlines() if "=" in line)
    if values.get("ID") != "debian":
        raise DebianError(f"This machine runs {values.get('PRETTY_NAME', 'an unknown Linux')}, not Debian.")
    return values.get("VERSION_CODENAME", "sid").strip('"')


class _Apt:
    """apt-get with its own state under `.local/`, for one suite of this machine's mirror and one architecture."""

    def __init__(self, suite: str, architecture: str) -> None:
        sites = _sites()
        release = codename()
        own = next((name for name in (release, *_RELEASES) if name in sites), None)
        if own is None:
            raise DebianError(
                f"This machine's apt has no source for {release} or any other Debian release. "
                "Add a Debian mirror to /etc/apt/sources.list.d."
            )
        if not _KEYRING.exists():
            raise DebianError(f"{_KEYRING} is missing. To fix it: apt-get install debian-archive-keyring")
        self._state = LOCAL / "debian" / "apt" / f"{suite}-{architecture}"
        self._architecture = architecture
        self._sources = [f"deb [signed-by={_KEYRING}] {sites[own]} {suite} main"]
        security = sites.get(f"{own}-security")
        if security and suite != "sid":
            self._sources.append(f"deb [signed-by={_KEYRING}] {security} {suite}-security main")

    def run(self, *arguments: str, cwd: Path | None = None) -> None:
        """Update the package lists, and run apt-get with them. Other runs of this suite wait: they change both."""
        for folder in ("lists/partial", "cache/archives/partial"):
            (self._state / folder).mkdir(parents=True, exist_ok=True)
        with locked(self._state / "lock"):
            self._configure()
            for words in (("update",), arguments):
                run(["apt-get", "-q", "-c", str(self._state / "apt.conf"), *words], cwd=cwd)

    def _configure(self) -> None:
        (self._state / "sources.list").write_text("\n".join(self._sources) + "\n")
        (self._state / "status").write_text("")
        # A file, since -o cannot #clear: the machine's own hooks must not run after our updates.
        # With /bin/false as dpkg, no mistake in an option can install anything on this machine.
        (self._state / "apt.conf").write_text(
            f'''#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
Dir::Etc::sourcelist "{self._state}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "{self._state}";
Dir::State::Lists "{self._state}/lists";
Dir::State::status "{self._state}/status";
Dir::State::extended_states "{self._state}/extended_states";
Dir::Cache "{self._state}/cache";
APT::Sandbox::User "root";
APT::Default-Release "";
Acquire::Languages "none";
Acquire::Retries "3";
APT::Architecture "{self._architecture}";
APT::Architectures "{self._architecture}";
Dir::Bin::dpkg "/bin/false";
'''
        )
