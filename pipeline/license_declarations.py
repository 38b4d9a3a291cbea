"""What a page or a file declares as a picture's licence: the one place that makes a licence of it.

The rule is careful. What is declared of one picture - the address of a deed, its name, and what else is said of its
rights - must go together. Where it does not, as with a deed beside "all rights reserved", no licence is known, and both
are kept in the words: nobody can tell from here which of them is true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from pipeline.license_texts import goes_against, license_from_text, restrains
from pipeline.licenses import UNKNOWN, License, going_together, license_from_url, license_on_record
from pipeline.records import DeclaredLicense

MAX_WORDS = 500
_MAX_PART = 240  # so that both sides of a contradiction are kept
# Of what is read: pages are hostile, and say nothing of a picture at this length.
_MOST_TEXTS, _MOST_READ = 100, 4_000


def declare(
    declared_by: str,
    *,
    urls: Iterable[str | None] = (),
    names: Iterable[str | None] = (),
    terms: Iterable[str | None] = (),
) -> DeclaredLicense | None:
    """The licence that is declared in one place; `unknown` for one that cannot be read or is contradicted.

    None where nothing is declared.

    Args:
        declared_by: Where it stands, such as `rel=license`.
        urls: Addresses given as those of the licence.
        names: Words given as its name.
        terms: What else is said of the picture's rights. They name no licence, but may go against one; rights that they
            keep, and uses that they forbid, are a declaration by themselves.
    """
    addresses, words, said = _given(urls), _given(names), _given(terms)
    kept = [each for each in said if restrains(each)]
    if not (addresses or words or kept):
        return None
    by_address = [found for each in addresses if (found := license_from_url(each))]
    named = [*by_address, *(found for each in words if (found := license_from_text(each)))]
    if not named:
        texts = [*kept, *words, *addresses]
        unread = next(filter(restrains, texts), texts[0])
        text = _excerpt(unread, MAX_WORDS, restrains)
        return DeclaredLicense(UNKNOWN, next(iter(addresses), None), declared_by, text)
    found = going_together(named)
    if found is None:
        return _contradiction(declared_by, [_shown(each) for each in named])
    if against := _against(found, [*addresses, *words, *said]):
        return _contradiction(declared_by, [_shown(found), *against])
    return DeclaredLicense(found.id, found.url, declared_by, (words or said or addresses)[0][:MAX_WORDS])


def agreed(
    declarations: Sequence[DeclaredLicense | None], *, beside: Iterable[str | None] = ()
) -> DeclaredLicense | None:
    """What several declarations of one picture come to, the most trusted first; None where there is none.

    One that cannot be read stands back behind one that can, unless it keeps rights or names another licence.

    Args:
        declarations: As `declare` gives them.
        beside: What else stands beside the picture, which declares nothing but may go against what is declared.
    """
    told = [each for each in declarations if each is not None]
    known = [each for each in told if each.id != UNKNOWN]
    if not known:
        # What keeps rights must not be forgotten behind what only cannot be read.
        return next((each for each in told if restrains(each.text)), told[0] if told else None)
    licenses = [license_on_record(each.id, each.url) for each in known]
    found = going_together(licenses)
    if found is None:
        return _contradiction(known[0].declared_by, [_shown(each) for each in licenses])
    unread = [each.text or each.url or "" for each in told if each.id == UNKNOWN]
    if against := _against(found, [*unread, *_given(beside)]):
        return _contradiction(known[0].declared_by, [_shown(found), *against])
    return known[licenses.index(found)]


def _against(found: License, texts: Sequence[str]) -> list[str]:
    """Those of these texts that go against a licence, each cut to where it does."""

    def tells(text: str) -> bool:
        return goes_against(text, found)

    return [_excerpt(each, _MAX_PART, tells) for each in texts if tells(each)]


def _excerpt(text: str, most: int, tells: Callable[[str], bool]) -> str:
    """A part of a text that still tells what the whole one does, where one can be found; else its beginning."""
    starts = range(0, len(text), most // 2) if len(text) > most else ()
    parts = (text[start : start + most] for start in starts)
    return next(filter(tells, parts), text[:most])


def _contradiction(declared_by: str, sides: Sequence[str]) -> DeclaredLicense:
    first, *others = (each[:_MAX_PART] for each in dict.fromkeys(sides))
    # Without an address: a deed that does not count is not to be shown as that of the picture.
    return DeclaredLicense(UNKNOWN, None, declared_by, f"{first}, but {'; '.join(others)}"[:MAX_WORDS])


def _shown(license_: License) -> str:
    return f"{license_.name} ({license_.url})" if license_.url else license_.name


def _given(texts: Iterable[str | None]) -> list[str]:
    stripped = (each[:_MOST_READ].strip() for each in texts if each)
    return list(dict.fromkeys(each for each in islice(stripped, _MOST_TEXTS) if each))
