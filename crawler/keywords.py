"""Keywords: from the user's words to normal form, and whether a picture's texts contain them.

Whole words count: `cat` is found in "two cats" but not in "catalogue". Case, accents and punctuation do not count.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from crawler.errors import KeywordInvalid
from pipeline.records import KeywordMatch

MAX_KEYWORD_CHARACTERS = 100

FIELD_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"title": 0.30, "caption": 0.20, "alt": 0.20, "tags": 0.15, "file_name": 0.10, "page_title": 0.05}
)
"""What a match in each field is worth, strongest first; they add up to 1."""

# Shorter words have too many false plurals: "as", "is", "us".
_MIN_PLURAL_STEM = 3
_NOT_WORD = re.compile(r"[\W_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
# Scripts without spaces (Thai, Lao, Myanmar, Khmer, kana, Han), and Hangul, whose particles cling to the word: there a
# keyword may stand anywhere.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")


def parse_keywords(words: Iterable[str]) -> tuple[str, ...]:
    """The user's keywords, trimmed, each normal form once, in the order given.

    Raises:
        KeywordInvalid: A keyword has no letter or digit, or is longer than `MAX_KEYWORD_CHARACTERS`.
    """
    found: dict[str, str] = {}
    for word in words:
        text = " ".join(word.split())
        if not (normal := normalize(text)):
            raise KeywordInvalid(f"keyword {word!r} has no letter or digit; give words such as `windmill`")
        if len(text) > MAX_KEYWORD_CHARACTERS:
            raise KeywordInvalid(f"keyword {text[:30]!r}... is longer than {MAX_KEYWORD_CHARACTERS} characters")
        found.setdefault(normal, text)
    return tuple(found.values())


def normalize(text: str) -> str:
    """Lower case, without accents and punctuation, words separated by one space."""
    decomposed = unicodedata.normalize("NFKD", text)
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    # Casefolding can give new combining marks (İ), and composing again keeps Hangul and kana in one piece.
    folded = "".join(c for c in unicodedata.normalize("NFKD", bare.casefold()) if not unicodedata.combining(c))
    return _NOT_WORD.sub(" ", unicodedata.normalize("NFKC", folded)).strip()


def normalize_file_name(name: str) -> str:
    """As `normalize`, after splitting `BlueWindmill2` at its humps and digits."""
    return normalize(_CAMEL.sub(" ", name))


def contains(normal_text: str, normal_keyword: str) -> bool:
    """Whether normal text has the normal keyword as whole words in a row, each also in its plural or singular."""
    if not normal_keyword:
        return False
    if _UNSPACED.search(normal_keyword):
        return normal_keyword in normal_text
    text, keyword = normal_text.split(), normal_keyword.split()
    return any(
        all(same_word(word, wanted) for word, wanted in zip(text[start:], keyword, strict=False))
        for start in range(len(text) - len(keyword) + 1)
    )


def same_word(one: str, other: str) -> bool:
    """Whether two normal words are equal, or one is the other's plural in -s, -es or -ies."""
    return one == other or other in _plurals(one) or one in _plurals(other)


def match_keywords(keywords: Sequence[str], fields: Mapping[str, Sequence[str]]) -> tuple[KeywordMatch, ...]:
    """Which keywords stand in a picture's texts, and how strongly.

    Args:
        keywords: As `parse_keywords` gave them.
        fields: Name of a field in `FIELD_WEIGHTS` -> its texts; each tag is a text of its own, so that no phrase
            matches across two of them.

    Returns:
        One match for each keyword found, in the order of the keywords. A score of 1 means: in every field.
    """
    normal = {
        name: [normalize_file_name(text) if name == "file_name" else normalize(text) for text in fields.get(name, ())]
        for name in FIELD_WEIGHTS
    }
    found = []
    for keyword in keywords:
        wanted = normalize(keyword)
        hits = tuple(name for name, texts in normal.items() if any(contains(text, wanted) for text in texts))
        if hits:
            score = round(sum(FIELD_WEIGHTS[name] for name in hits), 4)
            found.append(KeywordMatch(keyword, hits, score))
    return tuple(found)


def _plurals(word: str) -> tuple[str, ...]:
    if len(word) < _MIN_PLURAL_STEM or not word.isalpha():
        return ()
    if word.endswith("y"):
        return (word + "s", word[:-1] + "ies")
    return (word + "s", word + "es")
