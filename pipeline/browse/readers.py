"""What each page and its JSON twin show, read from the catalog in one unit of work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.browse.state import View
from pipeline.catalog import export_queries, queries
from pipeline.catalog.duplicate_values import DuplicatePair
from pipeline.catalog.engine import Catalog
from pipeline.catalog.facets import facets
from pipeline.catalog.gallery_values import Count, Facets, GalleryFilter, GalleryPage, RunBreakdown, Tile
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.values import Blob, Derivation, Item, ItemKeyword, Rejection, Run, Sighting
from pipeline.duplicates.similar import SimilarSearch
from pipeline.errors import NotFound, Withdrawn
from pipeline.provenance.attribution import input_ids

RUNS_PER_PAGE = 30
PAIRS_PER_PAGE = 30
REJECTIONS_PER_PAGE = 50
TILES_OF_RUN = 24
MOST_SIGHTINGS = 200
MOST_SIMILAR = 12
MOST_COMPARED = 250_000
"""Of more pictures a gallery does not keep the features in memory; `dreamcrawl similar` does for as long as it runs."""


@dataclass(frozen=True)
class GalleryRead:
    """One page of pictures."""

    page: GalleryPage
    facets: Facets


@dataclass(frozen=True)
class SimilarTile:
    """A picture that a network takes for like the one shown.

    Attributes:
        cosine: Of the angle between their features, up to 1.
    """

    tile: Tile
    cosine: float


@dataclass(frozen=True)
class ItemRead:
    """One picture with all that is known of it.

    Attributes:
        dreams: Newest first.
        shown: The dream to compare with; None when there is none.
        inputs: Its guides and masks that are in the catalog, by id.
        group: The representative and what is near to it; a single tile when nothing is.
        previous: The item before it in the gallery it was opened from.
        next: The item after it there.
        tags: Those that people gave it.
        stars: As people rated it, 1 to 5; None without a rating.
        similar: The most alike first, without those of its group; empty where it has no features.
    """

    item: Item
    blob: Blob | None
    keywords: Sequence[ItemKeyword]
    sightings: Sequence[Sighting]
    more_sightings: int
    dreams: tuple[Derivation, ...]
    shown: Derivation | None
    inputs: Mapping[int, Item]
    group: tuple[Tile, ...]
    previous: int | None
    next: int | None
    tags: Sequence[str]
    stars: int | None
    similar: tuple[SimilarTile, ...]


@dataclass(frozen=True)
class RunsRead:
    """A page of runs, newest first; `older` is the id to go on before."""

    runs: tuple[Run, ...]
    older: int | None


@dataclass(frozen=True)
class PairTiles:
    """Two pictures that may be the same one, and what was found about them."""

    pair: DuplicatePair
    first: Tile
    second: Tile


@dataclass(frozen=True)
class PairsRead:
    """A page of pairs that wait for a person, by number; `next` is the number to go on after."""

    pairs: tuple[PairTiles, ...]
    next: int | None


@dataclass(frozen=True)
class RunRead:
    """One run; `next_rejection` is the id to go on after, and `reason` what the rejections are narrowed to."""

    run: Run
    breakdown: RunBreakdown
    tiles: tuple[Tile, ...]
    met: Count
    rejections: tuple[Rejection, ...]
    reason: str | None
    next_rejection: int | None


def read_gallery(catalog: Catalog, view: View) -> GalleryRead:
    """The page that a view asks for."""
    with catalog.read() as uow:
        page = queries.gallery_page(
            uow.session, view.wanted, sort=view.sort, limit=view.per_page, after=view.after, before=view.before
        )
        return GalleryRead(page, facets(uow.session, view.wanted))


def read_item(
    catalog: Catalog, item_id: int, view: View, *, dream_id: int | None = None, search: SimilarSearch | None = None
) -> ItemRead:
    """An item, its dream `dream_id` or else the newest one, and its neighbours in a view.

    search: Finds similar pictures; None to look for none.

    Raises:
        NotFound: There is no such item, or it has no such dream.
        Withdrawn: Its site asks not to use it.
    """
    with catalog.read() as uow:
        item = uow.items.get(item_id)
        if item is None:
            raise NotFound(f"there is no picture i{item_id}")
        _check_usable(item)
        every = tuple(reversed(uow.derivations.of_item(item_id)))
        dreams = tuple(each for each in every if not uow.derivations.withdrawn_inputs(each.id))
        # A gallery of one preset shows that preset's dreams, and so does the page behind each of its pictures.
        preset = view.wanted.preset
        preferred = next((each for each in dreams if preset is not None and each.preset == preset), None)
        shown = preferred or (dreams[0] if dreams else None)
        if dream_id is not None:
            shown = next((each for each in every if each.id == dream_id), None)
            if shown is None:
                raise NotFound(f"the picture i{item_id} has no dream d{dream_id}")
            _check_inputs(uow, shown)
        sightings = uow.sightings.of_item(item_id)
        previous, following = queries.neighbours(uow.session, view.wanted, item_id, sort=view.sort)
        group = queries.near_group(uow.session, item_id)
        return ItemRead(
            item=item,
            blob=uow.blobs.get(item.blob_sha256),
            keywords=uow.items.keywords(item_id),
            sightings=sightings[:MOST_SIGHTINGS],
            more_sightings=max(0, len(sightings) - MOST_SIGHTINGS),
            dreams=dreams,
            shown=shown,
            inputs=export_queries.items(uow.session, input_ids([shown] if shown is not None else [])),
            group=group,
            previous=previous,
            next=following,
            tags=uow.tags.of_item(item_id),
            stars=uow.ratings.of_item(item_id),
            similar=() if search is None else _similar(uow, search, item_id, but=[tile.item_id for tile in group]),
        )


def _similar(uow: UnitOfWork, search: SimilarSearch, item_id: int, *, but: Sequence[int]) -> tuple[SimilarTile, ...]:
    if uow.features.last_id() > MOST_COMPARED:
        return ()
    found = search.like_item(uow, item_id, MOST_SIMILAR, but=but) or []
    cosines = {one.item_id: one.cosine for one in found if one.cosine >= search.algorithm.similar_cosine}
    return tuple(SimilarTile(tile, cosines[tile.item_id]) for tile in queries.tiles(uow.session, list(cosines)))


def read_dream(catalog: Catalog, dream_id: int) -> Derivation:
    """One dream.

    Raises:
        NotFound: There is no such dream.
        Withdrawn: The site of its picture, or that of a guide or mask, asks not to use it.
    """
    with catalog.read() as uow:
        dream = uow.derivations.get(dream_id)
        if dream is None:
            raise NotFound(f"there is no dream d{dream_id}")
        item = uow.items.get(dream.item_id)
        if item is not None:
            _check_usable(item)
        _check_inputs(uow, dream)
    return dream


def _check_inputs(uow: UnitOfWork, dream: Derivation) -> None:
    for item_id in uow.derivations.withdrawn_inputs(dream.id):
        raise Withdrawn(f"the picture i{item_id}, a guide or mask of the dream d{dream.id}, was withdrawn")


def _check_usable(item: Item) -> None:
    if item.withdrawn_at is not None:
        raise Withdrawn(
            f"the picture i{item.id} was withdrawn on {item.withdrawn_at:%Y-%m-%d}: {item.withdrawn_reason}"
        )


def read_runs(catalog: Catalog, *, before: int | None = None) -> RunsRead:
    """The newest runs, or the newest of those older than `before`."""
    with catalog.read() as uow:
        ids = queries.run_ids(uow.session, before=before, limit=RUNS_PER_PAGE + 1)
        runs = tuple(run for run_id in ids[:RUNS_PER_PAGE] if (run := uow.runs.get(run_id)) is not None)
    return RunsRead(runs, runs[-1].id if len(ids) > RUNS_PER_PAGE else None)


def read_pairs(catalog: Catalog, *, after: int = 0) -> PairsRead:
    """The pairs that wait for a person to say whether they are the same, after the one with this number."""
    with catalog.read() as uow:
        found = uow.duplicates.pairs(undecided=True, after_id=after, limit=PAIRS_PER_PAGE + 1)
        shown = found[:PAIRS_PER_PAGE]
        ids = dict.fromkeys(item_id for pair in shown for item_id in (pair.first_id, pair.second_id))
        tiles = {tile.item_id: tile for tile in queries.tiles(uow.session, list(ids))}
    pairs = tuple(PairTiles(pair, tiles[pair.first_id], tiles[pair.second_id]) for pair in shown)
    return PairsRead(pairs, shown[-1].id if len(found) > len(shown) else None)


def read_run(catalog: Catalog, run_id: int, *, reason: str | None = None, after: int | None = None) -> RunRead:
    """One run; its rejections for one reason, where given, and after a rejection's id.

    Raises:
        NotFound: There is no such run.
    """
    met = GalleryFilter(run_id=run_id, near_duplicates=True)
    with catalog.read() as uow:
        run = uow.runs.get(run_id)
        if run is None:
            raise NotFound(f"there is no run r{run_id}")
        page = queries.gallery_page(uow.session, met, limit=TILES_OF_RUN)
        lines = queries.rejections(uow.session, run_id, reason=reason, after=after, limit=REJECTIONS_PER_PAGE + 1)
        shown = lines[:REJECTIONS_PER_PAGE]
        return RunRead(
            run=run,
            breakdown=queries.run_breakdown(uow.session, run_id),
            tiles=page.tiles,
            met=page.total,
            rejections=shown,
            reason=reason,
            next_rejection=shown[-1].id if len(lines) > len(shown) else None,
        )
