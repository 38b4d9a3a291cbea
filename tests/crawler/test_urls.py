from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.urls import (
    absolute_url,
    canonical_url,
    file_name,
    is_loopback,
    looks_like_image,
    looks_like_page,
    page_url,
    same_site,
)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTP://Example.ORG", "http://example.org/"),
        ("http://example.org:80/a", "http://example.org/a"),
        ("https://example.org:443/a#part", "https://example.org/a"),
        ("https://example.org:8443/a", "https://example.org:8443/a"),
        ("http://example.org/a b/ü.jpg", "http://example.org/a%20b/%C3%BC.jpg"),
        ("http://example.org/a%20b.jpg", "http://example.org/a%20b.jpg"),
        ("http://example.org/?b=2&a=1", "http://example.org/?b=2&a=1"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://[::1]:8000/a", "http://[::1]:8000/a"),
        (" http://example.org/a ", "http://example.org/a"),
    ],
)
def test_one_address_has_one_spelling(url: str, expected: str) -> None:
    assert canonical_url(url) == expected
    assert canonical_url(expected) == expected


NO_WEB_ADDRESSES = ["", "a.jpg", "ftp://example.org/a", "data:,x", "http://", "http://a:b/", "//x/y"]


@pytest.mark.parametrize("url", [*NO_WEB_ADDRESSES, f"http://{'a.' * 127}org/"], ids=lambda url: url[:20])
def test_what_is_no_web_address_has_none(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        canonical_url(url)


@given(st.text(max_size=60))
def test_any_reference_gives_a_canonical_address_or_none(reference: str) -> None:
    url = absolute_url("http://example.org/dir/page.html", reference)

    assert url is None or (canonical_url(url) == url and url.isascii())


@pytest.mark.parametrize("reference", ["data:image/gif;base64,AA", "javascript:void(0)", "mailto:a@b.org", "http://["])
def test_references_to_no_web_address_are_left_out(reference: str) -> None:
    assert absolute_url("http://example.org/", reference) is None


def test_a_site_is_a_host_with_its_port_and_the_web_s_two_own_ports_are_one() -> None:
    assert same_site("http://example.org/a", "https://example.org/b")
    assert same_site("http://example.org:8000/a", "http://example.org:8000/b")
    assert not same_site("http://example.org/a", "http://example.org:8000/b")
    assert not same_site("http://example.org/a", "http://www.example.org/b")


def test_parameters_that_count_visitors_are_dropped_from_pages() -> None:
    assert page_url("http://e.org/a?id=3&utm_source=x&fbclid=y") == "http://e.org/a?id=3"
    assert page_url("http://e.org/a?utm_medium=x") == "http://e.org/a"


@pytest.mark.parametrize(
    ("url", "image", "page"),
    [
        ("http://e.org/a.JPG", True, False),
        ("http://e.org/a.webp?w=100", True, False),
        ("http://e.org/wiki/File:Mill.jpg", False, True),
        ("http://e.org/mills", False, True),
        ("http://e.org/mills.html", False, True),
        ("http://e.org/mills.pdf", False, False),
        ("http://e.org/style.css", False, False),
    ],
)
def test_addresses_tell_pictures_from_pages(url: str, image: bool, page: bool) -> None:
    assert looks_like_image(url) is image
    assert looks_like_page(url) is page


def test_file_names_lose_their_ending_and_their_escapes() -> None:
    assert file_name("http://e.org/a/Old%20Mill.final.jpeg") == "Old Mill.final"
    assert file_name("http://e.org/a/mill") == "mill"


def test_loopback_is_told_by_name_alone() -> None:
    assert all(is_loopback(host) for host in ("localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "::1"))
    assert not any(is_loopback(host) for host in ("localhost.example.org", "10.0.0.1", "example.org", ""))
