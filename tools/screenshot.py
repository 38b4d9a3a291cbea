"""Takes a picture of a web page with the system's Chromium, to see what a gallery page looks like.

    python tools/screenshot.py URL OUT.png [--width 1280] [--height 800] [--dark] [--no-js] [--full]

Only loopback addresses are opened, unless --anywhere is given. Messages of the browser's console go to standard error.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# The browser is to ask for the page and for nothing else.
ARGUMENTS = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
)


def find_browser() -> Path | None:
    """The Chromium to use: what DREAMCRAWL_TEST_BROWSER names, else the first one on the PATH, else None."""
    wanted = os.environ.get("DREAMCRAWL_TEST_BROWSER")
    found = shutil.which(wanted) if wanted else next((path for name in BROWSERS if (path := shutil.which(name))), None)
    return Path(found) if found else None


def browser_arguments() -> list[str]:
    """Command line for the browser; root, as in most containers, cannot have its sandbox."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return [*ARGUMENTS, *(["--no-sandbox"] if is_root else [])]


def take(
    url: str,
    out: Path,
    *,
    browser: Path,
    width: int = 1280,
    height: int = 800,
    dark: bool = False,
    javascript: bool = True,
    full: bool = False,
    hover: str | None = None,
) -> list[str]:
    """Write a PNG of a page once everything on it is loaded; returns what the console said.

    width, height: Of the window, in CSS pixels.
    full: The whole page, however long it is.
    hover: CSS selector of an element to put the pointer on first.
    """
    from playwright.sync_api import sync_playwright

    messages: list[str] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(browser), args=browser_arguments())
        page = chromium.new_page(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            java_script_enabled=javascript,
        )
        page.on("console", lambda message: messages.append(f"{message.type}: {message.text}"))
        page.goto(url, wait_until="networkidle")
        if hover:
            page.hover(hover)
            page.wait_for_timeout(600)  # the longest transition
        page.screenshot(path=str(out), full_page=full)
        chromium.close()
    return messages


def main() -> int:
    """Take the picture that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=800)
    parser.add_argument("--dark", action="store_true", help="as someone who prefers dark pages sees it")
    parser.add_argument("--no-js", action="store_true", help="with JavaScript switched off")
    parser.add_argument("--full", action="store_true", help="the whole page, not only the window")
    parser.add_argument("--hover", metavar="SELECTOR", help="put the pointer on this element first")
    parser.add_argument("--anywhere", action="store_true", help="allow an address beyond this machine")
    given = parser.parse_args()
    if not given.anywhere and urlsplit(given.url).hostname not in {"127.0.0.1", "localhost", "::1"}:
        parser.error("the address is not on this machine; add --anywhere if you mean it")
    browser = find_browser()
    if browser is None:
        print(
            "No Chromium on the PATH. On Debian and Ubuntu: apt-get install chromium; or name one in "
            "DREAMCRAWL_TEST_BROWSER.",
            file=sys.stderr,
        )
        return 1
    messages = take(
        given.url,
        given.out,
        browser=browser,
        width=given.width,
        height=given.height,
        dark=given.dark,
        javascript=not given.no_js,
        full=given.full,
        hover=given.hover,
    )
    for message in messages:
        print(message, file=sys.stderr)
    print(given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
