"""One way to write a JSON value, so that equal values have equal digests; and text that is safe to write anywhere."""

from __future__ import annotations

import hashlib
import json
import math
import re
from typing import Any, Never

# Everything that XML 1.0 cannot hold, not even as a character reference: most C0 controls, lone surrogates, two
# non-characters. JSON can, but one text for both keeps the digest the same wherever the record is kept.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REPLACEMENT = "\ufffd"
_ESCAPED_BYTES = {"&": 5, "<": 4, ">": 4, '"': 2, "\\": 2, "\t": 2, "\n": 2, "\r": 2}
_ELLIPSIS = "\u2026"
_MAX_SHOWN = 40


class NotJson(ValueError):
    """A text is no JSON, or not the JSON that was expected."""


def canonical_json(value: Any) -> str:
    """The JSON text of `value`: keys sorted, no spaces, characters as themselves, floats as `repr` writes them.

    Raises:
        ValueError: The value holds a number that JSON has not (NaN, infinity).
        TypeError: The value holds something that is no JSON value, or keys that are not all text.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def json_sha256(value: Any) -> str:
    """SHA-256, in hex, of the UTF-8 bytes of `canonical_json(value)`.

    Raises:
        ValueError: As `canonical_json`; also for text with lone surrogates, which UTF-8 cannot hold.
        TypeError: As `canonical_json`.
    """
    return hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()


def parse_object(text: str | bytes) -> dict[str, Any]:
    """The JSON object in a text, or in its UTF-8 bytes, that may come from anyone.

    Raises:
        NotJson: Not JSON, no object, nested too deeply, a key twice in one object, NaN and infinity, a number too
            large for a float, or half of a surrogate pair.
    """
    try:
        decoded = text if isinstance(text, str) else text.decode("utf-8")
        value = json.loads(decoded, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique)
        # Half of a surrogate pair has no bytes in UTF-8, and so no digest; an escape can spell it.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except NotJson:
        raise
    except UnicodeEncodeError as error:
        raise NotJson("half of a surrogate pair is no text") from error
    except ValueError as error:
        raise NotJson(str(error)) from error
    except RecursionError as error:
        raise NotJson("nested too deeply") from error
    if not isinstance(value, dict):
        raise NotJson("no JSON object")
    return value


def _refuse(constant: str) -> Never:
    raise NotJson(f"{constant} is no JSON number")


def _finite(number: str) -> float:
    if math.isinf(value := float(number)):
        raise NotJson(f"{number[:_MAX_SHOWN]} is too large")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two values under one key, readers differ in which they show.
    if len(found := dict(pairs)) != len(pairs):
        raise NotJson("a key stands twice in one object")
    return found


def escape_xml(text: str) -> str:
    """`text` as the content of an XML element; no quotation marks are escaped."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def clean_text(text: str) -> str:
    """`text` with every character that XML 1.0 cannot hold replaced by U+FFFD."""
    return _NOT_XML.sub(_REPLACEMENT, text)


def cut_text(text: str, max_bytes: int) -> str:
    """The start of the cleaned text that takes at most `max_bytes` once written as JSON inside XML in UTF-8.

    A text that was cut ends in an ellipsis, which is counted too. The limit must be 3 or more.
    """
    cleaned = clean_text(text)
    used, last = 0, 0
    for position, character in enumerate(cleaned):
        used += _ESCAPED_BYTES.get(character) or len(character.encode("utf-8"))
        if used > max_bytes:
            return cleaned[:last] + _ELLIPSIS
        if used <= max_bytes - 3:  # the ellipsis takes three bytes
            last = position + 1
    return cleaned
