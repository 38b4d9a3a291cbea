"""Texts of strangers as they may stand in Markdown."""

from __future__ import annotations

import re

_MARKUP = re.compile(r"([\\`*_\[\]<>#|~])")
_ENTITIES = {"<": "&lt;", ">": "&gt;"}


def markdown_text(text: str) -> str:
    """The text on one line, shown as it is: nothing in it is markup, a link or HTML."""
    return _MARKUP.sub(_escaped, " ".join(text.split()))


def _escaped(match: re.Match[str]) -> str:
    return _ENTITIES.get(match[1], f"\\{match[1]}")
