"""The kinds of mutation: each changes one thing of an image, at random.

A kind says whether what it changes can be seen in manifest and config alone (`FACTS`) or takes the layers' bytes
(`BYTES`); a few of its variants may need less than it says.
"""

from __future__ import annotations

import copy
import io
import json
import random
import tarfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from image_verifier.image import media_types
from image_verifier.image.model import sha256

from release.engines.drafts import ABSENT, TYPES, Child, Draft, Edit, Json, entry, gzipped, tar_of, zstd

Mutation = Callable[[random.Random, Draft], None]
FACTS: Final[dict[str, Mutation]] = {}
BYTES: Final[dict[str, Mutation]] = {}


def _kind(kinds: dict[str, Mutation]) -> Callable[[Mutation], Mutation]:
    def register(mutation: Mutation) -> Mutation:
        kinds[mutation.__name__.replace("_", "-")] = mutation
        return mutation

    return register


_OCI = media_types.OCI_LAYER
_LAYER_TYPES: Final = (
    _OCI,
    _OCI + "+gzip",
    _OCI + "+zstd",
    _OCI + "+bzip2",
    _OCI + "+gzip+encrypted",
    _OCI + "+foo+gzip",
    _OCI + ".gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.v2.tar+gzip",
    "application/vnd.oci.image.layer.v1.squashfs",
    media_types.DOCKER_LAYER,
    media_types.DOCKER_LAYER_GZIP,
    media_types.DOCKER_LAYER_ZSTD,
    media_types.DOCKER_LAYER + "+gzip",
    media_types.DOCKER_LAYER_GZIP + "+foo",
    media_types.DOCKER_FOREIGN_LAYER_GZIP,
    (_OCI + "+gzip").upper(),
    "application/vnd.docker.image.rootfs.diff.tar.bz2",
    media_types.IN_TOTO,
    "application/octet-stream",
    "application/json",
    "text/plain",
    "",
)
# What a JSON value can be turned into, whatever it was.
_VALUES: Final[Sequence[Any]] = (
    "x",
    "",
    0,
    -1,
    1.5,
    10**20,
    True,
    None,
    [],
    {},
    ["x"],
    {"x": "y"},
    [1],
    {"x": 1},
    "0",
    "2026",
)


@_kind(FACTS)
def layer_type(rng: random.Random, draft: Draft) -> None:
    rng.choice(draft.layers).media_type = rng.choice(_LAYER_TYPES)


@_kind(FACTS)
def layer_types(rng: random.Random, draft: Draft) -> None:
    media_type = rng.choice(_LAYER_TYPES)
    for layer in draft.layers:
        layer.media_type = media_type


@_kind(FACTS)
def layer_family(rng: random.Random, draft: Draft) -> None:
    """The layers of one family of types in the manifest of the other."""
    for layer in draft.layers:
        layer.media_type = TYPES.get((not draft.oci, layer.compression), media_types.DOCKER_LAYER_ZSTD)


@_kind(FACTS)
def layer_compression(rng: random.Random, draft: Draft) -> None:
    """Other bytes than the type says."""
    rng.choice(draft.layers).compression = rng.choice(("gzip", "zstd", "none"))


@_kind(BYTES)
def layer_order(rng: random.Random, draft: Draft) -> None:
    seed = rng.random()
    draft.layer_order = lambda layers: random.Random(seed).sample(layers, len(layers))


@_kind(FACTS)
def layer_order_with_diff_ids(rng: random.Random, draft: Draft) -> None:
    rng.shuffle(draft.layers)


@_kind(FACTS)
def layer_count(rng: random.Random, draft: Draft) -> None:
    """The manifest's layers are fewer or more than the diff_ids."""
    draft.layer_order = rng.choice(
        (
            lambda layers: layers[:-1],
            lambda layers: layers[1:],
            lambda layers: [*layers, layers[0]],
            lambda layers: [*layers, *layers],
            lambda layers: [],
        )
    )


@_kind(FACTS)
def layer_count_with_diff_ids(rng: random.Random, draft: Draft) -> None:
    many = rng.choice((1, 2, 3, 120, 124, 125, 126, 127))
    if rng.random() < 0.5:
        draft.layers.extend(draft.layers[0] for _ in range(many - len(draft.layers)))
    else:
        draft.layers[:] = draft.layers[: rng.choice((0, 1, 1, 2))]


