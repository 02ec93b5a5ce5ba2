"""What is checked, in the order in which a report tells it.

A check is one small function: the image, one runtime and the policy in, findings out. It fetches nothing. What
an earlier check has explained (a manifest that is missing, say) a later one passes over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from ..image.model import Image
from ..policy import Policy
from ..report import Finding
from ..rules.runtimes import Runtime
from . import artifact, config, layer_descriptors, manifest, requirements, size

Check = Callable[[Image, Runtime, Policy], Iterable[Finding]]

CHECKS: Final[tuple[Check, ...]] = (
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
    config.is_readable,
    config.has_a_layered_rootfs,
    config.is_for_the_platform,
    config.is_on_a_known_platform,
    config.can_be_started,
    config.can_be_given_its_environment,
    layer_descriptors.have_types_that_unpack,
    layer_descriptors.are_for_the_platform,
    layer_descriptors.are_as_many_as_diff_ids,
    layer_descriptors.are_there,
    layer_descriptors.agree_with_their_diff_ids,
    layer_descriptors.are_not_too_many,
    layer_descriptors.can_be_mounted,
    config.has_no_more_history_than_layers,
    size.is_within_bounds,
    size.fits_the_runtime,
    requirements.has_a_user_besides_root,
    requirements.has_no_latest_base,
    requirements.has_its_labels,
    requirements.has_no_more_layers_than_allowed,
)


def deep_checks() -> tuple[Check, ...]:
    """What is checked besides where the layers' bytes were read; loaded only then."""
    from . import layer_bytes, start

    return (
        layer_bytes.are_the_named_bytes,
        layer_bytes.can_be_unpacked,
        layer_bytes.give_their_diff_ids,
        layer_bytes.have_parent_folders,
        layer_bytes.fit_unpacked,
        start.has_its_user,
        start.has_its_command,
        start.has_its_working_dir,
        start.has_its_mount_points,
    )
