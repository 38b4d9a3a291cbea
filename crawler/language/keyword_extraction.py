"""From what a user writes to keywords and exclusions: `a calm lake in autumn, no people`.

Phrases are runs of words between stop words and punctuation, as in RAKE (Rose et al., 2010); a request is too short for
its scores, so every phrase is a keyword. After `no`, `without` and their like in some thirty languages, a phrase is an
exclusion; so is `-word`. What stands in quotation marks stays whole. The language is found from the text by py3langid;
its stop words are those of the `stop-words` package; Japanese, Chinese and Thai are cut into segments by BudouX. All
data lies in the packages: nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from crawler.errors import KeywordInvalid
from crawler.keywords import MAX_KEYWORD_CHARACTERS, normalize
from crawler.language.spaced_requests import read_spaced
from crawler.language.unspaced_requests import UNSPACED_LANGUAGES, read_unspaced
from crawler.language.words import WORDS

MAX_TEXT_CHARACTERS = 2000
MAX_KEYWORDS = 20
LANGUAGES: tuple[str, ...] = tuple(sorted({*WORDS, *UNSPACED_LANGUAGES}))
"""ISO 639-1 codes of the languages whose small words are known."""

# Log-likelihood by which another language must beat English: a word or two tell little.
_ENGLISH_LEAD = 2.0
_SCRIPTS = (
    ("ja", re.compile(r"[\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f]")),
    ("ko", re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")),
    ("zh", re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
)


@dataclass(frozen=True)
class Extraction:
    """What a request asks for.

    Attributes:
        keywords: In the order of the text, one or more, each once.
        exclusions: What must not be said of a picture.
        language: ISO 639-1.
    """

    keywords: tuple[str, ...]
    exclusions: tuple[str, ...]
    language: str


def extract_keywords(text: str, *, language: str | None = None) -> Extraction:
    """The keywords and exclusions of a request.

    Args:
        text: What the user wrote, in one of `LANGUAGES`; of one in another only punctuation, `-word` and quotation
            marks are understood.
        language: Its language, where it is not to be found from the text.

    Raises:
        KeywordInvalid: Nothing to look for is in it, it is too long, or the language is not known.
    """
    if language is not None and language not in LANGUAGES:
        raise KeywordInvalid(f"language {language!r} is not one of {', '.join(LANGUAGES)}")
    if len(text) > MAX_TEXT_CHARACTERS:
        raise KeywordInvalid(f"a request has at most {MAX_TEXT_CHARACTERS} characters, this one has {len(text)}")
    found = language or language_of(text)
    keywords, exclusions = _read(text, found)
    if not keywords and not exclusions and language is None and found != "en":
        # A word may be a stop word of a language that the text is not in.
        found = "en"
        keywords, exclusions = _read(text, found)
    if not keywords:
        raise KeywordInvalid(f"nothing to look for in {text[:60]!r}; say what is to be seen, as in `a lake in autumn`")
    return Extraction(keywords[:MAX_KEYWORDS], exclusions[:MAX_KEYWORDS], found)


def language_of(text: str) -> str:
    """The most likely of `LANGUAGES`; English where nothing speaks for another."""
    for language, script in _SCRIPTS:
        if script.search(text):
            return language
    # Its model takes most of a second to load.
    from py3langid import rank

    scores = {str(name): float(score) for name, score in rank(text) if name in WORDS}
    best = max(scores, key=lambda name: scores[name])
    return "en" if scores["en"] >= scores[best] - _ENGLISH_LEAD else best


def _read(text: str, language: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    read = read_unspaced if language in UNSPACED_LANGUAGES else read_spaced
    keywords, exclusions = read(text, language)
    unwanted = _usable(exclusions)
    refused = {normalize(word) for word in unwanted}
    return tuple(word for word in _usable(keywords) if normalize(word) not in refused), unwanted


def _usable(phrases: Iterable[str]) -> tuple[str, ...]:
    """Each once, without those that no text could contain."""
    found: dict[str, str] = {}
    for phrase in phrases:
        text = " ".join(phrase.split())
        if (normal := normalize(text)) and len(text) <= MAX_KEYWORD_CHARACTERS:
            found.setdefault(normal, text)
    return tuple(found.values())
