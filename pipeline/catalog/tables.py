"""The catalog's tables. Facts live here, bytes live in the store; a row is written after its file exists.

Identity never comes from memory: each UNIQUE key below is what makes a second run change nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

# For numbers that others tell, which may be of any size; SQLite has one kind of integer.
TOLD = BigInteger().with_variant(Integer(), "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC: aware in Python, naive in the database, so that SQLite and PostgreSQL agree."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # the base's
        """An aware datetime as naive UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("the catalog stores aware datetimes only")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # the base's
        """Naive UTC from the database as an aware datetime."""
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """Names every constraint, which Alembic's batch mode on SQLite needs."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime(),
        str: Text(),
        dict[str, Any]: JSON(),
        list[str]: JSON(),
    }


class RunRow(Base):
    """One command that changed something: what was asked, and how it went."""

    __tablename__ = "run"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))  # run, demo, schedule, crawl, ingest, dream
    status: Mapped[str] = mapped_column(String(16))  # running, done, partial, failed, interrupted
    # host:pid:start time of the process, to tell a run that was killed from one that is running.
    process: Mapped[str]
    keywords: Mapped[list[str]]
    source: Mapped[str | None]
    parameters: Mapped[dict[str, Any]]
    counters: Mapped[dict[str, Any]]  # the funnel: found, fetched, accepted, ...; reasons: {reason: n}
    flow_run_id: Mapped[str | None]
    collection: Mapped[str | None]  # name of the schedule that started it
    version: Mapped[str]
    error: Mapped[str | None]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class BlobRow(Base):
    """Bytes in the store, by digest."""

    __tablename__ = "blob"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    size_bytes: Mapped[int]
    media_type: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]  # since when its bytes are gone for good, after a withdrawal; else None


class ItemRow(Base):
    """One picture, kept once: unique by its bytes and by its pixels."""

    __tablename__ = "item"
    __table_args__ = (
        UniqueConstraint("pixel_sha256"),
        UniqueConstraint("blob_sha256"),
        CheckConstraint("near_duplicate_of_id IS NULL OR near_duplicate_of_id <> id", name="not_near_itself"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    blob_sha256: Mapped[str] = mapped_column(ForeignKey("blob.sha256"))
    pixel_sha256: Mapped[str] = mapped_column(String(64))
    width: Mapped[int]  # pixels, upright
    height: Mapped[int]
    format: Mapped[str] = mapped_column(String(16))  # as decoded: JPEG, PNG, WEBP, GIF
    frames: Mapped[int]
    title: Mapped[str | None]
    creator: Mapped[str | None]
    license_id: Mapped[str | None] = mapped_column(String(64), index=True)
    license_url: Mapped[str | None]
    # The representative it resembles; a star, never a chain: the representative itself is near to none.
    near_duplicate_of_id: Mapped[int | None] = mapped_column(ForeignKey("item.id"), index=True)
    near_duplicate_distance: Mapped[int | None]  # differing bits of 256
    created_at: Mapped[datetime] = mapped_column(index=True)
    first_run_id: Mapped[int | None] = mapped_column(ForeignKey("run.id"))
    # Since when an address that it came from asks not to use it, and in which words; nothing shows or uses it then.
    withdrawn_at: Mapped[datetime | None] = mapped_column(index=True)
    withdrawn_reason: Mapped[str | None]

    sightings: Mapped[list[SightingRow]] = relationship(back_populates="item", order_by="SightingRow.id")
    derivations: Mapped[list[DerivationRow]] = relationship(back_populates="item", order_by="DerivationRow.id")


class FingerprintRow(Base):
    """A perceptual hash of an item under one versioned algorithm.

    Ids only grow and are never used again, so that an index in memory is kept in step by what lies above its last id.
    """

    __tablename__ = "fingerprint"
    __table_args__ = (UniqueConstraint("item_id", "algorithm"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    algorithm: Mapped[str] = mapped_column(String(32))
    bits: Mapped[bytes] = mapped_column(LargeBinary(32))


class SignatureRow(Base):
    """That an item was signed, plain or not, and its thumbnails for comparing."""

    __tablename__ = "signature"

    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True, autoincrement=False)
    algorithm: Mapped[str] = mapped_column(String(32))
    views: Mapped[bytes] = mapped_column(LargeBinary)
    searched: Mapped[bool]  # whether its duplicates have been looked for


class FeatureRow(Base):
    """What a network makes of an item under one versioned algorithm; ids only grow, as those of fingerprints."""

    __tablename__ = "feature"
    __table_args__ = (UniqueConstraint("item_id", "algorithm"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    algorithm: Mapped[str] = mapped_column(String(32))
    vector: Mapped[bytes] = mapped_column(LargeBinary)  # float16, little-endian; of length 1 but for rounding


class DuplicatePairRow(Base):
    """That two items may be the same picture, on which evidence, and what a person decided."""

    __tablename__ = "duplicate_pair"
    __table_args__ = (
        UniqueConstraint("first_id", "second_id"),
        CheckConstraint("first_id < second_id", name="in_order"),
        Index("ix_duplicate_pair_decision", "decision", "tier"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    first_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    second_id: Mapped[int] = mapped_column(ForeignKey("item.id"), index=True)
    tier: Mapped[str | None] = mapped_column(String(16))  # near, review, similar; None: a person named the pair
    relation: Mapped[str | None]  # edited, mirrored, turned ..., the first is a part of the second, ...
    distance: Mapped[int | None]  # differing bits of 256
    algorithm: Mapped[str | None] = mapped_column(String(32))
    evidence: Mapped[dict[str, Any] | None]
    found_at: Mapped[datetime | None]
    decision: Mapped[str | None] = mapped_column(String(16))  # same, different
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]


class SightingRow(Base):
    """That an item was met at an address, on a page, for a source: where it came from, said by whom."""

    __tablename__ = "sighting"
    __table_args__ = (UniqueConstraint("image_url", "page_url", "blob_sha256"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), index=True)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("run.id"), index=True)  # the run that met it first
    blob_sha256: Mapped[str] = mapped_column(ForeignKey("blob.sha256"), index=True)
    relation: Mapped[str] = mapped_column(String(16))  # first, same_bytes, same_pixels
    source: Mapped[str] = mapped_column(String(32), index=True)
    source_argument: Mapped[str]
    image_url: Mapped[str]
    page_url: Mapped[str]
    title: Mapped[str | None]
    alt: Mapped[str | None]
    caption: Mapped[str | None]
    tags: Mapped[list[str]]
    creator: Mapped[str | None]
    creator_url: Mapped[str | None]
    license_id: Mapped[str | None] = mapped_column(String(64))
    license_url: Mapped[str | None]
    license_declared_by: Mapped[str | None] = mapped_column(String(32))
    license_text: Mapped[str | None]
    http: Mapped[dict[str, Any]]  # HttpFacts, or {}
    source_id: Mapped[str | None]
    made_at: Mapped[str | None] = mapped_column(String(32))  # made or published, ISO 8601 as far as known
    attribution: Mapped[str | None]
    rendition: Mapped[str | None] = mapped_column(String(32))
    consent: Mapped[dict[str, Any] | None]  # Consent, when last looked at
    fetched_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]

    item: Mapped[ItemRow] = relationship(back_populates="sightings")


class KeywordRow(Base):
    """That an item matched a keyword: which, where and how strongly at best."""

    __tablename__ = "item_keyword"

    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
    keyword: Mapped[str] = mapped_column(String(200), primary_key=True, index=True)  # lower case
    fields: Mapped[list[str]]
    score: Mapped[float]


class RunItemRow(Base):
    """That a run met an item, and as what: the run page's list, and what a rerun dreams on."""

    __tablename__ = "run_item"

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True, index=True)
    role: Mapped[str] = mapped_column(String(16))  # accepted, exact_duplicate, near_duplicate, known
    position: Mapped[int] = mapped_column(default=0)  # order in which the run met its items


