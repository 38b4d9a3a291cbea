"""From whatever a decoder gives - palette, grey, CMYK, 16 bits, transparent, turned - to upright 8-bit sRGB."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_WHITE = (255, 255, 255, 255)
_MAX_16_BIT = 65535
_PROFILE_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def to_upright_srgb(image: Image.Image, orientation: int) -> Image.Image:
    """The first frame, turned as EXIF says, converted to sRGB by its profile, on white where it is transparent.

    orientation: As EXIF counts them, 1 to 8; others leave the picture as it is.
    A broken colour profile is ignored: the picture is still a picture. Returns mode RGB.
    """
    profile = image.info.get("icc_profile")
    turn = _TURNS.get(orientation)
    color, alpha = _split_alpha(_to_8_bits(image))
    color = _to_srgb(color, profile)
    if alpha is not None:
        color.putalpha(alpha)
        color = Image.alpha_composite(Image.new("RGBA", color.size, _WHITE), color).convert("RGB")
    return color if turn is None else color.transpose(turn)


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits scaled to 8, and black and white to grey; other modes as they are."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.clip(np.nan_to_num(np.asarray(image).astype(np.float64)), 0, _MAX_16_BIT)
        return Image.fromarray(np.rint(values * (255 / _MAX_16_BIT)).astype(np.uint8))
    return image.convert("L") if image.mode == "1" and "transparency" not in image.info else image


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colour as L, RGB or CMYK, and transparency as L where there is any."""
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or (
        "transparency" in image.info and image.mode in ("P", "L", "RGB", "1")
    ):
        rgba = image.convert("RGBA")
        return rgba.convert("RGB"), rgba.getchannel("A")
    if image.mode in ("L", "RGB", "CMYK"):
        return image, None
    return image.convert("RGB"), None


def _to_srgb(color: Image.Image, profile: object) -> Image.Image:
    if isinstance(profile, bytes) and profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            space = _PROFILE_MODES.get(source.profile.xcolor_space)
            if space == "L" and color.mode == "RGB":
                color = color.convert("L")
            converted = None
            if space == color.mode:
                converted = ImageCms.profileToProfile(
                    color, source, ImageCms.createProfile("sRGB"), outputMode="RGB", inPlace=False
                )
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # a broken profile says nothing; the pixels are taken as sRGB
    return color.convert("RGB")
