from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from pipeline.browse import readers
from pipeline.browse.app import create_app
from pipeline.catalog.tables import ItemRow
from pipeline.duplicates.similar import SimilarSearch
from pipeline.extract import extract_features
from tests.support.extracting import FieldsAlgorithm, FieldsExtractor
from tests.support.gallery import BASE, HOSTILE_TITLE, add, client_of, hostile_entry, page_of
from tests.support.inverting import Workshop, workshop
from tests.support.pictures import file_of, scene


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    """i1; i2 and i3 like it, i2 linked to it as a near duplicate; i4 unlike them; none has features yet."""
    with workshop(tmp_path) as opened:
        add(opened, file_of(scene(1)), {"title": "Mill", "license": "CC0-1.0"}, run_id=None)
        add(opened, file_of(scene(1)[2:, 2:]), {"title": "Linked", "license": "CC0-1.0"}, run_id=None, near=(1, 4))
        add(opened, file_of(scene(1)[4:, 4:]), hostile_entry(), run_id=None)
        add(opened, file_of(255 - scene(1)), {"title": "Negative", "license": "CC0-1.0"}, run_id=None)
        yield opened


def client(shop: Workshop) -> TestClient:
    app = create_app(
        catalog=shop.catalog,
        store=shop.store,
        thumbnails=shop.root / "thumbnails",
        search=SimilarSearch(FieldsAlgorithm()),
    )
    return TestClient(app, base_url=BASE, raise_server_exceptions=False)


def similar_to(browser: TestClient, item: str) -> list[str]:
    return [one["public_id"] for one in browser.get(f"/api/items/{item}").json()["similar"]]


def test_a_pictures_page_shows_what_is_like_it_once_there_are_features(shop: Workshop) -> None:
    browser = client(shop)
    assert "Similar pictures" not in browser.get("/items/i1").text
    extract_features(shop.catalog, shop.store, FieldsExtractor())

    page = browser.get("/items/i1").text

    assert "Similar pictures" in page
    assert similar_to(browser, "i1") == ["i3"]  # its near duplicate has a row of its own; what is unlike is left out
    assert similar_to(browser, "i3") == ["i2", "i1"]
    assert similar_to(browser, "i4") == []
    assert "Similar pictures" not in browser.get("/items/i4").text
    assert 'href="/items/i3"' in page
    assert HOSTILE_TITLE not in page
    page_of(browser, "/items/i1")


def test_what_was_withdrawn_is_not_shown(shop: Workshop) -> None:
    extract_features(shop.catalog, shop.store, FieldsExtractor())
    browser = client(shop)
    assert similar_to(browser, "i1") == ["i3"]

    with shop.catalog.write() as uow:
        row = uow.session.get(ItemRow, 3)
        row.withdrawn_at, row.withdrawn_reason = datetime(2026, 1, 1, tzinfo=UTC), "robots.txt"

    assert similar_to(browser, "i1") == []


def test_a_gallery_without_a_search_or_of_too_many_pictures_shows_none(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract_features(shop.catalog, shop.store, FieldsExtractor())

    assert similar_to(client_of(shop), "i1") == []
    monkeypatch.setattr(readers, "MOST_COMPARED", 3)
    assert similar_to(client(shop), "i1") == []
