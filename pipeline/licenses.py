"""Licences: from the address or name that a page declares to an SPDX id, and what each permits."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

UNKNOWN = "unknown"


@dataclass(frozen=True)
class License:
    """One licence and what it permits.

    Attributes:
        id: SPDX id, or `unknown`, or one of two that SPDX does not list: `PDM-1.0`, the public domain mark, and
            `NASA-media-guidelines`.
        name: What to show a person.
        url: The deed or legal text, or None when unknown.
        permits_adaptation: Whether an adapted picture (a dream) may be shared. False for ND licences; None when the
            licence is unknown, which means: keep the adaptation private.
        share_alike: Whether an adaptation must carry the same licence.
        permits_commercial_use: None when unknown.
        requires_attribution: None when unknown.
    """

    id: str
    name: str
    url: str | None
    permits_adaptation: bool | None
    share_alike: bool
    permits_commercial_use: bool | None
    requires_attribution: bool | None


UNKNOWN_LICENSE = License(UNKNOWN, "Unknown licence", None, None, False, None, None)

_CC_ELEMENTS = ("by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd")
_CC_VERSIONS = frozenset({"1.0", "2.0", "2.1", "2.5", "3.0", "4.0"})
# Up to 3.0 there were licences for the law of one country ("ported"), each with a deed of its own.
_CC_PORTED = _CC_VERSIONS - {"4.0"}
# Those that SPDX lists, version 3.27; the others go by the id of the licence they were made from.
_SPDX_PORTS = {
    ("by", "2.5"): "au",
    ("by", "3.0"): "at au de igo nl us",
    ("by-nc", "3.0"): "de",
    ("by-nd", "3.0"): "de",
    ("by-sa", "2.0"): "uk",
    ("by-sa", "2.1"): "jp",
    ("by-sa", "3.0"): "at de igo",
    ("by-nc-nd", "3.0"): "de igo",
    ("by-nc-sa", "2.0"): "de fr uk",
    ("by-nc-sa", "3.0"): "de igo",
}
_CC_ID = re.compile(r"CC-(?P<elements>BY(?:-NC)?(?:-(?:ND|SA))?)-(?P<version>\d\.\d)(?:-(?P<port>[A-Z]{2}|IGO))?")
_CC_URL = re.compile(
    r"^/licenses/(?P<elements>[a-z-]+)/(?P<version>\d\.\d)(?:/(?P<port>[a-z]{2}|igo|scotland)(?=/|$))?(?:/|$)"
)
_CC_PUBLIC_URL = re.compile(r"^/publicdomain/(?P<kind>zero|mark)/1\.0(?:/|$)")
_CC_DEDICATION_URL = re.compile(r"^/licenses/publicdomain(?:/|$)")


def creative_commons(elements: str, version: str, port: str = "") -> License | None:
    """The licence of these elements, such as `by-sa`; None when there is no such version.

    port: The jurisdiction, such as `us`, when it is one of those for the law of one country; in lower case.
    """
    if elements not in _CC_ELEMENTS or version not in _CC_VERSIONS:
        return None
    port = port if version in _CC_PORTED else ""
    is_listed = port in _SPDX_PORTS.get((elements, version), "").split()
    return License(
        id=f"CC-{elements.upper()}-{version}{f'-{port.upper()}' if is_listed else ''}",
        name=f"CC {elements.upper()} {version}{f' {port.upper()}' if port else ''}",
        url=f"https://creativecommons.org/licenses/{elements}/{version}/{f'{port}/' if port else ''}",
        permits_adaptation="nd" not in elements.split("-"),
        share_alike="sa" in elements.split("-"),
        permits_commercial_use="nc" not in elements.split("-"),
        requires_attribution=True,
    )


CC0 = License("CC0-1.0", "CC0 1.0", "https://creativecommons.org/publicdomain/zero/1.0/", True, False, True, False)
PUBLIC_DOMAIN_MARK = License(
    "PDM-1.0",
    "Public domain",
    "https://creativecommons.org/publicdomain/mark/1.0/",
    True,
    False,
    True,
    False,
)

# The deed of 2002 for what its maker gave up or what is free anyhow; no longer offered, but much of the Internet
# Archive stands under it.
PUBLIC_DOMAIN_DEDICATION = License(
    "CC-PDDC",
    "Public domain dedication and certification",
    "https://creativecommons.org/licenses/publicdomain/",
    True,
    False,
    True,
    False,
)
# Not a licence, but what NASA says of the use of its pictures: they are not protected by copyright in the United States
# unless a third party is named, and NASA is to be named as their source.
NASA_MEDIA_GUIDELINES = License(
    "NASA-media-guidelines",
    "NASA media usage guidelines",
    "https://www.nasa.gov/nasa-brand-center/images-and-media/",
    True,
    False,
    True,
    True,
)
_BY_ID = {each.id: each for each in (CC0, PUBLIC_DOMAIN_MARK, PUBLIC_DOMAIN_DEDICATION, NASA_MEDIA_GUIDELINES)}


def license_from_url(url: str) -> License | None:
    """The licence whose deed or legal text has this address, or None when it is not one of those known here."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return None
    host = (parts.hostname or "").removeprefix("www.")
    if host != "creativecommons.org":
        return None
    path = parts.path.lower()
    if "/.." in path or "%2e" in path:  # browsers would show another page than the one that it begins with
        return None
    if public := _CC_PUBLIC_URL.match(path):
        return CC0 if public["kind"] == "zero" else PUBLIC_DOMAIN_MARK
    if _CC_DEDICATION_URL.match(path):
        return PUBLIC_DOMAIN_DEDICATION
    if match := _CC_URL.match(path):
        return creative_commons(match["elements"], match["version"], match["port"] or "")
    return None


