"""A browser for the whole session, and pages in it that notice what they must not do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect, sync_playwright

from local_engines.debian import DebianError
from tests.browser.chromium import chromium

# Milliseconds that a busy machine may take for a click or a change.
PATIENCE = 60_000
FLAGS = ("--disable-gpu", "--disable-quic", "--no-first-run")
Scheme = Literal["light", "dark"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    try:
        found = chromium()
    except DebianError as e:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no browser: {e}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found.program, env={**os.environ, **found.environment}, args=FLAGS
        )
        expect.set_options(timeout=PATIENCE)
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page that is open, and what happened in it.

    :param asked: the addresses that it asked for, its own file aside.
    :param complaints: what the browser wrote on its console, errors of scripts, and what they said in a box.
    """

    page: Page
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def dismiss(self, dialog: Dialog) -> None:
        """Close a box, and keep its message."""
        self.complaints.append(dialog.message)
        dialog.dismiss()


Open = Callable[..., Watched]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens a file in a window of a width, in pixels, as a person with a light or a dark screen sees it."""
    with ExitStack() as windows:

        def open_(
            file: Path,
            width: int = 1400,
            scheme: Scheme = "light",
            *,
            scripts: bool = True,
            bypass_policy: bool = False,
        ) -> Watched:
            context = browser.new_context(
                viewport={"width": width, "height": 900},
                color_scheme=scheme,
                java_script_enabled=scripts,
                bypass_csp=bypass_policy,
            )
            windows.callback(context.close)
            context.set_default_timeout(PATIENCE)
            watched = Watched(context.new_page())
            address = file.as_uri()
            watched.page.on("request", lambda r: None if r.url == address else watched.asked.append(r.url))
            watched.page.on("console", lambda message: watched.complaints.append(message.text))
            watched.page.on("dialog", watched.dismiss)
            watched.page.on("pageerror", lambda error: watched.complaints.append(str(error)))
            watched.page.goto(address)
            return watched

        yield open_
