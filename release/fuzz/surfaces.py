"""The surfaces that hostile input reaches, each with its generator."""

from __future__ import annotations

import gzip
import json
import lzma
import random
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from image_verifier.faults import Fault
from image_verifier.image.model import Platform, sha256
from image_verifier.image.references import Reference
from image_verifier.policy import Policy
from image_verifier.report import Report
from image_verifier.retry import RetryBudget
from image_verifier.rules.requirement_types import Requirement
from image_verifier.rules.runtimes import RUNTIMES
from image_verifier.sources import Source
from image_verifier.verify import verify

from release.engines.drafts import TYPES, DraftLayer, StoredImage, entry, stored, tar_of
from release.fuzz.hostile_server import HostileServer
from release.fuzz.mutations import mutated_bytes, mutated_json
from release.fuzz.naming_files import files
from release.fuzz.seeds import Seeds
from safe_image.errors import UsageError
from safe_image.sources.distribution import Distribution
from safe_image.sources.registry_image import RegistryImage
from safe_image.sources.targets import TargetResolver

PLATFORM: Final = Platform.parse("linux/amd64")
_RUNTIMES: Final = tuple(name for name, runtime in RUNTIMES.items() if str(PLATFORM) in runtime.platforms)
_REQUIRE: Final = tuple(map(Requirement.parse, ("non-root-user", "no-latest-base", "label:team", "max-layers:5")))

Run = Callable[[], object]
"""Runs one input, and returns the outcome: equal for equal inputs."""
Surface = Callable[[random.Random, Seeds, Path], Run]
"""Makes one input: from a generator of random numbers, the seeds, and a folder for files."""


def outcome(source: Callable[[], Source], layers: bool) -> Report | tuple[str, str]:
    """The verifier's report, or its fault.

    :param source: opens the image.
    :param layers: whether the layers are read.
    """
    policy = Policy(_RUNTIMES, PLATFORM, min_size=1, max_size=1 << 30, verify_layers=layers, require=_REQUIRE)
    try:
        return verify(source(), policy)
    except (Fault, UsageError) as e:
        return type(e).__name__, str(e)


def documents(rng: random.Random, seeds: Seeds, folder: Path) -> Run:
    """A manifest, an index or a config that is not what it should be."""
    if rng.random() < 0.5:
        draft = seeds.draft(rng)
        document = rng.choice([draft.config, draft.manifest, *([draft.index] if draft.index else [])])
        edit_seed = rng.random()
        document.edits.append(lambda content: mutated_json(random.Random(edit_seed), content))
        image = stored(draft)
    else:
        image = _with_mutated_document(rng, rng.choice(seeds.images))
    return lambda: outcome(lambda: image, layers=False)


def _with_mutated_document(rng: random.Random, image: StoredImage) -> StoredImage:
    """The image with one document changed, and every descriptor of it up to the tag."""
    configs = {d: ("", c) for d, c in image.blobs.items() if c.startswith(b"{")}
    old = rng.choice(sorted({**image.documents, **configs}))
    media_type, content = {**configs, **image.documents}[old]
    new = mutated_json(rng, content)
    return _replaced(image, {old: new}, media_type)


def _replaced(image: StoredImage, changed: Mapping[str, bytes], media_type: str) -> StoredImage:
    documents, blobs, top = dict(image.documents), dict(image.blobs), image.top
    pending = dict(changed)
    while pending:
        old, new = pending.popitem()
        digest = sha256(new)
        if old in blobs:
            blobs[digest] = new
        if old in documents:
            documents[digest] = (documents[old][0], new)
        top = digest if old == top else top
        for parent, (_, content) in list(image.documents.items()):
            if old.encode() in content and parent != old:
                pending[parent] = _relinked(content, old, digest, len(new))
    return replace(image, top=top, documents=documents, blobs=blobs)


def _relinked(content: bytes, old: str, new: str, size: int) -> bytes:
    def changed(value: Any) -> Any:
        if isinstance(value, list):
            return [changed(item) for item in value]
        if isinstance(value, dict):
            found = {key: changed(item) for key, item in value.items()}
            return {**found, "digest": new, "size": size} if value.get("digest") == old else found
        return value

    try:
        return json.dumps(changed(json.loads(content))).encode()
    except ValueError:
        return content.replace(old.encode(), new.encode())


