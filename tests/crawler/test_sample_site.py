from __future__ import annotations

import hashlib
import http.client
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crawler.sample_site import Kind, LicenseForm, SitePicture, SiteSummary, build_site, serve_site
from crawler.sample_site.photos import load_photos


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> SiteSummary:
    return build_site(tmp_path_factory.mktemp("site"))


def of_kind(site: SiteSummary, *kinds: Kind) -> list[SitePicture]:
    return [picture for picture in site.pictures if picture.kind in kinds]


def data_of(site: SiteSummary, picture: SitePicture) -> bytes:
    return (site.folder / picture.image.lstrip("/")).read_bytes()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_the_bundled_photographs_are_what_their_attribution_says() -> None:
    photos = load_photos()

    assert len(photos) >= 45
    assert sum("animal" in photo.keywords for photo in photos) >= 10
    assert sum("windmill" in photo.keywords for photo in photos) >= 10
    for photo in photos:
        data = photo.read()
        assert hashlib.sha256(data).hexdigest() == photo.sha256
        assert Image.open(io.BytesIO(data)).size == (photo.width, photo.height)
        assert photo.title
        assert photo.author
        assert photo.source.startswith("https://")
        assert photo.license_url.startswith("https://creativecommons.org/")


def test_every_photograph_is_attributed_in_the_file_for_people() -> None:
    text = (Path(__file__).parents[2] / "crawler/sample_site/photos/ATTRIBUTION.md").read_text(encoding="utf-8")

    assert all(photo.file in text and photo.license_url in text for photo in load_photos())


def test_every_page_of_a_photograph_names_its_author_and_its_licence_unless_that_is_the_point(
    site: SiteSummary,
) -> None:
    credits_page = (site.folder / "credits.html").read_text(encoding="utf-8")
    for picture in site.pictures:
        html = (site.folder / picture.page.lstrip("/")).read_text(encoding="utf-8")
        author = picture.photo.author.replace("&", "&amp;").replace('"', "&quot;").replace("'", "&#x27;")
        assert author in html
        assert author in credits_page
        without = picture.license_form in (LicenseForm.NONE, LicenseForm.EMBEDDED)
        assert (picture.photo.license_name in html) is not without
        assert not (picture.license_form is LicenseForm.NONE and picture.photo.needs_attribution)


def test_building_twice_gives_the_same_files(site: SiteSummary, tmp_path: Path) -> None:
    build_site(tmp_path)

    def digests(folder: Path) -> dict[str, str]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    assert digests(tmp_path) == digests(site.folder)


@pytest.mark.parametrize("keyword", ["animal", "windmill"])
def test_both_keywords_have_copies_and_troubles_of_every_kind(site: SiteSummary, keyword: str) -> None:
    counts = site.keywords[keyword]

    assert counts.unique >= 10
    assert counts.exact_duplicates >= 4
    assert counts.near_duplicates >= 3
    assert (counts.broken, counts.not_images, counts.missing, counts.closed, counts.hidden) == (1, 1, 1, 1, 1)


def test_copies_are_what_they_are_called(site: SiteSummary) -> None:
    originals = {picture.photo.file: data_of(site, picture) for picture in of_kind(site, Kind.ORIGINAL)}

    for picture in of_kind(site, Kind.BYTE_COPY):
        assert data_of(site, picture) == originals[picture.photo.file]
    for picture in of_kind(site, Kind.PIXEL_COPY):
        data = data_of(site, picture)
        assert data != originals[picture.photo.file]
        assert np.array_equal(pixels(data), pixels(originals[picture.photo.file]))
    for picture in of_kind(site, Kind.NEAR_COPY):
        copy, original = pixels(data_of(site, picture)), pixels(originals[picture.photo.file])
        assert copy.shape != original.shape
        small = [np.asarray(Image.fromarray(image).resize((16, 16)), dtype=float) for image in (copy, original)]
        assert np.abs(small[0] - small[1]).mean() < 6


def test_troubles_are_what_they_are_called(site: SiteSummary) -> None:
    for picture in of_kind(site, Kind.TRUNCATED):
        with pytest.raises(OSError, match="truncated"):
            Image.open(io.BytesIO(data_of(site, picture))).load()
    for picture in of_kind(site, Kind.NOT_AN_IMAGE):
        assert data_of(site, picture).startswith(b"<!doctype html>")
    for picture in of_kind(site, Kind.MISSING):
        assert not (site.folder / picture.image.lstrip("/")).exists()


def test_the_licence_of_an_embedded_one_stands_in_the_file_only(site: SiteSummary) -> None:
    embedded = [picture for picture in site.pictures if picture.license_form is LicenseForm.EMBEDDED]

    assert {keyword for picture in embedded for keyword in picture.photo.keywords} >= {"animal", "windmill"}
    for picture in embedded:
        image = Image.open(io.BytesIO(data_of(site, picture)))
        assert picture.photo.license_url.encode() in image.info["xmp"]
        assert picture.photo.license_url in image.getexif()[0x8298]
        html = (site.folder / picture.page.lstrip("/")).read_text(encoding="utf-8")
        assert picture.photo.license_url not in html


def test_no_page_links_to_a_page_that_is_not_there(site: SiteSummary) -> None:
    missing = {picture.image for picture in of_kind(site, Kind.MISSING)}
    for page in site.folder.rglob("*.html"):
        for target in re.findall(r'(?:href|src)="(/[^"#]*)', page.read_text(encoding="utf-8")):
            file = site.folder / target.lstrip("/")
            assert file.is_file() or (file / "index.html").is_file() or target in missing, (page, target)


def test_the_server_answers_with_types_tags_and_a_log(site: SiteSummary) -> None:
    with serve_site(site.folder) as running:
        connection = http.client.HTTPConnection("127.0.0.1", running.port)

        def ask(path: str, method: str = "GET", **headers: str) -> tuple[int, http.client.HTTPResponse, bytes]:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return response.status, response, response.read()

        status, front, body = ask("/")
        assert (status, front.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert b"<h1>" in body
        assert ask("/style.css")[1].headers["Content-Type"].startswith("text/css")
        original = of_kind(site, Kind.ORIGINAL)[0]
        _, response, body = ask(original.image)
        assert hashlib.sha256(body).hexdigest() == original.photo.sha256
        assert response.headers["Last-Modified"] == "Wed, 01 May 2024 00:00:00 GMT"
        assert ask(original.image, **{"If-None-Match": response.headers["ETag"]})[0] == 304
        assert ask(original.image, "HEAD")[2] == b""
        assert ask("/no-such-page")[0] == 404
        assert ask("/../../etc/passwd")[0] == 404
        assert ask("/%2e%2e/%2e%2e/etc/passwd")[0] == 404
        connection.close()

        assert [(entry.method, entry.path, entry.status) for entry in running.log][:2] == [
            ("GET", "/", 200),
            ("GET", "/style.css", 200),
        ]
        assert "/no-such-page" in running.paths()
