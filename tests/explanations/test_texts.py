"""Every text that somebody pasted is explained right."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from tests.explanations.forms import FORMS
from tests.explanations.score import Label, labels, mistakes


@pytest.mark.parametrize("label", list(labels()), ids=lambda label: label.address)
def test_a_text_that_somebody_pasted_is_explained_right(label: Label) -> None:
    assert mistakes(label) == []


# All texts in all forms take minutes: `python -m tests.explanations forms`.
@pytest.mark.parametrize(
    ("label", "form"),
    list(zip(labels("unseen.json"), itertools.cycle(FORMS))),
    ids=lambda value: value if isinstance(value, str) else value.address,
)
def test_a_text_is_explained_right_in_whatever_form_it_is_pasted(label: Label, form: str) -> None:
    assert mistakes(replace(label, text=FORMS[form](label.text))) == []


def test_every_text_has_an_address_and_none_is_there_twice() -> None:
    every = list(labels())
    assert all(label.address.startswith("https://") for label in every)
    assert len({label.text for label in every}) == len(every)
