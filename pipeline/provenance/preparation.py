"""From a stored original to the renderer's input, and what is recorded about the way."""

from __future__ import annotations

import importlib.metadata

from pipeline.fingerprints import pixel_sha256
from pipeline.images import ImageLimits, fit
from pipeline.provenance.derivation import RgbImage
from pipeline.provenance.manifest import Preparation

# What is in the store was let in once. Limits that were tightened since must not make it unreadable; these only stop
# a damaged header from asking for all the memory.
STORED_LIMITS = ImageLimits(max_bytes=2**30, max_pixels=400_000_000, min_side=1)

# In words what `pipeline.images.decode` does.
_DECODING = (
    "first frame",
    "embedded colour profile converted to sRGB, without one taken as sRGB",
    "transparency composited on white",
    "8 bits per channel",
    "turned upright as EXIF says",
)


def prepare(rgb: RgbImage, max_side: int) -> tuple[RgbImage, Preparation]:
    """The renderer's input for a decoded original: reduced to `max_side`, never enlarged.

    rgb: as `pipeline.images.decode` gave it. max_side: pixels, 1 or more.
    """
    prepared = fit(rgb, max_side)
    height, width = prepared.shape[:2]
    reduced = (f"reduced to a longer side of {max_side} pixels (Lanczos)",) if prepared.shape != rgb.shape else ()
    return prepared, Preparation(
        width=width,
        height=height,
        pixel_sha256=pixel_sha256(prepared),
        steps=(*_DECODING, *reduced),
        versions={"pillow": importlib.metadata.version("pillow")},
    )
