"""The html report in a real browser: on a phone and a wide screen, light and dark, without a network or scripts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE, Open, Scheme
from tests.browser.samples import samples

PAGES = ("healthy", "refused", "index", "deep", "many", "audit", "diff", "diff-rebuilt", "hostile", "diff-hostile")
pages = pytest.mark.parametrize("name", PAGES)
# From the narrowest that WCAG requires to a wide screen: https://www.w3.org/WAI/WCAG22/Understanding/reflow
WIDTHS = (320, 360, 800, 1400)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    return samples(tmp_path_factory.mktemp("pages"))


def unfold(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")


@pages
def test_a_page_fits_every_window(files: Mapping[str, Path], open_page: Open, name: str) -> None:
    page = open_page(files[name]).page
    unfold(page)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        cut = page.evaluate(
            """width => [...document.querySelectorAll('main *')]
                .filter(one => one.checkVisibility() && one.getBoundingClientRect().right > width + 1)
                .map(one => one.outerHTML.slice(0, 200))""",
            width,
        )
        assert cut == [], "an element that sticks out of the window is cut off"


@pages
def test_a_page_makes_no_requests_and_logs_no_errors(files: Mapping[str, Path], open_page: Open, name: str) -> None:
    watched = open_page(files[name])
    unfold(watched.page)
    watched.page.wait_for_load_state("networkidle")
    assert [address for address in watched.asked if not address.startswith("data:")] == []
    assert watched.complaints == []


def test_light_and_dark_are_both_drawn(files: Mapping[str, Path], open_page: Open) -> None:
    grounds = {
        scheme: open_page(files["refused"], scheme=scheme).page.evaluate(
            "getComputedStyle(document.body).backgroundColor"
        )
        for scheme in ("light", "dark")
    }
    light, dark = (_brightness(grounds[scheme]) for scheme in ("light", "dark"))
    assert light > 200
    assert dark < 60


@pages
def test_a_page_can_be_read_by_everybody(files: Mapping[str, Path], open_page: Open, name: str) -> None:
    page = open_page(files[name], bypass_policy=True).page
    # The folded parts of these look like the others, and would take a minute.
    if name not in ("deep", "many", "audit"):
        unfold(page)
    schemes: tuple[Scheme, ...] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        broken = Axe().run(page).response["violations"]
        violations = [
            (rule["id"], node["html"][:200], node["failureSummary"]) for rule in broken for node in rule["nodes"]
        ]
        assert violations == [], scheme


@pages
def test_a_page_shows_the_same_without_scripts(files: Mapping[str, Path], open_page: Open, name: str) -> None:
    with_scripts, without = (open_page(files[name], scripts=scripts).page for scripts in (True, False))
    words = with_scripts.locator("main").inner_text().replace("\ncopy", "")
    assert without.locator("main").inner_text() == words


def test_every_finding_and_its_remedy_can_be_seen(files: Mapping[str, Path], open_page: Open) -> None:
    page = open_page(files["refused"], 360).page
    for text in (
        "layer-type-unsupported",
        "CannotPullContainerError: number of layers and diffIDs don't match: 2 != 5",
        "ecr batch-delete-image --image-ids imageTag=$TAG,imageDigest=$IMAGE",
    ):
        assert page.get_by_text(text).last.is_visible()


def test_a_broken_layer_leads_to_its_finding(files: Mapping[str, Path], open_page: Open) -> None:
    page = open_page(files["refused"]).page
    page.locator(".stack a", has_text="layer-type-unsupported").first.click()
    expect(page.locator(":target").get_by_text("which ECS on Fargate cannot unpack")).to_be_visible()


def test_a_difference_leads_to_the_finding_that_it_causes(files: Mapping[str, Path], open_page: Open) -> None:
    page = open_page(files["diff-rebuilt"], 360).page
    page.get_by_role("row", name="command").get_by_role("link", name="no-command").click()
    expect(page.locator(":target").get_by_text("neither an entrypoint nor a command")).to_be_visible()


def test_shared_layers_are_folded_and_changed_layers_are_not(files: Mapping[str, Path], open_page: Open) -> None:
    page = open_page(files["diff-rebuilt"]).page
    assert page.get_by_text("COPY shop/fonts").is_visible()
    assert not page.get_by_text("WORKDIR /srv").first.is_visible()
    assert not page.get_by_text("takes only a single image's manifest").first.is_visible(), "it refuses both"
    page.get_by_text("7 shared layers").click()
    expect(page.get_by_text("WORKDIR /srv").first).to_be_visible()


def test_an_image_of_many_is_one_click_away(files: Mapping[str, Path], open_page: Open) -> None:
    page = open_page(files["many"]).page
    last = page.get_by_role("link", name="fleet/last:1.0")
    assert not page.get_by_text("COPY shop/static").is_visible()
    last.click()
    expect(page.get_by_text("COPY shop/static")).to_be_visible()


def test_a_command_is_copied_whole_with_the_keyboard_alone(files: Mapping[str, Path], open_page: Open) -> None:
    page = open_page(files["refused"]).page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = page.locator(".command", has_text="batch-delete-image").get_by_role("button")
    for _ in range(40):
        page.keyboard.press("Tab")
        if button.evaluate("one => one === document.activeElement"):
            break
    # Else the button would say "copy" again after a moment, which a busy machine may miss.
    page.evaluate("window.setTimeout = () => 0")
    page.keyboard.press("Enter")
    # The clipboard is written by another process of the browser, which answers when it can.
    expect(button).to_have_text("copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith('ecr() { aws ecr "$@" --region eu-west-1 --registry-id 123456789012 ')
    assert copied.endswith("--image-ids imageTag=$TAG,imageDigest=$IMAGE")


def test_a_command_is_selected_if_the_browser_refuses_to_copy_it(files: Mapping[str, Path], open_page: Open) -> None:
    watched = open_page(files["refused"])
    watched.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    watched.page.locator(".command", has_text="batch-delete-image").get_by_role("button").click()
    watched.page.wait_for_function("getSelection().toString().endsWith('imageTag=$TAG,imageDigest=$IMAGE')")
    assert watched.complaints == []


@pytest.mark.parametrize("name", ["hostile", "diff-hostile"])
def test_no_text_of_an_image_runs(files: Mapping[str, Path], open_page: Open, name: str) -> None:
    watched = open_page(files[name], bypass_policy=True)
    unfold(watched.page)
    # Requests of an image and messages of a script come after the page.
    watched.page.wait_for_load_state("networkidle")
    assert watched.page.locator("main img, main script").count() == 0
    assert (watched.asked, watched.complaints) == ([], [])
    assert "{{ 7 * 7 }}" in watched.page.locator("main").inner_text()
    assert not set("\u202e\x00") & set(watched.page.content())


def test_the_content_security_policy_blocks_an_element_that_was_not_escaped(
    files: Mapping[str, Path], open_page: Open
) -> None:
    watched = open_page(files["healthy"])
    watched.page.evaluate(
        """() => {
            const image = document.createElement('img'), script = document.createElement('script');
            image.src = 'https://example.com/x';
            script.textContent = 'window.owned = true';
            document.body.append(image, script);
        }"""
    )
    deadline = time.monotonic() + PATIENCE / 1000
    while len(watched.complaints) < 2 and time.monotonic() < deadline:
        watched.page.wait_for_timeout(50)
    assert not watched.page.evaluate("window.owned === true")
    assert len(watched.complaints) == 2
    assert all("Content Security Policy" in complaint for complaint in watched.complaints)


def test_on_paper_the_refused_images_of_many_are_unfolded_below_the_overview(
    files: Mapping[str, Path], open_page: Open
) -> None:
    page = open_page(files["many"]).page
    page.emulate_media(media="print")
    passed, refused = page.locator(".sheet.is-pass"), page.locator(".sheet.is-fail")
    assert not any(sheet.is_visible() for sheet in passed.all())
    assert all(sheet.locator(".finding").first.is_visible() for sheet in refused.all())
    assert page.locator(".overview li.is-pass").last.is_visible()
    assert not page.get_by_role("group", name="Show").is_visible()
    page.emulate_media(media="screen")
    page.get_by_role("group", name="Show").get_by_text("passed").click()
    page.emulate_media(media="print")
    assert page.get_by_text("COPY shop/static").is_visible(), "who chooses the passed images prints them"


def test_on_paper_a_single_image_is_unfolded_though_it_passes(files: Mapping[str, Path], open_page: Open) -> None:
    page = open_page(files["healthy"]).page
    page.locator(".sheet summary").click()
    page.emulate_media(media="print")
    assert page.get_by_text("COPY shop/static").is_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_the_images_are_filtered_by_their_verdict(files: Mapping[str, Path], open_page: Open, scripts: bool) -> None:
    page = open_page(files["many"], scripts=scripts).page
    filter_, listed = page.get_by_role("group", name="Show"), page.locator(".listed:visible")
    every = listed.count()
    shown = {}
    for word, verdict in (("refused", "fail"), ("unknown", "unknown"), ("passed", "pass")):
        choice = filter_.get_by_text(word)
        choice.click()
        expect(page.locator(f".listed:not(.is-{verdict}):visible")).to_have_count(0)
        shown[word] = listed.count()
        assert choice.inner_text() == f"{shown[word] // 2} {word}", "each has a row and a sheet"
    assert sum(shown.values()) == every
    filter_.get_by_text("all").click()
    expect(listed).to_have_count(every)


def test_the_refused_images_in_use_are_filtered(files: Mapping[str, Path], open_page: Open) -> None:
    page = open_page(files["audit"]).page
    choice = page.get_by_role("group", name="Show").get_by_text("refused in use")
    choice.click()
    sheets = page.locator(".sheet.listed:visible")
    assert choice.inner_text() == f"{sheets.count()} refused in use"
    assert all("in use by" in sheet.inner_text() for sheet in sheets.all())


def test_verdicts_differ_in_more_than_their_colour(files: Mapping[str, Path], open_page: Open) -> None:
    page = open_page(files["many"]).page
    signs, heights = (
        {
            verdict: page.locator(f"{element}.{verdict}").first.evaluate(script)
            for verdict in ("fail", "unknown", "pass")
        }
        for element, script in (
            (".overview .badge", "one => getComputedStyle(one, '::before').content + one.textContent"),
            (".share rect", "one => one.getBoundingClientRect().height"),
        )
    )
    assert len(set(signs.values())) == 3
    assert heights["fail"] > heights["unknown"] > heights["pass"] > 0


@pytest.mark.parametrize("media", ["screen", "print"])
def test_findings_come_before_layers_on_a_phone_and_on_paper(
    files: Mapping[str, Path], open_page: Open, media: Literal["screen", "print"]
) -> None:
    page = open_page(files["refused"], 390 if media == "screen" else 700).page
    page.emulate_media(media=media)
    finding, layers = (page.locator(part).first.bounding_box() for part in (".finding", ".stack"))
    assert finding
    assert layers
    assert finding["y"] + finding["height"] <= layers["y"]


def _brightness(colour: str) -> float:
    red, green, blue = (int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))
    return (red + green + blue) / 3
