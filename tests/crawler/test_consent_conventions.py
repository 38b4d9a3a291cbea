"""Opt-outs beyond robots.txt, against the examples of their own specifications."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from crawler.consent.ai_txt import read_ai_txt
from crawler.consent.content_usage import refused_use
from crawler.consent.headers import page_objection, picture_objection
from crawler.consent.meta_tags import meta_objection
from crawler.consent.objections import Objection
from crawler.consent.robots import read_robots
from crawler.consent.tdmrep import read_tdm_file
from crawler.consent.verdicts import SiteConsent, allowed, refused
from pipeline.errors import Reason
from pipeline.records import Outcome

NOW = datetime(2026, 11, 22, tzinfo=UTC)
WHERE = "https://e.org/a.jpg"


def of_headers(**headers: str | list[str]) -> Objection | None:
    sent = {
        name.replace("_", "-").lower(): [value] if isinstance(value, str) else value for name, value in headers.items()
    }
    return picture_objection(lambda name: sent.get(name.lower(), []), where=WHERE, now=NOW)


@pytest.mark.parametrize(
    ("tags", "value"),
    [
        (["noai"], "noai"),
        (["noimageai"], "noimageai"),
        (["noml"], "noml"),
        (["index, NOAI"], "noai"),
        (["none"], "none"),
        (["noindex"], "noindex"),
        (["all", "noimageindex"], "noimageindex"),
        (["dreamcrawl: noai"], "dreamcrawl: noai"),
        (["DreamCrawl: nofollow, noindex"], "dreamcrawl: noindex"),
        (["otherbot: noai, dreamcrawl: noarchive, noimageai"], "dreamcrawl: noimageai"),
        (["otherbot: all", "noai"], "noai"),
        (["max-snippet: 5, noai"], "noai"),
        (["*: noai"], "*: noai"),
        # The forms of Google's documentation: RFC 822, RFC 850, ISO 8601.
        (["unavailable_after: 25 Jun 2010 15:00:00 PST"], "unavailable_after: 25 Jun 2010 15:00:00 PST"),
        (["unavailable_after: Friday, 25-Jun-10 15:00:00 GMT"], "unavailable_after: Friday, 25-Jun-10 15:00:00 GMT"),
        (["unavailable_after: 2010-06-25"], "unavailable_after: 2010-06-25"),
    ],
)
def test_robots_tags_that_opt_out_are_heeded(tags: list[str], value: str) -> None:
    found = of_headers(x_robots_tag=tags)

    assert found == Objection("X-Robots-Tag", f"X-Robots-Tag: {value}", WHERE, in_headers=True)
    assert found.reason is Reason.OPT_OUT


@pytest.mark.parametrize(
    "tags",
    [
        [],
        [""],
        ["all"],
        ["nofollow, noarchive, nosnippet, notranslate"],
        ["otherbot: noai"],
        ["otherbot: nofollow, noai"],
        ["max-image-preview: none"],
        ["max-image-preview:none, max-snippet:-1"],
        ["unavailable_after: 2030-01-01"],
        ["unavailable_after: Friday, 25-Jun-30 15:00:00 GMT"],
        ["unavailable_after: some day"],
        ["noaim"],
    ],
)
def test_robots_tags_for_others_or_about_other_things_are_not(tags: list[str]) -> None:
    assert of_headers(x_robots_tag=tags) is None


def test_tdm_headers_and_their_policy() -> None:
    policy = "https://provider.com/policies/policy.json"

    assert of_headers(tdm_reservation="1") == Objection("TDMRep", "tdm-reservation: 1", WHERE, True)
    with_policy = of_headers(tdm_reservation="1", tdm_policy=policy)
    assert with_policy is not None
    assert with_policy.value == f"tdm-reservation: 1; tdm-policy: {policy}"
    assert of_headers(tdm_reservation="0", tdm_policy=policy) is None
    assert of_headers(tdm_reservation="2") is None


def test_content_usage_headers_sent_in_parts_are_one() -> None:
    found = of_headers(content_usage=["search=y", "train-ai=n"])

    assert found == Objection("Content-Usage", "Content-Usage: train-ai=n", WHERE, True)
    assert of_headers(content_usage="train-ai=y, search=n") is None


@pytest.mark.parametrize(
    ("preferences", "member"),
    [
        ("train-ai=n", "train-ai=n"),
        ("train-ai=n, search=y", "train-ai=n"),
        ("search=y,ai-use=n;why=x", "ai-use=n;why=x"),
        ("TDM = N", "TDM = N"),
        ('genai="n"', 'genai="n"'),
        ("search=yes, ai-train=no", "ai-train=no"),
        ("train-ai=y, train-ai=n", "train-ai=n"),
        ("train-ai=y", None),
        ("train-ai=n, train-ai=y", None),
        ("search=n", None),
        ("train-ai", None),
        ("something=n", None),
        ("", None),
    ],
)
def test_usage_preferences(preferences: str, member: str | None) -> None:
    assert refused_use(preferences) == member


# draft-ietf-aipref-attach, "Example robots.txt file", and the older form without a path.
@pytest.mark.parametrize("everywhere", ["/ ", ""])
@pytest.mark.parametrize(
    ("path", "refused_by"),
    [("/test", "train-ai=n"), ("/ai-ok/test", None), ("/never/test", "train-ai=n")],
)
def test_the_drafts_example_of_a_robots_file(everywhere: str, path: str, refused_by: str | None) -> None:
    text = (
        f"User-Agent: *\nAllow: /\nDisallow: /never/\nContent-Usage: {everywhere}train-ai=n\n"
        "Content-Usage: /ai-ok/ train-ai=y\n\nUser-Agent: ExampleBot\nAllow: /\nContent-Usage: / train-ai=y\n"
    )
    verdict = read_robots(200, text.encode(), "https://e.org/robots.txt")
    found = verdict.usage_objection(f"https://e.org{path}")

    assert (found and found.value) == (refused_by and f"Content-Usage: {everywhere}{refused_by}")
    assert found is None or found.reason is Reason.OPT_OUT
    assert (verdict.objection(f"https://e.org{path}") is not None) is path.startswith("/never")


def test_of_equal_usage_paths_the_most_restrictive_counts() -> None:
    text = b"User-agent: *\nContent-Usage: /a train-ai=y\nContent-Usage: /a ai-use=n\nContent-Signal: search=yes\n"
    found = read_robots(200, text, "https://e.org/robots.txt").usage_objection("https://e.org/a/b")
    assert found is not None
    assert found.value == "Content-Usage: /a ai-use=n"


# TDMRep, final report, section 6.2: the two examples.
EVERYTHING = [{"location": "/", "tdm-reservation": 1}]
BROKEN = [{"tdm-reservation": 1}, None, 7, {"location": 3, "tdm-reservation": 1}]
THREE_GROUPS = [
    {"location": "/directory-a/", "tdm-reservation": 1},
    {
        "location": "/directory-b/html/",
        "tdm-reservation": 1,
        "tdm-policy": "https://provider.com/policies/policy.json",
    },
    {"location": "/directory-b/images/*.jpg", "tdm-reservation": 0},
]


def tdm(data: object, path: str) -> str | None:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    found = read_tdm_file(200, body, "https://e.org/.well-known/tdmrep.json").objection(f"https://e.org{path}")
    return None if found is None else found.value


@pytest.mark.parametrize(
    ("data", "path", "value"),
    [
        (EVERYTHING, "/a.jpg", "tdm-reservation: 1 for /"),
        (THREE_GROUPS, "/directory-a/a.pdf", "tdm-reservation: 1 for /directory-a/"),
        (
            THREE_GROUPS,
            "/directory-b/html/a",
            "tdm-reservation: 1 for /directory-b/html/; tdm-policy: https://provider.com/policies/policy.json",
        ),
        (THREE_GROUPS, "/directory-b/images/a.jpg", None),
        (THREE_GROUPS, "/elsewhere", None),
        # "The most specific match is the first in sequence", whichever is longer.
        ([{"location": "/a", "tdm-reservation": 0}, {"location": "/a/b", "tdm-reservation": 1}], "/a/b", None),
        ([{"location": "/*.jpg$", "tdm-reservation": 1}], "/a.jpg", "tdm-reservation: 1 for /*.jpg$"),
        ([{"location": "/*.jpg$", "tdm-reservation": 1}], "/a.jpg?x", None),
        # Protocol errors leave it unset, and spoil nothing else.
        ([{"location": "/", "tdm-reservation": 2}], "/a", None),
        ([*BROKEN, *EVERYTHING], "/a", "tdm-reservation: 1 for /"),
        (EVERYTHING[0], "/a", "tdm-reservation: 1 for /"),
        (b"\xef\xbb\xbf" + json.dumps(EVERYTHING).encode(), "/a", "tdm-reservation: 1 for /"),
        (b"<html>", "/a", None),
        (b"\xff\xfe", "/a", None),
        (b"[" * 100_000, "/a", None),
        (b"", "/a", None),
        (3, "/a", None),
    ],
)  # fmt: skip
def test_tdm_files(data: object, path: str, value: str | None) -> None:
    assert tdm(data, path) == value


def test_a_tdm_file_that_is_not_there_reserves_nothing() -> None:
    body = json.dumps(EVERYTHING).encode()
    assert read_tdm_file(404, body, "https://e.org/t").objection("https://e.org/a") is None


# As Spawning's generator writes it for a site that opts its pictures out and its texts in.
AI_TXT = b"""# Spawning AI
# Prevent datasets from using the following file types

