"""The file of a dream: its pixels, the record inside, and last of all the signature over everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pipeline.catalog.values import Item
from pipeline.fingerprints import pixel_sha256
from pipeline.formats import MEDIA_TYPES
from pipeline.images import decode, encode
from pipeline.provenance.claims import Ingredient, inputs_of, original_of
from pipeline.provenance.derivation import RgbImage
from pipeline.provenance.manifest import Output
from pipeline.provenance.preparation import STORED_LIMITS
from pipeline.provenance.xmp import JPEG_MAX_PACKET_BYTES, write_xmp
from pipeline.store import Store

if TYPE_CHECKING:
    from pipeline.provenance.c2pa import C2paSigner

OutputFormat = Literal["PNG", "JPEG", "WEBP"]


def output_of(pixels: RgbImage, image_format: OutputFormat) -> Output:
    """What the file will show. For JPEG that is known only once encoded; the record inside does not matter.

    Raises:
        ValueError: The format has no room for a picture of this size.
    """
    shown = _decoded(encode(pixels, format=image_format)) if image_format == "JPEG" else pixels
    return Output(
        format=image_format,
        width=pixels.shape[1],
        height=pixels.shape[0],
        pixel_sha256=pixel_sha256(shown),
        rendered_pixel_sha256=pixel_sha256(pixels),
    )


def dream_file(
    pixels: RgbImage,
    manifest: Mapping[str, Any],
    *,
    image_format: OutputFormat,
    signer: C2paSigner | None,
    ingredients: Sequence[Ingredient] = (),
) -> bytes:
    """The bytes of the dream that this manifest describes, with the manifest inside.

    signer: signs the file; None leaves it unsigned.
    ingredients: what the dream was made of, for the signer.

    Raises:
        ValueError: The format has no room for the record or a picture of this size, or the file does not decode to the
            pixels on record.
        SigningFailed: The signer refuses.
    """
    xmp = write_xmp(manifest, max_bytes=JPEG_MAX_PACKET_BYTES if image_format == "JPEG" else None)
    data = encode(pixels, format=image_format, xmp=xmp)
    if signer is not None:
        media_type = MEDIA_TYPES[image_format]
        data = signer.sign(data, media_type=media_type, manifest=manifest, ingredients=ingredients)
    if pixel_sha256(_decoded(data)) != manifest["output"]["pixel_sha256"]:
        raise ValueError("the encoded picture does not decode to the pixels that were rendered")
    return data


def ingredients_of(
    manifest: Mapping[str, Any], original: Item, inputs: Sequence[Item], *, store: Store
) -> list[Ingredient]:
    """The pictures that the dream was made of, as they lie in the store.

    inputs: guides and masks, as the manifest was built with.

    Raises:
        StoreCorrupt: One is missing or damaged.
    """
    described = [(original_of(manifest), original), *zip(inputs_of(manifest), inputs, strict=True)]
    return [
        Ingredient(about, MEDIA_TYPES.get(item.format, "application/octet-stream"), store.read(item.blob_sha256))
        for about, item in described
        if about is not None
    ]


def _decoded(data: bytes) -> RgbImage:
    return decode(data, limits=STORED_LIMITS).rgb
