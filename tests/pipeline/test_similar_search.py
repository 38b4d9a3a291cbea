"""Features of the pictures of a catalog, the search among them, and the pairs it lists; on SQLite and on PostgreSQL."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pipeline.extract as extract_module
from pipeline.catalog.duplicate_values import DIFFERENT, SAME, SIMILAR, NewPair
from pipeline.catalog.engine import open_catalog
from pipeline.catalog.tables import ItemRow
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.catalog.values import NewItem
from pipeline.duplicates import stars
from pipeline.duplicates.similar import SimilarSearch
from pipeline.errors import NotFound, Withdrawn
from pipeline.extract import ExtractReport, extract_features, extract_item, vector_of_file
from pipeline.images import ImageLimits
from pipeline.store import Store
from tests.support.extracting import FieldsAlgorithm, FieldsExtractor, cosine_of
from tests.support.inverting import Workshop
from tests.support.pictures import file_of, scene

NAME = FieldsAlgorithm().name
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def shop(address: str, tmp_path: Path) -> Iterator[Workshop]:
    with open_catalog(address) as catalog:
        yield Workshop(tmp_path, catalog, Store(tmp_path / "store"))


def faded(seed: int) -> np.ndarray:
    """A scene with half its contrast: other pixels, nearly the same direction of its vector."""
    return np.asarray(np.rint(127.5 + (scene(seed) - 127.5) * 0.5), np.uint8)


def describe(shop: Workshop, extractor: FieldsExtractor | None = None, **options: object) -> ExtractReport:
    return extract_features(shop.catalog, shop.store, extractor or FieldsExtractor(), **options)


def withdraw(shop: Workshop, item_id: int, at: datetime | None = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
    with shop.catalog.write() as uow:
        row = uow.session.get(ItemRow, item_id)
        row.withdrawn_at, row.withdrawn_reason = at, at and "robots.txt"


def vector_by_hand(rgb: np.ndarray) -> np.ndarray:
    picture = np.asarray(Image.fromarray(rgb).resize((32, 32), Image.Resampling.LANCZOS))
    return FieldsExtractor().vectors(picture[None])[0]


def test_the_nearest_pictures_come_first_with_their_cosines(shop: Workshop) -> None:
    ids = {seed: shop.add(file_of(scene(seed))) for seed in range(1, 6)}
    faded_id = shop.add(file_of(faded(1)))

    assert describe(shop) == ExtractReport(described=6, failed=(), pairs=1, forgotten=0)

    search = SimilarSearch(FieldsAlgorithm())
    expected = {ids[seed]: cosine_of(vector_by_hand(scene(1)), vector_by_hand(scene(seed))) for seed in range(2, 6)}
    expected[faded_id] = cosine_of(vector_by_hand(scene(1)), vector_by_hand(faded(1)))
    with shop.catalog.read() as uow:
        found = search.like_item(uow, ids[1], 10)
        assert {one.item_id: one.cosine for one in found} == pytest.approx(expected, abs=2e-3)  # float16
        assert [one.item_id for one in found] == sorted(expected, key=lambda item_id: -expected[item_id])
        assert found[0].item_id == faded_id
        assert search.like_item(uow, ids[1], 2) == found[:2]
        assert search.like_item(uow, ids[1], 2, but=[faded_id]) == found[1:3]
        of_file = search.like(uow, vector_by_hand(scene(1)), 1)
        assert (of_file[0].item_id, of_file[0].cosine) == (ids[1], pytest.approx(1.0, abs=1e-6))


def test_each_picture_is_described_once_and_progress_is_told(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract_module, "TOGETHER", 2)
    for seed in range(5):
        shop.add(file_of(scene(seed)))
    told: list[tuple[int, int]] = []
    extractor = FieldsExtractor()

    describe(shop, extractor, on_progress=lambda done, total: told.append((done, total)))
    shop.add(file_of(scene(9)))
    describe(shop, extractor)

    assert told == [(0, 5), (2, 5), (4, 5), (5, 5)]
    assert extractor.seen == 6
    assert describe(shop, extractor).described == 0
    changed = FieldsExtractor(replace(FieldsAlgorithm(), name="fields-v2"))
    assert describe(shop, changed).described == 6  # another version is made anew, and the first one stays
    with shop.catalog.read() as uow:
        assert uow.features.count_after(0, NAME) == uow.features.count_after(0, "fields-v2") == 6


def test_a_lost_or_altered_file_costs_only_itself(shop: Workshop) -> None:
    ids = [shop.add(file_of(scene(seed))) for seed in range(3)]
    shop.store.path(shop.item(ids[0]).blob_sha256).unlink()
    shop.store.path(shop.item(ids[1]).blob_sha256).write_bytes(b"other bytes")

    report = describe(shop)

    assert report.described == 1
    assert [item_id for item_id, _ in report.failed] == ids[:2]
    assert "missing from the store" in report.failed[0][1]


def test_what_was_withdrawn_is_neither_described_nor_found(shop: Workshop) -> None:
    ids = [shop.add(file_of(scene(1))), shop.add(file_of(faded(1))), shop.add(file_of(scene(2)))]
    withdraw(shop, ids[2])
    assert describe(shop).described == 2
    search = SimilarSearch(FieldsAlgorithm())
    with shop.catalog.read() as uow:
        assert [one.item_id for one in search.like_item(uow, ids[0], 5)] == [ids[1]]

    withdraw(shop, ids[1])

    with shop.catalog.read() as uow:
        assert search.like_item(uow, ids[0], 5) == []
        assert uow.duplicates.pairs(tier=SIMILAR) == []
    assert describe(shop).forgotten == 1
    with shop.catalog.read() as uow:
        assert uow.features.of_item(ids[1], NAME) is None
        assert search.like_item(uow, ids[0], 5) == []
    with pytest.raises(Withdrawn, match="robots"):
        extract_item(shop.catalog, shop.store, FieldsExtractor(), ids[1], search=search)
    withdraw(shop, ids[1], None)
    extract_item(shop.catalog, shop.store, FieldsExtractor(), ids[1], search=search)
    with shop.catalog.read() as uow:
        assert [one.item_id for one in search.like_item(uow, ids[0], 5)] == [ids[1]]


def test_an_open_search_sees_what_others_write(shop: Workshop, address: str) -> None:
    first = shop.add(file_of(scene(1)))
    describe(shop)
    search = SimilarSearch(FieldsAlgorithm())
    with shop.catalog.read() as uow:
        assert search.like_item(uow, first, 5) == []
        # Written after this unit of work began: another thread may load it, this one must not see it or lose it.
        with open_catalog(address) as other, other.write() as writing:
            later = item_without_a_file(writing)
            writing.features.add(later, algorithm=NAME, vector=uow.features.of_item(first, NAME))
        with open_catalog(address) as other, other.read() as reading:
            search.sync(reading)
        assert search.like_item(uow, first, 5) == []
    with shop.catalog.read() as uow:
        assert [one.item_id for one in search.like_item(uow, first, 5)] == [later]


def item_without_a_file(uow: UnitOfWork) -> int:
    uow.blobs.add("e" * 64, size_bytes=1, media_type="image/png")
    given = {"title": None, "creator": None, "license_id": None, "license_url": None}
    return uow.items.add(
        NewItem(blob_sha256="e" * 64, pixel_sha256="e" * 64, width=8, height=8, format="PNG", frames=1, **given)
    )


def test_pairs_much_alike_are_listed_and_never_linked(shop: Workshop) -> None:
    one, other, third = (shop.add(file_of(rgb)) for rgb in (scene(1), faded(1), scene(2)))

    assert describe(shop).pairs == 1

    with shop.catalog.read() as uow:
        (pair,) = uow.duplicates.pairs(tier=SIMILAR, undecided=True)
        assert (pair.first_id, pair.second_id, pair.distance, pair.decision) == (one, other, None, None)
        expected = cosine_of(vector_by_hand(scene(1)), vector_by_hand(faded(1)))
        assert pair.evidence["cosine"] == pytest.approx(expected, abs=2e-3)
        assert uow.duplicates.pairs(undecided=True) == []  # not among the duplicates that wait for a person
        assert [item.near_duplicate_of_id for item in (uow.items.get(i) for i in (one, other, third))] == [None] * 3
        assert uow.duplicates.group_ids() == []
        assert stars.propose(uow, one) is None
    with shop.catalog.write() as uow, pytest.raises(NotFound):
        stars.merge(uow, one, other)  # they are no group

    with shop.catalog.write() as uow:
        stars.decide(uow, one, other, SAME, by="ada")  # a person may
    with shop.catalog.read() as uow:
        assert uow.items.get(other).near_duplicate_of_id == one
        assert [each.decided_by for each in uow.duplicates.pairs()] == ["ada"]


def test_a_pair_that_the_hashes_find_too_becomes_one_of_theirs(shop: Workshop) -> None:
    one, other = (shop.add(file_of(rgb)) for rgb in (scene(1), faded(1)))
    describe(shop)

    with shop.catalog.write() as uow:
        uow.duplicates.record(NewPair(one, other, "review", "edited", 12, "dct256-v1", {"agreement": 0.9}))

    with shop.catalog.read() as uow:
        assert [each.relation for each in uow.duplicates.pairs(undecided=True)] == ["edited"]
        assert uow.duplicates.pairs(tier=SIMILAR) == []


def test_what_is_on_record_about_a_pair_stays(shop: Workshop) -> None:
    one, other = (shop.add(file_of(rgb)) for rgb in (scene(1), faded(1)))
    with shop.catalog.write() as uow:
        stars.decide(uow, one, other, DIFFERENT, by="ada")

    assert describe(shop).pairs == 0

    with shop.catalog.read() as uow:
        pair = uow.duplicates.pair(one, other)
        assert (pair.tier, pair.decision) == (None, DIFFERENT)


@pytest.mark.parametrize("together", [3, 16])
def test_two_that_describe_at_once_lose_no_picture_and_no_pair(
    shop: Workshop, address: str, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract_module, "TOGETHER", together)
    rgbs = [draw(seed) for seed in range(6) for draw in (scene, faded)]
    ids = [shop.add(file_of(rgb)) for rgb in rgbs]
    meet = threading.Barrier(2)
    reports: list[ExtractReport] = []

    def work() -> None:
        first = iter([meet.wait])
        extractor = FieldsExtractor(before=lambda _count: next(first, lambda: None)() and None)
        with open_catalog(address) as catalog:
            reports.append(extract_features(catalog, shop.store, extractor))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    vectors = dict(zip(ids, map(vector_by_hand, rgbs), strict=True))
    alike = {pair for pair in itertools.combinations(ids, 2) if cosine_of(*(vectors[each] for each in pair)) >= 0.97}
    assert len(alike) >= 6
    assert sum(report.described for report in reports) == len(ids)
    with shop.catalog.read() as uow:
        assert uow.features.count_missing(NAME) == 0
        assert {(pair.first_id, pair.second_id) for pair in uow.duplicates.pairs(tier=SIMILAR)} == alike


def test_a_run_that_is_killed_goes_on_where_it_stopped(shop: Workshop, address: str) -> None:
    for seed in range(7):
        shop.add(file_of(scene(seed)))
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "import pipeline.extract as extract\n"
        "from pipeline.catalog.engine import open_catalog\n"
        "from pipeline.store import Store\n"
        "from tests.support.extracting import FieldsExtractor\n"
        "extract.TOGETHER, calls = 2, []\n"
        "def before(count):\n"
        "    calls.append(count)\n"
        "    if len(calls) == 3: os.kill(os.getpid(), signal.SIGKILL)\n"
        "with open_catalog(sys.argv[1]) as catalog:\n"
        "    extract.extract_features(catalog, Store(Path(sys.argv[2])), FieldsExtractor(before=before))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, address, str(shop.root / "store")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    rest = FieldsExtractor()
    describe(shop, rest)

    assert rest.seen == 3
    with shop.catalog.read() as uow:
        assert uow.features.count_after(0, NAME) == 7


def test_a_series_of_pictures_does_not_fill_the_list(shop: Workshop) -> None:
    for shade in range(20):
        shop.add(file_of(np.full((64, 64, 3), 200 + shade, np.uint8)))

    report = describe(shop)

    assert report.pairs <= 20 * extract_module._MOST_PAIRS


def test_a_file_of_ones_own_is_compared_as_if_it_were_kept(tmp_path: Path) -> None:
    (tmp_path / "turned.jpg").write_bytes(file_of(scene(1), "JPEG", quality=95))

    vector = vector_of_file(tmp_path / "turned.jpg", FieldsExtractor(), limits=ImageLimits())

    assert cosine_of(vector, vector_by_hand(scene(1))) > 0.999
