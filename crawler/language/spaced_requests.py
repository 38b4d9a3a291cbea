"""Reads requests in languages that put spaces between words: phrases, and which of them are not wanted. No I/O."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from crawler.language.korean_particles import without_particle, without_subject_particle
from crawler.language.words import WORDS, LanguageWords

MAX_PHRASE_WORDS = 4
"""A longer run of words stands in hardly any picture's texts; its noun and what is nearest to it stay."""

_MAX_SMALL_WORDS = 4
_INSIDE_WORDS = frozenset("-'’.&\u2010\u2011\u00b7\u05f3\u05f4\u200c\u200d")
_APOSTROPHES = "'’"
_QUOTES = {'"': '"', "“": "”", "„": "“”", "«": "»", "»": "«", "‹": "›", "「": "」", "『": "』"}
_LIST_MARKS = frozenset(",，、،/")
_BEGIN_NAMES = frozenset({"new", "great"})
_LISTED_AS = {"no": "nb"}


class _Kind(Enum):
    WORD = "word"
    PHRASE = "phrase"  # in quotation marks
    MINUS = "minus"  # after a minus sign: not wanted
    COMMA = "comma"
    STOP = "stop"


@dataclass(frozen=True)
class _Token:
    kind: _Kind
    text: str


def read_spaced(text: str, language: str) -> tuple[list[str], list[str]]:
    """Keywords and exclusions of a request; `language` is one of `crawler.language.words.WORDS`."""
    reader = _Reader(_lexicon(language))
    reader.read(list(_tokens(unicodedata.normalize("NFC", text))))
    return reader.keywords, reader.exclusions


@dataclass(frozen=True)
class _Lexicon:
    """The small words of a language, ready to be looked up."""

    language: str
    words: LanguageWords
    stops: frozenset[str]
    negations: tuple[tuple[str, ...], ...]
    fixed: tuple[tuple[str, ...], ...]
    after_negations: frozenset[str]
    either: frozenset[str]
    both: frozenset[str]
    contrasts: frozenset[str]
    joins: frozenset[str]
    elided: frozenset[str]
    glued: frozenset[str]
    skipped: frozenset[str]
    asks: frozenset[str]


@functools.cache
def _lexicon(language: str) -> _Lexicon:
    from stop_words import get_stop_words

    words = WORDS[language]
    listed = {word.casefold() for word in get_stop_words(_LISTED_AS.get(language, language))}
    # What asks for pictures is a stop word on some lists; here it is dropped by its place in the phrase.
    stops = (listed - _split(words.seen) - _split(words.asks)) | _split(words.parts)
    return _Lexicon(
        language=language,
        words=words,
        stops=frozenset(stops | _split(words.skipped)),
        negations=_phrases(words.negations),
        fixed=_phrases(words.fixed),
        after_negations=_split(words.after_negations),
        either=_split(words.either),
        both=_split(words.both),
        contrasts=_split(words.contrasts),
        joins=_split(words.joins),
        elided=_split(words.elided),
        glued=_split(words.glued),
        skipped=_split(words.skipped),
        asks=_split(words.asks),
    )


def _split(words: str) -> frozenset[str]:
    return frozenset(word.casefold() for word in words.split("|") if word)


def _phrases(words: str) -> tuple[tuple[str, ...], ...]:
    """The longest first."""
    return tuple(sorted((tuple(each.split()) for each in _split(words)), key=lambda words: (-len(words), words)))


