"""Makes `examples/broken-image.tar`, the image of the README's example: `python -m tests.docs.broken_image`.

It is a base of gzip layers below a zstd layer in a Docker manifest, which containerd before 2.0 refuses.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from image_verifier.image import media_types

from tests.unit.images import Layout

ARCHIVE: Final = Path(__file__).resolve().parents[2] / "examples" / "broken-image.tar"


def archive() -> bytes:
    """The archive of an OCI layout, the same each time."""
    types = (media_types.DOCKER_LAYER_GZIP, media_types.DOCKER_LAYER_ZSTD)
    content = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=content, mode="w") as tar:
        layout = Layout(Path(folder))
        layout.source(layout.image(layer_types=types, schema_2=True))
        for file in sorted(path for path in layout.path.rglob("*") if path.is_file()):
            data = file.read_bytes()
            entry = tarfile.TarInfo(str(file.relative_to(layout.path)))
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return content.getvalue()


if __name__ == "__main__":
    ARCHIVE.write_bytes(archive())
    print(f"{ARCHIVE}: {ARCHIVE.stat().st_size} bytes")
