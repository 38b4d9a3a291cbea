"""What the catalog hands out: frozen values with the fields of its tables, never rows that are tied to a session."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeVar


@dataclass(frozen=True)
class Run:
    """One command that changed something.

    Attributes:
        kind: run, demo, schedule, crawl, ingest or dream.
        status: running, done, partial, failed or interrupted.
        process: `host:pid:start time`.
        counters: The funnel, and reasons -> how many.
        collection: Name of the schedule that started it, or None.
    """

    id: int
    kind: str
    status: str
    process: str
    keywords: tuple[str, ...]
    source: str | None
    parameters: Mapping[str, Any]
    counters: Mapping[str, Any]
    flow_run_id: str | None
    collection: str | None
    version: str
    error: str | None
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class Blob:
    """Bytes in the store.

    Attributes:
        removed_at: Since when they are gone for good, after a withdrawal; None while they are there.
    """

    sha256: str
    size_bytes: int
    media_type: str
    created_at: datetime
    removed_at: datetime | None = None


@dataclass(frozen=True)
class Item:
    """One picture, kept once.

    Attributes:
        width: Pixels, upright.
        height: Pixels, upright.
        near_duplicate_of_id: The representative that it resembles; None for a representative.
        near_duplicate_distance: Differing bits of 256 from it.
        first_run_id: The run that brought it.
        withdrawn_at: Since when an address that it came from asks not to use it; None while it may be used.
        withdrawn_reason: In which words.
    """

    id: int
    blob_sha256: str
    pixel_sha256: str
    width: int
    height: int
    format: str
    frames: int
    title: str | None
    creator: str | None
    license_id: str | None
    license_url: str | None
    near_duplicate_of_id: int | None
    near_duplicate_distance: int | None
    created_at: datetime
    first_run_id: int | None
    withdrawn_at: datetime | None = None
    withdrawn_reason: str | None = None


@dataclass(frozen=True)
class NewItem:
    """An item before it has an id; see `Item`."""

    blob_sha256: str
    pixel_sha256: str
    width: int
    height: int
    format: str
    frames: int
    title: str | None = None
    creator: str | None = None
    license_id: str | None = None
    license_url: str | None = None
    near_duplicate_of_id: int | None = None
    near_duplicate_distance: int | None = None
    first_run_id: int | None = None


@dataclass(frozen=True)
class NewSighting:
    """A sighting before it has an id.

    Attributes:
        run_id: The run that met it first.
        relation: first, same_bytes or same_pixels.
        http: HttpFacts as JSON values, or empty.
        made_at: When it was made or published, ISO 8601 as far as known.
        consent: `pipeline.records.Consent` as JSON values, or None.
    """

    item_id: int
    run_id: int | None
    blob_sha256: str
    relation: str
    source: str
    source_argument: str
    image_url: str
    page_url: str
    title: str | None
    alt: str | None
    caption: str | None
    tags: tuple[str, ...]
    creator: str | None
    creator_url: str | None
    license_id: str | None
    license_url: str | None
    license_declared_by: str | None
    license_text: str | None
    http: Mapping[str, Any]
    fetched_at: datetime
    last_seen_at: datetime
    source_id: str | None = None
    made_at: str | None = None
    attribution: str | None = None
    rendition: str | None = None
    consent: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Sighting(NewSighting):
    """That an item was met at an address, on a page."""

    id: int


@dataclass(frozen=True)
class ItemKeyword:
    """That an item matched a keyword: the fields it stood in, and its best score in 0-1."""

    keyword: str
    fields: tuple[str, ...]
    score: float


@dataclass(frozen=True)
class Rejection:
    """A candidate of a run that was not kept.

    Attributes:
        stage: crawl or ingest.
        reason: Value of a `Reason`.
    """

    id: int
    run_id: int
    image_url: str
    page_url: str | None
    stage: str
    reason: str
    detail: str
    at: datetime


@dataclass(frozen=True)
class Derivation:
    """A dream: one item, one recipe, one network's weights.

    Attributes:
        key: Digest of all that decides the pixels.
        file_name: Of the copy for people in the workspace's dreams folder.
        seconds: What rendering took.
    """

    id: int
    key: str
    item_id: int
    run_id: int | None
    preset: str | None
    network: str
    recipe: Mapping[str, Any]
    recipe_sha256: str
    weights_sha256: str
    blob_sha256: str
    pixel_sha256: str
    width: int
    height: int
    file_name: str
    manifest: Mapping[str, Any]
    manifest_sha256: str
    seconds: float
    created_at: datetime


@dataclass(frozen=True)
class Collection:
    """A named keyword collection with its schedule.

    Attributes:
        source: As in `--source NAME=ARG`.
        cron: Five fields.
        timezone: IANA name.
        options: Exclusions, filters and the like, as JSON values; those that are not as usual.
    """

    id: int
    name: str
    keywords: tuple[str, ...]
    source: str
    limit: int
    preset: str
    network: str | None
    cron: str
    timezone: str
    created_at: datetime
    options: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class IngestProgress:
    """What ingest made of one record of an inbox.

    Attributes:
        position: Of the record in its inbox, from 0.
        outcome: accepted, exact_duplicate, near_duplicate, known, rejected, refused or failed.
    """

    crawl_id: str
    position: int
    outcome: str
    item_id: int | None = None
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Counts:
    """How much there is.

    Attributes:
        items: Pictures that may be used, near duplicates included.
        near_duplicates: Of these, linked to another.
        withdrawn: Pictures beside these that their sites ask not to use.
        sightings: Of all pictures.
        derivations: Dreams, without those that a withdrawn picture has a part in.
        blobs: Files in the store, without those that were removed after a withdrawal.
        bytes: Their sizes together.
    """

    items: int
    near_duplicates: int
    withdrawn: int
    sightings: int
    derivations: int
    runs: int
    blobs: int
    bytes: int


@dataclass(frozen=True)
class ItemFilter:
    """Which items to list; every field that is not None narrows the list.

    Attributes:
        ids: These ids only.
        keyword: Matched this keyword, in any case.
        source: Sighted by this source.
        license_id: Under this licence; the empty string: under none.
        licenses: Under one of these, as `pipeline.license_choices` has them; none of them: under any.
        dreamed: With a dream that no withdrawn guide or mask has a part in, or without one.
        has_derivations: With a dream on record, whether or not it may be shown, or without one.
        near_duplicates: Whether near duplicates are listed too.
        run_id: Met by this run.
        text: Every word of it begins a word of the title, creator, keywords, tags or of what a page said of the
            picture; without case and accents.
        tag: A tag that a person gave it.
        stars: At least so many, 1 to 5.
        withdrawn: Those that were withdrawn, or (False) those that were not.
    """

    ids: tuple[int, ...] | None = None
    keyword: str | None = None
    source: str | None = None
    license_id: str | None = None
    licenses: tuple[str, ...] = ()
    dreamed: bool | None = None
    has_derivations: bool | None = None
    near_duplicates: bool = True
    run_id: int | None = None
    text: str | None = None
    tag: str | None = None
    stars: int | None = None
    withdrawn: bool | None = None


Value = TypeVar("Value")


def value_of(kind: type[Value], row: Mapping[Any, Any]) -> Value:
    """The frozen value of a row that has a column for each of its fields; lists become tuples."""
    values = {}
    for name in _field_names(kind):  # type: ignore[arg-type]  # a class can be hashed
        content = row[name]
        values[name] = tuple(content) if isinstance(content, list) else content
    return kind(**values)


@cache
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def columns_of(value: Any) -> dict[str, Any]:
    """The fields of a frozen value as columns; tuples become lists, as JSON columns want them."""
    columns = {}
    for field in dataclasses.fields(value):
        content = getattr(value, field.name)
        if isinstance(content, tuple):
            content = list(content)
        elif isinstance(content, Mapping):
            content = dict(content)
        columns[field.name] = content
    return columns
