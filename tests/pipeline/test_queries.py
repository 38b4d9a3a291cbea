from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.catalog import facets as facets_module
from pipeline.catalog import gallery, gallery_ways, queries
from pipeline.catalog.engine import Catalog, open_catalog
from pipeline.catalog.facets import facets as facets_of
from pipeline.catalog.gallery_values import Count, Cursor, FacetValue, GalleryFilter, RunBreakdown, Sort
from pipeline.catalog.values import NewItem
from pipeline.errors import NotFound
from tests.support.inverting import sighting_of

KEYWORDS = ("cat", "bridge", "windmill")
SOURCES = ("website", "folder")
LICENSES = (None, "unknown", "CC0-1.0", "CC-BY-4.0")
PRESETS = ("soft", "bold")
OWN_TAGS = ("for print", "Na\u00efve?".casefold())
SIZE = 41


@dataclass(frozen=True)
class Known:
    """One item as the test knows it; what the queries say is compared with these."""

    id: int
    title: str
    creator: str
    width: int
    height: int
    license_id: str | None
    keywords: tuple[str, ...]
    sources: tuple[str, ...]
    tags: tuple[str, ...]
    caption: str
    presets: tuple[str, ...]
    near_to: int | None
    in_run: bool
    own_tags: tuple[str, ...]
    stars: int | None

    def passes(self, wanted: GalleryFilter) -> bool:
        said = [plain_words(text) for text in (self.title, self.creator, self.caption, *self.tags, *self.keywords)]
        said += [plain_words(tag) for tag in self.own_tags]
        return (
            all(any(stands_in(plain_words(word), text) for text in said) for word in wanted.words)
            and wanted.keyword in {None, *self.keywords}
            and wanted.source in {None, *self.sources}
            and wanted.license_id in {None, self.license_id or "unknown"}
            and wanted.preset in {None, *self.presets}
            and wanted.dreamed in {None, bool(self.presets)}
            and (wanted.near_duplicates or self.near_to is None)
            and (wanted.run_id is None or self.in_run)
            and wanted.tag in {None, *self.own_tags}
            and (wanted.stars is None or (self.stars or 0) >= wanted.stars)
        )


def plain_words(text: str) -> list[str]:
    """What the words of these texts are, by hand: no case, no accents."""
    return re.findall("[a-z0-9\u00f8]+", text.lower().translate({0xE9: "e", 0xEF: "i"}))


def stands_in(phrase: list[str], text: list[str]) -> bool:
    """The words side by side, the last one as a beginning unless it is a single letter; signs alone never do."""
    if not phrase:
        return False
    *first, beginning = phrase
    for start in range(len(text) - len(phrase) + 1):
        *before, last = text[start : start + len(phrase)]
        if before == first and (last == beginning or (len(beginning) > 1 and last.startswith(beginning))):
            return True
    return False


def digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def keep(catalog: Catalog, known: Known, run_id: int) -> None:
    with catalog.write() as uow:
        blob = digest("blob", known.id)
        uow.blobs.add(blob, size_bytes=100 + known.id, media_type="image/png")
        item_id = uow.items.add(
            NewItem(
                blob_sha256=blob,
                pixel_sha256=digest("pixels", known.id),
                width=known.width,
                height=known.height,
                format="PNG",
                frames=1,
                title=known.title,
                creator=known.creator,
                license_id=known.license_id,
                near_duplicate_of_id=known.near_to,
                near_duplicate_distance=known.near_to and known.id % 7,
                first_run_id=run_id,
            )
        )
        assert item_id == known.id
        for number, source in enumerate(known.sources):
            uow.sightings.add(
                sighting_of(
                    item_id,
                    blob,
                    source=source,
                    image_url=f"https://pictures.example/{item_id}-{number}.png",
                    title=None,
                    creator=None,
                    caption=known.caption,
                    tags=known.tags,
                )
            )
        for keyword in known.keywords:
            uow.items.add_keyword(item_id, keyword, fields=("title",), score=0.5)
        if known.in_run:
            uow.runs.add_items(run_id, [(item_id, "known" if known.id % 2 else "accepted")])
        for tag in known.own_tags:
            uow.tags.add(item_id, tag)
        if known.stars is not None:
            uow.ratings.set(item_id, known.stars)
        for preset in known.presets:
            add_dream(uow, item_id, preset, run_id)


def add_dream(uow: Any, item_id: int, preset: str, run_id: int | None) -> int:
    blob = digest("dream", item_id, preset)
    uow.blobs.add(blob, size_bytes=50, media_type="image/png")
    return int(
        uow.derivations.add(
            key=digest("key", item_id, preset),
            item_id=item_id,
            run_id=run_id,
            preset=preset,
            network="tiny",
            recipe={},
            recipe_sha256=digest(preset),
            weights_sha256=digest("weights"),
            blob_sha256=blob,
            pixel_sha256=digest("dream pixels", item_id, preset),
            width=10,
            height=10,
            file_name=f"{item_id}-{preset}.png",
            manifest={},
            manifest_sha256=digest("manifest"),
            seconds=0.1,
        )
    )