User-Agent: *
Allow: *.txt
Disallow: *.jpg
Disallow: *.png
Allow: /
Allow: *
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [("/a/b.jpg", "Disallow: *.jpg"), ("/a/B.JPG?w=9", "Disallow: *.jpg"), ("/a.txt", None), ("/a.webp", None)],
)
def test_ai_txt(path: str, line: str | None) -> None:
    found = read_ai_txt(200, AI_TXT, "https://e.org/ai.txt").objection(f"https://e.org{path}")

    assert (found and (found.rule, found.value, found.where)) == (line and ("ai.txt", line, "https://e.org/ai.txt"))
    assert read_ai_txt(404, AI_TXT, "https://e.org/ai.txt").objection(f"https://e.org{path}") is None


@pytest.mark.parametrize(
    ("tags", "value"),
    [
        ([("robots", "noai, noimageai")], "meta robots: noai"),
        ([("ROBOTS", " NoImageIndex ")], "meta robots: noimageindex"),
        ([("robots", "noindex, none, nofollow")], None),
        ([("googlebot", "noai")], None),
        ([("dreamcrawl", "noindex")], "meta dreamcrawl: noindex"),
        ([("robots", "all"), ("dreamcrawl", "noml")], "meta dreamcrawl: noml"),
        ([("tdm-reservation", "1")], "meta tdm-reservation: 1"),
        (
            [("tdm-policy", "https://e.org/p"), ("TDM-Reservation", "1")],
            "meta tdm-reservation: 1; tdm-policy: https://e.org/p",
        ),
        ([("tdm-reservation", "0")], None),
        ([("robots", "max-image-preview:none")], None),
    ],
)
def test_meta_tags(tags: list[tuple[str, str]], value: str | None) -> None:
    found = meta_objection(tags, where="https://e.org/page")

    assert (found and found.value) == value
    assert found is None or (found.where, found.in_headers) == ("https://e.org/page", False)


