"""Makes the pictures of the documentation with the project's own commands, and writes whose photographs they show.

    python tools/figures.py [--only looks,paper-figure,contact-sheet] [--max-side 448]

The photographs are bundled ones under CC0, the public domain mark or CC BY.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PHOTOS = ROOT / "crawler" / "sample_site" / "photos"
IMAGES = ROOT / "docs" / "images"
FREE = {"CC0-1.0", "PDM-1.0", "CC-BY-1.0", "CC-BY-2.0", "CC-BY-3.0", "CC-BY-4.0"}
PAPER_LOOKS = "paper-single,paper-multi,paper-octave"

# What each shows, and the arguments of the command that draws it, without the file it is written to.
FIGURES: dict[str, tuple[tuple[str, ...], list[str]]] = {
    "looks": (("chelsea-07c5a8.jpg",), ["presets", "--file"]),
    "paper-figure": (
        ("moose-2252a6.webp", "great_wall-20f068.webp", "coffee-15d43f.jpg"),
        ["compare", "--presets", PAPER_LOOKS],
    ),
    "contact-sheet": (
        ("moose-2252a6.webp", "chelsea-07c5a8.jpg", "great_wall-20f068.webp", "coffee-15d43f.jpg"),
        ["compare", "--presets", f"{PAPER_LOOKS},menagerie"],
    ),
}


def main() -> None:
    """Draw the figures and write their attributions beside them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(FIGURES), help="names of figures, with commas between")
    parser.add_argument("--max-side", type=int, default=384, help="longer side that each photograph is dreamed at")
    arguments = parser.parse_args()
    about = {entry["file"]: entry for entry in json.loads((PHOTOS / "photos.json").read_text(encoding="utf-8"))}
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name in arguments.only.split(","):
        if name not in FIGURES:
            parser.error(f"no figure is called {name!r}; there are {', '.join(FIGURES)}")
        files, command = FIGURES[name]
        if not all(about[file]["license"] in FREE for file in files):
            parser.error(f"{name} shows a photograph whose dreams may not be shown without more")
        draw(name, files, command, max_side=arguments.max_side)
        (IMAGES / f"{name}.md").write_text(credits_of([about[file] for file in files]), encoding="utf-8")


def draw(name: str, files: tuple[str, ...], command: list[str], *, max_side: int) -> None:
    """Runs the command; a workspace of its own keeps whatever it leaves out of the way."""
    target = "--sheet" if command[0] == "presets" else "--write-to"
    photographs = [str(PHOTOS / file) for file in files]
    with tempfile.TemporaryDirectory() as workspace:
        subprocess.run(  # noqa: S603  # our own command
            [
                *[sys.executable, "-m", "flows", *command, *photographs],
                *[target, str(IMAGES / f"{name}.jpg"), "--max-side", str(max_side), "--workspace", workspace],
            ],
            cwd=ROOT,
            check=True,
        )


def credits_of(entries: list[dict[str, str]]) -> str:
    """Title, author, source and licence of each photograph, as a page."""
    lines = ["# Photographs in this picture", "", "Each was made smaller and dreamed on with dreamcrawl.", ""]
    lines += [
        f"- [{entry['title']}]({entry['source']}) by {entry['author']}, [{entry['license']}]({entry['license_url']})"
        for entry in entries
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