def made_up(random_: random.Random) -> list[Known]:
    found: list[Known] = []
    for number in range(1, SIZE + 1):
        representatives = [each.id for each in found if each.near_to is None]
        near = random_.choice(representatives) if representatives and random_.random() < 0.25 else None
        found.append(
            Known(
                id=number,
                title=random_.choice(("Old mill", "Caf\u00e9 in the rain", "100%_sure", "A bridge")),
                creator=random_.choice(("Jane Doe", "J\u00f8rgen", "Acme")),
                # Few sizes, so that many items tie in the order by size.
                width=random_.choice((100, 200)),
                height=random_.choice((100, 200)),
                license_id=random_.choice(LICENSES),
                keywords=tuple(sorted(random_.sample(KEYWORDS, random_.randint(0, 3)))),
                sources=tuple(sorted(random_.sample(SOURCES, random_.randint(1, 2)))),
                tags=tuple(random_.sample(("na\u00efve", "stone", "water"), random_.randint(0, 2))),
                caption=random_.choice(("Seen from the river", "\u201cquoted\u201d <b>bold</b>", "")),
                presets=tuple(random_.sample(PRESETS, random_.choice((0, 0, 1, 2)))),
                near_to=near,
                in_run=random_.random() < 0.5,
                own_tags=tuple(sorted(random_.sample(OWN_TAGS, random_.choice((0, 0, 1, 2))))),
                stars=random_.choice((None, None, 1, 3, 5)),
            )
        )
    return found


@pytest.fixture(scope="module")
def catalog(shared_address: str) -> Iterator[Catalog]:
    with open_catalog(shared_address) as opened:
        yield opened


@pytest.fixture(scope="module")
def everything(catalog: Catalog) -> list[Known]:
    with catalog.write() as uow:
        run_id = uow.runs.start(
            "run", keywords=("cat",), source=None, parameters={}, process="machine:1:0", version="0.1.0"
        )
    items = made_up(random.Random(20))
    for known in items:
        keep(catalog, known, run_id)
    return items


def in_order(items: list[Known], sort: Sort) -> list[int]:
    if sort is Sort.LARGEST:
        return [each.id for each in sorted(items, key=lambda each: (-each.width * each.height, -each.id))]
    return sorted((each.id for each in items), reverse=sort is Sort.NEWEST)


FILTERS = st.builds(
    GalleryFilter,
    words=st.sampled_from(
        [
            *[()] * 4,
            ("MILL",),
            ("caf\u00e9",),
            ("cafe",),
            ("jane", "river"),
            ("%_",),
            ("na\u00efve",),
            ("<b>",),
            ("quo",),
            ("quoted\u201d-B",),
            ("100%_su",),
            ("100%_s",),
            ("print",),
            ("windmills",),
        ]
    ),
    keyword=st.sampled_from([None, None, *KEYWORDS]),
    source=st.sampled_from([None, None, *SOURCES]),
    license_id=st.sampled_from([None, None, None, "unknown", "CC0-1.0", "MIT"]),
    preset=st.sampled_from([None, None, *PRESETS]),
    dreamed=st.sampled_from([None, None, True, False]),
    near_duplicates=st.booleans(),
    run_id=st.sampled_from([None, None, 1]),
    tag=st.sampled_from([None, None, None, *OWN_TAGS]),
    stars=st.sampled_from([None, None, None, 1, 4]),
)