def one_of(named: Sequence[License | None]) -> License | None:
    """The licence that all these are, the country known where one of them tells it; None when they differ."""
    known = [each for each in named if each is not None]
    if len(known) < len(named) or len({unported(each).id for each in known}) != 1:
        return None
    ported = [each for each in known if each != unported(each)]
    return (ported or known)[0] if len({each.url for each in ported}) < 2 else None


def going_together(named: Sequence[License | None]) -> License | None:
    """The licence that several declarations come to: the one that all are; the first where none of them asks anything.

    CC0 of one museum and the public domain mark of another let the same be done.
    """
    known = [each for each in named if each is not None and _asks_nothing(each)]
    return one_of(named) or (known[0] if known and len(known) == len(named) else None)


def _asks_nothing(license_: License) -> bool:
    is_free = license_.permits_adaptation is True and license_.permits_commercial_use is True
    return is_free and not license_.share_alike and license_.requires_attribution is False


def license_by_id(license_id: str) -> License:
    """The licence with this SPDX id; `UNKNOWN_LICENSE` for anything else."""
    if license_id in _BY_ID:
        return _BY_ID[license_id]
    if match := _CC_ID.fullmatch(license_id):
        found = creative_commons(match["elements"].lower(), match["version"], (match["port"] or "").lower())
        if found is not None and found.id == license_id:
            return found
    return UNKNOWN_LICENSE


def unported(license_: License) -> License:
    """The licence that one for the law of one country was made from; any other is that itself."""
    match = _CC_ID.fullmatch(license_.id)
    made_from = creative_commons(match["elements"].lower(), match["version"]) if match else None
    return made_from or license_


def kind_of(license_: License) -> str:
    """A licence without its version and country: `CC-BY-SA`, `CC0`, `PDM`; any other is its own kind."""
    if match := _CC_ID.fullmatch(license_.id):
        return f"CC-{match['elements']}"
    return license_.id.removesuffix("-1.0")


