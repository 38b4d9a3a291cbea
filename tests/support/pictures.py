"""Pictures for tests: made from numbers, so that a test can say what every pixel must be."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Rgb = NDArray[np.uint8]


def scene(seed: int, *, width: int = 160, height: int = 120) -> Rgb:
    """A picture with large and small shapes, as a photograph has; another seed gives another scene."""
    random = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for cells, weight in ((3, 90.0), (6, 60.0), (12, 35.0), (24, 20.0)):
        noise = random.normal(0, weight, (cells, cells, 3))
        channels = [
            np.asarray(
                Image.fromarray(noise[..., channel].astype(np.float32)).resize(
                    (width, height), Image.Resampling.BICUBIC
                )
            )
            for channel in range(3)
        ]
        total += np.stack(channels, axis=-1)
    return np.clip(128 + total, 0, 255).astype(np.uint8)


def file_of(rgb: Rgb | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """A file of these pixels in any format that Pillow writes."""
    image = rgb if isinstance(rgb, Image.Image) else Image.fromarray(rgb)
    out = io.BytesIO()
    image.save(out, format=kind, **options)
    return out.getvalue()


def scene_file(seed: int, kind: str = "PNG", *, width: int = 160, height: int = 120, **options: Any) -> bytes:
    """A file of a scene."""
    return file_of(scene(seed, width=width, height=height), kind, **options)


def xmp_packet(
    *,
    title: str = "",
    creator: str = "",
    rights: str = "",
    web_statement: str = "",
    license_url: str = "",
    usage_terms: str = "",
    instructions: str = "",
    data_mining: str = "",
) -> bytes:
    """An XMP packet as cameras and editors write it."""
    statement = f' xmpRights:WebStatement="{web_statement}"' if web_statement else ""
    parts = [
        f'<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>' if title else "",
        f"<dc:creator><rdf:Seq><rdf:li>{creator}</rdf:li></rdf:Seq></dc:creator>" if creator else "",
        f'<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">{rights}</rdf:li></rdf:Alt></dc:rights>' if rights else "",
        f'<cc:license rdf:resource="{license_url}"/>' if license_url else "",
        f'<xmpRights:UsageTerms><rdf:Alt><rdf:li xml:lang="x-default">{usage_terms}</rdf:li></rdf:Alt>'
        "</xmpRights:UsageTerms>"
        if usage_terms
        else "",
        f"<photoshop:Instructions>{instructions}</photoshop:Instructions>" if instructions else "",
        f"<plus:DataMining>{data_mining}</plus:DataMining>" if data_mining else "",
    ]
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:cc="http://creativecommons.org/ns#" xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/" '
        'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" '
        f'xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/"{statement}>'
        f'{"".join(parts)}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


# Adobe RGB (1998): primaries adapted to D50, as its specification gives them, and gamma 563/256.
ADOBE_RGB_TO_XYZ = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
ADOBE_GAMMA = 563 / 256


def adobe_rgb_profile() -> bytes:
    """A minimal ICC version 2 display profile with the primaries of Adobe RGB; ICC.1:2001-04, clauses 6.1 to 6.5."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(values: Any) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(fixed(float(value)) for value in values)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(ADOBE_GAMMA * 256)) + b"\0\0"
    text = b"test profile\0"
    description = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + b"\0" * (4 + 4 + 2 + 1 + 67)
    description += b"\0" * (-len(description) % 4)
    tags = [
        (b"desc", description),
        (b"cprt", b"text\0\0\0\0none\0\0\0\0"),
        (b"wtpt", xyz((0.9642, 1.0, 0.8249))),
        (b"rXYZ", xyz(ADOBE_RGB_TO_XYZ[:, 0])),
        (b"gXYZ", xyz(ADOBE_RGB_TO_XYZ[:, 1])),
        (b"bXYZ", xyz(ADOBE_RGB_TO_XYZ[:, 2])),
        (b"rTRC", curve),
        (b"gTRC", curve),
        (b"bTRC", curve),
    ]
    offset = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags:
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += data
    header = bytearray(128)
    header[0:4] = struct.pack(">I", offset + len(body))
    header[8:12] = b"\x02\x10\0\0"
    header[12:24] = b"mntrRGB XYZ "
    header[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    header[36:40] = b"acsp"
    header[68:80] = b"".join(fixed(value) for value in (0.9642, 1.0, 0.8249))
    return bytes(header) + table + body
