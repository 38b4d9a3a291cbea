"""What one run met and made, read from the catalog once, for the exports that tell it in standard forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.catalog.engine import Catalog
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.values import Derivation, Item, ItemFilter, Run, Sighting
from pipeline.errors import NotFound
from pipeline.licenses import UNKNOWN, License, joint_terms
from pipeline.provenance.attribution import license_of

WITHDRAWN = "withdrawn by its site"
UNKNOWN_LICENSE = "its licence is unknown"
NO_ADAPTATIONS = "a licence permits no adapted pictures"
NO_JOINT_LICENSE = "the licences of its pictures cannot be kept together"


@dataclass(frozen=True)
class Picture:
    """An original of the run, with every place it was seen."""

    item: Item
    sightings: Sequence[Sighting]

    @property
    def objection(self) -> str | None:
        """Why its file must stay here, or None: unaltered, a picture may be passed on under every licence known."""
        if self.item.withdrawn_at is not None:
            return WITHDRAWN
        return UNKNOWN_LICENSE if license_of(self.item).id == UNKNOWN else None


@dataclass(frozen=True)
class Dream:
    """A dream of the run, with the pictures it was made of."""

    derivation: Derivation
    original: Picture
    inputs: tuple[Picture, ...] = ()

    @property
    def objection(self) -> str | None:
        """Why its file must stay here, or None: it adapts every picture that had a part in it."""
        parts = (self.original, *self.inputs)
        if any(each.item.withdrawn_at is not None for each in parts):
            return WITHDRAWN
        permits = [each.permits_adaptation for each in self.licenses]
        if None in permits:
            return UNKNOWN_LICENSE
        if not all(permits):
            return NO_ADAPTATIONS
        return None if joint_terms(self.licenses) is not None else NO_JOINT_LICENSE

    @property
    def licenses(self) -> tuple[License, ...]:
        """Of the original, then of guides and masks."""
        return tuple(license_of(each.item) for each in (self.original, *self.inputs))

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The dream's record."""
        return self.derivation.manifest


@dataclass(frozen=True)
class RunGraph:
    """A run, the pictures it met or dreamed on, and the dreams it made.

    Attributes:
        pictures: Each once, by id.
        dreams: Oldest first.
    """

    run: Run
    pictures: Sequence[Picture] = field(default=())
    dreams: Sequence[Dream] = field(default=())


def read_run(run_id: int, catalog: Catalog) -> RunGraph:
    """The graph of one run.

    Raises:
        NotFound: There is no such run.
    """
    with catalog.read() as uow:
        run = uow.runs.get(run_id)
        if run is None:
            raise NotFound(f"there is no run r{run_id}; `dreamcrawl runs` lists them")
        met = {item.id: _picture(uow, item) for item in uow.items.list(ItemFilter(run_id=run_id), limit=None)}
        dreams = []
        for derivation in uow.derivations.of_run(run_id):
            original = _met(uow, met, uow.items.get(derivation.item_id))
            if original is None:
                continue
            inputs = [_met(uow, met, uow.items.by_pixel_sha256(digest)) for digest in _input_digests(derivation)]
            dreams.append(Dream(derivation, original, tuple(each for each in inputs if each is not None)))
    return RunGraph(run, tuple(met[item_id] for item_id in sorted(met)), tuple(dreams))


def _met(uow: UnitOfWork, met: dict[int, Picture], item: Item | None) -> Picture | None:
    if item is None:
        return None
    if item.id not in met:
        met[item.id] = _picture(uow, item)
    return met[item.id]


def _picture(uow: UnitOfWork, item: Item) -> Picture:
    return Picture(item, tuple(uow.sightings.of_item(item.id)))


def _input_digests(derivation: Derivation) -> list[str]:
    inputs = derivation.manifest.get("inputs")
    return [str(each["pixel_sha256"]) for each in inputs or [] if isinstance(each, Mapping) and "pixel_sha256" in each]
