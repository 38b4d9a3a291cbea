"""Makes the README's contact sheet: bundled photographs in rows; the original and each look in columns.

    python tools/figures.py [OUT.jpg] [--rows chelsea,coffee] [--presets paper-single,...]

The photographs are those under CC0, the public domain mark or CC BY; the sheet's attribution is written beside it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dream.networks import load_network
from dream.presets import DEFAULT_PRESET, preset
from dream.render import render

ROOT = Path(__file__).resolve().parent.parent
PHOTOS = ROOT / "crawler" / "sample_site" / "photos"
PAPER_LOOKS = ("paper-single", "paper-multi", "paper-octave")
DEFAULT_ROWS = "moose-2252a6.webp,chelsea-07c5a8.jpg,great_wall-20f068.webp,coffee-15d43f.jpg"
FREE = {"CC0-1.0", "PDM-1.0", "CC-BY-1.0", "CC-BY-2.0", "CC-BY-3.0", "CC-BY-4.0"}
CELL_WIDTH, CELL_HEIGHT, GAP, HEADER = 420, 290, 8, 34


def main() -> None:
    """Render every cell, write the sheet and its attribution."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="?", type=Path, default=ROOT / "docs" / "images" / "contact-sheet.jpg")
    parser.add_argument("--rows", default=DEFAULT_ROWS)
    parser.add_argument("--presets", default=",".join((*PAPER_LOOKS, DEFAULT_PRESET)))
    parser.add_argument("--network", default="efficientnet_lite0")
    parser.add_argument("--width", type=int, default=448, help="longer side that each photograph is dreamed at")
    arguments = parser.parse_args()

    facts = {entry["file"]: entry for entry in json.loads((PHOTOS / "photos.json").read_text(encoding="utf-8"))}
    files = arguments.rows.split(",")
    for name in files:
        if name not in facts or facts[name]["license"] not in FREE:
            parser.error(f"{name}: not one of the bundled photographs whose dreams may be shown without more")
    looks = arguments.presets.split(",")
    with tempfile.TemporaryDirectory() as weights:
        network = load_network(arguments.network, weights_folder=Path(weights), offline=True)
        sheet = Image.new(
            "RGB",
            ((CELL_WIDTH + GAP) * (len(looks) + 1) - GAP, HEADER + (CELL_HEIGHT + GAP) * len(files) - GAP),
            "white",
        )
        _header(sheet, ("original", *looks))
        for row, name in enumerate(files):
            source = _photo(PHOTOS / name, arguments.width)
            _paste(sheet, source, row, 0)
            for column, look in enumerate(looks, start=1):
                started = time.monotonic()
                rendering = render([source], preset(look, arguments.network), network)
                _paste(sheet, rendering.images[0], row, column)
                print(f"{name} {look}: {time.monotonic() - started:.1f} s", flush=True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(arguments.out, quality=88, optimize=True)
    credits_path = arguments.out.with_suffix(".md")
    credits_path.write_text(_credits([facts[name] for name in files]), encoding="utf-8")
    print(arguments.out)


def _photo(path: Path, width: int) -> np.ndarray:
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    # Cells show the middle of the photograph, all in one shape, so that a row can be compared.
    wanted = CELL_WIDTH / CELL_HEIGHT
    box_width = min(image.width, round(image.height * wanted))
    box_height = min(image.height, round(image.width / wanted))
    left, top = (image.width - box_width) // 2, (image.height - box_height) // 2
    cropped = image.crop((left, top, left + box_width, top + box_height))
    return np.asarray(cropped.resize((width, round(width / wanted)), Image.Resampling.LANCZOS))


def _paste(sheet: Image.Image, pixels: np.ndarray, row: int, column: int) -> None:
    cell = Image.fromarray(pixels).resize((CELL_WIDTH, CELL_HEIGHT), Image.Resampling.LANCZOS)
    sheet.paste(cell, (column * (CELL_WIDTH + GAP), HEADER + row * (CELL_HEIGHT + GAP)))


def _header(sheet: Image.Image, names: tuple[str, ...]) -> None:
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=18)
    for column, name in enumerate(names):
        draw.text((column * (CELL_WIDTH + GAP) + 4, 7), name, fill=(40, 40, 40), font=font)


def _credits(entries: list[dict[str, str]]) -> str:
    lines = ["# Photographs in this picture", "", "Each was cropped and dreamed on with dreamcrawl.", ""]
    lines += [
        f"- [{entry['title']}]({entry['source']}) by {entry['author']}, [{entry['license']}]({entry['license_url']})"
        for entry in entries
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
