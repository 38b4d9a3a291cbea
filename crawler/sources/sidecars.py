"""What a small file beside a picture says about it: `mill.jpg.json`, `mill.json`, `mill.jpg.txt` or `mill.txt`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crawler.sources.markup import clean
from pipeline.license_declarations import declare
from pipeline.records import DeclaredLicense

MAX_SIDECAR_BYTES = 256 * 1024
DECLARED_BY = "sidecar"


@dataclass(frozen=True)
class Sidecar:
    """Facts from sidecar files; all empty when there are none or they cannot be read."""

    title: str | None = None
    alt: str | None = None
    caption: str | None = None
    tags: tuple[str, ...] = ()
    creator: str | None = None
    creator_url: str | None = None
    license: DeclaredLicense | None = None


def read_sidecar(picture: Path) -> Sidecar:
    """The facts beside a picture: JSON first, and a text file as the caption where JSON gives none.

    JSON keys, all optional: title or name; alt; caption or description; tags or keywords (a list, or words with
    commas); creator, author or artist; creator_url; license or licence (an SPDX id, a name or an address); license_url;
    rights, copyright and usage_terms, which may go against the licence.
    """
    data: dict[str, Any] = {}
    for candidate in (picture.with_name(picture.name + ".json"), picture.with_suffix(".json")):
        data = _json_object(candidate)
        if data:
            break
    caption = _string(data, "caption", "description")
    for candidate in (picture.with_name(picture.name + ".txt"), picture.with_suffix(".txt")):
        caption = caption or clean(_text(candidate))
    terms = _string(data, "license", "licence")
    url = _string(data, "license_url", "licence_url")
    if terms and url is None and "://" in terms and " " not in terms:
        terms, url = None, terms
    return Sidecar(
        title=_string(data, "title", "name"),
        alt=_string(data, "alt"),
        caption=caption,
        tags=_tags(data.get("tags", data.get("keywords"))),
        creator=_string(data, "creator", "author", "artist"),
        creator_url=_string(data, "creator_url"),
        license=declare(
            DECLARED_BY,
            urls=[url],
            names=[terms],
            terms=[_string(data, name) for name in ("rights", "copyright", "usage_terms")],
        ),
    )


def _json_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_text(path) or "null")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(path: Path) -> str | None:
    try:
        if not path.is_file() or path.stat().st_size > MAX_SIDECAR_BYTES:
            return None
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return None


def _string(data: dict[str, Any], *keys: str) -> str | None:
    return next((text for key in keys if isinstance(data.get(key), str) and (text := clean(data[key]))), None)


def _tags(value: Any) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(tag for word in words if isinstance(word, str) and (tag := clean(word)))
