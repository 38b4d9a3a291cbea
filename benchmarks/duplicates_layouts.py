"""Drawings of one layout and different contents: diagrams, slides, plans, forms. Two of a kind are two pictures.

They chose no threshold: the benchmark reports on them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

WIDTH, HEIGHT = 320, 240
_OF_EACH = 3
_COLORS = ("firebrick", "steelblue", "gold", "darkgreen", "white", "black", "orange", "navy")


def layouts(seed: int) -> dict[str, Image.Image]:
    """Three of each kind, by name; other seeds give others."""
    random = np.random.default_rng(seed)
    return {f"{name} {number}": draw(random) for number in range(_OF_EACH) for name, draw in _KINDS.items()}


def _sheet(color: object = "white") -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (WIDTH, HEIGHT), color)
    return image, ImageDraw.Draw(image)


def _font(pixels: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=pixels)


def _words(random: np.random.Generator, count: int) -> str:
    return " ".join("".join(random.choice(list("aeinorstlmdu"), random.integers(2, 9))) for _ in range(count))


def _board(random: np.random.Generator) -> Image.Image:
    """A board of 8 by 8 with men on some fields."""
    image, draw = _sheet()
    for row in range(8):
        for column in range(8):
            x, y = 40 + 30 * column, 30 * row
            draw.rectangle((x, y, x + 30, y + 30), fill="burlywood" if (row + column) % 2 else "cornsilk")
            if random.random() < 0.35:
                draw.ellipse((x + 6, y + 6, x + 24, y + 24), fill=("black", "white")[int(random.integers(2))])
    return image


def _sudoku(random: np.random.Generator) -> Image.Image:
    image, draw = _sheet()
    for line in range(10):
        width = 3 if line % 3 == 0 else 1
        draw.line((52 + 24 * line, 12, 52 + 24 * line, 228), fill="black", width=width)
        draw.line((52, 12 + 24 * line, 268, 12 + 24 * line), fill="black", width=width)
    for row in range(9):
        for column in range(9):
            if random.random() < 0.4:
                place = (60 + 24 * column, 15 + 24 * row)
                draw.text(place, str(random.integers(1, 10)), fill="black", font=_font(16))
    return image


def _crossword(random: np.random.Generator) -> Image.Image:
    image, draw = _sheet()
    for row in range(12):
        for column in range(15):
            x, y = 10 + 20 * column, 20 * row
            draw.rectangle((x, y, x + 20, y + 20), fill="black" if random.random() < 0.25 else "white", outline="grey")
    return image


def _slide(random: np.random.Generator) -> Image.Image:
    image, draw = _sheet()
    draw.rectangle((0, 0, WIDTH, 44), fill="midnightblue")
    draw.text((14, 10), _words(random, 2).capitalize(), fill="white", font=_font(20))
    for row in range(5):
        draw.ellipse((20, 67 + 32 * row, 28, 75 + 32 * row), fill="orange")
        draw.text((38, 62 + 32 * row), _words(random, 4)[:26], fill="black", font=_font(15))
    return image


def _dialog(random: np.random.Generator) -> Image.Image:
    image, draw = _sheet((60, 110, 140))
    draw.rectangle((50, 60, 270, 180), fill=(236, 236, 236), outline="black")
    draw.rectangle((50, 60, 270, 82), fill=(40, 70, 150))
    draw.text((58, 64), _words(random, 2), fill="white", font=_font(13))
    for row in range(3):
        draw.text((64, 92 + 17 * row), _words(random, 6)[:30], fill="black", font=_font(12))
    for left in (130, 200):
        draw.rectangle((left, 152, left + 58, 172), fill="white", outline="grey")
        draw.text((left + 18, 155), ("OK", "No")[left > 150], fill="black", font=_font(12))
    return image


def _dice(random: np.random.Generator) -> Image.Image:
    image, draw = _sheet("darkgreen")
    for left in (30, 170):
        draw.rounded_rectangle((left, 60, left + 120, 180), 14, fill="white")
        for place in random.permutation(9)[: random.integers(1, 7)]:
            x, y = left + 26 + 34 * (place % 3), 86 + 34 * (place // 3)
            draw.ellipse((x - 10, y - 10, x + 10, y + 10), fill="black")
    return image


def _flag(random: np.random.Generator) -> Image.Image:
    image, draw = _sheet()
    colors = random.permutation(len(_COLORS))
    for band in range(3):
        draw.rectangle((0, 80 * band, WIDTH, 80 * band + 80), fill=_COLORS[colors[band]])
    x, y, size = (int(value) for value in random.integers((40, 60, 20), (280, 180, 50)))
    draw.regular_polygon((x, y, size), int(random.integers(3, 9)), fill=_COLORS[colors[3]])
    return image


def _axes(draw: ImageDraw.ImageDraw) -> None:
    for x in range(40, 311, 30):
        draw.line((x, 15, x, 205), fill="gainsboro")
        draw.text((x - 6, 210), str(x - 40), fill="black")
    for y in range(25, 206, 30):
        draw.line((40, y, 310, y), fill="gainsboro")
        draw.text((12, y - 6), str(205 - y), fill="black")
    draw.line((40, 15, 40, 205, 310, 205), fill="black", width=2)


def _curve(random: np.random.Generator) -> Image.Image:
    image, draw = _sheet()
    _axes(draw)
    for color in ("firebrick", "steelblue"):
        waves, phase, tall = random.uniform(0.5, 3), random.uniform(0, 7), random.uniform(20, 80)
        points = [(40 + at, 110 - tall * math.sin(phase + waves * at / 43)) for at in range(0, 270, 3)]
        draw.line(points, fill=color, width=3)
    return image


def _scatter(random: np.random.Generator) -> Image.Image:
    image, draw = _sheet()
    _axes(draw)
    slope = random.uniform(-0.6, 0.6)
    for x in random.uniform(45, 305, 70):
        y = float(np.clip(110 - slope * (x - 175) + random.normal(0, 22), 18, 200))
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill="steelblue")
    return image


def _maze(random: np.random.Generator) -> Image.Image:
    image, draw = _sheet()
    for row in range(12):
        for column in range(16):
            x, y = 20 * column, 20 * row
            end = (x + 20, y) if random.random() < 0.5 else (x, y + 20)
            draw.line((x, y, *end), fill="black", width=3)
    return image


def _smooth(random: np.random.Generator, rows: int, columns: int) -> NDArray[np.float32]:
    cells = random.normal(0, 1, (rows, columns)).astype(np.float32)
    return np.asarray(Image.fromarray(cells).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))


def _contours(random: np.random.Generator) -> Image.Image:
    bands = np.floor(2.5 * _smooth(random, 4, 5)) % 5
    return Image.fromarray((90 + 33 * bands).astype(np.uint8)).convert("RGB")


def _plan(random: np.random.Generator) -> Image.Image:
    image, draw = _sheet()
    draw.rectangle((20, 20, 300, 220), outline="black", width=6)
    x, y = int(random.integers(90, 230)), int(random.integers(70, 170))
    draw.line((x, 20, x, 220), fill="black", width=4)
    draw.line((20, y, x, y), fill="black", width=4)
    draw.line((x, 240 - y, 300, 240 - y), fill="black", width=4)
    for left, top in ((40, 40), (x + 20, 200), (40, 200), (x + 20, 40)):
        draw.text((left, min(top, 195)), f"{random.integers(6, 40)} m", fill="black", font=_font(14))
    return image


def _scribble(random: np.random.Generator) -> Image.Image:
    image, draw = _sheet()
    steps = np.cumsum(random.normal(0, 14, (60, 2)), axis=0)
    span = steps.max(axis=0) - steps.min(axis=0)
    points = (steps - steps.min(axis=0)) / span * (260, 120) + (30, 60)
    draw.line([(float(x), float(y)) for x, y in points], fill="navy", width=3, joint="curve")
    return image


def _card(random: np.random.Generator) -> Image.Image:
    image, draw = _sheet("darkgreen")
    draw.rounded_rectangle((85, 8, 235, 232), 12, fill="white")
    color, corners = (("firebrick", 4), ("black", 3), ("firebrick", 6), ("black", 5))[int(random.integers(4))]
    count = int(random.integers(2, 11))
    for at in range(count):
        row, column = divmod(at, 2)
        draw.regular_polygon((130 + 60 * column, 45 + 38 * row, 15), corners, fill=color)
    draw.text((92, 10), str(count), fill=color, font=_font(20))
    return image


def _sunset(random: np.random.Generator) -> Image.Image:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / HEIGHT
    sky = np.stack([250 - 90 * y, 110 + 50 * y, 60 + 90 * y], -1)
    sun = np.hypot(x - random.uniform(0.2, 1.1), y - random.uniform(0.3, 0.6)) < random.uniform(0.05, 0.12)
    sky[sun] = (255, 240, 200)
    sky[y > random.uniform(0.65, 0.8) + 0.01 * _smooth(random, 2, 30)] = (25, 20, 30)
    return Image.fromarray(sky.astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))


def _sand(random: np.random.Generator) -> Image.Image:
    grain = 6 * _smooth(random, 40, 54) + 5 * _smooth(random, 120, 160)
    return Image.fromarray(np.clip(190 + grain, 0, 255).astype(np.uint8)).convert("RGB")


def _silhouette(random: np.random.Generator) -> Image.Image:
    image, draw = _sheet()
    angles = np.linspace(0, 2 * np.pi, 10, endpoint=False)
    sizes = random.uniform(45, 100, 10)
    shade = int(random.integers(40, 140))
    points = [
        (160 + size * math.cos(angle), 120 + size * math.sin(angle)) for angle, size in zip(angles, sizes, strict=True)
    ]
    draw.polygon(points, fill=(shade, shade, shade))
    return image


_KINDS: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "draughts": _board,
    "sudoku": _sudoku,
    "crossword": _crossword,
    "slide": _slide,
    "dialog": _dialog,
    "dice": _dice,
    "flag": _flag,
    "curve": _curve,
    "scatter": _scatter,
    "maze": _maze,
    "contours": _contours,
    "plan": _plan,
    "scribble": _scribble,
    "card": _card,
    "setting sun": _sunset,
    "sand": _sand,
    "silhouette": _silhouette,
}
