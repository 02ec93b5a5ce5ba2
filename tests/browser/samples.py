"""The pages that the browser opens: reports on images of the corpus, and on some made by hand."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from image_verifier.audit.audit_page import AuditHead
from image_verifier.audit.row import audit_row
from image_verifier.faults import Fault
from image_verifier.image import media_types
from image_verifier.image.model import Platform, sha256
from image_verifier.policy import Policy
from image_verifier.report import Report
from image_verifier.rules.names import Names
from image_verifier.rules.runtimes import RUNTIMES as _ALL
from image_verifier.sources import Source
from image_verifier.verify import verify

from safe_image.formats.audit import audit_html
from safe_image.formats.audit.audit_facts import AuditFacts
from safe_image.formats.check.check_html import report
from safe_image.formats.diff import diff_html
from safe_image.results.check_runner import Outcome
from safe_image.results.comparison import compare
from safe_image.sources.oci_layout import LayoutFolder, OciLayout
from tests.corpus.cases import unpack
from tests.unit.images import GZIP, Layout, tar_of

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
RUNTIMES = [name for name, runtime in _ALL.items() if "linux/amd64" in runtime.platforms]
HOSTILE = '"><img src=https://example.com/x onerror=alert(1)><script>alert(2)</script>{{ 7 * 7 }}\u202e\x00'

_MIXED = "b-ctrd-derived-zbase-dk-noatt"
# The same build with the other image store, which keeps the zstd blobs of the base and calls them gzip.
_RELABELLED = "b-classic-derived-zbase-dk-noatt"
_RUN = {"Cmd": ["python", "-m", "shop"], "User": "1000", "WorkingDir": "/srv", "Env": ["LANG=C.UTF-8"]}
_STEPS = (
    (2_900_000, "/bin/sh -c #(nop) ADD file:5f1e2a in /"),
    (640_000, "RUN /bin/sh -c apt-get update && apt-get install -y --no-install-recommends ca-certificates netbase "
     "tzdata && rm -rf /var/lib/apt/lists/* # buildkit"),
    (1_400_000, "RUN /bin/sh -c set -eux; make -j \"$(nproc)\" install; python3 --version # buildkit"),
    (300, "RUN /bin/sh -c for src in idle3 pip3 pydoc3 python3; do ln -sv \"$src\" /usr/local/bin/; done # buildkit"),
    (120, "WORKDIR /srv"),
    (900, "RUN /bin/sh -c adduser --system --uid 1000 shop # buildkit"),
    (4_000, "COPY requirements.txt . # buildkit"),
    (2_100_000, "RUN /bin/sh -c pip install --no-cache-dir -r requirements.txt # buildkit"),
    (52_000, "COPY shop/templates shop/templates # buildkit"),
    (380_000, "COPY shop/static shop/static # buildkit"),
    (90_000, "COPY shop shop # buildkit"),
    (60, "RUN /bin/sh -c python -m compileall -q shop # buildkit"),
)  # fmt: skip

_HEAD = AuditHead(
    datetime(2026, 5, 1), "refuses errors", incomplete=["2,000 images of the repository fleet were left out."]
)


def samples(folder: Path) -> dict[str, Path]:
    """Write a page of each kind.

    :param folder: where to.
    :returns: their files by name.
    """
    cases = {case.name: case.folder for case in unpack(folder / "cases")}
    mixed, relabelled, index = (
        OciLayout(LayoutFolder(cases[name])) for name in (_MIXED, _RELABELLED, "b-ctrd-prov-max-sbom")
    )
    fault = Fault("ecr:BatchGetImage in eu-west-1 was denied (AccessDenied)", "Give the role ecr:BatchGetImage.")
    one_in_eight = list(cases.items())[::8]
    several = [
        *(outcome(OciLayout(LayoutFolder(case)), f"fleet/{name}:1.0") for name, case in one_in_eight),
        Outcome(f"{HOST}/fleet/orders:2.0", _policy("fargate"), fault=fault),
        outcome(_healthy(folder / "another"), "fleet/last:1.0"),
    ]
    rows = [
        audit_row(one.reference.partition(":")[0], one, users=["ECS service prod/web"] if not n % 5 else [])
        for n, one in enumerate(several)
    ]
    pages = {
        "healthy": report([outcome(_healthy(folder / "healthy"), "shop:1.4")], io.StringIO()),
        "refused": report([outcome(mixed, "shop:1.5")], io.StringIO()),
        "index": report([outcome(index, "shop:1.6", "fargate", "lambda")], io.StringIO()),
        "deep": report([outcome(_layered(folder / "deep", 127), "shop:1.7", "ecs-ec2")], io.StringIO()),
        "hostile": report([outcome(_hostile(folder / "hostile"), HOSTILE)], io.StringIO()),
        "many": report(several, io.StringIO()),
        "audit": audit_html.report(lambda: rows, AuditFacts(_HEAD), io.StringIO()),
        "diff": diff_html.report(
            compare(judged(relabelled, "fargate", "eks"), judged(mixed, "fargate", "eks")),
            (names_of("shop:1.4"), names_of("shop:1.5")),
            _policy("fargate", "eks"),
            io.StringIO(),
        ),
        "diff-rebuilt": diff_html.report(
            compare(
                judged(_healthy(folder / "before"), *RUNTIMES),
                judged(_rebuilt(folder / "after"), *RUNTIMES),
            ),
            (names_of("shop:1.4"), names_of("shop:1.5")),
            _policy(*RUNTIMES),
            io.StringIO(),
        ),
        "diff-hostile": diff_html.report(
            compare(judged(_healthy(folder / "good")), judged(_hostile(folder / "bad"))),
            (names_of("shop:1.4"), replace(names_of(HOSTILE), reference=HOSTILE)),
            _policy(),
            io.StringIO(),
        ),
    }
    return {name: _written(folder / f"{name}.html", page) for name, page in pages.items()}


def outcome(source: Source, name: str, *runs_on: str) -> Outcome:
    """The outcome for an image in a repository of that name and tag."""
    report = judged(source, *runs_on)
    names = names_of(name).with_digest_of(report.image.top)
    return Outcome(f"{HOST}/{name}", _policy(*runs_on), report=report, names=names)


def judged(source: Source, *runs_on: str) -> Report:
    """The report on an image."""
    return verify(source, _policy(*runs_on))


def names_of(name: str) -> Names:
    """The names of an image in a repository of that name and tag."""
    repository, _, tag = name.partition(":")
    return Names(f"{HOST}/{name}", "eu-west-1", "123456789012", repository, tag)


def _policy(*runs_on: str) -> Policy:
    return Policy(runs_on or ("fargate",), Platform.parse("linux/amd64"))


def _written(file: Path, page: Iterable[str]) -> Path:
    with file.open("w", encoding="utf-8") as stream:
        stream.writelines(page)
    return file


def _healthy(folder: Path) -> OciLayout:
    """An image of twelve layers as a Dockerfile for Python makes it."""
    noise = random.Random(4)
    layers = [gzip.compress(tar_of({f"file{i}": noise.randbytes(size)}), mtime=0) for i, (size, _) in enumerate(_STEPS)]
    return _image(folder, layers, [step for _, step in _STEPS])


def _rebuilt(folder: Path) -> OciLayout:
    """The same, rebuilt with another layer in between, and without the command."""
    noise = random.Random(4)
    contents = [tar_of({f"file{i}": noise.randbytes(size)}) for i, (size, _) in enumerate(_STEPS)]
    contents[9:10] = [tar_of({"static": noise.randbytes(900_000)}), tar_of({"fonts": noise.randbytes(70_000)})]
    steps = [step for _, step in _STEPS]
    steps.insert(10, "COPY shop/fonts shop/fonts # buildkit")
    layers = [gzip.compress(content, 1 if i == 7 else 9, mtime=0) for i, content in enumerate(contents)]
    run = {"Env": ["LANG=C.UTF-8", "SHOP_THEME=dark"], "ExposedPorts": {"8080/tcp": {}}, "WorkingDir": "/srv"}
    return _image(folder, layers, steps, run)


def _layered(folder: Path, count: int) -> OciLayout:
    layers = [gzip.compress(tar_of({f"file{i}": b"x" * (i % 9) * 900}), mtime=0) for i in range(count)]
    return _image(folder, layers, [f"COPY part{i} / # buildkit" for i in range(count)])


def _image(folder: Path, layers: Sequence[bytes], steps: Sequence[str], run: Mapping[str, Any] = _RUN) -> OciLayout:
    made = Layout(folder)
    config: dict[str, Any] = {
        "architecture": "amd64",
        "os": "linux",
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": [sha256(gzip.decompress(layer)) for layer in layers]},
        "history": [
            *({"created_by": step} for step in steps),
            {"created_by": 'CMD ["python" "-m" "shop"]', "empty_layer": True},
        ],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": made.descriptor(media_types.OCI_CONFIG, json.dumps(config).encode()),
        "layers": [made.descriptor(GZIP, layer) for layer in layers],
    }
    image = made.descriptor(media_types.OCI_MANIFEST, json.dumps(manifest).encode())
    platform = {"os": "linux", "architecture": "amd64"}
    return made.source(made.index({**image, "platform": platform}))


def _hostile(folder: Path) -> OciLayout:
    """An image that says markup wherever an image can say anything."""
    made = Layout(folder)
    run = {"Cmd": [HOSTILE], "User": HOSTILE, "Env": [f"A={HOSTILE}"], "Labels": {HOSTILE: HOSTILE}}
    image = made.image(
        layer_types=(GZIP, HOSTILE),
        config={"config": run, "history": [{"created_by": HOSTILE}, {"created_by": HOSTILE * 20}]},
    )
    other = {**made.attestation(), "platform": {"os": HOSTILE, "architecture": HOSTILE}}
    return made.source(made.index({**image, "platform": {"os": "linux", "architecture": "amd64"}}, other))
