"""Has lost originals fetched again: their addresses go on the list of what failed, with all that another try needs."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.catalog import upkeep_queries
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.values import ItemKeyword, Sighting
from pipeline.errors import Reason
from pipeline.records import CrawlRecord, DeclaredLicense, KeywordMatch, Outcome

MOST_ADDRESSES = 3
"""Of one picture: one of them may have gone from the web, too."""

DETAIL = "its file was lost from the store"


def reopen_addresses(uow: UnitOfWork, sha256: str, *, item_id: int) -> list[str]:
    """Open the addresses that gave these bytes for another try; which ones."""
    sightings = {each.image_url: each for each in uow.sightings.of_item(item_id) if each.blob_sha256 == sha256}
    keywords = uow.items.keywords(item_id)
    opened = []
    for url in upkeep_queries.addresses_of(uow.session, sha256, limit=MOST_ADDRESSES):
        if url in sightings:
            uow.ledger.reopen(url, detail=DETAIL, record=record_of(sightings[url], keywords).to_json())
            opened.append(url)
    return opened


def record_of(sighting: Sighting, keywords: Sequence[ItemKeyword]) -> CrawlRecord:
    """What a crawl would hand over of an address that failed, made from what is on record of it."""
    declared = None
    if sighting.license_id is not None:
        declared = DeclaredLicense(
            sighting.license_id, sighting.license_url, sighting.license_declared_by or "", sighting.license_text or ""
        )
    return CrawlRecord(
        outcome=Outcome.FAILED,
        source=sighting.source,
        source_argument=sighting.source_argument,
        image_url=sighting.image_url,
        page_url=sighting.page_url,
        found_at=sighting.last_seen_at.isoformat(),
        matches=tuple(KeywordMatch(each.keyword, each.fields, each.score) for each in keywords),
        title=sighting.title,
        alt=sighting.alt,
        caption=sighting.caption,
        tags=sighting.tags,
        creator=sighting.creator,
        creator_url=sighting.creator_url,
        license=declared,
        reason=Reason.UNREADABLE,
        detail=DETAIL,
        source_id=sighting.source_id,
        created=sighting.made_at,
        attribution=sighting.attribution,
        rendition=sighting.rendition or "",
    )
