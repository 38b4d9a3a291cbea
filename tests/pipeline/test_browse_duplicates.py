from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from pipeline.browse import readers
from pipeline.catalog.duplicate_values import DIFFERENT, NewPair
from pipeline.catalog.tables import ItemRow
from tests.support.gallery import HOSTILE_TITLE, add, client_of, hostile_entry, page_of
from tests.support.inverting import Workshop, workshop
from tests.support.pictures import file_of, scene

REVIEW = {"tier": "review", "algorithm": "dct256-v1", "evidence": {}}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    """i1 to i4; i2 seems to be i1 mirrored, i4 to be i3 turned, and i4 was linked to i1."""
    with workshop(tmp_path) as opened:
        add(opened, file_of(scene(1)), {"title": "Mill", "license": "CC0-1.0"}, run_id=None)
        add(opened, file_of(scene(1)[:, ::-1].copy()), hostile_entry(), run_id=None)
        add(opened, file_of(scene(3)), {"title": "Lake"}, run_id=None)
        add(opened, file_of(scene(4)), {"title": "Linked"}, run_id=None, near=(1, 7))
        with opened.catalog.write() as uow:
            uow.duplicates.record(NewPair(1, 2, relation="mirrored", distance=12, **REVIEW))
            uow.duplicates.record(NewPair(1, 4, relation="edited", distance=7, **{**REVIEW, "tier": "near"}))
            uow.duplicates.record(NewPair(2, 3, relation="turned", distance=31, **REVIEW))
        yield opened


def pairs_of(client: TestClient, address: str = "/api/duplicates") -> list[tuple[str, str]]:
    found = client.get(address).json()["pairs"]
    return [(pair["first"]["public_id"], pair["second"]["public_id"]) for pair in found]


def test_pairs_in_doubt_stand_side_by_side_with_the_commands_that_decide(shop: Workshop):
    client = client_of(shop)

    page = page_of(client, "/duplicates")

    assert pairs_of(client) == [("i1", "i2"), ("i2", "i3")]
    assert "mirrored" in page.text
    assert "12 of 256 bits differ" in page.text
    for command in ("decide i1 i2 same", "decide i1 i2 different", "decide i2 i3 same"):
        assert f"dreamcrawl duplicates {command}" in page.text
    assert "Linked" not in page.text
    assert {"/items/i1", "/items/i2", "/items/i3"} <= set(page.links)
    assert " ".join(HOSTILE_TITLE.split()) in page.text


def test_what_is_decided_or_withdrawn_waits_no_longer(shop: Workshop):
    client = client_of(shop)
    with shop.catalog.write() as uow:
        uow.duplicates.decide(1, 2, DIFFERENT, by="me")

    assert pairs_of(client) == [("i2", "i3")]

    with shop.catalog.write() as uow:
        row = uow.session.get(ItemRow, 3)
        row.withdrawn_at, row.withdrawn_reason = datetime(2026, 1, 1, tzinfo=UTC), "robots.txt"

    assert pairs_of(client) == []
    assert "No pair waits for you" in page_of(client, "/duplicates").text


def test_many_pairs_are_a_page_at_a_time(shop: Workshop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(readers, "PAIRS_PER_PAGE", 1)
    client = client_of(shop)

    first = client.get("/api/duplicates").json()
    second = client.get(first["next"]).json()

    assert [pair["first"]["public_id"] for pair in (*first["pairs"], *second["pairs"])] == ["i1", "i2"]
    assert second["next"] is None
    following = next(link for link in page_of(client, "/duplicates").links if "after=" in link)
    assert pairs_of(client, f"/api{following}") == [("i2", "i3")]
    assert "/duplicates" in page_of(client, following).links
    assert "No more pairs" in page_of(client, "/duplicates?after=99").text
    assert client.get("/duplicates?after=x").status_code == 400


def test_every_page_leads_to_the_pairs_in_doubt(shop: Workshop):
    client = client_of(shop)

    for address in ("/", "/runs", "/items/i1"):
        assert "/duplicates" in page_of(client, address).links
