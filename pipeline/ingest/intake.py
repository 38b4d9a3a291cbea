"""Takes candidates into the catalog, several in one transaction; done means done, for all of them or for none."""

from __future__ import annotations

from collections.abc import Collection, Container, Sequence
from datetime import UTC, datetime

from pipeline.catalog.engine import Catalog
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.upkeep_queries import mark_removed, references
from pipeline.catalog.values import IngestProgress, Item, NewItem, NewSighting
from pipeline.duplicates.linking import nearest_representative
from pipeline.duplicates.search import DuplicateSearch, Match
from pipeline.duplicates.signatures import ALGORITHM
from pipeline.duplicates.withdrawals import refresh_withdrawal
from pipeline.errors import CatalogRefused, ImageRejected, Reason
from pipeline.fingerprints import sha256
from pipeline.images import embedded_facts
from pipeline.ingest.candidates import (
    ACCEPTED,
    EXACT_DUPLICATE,
    NEAR_DUPLICATE,
    REJECTED,
    Candidate,
    Finished,
    Picture,
    Place,
    Stored,
    Taken,
    Unfit,
)
from pipeline.ingest.describing import (
    MAX_DETAIL,
    clean,
    license_met_again,
    license_of,
    moment,
    sighting_of,
    storable_license,
)
from pipeline.ingest.examining import Examiner
from pipeline.ingest.recording import facts_of, keywords_of, record_failure, record_fetch, record_known
from pipeline.ingest.validation import Examined
from pipeline.license_declarations import agreed
from pipeline.license_texts import restrains
from pipeline.licenses import UNKNOWN
from pipeline.records import CrawlRecord, DeclaredLicense, Outcome
from pipeline.store import Store

_FIRST = "first"  # the relation of the bytes that brought an item


