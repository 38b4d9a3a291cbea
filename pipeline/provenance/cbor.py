"""Reads the part of CBOR that signatures are written in. Bytes may come from anyone.

Source: RFC 8949. What the C2PA library does not write is refused: floats, lengths left open, odd keys.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Found: TypeAlias = tuple[Any, int]
"""A value, and where it ends."""

_MOST_NESTED = 16
_WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}
_NULL = 22


class NotCbor(ValueError):
    """The bytes are none of the CBOR that is read here."""


def parse_cbor(data: bytes) -> Any:
    """The one value that fills these bytes: int, bytes, str, list, dict, None, or (number of the tag, value).

    Raises:
        NotCbor: They hold something else, more, or end early.
    """
    value, end = _item(data, 0, 0)
    if end != len(data):
        raise NotCbor("something stands behind the value")
    return value


def _item(data: bytes, position: int, depth: int) -> Found:
    if depth > _MOST_NESTED:
        raise NotCbor("nested too deeply")
    kind, number, position = _head(data, position)
    match kind:
        case 0:
            return number, position
        case 1:
            return -1 - number, position
        case 2 | 3:
            return _string(data, position, number, is_text=kind == 3)
        case 4:
            return _items(data, position, number, depth)
        case 5:
            items, position = _items(data, position, 2 * number, depth)
            return _map(items), position
        case 6:
            value, position = _item(data, position, depth + 1)
            return (number, value), position
    if number != _NULL:
        raise NotCbor("a value of an unknown kind")
    return None, position


def _head(data: bytes, position: int) -> tuple[int, int, int]:
    """Kind, number and end of an item's head."""
    if position >= len(data):
        raise NotCbor("it ends early")
    kind, number = data[position] >> 5, data[position] & 0x1F
    position += 1
    if number < min(_WIDTHS):
        return kind, number, position
    width = _WIDTHS.get(number)
    if width is None or position + width > len(data) or kind == 7:
        raise NotCbor("a number of an unknown kind")
    return kind, int.from_bytes(data[position : position + width], "big"), position + width


def _string(data: bytes, position: int, length: int, *, is_text: bool) -> Found:
    content = data[position : position + length]
    if len(content) < length:
        raise NotCbor("it ends early")
    try:
        return content.decode("utf-8") if is_text else content, position + length
    except UnicodeDecodeError as error:
        raise NotCbor("a text that is none") from error


def _items(data: bytes, position: int, count: int, depth: int) -> Found:
    if count > len(data) - position:  # each takes a byte at least
        raise NotCbor("it ends early")
    items = []
    for _ in range(count):
        item, position = _item(data, position, depth + 1)
        items.append(item)
    return items, position


def _map(items: list[Any]) -> dict[Any, Any]:
    keys = items[::2]
    if not all(isinstance(key, int | str | bytes) for key in keys) or len(set(keys)) != len(keys):
        raise NotCbor("a map with odd keys")
    return dict(zip(keys, items[1::2], strict=True))
