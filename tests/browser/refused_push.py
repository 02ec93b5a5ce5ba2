"""Takes the picture of a refused push on the page of a sweep: `python -m tests.browser.refused_push`.

The text of the picture is kept beside it, so that a test can compare it with today's page without a browser.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.chromium import chromium
from tests.browser.conftest import FLAGS
from tests.docs.refused_push import PICTURE, refused_push


def main() -> None:
    """Open the page, and its part about the refused image, in a window as wide as a page on GitHub."""
    found, html = chromium(), refused_push().sweep_page
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder, "page.html")
        file.write_text(html)
        browser = playwright.chromium.launch(
            executable_path=found.program, env={**os.environ, **found.environment}, args=FLAGS
        )
        page = browser.new_page(viewport={"width": 900, "height": 900}, color_scheme="light")
        page.goto(file.as_uri())
        part = page.locator("details.listed.is-fail")
        part.evaluate("part => part.open = true")
        part.screenshot(path=PICTURE)
        lines = (line.strip() for line in part.inner_text().splitlines())
        PICTURE.with_suffix(".txt").write_text("".join(f"{line}\n" for line in lines if line))
        browser.close()


if __name__ == "__main__":
    main()