class _Reader:
    """Goes through the words once; a phrase ends at stop words and punctuation."""

    def __init__(self, lexicon: _Lexicon) -> None:
        self.keywords: list[str] = []
        self.exclusions: list[str] = []
        self._lexicon = lexicon
        self._run: list[str] = []
        self._negated = False
        self._negated_something = False
        # After `without:`, until the sentence ends.
        self._negates_all = False
        # Where in `keywords` a list began whose first items were negated; None outside of one.
        self._list_from: int | None = None

    def read(self, tokens: Sequence[_Token]) -> None:
        """Read all of a request."""
        at = 0
        while at < len(tokens):
            at += self._take(tokens, at)
        self._end_phrase()

    def _take(self, tokens: Sequence[_Token], at: int) -> int:
        """Read the token there; how many were read."""
        token = tokens[at]
        match token.kind:
            case _Kind.WORD:
                return self._take_word(tokens, at)
            case _Kind.PHRASE:
                self._end_phrase()
                self._add(token.text)
            case _Kind.MINUS:
                self._end_phrase()
                self.exclusions.append(token.text)
            case _Kind.COMMA | _Kind.STOP:
                self._end_phrase()
                was_negated = self._negated and self._negated_something
                if token.text == ":" and self._negated:
                    self._negates_all = True
                elif token.kind is _Kind.STOP:
                    self._negates_all = False
                if self._negates_all:
                    return 1
                if was_negated and token.kind is _Kind.COMMA:
                    self._list_from = len(self.keywords)
                elif token.kind is _Kind.STOP:
                    self._list_from = None
                self._negated = self._negated and not self._negated_something
        return 1

    def _take_word(self, tokens: Sequence[_Token], at: int) -> int:
        lexicon = self._lexicon
        word = tokens[at].text
        low = word.casefold()
        if length := self._negation_at(tokens, at):
            self._end_phrase()
            self._negated, self._negated_something, self._list_from = True, False, None
            return length
        if low in lexicon.after_negations:
            self._end_phrase(negated=True)
        elif low in lexicon.contrasts:
            self._end_phrase()
            self._negated, self._list_from = False, None
        elif low in lexicon.either:
            self._end_phrase()
            self._alternative()
        elif length := _starts_with(tokens[at:], lexicon.fixed):
            self._run += [each.text for each in tokens[at : at + length]]
            return length
        elif low in lexicon.both:
            self._end_phrase()
            self._negated_something = False
        elif self._is_join(tokens, at):
            self._run.append(word)
        elif low in lexicon.skipped and self._run:
            pass
        elif (low in lexicon.stops and not self._is_in_name(tokens, at)) or (low.isdigit() and not self._run):
            self._end_at_small_word()
        else:
            self._content(word)
        return 1

    def _negation_at(self, tokens: Sequence[_Token], at: int) -> int:
        return _starts_with(tokens[at : at + _MAX_SMALL_WORDS], self._lexicon.negations)

    def _is_join(self, tokens: Sequence[_Token], at: int) -> bool:
        """Whether a word such as `of` stands between two parts of one phrase."""
        if tokens[at].text.casefold() not in self._lexicon.joins or not self._run or at + 1 >= len(tokens):
            return False
        following = tokens[at + 1]
        low = following.text.casefold()
        return (
            following.kind is _Kind.WORD
            and low not in self._lexicon.stops
            and low not in self._lexicon.joins
            and not self._negation_at(tokens, at + 1)
            and not _elided(low, self._lexicon.elided)
        )

    def _is_in_name(self, tokens: Sequence[_Token], at: int) -> bool:
        """Whether a small word is part of a name: `New York`. Only English keeps capitals for names alone."""
        word, following = tokens[at].text, tokens[at + 1 : at + 2]
        is_first = at == 0 or tokens[at - 1].kind is not _Kind.WORD
        return (
            self._lexicon.language == "en"
            and (not is_first or word.casefold() in _BEGIN_NAMES)
            and len(word) > 1
            and word.istitle()
            and bool(following)
            and following[0].kind is _Kind.WORD
            and following[0].text[:1].isupper()
        )

    def _content(self, word: str) -> None:
        """A word of a phrase, or an article and a word in one."""
        if rest := _elided(word, self._lexicon.elided):
            self._end_at_small_word()
            if rest.casefold() not in self._lexicon.stops:
                self._run.append(rest)
            return
        if (rest := _elided(word, self._lexicon.glued)) and not self._run:
            word = rest
        ends = False
        if self._lexicon.language == "ko":
            word, ends = without_particle(word)
        self._run.append(word)
        if ends:
            self._end_phrase()

    def _alternative(self) -> None:
        """`no people, cars or boats`: all three are not wanted."""
        if self._list_from is not None and not self._negated:
            self.exclusions += self.keywords[self._list_from :]
            del self.keywords[self._list_from :]
            self._negated, self._list_from = True, None
        self._negated_something = False

    def _end_at_small_word(self) -> None:
        self._end_phrase()
        # `without the people in autumn`: articles may come first, but what follows later is another part.
        if self._negated and self._negated_something:
            self._negated = False

    def _end_phrase(self, *, negated: bool = False) -> None:
        run, self._run = self._run, []
        words = _without_asking(run, self._lexicon)
        if negated and words and self._lexicon.language == "ko":
            words[-1] = without_subject_particle(words[-1])
        if negated and not words and self._lexicon.after_negations and self.keywords:
            # The particle before it ended the phrase already.
            self.exclusions.append(self.keywords.pop())
        elif words:
            self._add(" ".join(_core(words, self._lexicon)), negated=negated)

    def _add(self, phrase: str, *, negated: bool = False) -> None:
        if negated or self._negated:
            self.exclusions.append(phrase)
            self._negated_something = True
        else:
            self.keywords.append(phrase)


