"""What ingest must know of a picture before it keeps it: that it is one, its pixels' digest, its perceptual hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.errors import ImageRejected, Reason
from pipeline.fingerprints import perceptual_hash, pixel_sha256
from pipeline.images import ImageLimits, decode


@dataclass(frozen=True)
class Examined:
    """A picture that can be kept.

    Attributes:
        width: Pixels, upright.
        height: Pixels, upright.
        perceptual_bits: 32 bytes; None for a picture too plain to be told by its looks.
        embedded: What the file says of itself; see `pipeline.images.DecodedImage`.
    """

    pixel_sha256: str
    width: int
    height: int
    format: str
    media_type: str
    frames: int
    perceptual_bits: bytes | None
    embedded: Mapping[str, str]


def examine(data: bytes, limits: ImageLimits) -> Examined:
    """What these bytes are.

    Raises:
        ImageRejected: They are not a picture that can be kept.
    """
    try:
        image = decode(data, limits=limits)
        return Examined(
            pixel_sha256=pixel_sha256(image.rgb),
            width=image.width,
            height=image.height,
            format=image.format,
            media_type=image.media_type,
            frames=image.frames,
            perceptual_bits=perceptual_hash(image.rgb),
            embedded=image.embedded,
        )
    except MemoryError as error:
        # Passing: with more memory, or less beside it, the same picture may be kept another day.
        raise ImageRejected(Reason.UNREADABLE, "there is not enough memory to decode it; lower max_pixels") from error
