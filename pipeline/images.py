"""Bytes to pixels and back: hostile files in, upright sRGB out, and the same pixels give the same bytes."""

from __future__ import annotations

import io
import stat
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from pipeline.embedded import read_embedded, read_orientation
from pipeline.errors import ImageRejected, NotFound, Reason
from pipeline.formats import MEDIA_TYPES, count_gif_frames, is_cut_short, png_has_wrong_checksum, sniff, webp_size
from pipeline.pixels import to_upright_srgb

MIB = 2**20


@dataclass(frozen=True)
class ImageLimits:
    """What a picture may be at most, and must be at least.

    Attributes:
        max_bytes: Longest file.
        max_pixels: Most pixels, checked on the header before any pixel is decoded.
        min_side: Least width and height in pixels.
    """

    max_bytes: int = 32 * MIB
    max_pixels: int = 50_000_000
    min_side: int = 64


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """A picture as pixels.

    Attributes:
        rgb: uint8, shape (height, width, 3), upright, sRGB, on white where it was transparent.
        format: JPEG, PNG, WEBP or GIF.
        media_type: Such as `image/jpeg`.
        frames: 1 for a still; of an animation `rgb` is the first frame.
        width: In pixels, upright.
        height: In pixels, upright.
        embedded: What the file says of itself, where it says it: `title`, `creator`, `copyright`, `license_url`, and
            `declared_by` (`xmp` or `exif`) for the last two. Each at most 500 characters.
    """

    rgb: NDArray[np.uint8]
    format: str
    media_type: str
    frames: int
    width: int
    height: int
    embedded: Mapping[str, str] = field(default_factory=dict)


DEFAULT_LIMITS = ImageLimits()
_DERIVED_LIMITS = ImageLimits(max_bytes=1024 * MIB, max_pixels=400_000_000, min_side=1)
_THUMBNAIL_QUALITY = 80
_JPEG_QUALITY = 95
_PNG_COMPRESSION = 6
_WEBP_EFFORT = 50  # of a file without loss: 0 is the fastest, 100 the smallest
_WEBP_MAX_SIDE = 16_383  # WebP container specification: 14 bits
_WARNINGS = threading.Lock()


def decode(data: bytes, *, limits: ImageLimits = DEFAULT_LIMITS) -> DecodedImage:
    """The picture in these bytes.

    Raises:
        ImageRejected: With the typed reason: EMPTY, TOO_MANY_BYTES, NOT_AN_IMAGE, FORMAT_NOT_ALLOWED, TOO_MANY_PIXELS,
            TOO_SMALL, TRUNCATED or CORRUPT. Nothing else is raised, whatever the bytes are.
    """
    name = _allowed_format(data, limits)
    with _open(data, name, limits) as image:
        try:
            image.load()
            with _quiet():
                embedded, orientation = read_embedded(image), read_orientation(image)
            rgb = np.array(to_upright_srgb(image, orientation), dtype=np.uint8)
            frames = _count_frames(image, data, name)
        except MemoryError:
            raise
        except Exception as error:  # decoders raise anything on hostile bytes
            raise _broken(data, name, error) from error
    height, width = rgb.shape[:2]
    return DecodedImage(
        rgb=rgb,
        format=name,
        media_type=MEDIA_TYPES[name],
        frames=max(1, frames),
        width=width,
        height=height,
        embedded=embedded,
    )


def embedded_facts(data: bytes) -> dict[str, str]:
    """What a picture's file says of itself, as in `DecodedImage.embedded`, without decoding a pixel; never raises."""
    try:
        with _open(data, _allowed_format(data, _DERIVED_LIMITS), _DERIVED_LIMITS) as image, _quiet():
            return read_embedded(image)
    except ImageRejected:
        return {}


