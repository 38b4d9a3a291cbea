"""The edits of the benchmark of duplicates: what is done to a picture, and still leaves it the same one."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

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