@_kind(FACTS)
def layer_size(rng: random.Random, draft: Draft) -> None:
    layer = rng.choice(draft.layers)
    size = len(layer.content())
    layer.descriptor["size"] = rng.choice(
        (0, -1, 1, size - 1, size + 1, size * 2, 10**12, 1.5, str(size), None, ABSENT)
    )


@_kind(FACTS)
def layer_digest(rng: random.Random, draft: Draft) -> None:
    layer = rng.choice(draft.layers)
    right = sha256(layer.content())
    layer.descriptor["digest"] = rng.choice(
        (
            "sha256:" + "0" * 64,
            right.upper(),
            right.replace("sha256:", ""),
            right[:-1],
            right.replace("sha256", "sha512"),
            "md5:" + "0" * 32,
            "",
            ABSENT,
            7,
        )
    )


@_kind(FACTS)
def layer_descriptor(rng: random.Random, draft: Draft) -> None:
    """The fields of a descriptor that do no harm, and their types."""
    key = rng.choice(("annotations", "urls", "platform", "data", "artifactType", "Size", "more"))
    rng.choice(draft.layers).descriptor[key] = rng.choice(_VALUES)


@_kind(FACTS)
def layer_urls(rng: random.Random, draft: Draft) -> None:
    urls = rng.choice(([], ["ftp://127.0.0.1/x"], ["not a url"], ["file:///etc/passwd"], None))
    rng.choice(draft.layers).descriptor["urls"] = urls


@_kind(FACTS)
def layer_absent(rng: random.Random, draft: Draft) -> None:
    rng.choice(draft.layers).absent = True


@_kind(BYTES)
def layer_bytes(rng: random.Random, draft: Draft) -> None:
    """The registry serves other bytes than the digest names."""
    at = rng.random()
    rng.choice(draft.layers).served = lambda content: _flipped(content, at)


@_kind(BYTES)
def layer_content(rng: random.Random, draft: Draft) -> None:
    """The compressed bytes are damaged, and the digest is theirs."""
    at, bits = rng.random(), rng.randbytes(rng.randint(1, 20))
    rng.choice(draft.layers).edits.append(
        rng.choice(
            (
                lambda content: content[: int(len(content) * at)],
                lambda content: content[:-1],
                lambda content: content[:-4],
                lambda content: content[:-8],
                lambda content: content[:3],
                lambda content: content + bits,
                lambda content: content + b"\0" * len(bits),
                lambda content: content + gzipped(b""),
                lambda content: content + content,
                lambda content: content + zstd(b""),
                lambda content: b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + content,
                lambda content: content[:-8] + bits[:1] * 4 + content[-4:],
                lambda content: content[:-4] + bits[:1] * 4,
                lambda content: _flipped(content, at),
                lambda content: b"",
            )
        )
    )


def _flipped(content: bytes, at: float) -> bytes:
    position = int(len(content) * at)
    return content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :] if content else b"x"


def _tar_edits(rng: random.Random) -> Edit:
    bits = rng.randbytes(4)
    unknown = bytes([rng.choice(b"8ZXS9ABaDMNV")])

    def header(at: int, new: bytes, *, checksum: bool = True) -> Edit:
        def edit(tar: bytes) -> bytes:
            block = bytearray(tar[:512])
            block[at : at + len(new)] = new
            if checksum:
                block[148:156] = b" " * 8
                block[148:156] = b"%06o\0 " % sum(block)
            return bytes(block) + tar[512:]

        return edit

    return rng.choice(
        (
            header(148, b"0000000\0", checksum=False),
            header(156, unknown),
            header(124, b"zzzz"),
            header(124, b"77777777777\0"),
            header(108, b"\x80\0\0\0\xff\xff\xff\xff"),
            header(136, b"\xff" * 12),
            header(0, b"\0"),
            header(0, b"a\0"),
            header(257, b"ustar  \0"),
            header(257, b"\0\0\0\0\0\0\0\0"),
            header(345, b"prefix/"),
            lambda tar: tar[:700],
            lambda tar: tar[:512],
            lambda tar: tar[:500],
            lambda tar: tar.rstrip(b"\0"),
            lambda tar: tar.rstrip(b"\0") + b"\0" * 512,
            lambda tar: tar + bits,
            lambda tar: tar + bits * 300,
            lambda tar: b"",
            lambda tar: b"\0" * 512,
            lambda tar: b"\0" * 1024 + bits,
            lambda tar: json.dumps({"x": bits.hex() * 200}).encode(),
            lambda tar: bits * 256,
        )
    )