def encode(
    rgb: NDArray[np.uint8],
    *,
    format: Literal["PNG", "JPEG", "WEBP"],  # noqa: A002  # Pillow's word
    xmp: bytes | None = None,
) -> bytes:
    """A file of these pixels: PNG and WebP keep each pixel, JPEG is quality 95 without chroma subsampling.

    rgb: uint8, shape (height, width, 3).
    xmp: An XMP packet to embed. The same input gives the same bytes.

    Raises:
        ValueError: A WebP with a side of more than 16,383 pixels, which that format cannot have.
    """
    image = Image.fromarray(np.ascontiguousarray(rgb))
    out = io.BytesIO()
    if format == "PNG":
        info = PngImagePlugin.PngInfo()
        if xmp is not None:
            info.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8"))
        image.save(out, format="PNG", compress_level=_PNG_COMPRESSION, pnginfo=info)
    elif format == "JPEG":
        extra = {} if xmp is None else {"xmp": xmp}
        image.save(out, format="JPEG", quality=_JPEG_QUALITY, subsampling=0, **extra)
    elif format == "WEBP":
        if max(rgb.shape[:2]) > _WEBP_MAX_SIDE:
            raise ValueError(f"a WebP has at most {_WEBP_MAX_SIDE} pixels on a side; save this picture as PNG")
        extra = {} if xmp is None else {"xmp": xmp}
        image.save(out, format="WEBP", lossless=True, quality=_WEBP_EFFORT, method=4, **extra)
    else:
        raise ValueError(f"pictures are written as PNG, JPEG or WebP, not {format!r}")
    return out.getvalue()


def thumbnail(data: bytes, *, max_side: int) -> bytes:
    """A WebP of the picture in these bytes, its longer side at most `max_side` pixels, without metadata.

    Raises:
        ImageRejected: They are not a picture.
    """
    rgb = _decode_for(data, max_side, _DERIVED_LIMITS)
    out = io.BytesIO()
    Image.fromarray(fit(rgb, max_side)).save(out, format="WEBP", quality=_THUMBNAIL_QUALITY, method=4)
    return out.getvalue()


def squeezed(data: bytes, *, side: int, limits: ImageLimits | None = None) -> NDArray[np.uint8]:
    """The picture in these bytes as a square, whatever its shape: uint8, shape (side, side, 3) (Lanczos).

    limits: None for bytes that were let in before.

    Raises:
        ImageRejected: They are not a picture, or one that is not taken.
    """
    picture = Image.fromarray(_decode_for(data, side, limits or _DERIVED_LIMITS))
    return np.array(picture.resize((side, side), Image.Resampling.LANCZOS), dtype=np.uint8)


def _decode_for(data: bytes, side: int, limits: ImageLimits) -> NDArray[np.uint8]:
    """The pixels, upright, perhaps fewer than there are: enough to make it `side` pixels wide and high."""
    name = _allowed_format(data, limits)
    with _open(data, name, limits) as image:
        try:
            # JPEG decodes at 1/2, 1/4 or 1/8 size, never below twice the size asked for.
            image.draft(None, (2 * side, 2 * side))  # None: keep the mode
            image.load()
            with _quiet():
                orientation = read_orientation(image)
            return np.array(to_upright_srgb(image, orientation), dtype=np.uint8)
        except MemoryError:
            raise
        except Exception as error:  # decoders raise anything on hostile bytes
            raise _broken(data, name, error) from error


