from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.browse.state import View, read_view
from pipeline.catalog.gallery_values import Cursor, GalleryFilter, Sort
from tests.support.gallery import client_of, fill, page_of, photographs
from tests.support.html_pages import Page
from tests.support.inverting import Workshop, workshop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Ten photographs, two near duplicates, seven dreams, one run."""
    with workshop(tmp_path_factory.mktemp("grid")) as opened:
        fill(opened, photographs()[:10])
        yield opened


@pytest.fixture(scope="module")
def client(shop: Workshop) -> TestClient:
    return client_of(shop)


@settings(max_examples=15, deadline=None)
@given(
    per_page=st.integers(1, 14),
    sort=st.sampled_from(["newest", "oldest", "largest"]),
    near=st.sampled_from(["", "show"]),
)
def test_next_and_previous_visit_each_picture_once(client, per_page, sort, near):
    def ids(page: Page) -> list[str]:
        return [urlsplit(link["href"]).path for link in page.all("a") if "data-tile" in link.attributes]

    def follow(page: Page, relation: str) -> str | None:
        return next((link["href"] for link in page.all("a") if link["rel"] == relation), None)

    pages = [page_of(client, f"/?per={per_page}&sort={sort}&near={near}")]
    while url := follow(pages[-1], "next"):
        pages.append(page_of(client, url))
    back = [pages[-1]]
    while url := follow(back[-1], "prev"):
        back.append(page_of(client, url))

    forth = [each for page in pages for each in ids(page)]
    assert len(forth) == len(set(forth)) == (12 if near else 10)
    assert [each for page in reversed(back) for each in ids(page)] == forth


def test_a_filter_shows_as_many_pictures_as_its_menu_says(client):
    start = page_of(client, "/")
    checked = 0
    for link in start.all("a"):
        query = parse_qs(urlsplit(link["href"]).query)
        if urlsplit(link["href"]).path == "/" and set(query) & {"keyword", "source", "license", "preset", "dreamed"}:
            shown = page_of(client, link["href"])
            tiles = [each for each in shown.all("a") if "data-tile" in each.attributes]
            assert f"{len(tiles)} picture" in shown.text
            assert tiles
            checked += 1

    assert checked > 10


def test_lifting_a_filter_keeps_the_others(client):
    page = page_of(client, "/?keyword=animal&dreamed=yes&sort=oldest")
    chips = [link["href"] for link in page.all("a") if link["title"] == "Lift this filter"]

    assert [parse_qs(urlsplit(chip).query) for chip in chips] == [
        {"dreamed": ["yes"], "sort": ["oldest"]},
        {"keyword": ["animal"], "sort": ["oldest"]},
    ]


def test_a_search_keeps_the_filters_and_the_filters_keep_the_search(client):
    page = page_of(client, "/?q=Chelsea&dreamed=yes&after=9")
    hidden = {field["name"]: field["value"] for field in page.all("input") if field["type"] == "hidden"}
    order = next(link["href"] for link in page.all("a") if link.text == "Oldest first" or "sort=oldest" in link["href"])

    assert hidden == {"dreamed": "yes"}
    assert parse_qs(urlsplit(order).query) == {"q": ["Chelsea"], "dreamed": ["yes"], "sort": ["oldest"]}


def test_a_tile_shows_its_dream_first_and_holds_its_original(client, shop):
    page = page_of(client, "/")
    with shop.catalog.read() as uow:
        dream = uow.derivations.of_item(1)[-1]
        item = uow.items.get(1)
    assert item is not None
    images = {image["src"]: image for image in page.all("img")}

    front = images[f"/media/thumb/{dream.blob_sha256}?side=480"]
    back = images[f"/media/thumb/{item.blob_sha256}?side=480"]
    assert (front["class"], back["class"]) == ("front", "back")
    assert front["alt"] == f"Dream of {item.title}"
    assert (int(front["width"]), int(front["height"])) == (dream.width, dream.height)


def test_near_duplicates_are_hidden_in_the_gallery_and_shown_with_their_picture(client, shop):
    with shop.catalog.read() as uow:
        near = next(item for item in uow.items.list() if item.near_duplicate_of_id == 1)

    tiles = [link["href"] for link in page_of(client, "/").all("a") if "data-tile" in link.attributes]
    assert f"/items/i{near.id}" not in tiles
    assert f"/items/i{near.id}" in page_of(client, "/items/i1").links
    page = page_of(client, f"/items/i{near.id}")
    assert "/items/i1" in page.links
    assert f"{near.near_duplicate_distance} bits differ" in page.text


def test_an_empty_gallery_says_what_to_run(tmp_path):
    with workshop(tmp_path) as shop:
        client = client_of(shop)

        assert "dreamcrawl demo" in page_of(client, "/").text
        assert "dreamcrawl demo" in page_of(client, "/runs").text
        assert "No picture matches" in page_of(client, "/?q=cat").text


def test_a_place_past_the_end_offers_the_way_back(client):
    page = page_of(client, "/?after=1&keyword=animal")

    assert "No more pictures" in page.text
    assert "/?keyword=animal" in page.links


def test_a_view_is_read_back_from_its_own_address():
    view = View(
        wanted=GalleryFilter(
            words=("a", "b"),
            keyword="caf\u00e9 & cr\u00e8me",
            source="folder",
            license_id="CC0-1.0",
            preset="x=y",
            dreamed=False,
            near_duplicates=True,
            run_id=3,
            tag="for print",
            stars=4,
        ),
        text="a b",
        sort=Sort.LARGEST,
        per_page=20,
        after=Cursor(7, 4800),
    )
    for each in (view, replace(view, after=None, before=Cursor(8, 1)), View()):
        query = {name: values[0] for name, values in parse_qs(urlsplit(each.url()).query).items()}
        assert read_view(query) == each