@_kind(BYTES)
def layer_tar(rng: random.Random, draft: Draft) -> None:
    """The tar itself is damaged; digest and diff_id are its own."""
    layer = rng.choice(draft.layers)
    layer.tar = _tar_edits(rng)(layer.tar)


@_kind(BYTES)
def layer_entries(rng: random.Random, draft: Draft) -> None:
    """More entries in the tar, some of which no engine unpacks."""
    layer = rng.choice(draft.layers)
    link, hard, folder = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE
    more = rng.choice(
        (
            [entry("h", type=hard, linkname="nowhere")],
            [entry("h", type=hard, linkname="bin/run")],
            [entry("h", type=hard, linkname="/bin/run")],
            [entry("h", type=hard, linkname="../bin/run")],
            [entry("h", type=hard, linkname="../../../../nowhere")],
            [entry("s", type=link, linkname="nowhere")],
            [entry("s", type=link, linkname="/etc"), entry("s/through", b"x")],
            [entry("s", type=link, linkname="../../../out"), entry("s/through", b"x")],
            [entry("s", type=link, linkname="../../../out")],
            [entry("../out", b"x")],
            [entry("../../out", b"x")],
            [entry("a/../../out", b"x")],
            [entry("/absolute", b"x")],
            [entry("./dot", b"x")],
            [entry(".", type=folder)],
            [entry("..", type=folder)],
            [entry("/", type=folder)],
            [entry("bin", b"a file over a folder")],
            [entry("bin/run", type=folder)],
            [entry("bin/run/below", b"a file below a file")],
            [entry("bin/run", b"once more")],
            [entry("x" * 255, b"x")],
            [entry("x" * 256, b"x")],
            [entry("/".join(["d" * 100] * 45), b"x")],
            [entry(".wh.nowhere", b"")],
            [entry("bin/.wh.run", b"")],
            [entry(".wh..wh..opq", b"")],
            [entry(".wh.", b"")],
            [entry(".wh..", b"")],
            [entry(".wh...", b"")],
            [entry("bin/.wh..wh.aufs", b"")],
            [entry("fifo", type=tarfile.FIFOTYPE)],
            [entry("char", type=tarfile.CHRTYPE, devmajor=1, devminor=3)],
            [entry("zero", type=tarfile.CHRTYPE, devmajor=0, devminor=0)],
            [entry("block", type=tarfile.BLKTYPE, devmajor=7, devminor=0)],
            [entry("cont", b"x", type=tarfile.CONTTYPE)],
            [entry("own", b"x", uid=10**9, gid=10**9)],
            [entry("own", b"x", uid=2**32, gid=0)],
            [entry("own", b"x", uid=2**31, gid=2**31)],
            [entry("mode", b"x", mode=0o7777)],
            [entry("old", b"x", mtime=-(10**9))],
            [entry("new", b"x", mtime=10**11)],
            [entry("pax", b"x", pax_headers={"SCHILY.xattr.user.a": "b"})],
            [entry("pax", b"x", pax_headers={"SCHILY.xattr.security.capability": "nonsense"})],
            [entry("pax", b"x", pax_headers={"SCHILY.xattr.trusted.a": "b"})],
            [entry("pax", b"x", pax_headers={"SCHILY.xattr.bad": "b"})],
            [entry("pax", b"x", pax_headers={"comment": "é"})],
            [entry("pax", b"x", pax_headers={"size": "-1"})],
            [entry("pax", b"x", pax_headers={"mtime": "abc"})],
            [entry("pax", b"x", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"})],
            [entry("naïve \udcff", b"x")],
            [entry("new\nline", b"x")],
            [entry("dir/", type=folder), entry("dir", type=link, linkname="bin")],
            [entry("dir", type=link, linkname="bin"), entry("dir", type=folder)],
            [entry("loop", type=link, linkname="loop"), entry("loop/x", b"x")],
        )
    )
    with tarfile.open(fileobj=io.BytesIO(layer.tar), errorlevel=0) as tar:
        try:
            kept = [(i, (tar.extractfile(i) or io.BytesIO()).read() if i.isreg() else b"") for i in tar.getmembers()]
        except (tarfile.TarError, KeyError):
            return
    layer.tar = tar_of([*kept, *more])


@_kind(BYTES)
def diff_id_value(rng: random.Random, draft: Draft) -> None:
    """A diff_id that is another digest."""
    layer = rng.choice(draft.layers)
    layer.diff_id = rng.choice((sha256(b"other"), sha256(layer.content()), sha256(draft.layers[0].tar)))


@_kind(FACTS)
def diff_id_form(rng: random.Random, draft: Draft) -> None:
    """A diff_id that is no digest."""
    layer = rng.choice(draft.layers)
    right = sha256(layer.tar)
    layer.diff_id = rng.choice((right.upper(), right[:-1], right[7:], "sha512:" + "0" * 128, "x", " " + right, right))


@_kind(FACTS)
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


@_kind(FACTS)
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


@_kind(FACTS)
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


@_kind(FACTS)
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


@_kind(FACTS)
def config_absent(rng: random.Random, draft: Draft) -> None:
    draft.config.absent = True


@_kind(FACTS)
def config_bytes(rng: random.Random, draft: Draft) -> None:
    at = rng.random()
    draft.config.served = rng.choice(
        (
            lambda content: _flipped(content, at),
            lambda content: content + b" ",
            lambda content: content[:-1],
            lambda content: b"",
            lambda content: content.replace(b"linux", b"linuy"),
        )
    )


def _json_edit(rng: random.Random) -> Edit:
    at = rng.random()
    return rng.choice(
        (
            lambda content: content + b"\n",
            lambda content: content + b"x",
            lambda content: content + b"{}",
            lambda content: content + b"\0",
            lambda content: b"\xef\xbb\xbf" + content,
            lambda content: b" \n\t" + content,
            lambda content: content[: int(len(content) * at)],
            lambda content: b"[" + content + b"]",
            lambda content: b"null",
            lambda content: b"{}",
            lambda content: b"",
            lambda content: b"1",
            lambda content: b'"x"',
            lambda content: content.replace(b'": "', b'": "\xff', 1),
            lambda content: content.replace(b'": "', b'": "\\ud800', 1),
            lambda content: content.replace(b'": "', b'": "\x01', 1),
            lambda content: content.replace(b'": "', b'": "\\x', 1),
            lambda content: content.replace(b"{", b'{"more": NaN, ', 1),
            lambda content: content.replace(b"{", b'{"more": Infinity, ', 1),
            lambda content: content.replace(b"{", b'{"more": 1e400, ', 1),
            lambda content: content.replace(b"{", b'{"more": 01, ', 1),
            lambda content: content.replace(b"{", b'{"more": -0, ', 1),
            lambda content: content.replace(b"{", b'{"more": .5, ', 1),
            lambda content: content.replace(b"{", b'{"more": 1., ', 1),
            lambda content: content.replace(b"{", b"{'more': 1, ", 1),
            lambda content: content.replace(b"{", b"{/* */", 1),
            lambda content: content.replace(b"{", b'{"more": ' + b"[" * 200 + b"]" * 200 + b", ", 1),
            lambda content: content.replace(b"}", b",}", 1),
            lambda content: content.replace(b", ", b",, ", 1),
            lambda content: content.replace(b"digest", b"Digest"),
            lambda content: content.replace(b"layers", b"LAYERS"),
            lambda content: content.replace(b"rootfs", b"RootFS"),
            lambda content: content.replace(b"config", b"Config"),
            lambda content: content.replace(b"config", "con\N{LATIN SMALL LIGATURE FI}g".encode()),
            lambda content: content.replace(b"digest", "dige\N{LATIN SMALL LETTER LONG S}t".encode()),
            lambda content: content[:-1] + b', "rootfs": {"diff_ids": []}}',
            lambda content: content[:-1] + b', "config": null}',
            lambda content: content[:-1] + b', "layers": null}',
            lambda content: content[:-1] + b', "Layers": []}',
            lambda content: content[:-1] + b', "CONFIG": {}}',
            lambda content: content[:-1] + b', "config": {"Cmd": ["/other"]}}',
        )
    )


@_kind(FACTS)
def config_json(rng: random.Random, draft: Draft) -> None:
    draft.config.edits.append(_json_edit(rng))


@_kind(FACTS)
def manifest_json(rng: random.Random, draft: Draft) -> None:
    draft.manifest.edits.append(_json_edit(rng))


@_kind(FACTS)
def config_field(rng: random.Random, draft: Draft) -> None:
    """A field at the top of the config holds something else."""
    field = rng.choice(
        (
            *("created", "author", "architecture", "os", "os.version", "os.features", "variant", "config", "history"),
            *("id", "parent", "comment", "container", "container_config", "docker_version", "Size", "more", "rootfs"),
        )
    )
    value = rng.choice(_VALUES)
    if field == "created":
        value = rng.choice(
            (value, "2026-01-02", "0000-01-01T00:00:00Z", "2026-01-02T03:04:05+01:00", "2026-13-01T00:00:00Z")
        )
    draft.config.overrides[field] = value


@_kind(FACTS)
def config_run(rng: random.Random, draft: Draft) -> None:
    """A field of the config's `config` holds something else."""
    field = rng.choice(
        (
            *("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal"),
            *("Hostname", "Tty", "Healthcheck", "OnBuild", "Shell", "StopTimeout", "ArgsEscaped", "Image", "Memory"),
        )
    )
    value = rng.choice((*_VALUES, {"80/tcp": {}}, {"Test": ["NONE"]}, {"Interval": "30s"}, {"/data": None}))
    draft.run = {**copy.deepcopy(draft.run), field: value}


@_kind(FACTS)
def config_platform(rng: random.Random, draft: Draft) -> None:
    draft.config.overrides.update(
        {
            "os": rng.choice(("linux", "linux", "linux", "Linux", "windows", "darwin", "", "unknown", ABSENT)),
            "architecture": rng.choice(("amd64", "AMD64", "x86_64", "386", "arm64", "arm", "", "unknown", ABSENT)),
            "variant": rng.choice((ABSENT, ABSENT, "v1", "v2", "v8", "")),
        }
    )


@_kind(FACTS)
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


@_kind(FACTS)
def manifest_field(rng: random.Random, draft: Draft) -> None:
    field = rng.choice(
        (
            *("schemaVersion", "annotations", "artifactType", "subject", "manifests", "fsLayers", "more"),
            *("config", "layers", "history", "signatures"),
        )
    )
    draft.manifest.overrides[field] = rng.choice((*_VALUES, 1, 2, 3, ABSENT))


@_kind(FACTS)
def manifest_type(rng: random.Random, draft: Draft) -> None:
    """What the manifest says of its own type."""
    draft.manifest.overrides["mediaType"] = rng.choice(
        (
            ABSENT,
            "",
            None,
            media_types.OCI_MANIFEST,
            media_types.DOCKER_MANIFEST,
            media_types.OCI_INDEX,
            media_types.DOCKER_INDEX,
            media_types.OCI_CONFIG,
            "application/json",
            draft.manifest_type.upper(),
        )
    )


@_kind(FACTS)
def manifest_family(rng: random.Random, draft: Draft) -> None:
    """The manifest is of the other family, layers and config stay."""
    draft.oci = not draft.oci


@_kind(FACTS)
def manifest_absent(rng: random.Random, draft: Draft) -> None:
    """The index's child is not there, or its bytes are not those of its digest."""
    _with_index(draft)
    if rng.random() < 0.5:
        draft.manifest.absent = True
    else:
        draft.manifest.served = lambda content: content + b" "


def _with_index(draft: Draft) -> None:
    if draft.index is None:
        draft.index = Json()
        draft.own_platform = {"os": "linux", "architecture": "amd64"}


_PLATFORMS: Final[tuple[Any, ...]] = (
    {"os": "linux", "architecture": "amd64"},
    {"os": "linux", "architecture": "amd64", "variant": "v1"},
    {"os": "linux", "architecture": "amd64", "variant": "v2"},
    {"os": "linux", "architecture": "amd64", "variant": "v3"},
    {"os": "linux", "architecture": "386"},
    {"os": "linux", "architecture": "i386"},
    {"os": "linux", "architecture": "x86_64"},
    {"os": "Linux", "architecture": "AMD64"},
    {"os": "linux", "architecture": "amd64", "os.version": "1"},
    {"os": "linux", "architecture": "amd64", "os.features": ["x"]},
    {"os": "linux", "architecture": "amd64", "features": ["sse4"]},
    {"os": "linux", "architecture": "arm64"},
    {"os": "linux", "architecture": "arm", "variant": "v7"},
    {"os": "windows", "architecture": "amd64"},
    {"os": "unknown", "architecture": "unknown"},
    {"os": "", "architecture": "amd64"},
    {"os": "linux", "architecture": ""},
    {"architecture": "amd64"},
    {"os": "linux"},
    {},
    None,
    ABSENT,
    {"os": 1, "architecture": "amd64"},
    "linux/amd64",
)


@_kind(FACTS)
def index_platform(rng: random.Random, draft: Draft) -> None:
    _with_index(draft)
    draft.own_platform = rng.choice(_PLATFORMS)


@_kind(FACTS)
def index_children(rng: random.Random, draft: Draft) -> None:
    """More entries in the index: for other platforms, attestations, broken ones; before or after the image's own."""
    _with_index(draft)
    for _ in range(rng.randint(1, 3)):
        platform = rng.choice(_PLATFORMS[:-2])
        broken = json.dumps({"schemaVersion": 2, "x": rng.random()}).encode()
        media_type = rng.choice((draft.manifest_type, draft.manifest_type, media_types.OCI_LAYER, "application/x"))
        descriptor = {"mediaType": media_type, "digest": sha256(broken), "size": len(broken), "platform": platform}
        descriptor = {k: v for k, v in descriptor.items() if v is not ABSENT}
        there = rng.random() < 0.5
        draft.children.append(Child(descriptor, rng.random() < 0.5, broken if there else None))


@_kind(FACTS)
def index_descriptor(rng: random.Random, draft: Draft) -> None:
    """What the index says of the image's manifest."""
    _with_index(draft)
    draft.manifest.descriptor.update(
        rng.choice(
            (
                {"size": 0},
                {"size": 1},
                {"size": -1},
                {"size": 10**6},
                {"size": ABSENT},
                {"digest": "sha256:" + "0" * 64},
                {"digest": "sha256:x"},
                {"digest": ""},
                {"digest": ABSENT},
                {"mediaType": media_types.OCI_MANIFEST},
                {"mediaType": media_types.DOCKER_MANIFEST},
                {"mediaType": media_types.OCI_INDEX},
                {"mediaType": ""},
                {"mediaType": ABSENT},
                {"mediaType": "application/json"},
                {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}},
                {"annotations": {"a": 1}},
                {"artifactType": "application/vnd.example"},
                {"urls": []},
                {"data": "eA=="},
            )
        )
    )


@_kind(FACTS)
def index_document(rng: random.Random, draft: Draft) -> None:
    """The index itself: its fields, its bytes, or how deep it lies."""
    _with_index(draft)
    assert draft.index
    way = rng.randrange(4)
    if way == 0:
        draft.nested = rng.randint(1, 3)
    elif way == 1:
        draft.index.edits.append(_json_edit(rng))
    elif way == 2:
        draft.index.overrides["mediaType"] = rng.choice(
            (ABSENT, "", None, media_types.OCI_INDEX, media_types.DOCKER_INDEX, media_types.OCI_MANIFEST, "x")
        )
    else:
        field = rng.choice(("schemaVersion", "manifests", "annotations", "config", "layers", "fsLayers", "more"))
        draft.index.overrides[field] = rng.choice((*_VALUES, 1, 2, ABSENT))


KINDS: Final[Mapping[str, Mutation]] = {**FACTS, **BYTES}