def read_picture(path: Path, *, limits: ImageLimits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """The pixels of a picture file of the user's own: uint8, shape (height, width, 3).

    Raises:
        NotFound: There is no such file, or it cannot be read.
        ImageRejected: It is no picture, or one that is not taken; with the file's name.
    """
    data = read_file(path, max_bytes=limits.max_bytes)
    try:
        return decode(data, limits=limits).rgb
    except ImageRejected as error:
        raise ImageRejected(error.reason, f"{path}: {error}") from error


def read_file(path: Path, *, max_bytes: int) -> bytes:
    """The bytes of a file of the user's own.

    Raises:
        NotFound: There is no such file, or it cannot be read.
        ImageRejected: It is longer than a picture may be.
    """
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):  # reading a pipe or a device may never end
            what = f"a folder; name the pictures in it, such as {path / '*.jpg'}" if path.is_dir() else "not a file"
            raise NotFound(f"{path} is {what}")
        if state.st_size > max_bytes:
            detail = f"{path} has {state.st_size} bytes; at most {max_bytes} are allowed"
            raise ImageRejected(Reason.TOO_MANY_BYTES, detail)
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        raise NotFound(f"the file {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def fit(rgb: NDArray[np.uint8], max_side: int) -> NDArray[np.uint8]:
    """The picture with its longer side at most `max_side` pixels; itself when it is small enough (Lanczos).

    rgb: uint8, shape (height, width, 3).
    """
    height, width = fitted_size(rgb.shape[0], rgb.shape[1], max_side)
    if (height, width) == rgb.shape[:2]:
        return rgb
    picture = Image.fromarray(np.ascontiguousarray(rgb))
    return np.array(picture.resize((width, height), Image.Resampling.LANCZOS), dtype=np.uint8)


def fitted_size(height: int, width: int, max_side: int) -> tuple[int, int]:
    """(height, width) that `fit` gives a picture of this size, in pixels."""
    longer = max(height, width)
    if longer <= max_side:
        return height, width
    return max(1, round(height * max_side / longer)), max(1, round(width * max_side / longer))


def _allowed_format(data: bytes, limits: ImageLimits) -> str:
    if not data:
        raise ImageRejected(Reason.EMPTY, "the file has no bytes")
    if len(data) > limits.max_bytes:
        raise ImageRejected(Reason.TOO_MANY_BYTES, f"{len(data)} bytes; at most {limits.max_bytes} are allowed")
    kind = sniff(data)
    if kind.name in MEDIA_TYPES:
        return kind.name
    if kind.is_image:
        allowed = ", ".join(MEDIA_TYPES)
        raise ImageRejected(Reason.FORMAT_NOT_ALLOWED, f"a {kind.name} picture; kept are {allowed}")
    raise ImageRejected(Reason.NOT_AN_IMAGE, f"{kind.name}, not a picture")


def _open(data: bytes, name: str, limits: ImageLimits) -> Image.Image:
    """The file opened, its header read and its size checked; no pixel is decoded yet."""
    if name == "WEBP" and (size := webp_size(data)) is not None:
        _check_size(*size, limits)  # the WebP library makes its canvas when it opens a file
    if name == "PNG" and png_has_wrong_checksum(data):
        raise ImageRejected(Reason.CORRUPT, "a damaged PNG file: a chunk does not have its checksum")
    try:
        # Pillow's own limit on pixels warns here; ours, below, decides. Its error at twice that stays on.
        with _quiet():
            image = Image.open(io.BytesIO(data), formats=[name])
    except Image.DecompressionBombError as error:
        raise ImageRejected(Reason.TOO_MANY_PIXELS, f"{error}".split(",", maxsplit=1)[0]) from error
    except MemoryError:
        raise
    except Exception as error:  # decoders raise anything on hostile bytes
        raise _broken(data, name, error) from error
    try:
        _check_size(*image.size, limits)
    except ImageRejected:
        image.close()
        raise
    return image


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's warnings about odd metadata: nobody at the terminal can do anything about a stranger's file.

    One thread at a time, and short: Python 3.11 to 3.13 keep warning filters for the whole process.
    """
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _count_frames(image: Image.Image, data: bytes, name: str) -> int:
    if name == "JPEG":
        return 1  # the further pictures that some cameras append, such as depth maps, are no animation
    return count_gif_frames(data) if name == "GIF" else int(getattr(image, "n_frames", 1))


def _check_size(width: int, height: int, limits: ImageLimits) -> None:
    if width * height > limits.max_pixels:
        raise ImageRejected(
            Reason.TOO_MANY_PIXELS,
            f"{width}x{height} = {width * height} pixels; at most {limits.max_pixels} are allowed",
        )
    if min(width, height) < limits.min_side:
        raise ImageRejected(Reason.TOO_SMALL, f"{width}x{height} pixels; the least side is {limits.min_side}")


def _broken(data: bytes, name: str, error: Exception) -> ImageRejected:
    if isinstance(error, Image.DecompressionBombError):
        return ImageRejected(Reason.TOO_MANY_PIXELS, f"a {name} that unpacks to too much: {error}"[:300])
    told = "its header cannot be read" if isinstance(error, UnidentifiedImageError) else str(error)[:200]
    if is_cut_short(data, name):
        return ImageRejected(Reason.TRUNCATED, f"a {name} file that ends early: {told}")
    return ImageRejected(Reason.CORRUPT, f"a damaged {name} file: {told or type(error).__name__}")