def test_a_page_that_is_not_to_be_indexed_says_nothing_of_its_pictures() -> None:
    def said(*tags: str) -> Objection | None:
        return page_objection(lambda name: tags if name == "X-Robots-Tag" else [], where=WHERE, now=NOW)

    assert said("noindex, nofollow") is None
    assert said("none") is None
    assert said("unavailable_after: 2010-06-25") is None
    assert said("noindex, noai") == Objection("X-Robots-Tag", "X-Robots-Tag: noai", WHERE)


def test_one_verdict_names_the_first_rule_and_all_that_was_looked_at() -> None:
    robots = read_robots(200, b"User-agent: *\nDisallow: /closed\nContent-Usage: /n ai=n\n", "https://e.org/robots.txt")
    tdm_file = read_tdm_file(
        200, b'[{"location": "/t", "tdm-reservation": 1}]', "https://e.org/.well-known/tdmrep.json"
    )
    site = SiteConsent(robots, tdm_file, read_ai_txt(200, AI_TXT, "https://e.org/ai.txt"))

    found = {path: site.objection(f"https://e.org{path}") for path in ("/closed", "/n", "/t", "/a.jpg", "/a")}
    rules = {path: objection and objection.rule for path, objection in found.items()}
    assert rules == {"/closed": "robots.txt", "/n": "Content-Usage", "/t": "TDMRep", "/a.jpg": "ai.txt", "/a": None}
    assert site.checked == ("robots.txt", "Content-Usage", "TDMRep", "ai.txt")
    assert SiteConsent(robots).checked == ("robots.txt", "Content-Usage")


def test_a_verdict_says_yes_as_fully_as_no() -> None:
    yes = allowed(("robots.txt", "TDMRep", "TDMRep"))
    no = refused(Objection("ai.txt", "Disallow: " + "x" * 500, "https://e.org/ai.txt"), ("ai.txt",))

    assert (yes.allowed, yes.rule, yes.value, yes.where, yes.checked) == (
        True,
        "none",
        "",
        "",
        ("robots.txt", "TDMRep"),
    )
    assert datetime.fromisoformat(yes.checked_at).tzinfo is not None
    assert no.outcome is Outcome.REFUSED
    assert no.consent is not None
    assert (no.consent.allowed, len(no.consent.value), no.consent.is_opt_out) == (False, 200, True)
    assert not yes.is_opt_out
