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
from . import artifact, config, layer_descriptors, manifest, requirements, schema_1, size
from .subject import Subject

if TYPE_CHECKING:
    from ..layers.facts import Contents

Check = Callable[[Subject], Iterable[Finding]]
# Whether the checks of a group are about an engine at all.
Applies = Callable[[Image, Engine], bool]
CheckGroup = tuple[Applies, tuple[Check, ...]]


def always(image: Image, engine: Engine) -> bool:
    """Each engine: the check is about what it meets first."""
    return True


CHECKS: Final[tuple[CheckGroup, ...]] = (
    (
        always,
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
            manifest.is_fetched_from_the_registry,
            manifest.is_taken_as_it_is,
            schema_1.is_newer_than_schema_1,
            config.is_there,
            config.is_fetched_from_the_registry,
            artifact.is_an_image,
        ),
    ),
    (artifact.accepts, (config.is_readable, config.has_a_layered_rootfs)),
    (artifact.accepts, (config.is_for_the_platform,)),
    (always, (config.is_on_a_known_platform,)),
    (artifact.accepts, (config.can_be_started, config.can_be_given_its_environment)),
    (artifact.accepts, (layer_descriptors.have_types_that_unpack,)),
    (always, (layer_descriptors.are_for_the_platform,)),
    (
        artifact.accepts,
        (
            layer_descriptors.are_as_many_as_diff_ids,
            layer_descriptors.are_there,
            layer_descriptors.agree_with_their_diff_ids,
        ),
    ),
    (always, (layer_descriptors.are_not_too_many,)),
    (artifact.accepts, (layer_descriptors.can_be_mounted,)),
    (always, (config.has_no_more_history_than_layers,)),
    (artifact.accepts, (size.is_within_bounds,)),
    (always, (size.fits_the_runtime,)),
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
        return (*CHECKS, (artifact.accepts, (requirements.has_a_user_besides_root, *_REQUIREMENTS)))
    from . import etc_links, layer_bytes, mounts, other_programs, own_user, start

    deep_checks = (
        layer_bytes.are_the_named_bytes,
        layer_bytes.can_be_unpacked,
        layer_bytes.give_their_diff_ids,
        layer_bytes.have_parent_folders,
        layer_bytes.fit_unpacked,
        start.has_its_user,
        start.has_its_command,
        own_user.may_execute_its_command,
        other_programs.are_for_the_machine,
        etc_links.can_be_followed_to_the_accounts,
        etc_links.has_a_folder_at_etc,
        mounts.has_its_working_dir,
        own_user.may_enter_its_working_dir,
        own_user.may_read_its_code,
        mounts.has_its_mount_points,
    )
    has_a_user_besides_root = partial(start.runs_as_a_user_besides_root, contents=contents)
    return (
        *CHECKS,
        (artifact.accepts, (has_a_user_besides_root, *_REQUIREMENTS)),
        (artifact.accepts, tuple(partial(check, contents=contents) for check in deep_checks)),
    )
