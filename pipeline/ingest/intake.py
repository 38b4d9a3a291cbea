"""Takes candidates into the catalog one by one; each is one transaction, and done means done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.catalog.engine import Catalog
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.values import IngestProgress, Item, NewItem
from pipeline.duplicates.search import DuplicateSearch, Match
from pipeline.duplicates.signatures import ALGORITHM
from pipeline.duplicates.stars import nearest_representative
from pipeline.errors import ImageRejected, Reason
from pipeline.fingerprints import sha256
from pipeline.images import embedded_facts
from pipeline.ingest.describing import (
    MAX_DETAIL,
    MAX_TITLE,
    clean,
    consent_of,
    fit_for_json,
    license_of,
    moment,
    sighting_of,
)
from pipeline.ingest.examining import Examiner, Pending
from pipeline.ingest.validation import Examined
from pipeline.records import CrawlRecord, Outcome
from pipeline.store import Store

ACCEPTED = "accepted"
EXACT_DUPLICATE = "exact_duplicate"
NEAR_DUPLICATE = "near_duplicate"
KNOWN = "known"
REJECTED = "rejected"
REFUSED = "refused"
FAILED = "failed"
FILTERED = "filtered"
POSTPONED = "postponed"
_OUTCOMES = {Outcome.REFUSED: REFUSED, Outcome.FILTERED: FILTERED, Outcome.POSTPONED: POSTPONED}


@dataclass(frozen=True)
class Place:
    """Where a record stands in its inbox."""

    crawl_id: str
    position: int


@dataclass(frozen=True)
class Taken:
    """What became of a candidate; `item_id` is None when no item came of it."""

    outcome: str
    item_id: int | None = None
    reason: Reason | None = None
    detail: str | None = None


@dataclass(frozen=True, eq=False)
class Picture:
    """Bytes that are to be taken in.

    Attributes:
        pending: What they are, once it is known; None for bytes that the catalog has.
    """

    data: bytes
    sha256: str
    pending: Pending | None


class Intake:
    """One ingest: what it writes to, and the near-duplicate index that it keeps from picture to picture."""

    def __init__(
        self, catalog: Catalog, store: Store, *, run_id: int | None, examiner: Examiner, near_distance: int
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._run_id = run_id
        self._examiner = examiner
        self._duplicates = DuplicateSearch(near_distance)

    def begin(self, data: bytes) -> Picture:
        """Begin to examine a picture, unless it is known; several may be begun before the first of them is taken."""
        digest = sha256(data)
        return Picture(data, digest, None if self._is_known(digest) else self._examiner.begin(data))

    def take_picture(self, record: CrawlRecord, picture: Picture, *, place: Place | None = None) -> Taken:
        """Keep a picture, or find that it is there, or reject it; all rows and the progress in one transaction.

        Raises:
            WorkspaceUnusable: The disk is full or read-only; no row was written.
            CatalogBusy: Another process kept the catalog locked.
            WorkersUnusable: No process can be started to decode it in.
        """
        data, digest = picture.data, picture.sha256
        examined = None
        # Asked once more: the same bytes may have been taken since this picture was begun.
        if picture.pending is not None and not self._is_known(digest):
            try:
                examined = picture.pending.result()
            except ImageRejected as error:
                return self._reject(record, error.reason, error.detail, sha256=digest, place=place)
        # The file first, then the row that names it. Also for known bytes, which puts back a file that was lost.
        self._store.put(data)
        embedded = examined.embedded if examined else embedded_facts(data)
        with self._catalog.write() as uow:
            if done := _done(uow, place):
                return done
            taken, relation = self._find_or_add(uow, record, digest, data=data, examined=examined)
            item_id = taken.item_id
            assert item_id is not None  # kept or found, there is an item
            sighting = sighting_of(
                record,
                item_id=item_id,
                run_id=self._run_id,
                sha256=digest,
                relation=relation,
                embedded=embedded,
            )
            uow.sightings.add(sighting)
            uow.items.fill_in(item_id, _facts(record, embedded))
            _add_keywords(uow, record, item_id)
            _record_fetch(uow, record, state="kept", item_id=item_id, sha256=digest, examined=examined)
            uow.items.refresh_withdrawal(item_id)
            self._settle(uow, record, taken, place=place)
        return taken

    def reject_unreadable(self, record: CrawlRecord, detail: str, *, place: Place | None = None) -> Taken:
        """Record that a picture's bytes were lost on the way, so that a later run fetches them again."""
        return self._reject(record, Reason.UNREADABLE, detail, sha256=None, place=place)

    def take_others(self, records: Sequence[tuple[Place, CrawlRecord]]) -> None:
        """Take in candidates without bytes - known, refused and failed ones - in one transaction."""
        with self._catalog.write() as uow:
            for place, record in records:
                done = _done(uow, place)
                if done is None:
                    done = _take_known(uow, record) if record.outcome is Outcome.KNOWN else _take_failure(uow, record)
                self._settle(uow, record, done, place=place)

    def attribute(self, done: Sequence[tuple[CrawlRecord, IngestProgress]]) -> None:
        """Make this run's list complete with what an ingest that was killed, perhaps of another run, had done."""
        with self._catalog.write() as uow:
            for record, progress in done:
                self._settle(uow, record, _taken(progress), place=None)

    def _is_known(self, digest: str) -> bool:
        with self._catalog.read() as uow:
            return uow.items.by_sha256(digest) is not None

    def _find_or_add(
        self, uow: UnitOfWork, record: CrawlRecord, digest: str, *, data: bytes, examined: Examined | None
    ) -> tuple[Taken, str]:
        """The item of a picture, found or made, and the relation of these bytes to it."""
        known = uow.items.by_sha256(digest)
        if known is not None:
            return Taken(EXACT_DUPLICATE, known.id), "same_bytes"
        assert examined is not None  # items are never deleted, so unknown bytes were examined
        uow.blobs.add(digest, size_bytes=len(data), media_type=examined.media_type)
        twin = uow.items.by_pixel_sha256(examined.pixel_sha256)
        if twin is not None:
            return Taken(EXACT_DUPLICATE, twin.id), "same_pixels"
        signature = examined.signature
        matches = self._duplicates.matches(uow, signature.hashes, signature.views)
        near = nearest_representative(uow, matches)
        item = self._new_item(record, digest, examined=examined, near=near)
        item_id = uow.items.add(item)
        if item_id is None:  # the unique keys have the last word
            return Taken(EXACT_DUPLICATE, _present(uow, item).id), "same_pixels"
        uow.duplicates.sign(item_id, algorithm=ALGORITHM, hashes=signature.hashes, views=signature.views, searched=True)
        for match in matches:
            uow.duplicates.record(match.as_pair(item_id))
        return Taken(NEAR_DUPLICATE if near else ACCEPTED, item_id), "first"

    def _new_item(self, record: CrawlRecord, digest: str, *, examined: Examined, near: Match | None) -> NewItem:
        facts = _facts(record, examined.embedded)
        return NewItem(
            blob_sha256=digest,
            pixel_sha256=examined.pixel_sha256,
            width=examined.width,
            height=examined.height,
            format=examined.format,
            frames=examined.frames,
            title=facts["title"],
            creator=facts["creator"],
            license_id=facts["license_id"],
            license_url=facts["license_url"],
            near_duplicate_of_id=near.item_id if near else None,
            near_duplicate_distance=near.distance if near else None,
            first_run_id=self._run_id,
        )

    def _reject(
        self, record: CrawlRecord, reason: Reason, detail: str, *, sha256: str | None, place: Place | None
    ) -> Taken:
        taken = Taken(REJECTED, None, reason, clean(detail, MAX_DETAIL) or reason.value)
        with self._catalog.write() as uow:
            if done := _done(uow, place):
                return done
            # A passing reason leaves the address open for another try.
            state = "failed" if reason.is_transient else "rejected"
            _record_fetch(uow, record, state=state, sha256=sha256, reason=reason, detail=taken.detail)
            self._settle(uow, record, taken, place=place)
        return taken

    def _settle(self, uow: UnitOfWork, record: CrawlRecord, taken: Taken, *, place: Place | None) -> None:
        """The run's own rows, and that the record is done."""
        if place is not None:
            reason = taken.reason.value if taken.reason else None
            uow.ingest_progress.add(
                IngestProgress(place.crawl_id, place.position, taken.outcome, taken.item_id, reason, taken.detail)
            )
        if self._run_id is None:
            return
        if taken.item_id is not None:
            uow.runs.add_item(self._run_id, taken.item_id, role=taken.outcome)
        elif taken.reason is not None:
            uow.rejections.add(
                self._run_id,
                clean(record.image_url) or "",
                page_url=clean(record.page_url),
                stage="ingest" if taken.outcome == REJECTED else "crawl",
                reason=taken.reason.value,
                detail=taken.detail or "",
                at=moment(record.found_at),
            )


