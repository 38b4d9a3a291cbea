"""What a page or a file declares as a picture's licence: the one place that makes a licence of it.

The rule is careful. What is declared of one picture - the address of a deed, its name, and what else is said of its
rights - must go together. Where it does not, as with a deed beside "all rights reserved", no licence is known, and both
are kept in the words: nobody can tell from here which of them is true.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipeline.license_texts import goes_against, license_from_text, reserves
from pipeline.licenses import UNKNOWN, License, license_from_url, license_on_record, one_of
from pipeline.records import DeclaredLicense

MAX_WORDS = 500
_MAX_PART = 240  # so that both sides of a contradiction are kept


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
            keep are a declaration by themselves.
    """
    addresses, words, said = _given(urls), _given(names), _given(terms)
    kept = [each for each in said if reserves(each)]
    if not (addresses or words or kept):
        return None
    by_address = [found for each in addresses if (found := license_from_url(each))]
    named = [*by_address, *(found for each in words if (found := license_from_text(each)))]
    if not named:
        unread = [*kept, *words, *addresses][0]
        return DeclaredLicense(UNKNOWN, next(iter(addresses), None), declared_by, unread[:MAX_WORDS])
    found = one_of(named)
    if found is None:
        return _contradiction(declared_by, [_shown(each) for each in named])
    against = [each for each in [*addresses, *words, *said] if goes_against(each, found)]
    if against:
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
        return told[0] if told else None
    licenses = [license_on_record(each.id, each.url) for each in known]
    found = one_of(licenses)
    if found is None:
        return _contradiction(known[0].declared_by, [_shown(each) for each in licenses])
    unread = [each.text or each.url or "" for each in told if each.id == UNKNOWN]
    if against := [each for each in [*unread, *_given(beside)] if goes_against(each, found)]:
        return _contradiction(known[0].declared_by, [_shown(found), *against])
    return known[licenses.index(found)]


def _contradiction(declared_by: str, sides: Sequence[str]) -> DeclaredLicense:
    first, *others = (each[:_MAX_PART] for each in dict.fromkeys(sides))
    # Without an address: a deed that does not count is not to be shown as that of the picture.
    return DeclaredLicense(UNKNOWN, None, declared_by, f"{first}, but {'; '.join(others)}"[:MAX_WORDS])


def _shown(license_: License) -> str:
    return f"{license_.name} ({license_.url})" if license_.url else license_.name


def _given(texts: Iterable[str | None]) -> list[str]:
    stripped = (each.strip() for each in texts if each)
    return list(dict.fromkeys(each for each in stripped if each))
