"""The ids that people see and type: `i12` for an item, `d3` for a dream, `r5` for a run; read here and nowhere else."""

from __future__ import annotations

import re

from pipeline.errors import NotFound, UsageError

LARGEST = 2**31 - 1
"""Of the ids of a catalog, on PostgreSQL; no larger one is ever given."""

_KINDS = {"i": "an item", "d": "a dream", "r": "a run"}
_MOST_SHOWN = 40


def parse_id(text: str, letter: str) -> int:
    """The number of a public id, at least 1: `i12`, `I12` or `12` -> 12.

    letter: Of the kind wanted, i, d or r; empty for a bare number.

    Raises:
        UsageError: It is no such id.
        NotFound: It is one, but of a number that no catalog has.
    """
    digits = text.strip().lower().removeprefix(letter)
    if not re.fullmatch(r"[0-9]+", digits):
        kind = f"the id of {_KINDS[letter]}" if letter else "an id"
        raise UsageError(f"{_shown(text)!r} is not {kind}; these look like {letter}12")
    digits = digits.lstrip("0")
    # By its length first: Python does not read numbers of thousands of digits.
    if not digits or len(digits) > len(str(LARGEST)) or int(digits) > LARGEST:
        raise NotFound(f"there is no {_shown(f'{letter}{digits or 0}')}")
    return int(digits)


def looks_like_id(text: str, letters: str) -> bool:
    """Whether a text is one of these letters with a number, however large; else it may be the name of a file."""
    return re.fullmatch(rf"[{letters}][0-9]+", text.lower()) is not None


def _shown(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
