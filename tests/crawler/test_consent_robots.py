"""robots.txt against the examples of RFC 9309 and of Google's description of it, and against another reader."""

from __future__ import annotations

import random

import pytest
from protego import Protego

from crawler.consent.paths import PathPattern, path_of
from crawler.consent.robots import MAX_BYTES, RobotsVerdict, read_robots
from pipeline.errors import Reason

URL = "https://e.org/robots.txt"


def verdict(text: str) -> RobotsVerdict:
    return read_robots(200, text.encode(), URL)


def closed(text: str, path: str) -> bool:
    return verdict(text).objection(f"https://e.org{path}") is not None


# RFC 9309, section 5.1 and 5.2, with our name in the place of ExampleBot and FooBot.
SIMPLE = """
User-Agent: *
Disallow: *.gif$
Disallow: /example/
Allow: /publications/

User-Agent: foobot
Disallow:/
Allow:/example/page.html
Allow:/example/allowed.gif

User-Agent: barbot
User-Agent: bazbot
Disallow: /example/page.html

User-Agent: quxbot
"""
LONGEST = """
User-Agent: dreamcrawl
Allow: /example/page/
Disallow: /example/page/disallowed.gif
"""


@pytest.mark.parametrize(
    ("path", "is_closed"),
    [
        ("/a.gif", True),
        ("/a.gif?x", False),
        ("/example/a", True),
        ("/publications/a", False),
        ("/else", False),
    ],
)
def test_the_standards_simple_example_for_a_robot_that_it_does_not_name(path: str, is_closed: bool) -> None:
    assert closed(SIMPLE, path) is is_closed


@pytest.mark.parametrize(
    ("name", "path", "is_closed"),
    [
        ("foobot", "/x", True),
        ("foobot", "/example/page.html", False),
        ("foobot", "/example/allowed.gif", False),
        ("bazbot", "/example/page.html", True),
        ("bazbot", "/a.gif", False),
        ("quxbot", "/example/", False),
    ],
)
def test_the_standards_simple_example_for_those_that_it_names(name: str, path: str, is_closed: bool) -> None:
    assert closed(SIMPLE.replace(name, "DreamCrawl"), path) is is_closed


def test_the_standards_example_of_the_longest_match() -> None:
    assert closed(LONGEST, "/example/page/disallowed.gif")
    assert not closed(LONGEST, "/example/page/")


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        # RFC 9309, section 2.2.2.
        ("/foo/bar?baz=quz", "/foo/bar?baz=quz", True),
        ("/foo/bar?baz=https://foo.bar", "/foo/bar?baz=https://foo.bar", True),
        ("/foo/bar/\u30c4", "/foo/bar/%E3%83%84", True),
        ("/foo/bar/%E3%83%84", "/foo/bar/\u30c4", True),
        ("/foo/bar/%e3%83%84", "/foo/bar/%E3%83%84", True),
        ("/foo/bar/%62%61%7A", "/foo/bar/baz", True),
        ("/path/file-with-a-%2A.html", "/path/file-with-a-*.html", True),
        ("/path/foo-%24", "/path/foo-$", True),
        ("/path/foo-%24", "/path/foo-", False),
        ("/a%2Fb", "/a/b", False),
        # Google, "How Google interprets the robots.txt specification": URL matching based on path values.
        ("/", "/any", True),
        ("/*", "/any", True),
        ("/$", "/", True),
        ("/$", "/any", False),
        ("/fish", "/fishheads/yummy.html", True),
        ("/fish", "/Fish.asp", False),
        ("/fish", "/catfish", False),
        ("/fish*", "/fish.php?id=anything", True),
        ("/fish/", "/fish", False),
        ("/*.php", "/folder/any.php.file.html", True),
        ("/*.php", "/windows.PHP", False),
        ("/*.php$", "/folder/filename.php", True),
        ("/*.php$", "/filename.php?parameters", False),
        ("/*.php$", "/filename.php/", False),
        ("/fish*.php", "/fishheads/catfish.php?parameters", True),
        # Our own.
        ("*.jpg", "/a/b.jpg", True),
        ("photos/", "/photos/a.jpg", True),
        ("/a*b*c$", "/a-b-c-b-c", True),
        ("/a*aa$", "/aa", False),
        ("/a#b", "/a", False),
    ],
)
def test_patterns(pattern: str, path: str, matches: bool) -> None:
    assert PathPattern(pattern).matches(path_of(f"https://e.org{path}")) is matches


