"""Keywords: from the user's words to normal form, and whether a picture's texts contain them.

Whole words count: `cat` is found in "two cats" but not in "catalogue". Case, accents and punctuation do not count, nor
does whether a compound is written in one word: `windmill` is found in "wind-mill".
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
# Two letters in a row make a word of almost any two: only longer compounds are put together.
_MIN_COMPOUND = 6
_MAX_COMPOUND_WORDS = 3
# Signs over and under letters that a writer may leave away: accents, the points of Hebrew and Arabic, and the joiner
# that only shapes letters. Those of Indian and other scripts are vowels, so they stay.
_OPTIONAL_SIGNS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u200d\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f]"
)
_BLOCKS_WITH_VOWEL_SIGNS = ((0x0700, 0x1DBF), (0x3000, 0x30FF), (0xA800, 0xAAFF), (0x11000, 0x11FFF))
_VOWEL_SIGNS = "".join(
    re.escape(chr(code))
    for first, last in _BLOCKS_WITH_VOWEL_SIGNS
    for code in range(first, last + 1)
    if unicodedata.category(chr(code)) in ("Mn", "Mc")
)
_NOT_WORD = re.compile(rf"(?:[^\w{_VOWEL_SIGNS}]|_)+")
# Letters that Unicode does not take apart, as they are written where they are missing; and the Persian and the final
# forms of Arabic letters, which are mixed up in practice.
_LETTERS = str.maketrans(
    {
        "ı": "i",
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "ħ": "h",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        "ى": "ي",
        "ی": "ي",
        "ک": "ك",
        "ة": "ه",
    }
)
# `and`, `in`, `the` and the like are written together with the word in Arabic, the article also in Hebrew.
_PREFIXES = ("ال", "وال", "بال", "كال", "فال", "لل", "و", "ה", "וה")
_MIN_PREFIXED_STEM = 3
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
    if text.isascii():
        return _NOT_WORD.sub(" ", text.lower()).strip()
    # Casefolding can give new signs (İ), and so can its result taken apart. Composing again keeps Hangul and kana in
    # one piece.
    bare = _OPTIONAL_SIGNS.sub("", unicodedata.normalize("NFKD", text))
    folded = _OPTIONAL_SIGNS.sub("", unicodedata.normalize("NFKD", bare.casefold()))
    composed = unicodedata.normalize("NFKC", folded.translate(_LETTERS))
    return _NOT_WORD.sub(" ", composed).strip()


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
    ) or _contains_compound(text, "".join(keyword))


def _contains_compound(text: Sequence[str], compound: str) -> bool:
    """Whether words in a row make the compound, when they are written as one."""
    return len(compound) >= _MIN_COMPOUND and any(
        compound.startswith(word) and same_word("".join(text[start : start + count]), compound)
        for start, word in enumerate(text)
        for count in range(1, _MAX_COMPOUND_WORDS + 1)
    )


def same_word(one: str, other: str) -> bool:
    """Whether two normal words are equal, but for a plural in -s, -es or -ies, or an article written with the word."""
    return one == other or _extends(one, other) or _extends(other, one)


def _extends(longer: str, word: str) -> bool:
    if len(longer) < len(word):
        return False
    if longer in _plurals(word):
        return True
    return (
        len(word) >= _MIN_PREFIXED_STEM
        and not longer.isascii()
        and longer.endswith(word)
        and longer[: -len(word)] in _PREFIXES
    )


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
