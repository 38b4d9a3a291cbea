"""What a withdrawal means for the pictures that are like it, and what gc leaves of one nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from pipeline.browse.app import create_app
from pipeline.catalog.engine import Catalog, open_catalog
from pipeline.catalog.unit_of_work import UnitOfWork
from pipeline.duplicates import regrouping, stars
from pipeline.duplicates.finding import find_duplicates
from pipeline.duplicates.signatures import Signature, sign
from pipeline.duplicates.withdrawals import refresh_withdrawal
from pipeline.fingerprints import DEFAULT_NEAR_DISTANCE
from pipeline.images import ImageLimits, decode
from pipeline.ingest.ingest import ingest_inbox
from pipeline.ingest.intake import Intake
from pipeline.records import Consent
from pipeline.upkeep.findings import Kind
from pipeline.upkeep.gc import GcReport, _Collecting, collect_garbage
from tests.support.inboxes import FREE, fetched, known, sealed_inbox
from tests.support.items import add_items, found_near, links, withdraw
from tests.support.lively_workspace import Lively
from tests.support.pictures import file_of, scene_file

YES = Consent(True, "none", checked=("robots.txt", "TDMRep", "ai.txt"))


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with open_catalog(tmp_path / "catalog.sqlite3") as opened:
        yield opened


@pytest.fixture
def uow(catalog: Catalog) -> Iterator[UnitOfWork]:
    with catalog.write() as opened:
        yield opened


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lively = Lively(tmp_path_factory.mktemp("template") / "workspace")
    lively.catalog.close()
    return lively.root


@pytest.fixture
def shop(template: Path, tmp_path: Path) -> Iterator[Lively]:
    """A copy of the workspace, each test its own: items 1 to 3 of the pictures a, b and c."""
    lively = Lively.copy_of(template, tmp_path / "workspace")
    yield lively
    lively.catalog.close()


def gc(shop: Lively, *, delete: bool = True) -> GcReport:
    return collect_garbage(
        catalog=shop.catalog, store=shop.store, dreams_folder=shop.dreams, thumbnails=shop.workspace.thumbnails,
        locks=shop.workspace.locks, withdrawn_until=datetime.now(UTC), delete=delete,
    )  # fmt: skip


def ingest(shop: Lively, *candidates: tuple[Any, bytes | None]) -> None:
    shop._crawls += 1
    ingest_inbox(
        sealed_inbox(shop.workspace.inbox, candidates, crawl_id=f"crawl-{shop._crawls}"),
        catalog=shop.catalog, store=shop.store, run_id=None, limits=ImageLimits(), near_distance=DEFAULT_NEAR_DISTANCE,
    )  # fmt: skip


def allow(shop: Lively, name: str, item_id: int) -> None:
    with shop.catalog.write() as uow:
        uow.ledger.allow(f"https://example.org/{name}.png", consent={"allowed": True})
        refresh_withdrawal(uow, item_id)


def links_of(shop: Lively) -> dict[int, int | None]:
    with shop.catalog.read() as uow:
        return links(uow)


def signature_of(data: bytes) -> Signature:
    return sign(decode(data).rgb)


def test_the_best_near_duplicate_of_a_withdrawn_picture_stands_for_the_others(shop: Lively, tmp_path: Path) -> None:
    ingest(
        shop,
        (fetched("four.jpg", license=FREE), scene_file(1, "JPEG", quality=30)),
        (fetched("five.jpg", license=FREE), scene_file(1, "JPEG", quality=95)),
    )
    with shop.catalog.write() as uow:
        uow.tags.add(4, "boat")
        uow.tags.add(1, "boat")
    assert links_of(shop) == {1: None, 2: None, 3: None, 4: 1, 5: 1}

    shop.withdraw("a")

    assert links_of(shop) == {1: None, 2: None, 3: None, 4: 5, 5: None}
    client = TestClient(
        create_app(catalog=shop.catalog, store=shop.store, thumbnails=tmp_path / "thumbnails"),
        base_url="http://127.0.0.1",
    )
    shown = {tile["public_id"] for tile in client.get("/api/items").json()["items"]}
    assert shown == {"i2", "i3", "i5"}
    with shop.catalog.read() as uow:
        assert uow.items.representative_ids() == [2, 3, 5]
        assert uow.tags.counts() == [("boat", 1)]
    # Nor is one that comes later linked to it.
    ingest(shop, (fetched("six.jpg", license=FREE), scene_file(1, "JPEG", quality=60)))
    assert links_of(shop)[6] == 5

    ingest(shop, (known("a.png", consent=YES), None))
    assert links_of(shop) == {1: 5, 2: None, 3: None, 4: 5, 5: None, 6: 5}
    assert shop.fsck().findings == ()


def test_one_that_comes_while_all_like_it_are_withdrawn_stands_alone_until_they_are_back(shop: Lively) -> None:
    shop.withdraw("b")
    ingest(shop, (fetched("four.jpg", license=FREE), scene_file(2, "JPEG", quality=60)))
    assert links_of(shop) == dict.fromkeys((1, 2, 3, 4))

    ingest(shop, (known("b.png", consent=YES), None))

    assert links_of(shop) == {1: None, 2: 4, 3: None, 4: None}


def test_it_stands_again_for_those_that_only_it_held_together(uow: UnitOfWork) -> None:
    add_items(uow, 4)
    for member in (2, 3, 4):
        found_near(uow, 1, member)
    found_near(uow, 2, 4, link=False)
    stars.decide(uow, 2, 4, "different", by="ada")
    assert links(uow) == {1: None, 2: 1, 3: 1, 4: None}
    withdraw(uow, 1)
    with_nobody = {1: None, 2: None, 3: None, 4: None}
    regrouping.leave(uow, 1)
    assert links(uow) == with_nobody

    refresh_withdrawal(uow, 1)  # no address of it is withdrawn

    assert links(uow) == {1: None, 2: 1, 3: 1, 4: None}


def test_what_a_person_says_of_a_withdrawn_picture_holds_when_it_is_back(uow: UnitOfWork) -> None:
    add_items(uow, 4)
    found_near(uow, 1, 3)
    withdraw(uow, 1)
    regrouping.leave(uow, 1)

    stars.decide(uow, 1, 2, "same", by="ada")
    stars.decide(uow, 1, 3, "different", by="ada")
    stars.decide(uow, 1, 4, "same", by="ada")
    assert links(uow) == dict.fromkeys((1, 2, 3, 4))
    refresh_withdrawal(uow, 1)

    assert links(uow)[3] is None
    assert len({representative or item for item, representative in links(uow).items() if item != 3}) == 1


def test_two_that_were_said_to_be_the_same_as_a_withdrawn_one_stay_together(uow: UnitOfWork) -> None:
    add_items(uow, 3)
    for member in (2, 3):
        stars.decide(uow, 1, member, "same", by="ada")
    withdraw(uow, 1)

    regrouping.leave(uow, 1)

    assert links(uow) == {1: None, 2: None, 3: 2}


def test_fsck_shows_what_an_older_version_left_behind_a_withdrawn_picture(shop: Lively) -> None:
    shop.withdraw("a")
    with shop.catalog.write() as uow:
        found_near(uow, 1, 2)
        found_near(uow, 1, 3)
        found_near(uow, 2, 3, link=False)

    (found,) = shop.fsck().findings
    assert (found.kind, found.subject, found.mended) == (Kind.HIDDEN_STAR, "i1", False)
    (mended,) = shop.fsck(mend=True).findings

    assert mended.mended
    assert links_of(shop) == {1: None, 2: None, 3: 2}
    assert shop.fsck().findings == ()


def test_gc_leaves_nothing_in_the_catalog_to_recognize_a_picture_by(shop: Lively) -> None:
    with shop.catalog.write() as uow:
        for item_id in (1, 2):
            uow.features.add(item_id, algorithm="any", vector=bytes(8))
        found_near(uow, 1, 2, link=False)
    shop.withdraw("a")

    def known_of(table: str) -> list[int]:
        with shop.catalog.read() as uow:
            return list(uow.session.scalars(text(f"SELECT item_id FROM {table} ORDER BY item_id")))

    assert (gc(shop, delete=False).traces, known_of("signature")) == (1, [1, 2, 3])
    assert gc(shop).traces == 1

    assert [known_of(table) for table in ("signature", "fingerprint", "feature")] == [[2, 3], [2, 3], [2]]
    with shop.catalog.read() as uow:
        assert uow.duplicates.pair(1, 2) is not None
    assert gc(shop).traces == 0
    report = find_duplicates(shop.catalog, shop.store, near_distance=80, sign=signature_of)
    assert (report.signed, report.unreadable) == (0, 0)


def test_what_is_withdrawn_while_it_is_signed_is_not_recorded(shop: Lively) -> None:
    with shop.catalog.write() as uow:
        uow.duplicates.forget(1)

    def sign_late(data: bytes) -> Signature:
        shop.withdraw("a")
        gc(shop)
        return signature_of(data)

    find_duplicates(shop.catalog, shop.store, near_distance=80, sign=sign_late)

    with shop.catalog.read() as uow:
        assert uow.duplicates.views([1, 2], "dct256-v1").keys() == {2}


def test_others_may_write_while_gc_looks_at_the_files(shop: Lively, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.withdraw("a")
    look = _Collecting._stored

    def write_meanwhile(work: _Collecting, sha256: str) -> tuple[Path, ...]:
        with shop.catalog.write() as uow:
            uow.tags.add(2, "meanwhile")
        return look(work, sha256)

    monkeypatch.setattr(_Collecting, "_stored", write_meanwhile)

    gc(shop)

    assert not shop.stored(1).exists()


def test_what_comes_to_be_of_use_before_gc_marks_it_stays(shop: Lively, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.withdraw("a")
    shop.withdraw("b")
    mark = _Collecting.mark

    def allow_first(work: _Collecting, garbage: Any) -> None:
        allow(shop, "b", 2)
        mark(work, garbage)

    monkeypatch.setattr(_Collecting, "mark", allow_first)

    gc(shop)

    assert (shop.stored(1).exists(), shop.stored(2).exists()) == (False, True)
    assert shop.fsck().findings == ()


def again(name: str) -> bytes:
    """A file with the same pixels and other bytes."""
    return file_of(decode(Lively.bytes_of(name)).rgb, "WEBP", lossless=True)


@pytest.mark.parametrize("data", [Lively.bytes_of("a"), again("a")], ids=["same bytes", "same pixels"])
def test_what_was_let_go_of_does_not_come_back_from_another_address(shop: Lively, data: bytes) -> None:
    shop.withdraw("a")
    gc(shop)
    stored = set(shop.store.digests())

    ingest(shop, (fetched("elsewhere.png"), data))

    assert set(shop.store.digests()) == stored
    with shop.catalog.read() as uow:
        assert len(uow.sightings.of_item(1)) == 2
    assert shop.fsck().findings == ()
    assert gc(shop).garbage == ()
    # Once its site has changed its mind it is kept again, wherever it is met.
    allow(shop, "a", 1)
    ingest(shop, (fetched("third.png"), data), (fetched("a.png"), shop.bytes_of("a")))
    assert shop.stored(1).exists()
    assert [each for each in shop.fsck().findings if each.subject != "d1"] == []  # a dream is made anew by replay


@pytest.mark.parametrize("ends_usable", [False, True])
def test_what_happens_between_the_file_and_its_row_decides(shop: Lively, ends_usable: bool) -> None:
    intake = Intake(shop.catalog, shop.store, run_id=None, examiner=cast("Any", None), near_distance=1)
    if ends_usable:
        shop.withdraw("b")
        gc(shop)
    ready = intake.ready(fetched("elsewhere.png"), intake.begin(shop.bytes_of("b")))
    if ends_usable:
        assert not shop.stored(2).exists()
        allow(shop, "b", 2)
    else:
        shop.withdraw("b")
        gc(shop)
        shop.store.put(shop.bytes_of("b"))  # as if this writer's file had come after gc

    intake.take([ready])

    assert shop.stored(2).exists() is ends_usable
    assert shop.fsck().findings == ()


def test_the_item_page_says_that_a_person_linked_two(shop: Lively, tmp_path: Path) -> None:
    with shop.catalog.write() as uow:
        stars.decide(uow, 1, 2, "same", by="ada")
    app = create_app(catalog=shop.catalog, store=shop.store, thumbnails=tmp_path / "thumbnails")

    page = TestClient(app, base_url="http://127.0.0.1").get("/items/i2").text

    assert "by your decision" in page
    assert "None bits" not in page