def _taken(progress: IngestProgress) -> Taken:
    reason = None if progress.reason is None else Reason(progress.reason)
    return Taken(progress.outcome, progress.item_id, reason, progress.detail)


def _done(uow: UnitOfWork, place: Place | None) -> Taken | None:
    progress = None if place is None else uow.ingest_progress.get(place.crawl_id, place.position)
    return None if progress is None else _taken(progress)


def _present(uow: UnitOfWork, item: NewItem) -> Item:
    found = uow.items.by_sha256(item.blob_sha256) or uow.items.by_pixel_sha256(item.pixel_sha256)
    assert found is not None  # the insert was refused because of it
    return found


def _facts(record: CrawlRecord, embedded: Mapping[str, str]) -> dict[str, str | None]:
    """What is said of a picture, by its page first and then by its file."""
    declared = license_of(record, embedded)
    return {
        "title": clean(record.title, MAX_TITLE) or embedded.get("title"),
        "creator": clean(record.creator, MAX_TITLE) or embedded.get("creator"),
        "license_id": clean(declared.id, 64) if declared else None,
        "license_url": clean(declared.url) if declared else None,
    }


def _add_keywords(uow: UnitOfWork, record: CrawlRecord, item_id: int) -> None:
    for match in record.matches:
        if keyword := clean(match.keyword):
            uow.items.add_keyword(item_id, keyword, fields=match.fields, score=match.score)


