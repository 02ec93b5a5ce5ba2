"""The page of one refused push shows what the guard sends, and its picture shows the page of the next sweep."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from tests.docs.refused_push import PAGE, PICTURE, RefusedPush, page, refused_push


def _squeezed(text: str) -> str:
    """A text without its spaces, and in small letters: a style sheet changes both."""
    return "".join(text.split()).lower()


class Text(HTMLParser):
    """The squeezed text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.text += _squeezed(data)


@pytest.fixture(scope="module")
def push() -> RefusedPush:
    return refused_push()


def test_the_page_shows_what_the_guard_sends(push: RefusedPush) -> None:
    assert PAGE.read_text() == page(push)


def test_the_picture_shows_the_words_of_the_sweeps_page(push: RefusedPush) -> None:
    lines = PICTURE.with_suffix(".txt").read_text().splitlines()
    text = Text(push.sweep_page).text
    missing = [line for line in lines if _squeezed(line) not in text]
    assert missing == [], "run python -m tests.browser.refused_push"
    assert any("not-an-image" in line for line in lines)
