"""Withdrawn pictures: what makes them so, what brings them back, and who no longer sees them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pipeline.browse.app import create_app
from pipeline.catalog.values import Item, ItemFilter
from pipeline.errors import Reason
from pipeline.provenance.verify import verify_all
from pipeline.records import Consent
from pipeline.stylize import sizes_to_render, stylize_items
from tests.support.inboxes import FREE, failed, fetched, known, refused
from tests.support.ingesting import IngestWorkshop
from tests.support.inverting import InvertingRenderer
from tests.support.pictures import scene_file

NO = Consent(False, "ai.txt", "Disallow: *.png", "https://example.org/ai.txt", "2026-11-22T10:00:00+00:00")
NO_IN_HEADERS = Consent(False, "X-Robots-Tag", "X-Robots-Tag: noai", "https://example.org/a.png", in_headers=True)
UNREAD = Consent(False, "not read", "robots.txt could not be read: HTTP 503", "https://example.org/robots.txt")
YES = Consent(True, "none", checked=("robots.txt", "TDMRep", "ai.txt"))
YES_BY_HEADERS = Consent(True, "none", checked=("robots.txt", "TDMRep", "ai.txt", "X-Robots-Tag"))


class Workshop(IngestWorkshop):
    def item(self, item_id: int = 1) -> Item:
        with self.catalog.read() as uow:
            item = uow.items.get(item_id)
        assert item is not None
        return item

    def state(self, name: str) -> str:
        url = f"https://example.org/{name}"
        with self.catalog.read() as uow:
            return uow.ledger.known([url])[url].state

    def opt_out(self, name: str = "a.png", consent: Consent | None = NO, **facts: Any) -> None:
        self.ingest((refused(name, Reason.OPT_OUT, consent=consent, **facts), None))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    workshop = Workshop(tmp_path)
    workshop.ingest((fetched("a.png", consent=YES_BY_HEADERS, source_id="s1", license=FREE), scene_file(1)))
    yield workshop
    workshop.catalog.close()


def test_an_opt_out_withdraws_and_keeps_the_words_place_and_time(shop: Workshop) -> None:
    shop.opt_out()
    first = shop.item()
    shop.opt_out()

    with shop.catalog.read() as uow:
        (sighting,) = uow.sightings.of_item(1)
    assert first.withdrawn_at is not None
    assert first.withdrawn_reason == "robots.txt says no (https://example.org/a.png)"
    assert shop.item().withdrawn_at == first.withdrawn_at
    assert shop.state("a.png") == "withdrawn"
    assert sighting.consent is not None
    assert (sighting.consent["rule"], sighting.consent["where"]) == ("ai.txt", "https://example.org/ai.txt")


@pytest.mark.parametrize("consent", [UNREAD, None])
def test_a_refusal_that_is_no_opt_out_withdraws_nothing(shop: Workshop, consent: Consent | None) -> None:
    shop.opt_out(consent=consent)
    shop.ingest((failed("a.png"), None))

    assert shop.item().withdrawn_at is None
    assert shop.state("a.png") == "kept"


def test_an_opt_out_of_what_is_not_here_is_only_a_refusal(shop: Workshop) -> None:
    shop.opt_out("other.png")

    assert shop.state("other.png") == "refused"
    assert shop.item().withdrawn_at is None


@pytest.mark.parametrize("back", ["known", "fetched"])
def test_the_end_of_an_opt_out_brings_it_back(shop: Workshop, back: str) -> None:
    shop.opt_out()
    record = known("a.png", consent=YES) if back == "known" else fetched("a.png", consent=YES)
    shop.ingest((record, scene_file(1) if back == "fetched" else None))

    assert (shop.item().withdrawn_at, shop.item().withdrawn_reason) == (None, None)
    assert shop.state("a.png") == "kept"


def test_a_sighting_without_a_verdict_or_a_passing_failure_brings_nothing_back(shop: Workshop) -> None:
    shop.opt_out()
    shop.ingest((known("a.png"), None), (failed("a.png"), None), (refused("a.png", consent=UNREAD), None))

    assert shop.item().withdrawn_at is not None
    assert shop.state("a.png") == "withdrawn"


def test_what_headers_said_only_headers_unsay(shop: Workshop) -> None:
    shop.opt_out(consent=NO_IN_HEADERS)
    shop.ingest((known("a.png", consent=YES), None))
    assert shop.item().withdrawn_at is not None

    shop.ingest((known("a.png", consent=YES_BY_HEADERS), None))
    assert shop.item().withdrawn_at is None


def test_an_item_is_withdrawn_as_long_as_any_of_its_addresses_is(shop: Workshop) -> None:
    shop.ingest((fetched("b.png", consent=YES, license=FREE), scene_file(1)))
    shop.opt_out("a.png")
    shop.opt_out("b.png")

    shop.ingest((known("a.png", consent=YES), None))
    assert str(shop.item().withdrawn_reason).endswith("(https://example.org/b.png)")

    shop.ingest((known("b.png", consent=YES), None))
    assert shop.item().withdrawn_at is None


def test_a_picture_that_its_source_calls_by_the_same_name_is_withdrawn_at_its_new_address(shop: Workshop) -> None:
    shop.opt_out("moved.png", source_id="s1")

    assert shop.item().withdrawn_at is not None
    assert (shop.state("a.png"), shop.state("moved.png")) == ("kept", "withdrawn")

    shop.ingest((known("moved.png", consent=YES, sha256=shop.item().blob_sha256), None))
    assert shop.item().withdrawn_at is None


def test_withdrawn_pictures_are_neither_dreamed_on_nor_listed(shop: Workshop, tmp_path: Path) -> None:
    shop.ingest((fetched("b.png", consent=YES, license=FREE), scene_file(2)))
    shop.opt_out()
    renderer = InvertingRenderer()

    report = stylize_items(
        [1, 2],
        renderer=renderer,
        catalog=shop.catalog,
        store=shop.store,
        dreams_folder=tmp_path / "dreams",
        run_id=None,
    )

    assert (report.made, report.skipped) == (1, ((1, "withdrawn: robots.txt says no (https://example.org/a.png)"),))
    assert len(sizes_to_render([1], identity=renderer.identity, catalog=shop.catalog)) == 0
    with shop.catalog.read() as uow:
        assert uow.items.representative_ids() == [2]
        assert [item.id for item in uow.items.list(ItemFilter(withdrawn=False))] == [2]
        assert [item.id for item in uow.items.list(ItemFilter(withdrawn=True))] == [1]
        assert uow.items.count() == 2


def test_the_gallery_shows_a_withdrawn_picture_and_its_dreams_to_nobody_and_says_why(
    shop: Workshop, tmp_path: Path
) -> None:
    shop.ingest((fetched("b.png", consent=YES, license=FREE), scene_file(2)))
    stylize_items(
        [1, 2],
        renderer=InvertingRenderer(),
        catalog=shop.catalog,
        store=shop.store,
        dreams_folder=tmp_path / "d",
        run_id=None,
    )
    with shop.catalog.read() as uow:
        dream = uow.derivations.of_item(1)[0]
    app = create_app(catalog=shop.catalog, store=shop.store, thumbnails=tmp_path / "thumbnails")
    client = TestClient(app, base_url="http://127.0.0.1")
    addresses = [
        "/items/i1",
        f"/items/i1?dream=d{dream.id}",
        f"/dreams/d{dream.id}",
        "/api/items/i1",
        f"/api/derivations/d{dream.id}/manifest",
        f"/media/original/{shop.item().blob_sha256}",
        f"/media/thumb/{shop.item().blob_sha256}",
        f"/media/dream/{dream.blob_sha256}",
        f"/media/thumb/{dream.blob_sha256}",
    ]
    assert {client.get(address).status_code for address in addresses} == {200}

    shop.opt_out()

    for address in addresses:
        answer = client.get(address, headers={"If-None-Match": "*"})
        assert answer.status_code == 410, address
        assert "robots.txt says no" in answer.text
    listed = client.get("/api/items").json()
    assert ([tile["public_id"] for tile in listed["items"]], listed["total"]["number"]) == (["i2"], 1)
    assert shop.item().blob_sha256 not in client.get("/").text
    assert client.get("/api/items/i2").status_code == 200


def test_a_near_duplicate_of_a_withdrawn_picture_stands_alone(shop: Workshop, tmp_path: Path) -> None:
    shop.ingest((fetched("near.jpg", consent=YES, license=FREE), scene_file(1, "JPEG", quality=60)))
    assert shop.item(2).near_duplicate_of_id == 1
    shop.opt_out()
    app = create_app(catalog=shop.catalog, store=shop.store, thumbnails=tmp_path / "thumbnails")

    found = TestClient(app, base_url="http://127.0.0.1").get("/api/items/i2?near=show").json()

    assert found["near_group"] == ["i2"]


def test_what_is_withdrawn_can_still_be_verified(shop: Workshop, tmp_path: Path) -> None:
    stylize_items(
        [1],
        renderer=InvertingRenderer(),
        catalog=shop.catalog,
        store=shop.store,
        dreams_folder=tmp_path / "d",
        run_id=None,
    )
    shop.opt_out()

    report = verify_all(catalog=shop.catalog, store=shop.store, dreams_folder=tmp_path / "d")

    assert report.ok
    assert set(report.subjects) == {"i1", "d1"}
