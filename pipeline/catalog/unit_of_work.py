"""A unit of work: the repositories over one session, all of it committed or none."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from pipeline.catalog.derivation_inputs import withdrawn_dreams
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
        is_near, is_withdrawn = ItemRow.near_duplicate_of_id.is_not(None), ItemRow.withdrawn_at.is_not(None)
        is_there = BlobRow.removed_at.is_(None)
        # All, less those that are out of use: these are few, and found by an index.
        counted = {
            "items": _number(ItemRow),
            "near": _number(ItemRow, is_near),
            "withdrawn": _number(ItemRow, is_withdrawn),
            # As a set: else SQLite would rather look at every row.
            "withdrawn_near": _number(ItemRow, is_near, ItemRow.id.in_(select(ItemRow.id).where(is_withdrawn))),
            "sightings": _number(SightingRow),
            "derivations": _number(DerivationRow),
            "withdrawn_derivations": _number(withdrawn_dreams().subquery()),
            "runs": _number(RunRow),
            "blobs": _number(BlobRow, is_there),
            "bytes": select(func.coalesce(func.sum(BlobRow.size_bytes), 0)).where(is_there),
        }
        columns = [query.scalar_subquery().label(name) for name, query in counted.items()]
        found = self.session.execute(select(*columns)).one()
        return Counts(
            items=found.items - found.withdrawn,
            near_duplicates=found.near - found.withdrawn_near,
            withdrawn=found.withdrawn,
            sightings=found.sightings,
            derivations=found.derivations - found.withdrawn_derivations,
            runs=found.runs,
            blobs=found.blobs,
            bytes=int(found.bytes),
        )


def _number(rows: Any, *conditions: ColumnElement[bool]) -> Select[tuple[int]]:
    return select(func.count()).select_from(rows).where(*conditions)
