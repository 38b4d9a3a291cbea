"""What the benchmark of duplicates compares: edits of photographs, and plain pictures that are easily taken for others.

Everything is made by formula and seed; nothing is fetched.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

PHOTOS = Path(__file__).resolve().parents[1] / "crawler" / "sample_site" / "photos"
Edit = Callable[[Image.Image, np.random.Generator], bytes]
_TURN = Image.Transpose


def png(image: Image.Image) -> bytes:
    """A PNG file, quickly."""
    return _file(image, "PNG", compress_level=1)


def _file(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def jpeg(quality: int, **options: object) -> Callable[[Image.Image], bytes]:
    """A writer of JPEG files."""
    return lambda image: _file(image, "JPEG", quality=quality, **options)


def webp(quality: int) -> Callable[[Image.Image], bytes]:
    """A writer of WebP files."""
    return lambda image: _file(image, "WEBP", quality=quality)


def _with_metadata(image: Image.Image) -> bytes:
    from PIL import PngImagePlugin

    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "another title")
    return _file(image, "PNG", compress_level=9, pnginfo=info)


def _sized(scale: float) -> Callable[[Image.Image], Image.Image]:
    def change(image: Image.Image) -> Image.Image:
        size = tuple(max(64, round(side * scale)) for side in image.size)
        return image.resize((size[0], size[1]), Image.Resampling.LANCZOS)

    return change


def _longest(pixels: int) -> Callable[[Image.Image], Image.Image]:
    return lambda image: _sized(pixels / max(image.size))(image)


def _gamma(power: float) -> Callable[[Image.Image], Image.Image]:
    table = [round(255 * (level / 255) ** power) for level in range(256)] * 3
    return lambda image: image.point(table)


def _crop(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """Without these shares of width and height."""
    width, height = image.size
    return image.crop(
        (round(width * left), round(height * top), round(width * (1 - right)), round(height * (1 - bottom)))
    )


def _random_crop(least: float, most: float) -> Callable[[Image.Image, np.random.Generator], Image.Image]:
    def crop(image: Image.Image, random: np.random.Generator) -> Image.Image:
        across, down = random.uniform(least, most, 2)
        left, top = random.uniform(0, 1, 2)
        return _crop(image, across * left, down * top, across * (1 - left), down * (1 - top))

    return crop


def _font(pixels: float) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=max(10, pixels))


def _text(words: str, x: float, y: float, size: float, opacity: int) -> Callable[[Image.Image], Image.Image]:
    def mark(image: Image.Image) -> Image.Image:
        layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
        width, height = image.size
        ImageDraw.Draw(layer).text(
            (width * x, height * y),
            words,
            fill=(255, 255, 255, opacity),
            font=_font(width * size),
            stroke_width=1,
            stroke_fill=(0, 0, 0, opacity),
        )
        return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")

    return mark


def _tiled(image: Image.Image) -> Image.Image:
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw, (width, height) = ImageDraw.Draw(layer), image.size
    for y in np.arange(0.05, 1, 0.2):
        for x in np.arange(0, 1, 0.4):
            draw.text((width * x, height * y), "SAMPLE", fill=(255, 255, 255, 90), font=_font(width * 0.06))
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def _logo(image: Image.Image) -> Image.Image:
    image = image.copy()
    draw, (width, height) = ImageDraw.Draw(image), image.size
    draw.rectangle((width * 0.02, height * 0.02, width * 0.2, height * 0.2), fill=(230, 30, 30))
    draw.ellipse((width * 0.05, height * 0.05, width * 0.16, height * 0.16), fill="white")
    return image


def _banner(image: Image.Image) -> Image.Image:
    image = image.copy()
    draw, (width, height) = ImageDraw.Draw(image), image.size
    draw.rectangle((0, height * 0.88, width, height), fill="black")
    draw.text((width * 0.05, height * 0.88), "Caption of this picture", fill="white", font=_font(height * 0.07))
    return image


def _meme(image: Image.Image) -> Image.Image:
    image = image.copy()
    draw, (width, height) = ImageDraw.Draw(image), image.size
    for words, y in (("TOP TEXT HERE", 0.02), ("BOTTOM TEXT", 0.83)):
        draw.text(
            (width * 0.05, height * y),
            words,
            fill="white",
            font=_font(height * 0.12),
            stroke_width=2,
            stroke_fill="black",
        )
    return image


def _bordered(share: float, color: object, sides: str = "ltrb") -> Callable[[Image.Image], Image.Image]:
    def border(image: Image.Image) -> Image.Image:
        x, y = (round(side * share) for side in image.size)
        left, top, right, bottom = (x * ("l" in sides), y * ("t" in sides), x * ("r" in sides), y * ("b" in sides))
        out = Image.new("RGB", (image.width + left + right, image.height + top + bottom), color)
        out.paste(image, (left, top))
        return out

    return border


def _boxed(image: Image.Image) -> Image.Image:
    """On a white square, or, if it is one itself, on a wider sheet."""
    side = max(image.size)
    square = abs(image.width - image.height) > side * 0.05
    out = Image.new("RGB", (side if square else round(side * 1.3), side), "white")
    out.paste(image, ((out.width - image.width) // 2, (out.height - image.height) // 2))
    return out


def _rotated(degrees: float) -> Callable[[Image.Image], Image.Image]:
    """Rotated, and cropped so that no corner is empty."""

    def rotate(image: Image.Image) -> Image.Image:
        width, height = image.size
        slope = math.tan(math.radians(abs(degrees)))
        x, y = math.ceil(height * slope / 2), math.ceil(width * slope / 2)
        return image.rotate(degrees, Image.Resampling.BICUBIC).crop((x, y, width - x, height - y))

    return rotate


def _changed(change: Callable[[Image.Image], Image.Image], write: Callable[[Image.Image], bytes] = png) -> Edit:
    return lambda image, _random: write(change(image))


def _written(write: Callable[[Image.Image], bytes]) -> Edit:
    return lambda image, _random: write(image)


def _cropped(least: float, most: float) -> Edit:
    crop = _random_crop(least, most)
    return lambda image, random: png(crop(image, random))


def _enhanced(kind: Callable[[Image.Image], ImageEnhance._Enhance], amount: float) -> Edit:
    return _changed(lambda image: kind(image).enhance(amount))


def _transposed(turn: Image.Transpose, write: Callable[[Image.Image], bytes] = png) -> Edit:
    return _changed(lambda image: image.transpose(turn), write)


EDITS: dict[str, dict[str, Edit]] = {
    "copy": {"the same pixels": _written(png)},
    "metadata": {"another title, packed anew": _written(_with_metadata)},
    "format": {
        "JPEG 90": _written(jpeg(90)),
        "WebP 80": _written(webp(80)),
        "256 colours": _changed(lambda image: image.quantize(256).convert("RGB")),
    },
    "quality": {
        "JPEG 70": _written(jpeg(70)),
        "JPEG 50": _written(jpeg(50)),
        "JPEG 30": _written(jpeg(30)),
        "WebP 30": _written(webp(30)),
    },
    "size": {
        "x 0.5": _changed(_sized(0.5)),
        "x 0.75": _changed(_sized(0.75)),
        "x 1.5": _changed(_sized(1.5)),
        "x 2": _changed(_sized(2)),
        "128 pixels": _changed(_longest(128)),
    },
    "tone": {
        "brightness 0.85": _enhanced(ImageEnhance.Brightness, 0.85),
        "brightness 1.15": _enhanced(ImageEnhance.Brightness, 1.15),
        "contrast 0.8": _enhanced(ImageEnhance.Contrast, 0.8),
        "contrast 1.2": _enhanced(ImageEnhance.Contrast, 1.2),
        "gamma 0.8": _changed(_gamma(0.8)),
        "gamma 1.25": _changed(_gamma(1.25)),
        "saturation 0.5": _enhanced(ImageEnhance.Color, 0.5),
        "grey": _changed(lambda image: image.convert("L").convert("RGB")),
        "sharper": _enhanced(ImageEnhance.Sharpness, 2),
        "blurred": _changed(lambda image: image.filter(ImageFilter.GaussianBlur(image.width / 320))),
    },
    "watermark": {
        "in a corner": _changed(_text("example.org", 0.6, 0.85, 0.06, 150)),
        "across": _changed(_text("PHOTO STOCK", 0.1, 0.4, 0.12, 140)),
        "tiled": _changed(_tiled),
        "logo": _changed(_logo),
    },
    "border": {
        "white 5 %": _changed(_bordered(0.05, "white")),
        "black 10 %": _changed(_bordered(0.1, "black")),
        "grey 20 %": _changed(_bordered(0.2, (128, 128, 128))),
        "bars": _changed(_bordered(0.15, "black", "tb")),
        "boxed": _changed(_boxed),
        "white 10 %, JPEG 60": _changed(_bordered(0.1, "white"), jpeg(60)),
    },
    "small crop": {
        "1 % each side": _changed(lambda image: _crop(image, 0.01, 0.01, 0.01, 0.01)),
        "2.5 % each side": _changed(lambda image: _crop(image, 0.025, 0.025, 0.025, 0.025)),
        "5 % left and top": _changed(lambda image: _crop(image, 0.05, 0.05, 0, 0)),
        "5 % below": _changed(lambda image: _crop(image, 0, 0, 0, 0.05)),
        "2 to 5 %, a": _cropped(0.02, 0.05),
        "2 to 5 %, b": _cropped(0.02, 0.05),
    },
    "caption": {"banner": _changed(_banner), "large words": _changed(_meme)},
    "rotation": {f"{degrees} degrees": _changed(_rotated(degrees)) for degrees in (1, 2, -3)},
    "large crop": {
        **{f"8 to 15 %, {name}": _cropped(0.08, 0.15) for name in "ab"},
        **{f"15 to 30 %, {name}": _cropped(0.15, 0.3) for name in "ab"},
    },
    "turn": {
        "90 degrees": _transposed(_TURN.ROTATE_90),
        "180 degrees": _transposed(_TURN.ROTATE_180),
        "270 degrees, JPEG 75": _transposed(_TURN.ROTATE_270, jpeg(75)),
    },
    "mirror": {
        "left to right": _transposed(_TURN.FLIP_LEFT_RIGHT),
        "upside down": _transposed(_TURN.FLIP_TOP_BOTTOM),
        "left to right, x 0.7, JPEG 75": _changed(
            lambda image: _sized(0.7)(image.transpose(_TURN.FLIP_LEFT_RIGHT)), jpeg(75)
        ),
    },
}
"""Kind of edit -> name -> what makes a file of a picture."""


def photographs() -> dict[str, Image.Image]:
    """The bundled photographs by name."""
    paths = [path for path in sorted(PHOTOS.iterdir()) if path.suffix in {".webp", ".jpg"}]
    return {path.stem: Image.open(path).convert("RGB") for path in paths}


def plain_pictures() -> dict[str, Image.Image]:
    """Pictures with little in them, none of which an edit above makes of another one."""
    width, height = 320, 240
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width])[:, None, None]
    random = np.random.default_rng(7)
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


def _grey(values: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).convert("RGB")


def more_plain_pictures() -> dict[str, Image.Image]:
    """Others of the kind, which showed what the first ones did not: shifted discs, patterns under a frame or a logo."""
    width, height = 320, 240
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width])[:, None, None]
    random = np.random.default_rng(11)
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