class FetchRow(Base):
    """The ledger: each address ever tried, and what came of it, so that no picture is fetched twice."""

    __tablename__ = "fetch"

    image_url: Mapped[str] = mapped_column(primary_key=True)
    # kept, withdrawn, rejected, refused, filtered, queued, failed
    state: Mapped[str] = mapped_column(String(16), index=True)
    reason: Mapped[str | None] = mapped_column(String(32))
    detail: Mapped[str | None]
    item_id: Mapped[int | None] = mapped_column(ForeignKey("item.id"), index=True)
    sha256: Mapped[str | None] = mapped_column(String(64))
    http_status: Mapped[int | None]
    etag: Mapped[str | None]  # for a file of the user's: its size and modification time
    last_modified: Mapped[str | None]
    attempts: Mapped[int]
    first_tried_at: Mapped[datetime]
    last_tried_at: Mapped[datetime]
    # What the source calls the picture, and the digest that it announces: known under another address, too.
    source: Mapped[str | None] = mapped_column(String(32))
    source_id: Mapped[str | None]
    source_hash: Mapped[str | None] = mapped_column(String(140), index=True)
    # As far as they were seen, so that a filter needs no second request.
    width: Mapped[int | None] = mapped_column(TOLD)
    height: Mapped[int | None] = mapped_column(TOLD)
    media_type: Mapped[str | None] = mapped_column(String(64))
    consent: Mapped[dict[str, Any] | None]  # Consent, when last looked at
    record: Mapped[dict[str, Any] | None]  # CrawlRecord, while there is no item: all that another try needs

    __table_args__ = (Index("ix_fetch_source_id", "source", "source_id"),)


