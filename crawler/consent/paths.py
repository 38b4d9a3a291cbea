"""Paths of addresses, and the patterns that robots.txt, tdmrep.json and ai.txt describe them with."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ESCAPE_OR_UNSAFE = re.compile(rb"%[0-9A-Fa-f]{2}|[^\x21-\x7e]")


class PathPattern:
    """A pattern of RFC 9309, section 2.2.2: `*` stands for anything, `$` at the end for the end.

    Matching takes time linear in the path for each `*`, whatever the pattern: they are hostile too.

    Attributes:
        length: Octets of its normal form; the longer of two patterns is the more specific one.
    """

    __slots__ = ("_ends", "_pieces", "length")

    def __init__(self, text: str, *, lower: bool = False) -> None:
        """lower: Match without regard to case; paths must then be given in lower case."""
        self._ends = text.endswith("$")
        normal = _normal(text.removesuffix("$")).replace("$", "%24")
        if not normal.startswith(("/", "*")):
            normal = f"/{normal}"
        self.length = len(normal) + self._ends
        self._pieces = (normal.lower() if lower else normal).split("*")

    def matches(self, path: str) -> bool:
        """Whether the pattern covers a path as `path_of` gives it."""
        first, *rest = self._pieces
        if not path.startswith(first):
            return False
        at = len(first)
        if not rest:
            return not self._ends or at == len(path)
        for piece in rest[:-1]:
            found = path.find(piece, at)
            if found < 0:
                return False
            at = found + len(piece)
        if self._ends:
            return path.endswith(rest[-1]) and len(path) - len(rest[-1]) >= at
        return path.find(rest[-1], at) >= 0


def path_of(url: str) -> str:
    """Path and query of an address in the form that patterns are compared with.

    Octets outside ASCII are escaped, escapes of unreserved characters are undone (RFC 9309, section 2.2.2), and `*`
    and `$`, which mean something in a pattern, are escaped.
    """
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _normal(path).replace("*", "%2A").replace("$", "%24")


def _normal(text: str) -> str:
    return _ESCAPE_OR_UNSAFE.sub(_octet, text.encode("utf-8", errors="replace")).decode("ascii")


def _octet(match: re.Match[bytes]) -> bytes:
    found = match[0]
    if len(found) == 1:
        return b"%%%02X" % found[0]
    octet = int(found[1:], 16)
    return bytes([octet]) if octet in _UNRESERVED else found.upper()
