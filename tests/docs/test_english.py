"""No page, message or docstring has a wording that a reader must read twice."""

from __future__ import annotations

import pytest

from tests.docs.english import ALLOWED, ROOT, offences, refused


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("a sentence needs a noun as its subject", "What is asked where nobody has written anything."),
        ("a sentence needs a noun as its subject", "It waits. Whoever uses it waits too."),
        ("an object needs a noun", "It reads what the registry holds."),
        ("an object needs a noun", "and whatever names it waits"),
        ('"of which"', "five layers, of which one is missing"),
        ('a sentence does not begin with "Of"', "It is large. Of its layers one is missing."),
        ('"is not a", never "is no"', "this is no folder"),
        ("fix, not mend", "how to mend it"),
        ("report, not tell", "it tells whether the image is broken"),
        ("set, pass or use, not write", "is not a size: write 50MiB, or write max_size=…"),
        ("set, pass or use, not write", "is missing: write --yes"),
    ],
)
def test_a_rule_refuses_its_wording(rule: str, text: str) -> None:
    assert rule in refused(text)


@pytest.mark.parametrize(
    "text",
    [
        "What is wrong with the image?",
        "The message says what is wrong.",
        "There is no such image.",
        "The tag is no longer there.",
        "It writes the report into a file.",
        "Of course.",
    ],
)
def test_plain_english_passes(text: str) -> None:
    assert refused(text) == []


def test_every_text_can_be_read_once() -> None:
    assert [str(offence) for offence in offences()] == []


@pytest.mark.parametrize("place", ALLOWED)
def test_an_allowed_place_exists_and_needs_to_be_allowed(place: str) -> None:
    assert (ROOT / place).exists()
    assert any(offence.path.startswith(place) for offence in offences(allowed=()))
