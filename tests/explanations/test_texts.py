"""Every text that somebody pasted is explained right."""

from __future__ import annotations

import pytest

from tests.explanations.score import Label, labels, mistakes


@pytest.mark.parametrize("label", labels(), ids=lambda label: label.address)
def test_a_text_that_somebody_pasted_is_explained_right(label: Label) -> None:
    assert mistakes(label) == []


def test_every_text_has_an_address_and_none_is_there_twice() -> None:
    every = list(labels())
    assert all(label.address.startswith("https://") for label in every)
    assert len({label.text for label in every}) == len(every)
