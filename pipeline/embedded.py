"""What a picture's file says of itself: title, author, rights and licence, from XMP, EXIF and IPTC. Hostile input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from PIL import Image, ImageFile, IptcImagePlugin

MAX_TEXT = 500
_MAX_XMP_BYTES = 2**20
_ORIENTATION = 0x0112
_DESCRIPTION, _ARTIST, _COPYRIGHT = 0x010E, 0x013B, 0x8298
# Datasets of the IIM's application record.
_IPTC_TITLE, _IPTC_INSTRUCTIONS, _IPTC_BYLINE, _IPTC_COPYRIGHT = (2, 5), (2, 40), (2, 80), (2, 116)
# Of IPTC, PLUS and Photoshop: what may be done with the picture.
_XMP_TERMS = ("Instructions", "DataMining", "OtherConstraints")
_XP_TITLE, _XP_AUTHOR = 0x9C9B, 0x9C9D  # Windows' tags, UTF-16


def read_embedded(image: Image.Image) -> dict[str, str]:
    """`title`, `creator`, `copyright`, `license_url` and more, each where the file has it, at most 500 characters.

    XMP is preferred to EXIF, and that to IPTC's older binary block. `web_statement` is a second address of rights,
    `usage_terms` the words of the licence, `terms` all else that is said of the use: copyrights that another block
    states, instructions, and what may be mined. `declared_by` names the block that the licence came from.
    Never raises: what cannot be read is left out.
    """
    blocks = {"xmp": _from_xmp(image), "exif": _from_exif(image), "iptc": _from_iptc(image)}
    found: dict[str, str] = {}
    for block in reversed(blocks.values()):
        found |= block
    said = [block[key] for block in blocks.values() for key in ("copyright", "terms") if key in block]
    other = [text for text in dict.fromkeys(said) if text != found.get("copyright")]
    found.pop("terms", None)
    if other:
        found["terms"] = "; ".join(other)[: 4 * MAX_TEXT]
    for key in ("license_url", "copyright", "usage_terms", "terms"):
        if key in found:
            found["declared_by"] = next(name for name, block in blocks.items() if key in block)
            break
    return found


def read_orientation(image: Image.Image) -> int:
    """How the picture is turned, as EXIF counts it: 1 to 8, and 1 when the file does not say. Never raises."""
    try:
        return int(_exif(image).get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001  # EXIF blocks are hostile input too; without one the picture stands as it is
        return 1


def _exif(image: Image.Image) -> Image.Exif:
    if image.format == "PNG" and "exif" not in image.info:
        return Image.Exif()  # Pillow would decode all pixels to look for one behind them
    return image.getexif()


def _from_exif(image: Image.Image) -> dict[str, str]:
    try:
        exif = _exif(image)
        candidates = {
            "title": _text(exif.get(_DESCRIPTION)) or _text(exif.get(_XP_TITLE), encoding="utf-16-le"),
            "creator": _text(exif.get(_ARTIST)) or _text(exif.get(_XP_AUTHOR), encoding="utf-16-le"),
            "copyright": _text(exif.get(_COPYRIGHT)),
        }
    except Exception:  # noqa: BLE001  # a broken block is no reason to lose the picture
        return {}
    return {key: value for key, value in candidates.items() if value}


def _from_iptc(image: Image.Image) -> dict[str, str]:
    """The Information Interchange Model, as press agencies still write it into JPEG and TIFF."""
    try:
        data: Any = IptcImagePlugin.getiptcinfo(cast("ImageFile.ImageFile", image)) or {}
        candidates = {
            "title": _text(_single(data.get(_IPTC_TITLE))),
            "creator": _text(_single(data.get(_IPTC_BYLINE))),
            "copyright": _text(_single(data.get(_IPTC_COPYRIGHT))),
            "terms": _text(_single(data.get(_IPTC_INSTRUCTIONS))),
        }
    except Exception:  # noqa: BLE001  # a broken block is no reason to lose the picture
        return {}
    return {key: value for key, value in candidates.items() if value}


def _single(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


def _from_xmp(image: Image.Image) -> dict[str, str]:
    try:
        if len(image.info.get("xmp", b"")) > _MAX_XMP_BYTES:
            return {}
        descriptions = list(_descriptions(image.getxmp()))
        deed, statement = (_address(_first(descriptions, name)) for name in ("license", "WebStatement"))
        candidates = {
            "title": _first(descriptions, "title"),
            "creator": _first(descriptions, "creator"),
            "copyright": _first(descriptions, "rights"),
            "license_url": deed or statement,
            "web_statement": statement if deed and statement != deed else "",
            "usage_terms": _first(descriptions, "UsageTerms"),
            "terms": "; ".join(filter(None, (_first(descriptions, name) for name in _XMP_TERMS))),
        }
    except Exception:  # noqa: BLE001  # not XML, entities, depth: a broken packet is no reason to lose the picture
        return {}
    return {key: value for key, value in candidates.items() if value}


def _descriptions(xmp: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    rdf = xmp.get("xmpmeta", xmp)
    rdf = rdf.get("RDF", {}) if isinstance(rdf, Mapping) else {}
    blocks = rdf.get("Description", []) if isinstance(rdf, Mapping) else []
    for block in blocks if isinstance(blocks, list) else [blocks]:
        if isinstance(block, Mapping):
            yield block


def _first(descriptions: list[Mapping[str, Any]], name: str) -> str:
    for description in descriptions:
        if name in description and (text := _leaf(description[name])):
            return text
    return ""


def _leaf(value: Any) -> str:
    """The first text in a simple value, a bag, a sequence or a choice of languages."""
    for _level in range(8):
        if isinstance(value, list):
            value = next((entry for entry in value if entry), "")
        elif isinstance(value, Mapping):
            value = next(
                (
                    value[key]
                    for key in ("Alt", "Seq", "Bag", "li", "text", "resource", "Description")
                    if value.get(key)
                ),
                "",
            )
        else:
            return _text(value)
    return ""


def _address(text: str) -> str:
    return text if text.startswith(("https://", "http://")) else ""


def _text(value: Any, *, encoding: str = "utf-8") -> str:
    """Plain text of an EXIF or XMP value: control characters and surrogates out, spaces joined, cut to length."""
    if isinstance(value, (bytes, bytearray)):
        value = bytes(value[: 4 * MAX_TEXT]).decode(encoding, errors="ignore")
    elif isinstance(value, str):
        value = _repaired(value[: 4 * MAX_TEXT])
    else:
        return ""
    printable = "".join(character if character.isprintable() else " " for character in value.split("\0", maxsplit=1)[0])
    return " ".join(printable.split())[:MAX_TEXT]


def _repaired(text: str) -> str:
    """UTF-8 that was read as Latin-1, as EXIF's ASCII fields are, read again."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text
