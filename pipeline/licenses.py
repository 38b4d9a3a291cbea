"""Licences: from the address or name that a page declares to an SPDX id, and what each permits."""

from __future__ import annotations

import re
from dataclasses import dataclass
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
_CC_URL = re.compile(r"^/licenses/(?P<elements>[a-z-]+)/(?P<version>\d\.\d)(?:/|$)")
_CC_PUBLIC_URL = re.compile(r"^/publicdomain/(?P<kind>zero|mark)/1\.0(?:/|$)")
_CC_DEDICATION_URL = re.compile(r"^/licenses/publicdomain(?:/|$)")
_CC_TEXT = re.compile(
    r"\bcc[\s_-]*(?P<elements>by(?:[\s_-]*(?:nc|nd|sa)){0,2})[\s_-]*(?P<version>\d\.\d)?", re.IGNORECASE
)


def _creative_commons(elements: str, version: str) -> License:
    return License(
        id=f"CC-{elements.upper()}-{version}",
        name=f"CC {elements.upper()} {version}",
        url=f"https://creativecommons.org/licenses/{elements}/{version}/",
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
    if public := _CC_PUBLIC_URL.match(path):
        return CC0 if public["kind"] == "zero" else PUBLIC_DOMAIN_MARK
    if _CC_DEDICATION_URL.match(path):
        return PUBLIC_DOMAIN_DEDICATION
    if (match := _CC_URL.match(path)) and match["elements"] in _CC_ELEMENTS:
        return _creative_commons(match["elements"], match["version"])
    return None


def license_from_text(text: str) -> License | None:
    """The licence that a short text names ("CC BY-SA 4.0", "CC0", an SPDX id, an address), or None.

    A Creative Commons licence named without a version is not guessed: None.
    """
    if "://" in text:
        for word in text.split():
            if "://" in word and (found := license_from_url(word.strip("<>()[].,;\"'"))):
                return found
    lowered = text.lower()
    if re.search(r"\bcc[\s_-]?0\b|\bcc[\s_-]zero\b", lowered):
        return CC0
    if re.search(r"\bpdm[\s_-]?1\.0\b|\bpublic domain mark\b", lowered):
        return PUBLIC_DOMAIN_MARK
    if (match := _CC_TEXT.search(text)) and match["version"]:
        elements = re.sub(r"[\s_-]+", "-", match["elements"].lower())
        if elements in _CC_ELEMENTS:
            return _creative_commons(elements, match["version"])
    return None


def license_by_id(license_id: str) -> License:
    """The licence with this SPDX id; `UNKNOWN_LICENSE` for anything else."""
    if license_id in _BY_ID:
        return _BY_ID[license_id]
    if match := re.fullmatch(r"CC-(BY(?:-NC)?(?:-(?:ND|SA))?)-(\d\.\d)", license_id):
        return _creative_commons(match[1].lower(), match[2])
    return UNKNOWN_LICENSE


LICENSE_CHOICES = ("adaptable", "commercial", "any")
"""What may be asked for instead of one licence: that it permits adaptations, that and commercial use, or anything."""


def license_choice(text: str) -> str:
    """One of `LICENSE_CHOICES`, or the id of the licence that a text names.

    Raises:
        ValueError: It names none; the message says what would.
    """
    wanted = text.strip()
    if wanted.lower() in LICENSE_CHOICES:
        return wanted.lower()
    for license_id in (wanted, wanted.upper()):
        if (found := license_by_id(license_id)) is not UNKNOWN_LICENSE:
            return found.id
    if (named := license_from_text(wanted)) is not None:
        return named.id
    choices = ", ".join(LICENSE_CHOICES)
    raise ValueError(f"a licence is {choices}, or one with its version, such as CC-BY-4.0 or CC0-1.0; got {text!r}")