def _take_known(uow: UnitOfWork, record: CrawlRecord) -> Taken:
    url = clean(record.image_url) or ""
    entry = uow.ledger.known([url]).get(url)
    item_id = entry.item_id if entry else None
    if item_id is None and record.sha256:
        item = uow.items.by_sha256(record.sha256)
        item_id = item.id if item else None
    if item_id is None:  # known as one that was not kept
        return Taken(KNOWN)
    uow.sightings.touch(url, seen_at=moment(record.found_at), consent=consent_of(record))
    _add_keywords(uow, record, item_id)
    consent = record.consent
    # What a picture's own headers said is only unsaid by its headers.
    unread = entry is not None and entry.refused_in_headers and consent is not None and not consent.saw_headers
    if consent is not None and consent.allowed and not unread:
        uow.ledger.allow(url, consent=consent_of(record) or {})
        uow.items.refresh_withdrawal(item_id)
    return Taken(KNOWN, item_id)


def _take_failure(uow: UnitOfWork, record: CrawlRecord) -> Taken:
    outcome = _OUTCOMES.get(record.outcome, FAILED)
    reason = record.reason or Reason.CONNECTION
    detail = clean(record.detail, MAX_DETAIL) or ""
    opted_out = record.outcome is Outcome.REFUSED and record.consent is not None and record.consent.is_opt_out
    if not (opted_out and _withdraw(uow, record, reason=reason, detail=detail)):
        state = "queued" if record.outcome is Outcome.POSTPONED else outcome
        _record_fetch(uow, record, state=state, reason=reason, detail=detail)
    return Taken(outcome, None, reason, detail)


def _withdraw(uow: UnitOfWork, record: CrawlRecord, *, reason: Reason, detail: str) -> bool:
    """Withdraw the item that is here from this address, or that its source calls by the same name; if there is one."""
    url = clean(record.image_url) or ""
    facts = _seen(record)
    entry = uow.ledger.find(
        url, source=facts["source"] or "", source_id=facts["source_id"], source_hash=facts["source_hash"]
    )
    if entry is None or entry.item_id is None or entry.state not in ("kept", "withdrawn"):
        return False
    uow.ledger.withdraw(url, item_id=entry.item_id, sha256=entry.sha256, reason=reason.value, detail=detail, seen=facts)
    uow.sightings.touch(url, seen_at=moment(record.found_at), consent=facts["consent"])
    uow.items.refresh_withdrawal(entry.item_id)
    return True


def _record_fetch(
    uow: UnitOfWork,
    record: CrawlRecord,
    *,
    state: str,
    item_id: int | None = None,
    sha256: str | None = None,
    reason: Reason | None = None,
    detail: str | None = None,
    examined: Examined | None = None,
) -> None:
    http = record.http
    uow.ledger.record(
        clean(record.image_url) or "",
        state=state,
        reason=reason.value if reason else None,
        detail=detail,
        item_id=item_id,
        sha256=sha256,
        http_status=http.status if http else None,
        etag=clean(http.etag) if http else None,
        last_modified=clean(http.last_modified) if http else None,
        seen={
            **_seen(record, examined),
            "record": None if item_id is not None else fit_for_json(record.to_json()),
        },
    )


def _seen(record: CrawlRecord, examined: Examined | None = None) -> dict[str, Any]:
    """What the ledger keeps of a picture beyond what came of it."""
    return {
        "source": clean(record.source, 32),
        "source_id": clean(record.source_id, MAX_TITLE),
        "source_hash": clean(record.source_hash, 140),
        # What was decoded is more certain than what was announced, and is upright.
        "width": examined.width if examined else record.width,
        "height": examined.height if examined else record.height,
        "media_type": examined.media_type if examined else clean(record.media_type, 64),
        "consent": consent_of(record),
    }