@pytest.fixture(params=["few", "many", "very many", "in a large run"])
def ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small catalogs are sorted in memory; this has them walked through as large ones are."""
    if request.param == "few":
        return
    monkeypatch.setattr(gallery, "COUNT_SECONDS", 3600.0)
    monkeypatch.setattr(gallery, "MOST_FEW", 0)
    monkeypatch.setattr(gallery, "SET_WINDOW", 6)
    if request.param == "in a large run":
        monkeypatch.setattr(gallery, "MOST_LOOKED_AT", 4)
    if request.param != "many":  # as of runs whose items lie far apart, and of matches too many for a set
        monkeypatch.setattr(gallery_ways, "MOST_IN_SET", 0)
        monkeypatch.setattr(gallery_ways.Span, "is_close", False)
        monkeypatch.setattr(gallery, "COUNT_WINDOW", 7)
        monkeypatch.setattr(gallery, "WALK_WINDOW", 5)


@pytest.mark.usefixtures("ways")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=FILTERS, sort=st.sampled_from(Sort), limit=st.integers(1, 12))
def test_paging_forth_and_back_visits_each_item_exactly_once(catalog, everything, wanted, sort, limit):
    expected = in_order([each for each in everything if each.passes(wanted)], sort)
    with catalog.read() as uow:
        pages = [queries.gallery_page(uow.session, wanted, sort=sort, limit=limit)]
        while pages[-1].next is not None:
            pages.append(queries.gallery_page(uow.session, wanted, sort=sort, limit=limit, after=pages[-1].next))
        backwards = [pages[-1]]
        while backwards[-1].previous is not None:
            place = backwards[-1].previous
            backwards.append(queries.gallery_page(uow.session, wanted, sort=sort, limit=limit, before=place))

    assert [tile.item_id for page in pages for tile in page.tiles] == expected
    assert [tile.item_id for page in reversed(backwards) for tile in page.tiles] == expected
    assert all(page.total == Count(len(expected)) for page in pages)
    ranks = [page.first.number for page in pages if page.tiles]
    assert ranks == list(range(1, len(expected) + 1, limit))


@pytest.mark.usefixtures("ways")
@pytest.mark.parametrize("ways", ["few", "many", "very many"], indirect=True)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=FILTERS)
def test_each_facet_says_how_many_items_its_value_would_show(catalog, everything, wanted):
    with catalog.read() as uow:
        facets = facets_of(uow.session, wanted)

    def having(**changes: Any) -> list[Known]:
        return [each for each in everything if each.passes(replace(wanted, **changes))]

    def counted(values: Iterator[str]) -> list[FacetValue]:
        return [FacetValue(*pair) for pair in sorted(Counter(values).items(), key=lambda pair: (-pair[1], pair[0]))]

    assert list(facets.keywords) == counted(k for each in having(keyword=None) for k in each.keywords)
    assert list(facets.sources) == counted(s for each in having(source=None) for s in each.sources)
    assert list(facets.licenses) == counted(each.license_id or "unknown" for each in having(license_id=None))
    assert list(facets.presets) == counted(p for each in having(preset=None) for p in each.presets)
    assert list(facets.tags) == counted(t for each in having(tag=None) for t in each.own_tags)
    assert facets.dreamed == len(having(dreamed=True))
    assert facets.not_dreamed == len(having(dreamed=False))
    assert facets.near_duplicates == sum(each.near_to is not None for each in having(near_duplicates=True))
    assert not facets.partial


@pytest.mark.usefixtures("ways")
@pytest.mark.parametrize("sort", Sort)
def test_neighbours_are_those_of_the_order(catalog, everything, sort):
    wanted = GalleryFilter(keyword="cat", near_duplicates=True)
    order: list[int | None] = [None, *in_order([each for each in everything if each.passes(wanted)], sort), None]

    with catalog.read() as uow:
        for before, here, after in zip(order, order[1:], order[2:], strict=False):
            assert here is not None
            assert queries.neighbours(uow.session, wanted, here, sort=sort) == (before, after)


def test_a_picture_that_arrives_while_one_pages_moves_no_other(tmp_path):
    items = made_up(random.Random(3))
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog:
        with catalog.write() as uow:
            run_id = uow.runs.start("run", keywords=(), source=None, parameters={}, process="m:1:0", version="0.1.0")
        for known in items[:-5]:
            keep(catalog, known, run_id)
        shown = GalleryFilter(near_duplicates=True)
        with catalog.read() as uow:
            first = queries.gallery_page(uow.session, shown, limit=10)
        for known in items[-5:]:
            keep(catalog, known, run_id)
        with catalog.read() as uow:
            second = queries.gallery_page(uow.session, shown, limit=10, after=first.next)
            back = queries.gallery_page(uow.session, shown, limit=10, before=second.previous)

    assert second.tiles[0].item_id == first.tiles[-1].item_id - 1
    assert [tile.item_id for tile in back.tiles] == [tile.item_id for tile in first.tiles]


def test_too_few_before_a_place_gives_the_first_page(catalog, everything):
    newest = max(each.id for each in everything if each.near_to is None)
    with catalog.read() as uow:
        page = queries.gallery_page(uow.session, GalleryFilter(), limit=5, before=Cursor(newest - 1))

    assert page.tiles[0].item_id == newest
    assert len(page.tiles) == 5
    assert page.previous is None


@pytest.mark.usefixtures("everything")
def test_counting_stops_at_its_cap(catalog, monkeypatch):
    monkeypatch.setattr(gallery, "COUNT_CAP", 7)
    shown = GalleryFilter(near_duplicates=True)
    with catalog.read() as uow:
        first = queries.gallery_page(uow.session, shown, limit=10)
        second = queries.gallery_page(uow.session, shown, limit=10, after=first.next)

    assert first.total == Count(7, capped=True)
    assert second.first == Count(8, capped=True)
    assert second.previous is not None


def test_facets_of_more_items_than_the_cap_cover_the_newest(catalog, everything, monkeypatch):
    monkeypatch.setattr(facets_module, "FACET_CAP", 10)
    newest = sorted(everything, key=lambda each: -each.id)[:10]
    with catalog.read() as uow:
        facets = facets_of(uow.session, GalleryFilter(near_duplicates=True))

    assert facets.partial
    counted = Counter(keyword for each in newest for keyword in each.keywords)
    assert {value.value: value.count for value in facets.keywords} == counted


def test_a_tile_shows_the_newest_dream_and_under_a_preset_that_presets_newest(catalog, everything):
    both = next(each for each in everything if len(each.presets) == 2 and each.near_to is None)
    with catalog.read() as uow:
        dreams = uow.derivations.of_item(both.id)
        plain = queries.tile(uow.session, both.id)
        older = queries.gallery_page(uow.session, GalleryFilter(preset=dreams[0].preset), limit=100)

    assert plain.dream is not None
    assert plain.dream.id == dreams[1].id
    shown = next(tile for tile in older.tiles if tile.item_id == both.id)
    assert shown.dream is not None
    assert shown.dream.id == dreams[0].id


def test_a_near_group_is_the_same_from_each_of_its_members(catalog, everything):
    of: dict[int, set[int]] = {}
    for each in everything:
        of.setdefault(each.near_to or each.id, set()).add(each.id)
    with catalog.read() as uow:
        for centre, members in of.items():
            for member in members:
                group = queries.near_group(uow.session, member)
                assert group[0].item_id == centre
                assert {tile.item_id for tile in group} == members
                distances = [tile.near_duplicate_distance or 0 for tile in group[1:]]
                assert distances == sorted(distances)


@pytest.mark.usefixtures("everything")
def test_unknown_ids_are_named(catalog):
    with catalog.read() as uow:
        for ask in (queries.tile, queries.near_group):
            with pytest.raises(NotFound, match="i999"):
                ask(uow.session, 999)
        with pytest.raises(NotFound, match="i999"):
            queries.neighbours(uow.session, GalleryFilter(), 999, sort=Sort.NEWEST)
        assert queries.original_blob(uow.session, "0" * 64) is None
        assert queries.dream_blob(uow.session, "0" * 64) is None
        assert queries.run_breakdown(uow.session, 999) == RunBreakdown()


def test_blobs_are_known_for_what_they_are(catalog, everything):
    dreamed = next(each for each in everything if each.presets)
    original, dream = digest("blob", dreamed.id), digest("dream", dreamed.id, dreamed.presets[0])
    with catalog.read() as uow:
        found = queries.original_blob(uow.session, original)
        assert found is not None
        assert (found.name, found.media_type, found.size_bytes) == (f"i{dreamed.id}", "image/png", 100 + dreamed.id)
        made = queries.dream_blob(uow.session, dream)
        assert made is not None
        assert made.name.startswith("d")
        assert queries.original_blob(uow.session, dream) is None
        assert queries.dream_blob(uow.session, original) is None


def test_a_runs_rows_are_counted_and_its_rejections_paged(tmp_path):
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog:
        with catalog.write() as uow:
            runs = [
                uow.runs.start("run", keywords=(), source=None, parameters={}, process="m:1:0", version="0.1.0")
                for _ in range(5)
            ]
            for number in range(23):
                reason = "robots" if number % 3 else "timeout"
                url = f"https://pictures.example/{number}"
                uow.rejections.add(runs[0], url, page_url=None, stage="crawl", reason=reason, detail="why")
            uow.rejections.add(runs[1], "https://e/", page_url=None, stage="ingest", reason="corrupt", detail="why")
        with catalog.read() as uow:
            breakdown = queries.run_breakdown(uow.session, runs[0])
            seen: list[str] = []
            after = None
            while lines := queries.rejections(uow.session, runs[0], reason="robots", after=after, limit=4):
                seen += [line.image_url for line in lines]
                after = lines[-1].id
            ids = queries.run_ids(uow.session, limit=2), queries.run_ids(uow.session, before=runs[3], limit=2)

    assert [(each.stage, each.reason, each.count) for each in breakdown.reasons] == [
        ("crawl", "robots", 15),
        ("crawl", "timeout", 8),
    ]
    assert seen == [f"https://pictures.example/{number}" for number in range(23) if number % 3]
    assert ids == ((5, 4), (3, 2))


def test_a_runs_roles_and_dreams_are_counted(catalog, everything):
    with catalog.read() as uow:
        breakdown = queries.run_breakdown(uow.session, 1)

    expected = Counter("known" if each.id % 2 else "accepted" for each in everything if each.in_run)
    assert dict(breakdown.roles) == expected
    assert breakdown.dreams == sum(len(each.presets) for each in everything)
