"""What only a browser can tell: the slider, the content security policy, Back, and that nothing jumps."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.catalog.duplicate_values import NewPair
from tests.support.gallery import fill, photographs
from tests.support.inverting import workshop
from tools.screenshot import browser_arguments, find_browser

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_browser() is None, reason="no Chromium on the PATH"),
]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a served gallery of twelve photographs."""
    folder = tmp_path_factory.mktemp("browser")
    with workshop(folder) as shop:
        fill(shop, photographs()[:12])
        found = {"tier": "review", "relation": "turned counterclockwise by 90 degrees", "algorithm": "dct256-v1"}
        with shop.catalog.write() as uow:
            uow.duplicates.record(NewPair(1, 3, distance=31, evidence={}, **found))
    command = [sys.executable, "-m", "tests.support.gallery", str(folder)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip().rstrip("/")
    finally:
        server.kill()
        server.wait()
        if server.stdout is not None:
            server.stdout.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(find_browser()), args=browser_arguments())
        yield chromium
        chromium.close()


def cut(page: Any) -> str:
    return str(page.eval_on_selector(".before", "element => getComputedStyle(element).clipPath"))


def test_the_slider_moves_with_the_arrow_keys(browser, gallery):
    page = browser.new_page()
    page.goto(f"{gallery}/items/i1")
    assert cut(page) == "inset(0px 50% 0px 0px)"

    page.focus(".compare input")
    for _ in range(7):
        page.keyboard.press("ArrowRight")
    assert cut(page) == "inset(0px 43% 0px 0px)"
    page.keyboard.press("End")
    assert cut(page) == "inset(0px 0% 0px 0px)"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert cut(page) == "inset(0px 99% 0px 0px)"
    assert page.url == f"{gallery}/items/i1"
    page.close()


def test_the_slider_follows_the_pointer(browser, gallery):
    page = browser.new_page()
    page.goto(f"{gallery}/items/i1")
    box = page.locator(".compare input").bounding_box()

    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.5)

    assert float(cut(page).split()[1].rstrip("%")) == pytest.approx(75, abs=2)
    page.close()


def test_no_page_breaks_its_own_policy_or_asks_elsewhere(browser, gallery):
    page = browser.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    paths = ("/", "/?keyword=animal&near=show", "/items/i1", "/items/i3", "/duplicates", "/runs", "/runs/r1", "/?q=zzz")
    for path in paths:
        page.goto(gallery + path, wait_until="networkidle")
    page.close()

    assert said == []
    assert len(asked) > 30
    assert [url for url in asked if not url.startswith(f"{gallery}/")] == []


def test_the_policy_stops_a_script_that_got_in_nevertheless(browser, gallery):
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{gallery}/runs")

    page.evaluate(
        "() => { const element = document.createElement('div');"
        'element.innerHTML = \'<img src="/static/icon.svg" onload="window.ran = 1">\';'
        "document.body.append(element); }"
    )
    page.wait_for_timeout(500)

    assert page.evaluate("() => window.ran") is None
    assert any("Content Security Policy" in text for text in said)
    page.close()


def test_without_javascript_both_pictures_stand_side_by_side(browser, gallery):
    page = browser.new_page(java_script_enabled=False, viewport={"width": 1200, "height": 800})
    page.goto(f"{gallery}/items/i1", wait_until="networkidle")
    before, after = (page.locator(f".{side} img").bounding_box() for side in ("before", "after"))

    assert before["x"] + before["width"] <= after["x"]
    assert before["width"] == pytest.approx(after["width"], abs=1)
    assert not page.locator(".compare input").is_visible()
    page.click("summary >> text=Manifest")
    assert page.locator("pre.json").is_visible()
    page.close()


def test_without_javascript_a_filter_is_chosen_and_a_search_sent(browser, gallery):
    page = browser.new_page(java_script_enabled=False)
    page.goto(gallery)
    page.click("summary >> text=Dreams")
    page.click(".menu[open] >> text=With a dream")
    page.fill("input[type=search]", "arc de")
    page.press("input[type=search]", "Enter")

    assert page.url == f"{gallery}/?q=arc+de&dreamed=yes"
    assert page.locator("[data-tile]").count() == 1
    page.close()


def test_back_returns_to_the_same_place(browser, gallery):
    page = browser.new_page(viewport={"width": 500, "height": 500})
    page.goto(f"{gallery}/?per=6&sort=oldest", wait_until="networkidle")
    page.click("a[rel=next]")
    page.wait_for_load_state("networkidle")
    place, tile = page.url, page.locator("[data-tile]").nth(4)
    tile.scroll_into_view_if_needed()
    scrolled = page.evaluate("scrollY")
    tile.click()
    page.wait_for_url("**/items/**")
    page.keyboard.press("ArrowLeft")
    page.wait_for_load_state("networkidle")
    page.go_back()
    page.go_back()
    page.wait_for_load_state("networkidle")

    assert page.url == place
    assert scrolled > 0
    assert page.evaluate("scrollY") == pytest.approx(scrolled, abs=2)
    page.close()


def test_nothing_jumps_when_the_pictures_come(browser, gallery):
    page = browser.new_page(viewport={"width": 900, "height": 700})
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/media/**", hold)
    for path, selector in (("/", "[data-tile]"), ("/items/i1", ".stage img, h2")):
        page.goto(gallery + path, wait_until="domcontentloaded")
        boxes = "elements => elements.map(each => Object.values(each.getBoundingClientRect().toJSON()).map(Math.round))"
        without = page.eval_on_selector_all(selector, boxes)
        assert held
        while held:
            held.pop().continue_()
        page.unroute("**/media/**")
        page.wait_for_load_state("networkidle")

        assert page.eval_on_selector_all(selector, boxes) == without
        assert page.eval_on_selector("img[src*=media]", "image => image.naturalWidth") > 0
        page.route("**/media/**", hold)
    page.close()


def test_the_other_picture_is_shown_on_focus_by_style_alone(browser, gallery):
    page = browser.new_page(java_script_enabled=False)
    page.goto(gallery, wait_until="networkidle")
    tile = page.locator("[data-tile]:has(.back)").first
    opacity = "element => getComputedStyle(element).opacity"
    assert tile.locator(".back").evaluate(opacity) == "0"

    tile.hover()
    page.wait_for_timeout(600)

    assert tile.locator(".back").evaluate(opacity) == "1"
    page.close()


@pytest.mark.parametrize("width", [320, 700, 1280])
def test_no_page_scrolls_sideways(browser, gallery, width):
    page = browser.new_page(viewport={"width": width, "height": 700})
    for path in ("/?keyword=animal&near=show", "/items/i1", "/duplicates", "/runs", "/runs/r1"):
        page.goto(gallery + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        for summary in page.locator(".menu summary").all():
            summary.click()
            assert summary.locator("..").locator("ul").is_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= width, summary.inner_text()
            page.keyboard.press("Escape")
            assert not summary.locator("..").locator("ul").is_visible()
    page.close()
