"""Reading what APIs answer: JSON of any shape to plain values, without trusting any of it. No I/O."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from crawler.sources.markup import clean
from crawler.urls import canonical_url
from pipeline.license_declarations import declare
from pipeline.licenses import UNKNOWN
from pipeline.records import DeclaredLicense

MAX_TEXT = 4000
MAX_WHOLE = 2**53 - 1
"""The largest whole number that JSON carries safely (RFC 8259); a database takes it too."""
_TAG = re.compile(r"<[^<>]{0,4000}>")
_DATE = re.compile(r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d))?)?(?![\d-])")
_MEDIA_TYPES: Mapping[str, str] = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
}


def json_object(answer: bytes) -> dict[str, Any]:
    """The JSON object that an answer is.

    Raises:
        ValueError: It is not one.
    """
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {answer[:60]!r}") from error
    if not isinstance(value, dict):
        raise ValueError(f"a JSON {type(value).__name__}, not an object")  # noqa: TRY004  # what a bad answer is to the callers
    return value


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """The objects of a JSON list; nothing for anything else."""
    return (part for part in value if isinstance(part, dict)) if isinstance(value, list) else iter(())


def mapping(value: Any) -> Mapping[str, Any]:
    """A JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str | None:
    """Plain text of a string, number, or the first of a list of them; None for anything else and for empty text."""
    if isinstance(value, list):
        return next((found for part in value if (found := text(part))), None)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    return clean(str(value)[:MAX_TEXT]) or None


def texts(value: Any) -> tuple[str, ...]:
    """Plain texts of a list, or of one value."""
    parts = value if isinstance(value, list) else [value]
    return tuple(found for part in parts if (found := text(part)))


def plain(value: Any) -> str | None:
    """Text of a string that holds HTML: without tags, entities resolved."""
    if not isinstance(value, str):
        return None
    return text(html.unescape(_TAG.sub(" ", value[:MAX_TEXT])))


def whole(value: Any) -> int | None:
    """A positive whole number, also when written as a string; None for anything else."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 16:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_WHOLE else None


def address(value: Any) -> str | None:
    """The canonical form of a web address; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        return canonical_url(value)
    except ValueError:
        return None


def iso_date(value: Any) -> str | None:
    """The date that a text begins with, as ISO 8601 to its own precision (`2019`, `2019-05`, `2019-05-02`), or None."""
    match = _DATE.match(text(value) or "")
    if match is None or match["year"] == "0000":
        return None
    if match["month"] is None or not 1 <= int(match["month"]) <= 12:
        return match["year"]
    month = f"{match['year']}-{match['month']}"
    if match["day"] is None or not 1 <= int(match["day"]) <= 31:
        return month
    return f"{month}-{match['day']}"


def media_type_by_name(name: str) -> str | None:
    """The media type that the ending of a file's name or address stands for; None for all that cannot be kept."""
    path = name.partition("?")[0].partition("#")[0]
    return _MEDIA_TYPES.get(path.rpartition(".")[2].lower())


def declared_license(source: str, *, url: Any = None, name: Any = None, terms: Any = None) -> DeclaredLicense | None:
    """The licence that an API declares by address, name or both; `unknown` for one that cannot be read or relied on.

    Args:
        source: Who declares it, such as `openverse`.
        url: Address of the deed, or several, when there is one.
        name: Its name, such as `CC BY-SA 4.0`.
        terms: What else is said of the picture's rights.
    """
    found = declare(source, urls=texts(url), names=texts(name), terms=texts(terms))
    if found is not None and found.id == UNKNOWN:
        return dataclasses.replace(found, url=address(found.url))
    return found
