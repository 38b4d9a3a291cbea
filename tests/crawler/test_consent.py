from __future__ import annotations

import pytest

from crawler.consent import header_objection, read_robots

ROBOTS = b"""
User-agent: otherbot
Disallow: /

User-agent: dreamcrawl
Disallow: /closed/
Allow: /closed/open/
Crawl-delay: 3

User-agent: *
Disallow: /all/
"""


def test_the_rules_for_our_name_hold_and_the_longest_match_wins() -> None:
    verdict = read_robots(200, ROBOTS)

    assert verdict.objection("http://e.org/closed/a.jpg") is not None
    assert verdict.objection("http://e.org/closed/open/a.jpg") is None
    assert verdict.objection("http://e.org/all/a.jpg") is None
    assert verdict.crawl_delay_seconds == 3


@pytest.mark.parametrize("status", [404, 401, 403, 410])
def test_without_a_robots_file_everything_is_open(status: int) -> None:
    assert read_robots(status, b"User-agent: *\nDisallow: /").objection("http://e.org/") is None


@pytest.mark.parametrize("status", [500, 503, 429, 302])
def test_a_robots_file_that_cannot_be_read_closes_everything(status: int) -> None:
    objection = read_robots(status, b"").objection("http://e.org/")

    assert objection == f"robots.txt could not be read: HTTP {status}"


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\x00", b"<html>not found</html>", b"Disallow: /"])
def test_a_robots_file_without_rules_opens_everything(body: bytes) -> None:
    assert read_robots(200, body).objection("http://e.org/") is None


@pytest.mark.parametrize(
    "tags",
    [["noai"], ["noimageai"], ["index, NOAI"], ["none"], ["noindex"], ["all", "noimageindex"], ["dreamcrawl: noai"]],
)
def test_headers_that_opt_out_are_heeded(tags: list[str]) -> None:
    assert (header_objection(tags, None) or "").startswith("X-Robots-Tag: ")


@pytest.mark.parametrize(
    "tags",
    [[], ["all"], ["otherbot: noai"], ["max-image-preview: none"], ["unavailable_after: 2030-01-01"], ["nofollow"]],
)
def test_headers_for_others_or_about_other_things_are_not(tags: list[str]) -> None:
    assert header_objection(tags, None) is None


def test_a_reservation_of_text_and_data_mining_is_heeded() -> None:
    assert header_objection([], "1") == "TDM-Reservation: 1"
    assert header_objection([], "0") is None
