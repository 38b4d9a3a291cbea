from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.errors import SourceError
from crawler.items import ImageItem
from crawler.keywords import match_keywords
from crawler.sources.html_page import parse_page
from crawler.sources.website import Website

CASES = sorted((Path(__file__).parent / "fixtures" / "website").iterdir())


def as_json(item: ImageItem, name: str) -> Any:
    value = getattr(item, name)
    if name == "license" and value is not None:
        return [value.id, value.url, value.declared_by]
    if name == "refusal" and value is not None:
        return [value.rule, value.value, value.where]
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_saved_page_gives_the_pictures_and_links_written_beside_it(case: Path) -> None:
    expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))

    page = parse_page(expected["url"], (case / "page.html").read_text(encoding="utf-8"))

    found = [
        {name: as_json(item, name) for name in wanted}
        for item, wanted in zip(page.items, expected["items"], strict=False)
    ]
    assert found == expected["items"]
    assert [item.image_url for item in page.items] == [wanted["image_url"] for wanted in expected["items"]]
    assert [link.url for link in page.links] == expected["links"]


def test_a_page_with_many_pictures_does_not_match_as_a_whole() -> None:
    pictures = "".join(f'<img src="{n}.jpg" alt="tulip {n}">' for n in range(4))

    many = parse_page("https://example.org/", f"<title>Windmills</title>{pictures}")
    one = parse_page("https://example.org/", '<title>Windmills</title><img src="1.jpg" alt="tulip">')

    assert not any(match_keywords(["windmill"], item.texts()) for item in many.items)
    assert [match.fields for match in match_keywords(["windmill"], one.items[0].texts())] == [("page_title",)]


def test_a_width_of_thousands_of_digits_hides_neither_its_picture_nor_the_page() -> None:
    html = f'<img src="a.jpg" alt="mill" width="{"9" * 5000}"><img src="b.jpg" alt="mill" height="63">'

    page = parse_page("https://example.org/", html)

    assert [item.image_url for item in page.items] == ["https://example.org/a.jpg"]


def test_words_of_neighbouring_elements_do_not_grow_together() -> None:
    html = (
        '<figure><img src="a.jpg"><figcaption><b>Old</b><span>mill</span>, <i>Kent</i>.<br>1820</figcaption></figure>'
    )

    assert parse_page("https://example.org/", html).items[0].caption == "Old mill, Kent. 1820"


def test_a_page_nested_deeper_than_python_may_recurse_is_read() -> None:
    deep = "<div>" * 20_000 + '<figure><img src="a.jpg" alt="mill"><figcaption>x</figcaption></figure>'

    assert parse_page("https://example.org/", deep) is not None


@given(st.text(alphabet=st.characters(), max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_text_is_read_as_a_page(text: str) -> None:
    page = parse_page("https://example.org/", f'<img alt="x" src="{text}"><a href="{text}">{text}</a>{text}')

    assert all(item.image_url.startswith(("http://", "https://")) for item in page.items)
    assert all(link.url.startswith(("http://", "https://")) for link in page.links)


def test_only_links_to_the_site_are_followed_and_pictures_may_lie_elsewhere() -> None:
    source = Website("http://example.org:8000/start")

    page = source.parse(
        "http://example.org:8000/start",
        '<a href="/a">a</a><a href="http://example.org/b">b</a><a href="http://other.org:8000/c">c</a>'
        '<img src="http://cdn.example.net/x.jpg" alt="x">',
    )

    assert [link.url for link in page.links] == ["http://example.org:8000/a"]
    assert [item.image_url for item in page.items] == ["http://cdn.example.net/x.jpg"]


def test_the_site_is_where_the_start_page_was_found() -> None:
    source = Website("http://example.org/")

    source.moved("https://www.example.org/home")

    assert source.follows("https://www.example.org/a")
    assert not source.follows("http://example.org/a")


@pytest.mark.parametrize(
    ("argument", "url"),
    [
        ("https://Example.org", "https://example.org/"),
        ("example.org/mills", "https://example.org/mills"),
        ("localhost:8000", "http://localhost:8000/"),
        ("127.0.0.1:8000/a", "http://127.0.0.1:8000/a"),
    ],
)
def test_an_address_may_be_written_short(argument: str, url: str) -> None:
    assert Website(argument).start_url == url


@pytest.mark.parametrize("argument", ["", "ftp://example.org/", "http://", "/etc", "./x", "https://me:pw@example.org/"])
def test_what_is_no_address_is_refused(argument: str) -> None:
    with pytest.raises(SourceError):
        Website(argument)
