"""A picture's signature: its hashes, and a thumbnail to check with what the hashes suggest.

One preprocessing for all: upright sRGB pixels (as `pipeline.images.decode` gives them), reduced by whole numbers to a
longer side of 256 to 511 pixels, luma (ITU-R 601), squeezed into 64x64 (Lanczos).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.duplicates.borders import content_box
from pipeline.duplicates.hashes import SIDE, Thumb, coefficients, hash_of
from pipeline.duplicates.texture import fine_texture, repetition

ALGORITHM = "dct256-v1"
"""Names hash, thumbnail and preprocessing together; a change of any takes a new name, or old signatures would lie."""

INNER_ALGORITHM = "dct256-v1-inner"
"""The hash of the picture within its borders, of pictures that have some."""

CHROMA_SIDE = 8
_WORKING_SIDE = 256
# Below this, in grey levels, the signs of the coefficients are those of rounding and noise: flat colours, gradients.
_LEAST_DETAIL = 1.0
# An inner hash as near as this to the outer one finds nothing that the outer one does not.
_SAME_INNER = 16
_VIEW_BYTES = SIDE * SIDE + 2 * CHROMA_SIDE * CHROMA_SIDE
MAX_VIEWS_BYTES = 2 * _VIEW_BYTES
"""Of the views of a signature, unpacked."""


@dataclass(frozen=True, eq=False)
class View:
    """A picture, or the part of it within its borders, for comparing.

    Attributes:
        luma: float32, shape (64, 64), 0 to 255.
        chroma: float32, shape (8, 8, 2): Cb and Cr, 0 for grey.
        lumas: Of all views of the picture, this one included.
    """

    luma: Thumb
    chroma: NDArray[np.float32]
    lumas: tuple[Thumb, ...]

    @cached_property
    def detail(self) -> float:
        """Share of the picture with fine texture, 0 to 1; of the part within its borders, if it has some."""
        return fine_texture(self.lumas[-1])

    @cached_property
    def repetition(self) -> float:
        """How much the picture is like itself when it is shifted, 0 to about 1; of the view that is so most."""
        return max(repetition(luma) for luma in self.lumas)

    @property
    def is_inner(self) -> bool:
        """Whether it is of the part within the borders."""
        return len(self.lumas) > 1 and self.luma is self.lumas[-1]


@dataclass(frozen=True)
class Signature:
    """What tells a picture from others by its looks.

    Attributes:
        bits: 32 bytes, of the whole picture; None when it is too plain for them to mean anything.
        inner_bits: The same of the picture within its borders; None without borders.
        views: `View`s of the whole picture and, when it has borders, of the part within, packed; see `views_of`.
    """

    bits: bytes | None
    inner_bits: bytes | None
    views: bytes

    @property
    def hashes(self) -> dict[str, bytes]:
        """Algorithm -> hash, of those that there are."""
        named = {ALGORITHM: self.bits, INNER_ALGORITHM: self.inner_bits}
        return {name: bits for name, bits in named.items() if bits is not None}


def sign(rgb: NDArray[np.uint8]) -> Signature:
    """The signature of a picture.

    rgb: uint8, shape (height, width, 3), upright sRGB.
    """
    height, width = rgb.shape[:2]
    picture = Image.fromarray(np.ascontiguousarray(rgb))
    factor = max(1, max(width, height) // _WORKING_SIDE)
    working = picture.reduce(factor) if factor > 1 else picture
    # `reduce` rounds the size up; the last line and column may stand for less than a whole pixel.
    whole = (0.0, 0.0, width / factor, height / factor)
    luma = working.convert("L")
    views = [_view(working, luma, whole)]
    bits = _bits(views[0][0])
    inner_bits = None
    box = content_box(np.asarray(luma))
    if box is not None:
        left, top, right, bottom = box
        inner = _view(working, luma, (left, top, min(right, whole[2]), min(bottom, whole[3])))
        found = _bits(inner[0])
        if found is not None and (bits is None or _distance(bits, found) > _SAME_INNER):
            inner_bits = found
            views.append(inner)
    return Signature(bits, inner_bits, _packed(views))


def views_of(packed: bytes) -> tuple[View, ...]:
    """The views of a signature: of the whole picture, then, if there is one, of the part within its borders.

    Raises:
        ValueError: The bytes are no packed views.
    """
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, MAX_VIEWS_BYTES)
    except zlib.error as error:
        raise ValueError(f"not the views of a picture: {error}") from error
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise ValueError("the views of a picture are not as long as they must be")
    if len(data) not in (_VIEW_BYTES, 2 * _VIEW_BYTES):
        raise ValueError(f"the views of a picture have {_VIEW_BYTES} bytes each, got {len(data)}")
    parts = [
        np.frombuffer(data, np.uint8, _VIEW_BYTES, at).astype(np.float32) for at in range(0, len(data), _VIEW_BYTES)
    ]
    lumas = tuple(part[: SIDE * SIDE].reshape(SIDE, SIDE) for part in parts)
    chromas = [part[SIDE * SIDE :].reshape(CHROMA_SIDE, CHROMA_SIDE, 2) - 128 for part in parts]
    return tuple(View(luma, chroma, lumas) for luma, chroma in zip(lumas, chromas, strict=True))


def _view(
    working: Image.Image, luma: Image.Image, box: tuple[float, float, float, float]
) -> tuple[Thumb, NDArray[np.uint8]]:
    """Luma of 64x64, and Cb and Cr of 8x8, of a part of a picture."""
    small = luma.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=box)
    colors = working.resize((CHROMA_SIDE, CHROMA_SIDE), Image.Resampling.BOX, box=box).convert("YCbCr")
    return np.asarray(small, np.float32), np.asarray(colors, np.uint8)[..., 1:]


def _bits(thumb: Thumb) -> bytes | None:
    values = coefficients(thumb)
    if float(np.median(np.abs(values).ravel()[1:])) < _LEAST_DETAIL:
        return None
    return hash_of(values)


def _packed(views: list[tuple[Thumb, NDArray[np.uint8]]]) -> bytes:
    data = b"".join(luma.astype(np.uint8).tobytes() + chroma.tobytes() for luma, chroma in views)
    return zlib.compress(data, 6)


def _distance(first: bytes, second: bytes) -> int:
    return (int.from_bytes(first, "big") ^ int.from_bytes(second, "big")).bit_count()
