"""A text is read in time that grows with its length."""

from __future__ import annotations

import pytest

from safe_image.explanations.normalize import LARGEST, image_in, platform_in, runtime_in


@pytest.mark.parametrize("character", [" ", "\t"])
def test_the_longest_text_of_spaces_is_read_before_anybody_stops_waiting(character: str) -> None:
    # Without that, it takes minutes: each place of a run of spaces was the beginning of another search.
    text = character * LARGEST + "amazonaws.com/shop"
    assert (image_in(text), platform_in(text), runtime_in(text)) == ("amazonaws.com/shop", "", "fargate")
