"""Crawls of the whole sample site, against numbers that were decided without a crawler."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from crawler.job import CrawlProgress
from crawler.sample_site import Kind, LicenseForm, SiteSummary, build_site, serve_site
from pipeline.catalog.engine import open_catalog
from pipeline.errors import Reason
from pipeline.images import ImageLimits
from pipeline.ingest.ingest import ingest_inbox
from pipeline.records import Outcome
from pipeline.store import Store
from tests.support.crawls import request_for, run_crawl

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> SiteSummary:
    return build_site(tmp_path_factory.mktemp("site"))


def test_a_crawl_for_animals_finds_each_of_them_and_nothing_else(site: SiteSummary, tmp_path: Path) -> None:
    told: list[CrawlProgress] = []
    expected = site.keywords["animal"]
    wanted = {p.image: p for p in site.pictures if "animal" in p.photo.keywords and p.kind is not Kind.HIDDEN}

    with serve_site(site.folder) as running:
        request = request_for("website", running.url, "animal", product_version="1.2.3")
        crawled = run_crawl(tmp_path, request, on_progress=told.append)
        found = crawled.by_path(running.url.rstrip("/"))

    report = crawled.report
    assert found.keys() == wanted.keys()
    assert (report.found, report.fetched, report.failed, report.refused, report.known) == (
        expected.found,
        expected.fetched,
        expected.failed,
        expected.closed,
        0,
    )
    assert report.finished == "done"
    assert report.reasons == {"http_4xx": 1, "not_an_image": 1, "robots": 1}
    assert [line for line in report.warnings if "robots.txt closes" not in line] == []
    for path, record in found.items():
        picture = wanted[path]
        assert record.matches[0].keyword == "animal"
        assert "tags" in record.matches[0].fields
        assert record.page_url == running.url.rstrip("/") + picture.page
        assert record.title == picture.photo.title
        if picture.kind is Kind.MISSING:
            assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.HTTP_CLIENT_ERROR)
        elif picture.kind is Kind.CLOSED:
            assert (record.outcome, record.reason) == (Outcome.REFUSED, Reason.ROBOTS)
        elif picture.kind is Kind.NOT_AN_IMAGE:
            assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.NOT_AN_IMAGE)
        else:
            served = (site.folder / path.lstrip("/")).read_bytes()
            assert record.outcome is Outcome.FETCHED
            assert record.sha256 == hashlib.sha256(served).hexdigest()
            assert crawled.inbox.open_blob(record.sha256) == served
            assert record.http is not None
            assert record.http.etag
        if picture.license_form in (LicenseForm.NONE, LicenseForm.EMBEDDED):
            assert record.license is None
        else:
            assert record.license is not None
            assert record.license.id == picture.photo.license
            assert record.creator == picture.photo.author

    asked = running.paths()
    assert not any(path.startswith(("/private/", "/scans/")) for path in asked)
    assert not any(path.startswith(("/thumbs/", "/images/medium/")) for path in asked)
    hidden = {p.photo.sha256 for p in site.pictures if p.kind is Kind.HIDDEN}
    assert not hidden & crawled.digests()
    assert {entry.user_agent for entry in running.log} == {"dreamcrawl/1.2.3"}
    images = [entry.path for entry in running.log if entry.path in wanted]
    assert len(images) == len(set(images))
    assert told[-1].found == report.found
    assert told[-1].pages == report.pages
    assert [progress.found for progress in told] == sorted(progress.found for progress in told)
    assert crawled.inbox.about["keywords"] == ["animal"]


def test_a_second_crawl_fetches_only_what_is_not_known(site: SiteSummary, tmp_path: Path) -> None:
    expected = site.keywords["windmill"]
    catalog_path, store = tmp_path / "catalog.sqlite3", Store(tmp_path / "store")

    with serve_site(site.folder) as running:
        reports = []
        for crawl_id, limit in (("first", 5), ("again", 5), ("second", 500), ("third", 500)):
            del running.log[:]
            request = request_for("website", running.url, "windmill", limit=limit)
            crawled = run_crawl(tmp_path / "inbox", request, crawl_id=crawl_id, catalog=catalog_path)
            with open_catalog(catalog_path) as catalog:
                ingested = ingest_inbox(
                    crawled.inbox.path,
                    catalog=catalog,
                    store=store,
                    run_id=None,
                    limits=ImageLimits(),
                    near_distance=48,
                )
            reports.append((crawled.report, ingested))

    (first, _), (again, ingested_again), (second, _), (third, last) = reports
    assert (first.fetched, first.finished) == (5, "limit")
    assert first.pages < site.page_count
    assert (again.fetched, again.known, again.finished) == (0, 5, "limit")
    # Each as it was found: in which order pictures came is nobody's promise.
    assert sorted(ingested_again.item_ids) == sorted(reports[0][1].item_ids)
    assert (second.fetched, second.known) == (expected.fetched - 5, 5 + first.failed)
    assert (third.fetched, third.failed) == (0, 0)
    assert third.known == expected.fetched + expected.failed
    assert third.refused == expected.closed
    assert not [entry.path for entry in running.log if entry.path.endswith((".webp", ".jpg", ".png"))]
    assert sum(ingested.accepted for _, ingested in reports) == expected.unique
    assert sum(ingested.exact_duplicates for _, ingested in reports) == expected.exact_duplicates
    assert sum(ingested.near_duplicates for _, ingested in reports) == expected.near_duplicates
    assert sum(ingested.rejected for _, ingested in reports) == expected.broken
    assert len(last.item_ids) == expected.unique