def layers(rng: random.Random, seeds: Seeds, folder: Path) -> Run:
    """A layer whose tar or whose compressed stream is not what it should be."""
    draft = seeds.draft(rng)
    tar = rng.choice(seeds.tars)
    if rng.random() < 0.7:
        tar = mutated_bytes(rng, tar)
    family, compression = rng.choice([key for key in TYPES if key[0] == draft.oci])
    layer = DraftLayer(tar, compression, TYPES[family, compression])
    if rng.random() < 0.5:
        edit_seed = rng.random()
        layer.edits.append(lambda content: mutated_bytes(random.Random(edit_seed), content))
    draft.layers.insert(rng.randint(0, len(draft.layers)), layer)
    image = stored(draft)
    return lambda: outcome(lambda: image, layers=True)


def archives(rng: random.Random, seeds: Seeds, folder: Path) -> Run:
    """An archive of docker save, an OCI archive or an OCI layout that is not what it should be."""
    image = stored(seeds.draft(rng)) if rng.random() < 0.5 else rng.choice(seeds.images)
    scheme = rng.choice(("docker-archive", "oci-archive", "oci-layout"))
    files = _docker_save(image) if scheme == "docker-archive" else _layout(image)
    name = rng.choice(sorted(files))
    if rng.random() < 0.8:
        files[name] = (mutated_json if name.endswith(".json") else mutated_bytes)(rng, files[name])
    path = folder / "image"
    if scheme == "oci-layout":
        for file, content in files.items():
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            (path / file).write_bytes(content)
    else:
        archive = tar_of([entry(file, content, type=tarfile.REGTYPE) for file, content in files.items()])
        archive = mutated_bytes(rng, archive) if rng.random() < 0.5 else archive
        path.write_bytes(rng.choice((bytes, bytes, gzip.compress, lzma.compress))(archive))
    layered = rng.random() < 0.3
    return lambda: outcome(TargetResolver().target(f"{scheme}:{path}", str(PLATFORM)).open, layered)


def _layout(image: StoredImage) -> dict[str, bytes]:
    documents = {digest: content for digest, (_, content) in image.documents.items()}
    media_type, top = image.documents.get(image.top, ("", b""))
    index = {"schemaVersion": 2, "manifests": [{"mediaType": media_type, "digest": image.top, "size": len(top)}]}
    return {
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "index.json": json.dumps(index).encode(),
        **{f"blobs/{digest.replace(':', '/')}": content for digest, content in {**image.blobs, **documents}.items()},
    }


def _docker_save(image: StoredImage) -> dict[str, bytes]:
    names = [digest for digest, content in image.blobs.items() if not content.startswith(b"{")]
    configs = [digest for digest, content in image.blobs.items() if content.startswith(b"{")] or ["sha256:none"]
    manifest = [{"Config": f"{configs[0][7:]}.json", "RepoTags": ["shop:1"], "Layers": [f"{n[7:]}.tar" for n in names]}]
    return {
        "manifest.json": json.dumps(manifest).encode(),
        f"{configs[0][7:]}.json": image.blobs.get(configs[0], b"{}"),
        **{f"{name[7:]}.tar": image.blobs[name] for name in names},
    }


def registry(rng: random.Random, seeds: Seeds, folder: Path) -> Run:
    """A registry, a token service or a storage that answers as none should."""
    image = stored(seeds.draft(rng)) if rng.random() < 0.5 else rng.choice(seeds.images)
    server = HostileServer(image, rng.random(), challenges=rng.random() < 0.3)

    def run() -> object:
        with server.listening() as host:
            text = f"{host}/shop:1"
            source = RegistryImage(Distribution(), Reference.parse(text), text, RetryBudget.of(0))
            # Several layers at once could report either of two faults.
            source.at_once = 1
            found = outcome(lambda: source, layers=True)
        # The config and the layers are requested at the same time: which of two faults is reported is chance.
        return found if isinstance(found, Report) else found[0]

    return run


SURFACES: Final[Mapping[str, Surface]] = {
    surface.__name__: surface for surface in (documents, layers, archives, registry, files)
}
