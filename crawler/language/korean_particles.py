"""Korean particles at the end of a word: `호수와` is `호수` (lake) and `와` (and)."""

from __future__ import annotations

_FIRST, _LAST = 0xAC00, 0xD7A3
_FINALS = 28
# After a syllable with a final consonant, and after one without. The endings 은, 는 and 이, 가 are left: an adjective
# (붉은) or a noun (고양이) may end so as well.
_AFTER_CONSONANT = ("을", "과")
_AFTER_VOWEL = ("를", "와")
_AFTER_ANY = ("에서", "에게", "에", "의")
_SUBJECT = ("이", "은", "도"), ("가", "는", "도")


def without_particle(word: str) -> tuple[str, bool]:
    """A word without the particle that ends its phrase, and whether there was one.

    A particle is only taken off where at least two syllables stay: shorter words end so by nature (마을, 사과).
    """
    for particle in _AFTER_ANY:
        if word.endswith(particle) and len(word) - len(particle) >= 2:
            return word[: -len(particle)], True
    stem = word[:-1]
    if len(stem) >= 2 and word[-1] in (_AFTER_CONSONANT if _has_final(stem[-1]) else _AFTER_VOWEL):
        return stem, True
    return word, False


def without_subject_particle(word: str) -> str:
    """A word without the particle of a subject, as it stands before `없는`."""
    stem = word[:-1]
    if stem and word[-1] in _SUBJECT[0 if _has_final(stem[-1]) else 1]:
        return stem
    return word


def _has_final(syllable: str) -> bool:
    code = ord(syllable)
    return _FIRST <= code <= _LAST and (code - _FIRST) % _FINALS != 0
