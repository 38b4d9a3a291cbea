"""What ingest must know of a picture before it keeps it: that it is one, its pixels' digest, its signature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.duplicates.signatures import Signature, sign
from pipeline.fingerprints import pixel_sha256
from pipeline.images import ImageLimits, decode


@dataclass(frozen=True)
class Examined:
    """A picture that can be kept.

    Attributes:
        width: Pixels, upright.
        height: Pixels, upright.
        signature: What it is told by from others that look like it.
        embedded: What the file says of itself; see `pipeline.images.DecodedImage`.
    """

    pixel_sha256: str
    width: int
    height: int
    format: str
    media_type: str
    frames: int
    signature: Signature
    embedded: Mapping[str, str]


def examine(data: bytes, limits: ImageLimits) -> Examined:
    """What these bytes are.

    Raises:
        ImageRejected: They are not a picture that can be kept.
        MemoryError: Decoding them takes more memory than there is.
    """
    image = decode(data, limits=limits)
    return Examined(
        pixel_sha256=pixel_sha256(image.rgb),
        width=image.width,
        height=image.height,
        format=image.format,
        media_type=image.media_type,
        frames=image.frames,
        signature=sign(image.rgb),
        embedded=image.embedded,
    )
