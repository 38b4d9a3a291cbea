"""One line of one site that speaks against the use of a picture."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import Reason
from pipeline.records import NOT_READ

PRODUCT_TOKEN = "dreamcrawl"  # noqa: S105  # the name that sites know us by

ROBOTS_TXT = "robots.txt"
CONTENT_USAGE = "Content-Usage"
TDMREP = "TDMRep"
AI_TXT = "ai.txt"
X_ROBOTS_TAG = "X-Robots-Tag"
META_ROBOTS = "meta robots"


@dataclass(frozen=True)
class Objection:
    """What speaks against a picture, in the site's own words.

    Attributes:
        rule: The convention, as in `pipeline.records.Consent`.
        value: The words: a line of a file, a header, a tag.
        where: Address of the file, page or response that holds them.
        in_headers: Whether they came with the picture itself, so that nothing but another request can tell whether
            they still hold.
    """

    rule: str
    value: str
    where: str
    in_headers: bool = False

    @property
    def reason(self) -> Reason:
        """`ROBOTS` for robots.txt, read or not; `OPT_OUT` for every other convention."""
        return Reason.ROBOTS if self.rule in (ROBOTS_TXT, NOT_READ) else Reason.OPT_OUT

    @property
    def detail(self) -> str:
        """One line for people."""
        if self.rule == ROBOTS_TXT:
            return f"robots.txt closes this address: {self.value}"
        if self.rule == META_ROBOTS:
            return f"the page says {self.value}"
        return self.value if self.rule == NOT_READ or self.in_headers else f"{self.rule}: {self.value}"
