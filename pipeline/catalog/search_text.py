"""Text as the search sees it, the same for every database: words without case and accents, and facets as words.

Scripts that are written without spaces are cut into single characters, which a search looks for side by side: so
a Japanese or Chinese word is found wherever it stands. All else is found by the beginnings of its words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

MAX_DOCUMENT_CHARACTERS = 20_000
"""Of what is said of one picture; a picture met on thousands of pages is not found by what the last of them says."""

BETWEEN_TEXTS = "_"
"""Stands in a document between one text and the next, so that no phrase begins in one and ends in the other.

FTS5 takes it for a word, see migration 0004; nothing that is typed ever is this word, nor begins it."""

MAX_PHRASES = 16
"""Of one search; what is typed beyond is left out."""

_BETWEEN = f" {BETWEEN_TEXTS} "
_SHORT = 1_000  # characters; longer texts wait until all others have found room
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_MAX_WORD = 100  # longer ones are no words; an index has limits, too
# Combining marks of Latin, Greek and Cyrillic, which people leave out; those of other scripts tell words apart.
_ACCENTS = range(0x0300, 0x0370)
# Han with its extensions, Kana, Bopomofo; and the scripts of South East Asia that put no spaces between words.
_SPACELESS = (
    range(0x0E00, 0x0F00),  # Thai, Lao
    range(0x1000, 0x10A0),  # Myanmar
    range(0x1780, 0x1800),  # Khmer
    range(0x3005, 0x3008),
    range(0x3040, 0x3130),
    range(0x31A0, 0x3200),
    range(0x3400, 0x4DC0),
    range(0x4E00, 0xA000),
    range(0xF900, 0xFB00),
    range(0x20000, 0x32000),
)


class Facet(StrEnum):
    """What an item can be filtered by; the value is the letter that its words in the index begin with."""

    USABLE = "u"  # not withdrawn
    SHOWN = "s"  # usable, and near to no other
    NEAR = "n"  # usable, and near to another
    WITHDRAWN = "w"
    HIDDEN = "h"  # not shown: withdrawn, or near to another
    DREAMED = "d"  # `1` or `0`
    KEYWORD = "k"
    SOURCE = "o"
    LICENSE = "l"
    PRESET = "p"
    TAG = "t"
    STARS = "g"  # as people rated it, 1 to 5


@dataclass(frozen=True)
class Phrase:
    """Words that must stand side by side.

    Attributes:
        words: At least one, as `words_of` gives them.
        is_beginning: Whether the last one may go on, as `wind` in `windmill`.
    """

    words: tuple[str, ...]
    is_beginning: bool


def words_of(text: str) -> list[str]:
    """The words of a text, in order: letters, marks and digits only, without case, width and accents."""
    if text.isascii():  # most are, and this is ten times as fast
        found = _ASCII_WORD.findall(text.lower())
        return found if len(text) <= _MAX_WORD else [word[:_MAX_WORD] for word in found]
    words: list[str] = []
    word: list[str] = []

    def end() -> None:
        if word:
            words.append("".join(word)[:_MAX_WORD])
            word.clear()

    for character in _folded(text):
        if _is_spaceless(character):
            end()
            if unicodedata.category(character)[0] in "LN":
                words.append(character)
            elif words:  # a vowel sign belongs to the letter before it
                words[-1] += character
        elif character.isalnum() or (word and unicodedata.category(character)[0] == "M"):
            word.append(character)
        else:
            end()
    end()
    return words


def phrases_of(text: str) -> tuple[Phrase, ...]:
    """What a search looks for, each once: one phrase for each stretch without spaces; signs alone are left out."""
    found: dict[Phrase, None] = {}
    for stretch in text.split():
        words = tuple(words_of(stretch))
        if words:
            # One letter begins half of all words, and a character of a spaceless script is a whole one.
            found[Phrase(words, is_beginning=len(words[-1]) > 1 and not _is_spaceless(words[-1][0]))] = None
    return tuple(found)[:MAX_PHRASES]


def document_of(first: Iterable[str], said: Iterable[str] = ()) -> str:
    """All that is said of one picture as words with single spaces between them; what is said twice is kept once.

    first: What people say of it themselves, and what it is called. The rest gets the room that this leaves.
    said: What pages say, the most telling first. Long texts come after all short ones, and the one for which there is
        not enough room is cut.
    """
    found: dict[str, None] = {}
    room = MAX_DOCUMENT_CHARACTERS
    for text in dict.fromkeys((*first, *sorted(said, key=_is_long))):
        line = " ".join(words_of(text[:MAX_DOCUMENT_CHARACTERS]))
        if len(line) > room:
            if beginning := line[: max(0, room + 1)].rpartition(" ")[0]:
                found[beginning] = None
            break
        if line and line not in found:
            found[line] = None
            room -= len(line) + len(_BETWEEN)
    return _BETWEEN.join(found)


def _is_long(text: str) -> bool:
    return len(text) > _SHORT


@lru_cache(maxsize=4096)
def facet_word(facet: Facet, value: str = "") -> str:
    """A facet's value as one word, which no text holds: it begins with `_`."""
    return f"_{facet.value}" + "".join(
        chr(byte) if 0x30 <= byte <= 0x39 or 0x61 <= byte <= 0x7A else f"_{byte:02x}"
        for byte in value.encode("utf-8", errors="replace")
    )


@lru_cache(maxsize=4096)
def facet_value(word: str) -> tuple[str, str]:
    """The facet's letter and the value of what `facet_word` gave."""
    plain, *escaped = word[2:].split("_")
    data = bytearray(plain.encode("ascii"))
    for part in escaped:
        data.append(int(part[:2], 16))
        data += part[2:].encode("ascii")
    return word[1:2], data.decode("utf-8", errors="replace")


def _folded(text: str) -> str:
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFC", "".join(c for c in apart if ord(c) not in _ACCENTS))


def _is_spaceless(character: str) -> bool:
    code = ord(character)
    return code >= _SPACELESS[0].start and any(code in block for block in _SPACELESS)