class Intake:
    """One ingest: what it writes to, and the near-duplicate index that it keeps from picture to picture."""

    def __init__(
        self, catalog: Catalog, store: Store, *, run_id: int | None, examiner: Examiner, near_distance: int
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._run_id = run_id
        self._examiner = examiner
        self._near_distance = near_distance
        self._duplicates = DuplicateSearch(near_distance)
        self._let_go: frozenset[str] | None = None

    def known(self, digests: Collection[str]) -> frozenset[str]:
        """Those of these digests whose bytes the catalog has."""
        if not digests:
            return frozenset()
        with self._catalog.read() as uow:
            return uow.items.known_sha256(digests)

    def begin(self, data: bytes, *, known: Container[str] | None = None) -> Picture:
        """Begin to examine a picture, unless it is known; several may be begun before the first of them is taken.

        known: What `known` gave for its digest, perhaps together with those of others; None: it is asked now.
        """
        digest = sha256(data)
        is_known = digest in (self.known([digest]) if known is None else known)
        return Picture(data, digest, None if is_known else self._examiner.begin(data))

    def ready(self, record: CrawlRecord, picture: Picture, *, place: Place | None = None) -> Stored | Unfit:
        """A picture that was begun, once it is examined and its file is in the store; nothing is locked meanwhile.

        The bytes of a withdrawn picture that were let go of do not come back by that: whether they shall is only known
        when the rows are written.

        Raises:
            WorkspaceUnusable: The disk is full or read-only.
            WorkersUnusable: No process can be started to decode it in.
        """
        data, digest = picture.data, picture.sha256
        examined = None
        if picture.pending is not None:
            try:
                examined = picture.pending.result()
            except ImageRejected as error:
                # Another ingest, with other limits, may have kept these very bytes since this picture was begun.
                if not self.known([digest]):
                    return Unfit(record=record, place=place, reason=error.reason, detail=error.detail, sha256=digest)
        # The file first, then the row that names it. Also for known bytes, which puts back a file that was lost.
        if not self._is_let_go(digest, examined):
            self._store.put(data)
        return Stored(
            record=record,
            place=place,
            sha256=digest,
            size_bytes=len(data),
            data=data if examined is None or self._is_let_go(digest, examined) else None,
            examined=examined,
            embedded=examined.embedded if examined else embedded_facts(data),
        )

    def take(self, candidates: Sequence[Candidate]) -> list[Taken]:
        """Write candidates in their order, all rows and the progress in one transaction; what became of each.

        Of those that another process did first, what that one made of them. Where something that is said of one is
        nothing that the catalog can keep, each has a transaction of its own, and that one is rejected.

        Raises:
            WorkspaceUnusable: The disk is full or read-only; no row was written.
            CatalogBusy: Another process kept the catalog locked; no row was written.
        """
        try:
            return self._take_together(candidates)
        except CatalogRefused as error:
            if len(candidates) > 1:
                return [taken for one in candidates for taken in self.take([one])]
            return self._take_together([_without_words(candidates[0], str(error))])

    def _take_together(self, candidates: Sequence[Candidate]) -> list[Taken]:
        try:
            with self._catalog.write() as uow:
                return self._take(uow, candidates)
        except BaseException:
            # Hashes that were rolled back have been loaded, and their ids will be given to others.
            self._duplicates = DuplicateSearch(self._near_distance)
            raise

    def _take(self, uow: UnitOfWork, candidates: Sequence[Candidate]) -> list[Taken]:
        done = _done(uow, [one.place for one in candidates if one.place is not None])
        if any(isinstance(one, Stored) and one.examined is not None for one in candidates):
            self._duplicates.sync(uow)
        all_taken = []
        progresses = []
        met: list[tuple[int, str]] = []
        for candidate in candidates:
            place = candidate.place
            taken = done.get(place) if place is not None else None
            if taken is None:
                taken = self._take_one(uow, candidate)
                if place is not None:
                    progresses.append(_progress(place, taken))
            if self._run_id is not None and taken.item_id is not None:
                met.append((taken.item_id, taken.outcome))
            elif self._run_id is not None and taken.reason is not None:
                _reject(uow, self._run_id, candidate.record, taken)
            all_taken.append(taken)
        uow.ingest_progress.add_all(progresses)
        if self._run_id is not None:
            uow.runs.add_items(self._run_id, met)
        return all_taken

    def _take_one(self, uow: UnitOfWork, candidate: Candidate) -> Taken:
        match candidate:
            case Stored():
                return self._take_picture(uow, candidate)
            case Unfit():
                return _take_unfit(uow, candidate)
            case Finished(progress=progress):
                return _taken(progress)
        record = candidate.record
        return (record_known if record.outcome is Outcome.KNOWN else record_failure)(uow, record)

    def _take_picture(self, uow: UnitOfWork, picture: Stored) -> Taken:
        record = picture.record
        taken, relation = self._find_or_add(uow, picture)
        item_id = taken.item_id
        assert item_id is not None  # kept or found, there is an item
        sighting = sighting_of(
            record,
            item_id=item_id,
            run_id=self._run_id,
            sha256=picture.sha256,
            relation=relation,
            embedded=picture.embedded,
        )
        is_new = uow.sightings.add(sighting)
        uow.items.add_keywords(item_id, keywords_of(record))
        record_fetch(uow, record, state="kept", item_id=item_id, sha256=picture.sha256, examined=picture.examined)
        if relation != _FIRST:  # a new item has all that is said of it, and no address that was withdrawn
            uow.items.fill_in(item_id, facts_of(record, picture.embedded))
            _judge_license(uow, sighting, license_of(record, picture.embedded), is_new=is_new)
            refresh_withdrawal(uow, item_id)
            self._settle_file(uow, picture, item_id)
        return taken

    def _is_let_go(self, digest: str, examined: Examined | None) -> bool:
        """Whether these bytes, or others with the same pixels, had been let go of when this was asked first."""
        if self._let_go is None:
            with self._catalog.read() as uow:
                self._let_go = uow.items.let_go()
        return digest in self._let_go or (examined is not None and examined.pixel_sha256 in self._let_go)

    def _settle_file(self, uow: UnitOfWork, picture: Stored, item_id: int) -> None:
        """Now that nobody else writes: have the file of a picture that may be used, and not one that was let go of."""
        item = uow.items.get(item_id)
        assert item is not None
        removed = uow.blobs.removed([item.blob_sha256, picture.sha256])
        if item.withdrawn_at is None:
            if picture.data is not None and not self._store.has(picture.sha256):
                self._store.put(picture.data)
            # It may have been let go of once, and even since it was put back.
            if picture.sha256 in removed and self._store.has(picture.sha256):
                uow.blobs.came_back(picture.sha256, item_id=item_id)
        elif removed and not any(one.withdrawn_at is None for one in references(uow.session, picture.sha256)):
            mark_removed(uow.session, {picture.sha256} - removed, at=datetime.now(UTC))
            self._store.discard(picture.sha256)

    def _find_or_add(self, uow: UnitOfWork, picture: Stored) -> tuple[Taken, str]:
        """The item of a picture, found or made, and the relation of its bytes to it."""
        known = uow.items.by_sha256(picture.sha256)
        if known is not None:
            return Taken(EXACT_DUPLICATE, known.id), "same_bytes"
        examined = picture.examined
        assert examined is not None  # items are never deleted, so unknown bytes were examined
        uow.blobs.add(picture.sha256, size_bytes=picture.size_bytes, media_type=examined.media_type)
        twin = uow.items.by_pixel_sha256(examined.pixel_sha256)
        if twin is not None:
            return Taken(EXACT_DUPLICATE, twin.id), "same_pixels"
        signature = examined.signature
        matches = self._duplicates.matches(uow, signature.hashes, signature.views, in_step=True)
        near = nearest_representative(uow, matches)
        item = self._new_item(picture, examined, near=near)
        item_id = uow.items.add(item)
        if item_id is None:  # the unique keys have the last word
            return Taken(EXACT_DUPLICATE, _present(uow, item).id), "same_pixels"
        ids = uow.duplicates.sign(
            item_id, algorithm=ALGORITHM, hashes=signature.hashes, views=signature.views, searched=True
        )
        self._duplicates.learn(ids, signature.hashes)
        for match in matches:
            uow.duplicates.record(match.as_pair(item_id))
        return Taken(NEAR_DUPLICATE if near else ACCEPTED, item_id), _FIRST

    def _new_item(self, picture: Stored, examined: Examined, *, near: Match | None) -> NewItem:
        facts = facts_of(picture.record, examined.embedded)
        return NewItem(
            blob_sha256=picture.sha256,
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


def _judge_license(uow: UnitOfWork, sighting: NewSighting, declared: DeclaredLicense | None, *, is_new: bool) -> None:
    """Bring an item's licence to what all its sightings come to, now that it was met again."""
    item = uow.items.get(sighting.item_id)
    assert item is not None  # items are never deleted
    if declared is None:
        return
    before = uow.sightings.declared(item.id) if item.license_id == UNKNOWN != declared.id else ()
    found = license_met_again(declared, item, before)
    if found is not None:
        uow.items.change_license(item.id, found.id, found.url)
    if is_new:
        return
    # A page that says otherwise than before: what it says now must stand in its sighting, or be forgotten.
    told = None
    if found is not None and found.id == UNKNOWN:
        told = agreed([DeclaredLicense(item.license_id or UNKNOWN, item.license_url, declared.declared_by), declared])
    elif item.license_id == declared.id == UNKNOWN and restrains(declared.text):
        told = declared
    if told is not None:
        uow.sightings.change_license(sighting, storable_license(told))


def _take_unfit(uow: UnitOfWork, picture: Unfit) -> Taken:
    reason = picture.reason
    detail = clean(picture.detail, MAX_DETAIL) or reason.value
    # A passing reason leaves the address open for another try.
    state = "failed" if reason.is_transient else "rejected"
    record_fetch(uow, picture.record, state=state, sha256=picture.sha256, reason=reason, detail=detail)
    return Taken(REJECTED, None, reason, detail)


def _without_words(candidate: Candidate, detail: str) -> Unfit:
    """A candidate of which something is said that the catalog cannot keep, as one that is not kept."""
    record = candidate.record
    bare = CrawlRecord(
        outcome=record.outcome,
        source=record.source,
        source_argument=record.source_argument,
        image_url=record.image_url,
        page_url=record.page_url,
        found_at=record.found_at,
    )
    digest = candidate.sha256 if isinstance(candidate, Stored | Unfit) else None
    return Unfit(record=bare, place=candidate.place, reason=Reason.CORRUPT, detail=detail, sha256=digest)


def _reject(uow: UnitOfWork, run_id: int, record: CrawlRecord, taken: Taken) -> None:
    assert taken.reason is not None
    uow.rejections.add(
        run_id,
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


def _progress(place: Place, taken: Taken) -> IngestProgress:
    reason = taken.reason.value if taken.reason else None
    return IngestProgress(place.crawl_id, place.position, taken.outcome, taken.item_id, reason, taken.detail)


def _done(uow: UnitOfWork, places: Sequence[Place]) -> dict[Place, Taken]:
    """What became of those of these places that are done."""
    found: dict[Place, Taken] = {}
    for crawl_id in dict.fromkeys(place.crawl_id for place in places):
        positions = [place.position for place in places if place.crawl_id == crawl_id]
        progresses = uow.ingest_progress.of_positions(crawl_id, positions)
        found |= {Place(crawl_id, position): _taken(one) for position, one in progresses.items()}
    return found


def _present(uow: UnitOfWork, item: NewItem) -> Item:
    found = uow.items.by_sha256(item.blob_sha256) or uow.items.by_pixel_sha256(item.pixel_sha256)
    assert found is not None  # the insert was refused because of it
    return found
