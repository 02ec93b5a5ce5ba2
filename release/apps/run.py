"""Synthesizes one app plain, protected and swapped, and compares the three."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aws_cdk import App

from cdk_safe_image import SafeImages

from .assembly import AppStack, stacks_in
from .comparison import Comparison, compare
from .images import Images

KINDS: Final = ("plain", "protected", "swapped")


@dataclass(frozen=True)
class Result:
    """The findings about an app.

    :param stacks: the number of its stacks.
    :param sizes: the bytes of its templates, by kind.
    :param comparisons: the findings, by kind.
    """

    stacks: int
    sizes: Mapping[str, int]
    comparisons: Mapping[str, Comparison]

    @property
    def problems(self) -> dict[str, list[str]]:
        """The differences from the documentation, by kind."""
        return {kind: comparison.problems for kind, comparison in self.comparisons.items()}


def run(shape: Callable[[App, Images], None], folder: Path) -> Result:
    """Synthesize an app in its three kinds, and compare them.

    :param shape: adds the stacks to the app.
    :param folder: where the assemblies and the contexts of the images are written.
    """
    assemblies = {kind: _synth(shape, folder, kind) for kind in KINDS}
    plain = assemblies["plain"]
    sizes = {kind: sum(stack.size for stack in stacks.values()) for kind, stacks in assemblies.items()}
    return Result(len(plain), sizes, {kind: compare(plain, assemblies[kind]) for kind in KINDS[1:]})


def _synth(shape: Callable[[App, Images], None], folder: Path, kind: str) -> dict[str, AppStack]:
    contexts = folder / "images"
    contexts.mkdir(parents=True, exist_ok=True)
    app = App(outdir=str(folder / kind), analytics_reporting=False, context={"aws:cdk:enable-path-metadata": True})
    if kind == "protected":
        SafeImages.protect(app)
    shape(app, Images(contexts, is_swapped=kind == "swapped"))
    return stacks_in(Path(app.synth().directory))
