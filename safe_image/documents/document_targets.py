"""Targets of the images that files name: each image once, with all the places that name it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from image_verifier.faults import Fault
from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.rules.names import Names
from image_verifier.rules.runtimes import RUNTIMES
from image_verifier.rules.usual_platform import usual_platform
from image_verifier.sources import Source

from ..errors import UsageError
from ..sources.local_images import DOCUMENTS
from ..sources.place import Place
from ..sources.targets import Target, TargetResolver
from .cloudformation import read_cloudformation
from .compose import read_compose
from .document_image import DocumentImage
from .files import STANDARD_INPUT
from .kubernetes import read_kubernetes
from .pseudo_parameters import PseudoParameters
from .settings import Settings
from .task_definition import read_task_definition
from .terraform import read_terraform

# The runtime of an image where the file does not say it, and the platform of such an image.
_RUNTIME: Final = "fargate"
_PLATFORM: Final = "linux/amd64"
_SKIP: Final = "Pass --skip {reference}=REASON if it is checked elsewhere"
_Read = Callable[[str, Settings, TargetResolver], Iterator[DocumentImage]]

# How each kind of file is read.
_READERS: Final[Mapping[str, _Read]] = {
    "cloudformation:": lambda file, settings, resolver: read_cloudformation(
        file, settings, PseudoParameters(settings, resolver.sessions)
    ),
    "task-definition:": lambda file, settings, resolver: read_task_definition(file, settings),
    "terraform:": lambda file, settings, resolver: read_terraform(file, settings),
    "kubernetes:": lambda file, settings, resolver: read_kubernetes(file),
    "compose:": lambda file, settings, resolver: read_compose(file, settings),
}


@dataclass(frozen=True)
class DocumentOptions:
    """The options for files that name images.

    :param settings: the values of `--set`.
    :param changed_from: the former file, whose images are left out; empty for none.
    """

    settings: Settings = field(default_factory=Settings)
    changed_from: str = ""


def document_targets(texts: Sequence[str], resolver: TargetResolver, options: DocumentOptions) -> list[Target]:
    """The targets of the images that some files name. No image is read yet.

    :param texts: the references of files, such as `cloudformation:template.yaml`.
    :param resolver: resolves the images' own references.
    :param options: the options for the files.
    :raises UsageError: if a file cannot be read, exceeds a limit, or an option does not fit.
    """
    if options.changed_from and len(texts) != 1:
        raise UsageError("--changed-from compares one file: pass one reference such as cloudformation:FILE")
    images = [image for text in texts for image in _images(text, resolver, options.settings)]
    if options.changed_from:
        scheme, colon, _ = texts[0].partition(":")
        former = _images(f"{scheme}{colon}{options.changed_from}", resolver, options.settings)
        known = {_key(image) for image in former}
        images = [image for image in images if _key(image) not in known]
    options.settings.check_all_used(" and ".join(texts) or "the command")
    return [_target(group, resolver) for group in _grouped(images)]


def _images(text: str, resolver: TargetResolver, settings: Settings) -> list[DocumentImage]:
    scheme = next(scheme for scheme in DOCUMENTS if text.startswith(scheme))
    file = text.removeprefix(scheme)
    if not file:
        raise UsageError(f"{text!r} names no file: use {scheme}FILE, or {scheme}- for standard input")
    try:
        # Without `./`, as GitHub writes the paths of files.
        called = STANDARD_INPUT if file == "-" else str(Path(file))
        return list(_READERS[scheme](called, settings, resolver))
    except RecursionError as e:
        raise UsageError(f"{file}: it is nested too deeply") from e


def _key(image: DocumentImage) -> tuple[object, ...]:
    return image.reference, image.runs_on, image.platform


def _grouped(images: Iterable[DocumentImage]) -> list[list[DocumentImage]]:
    """The images that one check answers for: the same reference and platform, on whatever runtimes."""
    groups: dict[tuple[str, str, str], list[DocumentImage]] = {}
    for image in images:
        groups.setdefault((image.reference, _platform(image), image.missing), []).append(image)
    return list(groups.values())


def _platform(image: DocumentImage) -> str:
    return image.platform or usual_platform(image.runs_on or (_RUNTIME,), _PLATFORM)


def _target(images: Sequence[DocumentImage], resolver: TargetResolver) -> Target:
    first = images[0]
    runs_on = tuple(dict.fromkeys(name for image in images for name in image.runs_on)) or (_RUNTIME,)
    platform = _platform(first)
    places = tuple(dict.fromkeys(image.place for image in images))
    unable = [RUNTIMES[name].title for name in runs_on if not RUNTIMES[name].runs(platform)]
    if first.missing or unable:
        message = first.missing or f"it is for {platform}, which cannot be verified for {' and '.join(unable)}"
        advice = first.advice or _SKIP.format(reference=first.reference) + "."
        return _unknown(first.reference, Fault(message, advice), Policy(runs_on, Platform.parse(_PLATFORM)), places)
    policy = Policy(runs_on, Platform.parse(platform))
    # Where the file states no runtime, the configuration may.
    own = policy if any(image.runs_on for image in images) else None
    try:
        return replace(resolver.target(first.reference, platform), policy=own, places=places)
    except UsageError as e:
        advice = f"Fix it at {places[0].file}:{places[0].line}."
        return _unknown(first.reference, Fault(str(e), advice), policy, places)


def _unknown(reference: str, fault: Fault, policy: Policy, places: tuple[Place, ...]) -> Target:
    def open_() -> Source:
        raise fault

    names = Names(reference=reference, platform=str(policy.platform))
    return Target(reference, names, open_, policy, places=places)
