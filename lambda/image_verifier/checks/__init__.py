"""The checks, in the order in which a report lists their findings.

A check is one small function: a subject in, findings out. It fetches nothing. It skips what an earlier check has
reported, such as a manifest that is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Final

from ..image.model import Image
from ..report import Finding
from ..rules.engines import Engine
from ..rules.runtimes import Runtime
from . import artifact, config, layer_descriptors, manifest, requirements, size
from .subject import Subject

if TYPE_CHECKING:
    from ..layers.facts import Contents

Check = Callable[[Subject], Iterable[Finding]]
# Chooses the engines that the checks of a group are handed; where it chooses none, they are not run.
ChooseEngines = Callable[[Image, Runtime], tuple[Engine, ...]]
CheckGroup = tuple[ChooseEngines, tuple[Check, ...]]


def all_engines(image: Image, runtime: Runtime) -> tuple[Engine, ...]:
    """All engines of the runtime: the check is about what each of them meets first."""
    return runtime.engines


def accepting_engines(image: Image, runtime: Runtime) -> tuple[Engine, ...]:
    """The engines that accept the manifest as an image's; why the others do not is reported by then."""
    return tuple(engine for engine in runtime.engines if artifact.accepts(image, engine))


def all_if_accepted(image: Image, runtime: Runtime) -> tuple[Engine, ...]:
    """All engines of the runtime where each accepts the manifest as an image's, else none."""
    return runtime.engines if len(accepting_engines(image, runtime)) == len(runtime.engines) else ()


CHECKS: Final[tuple[CheckGroup, ...]] = (
    (
        all_engines,
        (
            manifest.exists,
            manifest.is_active,
            manifest.is_readable,
            manifest.is_whole,
            manifest.says_its_type,
            manifest.is_what_the_index_says,
            manifest.has_no_variants,
            manifest.holds_the_platform,
            manifest.has_its_other_platforms,
            manifest.is_taken_as_it_is,
            config.is_there,
            artifact.is_an_image,
        ),
    ),
    (accepting_engines, (config.is_readable, config.has_a_layered_rootfs)),
    (all_if_accepted, (config.is_for_the_platform,)),
    (all_engines, (config.is_on_a_known_platform,)),
    (all_if_accepted, (config.can_be_started, config.can_be_given_its_environment)),
    (accepting_engines, (layer_descriptors.have_types_that_unpack,)),
    (all_engines, (layer_descriptors.are_for_the_platform,)),
    (
        accepting_engines,
        (
            layer_descriptors.are_as_many_as_diff_ids,
            layer_descriptors.are_there,
            layer_descriptors.agree_with_their_diff_ids,
        ),
    ),
    (all_engines, (layer_descriptors.are_not_too_many,)),
    (accepting_engines, (layer_descriptors.can_be_mounted,)),
    (all_engines, (config.has_no_more_history_than_layers,)),
    (all_if_accepted, (size.is_within_bounds,)),
    (all_engines, (size.fits_the_runtime,)),
)

_REQUIREMENTS: Final[tuple[Check, ...]] = (
    requirements.has_no_latest_base,
    requirements.has_its_labels,
    requirements.has_no_more_layers_than_allowed,
)


def checks_for(contents: Contents | None) -> tuple[CheckGroup, ...]:
    """All checks; those that judge the layers' bytes are among them, and loaded, only where the layers were read.

    :param contents: the facts that the bytes of the image's layers give; None where they were not read.
    """
    if contents is None:
        return (*CHECKS, (all_if_accepted, (requirements.has_a_user_besides_root, *_REQUIREMENTS)))
    from . import layer_bytes, mounts, start

    deep_checks = (
        layer_bytes.are_the_named_bytes,
        layer_bytes.can_be_unpacked,
        layer_bytes.give_their_diff_ids,
        layer_bytes.have_parent_folders,
        layer_bytes.fit_unpacked,
        start.has_its_user,
        start.has_its_command,
        mounts.has_its_working_dir,
        mounts.has_its_mount_points,
    )
    has_a_user_besides_root = partial(start.runs_as_a_user_besides_root, contents=contents)
    return (
        *CHECKS,
        (all_if_accepted, (has_a_user_besides_root, *_REQUIREMENTS)),
        (accepting_engines, tuple(partial(check, contents=contents) for check in deep_checks)),
    )
