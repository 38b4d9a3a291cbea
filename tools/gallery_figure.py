"""Makes the README's picture of the gallery: a real run over the bundled site, served, and photographed by Chromium.

    python tools/gallery_figure.py [OUT.jpg]

Only photographs under CC0, the public domain mark or CC BY are collected; the attribution is written beside it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from screenshot import find_browser, take

from crawler.sample_site import build_site, serve_site

ROOT = Path(__file__).resolve().parent.parent
KEYWORDS = (
    "moose",
    "chelsea",
    "coffee",
    "rocket",
    "panda",
    "crocodile",
    "great wall",
    "mount rushmore",
    "chesterton",
    "ellezelles",
    "yellowperch",
    "astronaut",
    "igloo",
)
FREE = {"CC0-1.0", "PDM-1.0", "CC-BY-1.0", "CC-BY-2.0", "CC-BY-3.0", "CC-BY-4.0"}


def main() -> None:
    """Run, serve, photograph, credit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="?", type=Path, default=ROOT / "docs" / "images" / "gallery.jpg")
    parser.add_argument("--workspace", type=Path, help="keep the workspace here instead of a temporary folder")
    arguments = parser.parse_args()
    browser = find_browser()
    if browser is None:
        sys.exit("no Chromium on the PATH; on Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        workspace = arguments.workspace or Path(folder) / "pictures"
        site_folder = Path(folder) / "site"
        build_site(site_folder)
        with serve_site(site_folder) as site:
            source = f"website={site.url}"
            _dreamcrawl(workspace, "run", *KEYWORDS, "--source", source, "--max-side", "512", "--limit", "60")
        items: list[dict[str, Any]] = json.loads(_dreamcrawl(workspace, "items", "--json"))
        unfree = [item["title"] for item in items if item["license_id"] not in FREE]
        if unfree:
            sys.exit(f"not free enough for the README: {', '.join(unfree)}")
        _photograph(workspace, arguments.out, browser=browser)
    arguments.out.with_suffix(".md").write_text(_credits(items), encoding="utf-8")
    print(arguments.out)


def _dreamcrawl(workspace: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "flows", *arguments, "--workspace", str(workspace)]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603 - our own command


def _photograph(workspace: Path, out: Path, *, browser: Path) -> None:
    command = [sys.executable, "-m", "flows", "browse", "--port", "0", "--workspace", str(workspace)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own command
    try:
        assert server.stdout is not None
        url = next(word for word in server.stdout.readline().split() if word.startswith("http"))
        png = workspace / "gallery.png"
        take(url, png, browser=browser, width=1280, height=800)
        out.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(png) as image:
            image.convert("RGB").save(out, quality=86, optimize=True)
    finally:
        server.terminate()
        server.wait(20)


def _credits(items: list[dict[str, Any]]) -> str:
    photos = json.loads((ROOT / "crawler" / "sample_site" / "photos" / "photos.json").read_text(encoding="utf-8"))
    source = {photo["title"]: photo["source"] for photo in photos}
    lines = ["# Photographs in this picture", "", "Some are shown as they are, some as dreamed on by dreamcrawl.", ""]
    lines += sorted(
        f"- [{item['title']}]({source[item['title']]}) by {item['creator']}, "
        f"[{item['license_id']}]({item['license_url']})"
        for item in items
        if item["near_duplicate_of_id"] is None
    )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
