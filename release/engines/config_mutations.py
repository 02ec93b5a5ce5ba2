"""Mutations of the config: diff IDs, fields, bytes, and the descriptor in the manifest."""

from __future__ import annotations

import copy
import random
from typing import Any

from image_verifier.image import media_types
from image_verifier.image.model import sha256

from release.engines.drafts import ABSENT, Draft
from release.engines.mutation_kinds import BYTES, FACTS, VALUES, flipped, json_edit, kind_of


@kind_of(BYTES)
def diff_id_value(rng: random.Random, draft: Draft) -> None:
    """A diff ID is another digest."""
    layer = rng.choice(draft.layers)
    layer.diff_id = rng.choice((sha256(b"other"), sha256(layer.content()), sha256(draft.layers[0].tar)))


@kind_of(FACTS)
def diff_id_form(rng: random.Random, draft: Draft) -> None:
    """A diff ID is not a valid digest."""
    layer = rng.choice(draft.layers)
    right = sha256(layer.tar)
    layer.diff_id = rng.choice((right.upper(), right[:-1], right[7:], "sha512:" + "0" * 128, "x", " " + right, right))


@kind_of(FACTS)
def diff_id_count(rng: random.Random, draft: Draft) -> None:
    draft.diff_ids = rng.choice(
        (
            lambda ids: ids[:-1],
            lambda ids: [*ids, sha256(b"other")],
            lambda ids: [],
            lambda ids: [*ids, *ids],
            lambda ids: [*ids, None],
            lambda ids: [*ids, 1],
        )
    )


@kind_of(FACTS)
def rootfs(rng: random.Random, draft: Draft) -> None:
    diff_ids = [sha256(layer.tar) for layer in draft.layers]
    draft.config.overrides["rootfs"] = rng.choice(
        (
            {"type": "layer", "diff_ids": diff_ids},
            {"type": "", "diff_ids": diff_ids},
            {"diff_ids": diff_ids},
            {"TYPE": "layers", "Diff_IDs": diff_ids},
            {"type": 1, "diff_ids": diff_ids},
            {"type": "layers", "diff_ids": None},
            {"type": "layers", "diff_ids": "x"},
            {"type": "layers"},
            {},
            [],
            None,
            "x",
            ABSENT,
        )
    )


@kind_of(FACTS)
def config_descriptor_type(rng: random.Random, draft: Draft) -> None:
    draft.config.descriptor["mediaType"] = rng.choice(
        (
            media_types.OCI_CONFIG,
            media_types.DOCKER_CONFIG,
            media_types.OCI_CONFIG.upper(),
            media_types.OCI_CONFIG + "; charset=utf-8",
            media_types.OCI_EMPTY,
            "application/vnd.docker.plugin.v1+json",
            "application/vnd.docker.container.image.v2+json",
            "application/vnd.cncf.helm.config.v1+json",
            media_types.OCI_MANIFEST,
            media_types.OCI_LAYER,
            "application/octet-stream",
            "application/json",
            "text/html",
            "",
            ABSENT,
            None,
        )
    )


@kind_of(FACTS)
def config_descriptor(rng: random.Random, draft: Draft) -> None:
    draft.config.descriptor.update(
        rng.choice(
            (
                {"size": 0},
                {"size": 1},
                {"size": -1},
                {"size": 10**7},
                {"size": ABSENT},
                {"size": "1"},
                {"digest": "sha256:" + "0" * 64},
                {"digest": "sha256:x"},
                {"digest": ""},
                {"digest": ABSENT},
                {"urls": []},
                {"annotations": {"a": "b"}},
                {"annotations": {"a": 1}},
                {"platform": {"os": "linux", "architecture": "arm64"}},
                {"platform": {"os": "windows", "architecture": "amd64"}},
                {"data": "eA=="},
                {"data": "!"},
            )
        )
    )


@kind_of(FACTS)
def config_absent(rng: random.Random, draft: Draft) -> None:
    draft.config.absent = True


@kind_of(FACTS)
def config_bytes(rng: random.Random, draft: Draft) -> None:
    at = rng.random()
    draft.config.served = rng.choice(
        (
            lambda content: flipped(content, at),
            lambda content: content + b" ",
            lambda content: content[:-1],
            lambda content: b"",
            lambda content: content.replace(b"linux", b"linuy"),
        )
    )


@kind_of(FACTS)
def config_json(rng: random.Random, draft: Draft) -> None:
    draft.config.edits.append(json_edit(rng))


@kind_of(FACTS)
def config_field(rng: random.Random, draft: Draft) -> None:
    """A field at the top level of the config has another value."""
    field = rng.choice(
        (
            *("created", "author", "architecture", "os", "os.version", "os.features", "variant", "config", "history"),
            *("id", "parent", "comment", "container", "container_config", "docker_version", "Size", "more", "rootfs"),
        )
    )
    value = rng.choice(VALUES)
    if field == "created":
        value = rng.choice(
            (value, "2026-01-02", "0000-01-01T00:00:00Z", "2026-01-02T03:04:05+01:00", "2026-13-01T00:00:00Z")
        )
    draft.config.overrides[field] = value


@kind_of(FACTS)
def config_run(rng: random.Random, draft: Draft) -> None:
    """A field of the config's `config` has another value."""
    field = rng.choice(
        (
            *("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal"),
            *("Hostname", "Tty", "Healthcheck", "OnBuild", "Shell", "StopTimeout", "ArgsEscaped", "Image", "Memory"),
        )
    )
    value = rng.choice((*VALUES, {"80/tcp": {}}, {"Test": ["NONE"]}, {"Interval": "30s"}, {"/data": None}))
    draft.run = {**copy.deepcopy(draft.run), field: value}


@kind_of(FACTS)
def config_platform(rng: random.Random, draft: Draft) -> None:
    draft.config.overrides.update(
        {
            "os": rng.choice(("linux", "linux", "linux", "Linux", "windows", "darwin", "", "unknown", ABSENT)),
            "architecture": rng.choice(("amd64", "AMD64", "x86_64", "386", "arm64", "arm", "", "unknown", ABSENT)),
            "variant": rng.choice((ABSENT, ABSENT, "v1", "v2", "v8", "")),
        }
    )


@kind_of(FACTS)
def config_history(rng: random.Random, draft: Draft) -> None:
    one: dict[str, Any] = {"created_by": "x"}
    draft.config.overrides["history"] = rng.choice(
        (
            [],
            None,
            ABSENT,
            [one],
            [one] * 200,
            [{**one, "empty_layer": True}] * 200,
            [{**one, "empty_layer": "true"}],
            [{"created": "never"}],
            [{"created": 1}],
            [None],
            ["x"],
            {},
        )
    )
