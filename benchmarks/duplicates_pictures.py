"""The pictures of the benchmark of duplicates: photographs, and plain pictures that are easily taken for others.

Everything is made by formula and seed; nothing is fetched.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from duplicates_layouts import layouts
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

PHOTOS = Path(__file__).resolve().parents[1] / "crawler" / "sample_site" / "photos"


def photographs() -> dict[str, Image.Image]:
    """The bundled photographs by name."""
    paths = [path for path in sorted(PHOTOS.iterdir()) if path.suffix in {".webp", ".jpg"}]
    return {path.stem: Image.open(path).convert("RGB") for path in paths}


def pictures_of(half: str) -> dict[str, tuple[Image.Image, bool]]:
    """Name -> picture, and whether it is a photograph, of one half: `choose` or `report`.

    Every other photograph, and plain pictures: those without chance in them are in both halves, the others are drawn
    anew, and layouts are in the reporting half alone.
    """
    photos = [one for at, one in enumerate(photographs().items()) if at % 2 == (0 if half == "choose" else 1)]
    if half == "choose":
        plain = plain_pictures(7) | more_plain_pictures(11) | drawn_pictures(23)
    else:
        plain = plain_pictures(207) | more_plain_pictures(211) | drawn_pictures(101) | layouts(301)
    return {name: (image, True) for name, image in photos} | {name: (image, False) for name, image in plain.items()}


def plain_pictures(seed: int) -> dict[str, Image.Image]:
    """Pictures with little in them, none of which an edit makes of another one."""
    width, height = 320, 240
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width])[:, None, None]
    random = np.random.default_rng(seed)
    grey: dict[str, NDArray[np.float64]] = {
        "slope": 30 + 200 * x,
        "steep slope": 255 * np.clip(3 * x - 1, 0, 1),
        "slope down": 250 - 180 * y**2,
        "diagonal": 255 * (x + y**2) / 2,
        "round": 255 * np.hypot(x - 0.5, y - 0.5),
        "round, dark edge": 200 - 200 * np.hypot(x - 0.4, y - 0.6),
        "noise 12": 90 + random.normal(0, 12, (height, width)),
        "noise 40": 150 + random.normal(0, 40, (height, width)),
    }
    for number in range(4):
        cells = random.normal(0, 1, (4 + 2 * number, 5 + 2 * number)).astype(np.float32)
        cloud = np.asarray(Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC))
        grey[f"cloud {number}"] = 170 + 18 * cloud
        sea = 150 + 60 * (y > 0.4 + 0.05 * number)
        grey[f"fog over the sea {number}"] = sea + 6 * cloud + random.normal(0, 2, cloud.shape)
        grey[f"horizon {number}"] = np.where(y < 0.3 + 0.12 * number, 200 - 20 * number, 90) + 15 * x * number
    checks = {
        f"board {m} by {n}": 255 * ((np.floor(x * m) + np.floor(y * n)) % 2) for m, n in ((8, 8), (16, 16), (8, 10))
    }
    pictures = {name: _grey(values) for name, values in (grey | checks).items()}
    pictures |= {
        f"flat {color}": Image.new("RGB", (width, height), color)
        for color in ("grey", "white", "black", "firebrick", "steelblue", "gold")
    }
    sky = np.stack([90 + 80 * y, 140 + 70 * y, 230 + 10 * y], -1)
    sunset = np.stack([250 - 100 * y, 120 + 40 * y, 60 + 100 * y], -1)
    pictures |= {"sky": Image.fromarray(sky.astype(np.uint8)), "sunset": Image.fromarray(sunset.astype(np.uint8))}
    for number in range(3):
        stars = np.zeros((height, width))
        stars[random.integers(0, height, 60), random.integers(0, width, 60)] = 255
        pictures[f"stars {number}"] = _grey(stars).filter(ImageFilter.GaussianBlur(1))
    return pictures | _drawings(random)


def _drawings(random: np.random.Generator) -> dict[str, Image.Image]:
    pages = ["Chapter one\nThe beginning", "Results\n- first\n- second", "Thank you\nfor listening", "Page 4", "Page 5"]
    pages += ["No image\navailable", "404"]
    drawings: dict[str, Callable[[ImageDraw.ImageDraw], object]] = {}
    for words in pages:
        drawings[words.split("\n", maxsplit=1)[0]] = lambda draw, words=words: draw.text(
            (30, 30), words, fill="black", font=_font(24)
        )
    drawings |= {
        "disc": lambda draw: draw.ellipse((110, 70, 210, 170), fill="navy"),
        "smaller disc": lambda draw: draw.ellipse((125, 85, 195, 155), fill="navy"),
        "dot": lambda draw: draw.ellipse((150, 110, 170, 130), fill="black"),
        "square": lambda draw: draw.rectangle((110, 70, 210, 170), fill="navy"),
        "triangle": lambda draw: draw.polygon([(160, 60), (210, 170), (110, 170)], fill="navy"),
        "line": lambda draw: draw.line((100, 60, 220, 180), fill="black", width=12),
    }
    for number in range(4):
        line = [(40 + 30 * step, int(random.integers(40, 200))) for step in range(9)]
        drawings[f"chart {number}"] = lambda draw, line=line: _draw_chart(draw, line)
    out = {}
    for name, drawn in drawings.items():
        out[name] = Image.new("RGB", (320, 240), "white")
        drawn(ImageDraw.Draw(out[name]))
    return out


def _draw_chart(draw: ImageDraw.ImageDraw, line: list[tuple[int, int]]) -> None:
    draw.line((40, 20, 40, 210), fill="black", width=2)
    draw.line((40, 210, 300, 210), fill="black", width=2)
    draw.line(line, fill="blue", width=2)
    draw.text((50, 215), "2019 2020 2021 2022", fill="black")


def _font(pixels: float) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=pixels)


def _grey(values: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).convert("RGB")


def more_plain_pictures(seed: int) -> dict[str, Image.Image]:
    """Others of the kind, which showed what the first ones did not: shifted discs, patterns under a frame or a logo."""
    width, height = 320, 240
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width])[:, None, None]
    random = np.random.default_rng(seed)
    pictures = {
        f"stripes {count}": _grey(128 + 100 * np.sin(2 * np.pi * count * (x + slope * y)))
        for count, slope in ((3, 0.0), (5, 0.0), (12, 0.0), (5, 0.5), (30, 0.3))
    }
    for number in range(3):
        moon = np.hypot((x - 0.3 - 0.15 * number) * 4 / 3, y - 0.4) < 0.1 + 0.03 * number
        pictures[f"moon {number}"] = _grey(15 + 220 * moon).filter(ImageFilter.GaussianBlur(2))
        bars = np.repeat(random.integers(0, 2, 64), 5)[:width] * 255.0
        pictures[f"bar code {number}"] = _grey(np.broadcast_to(bars, (height, width)))
        cells = np.kron(random.integers(0, 2, (24, 24)), np.ones((10, 10))) * 255.0
        pictures[f"two-dimensional code {number}"] = _grey(np.pad(cells, ((0, 0), (40, 40)), constant_values=255.0))
        lights = Image.new("RGB", (width, height), "black")
        draw = ImageDraw.Draw(lights)
        for _ in range(12):
            at, down, size = random.integers(0, width), random.integers(0, height), random.integers(8, 30)
            draw.ellipse((at - size, down - size, at + size, down + size), fill=(120, 90, 50))
        pictures[f"lights {number}"] = lights.filter(ImageFilter.GaussianBlur(4))
        table = Image.new("RGB", (width, height), "white")
        draw = ImageDraw.Draw(table)
        for row in range(10):
            for column in range(5):
                place = (10 + 62 * column, 10 + 23 * row)
                draw.rectangle((*place, place[0] + 62, place[1] + 23), outline="grey")
                draw.text((place[0] + 6, place[1] + 6), str(random.integers(1000, 99999)), fill="black")
        pictures[f"table {number}"] = table
        window = Image.new("RGB", (width, height), (240, 240, 240))
        draw = ImageDraw.Draw(window)
        draw.rectangle((0, 0, width, 24), fill=(60, 90, 160))
        draw.rectangle((0, 24, 70, height), fill=(215, 215, 220))
        for row in range(8):
            draw.text((8, 34 + 24 * row), "Entry", fill="black")
            draw.line((85, 42 + 24 * row, 85 + int(random.integers(60, 220)), 42 + 24 * row), fill="grey", width=3)
        pictures[f"window {number}"] = window
        letter = Image.new("RGB", (width, height), "white")
        ImageDraw.Draw(letter).text((100, 20), "ABC"[number], fill="black", font=_font(180))
        pictures[f"letter {'ABC'[number]}"] = letter
        water = random.normal(0, 1, (60, 20)).astype(np.float32)
        waves = np.asarray(Image.fromarray(water).resize((width, height), Image.Resampling.BICUBIC))
        pictures[f"water {number}"] = _grey(110 + 25 * waves)
    return pictures


def drawn_pictures(seed: int) -> dict[str, Image.Image]:
    """Pages, clocks, faces, maps and the like, of which those of one kind differ in little; other seeds give others."""
    random = np.random.default_rng(seed)
    pictures: dict[str, Image.Image] = {}
    for number in range(3):
        for name, make in _DRAWERS.items():
            image = Image.new("RGB", (320, 240), "white")
            make(ImageDraw.Draw(image), random)
            pictures[f"{name} {number}"] = image
        y, x = np.mgrid[0:240, 0:320] / 240
        ridge = np.interp(x[0], np.linspace(0, 4 / 3, 9), random.uniform(0.4, 0.8, 9))
        pictures[f"hills {number}"] = _grey(np.where(y < ridge[None, :], 220 - 60 * y, 40))
        center = random.uniform(0.3, 0.7, 2)
        pictures[f"rings {number}"] = _grey(
            128 + 90 * np.cos((30 + 14 * number) * np.hypot(x - center[0], y - center[1]))
        )
        joints = ((y * 10) % 1 < 0.12) | ((x * 5 + 0.5 * np.floor(y * 10)) % 1 < 0.06)
        shades = random.normal(0, 12, (10, 8)).repeat(24, 0).repeat(40, 1)
        pictures[f"bricks {number}"] = _grey(np.where(joints, 200, 120 + shades))
        grain = random.normal(0, 1, (240, 20)).astype(np.float32)
        pictures[f"brushed metal {number}"] = _grey(
            150 + 12 * np.asarray(Image.fromarray(grain).resize((320, 240), Image.Resampling.BICUBIC))
        )
    return pictures


def _draw_words(draw: ImageDraw.ImageDraw, random: np.random.Generator) -> None:
    for line in range(14):
        words = " ".join("".join(random.choice(list("aeinorstlmdu"), random.integers(2, 9))) for _ in range(8))
        draw.text((15, 12 + 16 * line), words[:52], fill="black")


def _draw_clock(draw: ImageDraw.ImageDraw, random: np.random.Generator) -> None:
    draw.ellipse((60, 20, 260, 220), outline="black", width=6)
    for length, width in ((90, 4), (60, 7)):
        angle = random.uniform(0, 2 * math.pi)
        draw.line((160, 120, 160 + length * math.cos(angle), 120 + length * math.sin(angle)), fill="black", width=width)


def _draw_calendar(draw: ImageDraw.ImageDraw, random: np.random.Generator) -> None:
    first = int(random.integers(0, 7))
    for day in range(1, 31):
        row, column = divmod(day - 1 + first, 7)
        draw.text((20 + 42 * column, 50 + 30 * row), str(day), fill="black", font=_font(16))
    draw.text((120, 10), str(random.integers(1990, 2030)), fill="black", font=_font(24))


def _draw_pie(draw: ImageDraw.ImageDraw, random: np.random.Generator) -> None:
    edges = np.concatenate([[0], np.sort(random.uniform(0, 360, 3)), [360]])
    for start, end, color in zip(edges, edges[1:], ("navy", "orange", "green", "grey"), strict=False):
        draw.pieslice((60, 20, 260, 220), float(start), float(end), fill=color)


def _draw_bars(draw: ImageDraw.ImageDraw, random: np.random.Generator) -> None:
    for bar in range(7):
        draw.rectangle((25 + 40 * bar, int(random.integers(30, 200)), 50 + 40 * bar, 220), fill="steelblue")
    draw.line((15, 220, 305, 220), fill="black", width=2)


def _draw_face(draw: ImageDraw.ImageDraw, random: np.random.Generator) -> None:
    draw.ellipse((70, 20, 270, 220), fill="gold", outline="black", width=3)
    for x in (130, 210):
        size = int(random.integers(6, 16))
        draw.ellipse((x - size, 90 - size, x + size, 90 + size), fill="black")
    bend = int(random.integers(10, 50))
    draw.arc((120, 130, 220, 130 + bend), 0, 180, fill="black", width=5)


def _draw_staves(draw: ImageDraw.ImageDraw, random: np.random.Generator) -> None:
    for stave in range(4):
        for line in range(5):
            draw.line((10, 25 + 55 * stave + 7 * line, 310, 25 + 55 * stave + 7 * line), fill="black")
        for note in range(12):
            x, y = 25 + 24 * note, 25 + 55 * stave + int(random.integers(0, 28))
            draw.ellipse((x - 5, y - 4, x + 5, y + 4), fill="black")


def _draw_map(draw: ImageDraw.ImageDraw, random: np.random.Generator) -> None:
    for _ in range(10):
        points = np.cumsum(random.normal(0, 30, (12, 2)), axis=0) + random.uniform(0, 300, 2)
        draw.line([(float(x), float(y)) for x, y in points], fill="grey", width=int(random.integers(1, 5)))


def _draw_bottle(draw: ImageDraw.ImageDraw, random: np.random.Generator) -> None:
    width, neck = int(random.integers(30, 60)), int(random.integers(8, 16))
    draw.rectangle((160 - width, 90, 160 + width, 225), fill=(40, 90, 60))
    draw.rectangle((160 - neck, 15, 160 + neck, 90), fill=(40, 90, 60))
    draw.rectangle((160 - width, 130, 160 + width, 180), fill="beige")
    draw.text((165 - width, 145), "Label " + str(random.integers(10, 99)), fill="black")


_DRAWERS: dict[str, Callable[[ImageDraw.ImageDraw, np.random.Generator], None]] = {
    "words": _draw_words,
    "clock": _draw_clock,
    "calendar": _draw_calendar,
    "pie": _draw_pie,
    "bars": _draw_bars,
    "face": _draw_face,
    "staves": _draw_staves,
    "map": _draw_map,
    "bottle": _draw_bottle,
}
