"""The gallery's filter by licence takes the words that every command takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.support.gallery import client_of
from tests.support.inverting import picture, workshop

LICENSES = ("CC-BY-3.0", "CC-BY-3.0-US", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-ND-4.0", "CC0-1.0", "unknown", None)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root: Path = tmp_path_factory.mktemp("licences")
    with workshop(root) as shop:
        for number, license_id in enumerate(LICENSES):
            shop.add(picture(number), license_id=license_id)
        yield client_of(shop)


@pytest.mark.parametrize(
    ("asked", "items"),
    [
        ("CC-BY", [1, 2]),
        ("cc by 3.0", [1, 2]),
        ("CC-BY-3.0-US", [2]),
        ("shareable", [1, 2, 3, 4, 5, 6]),
        ("adaptable", [1, 2, 3, 4, 6]),
        ("commercial", [1, 2, 3, 6]),
        ("unknown", [7, 8]),
        ("any", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("PDM", []),
    ],
)
def test_pictures_are_shown_by_the_same_words(client: TestClient, asked: str, items: list[int]) -> None:
    found = client.get("/api/items", params={"license": asked, "sort": "oldest"}).json()

    assert [each["item_id"] for each in found["items"]] == items
    assert found["total"]["number"] == len(items)
    assert client.get("/", params={"license": asked, "sort": "largest"}).status_code == 200


def test_a_dream_may_be_passed_on_by_what_is_known_of_its_picture_today(tmp_path: Path) -> None:
    def told(client: TestClient) -> str:
        return client.get("/items/i1").text.partition("Passing the dream on:")[2].partition("</p>")[0]

    with workshop(tmp_path) as shop:
        shop.dream(shop.add(picture(1), license_id="CC-BY-SA-4.0"))
        client = client_of(shop)
        before = told(client)
        with shop.catalog.write() as uow:
            uow.items.change_license(1, "unknown", None)
        after = told(client)

    assert "share it under CC BY-SA 4.0" in before
    assert "keep this picture private" in after


def test_a_wrong_word_is_told_with_what_comes_near(client: TestClient) -> None:
    answer = client.get("/api/items", params={"license": "comercial"})

    assert answer.status_code == 400
    assert "did you mean commercial?" in answer.json()["error"]
