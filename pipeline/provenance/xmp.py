"""The record inside the picture: an XMP packet with attribution for everyone and the whole manifest for us.

Attribution stands in the fields of IPTC's core and extension schemas that have a place in XMP, which is where today's
readers look; the older binary form of them (IIM) would say the same again in fewer words.
Sources: IPTC Photo Metadata Standard 2025.1; XMP specification parts 1 and 3.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from defusedxml.ElementTree import fromstring

from pipeline.licenses import (
    CC0,
    NASA_MEDIA_GUIDELINES,
    PUBLIC_DOMAIN_DEDICATION,
    PUBLIC_DOMAIN_MARK,
    license_on_record,
    strictest,
)
from pipeline.provenance.attribution import MAX_PART_BYTES, credit_input, inputs_on_record
from pipeline.provenance.canonical import NotJson, canonical_json, clean_text, cut_text, escape_xml, parse_object
from pipeline.provenance.containers import find_xmp
from pipeline.provenance.manifest import (
    ALTERED_BY_MODEL,
    digital_source_type,
    manifest_sha256,
    starts_from_picture,
)
from pipeline.provenance.permission import permission_on_record

NAMESPACE = "urn:dreamcrawl:xmp:1.0:"
# XMP specification part 3, section 1.1.3: one APP1 segment without the namespace's name.
JPEG_MAX_PACKET_BYTES = 65_502
MAX_TITLE_BYTES = 500
MAX_ATTRIBUTION_BYTES = 3_000
# Half of what a JPEG holds: in XML some characters take more room.
_MAX_SHEET_BYTES = 10_000
SIDE_BY_SIDE = "Pictures and what a neural network made of them (DeepDream), side by side."

_NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "stRef": "http://ns.adobe.com/xap/1.0/sType/ResourceRef#",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "dreamcrawl": NAMESPACE,
}
_PUBLIC_DOMAIN = frozenset(
    each.id for each in (CC0, PUBLIC_DOMAIN_MARK, PUBLIC_DOMAIN_DEDICATION, NASA_MEDIA_GUIDELINES)
)


@dataclass(frozen=True)
class Embedded:
    """The record found in a picture. Nothing in it is believed yet: verification compares it.

    Attributes:
        manifest: The manifest as JSON values, or None when its text is no JSON object.
        manifest_sha256: The digest that stands beside it; empty when absent.
        derivation_key: The key that stands beside it; empty when absent.
        problem: Why there is no manifest, or empty.
    """

    manifest: Mapping[str, Any] | None
    manifest_sha256: str
    derivation_key: str
    problem: str = ""


def write_xmp(manifest: Mapping[str, Any], *, max_bytes: int | None = None) -> bytes:
    """The XMP packet for the dream that this manifest describes, in UTF-8.

    manifest: as `build_manifest` gave it.
    max_bytes: what the file format can hold; None for no limit.

    Raises:
        ValueError: The packet is longer than `max_bytes`.
    """
    source, network, sharing = manifest["source"], manifest["network"], manifest["sharing"]
    license_ = _strictest_part(manifest)
    software = f"{manifest['software']['name']} {manifest['software']['version']}"
    look = f"the recipe {manifest['preset']}" if manifest["preset"] else "a recipe of one's own"
    page = source["page_url"] or source["image_url"]
    made = (
        "Altered by a neural network: a DeepDream made of the original picture"
        if starts_from_picture(manifest)
        else "Made by a neural network: a DeepDream made of noise in the size of the original picture"
    )
    description = f"{made} with {look} and the network {network['name']}, by {software}."
    titled = f"DeepDream of: {source['title']}" if source["title"] else "DeepDream of an untitled picture"
    digest, permission = manifest_sha256(manifest), permission_on_record(manifest)
    lines = [
        _alternative("dc:title", source["title"]),
        _sequence("dc:creator", source["creator"]),
        _bag("dc:contributor", software),
        _alternative("dc:rights", attribution(manifest), max_bytes=MAX_ATTRIBUTION_BYTES),
        _alternative("dc:description", description, max_bytes=MAX_ATTRIBUTION_BYTES),
        _simple("dc:source", page),
        _simple("photoshop:Credit", source.get("attribution") or _credit(source), max_bytes=MAX_TITLE_BYTES),
        _simple("photoshop:Source", page),
        _simple("photoshop:Instructions", sharing["note"], max_bytes=MAX_ATTRIBUTION_BYTES),
        _simple("photoshop:DateCreated", manifest["created_at"]),
        _alternative("Iptc4xmpCore:AltTextAccessibility", titled),
        _alternative("xmpRights:UsageTerms", sharing["note"], max_bytes=MAX_ATTRIBUTION_BYTES),
        _simple("xmpRights:WebStatement", sharing["license_url"] or license_["url"]),
        _simple("xmpRights:Marked", _marked(str(license_["id"]))),
        _simple("Iptc4xmpExt:DigitalSourceType", digital_source_type(manifest)),
        _simple("Iptc4xmpExt:AISystemUsed", f"{software}, network {network['name']}", max_bytes=MAX_TITLE_BYTES),
        _simple("Iptc4xmpExt:AISystemVersionUsed", manifest["software"]["version"], max_bytes=MAX_TITLE_BYTES),
        _simple("xmpMM:DocumentID", f"urn:dreamcrawl:derivation:{manifest['derivation_key']}"),
        _derived_from(source) if starts_from_picture(manifest) else "",
        _simple("xmp:CreatorTool", software),
        _simple("xmp:CreateDate", manifest["created_at"]),
        _simple("dreamcrawl:Permission", permission.basis if permission else None),
        _simple("dreamcrawl:Responsibility", permission.words if permission else None),
        _simple("dreamcrawl:DerivationKey", manifest["derivation_key"]),
        _simple("dreamcrawl:ManifestSHA256", digest),
        _simple("dreamcrawl:Manifest", canonical_json(dict(manifest)), max_bytes=None),
    ]
    packet = _packet(lines)
    if max_bytes is not None and len(packet) > max_bytes:
        raise ValueError(
            f"the record of this dream takes {len(packet)} bytes and this file format holds {max_bytes}; save it as PNG"
        )
    return packet


def write_credit_xmp(
    credit_lines: Sequence[str], *, made: str = SIDE_BY_SIDE, source_type: str = ALTERED_BY_MODEL, software: str
) -> bytes:
    """The XMP packet for what shows dreams without being one, in UTF-8: attribution, and no record.

    credit_lines: One for each picture in it.
    made: What it is, in a sentence.
    source_type: IPTC's term for that.
    """
    numbered = [f"{number}. {line}" for number, line in enumerate(credit_lines, start=1)]
    rights = " ".join(numbered if len(numbered) > 1 else credit_lines)
    lines = [
        _bag("dc:contributor", software),
        _alternative("dc:rights", rights, max_bytes=_MAX_SHEET_BYTES),
        _alternative("dc:description", made),
        _simple("Iptc4xmpExt:DigitalSourceType", source_type),
        _simple("xmp:CreatorTool", software),
    ]
    return _packet(lines)


def attribution(manifest: Mapping[str, Any]) -> str:
    """Title, author, source and licence of the original in one line, and that it was altered; then guides and masks."""
    source = manifest["source"]
    # Each text of a page is cut by itself, or a long one would push out what comes after it.
    title = f'"{_cut(source["title"])}"' if source["title"] else "Untitled picture"
    author = f" by {_cut(source['creator'])}" if source["creator"] else ", author unknown"
    address = source["page_url"] or source["image_url"]
    page = f" ({address})" if address and len(address.encode()) <= MAX_PART_BYTES else ""
    license_ = source["license"]
    deed = f" ({license_['url']})" if license_["url"] and len(license_["url"].encode()) <= MAX_PART_BYTES else ""
    line = f"{title}{author}{page}, {license_['name']}{deed}; altered by a neural network"
    return "; ".join([line, *(f"with {credit_input(each)}" for each in inputs_on_record(manifest))])


def read_xmp(data: bytes) -> Embedded | None:
    """The dreamcrawl record of a PNG, JPEG or WebP file, or None when there is none.

    data: the whole file; it may come from anyone. Never raises for what the file holds.
    """
    packet = find_xmp(data)
    if packet is None or NAMESPACE.encode() not in packet:
        return None
    try:
        # Other tools close their packets with zero bytes or spaces.
        root = fromstring(packet.strip(b"\x00 \t\r\n"), forbid_dtd=True)
    except (ET.ParseError, ValueError, LookupError, RecursionError) as error:
        return Embedded(None, "", "", f"the XMP packet cannot be read: {clean_text(str(error))[:200]}")
    found = _own_properties(root)
    text = found.get("Manifest")
    digest, key = found.get("ManifestSHA256", ""), found.get("DerivationKey", "")
    if text is None:
        return Embedded(None, digest, key, "the XMP packet holds no manifest") if found else None
    try:
        return Embedded(parse_object(text), digest, key)
    except NotJson as error:
        return Embedded(None, digest, key, f"the manifest is no JSON: {clean_text(str(error))[:200]}")


def _own_properties(root: ET.Element) -> dict[str, str]:
    """Name -> text of the properties in our namespace; XMP lets a tool write them as elements or as attributes."""
    found: dict[str, str] = {}
    for description in root.iter(f"{{{_NAMESPACES['rdf']}}}Description"):
        values = [*description.attrib.items(), *((child.tag, child.text or "") for child in description)]
        for name, value in values:
            if name.startswith(f"{{{NAMESPACE}}}"):
                found.setdefault(name.removeprefix(f"{{{NAMESPACE}}}"), value)
    return found


def _derived_from(source: Mapping[str, Any]) -> str:
    reference = _simple("stRef:documentID", f"urn:sha256:{source['sha256']}")
    return f'<xmpMM:DerivedFrom rdf:parseType="Resource">{reference}</xmpMM:DerivedFrom>'


def _strictest_part(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The licence of the original, or of a guide or mask that lets less be done."""
    told = [each.get("license") for each in inputs_on_record(manifest)]
    entries = [manifest["source"]["license"], *(each for each in told if isinstance(each, Mapping))]
    licenses = [license_on_record(str(each.get("id")), str(each.get("url") or "")) for each in entries]
    chosen: Mapping[str, Any] = entries[licenses.index(strictest(licenses))]
    return chosen


