"""What a site says about machines: robots.txt (RFC 9309), and response headers. Pure: text in, verdict out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from protego import Protego

PRODUCT_TOKEN = "dreamcrawl"  # noqa: S105  # the name that robots.txt knows us by
# Words of X-Robots-Tag that ask not to use the file the way this program does; `none` is `noindex, nofollow`.
_OPT_OUTS = frozenset({"noai", "noimageai", "noindex", "noimageindex", "none"})


@dataclass(frozen=True)
class RobotsVerdict:
    """What robots.txt of one host allows.

    Attributes:
        rules: The parsed file; None when everything or nothing is allowed.
        closed: Why nothing is allowed, or None.
        crawl_delay_seconds: The least time between two requests that it asks for, or None.
    """

    rules: Protego | None = None
    closed: str | None = None
    crawl_delay_seconds: float | None = None

    def objection(self, url: str) -> str | None:
        """Why an address must not be requested, or None."""
        if self.closed is not None:
            return self.closed
        if self.rules is not None and not self.rules.can_fetch(url, PRODUCT_TOKEN):
            return "robots.txt closes this address"
        return None


def read_robots(status: int, body: bytes) -> RobotsVerdict:
    """The verdict from the answer to a request for robots.txt.

    A 4xx means that there are no rules, but 429 and all else that is not a 2xx means that they are not known, and
    then nothing is allowed (RFC 9309, section 2.3.1).
    """
    if 200 <= status < 300:
        rules = Protego.parse(body.decode("utf-8-sig", errors="replace"))
        return RobotsVerdict(rules, None, rules.crawl_delay(PRODUCT_TOKEN))
    if 400 <= status < 500 and status != 429:
        return RobotsVerdict()
    return RobotsVerdict(closed=f"robots.txt could not be read: HTTP {status}")


def header_objection(robots_tags: Iterable[str], tdm_reservation: str | None) -> str | None:
    """Why response headers forbid the use of a file, or None.

    Args:
        robots_tags: The values of X-Robots-Tag: lists with commas, each perhaps for one robot only (`name: noai`).
        tdm_reservation: The value of TDM-Reservation (TDMRep, W3C community group report, 2024), or None.
    """
    for value in robots_tags:
        addressee, separator, rest = value.partition(":")
        # `max-image-preview: none` and `unavailable_after: ...` are directives with a value, not names of robots.
        named = bool(separator) and "," not in addressee and not _has_value(addressee)
        if named and addressee.strip().lower() != PRODUCT_TOKEN:
            continue
        for word in (rest if named else value).lower().split(","):
            if word.strip() in _OPT_OUTS:
                return f"X-Robots-Tag: {word.strip()}"
    if tdm_reservation is not None and tdm_reservation.strip() == "1":
        return "TDM-Reservation: 1"
    return None


def _has_value(directive: str) -> bool:
    return directive.strip().lower().startswith(("max-", "unavailable_after"))
