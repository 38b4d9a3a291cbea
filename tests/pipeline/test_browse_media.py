from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from pipeline.browse.media import THUMBNAIL_SIDES
from tests.support.gallery import client_of
from tests.support.inverting import Workshop, workshop
from tests.support.pictures import scene_file


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    with workshop(tmp_path) as opened:
        yield opened


@pytest.fixture
def client(shop: Workshop) -> TestClient:
    return client_of(shop)


def thumbnails(shop: Workshop) -> list[Path]:
    return sorted(path for path in (shop.root / "thumbnails").rglob("*") if path.is_file())


def test_an_original_and_a_dream_come_byte_for_byte(shop, client):
    data = scene_file(1, "JPEG", quality=90)
    item_id = shop.add(data)
    dream = shop.dream(item_id)

    original = client.get(f"/media/original/{hashlib.sha256(data).hexdigest()}")
    made = client.get(f"/media/dream/{dream.blob_sha256}")

    assert original.content == data
    assert original.headers["content-type"] == "image/jpeg"
    assert original.headers["content-disposition"] == f'inline; filename="i{item_id}.jpg"'
    assert hashlib.sha256(made.content).hexdigest() == dream.blob_sha256
    assert made.headers["content-type"] == "image/png"
    assert made.headers["content-disposition"] == f'inline; filename="d{dream.id}.png"'
    for answer in (original, made):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "private, no-cache"


def test_the_answer_with_an_original_names_its_licence_and_its_page(shop, client):
    unknown = shop.item(shop.add(scene_file(1), license_id="unknown", license_url="https://example.org/terms"))
    ported = shop.item(
        shop.add(
            scene_file(2), license_id="CC-BY-2.0", license_url="https://creativecommons.org/licenses/by/2.0/de/deed.de"
        )
    )

    links = [client.get(f"/media/original/{each.blob_sha256}").headers["link"] for each in (unknown, ported)]

    assert links == [
        '</items/i1>; rel="describedby"',
        '<https://creativecommons.org/licenses/by/2.0/de/>; rel="license", </items/i2>; rel="describedby"',
    ]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_each_kind_of_picture_is_served_as_what_it_is(shop, client, kind):
    item = shop.item(shop.add(scene_file(2, kind)))

    answer = client.get(f"/media/original/{item.blob_sha256}")

    assert answer.headers["content-type"] == f"image/{kind.lower()}"
    assert Image.open(io.BytesIO(answer.content)).format == kind


@pytest.mark.parametrize("side", THUMBNAIL_SIDES)
def test_a_thumbnail_is_a_small_webp_of_the_picture(shop, client, side):
    item = shop.item(shop.add(scene_file(3, width=640, height=200)))

    answer = client.get(f"/media/thumb/{item.blob_sha256}?side={side}")

    shown = Image.open(io.BytesIO(answer.content))
    assert answer.headers["content-type"] == "image/webp"
    assert shown.format == "WEBP"
    assert shown.size == ((side, round(200 * side / 640)) if side < 640 else (640, 200))


def test_a_thumbnail_is_made_once_and_then_taken_from_the_cache(shop, client):
    item = shop.item(shop.add(scene_file(4)))
    url = f"/media/thumb/{item.blob_sha256}"
    first = client.get(url)
    cached = thumbnails(shop)
    os.utime(cached[0], (1, 1))

    second = client.get(url)

    assert [path.name for path in cached] == [f"{item.blob_sha256}-480.webp"]
    assert second.content == first.content
    assert cached[0].stat().st_mtime == 1
    assert thumbnails(shop) == cached


def test_a_thumbnail_cut_short_by_a_power_loss_is_made_again(shop, client):
    item = shop.item(shop.add(scene_file(5)))
    url = f"/media/thumb/{item.blob_sha256}"
    whole = client.get(url).content
    for torn in (b"", whole[:40], b"\0" * len(whole)):
        thumbnails(shop)[0].write_bytes(torn)
        assert client.get(url).content == whole
        assert thumbnails(shop)[0].read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_done_without(shop, client):
    (shop.root / "thumbnails").write_text("a file in the way")
    item = shop.item(shop.add(scene_file(6)))

    answer = client.get(f"/media/thumb/{item.blob_sha256}")

    assert answer.status_code == 200
    assert Image.open(io.BytesIO(answer.content)).format == "WEBP"


def test_many_at_once_get_the_same_thumbnail_and_leave_nothing_behind(shop, client):
    item = shop.item(shop.add(scene_file(7, width=600, height=500)))
    url = f"/media/thumb/{item.blob_sha256}?side=160"
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(client.get, [url] * 24))

    assert len({answer.content for answer in answers}) == 1
    assert [path.name for path in thumbnails(shop)] == [f"{item.blob_sha256}-160.webp"]


def test_what_a_browser_holds_already_is_not_sent_again(shop, client):
    item = shop.item(shop.add(scene_file(8)))
    for url in (f"/media/thumb/{item.blob_sha256}", f"/media/original/{item.blob_sha256}"):
        etag = client.get(url).headers["etag"]
        for held in (etag, f'"other", W/{etag}', "*"):
            again = client.get(url, headers={"If-None-Match": held})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert client.get(url, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_head_request_names_the_length_without_the_bytes(shop, client):
    data = scene_file(9)
    answer = client.head(f"/media/original/{shop.item(shop.add(data)).blob_sha256}")

    assert answer.status_code == 200
    assert answer.headers["content-length"] == str(len(data))


def test_only_pictures_that_the_catalog_knows_are_served(shop, client):
    item = shop.item(shop.add(scene_file(10)))
    stranger = shop.store.put(b"in the store, and of no item")
    (shop.root / "secret").write_text("secret")
    outside = ("..%2F..%2Fsecret", "../../secret", "..%5csecret", "%2e%2e/%2e%2e/secret", "/etc/passwd")
    for kind in ("thumb", "original", "dream"):
        for name in (stranger, "0" * 64, item.blob_sha256.upper(), item.blob_sha256[:63], "x", *outside):
            answer = client.get(f"/media/{kind}/{name}")
            assert answer.status_code == 404, (kind, name)
            assert b"secret" not in answer.content
    assert client.get(f"/media/dream/{item.blob_sha256}").status_code == 404
    assert not thumbnails(shop)


def test_only_offered_sizes_are_made(shop, client):
    item = shop.item(shop.add(scene_file(11)))
    for side in ("1", "481", "99999", "-160", "160.0", "0x10", "x"):
        answer = client.get(f"/media/thumb/{item.blob_sha256}?side={side}")
        assert answer.status_code == 400
        assert "160, 480, 1600" in answer.text
    assert not thumbnails(shop)


def test_a_file_of_a_kind_that_browsers_might_run_is_never_served(shop, client):
    item = shop.item(shop.add(scene_file(12)))
    with shop.catalog.write() as uow:
        from sqlalchemy import text

        uow.session.execute(text("UPDATE blob SET media_type = 'image/svg+xml'"))

    for kind in ("thumb", "original"):
        assert client.get(f"/media/{kind}/{item.blob_sha256}").status_code == 404


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_bytes_that_are_not_those_on_record_are_not_shown(shop, client, damage):
    item = shop.item(shop.add(scene_file(13)))
    path = shop.store.path(item.blob_sha256)
    if damage == "changed":
        path.write_bytes(scene_file(14))
    else:
        path.unlink()

    for kind in ("thumb", "original"):
        answer = client.get(f"/media/{kind}/{item.blob_sha256}")
        assert answer.status_code == 500
        assert answer.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not thumbnails(shop)
