"""A unit of work: the repositories over one session, all of it committed or none."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pipeline.catalog.repositories.derivations import Derivations
from pipeline.catalog.repositories.duplicates import Duplicates
from pipeline.catalog.repositories.features import Features
from pipeline.catalog.repositories.fetches import Fetches
from pipeline.catalog.repositories.hosts import Hosts
from pipeline.catalog.repositories.items import Items
from pipeline.catalog.repositories.opinions import Ratings, Tags
from pipeline.catalog.repositories.others import Blobs, Collections, IngestProgresses, Rejections
from pipeline.catalog.repositories.runs import Runs
from pipeline.catalog.repositories.sightings import Sightings
from pipeline.catalog.tables import BlobRow, DerivationRow, ItemRow, RunRow, SightingRow
from pipeline.catalog.values import Counts


class UnitOfWork:
    """What `Catalog.read` and `Catalog.write` hand out; of no use after their block.

    Attributes:
        session: For the queries of `pipeline.catalog` only.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.runs = Runs(session)
        self.items = Items(session)
        self.sightings = Sightings(session)
        self.derivations = Derivations(session)
        self.duplicates = Duplicates(session)
        self.features = Features(session)
        self.blobs = Blobs(session)
        self.rejections = Rejections(session)
        self.ledger = Fetches(session)
        self.hosts = Hosts(session)
        self.tags = Tags(session)
        self.ratings = Ratings(session)
        self.collections = Collections(session)
        self.ingest_progress = IngestProgresses(session)

    def counts(self) -> Counts:
        """How much the catalog holds."""
        near = select(func.count()).where(ItemRow.near_duplicate_of_id.is_not(None)).scalar_subquery()
        tables = (ItemRow, SightingRow, DerivationRow, RunRow, BlobRow)
        sizes = [select(func.count()).select_from(table).scalar_subquery() for table in tables]
        total = select(func.coalesce(func.sum(BlobRow.size_bytes), 0)).scalar_subquery()
        items, sightings, derivations, runs, blobs, near_duplicates, size = self.session.execute(
            select(*sizes, near, total)
        ).one()
        return Counts(
            items=items,
            near_duplicates=near_duplicates,
            sightings=sightings,
            derivations=derivations,
            runs=runs,
            blobs=blobs,
            bytes=int(size),
        )