@pytest.mark.parametrize(
    ("path", "is_closed"),
    [("/page", False), ("/folder/page", False), ("/page.htm", True), ("/page.php5", False), ("/x", True)],
)
def test_of_two_equally_specific_rules_the_one_that_allows_wins(path: str, is_closed: bool) -> None:
    rules = "User-agent: *\nAllow: /p\nDisallow: /\nAllow: /folder\nDisallow: /folder\nDisallow: /*.htm\nAllow: /$\n"
    assert closed(rules, path) is is_closed


def test_the_groups_for_one_name_are_one_and_other_lines_do_not_part_them() -> None:
    text = (
        "Disallow: /before-any-group\n"
        "user-agent : Dreamcrawl/1.0 # us\nSitemap: https://e.org/s.xml\nCrawl-delay: 3\nUSER-AGENT: other\n"
        "Nonsense\nDisallow: /one # closed\n\n\rUser-agent: *\rDisallow: /all\r\nUser-agent: dreamcrawl\nDisallow: /two"
    )
    found = verdict(text)

    assert [closed(text, path) for path in ("/one", "/two", "/all", "/before-any-group")] == [True, True, False, False]
    assert found.crawl_delay_seconds == 3
    objection = found.objection("https://e.org/one")
    assert objection is not None
    assert (objection.rule, objection.value, objection.where) == ("robots.txt", "Disallow: /one", URL)
    assert objection.reason is Reason.ROBOTS


@pytest.mark.parametrize("name", ["crawl", "dream", "dreamcrawl-images", "dreamcrawler", ""])
def test_a_group_for_another_name_is_not_ours(name: str) -> None:
    assert not closed(f"User-agent: {name}\nDisallow: /\n", "/a")


@pytest.mark.parametrize("status", [404, 401, 403, 410])
def test_without_a_robots_file_everything_is_open(status: int) -> None:
    assert read_robots(status, b"User-agent: *\nDisallow: /", URL).objection("https://e.org/") is None


@pytest.mark.parametrize("status", [500, 503, 429, 302])
def test_a_robots_file_that_cannot_be_read_closes_everything_but_is_no_opt_out(status: int) -> None:
    objection = read_robots(status, b"", URL).objection("https://e.org/")

    assert objection is not None
    assert objection.detail == f"robots.txt could not be read: HTTP {status}"
    assert (objection.rule, objection.reason) == ("not read", Reason.ROBOTS)


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\x00", b"<html>not found</html>", b"Disallow: /", b"User-agent: *\n"])
def test_a_robots_file_without_rules_opens_everything(body: bytes) -> None:
    assert read_robots(200, body, URL).objection("https://e.org/") is None


def test_a_byte_order_mark_hides_nothing() -> None:
    body = b"\xef\xbb\xbfUser-agent: *\nDisallow: /\n"
    assert read_robots(200, body, URL).objection("https://e.org/a") is not None


def test_a_long_file_is_read_to_the_limit_and_not_into_the_line_that_crosses_it() -> None:
    head = b"User-agent: *\nDisallow: /early\n"
    body = head + b"#" * (MAX_BYTES - len(head) - 13) + b"\nDisallow: /late\nDisallow: /later\n"
    found = read_robots(200, body, URL)

    assert MAX_BYTES >= 500 * 1024
    assert found.objection("https://e.org/early") is not None
    # Cut within it, the line would close `/la` or the like.
    assert found.objection("https://e.org/late") is None


@pytest.mark.parametrize(("value", "seconds"), [("0.5", 0.5), ("10", 10), ("0", None), ("-1", None), ("soon", None)])
def test_crawl_delay_is_a_number_of_seconds(value: str, seconds: float | None) -> None:
    assert verdict(f"User-agent: *\nCrawl-delay: {value}\n").crawl_delay_seconds == seconds


def test_hostile_patterns_take_no_time_to_speak_of() -> None:
    # A matcher that backtracks would not come back in this universe's time.
    assert not closed("User-agent: *\nDisallow: /" + "a*" * 2000 + "b$\n", "/" + "a" * 5000)


@pytest.mark.parametrize("seed", range(40))
def test_another_reader_of_the_standard_agrees(seed: int) -> None:
    chance = random.Random(seed)
    lines = ["User-agent: *"]
    for _ in range(chance.randrange(1, 7)):
        pattern = "/" + "".join(chance.choice("aab/*.") for _ in range(chance.randrange(6)))
        lines.append(f"{chance.choice(('Allow', 'Disallow'))}: {pattern}{chance.choice(('', '', '$'))}")
    text = "\n".join(lines)
    other = Protego.parse(text)
    paths = ["/" + "".join(chance.choice("aab/.") for _ in range(chance.randrange(8))) for _ in range(50)]

    assert [closed(text, path) for path in paths] == [
        not other.can_fetch(f"https://e.org{path}", "dreamcrawl") for path in paths
    ]
