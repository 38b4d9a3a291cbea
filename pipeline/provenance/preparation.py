"""From a stored original to the renderer's input, and what is recorded about the way."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence

from pipeline.catalog.engine import Catalog
from pipeline.errors import NotFound
from pipeline.fingerprints import pixel_sha256
from pipeline.images import ImageLimits, decode, fit
from pipeline.provenance.derivation import RgbImage
from pipeline.provenance.manifest import Preparation
from pipeline.store import Store

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


def stored_pictures(digests: Sequence[str], *, catalog: Catalog, store: Store) -> dict[str, RgbImage]:
    """The pictures with these pixel SHA-256 digests, from the items of the catalog.

    Raises:
        NotFound: No item has such pixels.
        StoreCorrupt: Its stored bytes are missing or altered.
    """
    found: dict[str, RgbImage] = {}
    with catalog.read() as uow:
        items = {digest: uow.items.by_pixel_sha256(digest) for digest in digests}
    for digest, item in items.items():
        if item is None:
            raise NotFound(
                f"no item has the pixels {digest} that the recipe needs as a guide or mask; add that picture"
            )
        found[digest] = decode(store.read(item.blob_sha256), limits=STORED_LIMITS).rgb
    return found
