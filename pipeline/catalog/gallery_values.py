"""What the read side for pages takes and gives: filters, cursors, tiles, counts; frozen, free of SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Sort(StrEnum):
    """The order of a gallery; ids settle ties, so every order is total."""

    NEWEST = "newest"
    OLDEST = "oldest"
    LARGEST = "largest"  # by pixels


@dataclass(frozen=True)
class GalleryFilter:
    """Which items a gallery shows; an empty filter shows all but near duplicates. Withdrawn items are never shown.

    Attributes:
        words: Each must begin a word of the title, creator, keywords, tags or of what some page said of the picture;
            without case and accents. What is written without spaces, as Japanese, is found anywhere.
        keyword: A keyword that the item matched, in lower case.
        source: Name of a source that sighted it.
        license_id: As `pipeline.license_choices` has it; `unknown` also finds items without any declared licence.
        preset: A preset that made a dream of it that may be shown.
        dreamed: True for items with a dream that may be shown, False for those without, None for both.
        near_duplicates: Whether items that are near to a representative are shown as well.
        only_near_duplicates: Whether nothing else is shown.
        run_id: Only what this run met.
        tag: A tag that a person gave it, in lower case.
        stars: At least so many, as a person rated it, 1 to 5; without a rating it has none.
    """

    words: tuple[str, ...] = ()
    keyword: str | None = None
    source: str | None = None
    license_id: str | None = None
    preset: str | None = None
    dreamed: bool | None = None
    near_duplicates: bool = False
    only_near_duplicates: bool = False
    run_id: int | None = None
    tag: str | None = None
    stars: int | None = None


@dataclass(frozen=True)
class Cursor:
    """The place of one item in an order.

    Attributes:
        item_id: The item.
        pixels: Its width times height, in pixels, for `Sort.LARGEST`; else None.
    """

    item_id: int
    pixels: int | None = None


@dataclass(frozen=True)
class TileDream:
    """The newest dream of an item, as a grid shows it."""

    id: int
    sha256: str
    width: int
    height: int
    preset: str | None
    network: str


@dataclass(frozen=True)
class Tile:
    """One item as a grid shows it; sizes in pixels."""

    item_id: int
    title: str | None
    creator: str | None
    license_id: str | None
    sha256: str
    width: int
    height: int
    created_at: datetime
    near_duplicate_of: int | None = None
    near_duplicate_distance: int | None = None
    dream: TileDream | None = None


@dataclass(frozen=True)
class Count:
    """How many there are; `capped` when there are more than `number`."""

    number: int
    capped: bool = False


@dataclass(frozen=True)
class GalleryPage:
    """One page of a gallery.

    Attributes:
        tiles: In the order asked for.
        total: Over all pages.
        first: Rank of the first tile, from 1; capped like a count. 0 when there is none.
        previous: Ask for what lies before this, or None on the first page.
        next: Ask for what lies after this, or None on the last page.
    """

    tiles: tuple[Tile, ...]
    total: Count
    first: Count
    previous: Cursor | None
    next: Cursor | None


@dataclass(frozen=True)
class FacetValue:
    """A value of a filter, and how many items it would show."""

    value: str
    count: int


@dataclass(frozen=True)
class Facets:
    """What each filter could be set to while the others stay as they are, most frequent first.

    Attributes:
        near_duplicates: How many near duplicates match the rest of the filter.
        partial: Whether more than `FACET_CAP` items match, so that the counts cover the newest of them only.
    """

    keywords: tuple[FacetValue, ...]
    sources: tuple[FacetValue, ...]
    licenses: tuple[FacetValue, ...]
    presets: tuple[FacetValue, ...]
    tags: tuple[FacetValue, ...]
    dreamed: int
    not_dreamed: int
    near_duplicates: int
    partial: bool


@dataclass(frozen=True)
class KnownBlob:
    """A stored file that the catalog refers to.

    Attributes:
        name: A short name for people, without extension: `i12` or `d3`.
        withdrawn: Why it is not shown, or None.
        license_id: Of an original, as it was declared, with its `license_url`; None for a dream, which tells its own.
    """

    sha256: str
    media_type: str
    size_bytes: int
    name: str
    withdrawn: str | None = None
    license_id: str | None = None
    license_url: str | None = None


@dataclass(frozen=True)
class ReasonCount:
    """How many candidates of a run one stage gave up for one reason; a reason of refusal or of failure."""

    stage: str
    reason: str
    count: int


@dataclass(frozen=True)
class RunBreakdown:
    """What the rows say of one run, whatever its counters say.

    Attributes:
        roles: Role -> items the run met in it.
        reasons: Most frequent first.
        dreams: Derivations that the run made.
    """

    roles: Mapping[str, int] = field(default_factory=dict)
    reasons: tuple[ReasonCount, ...] = ()
    dreams: int = 0
