"""What a crawl is asked to do and how it tells of itself: the values that cross to the child process and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from crawler.filters import Filters
from crawler.troubles import Trouble
from pipeline.errors import Reason
from pipeline.records import Outcome

DEFAULT_MAX_IMAGE_BYTES = 32 * 2**20


@dataclass(frozen=True)
class CrawlRequest:
    """What to look for, where, and with which manners.

    Attributes:
        keywords: What to look for; none means every picture.
        source: Name of the source.
        argument: What follows `=` in `--source NAME=ARGUMENT`.
        limit: Most pictures to collect.
        only_new: Whether only pictures fetched now count towards the limit; otherwise known ones do too.
        contact: E-mail or address of the operator, sent to every site; needed for any host beyond loopback.
        deadline_seconds: The crawl is ended after this long; what it has is kept.
        timeout_seconds: A request whose answer is not whole after this long is given up, however it drips.
        delay_seconds: Least time between two requests to one host; not applied to loopback.
        concurrency_per_host: Most requests at once to one host.
        max_image_bytes: Larger files are refused.
        max_pixels: Ingest rejects pictures with more, so they are not fetched.
        min_side: Least width and height in pixels, likewise.
        max_pages: Most pages read.
        max_depth: Most links between the start page and a page read.
        product_version: Sent to every site as part of the user agent.
        exclusions: Words that must not stand in a picture's texts.
        filters: What else a picture must be like.
        retry_failed: Whether only addresses are asked for that failed before, whatever the reason was.
        revalidate: Whether known pictures are asked for again, which costs nothing where they are unchanged.
        credentials: Name -> secret, for sources that need a key; never shown or stored.
        allow: `host:port` of machines that are not public and may be reached all the same; for tests only, and on no
            command line.
    """

    keywords: tuple[str, ...]
    source: str
    argument: str
    limit: int = 50
    only_new: bool = False
    contact: str | None = None
    deadline_seconds: float = 900.0
    timeout_seconds: float = 30.0
    delay_seconds: float = 0.25
    concurrency_per_host: int = 4
    max_image_bytes: int = DEFAULT_MAX_IMAGE_BYTES
    max_pixels: int = 50_000_000
    min_side: int = 64
    max_pages: int = 500
    max_depth: int = 5
    product_version: str = "0"
    exclusions: tuple[str, ...] = ()
    filters: Filters = field(default_factory=Filters)
    retry_failed: bool = False
    revalidate: bool = False
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    allow: tuple[str, ...] = ()

    @property
    def user_agent(self) -> str:
        """How this crawl names itself: the product, its version, and whom to write to."""
        product = f"dreamcrawl/{self.product_version}"
        return f"{product} (+{self.contact})" if self.contact else product

    def objection_to(self, width: int | None, height: int | None, media_type: str | None) -> Trouble | None:
        """Why a picture of this size and type is left out, by the filters or by ingest; None for what is not known."""
        if (found := self.filters.objection_to(width, height, media_type)) is not None:
            return found
        if not width or not height:
            return None
        if min(width, height) < self.min_side:
            detail = f"{width} x {height} pixels; the least side is {self.min_side}"
            return Trouble(Outcome.FILTERED, Reason.TOO_SMALL, detail)
        if width * height > self.max_pixels:
            detail = f"{width} x {height} = {width * height} pixels; at most {self.max_pixels} are allowed"
            return Trouble(Outcome.FILTERED, Reason.TOO_MANY_PIXELS, detail)
        return None

    def to_json(self) -> dict[str, Any]:
        """This request as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The request that `to_json` gave."""
        return cls(
            **{
                **data,
                "keywords": tuple(data["keywords"]),
                "exclusions": tuple(data["exclusions"]),
                "filters": Filters.from_json(data["filters"]),
                "allow": tuple(data["allow"]),
            }
        )


@dataclass(frozen=True)
class CrawlProgress:
    """How far a crawl is: found = known + refused + filtered + postponed + failed + fetched.

    Attributes:
        pages: Pages, or answers of an API, read.
        waiting: Pictures in line.
        found: Candidates settled so far.
        host: The host of the last answer; the folder, for files; empty before the first.
        seconds: Since the crawl began.
        bytes_received: Of all bodies so far.
        hosts: One line for each host that is spoken to: `example.org: 3 under way, 41 done, waits 12 s`.
    """

    pages: int = 0
    found: int = 0
    fetched: int = 0
    known: int = 0
    refused: int = 0
    filtered: int = 0
    postponed: int = 0
    failed: int = 0
    waiting: int = 0
    host: str = ""
    seconds: float = 0.0
    bytes_received: int = 0
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """All that the child process needs.

    Attributes:
        inbox_parent: Folder of the inboxes.
        crawl_id: Name of the new inbox.
        about: What ingest should know of the crawl.
        catalog: Path or address of the catalog whose ledger is asked, or None.
        page_cache: Folder of the pages of earlier crawls, or None.
    """

    request: CrawlRequest
    inbox_parent: str
    crawl_id: str
    about: Mapping[str, Any]
    catalog: str | None
    page_cache: str | None = None

    def to_json(self) -> dict[str, Any]:
        """This job as JSON values."""
        return {**dataclasses.asdict(self), "about": dict(self.about)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The job that `to_json` gave."""
        return cls(**{**data, "request": CrawlRequest.from_json(data["request"])})