def strictest(licenses: Sequence[License]) -> License:
    """The one of these, one at least, that lets the least be done; the first of several that are equal."""
    return max(licenses, key=_strictness)


def _strictness(license_: License) -> tuple[bool, ...]:
    forbids = (license_.permits_adaptation, license_.permits_commercial_use)
    return (
        None in forbids,
        license_.permits_adaptation is False,
        license_.permits_commercial_use is False,
        license_.share_alike,
        bool(license_.requires_attribution),
    )


@cache
def every_license() -> tuple[License, ...]:
    """Each licence that is known here, once for each id."""
    versions = sorted(_CC_VERSIONS)
    ported = ((key, port) for key, ports in _SPDX_PORTS.items() for port in ports.split())
    found = [creative_commons(elements, version) for elements in _CC_ELEMENTS for version in versions]
    found += [creative_commons(elements, version, port) for (elements, version), port in ported]
    return (*_BY_ID.values(), *(each for each in found if each is not None))


def license_on_record(license_id: str | None, url: str | None) -> License:
    """The licence with this id, with the deed that was declared where that is one of the same id.

    Of the licences for the law of one country many have no id of their own, but a deed that is to be named.
    """
    known, declared = license_by_id(license_id or UNKNOWN), license_from_url(url or "")
    return declared if declared is not None and declared.id == known.id else known


@dataclass(frozen=True)
class Terms:
    """What all the licences of the pictures in one adaptation ask for together.

    Attributes:
        license: The one that the adaptation must carry; None when its maker may choose.
    """

    license: License | None
    requires_attribution: bool
    permits_commercial_use: bool


def joint_terms(licenses: Sequence[License]) -> Terms | None:
    """What one picture adapted from several asks for, or None when their licences cannot all be kept.

    licenses: One or more that permit adaptations. Two share-alike licences go together when one is a later version of
    the other, or made from it for the law of one country (CC 2.0 and later permit that, legal code section 4b); and one
    that permits commercial use takes in nothing that forbids it.

    Source: Creative Commons, "Wiki/cc license compatibility", chart of adaptations.
    """
    demanding = sorted((each for each in licenses if each.share_alike), key=_order)
    is_free = all(each.permits_commercial_use for each in licenses)
    chosen = demanding[-1] if demanding else None
    if chosen is not None:
        others = [each for each in demanding if each.id != chosen.id]
        if any(kind_of(each) != kind_of(chosen) or each.id.endswith("-1.0") for each in others):
            return None
        if chosen.permits_commercial_use and not is_free:
            return None
    return Terms(chosen, any(each.requires_attribution for each in licenses), is_free)


def _order(license_: License) -> tuple[str, bool, str]:
    """Later versions after earlier ones, and that for intergovernmental organizations before those it may become."""
    return license_.id.removesuffix("-IGO"), not license_.id.endswith("-IGO"), license_.url or ""


LEAST_WORDS, MOST_WORDS_BYTES = 3, 1_000


def responsibility_words(text: str) -> str:
    """The words in which a user takes responsibility, on one line; nothing for nothing.

    Raises:
        ValueError: Too few to say anything, or too many; the message says what would do.
    """
    words = "".join(char if char.isprintable() else " " for char in text).split()
    line = " ".join(words)
    # Scripts that write no spaces have a letter or two for a word.
    count = sum(max(1, sum(unicodedata.category(char) == "Lo" for char in word) // 2) for word in words if _says(word))
    if line and count < LEAST_WORDS:
        raise ValueError(
            f"responsibility is taken in words that say why, at least {LEAST_WORDS}, such as "
            '"I have the photographer\'s permission, mail of 3 May"'
        )
    if len(line.encode("utf-8", "replace")) > MOST_WORDS_BYTES:
        raise ValueError(f"the words of responsibility are recorded with each dream: {MOST_WORDS_BYTES} bytes at most")
    return line


def _says(word: str) -> bool:
    return any(char.isalpha() for char in word)
