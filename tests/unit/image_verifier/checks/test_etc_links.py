"""Links at /etc and on the way to its tables of users: warned of for the hosts that cannot follow them."""

from __future__ import annotations

from typing import Any

import pytest
from image_verifier.report import Finding, Severity

from tests.unit.blobs import END, PROGRAM, file, folder, image, link, report

ETC = PROGRAM + folder("etc")
STORE = folder("nix") + file("nix/passwd", b"root:x:0:0::/:/bin/sh\n") + folder("nix/etc")
NO_LINK = "containerd 2.2.0 to 2.2.2"
ONE_LINK = "containerd 2.2.0 to 2.2.7"


def _findings(files: bytes, runtime: str = "eks", **config: Any) -> list[Finding]:
    return list(report(image(files + END, config=config), runtime).findings)


@pytest.mark.parametrize("runtime", ["fargate", "eks", "batch"])
@pytest.mark.parametrize(
    ("links", "releases", "name"),
    [
        (link("etc/passwd", "/nix/passwd"), NO_LINK, "etc/passwd"),
        (link("etc/group", "/nix/passwd"), NO_LINK, "etc/group"),
        (link("etc/passwd", "/nowhere"), NO_LINK, "etc/passwd"),
        (link("etc/passwd", "../../nix/passwd"), ONE_LINK, "etc/passwd"),
        # flox links into a package of links: https://github.com/flox/flox/issues/4178
        (link("etc/group", "/fake/group") + folder("fake") + link("fake/group", "/nix/passwd"), ONE_LINK, "fake/group"),
        (link("etc/passwd", "one") + link("etc/one", "/nix/passwd"), ONE_LINK, "etc/passwd"),
    ],
)
def test_a_table_of_users_behind_an_absolute_link_is_a_warning_that_names_the_releases(
    runtime: str, links: bytes, releases: str, name: str
) -> None:
    (finding,) = _findings(ETC + STORE + links, runtime)
    assert (finding.id, finding.severity) == ("passwd-link-absolute", Severity.WARNING)
    assert f", which {releases} cannot follow when it creates a container." in finding.message
    assert finding.runtime_error.endswith(f"mount callback failed on …: openat {name}: path escapes from parent")
    assert not finding.predicted


def test_the_link_and_its_target_are_in_the_message() -> None:
    (finding,) = _findings(ETC + STORE + link("etc/passwd", "/nix/passwd"))
    assert finding.message.startswith("/etc/passwd is a link to /nix/passwd, which containerd 2.2.0")
    (finding,) = _findings(PROGRAM + STORE + link("etc", "/nix/etc"))
    assert finding.message.startswith("The way to /etc/passwd goes through the link /etc -> /nix/etc, which containerd")


@pytest.mark.parametrize(
    "links",
    [
        b"",
        link("etc/passwd", "../nix/passwd"),
        link("etc/passwd", "accounts") + file("etc/accounts"),
        link("etc/localtime", "/usr/share/zoneinfo/UTC"),
        link("etc/passwd", "passwd"),
    ],
)
def test_relative_links_and_links_beside_the_tables_are_healthy(links: bytes) -> None:
    assert _findings(ETC + STORE + links) == []


@pytest.mark.parametrize("runtime", ["ecs-ec2", "ecs-managed-instances", "ecs-anywhere", "lambda", "app-runner"])
def test_other_engines_follow_absolute_links(runtime: str) -> None:
    assert _findings(ETC + STORE + link("etc/passwd", "/nix/passwd"), runtime) == []
    assert _findings(PROGRAM + STORE + link("etc", "/nix/etc"), runtime) == []


def test_a_link_at_etc_fails_on_fargate_alone() -> None:
    files = PROGRAM + STORE + link("etc", "nix/etc")
    (finding,) = _findings(files, "fargate")
    assert (finding.id, finding.severity) == ("etc-is-link", Severity.WARNING)
    assert finding.message == "/etc is a link to nix/etc, but Fargate creates a folder there and fails at the link."
    assert finding.runtime_error == (
        "CannotStartContainerError: ResourceInitializationError: container rootfs: fail to create /etc: mkdir "
        "…/rootfs/etc: file exists"
    )
    assert [f.id for f in _findings(files, "batch")] == ["etc-is-link"]
    assert _findings(files, "eks") == []


def test_an_absolute_link_at_etc_has_both_findings_on_fargate() -> None:
    files = PROGRAM + STORE + link("etc", "/nix/etc")
    assert [f.id for f in _findings(files, "fargate")] == ["passwd-link-absolute", "etc-is-link"]
    assert [f.id for f in _findings(files, "eks")] == ["passwd-link-absolute"]