class HostRow(Base):
    """How a host wants to be asked, shared by all crawls and kept between them. Moments: seconds since 1970, UTC."""

    __tablename__ = "host"

    name: Mapped[str] = mapped_column(primary_key=True)  # lower case, with the port where it is not the scheme's own
    next_at: Mapped[float]  # the first moment that no request has taken yet
    cooldown_until: Mapped[float]  # Retry-After, or our own guess after a 429
    cooldown_reason: Mapped[str | None]
    cooldowns: Mapped[int] = mapped_column(default=0)  # in a row, for guesses that grow
    delay_seconds: Mapped[float]  # Crawl-delay, as last read; 0 for none
    quota_day: Mapped[str | None] = mapped_column(String(10))  # UTC day that `quota_used` counts, ISO 8601
    quota_used: Mapped[int] = mapped_column(TOLD, default=0)
    quota_limit: Mapped[int | None] = mapped_column(TOLD)
    requests: Mapped[int] = mapped_column(default=0)
    updated_at: Mapped[datetime]


class HostLeaseRow(Base):
    """That a crawl has a request under way at a host; one whose moment has passed counts no more."""

    __tablename__ = "host_lease"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    host: Mapped[str] = mapped_column(index=True)
    process: Mapped[str]
    expires_at: Mapped[float]


class RejectionRow(Base):
    """A candidate of a run that was not kept, with its typed reason."""

    __tablename__ = "rejection"
    __table_args__ = (
        UniqueConstraint("run_id", "image_url"),
        Index("ix_rejection_run_reason", "run_id", "reason"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    image_url: Mapped[str]
    page_url: Mapped[str | None]
    stage: Mapped[str] = mapped_column(String(16))  # crawl, ingest
    reason: Mapped[str] = mapped_column(String(32))
    detail: Mapped[str]
    at: Mapped[datetime]


class IngestProgressRow(Base):
    """What ingest made of one record of an inbox, so that an ingest that was killed goes on where it stopped.

    Written together with the rows that the record causes; deleted once the inbox is gone.
    """

    __tablename__ = "ingest_progress"

    crawl_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # of the record in its inbox, from 0
    outcome: Mapped[str] = mapped_column(String(16))  # accepted, exact_duplicate, near_duplicate, known, rejected, ...
    item_id: Mapped[int | None] = mapped_column(ForeignKey("item.id"))
    reason: Mapped[str | None] = mapped_column(String(32))
    detail: Mapped[str | None]


class DerivationRow(Base):
    """A dream: one item, one recipe, one network's weights; unique by `key`."""

    __tablename__ = "derivation"

    id: Mapped[int] = mapped_column(primary_key=True)
    # sha256 of source pixel digest, recipe digest, weights digest and engine version: all that decides the pixels.
    key: Mapped[str] = mapped_column(String(64), unique=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), index=True)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("run.id"), index=True)
    preset: Mapped[str | None] = mapped_column(String(64), index=True)
    network: Mapped[str] = mapped_column(String(64))
    recipe: Mapped[dict[str, Any]]
    recipe_sha256: Mapped[str] = mapped_column(String(64))
    weights_sha256: Mapped[str] = mapped_column(String(64))
    blob_sha256: Mapped[str] = mapped_column(ForeignKey("blob.sha256"), index=True)
    pixel_sha256: Mapped[str] = mapped_column(String(64), index=True)
    width: Mapped[int]
    height: Mapped[int]
    file_name: Mapped[str] = mapped_column(index=True)  # of the copy for people in the workspace's dreams/ folder
    manifest: Mapped[dict[str, Any]]
    manifest_sha256: Mapped[str] = mapped_column(String(64))
    seconds: Mapped[float]
    created_at: Mapped[datetime] = mapped_column(index=True)

    item: Mapped[ItemRow] = relationship(back_populates="derivations")


class CollectionRow(Base):
    """A named keyword collection with its schedule."""

    __tablename__ = "collection"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    keywords: Mapped[list[str]]
    source: Mapped[str]
    limit: Mapped[int]
    preset: Mapped[str]  # the name of one, or the path of a recipe file
    network: Mapped[str | None] = mapped_column(String(64))
    cron: Mapped[str]
    timezone: Mapped[str] = mapped_column(String(64))
    options: Mapped[dict[str, Any] | None]  # exclusions, filters, ..., those that are not as usual
    created_at: Mapped[datetime]
