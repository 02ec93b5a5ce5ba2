"""The page of one refused push shows what the guard sends."""

from __future__ import annotations

from tests.docs.refused_push import PAGE, page


def test_the_page_shows_what_the_guard_sends() -> None:
    assert PAGE.read_text() == page()
