"""What a text must be like to be kept."""

from __future__ import annotations


def storable(text: str) -> str:
    """The text as every database takes it: without NUL, and with a `?` for each half of a surrogate pair."""
    return text.replace("\0", "").encode("utf-8", errors="replace").decode("utf-8")
