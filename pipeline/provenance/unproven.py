"""What any picture's XMP says of itself. Anybody can write or change it: it is told, and never believed."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from defusedxml.ElementTree import fromstring

from pipeline.provenance.canonical import clean_text, cut_text
from pipeline.provenance.containers import find_xmp

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_RIGHTS = "{http://ns.adobe.com/xap/1.0/rights/}"
_EXTENSION = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
# The fields of IPTC's standard that say whose a picture is, on what terms, and how it came to be.
_FIELDS = {
    f"{_DC}title": "title",
    f"{_DC}creator": "creator",
    f"{_DC}rights": "rights",
    f"{_RIGHTS}WebStatement": "licence",
    f"{_RIGHTS}UsageTerms": "terms",
    f"{_DC}source": "source",
    f"{_EXTENSION}DigitalSourceType": "digital source type",
    "{http://ns.adobe.com/xap/1.0/}CreatorTool": "software",
}
_MOST_TEXT = 200


def unproven_claims(data: bytes) -> dict[str, str]:
    """Name of the field -> its text, in one line each, of a PNG, JPEG or WebP file; empty without XMP.

    data: the whole file; it may come from anyone. Never raises for what the file holds.
    """
    packet = find_xmp(data)
    if packet is None:
        return {}
    try:
        root = fromstring(packet.strip(b"\x00 \t\r\n"), forbid_dtd=True)
    except (ET.ParseError, ValueError, LookupError, RecursionError):
        return {}
    found: dict[str, str] = {}
    for description in root.iter(f"{_RDF}Description"):
        # XMP lets a tool write a property as an element or as an attribute.
        told = [*description.attrib.items(), *((child.tag, _text(child)) for child in description)]
        for tag, text in told:
            if (name := _FIELDS.get(tag)) and (line := _line(text)):
                found.setdefault(name, line)
    return {name: found[name] for name in _FIELDS.values() if name in found}


def _text(element: ET.Element) -> str:
    """The text of a property, or those of its list; of one in several languages the first."""
    entries = [each.text or "" for each in element.iter(f"{_RDF}li")]
    if element.find(f"{_RDF}Alt") is not None:
        entries = entries[:1]
    return ", ".join(entries) or element.text or element.get(f"{_RDF}resource") or ""


def _line(text: str) -> str:
    return cut_text(" ".join(clean_text(text).split()), _MOST_TEXT)
