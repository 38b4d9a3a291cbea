"""Headers, host names, methods, wrong addresses, and the JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime

import pytest
from fastapi.testclient import TestClient

from pipeline.browse import readers
from pipeline.browse.security import host_name
from tests.support.gallery import client_of, fill, photographs
from tests.support.inverting import Workshop, workshop

ROUTES = (
    "/",
    "/items/i1",
    "/dreams/d1",
    "/runs",
    "/runs/r1",
    "/api/items",
    "/api/items/i1",
    "/api/runs",
    "/api/runs/r1",
    "/api/derivations/d1/manifest",
    "/static/gallery.css",
    "/static/gallery.js",
    "/static/icon.svg",
    "/nowhere",
    "/?sort=nonsense",
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with workshop(tmp_path_factory.mktemp("answers")) as opened:
        fill(opened, photographs()[:7])
        yield opened


@pytest.fixture(scope="module")
def client(shop: Workshop) -> TestClient:
    return client_of(shop)


def media_routes(shop: Workshop) -> list[str]:
    with shop.catalog.read() as uow:
        item, dream = uow.items.get(1), uow.derivations.get(1)
    assert item is not None
    assert dream is not None
    original = item.blob_sha256
    return [f"/media/thumb/{original}", f"/media/original/{original}", f"/media/dream/{dream.blob_sha256}"]


def assert_guarded(headers) -> None:
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "img-src": "'self'",
        "style-src": "'self'",
        "script-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_every_answer_carries_the_security_headers(client, shop):
    for route in (*ROUTES, *media_routes(shop)):
        for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS"):
            assert_guarded(client.request(method, route).headers)
        assert_guarded(client.get(route, headers={"Host": "evil.example"}).headers)


def test_every_route_answers_get_and_head_alike_and_nothing_else(client, shop):
    for route in (*ROUTES[:-2], *media_routes(shop)):
        shown, told = client.get(route), client.head(route)
        assert shown.status_code == told.status_code in {200, 302}, route
        assert shown.headers.get("content-type") == told.headers.get("content-type")
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            answer = client.request(method, route)
            assert answer.status_code == 405, (method, route)
            assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("bound", "let_in", "kept_out"),
    [
        (
            "127.0.0.1",
            ["127.0.0.1", "127.0.0.1:8700", "localhost:9", "LOCALHOST", "[::1]", "[::1]:8700", "localhost."],
            [
                "evil.example",
                "127.0.0.1.evil.example",
                "192.168.1.5",
                "",
                "[::1",
                "localhost:80:80",
                "localhost:x",
                "@",
            ],
        ),
        ("gallery.lan", ["gallery.lan:8700", "Gallery.LAN", "localhost"], ["lan", "evil.gallery.lan", "10.0.0.2"]),
        ("0.0.0.0", ["192.168.1.5:8700", "[fe80::1]:8700", "localhost"], ["evil.example", "192.168.1.5.nip.example"]),
        ("::", ["10.0.0.2", "[::1]"], ["evil.example"]),
    ],
)
def test_only_the_gallerys_own_names_are_answered(shop, bound, let_in, kept_out):
    client = client_of(shop, host=bound)
    for host in let_in:
        assert client.get("/runs", headers={"Host": host}).status_code == 200, host
    for host in kept_out:
        for route in ("/runs", "/static/icon.svg", media_routes(shop)[0]):
            answer = client.get(route, headers={"Host": host})
            assert answer.status_code == 400, host
            assert "My pictures" not in answer.text


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("a.example:80", "a.example"),
        ("[::1]:80", "::1"),
        ("[::1]", "::1"),
        ("[a.example]", None),
        ("[::1]x", None),
        ("a:b", None),
        (":80", None),
        ("", None),
    ],
)
def test_host_headers_are_taken_apart(header, name):
    assert host_name(header) == name


@pytest.mark.parametrize(
    ("url", "status", "words"),
    [
        ("/items/i999", 404, "i999"),
        ("/items/i1?dream=d999", 404, "d999"),
        ("/items/i2?dream=d1", 404, "d1"),
        ("/dreams/d999", 404, "d999"),
        ("/runs/r999", 404, "r999"),
        ("/nowhere", 404, "no such page"),
        ("/static/../app.py", 404, "no such page"),
        ("/static/app.py", 404, "app.py"),
        ("/items/banana", 400, "i12"),
        ("/items/i0", 404, "no i0"),
        *((f"/items/i{digits}", 404, "no i") for digits in (2**31, "9" * 20, "9" * 30, "9" * 5000)),
        *((f"/dreams/d{digits}", 404, "no d") for digits in (2**31, "9" * 30)),
        *((f"/runs/r{digits}", 404, "no r") for digits in (2**31, "9" * 30)),
        (f"/items/i1?dream=d{'9' * 30}", 404, "no d"),
        (f"/?run=r{'9' * 30}", 404, "no r"),
        (f"/runs?before=r{'9' * 30}", 404, "no r"),
        (f"/runs/r1?after={'9' * 30}", 404, "no 9"),
        (f"/?after={'9' * 30}", 400, "no place"),
        ("/?after=1-9999999999&sort=largest", 400, "no place"),
        ("/?after=\u0661", 400, "no place"),
        ("/items/\u0661", 400, "i12"),
        ("/runs/r1?after=x", 400, "id"),
        ("/runs?before=x", 400, "r12"),
        ("/?sort=nonsense", 400, "newest, oldest, largest"),
        ("/?dreamed=maybe", 400, "yes, no"),
        ("/?near=2", 400, "show, hide"),
        ("/?per=0", 400, "1 to 200"),
        ("/?per=9999", 400, "1 to 200"),
        ("/?after=1&before=2", 400, "both"),
        ("/?after=1;drop", 400, "no place"),
        ("/?after=5&sort=largest", 400, "another order"),
        (f"/?q={'x' * 201}", 400, "200"),
        ("/?run=banana", 400, "r12"),
        ("/?license=zzz", 400, "license"),
    ],
)
def test_a_wrong_address_gets_a_friendly_page(client, url, status, words):
    answer = client.get(url)

    assert answer.status_code == status
    assert words in answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert "Traceback" not in answer.text
    assert '<a href="/">' in answer.text


@pytest.mark.parametrize(
    "url",
    [
        "/?q=%00%01",
        "/?q=%ff%fe",
        "/?q=%25_%27%22",
        "/?keyword=%00",
        "/?a=b",
        "/runs/r1?reason=%00",
        "/runs/r1?reason=a%00b",
        "/runs/r1?reason=%ff%ed%a0%80",
        "/?after=2147483647-2147483647&sort=largest",
    ],
)
def test_odd_searches_find_nothing_and_break_nothing(client, url):
    assert client.get(url).status_code == 200


def test_wrong_addresses_under_api_are_answered_in_json(client):
    for url, status in (("/api/items/i999", 404), ("/api/items?per=0", 400), ("/api/nowhere", 404)):
        answer = client.get(url)
        assert answer.status_code == status
        assert set(answer.json()) == {"error"}
    assert client.post("/api/items").json()["error"].startswith("The gallery only shows")


def test_a_mistake_of_our_own_shows_no_traceback(client, monkeypatch):
    def fail(*_arguments, **_options):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(readers, "read_runs", fail)
    for url in ("/runs", "/api/runs"):
        answer = client.get(url)
        assert answer.status_code == 500
        assert "secret detail" not in answer.text
        assert "Traceback" not in answer.text
        assert_guarded(answer.headers)


def test_the_json_of_pictures_is_that_of_the_catalog(client, shop):
    answer = client.get("/api/items?near=show&per=200").json()
    with shop.catalog.read() as uow:
        items = {item.id: item for item in uow.items.list()}
        dreams = {item_id: uow.derivations.of_item(item_id) for item_id in items}

    assert answer["total"] == {"number": len(items), "capped": False}
    assert [entry["item_id"] for entry in answer["items"]] == sorted(items, reverse=True)
    for entry in answer["items"]:
        item = items[entry["item_id"]]
        assert entry["public_id"] == f"i{item.id}"
        assert (entry["sha256"], entry["title"], entry["width"]) == (item.blob_sha256, item.title, item.width)
        assert datetime.fromisoformat(entry["created_at"]) == item.created_at
        assert (entry["dream"] and entry["dream"]["id"]) == (dreams[item.id][-1].id if dreams[item.id] else None)


def test_the_json_pages_follow_one_another(client):
    url, seen = "/api/items?per=3&sort=largest", []
    while url:
        answer = client.get(url).json()
        seen += [entry["item_id"] for entry in answer["items"]]
        url = answer["next"]

    assert len(seen) == len(set(seen)) == 7


def test_the_json_of_a_picture_holds_all_of_it(client, shop):
    answer = client.get("/api/items/i1").json()
    with shop.catalog.read() as uow:
        item, dreams, sightings = uow.items.get(1), uow.derivations.of_item(1), uow.sightings.of_item(1)
    assert item is not None

    assert (answer["pixel_sha256"], answer["license"]["id"]) == (item.pixel_sha256, item.license_id)
    assert [each["public_id"] for each in answer["derivations"]] == [f"d{each.id}" for each in reversed(dreams)]
    assert answer["derivations"][0]["recipe"] == dict(dreams[-1].recipe)
    assert [each["image_url"] for each in answer["sightings"]] == [each.image_url for each in sightings]
    assert answer["near_group"][0] == "i1"
    assert client.get(answer["original_url"]).status_code == 200


def test_the_json_of_runs_is_that_of_the_catalog(client, shop):
    with shop.catalog.read() as uow:
        run = uow.runs.get(1)
    assert run is not None

    listed, one = client.get("/api/runs").json(), client.get("/api/runs/r1").json()
    assert [each["public_id"] for each in listed["runs"]] == ["r1"]
    assert one["counters"] == dict(run.counters)
    assert sum(each["count"] for each in one["reasons"]) == len(one["rejections"]) == 17
    assert "process" not in one
    assert client.get(one["items"]).json()["total"]["number"] == 9


def test_a_manifests_file_has_the_digest_on_record(client, shop):
    with shop.catalog.read() as uow:
        for dream in uow.derivations.list():
            answer = client.get(f"/api/derivations/d{dream.id}/manifest")
            assert hashlib.sha256(answer.content).hexdigest() == dream.manifest_sha256
            assert json.loads(answer.content) == dict(dream.manifest)
            assert answer.headers["content-type"] == "application/json"


def test_a_run_with_odd_counters_is_shown_all_the_same(shop, client):
    odd = {"found": "many", "fetched": -3, "accepted": True, "dreamed": 2, "reasons": ["x"], "warnings": "w"}
    with shop.catalog.write() as uow:
        run_id = uow.runs.start("ingest", keywords=(), source=None, parameters={}, process="m:1:0", version="0.1.0")
        uow.runs.finish(run_id, "failed", odd, error="it broke")

    page = client.get(f"/runs/r{run_id}")
    assert page.status_code == 200
    assert "it broke" in page.text
    assert page.text.count('class="fill"') == 1
    assert client.get("/runs").status_code == 200


def test_tags_and_stars_are_shown_and_filter(client, shop):
    with shop.catalog.write() as uow:
        uow.tags.add(1, "for <print>")
        uow.ratings.set(1, 4)

    item = client.get("/api/items/i1").json()
    assert (item["tags"], item["stars"]) == (["for <print>"], 4)
    assert "for &lt;print&gt;" in client.get("/items/i1").text
    for query in ("tag=For+%3Cprint%3E", "stars=3", "q=print"):
        found = client.get(f"/api/items?{query}").json()
        assert [each["item_id"] for each in found["items"]] == [1]
    assert client.get("/api/items?stars=5").json()["items"] == []
    assert client.get("/api/items").json()["facets"]["tags"] == [{"value": "for <print>", "count": 1}]
    assert client.get("/?stars=6").status_code == 400
    with shop.catalog.write() as uow:
        uow.tags.remove(1, "for <print>")
        uow.ratings.clear(1)