def _starts_with(tokens: Sequence[_Token], phrases: Iterable[tuple[str, ...]]) -> int:
    """How many words the first of the phrases has that the tokens start with; 0 for none."""
    for phrase in phrases:
        there = tokens[: len(phrase)]
        if len(there) == len(phrase) and all(
            token.kind is _Kind.WORD and token.text.casefold() == word
            for token, word in zip(there, phrase, strict=True)
        ):
            return len(phrase)
    return 0


def _without_asking(run: list[str], lexicon: _Lexicon) -> list[str]:
    """The words of a phrase without `photos of` before them and `photos` behind them."""
    words = list(run)
    for place in range(len(words) - 1, 0, -1):
        if words[place].casefold() in lexicon.joins and words[place - 1].casefold() in lexicon.asks:
            words = words[place + 1 :]
            break
    while words and words[0].casefold() in lexicon.asks:
        if len(words) > 1 and (rest := _elided(words[1], lexicon.glued)):
            words = [rest, *words[2:]]
        elif len(words) == 1 or words[1].casefold() in lexicon.asks or lexicon.words.head_first:
            words = words[1:]
        else:
            break
    while words and words[-1].casefold() in lexicon.asks | lexicon.joins:
        words.pop()
    return words


def _core(words: list[str], lexicon: _Lexicon) -> list[str]:
    """The noun of a phrase and the words nearest to it."""
    if sum(word.casefold() not in lexicon.joins for word in words) <= MAX_PHRASE_WORDS:
        return words
    cut = words[:MAX_PHRASE_WORDS] if lexicon.words.head_first else words[-MAX_PHRASE_WORDS:]
    while cut and cut[0].casefold() in lexicon.joins:
        cut = cut[1:]
    while cut and cut[-1].casefold() in lexicon.joins:
        cut = cut[:-1]
    return cut


def _elided(word: str, before: Iterable[str]) -> str:
    """What stands behind the apostrophe, when one of `before` stands before it; else nothing."""
    for mark in _APOSTROPHES:
        head, found, rest = word.partition(mark)
        if found and rest and head.casefold() in before:
            return rest
    return ""


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        character = text[at]
        after_space = at == 0 or not _in_word(text, at - 1)
        if character in _QUOTES and after_space and (end := _closing(text, at)) > 0:
            yield _Token(_Kind.PHRASE, text[at + 1 : end])
            at = end + 1
        elif (
            character in "-\u2212" and after_space and at + 1 < len(text) and text[at - 1 : at] in ("", " ", "\n", "\t")
        ):
            end = _closing(text, at + 1) if text[at + 1] in _QUOTES else 0
            start = at + 2 if end > 0 else at + 1
            stop = end if end > 0 else _word_end(text, start)
            if stop > start:
                yield _Token(_Kind.MINUS, text[start:stop])
            else:
                yield _Token(_Kind.STOP, character)
            at = max(stop + (end > 0), at + 1)
        elif _in_word(text, at):
            end = _word_end(text, at)
            yield _Token(_Kind.WORD, text[at:end].rstrip("-'’.&\u200c\u200d"))
            at = end
        else:
            if character == "&":
                yield _Token(_Kind.WORD, character)
            elif character in _LIST_MARKS:
                yield _Token(_Kind.COMMA, character)
            elif not character.isspace() or character == "\n":
                yield _Token(_Kind.STOP, character)
            at += 1


def _closing(text: str, at: int) -> int:
    """Where the quotation that opens there ends, on the same line; -1 when nowhere."""
    ends = [text.find(mark, at + 1) for mark in _QUOTES[text[at]]]
    end = min((place for place in ends if place > at + 1), default=-1)
    return -1 if end < 0 or "\n" in text[at:end] else end


def _in_word(text: str, at: int) -> bool:
    return text[at].isalnum() or unicodedata.category(text[at]).startswith("M")


def _word_end(text: str, at: int) -> int:
    end = at
    while (
        end < len(text)
        and (
            _in_word(text, end)
            # `w/o` is a word; so are `o'clock` and `snow-covered`, but not a full stop at an end.
            or (text[end] in _INSIDE_WORDS and end + 1 < len(text) and _in_word(text, end + 1) and end > at)
            or (text[end] == "/" and text[at : end + 2].casefold() == "w/o")
        )
    ):
        end += 1
    return end