def _credit(source: Mapping[str, Any]) -> str | None:
    return " / ".join(part for part in (source["creator"], source["source"]) if part) or None


def _marked(license_id: str) -> str | None:
    """`True` for a picture with an owner, `False` for the public domain; XMP leaves it out when nobody knows."""
    if license_id in _PUBLIC_DOMAIN:
        return "False"
    return None if license_id == "unknown" else "True"


def _packet(lines: Sequence[str]) -> bytes:
    declarations = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in _NAMESPACES.items() if prefix != "rdf")
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_NAMESPACES["rdf"]}">'
        f'<rdf:Description rdf:about=""{declarations}>\n'
        + "\n".join(line for line in lines if line)
        + '\n</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()


def _cut(text: str) -> str:
    return cut_text(_one_line(text), MAX_PART_BYTES)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _simple(name: str, text: str | None, *, max_bytes: int | None = None) -> str:
    if not text:
        return ""
    return f"<{name}>{escape_xml(text if max_bytes is None else cut_text(_one_line(text), max_bytes))}</{name}>"


def _list(name: str, container: str, attribute: str, text: str | None, max_bytes: int) -> str:
    if not text:
        return ""
    entry = escape_xml(cut_text(_one_line(text), max_bytes))
    return f"<{name}><rdf:{container}><rdf:li{attribute}>{entry}</rdf:li></rdf:{container}></{name}>"


def _alternative(name: str, text: str | None, *, max_bytes: int = MAX_TITLE_BYTES) -> str:
    return _list(name, "Alt", ' xml:lang="x-default"', text, max_bytes)


def _sequence(name: str, text: str | None) -> str:
    return _list(name, "Seq", "", text, MAX_TITLE_BYTES)


def _bag(name: str, text: str | None) -> str:
    return _list(name, "Bag", "", text, MAX_TITLE_BYTES)
