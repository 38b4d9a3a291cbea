"""Whole crawls of servers on loopback that answer as Openverse and Wikimedia Commons do, and serve the pictures."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from urllib.parse import parse_qs, urlsplit

import pytest

from pipeline.errors import Reason
from pipeline.records import CrawlRecord, Outcome
from tests.support.api_routes import ApiRoutes, json_answer
from tests.support.crawls import Crawled, request_for, run_crawl
from tests.support.pictures import scene_file
from tests.support.saved_answers import FIXTURES, saved_answer
from tests.support.web_server import Answer, Asked, web_server

pytestmark = pytest.mark.slow

CC = "https://creativecommons.org/"
KEY = "not-a-real-key-1c9f"


def jpeg(seed: int) -> bytes:
    return scene_file(seed, "JPEG", width=200, height=150)


def served(data: bytes) -> Answer:
    return Answer(data, content_type="image/jpeg")


def robots(*closed: str) -> Answer:
    lines = "".join(f"Disallow: {path}\n" for path in closed)
    return Answer(f"User-agent: *\n{lines}".encode(), content_type="text/plain")


def asked_of(log: list[Asked], path: str) -> list[Asked]:
    return [asked for asked in log if urlsplit(asked.path).path == path]


class Result:
    """A crawl, what the server saw of it, and the records by the path of the picture."""

    def __init__(self, crawled: Crawled, log: list[Asked], url: str) -> None:
        self.crawled, self.log = crawled, log
        self.records: dict[str, CrawlRecord] = crawled.by_path(url)

    @property
    def picture_paths(self) -> list[str]:
        """The pictures asked for."""
        return [asked.path for asked in self.log if asked.path.lower().endswith((".jpg", ".png"))]


@pytest.fixture(scope="module")
def openverse(tmp_path_factory: pytest.TempPathFactory) -> Result:
    base = ""
    names = ("windmill", "licences")

    def answer(query: dict[str, str]) -> Answer:
        page = int(query["page"])
        saved = json.loads(saved_answer(FIXTURES / "openverse" / names[page - 1])) | {"page_count": 2}
        text = json.dumps(saved)
        for host in ("live.staticflickr.com", "upload.wikimedia.org", "images.example-museum.nl"):
            text = text.replace(f"https://{host}", base)
        return json_answer(text.encode())

    pictures = {f"/4103/{5130000 + n}_0a1b2c3d4e_b.jpg": served(jpeg(n)) for n in range(1, 17)}
    pictures["/iiif/RP-P-1906/full/max/0/default.png"] = served(jpeg(90))
    routes = ApiRoutes({**pictures, "/robots.txt": robots("/v1/", "/iiif/")}, {"/v1/images/": answer})
    with web_server(routes) as server:
        base = server.url
        request = request_for("openverse", server.url, "windmill", credentials={"openverse": KEY})
        crawled = run_crawl(tmp_path_factory.mktemp("openverse"), request)
        return Result(crawled, list(server.log), server.url)


def test_openverse_is_asked_page_by_page_though_robots_close_its_api(openverse: Result) -> None:
    queries = [parse_qs(urlsplit(asked.path).query) for asked in asked_of(openverse.log, "/v1/images/")]

    assert [query["page"] for query in queries] == [["1"], ["2"]]
    assert all(query["q"] == ["windmill"] and query["page_size"] == ["50"] for query in queries)
    assert openverse.crawled.report.finished == "done"


def test_the_key_goes_to_the_api_and_nowhere_else(openverse: Result) -> None:
    with_key = [asked.path for asked in openverse.log if KEY in str(asked.headers.items())]

    assert len(with_key) == 2
    assert all(path.startswith("/v1/images/?") for path in with_key)
    assert all(asked.headers["Authorization"] == f"Bearer {KEY}" for asked in asked_of(openverse.log, "/v1/images/"))
    files = [path for path in openverse.crawled.inbox.path.rglob("*") if path.is_file()]
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_a_picture_of_openverse_comes_with_all_that_is_said_of_it(openverse: Result) -> None:
    record = openverse.records["/4103/5130001_0a1b2c3d4e_b.jpg"]

    assert record.outcome is Outcome.FETCHED
    assert (record.source, record.source_id) == ("openverse", "00000001-4c1e-4f0b-9a53-0d5b1c2e7f01")
    assert record.sha256 == hashlib.sha256(jpeg(1)).hexdigest()
    assert record.license is not None
    assert (record.license.id, record.license.url) == ("CC-BY-2.0", CC + "licenses/by/2.0/")
    assert record.license.declared_by == "openverse"
    assert record.title == "Kinderdijk & its mills"
    assert (record.creator, record.page_url) == ("Ann Miller", "https://www.flickr.com/photos/44124348109@N01/5130001")
    assert [(match.keyword, match.fields) for match in record.matches] == [("windmill", ("tags",))]
    assert (record.attribution or "").startswith('"Windmill 1" by Ann Miller is licensed under CC BY 2.0.')


def test_robots_are_asked_about_the_pictures(openverse: Result) -> None:
    closed = openverse.records["/iiif/RP-P-1906/full/max/0/default.png"]

    assert (closed.outcome, closed.reason) == (Outcome.REFUSED, Reason.ROBOTS)
    # Its title has no word of the search: that Openverse found it has to do.
    assert [(match.keyword, match.fields) for match in closed.matches] == [("windmill", ("search",))]
    assert not [path for path in openverse.picture_paths if path.startswith("/iiif/")]


def test_what_may_not_be_adapted_or_is_not_for_everybody_is_never_asked_for(openverse: Result) -> None:
    left_out = Counter(record.reason for record in openverse.crawled.records if record.outcome is Outcome.FILTERED)
    asked = {int(path.split("/")[2][:7]) - 5130000 for path in openverse.picture_paths}

    # By number: 4 and 5 are ND; 9 and 10 sampling; 11, 14 and 16 not readable.
    assert left_out == {Reason.LICENSE: 7, Reason.MATURE: 1}
    assert asked == {1, 2, 3, 6, 7, 8, 12, 13, 15}
    assert openverse.crawled.report.fetched == 9


@pytest.fixture(scope="module")
def wikimedia(tmp_path_factory: pytest.TempPathFactory) -> Result:
    base = ""

    def answer(query: dict[str, str]) -> Answer:
        first = json.loads(saved_answer(FIXTURES / "wikimedia" / "windmill"))
        second = json.loads(saved_answer(FIXTURES / "wikimedia" / "which_file"))
        pages = second["query"]["pages"]
        pages[0]["imageinfo"][0]["sha1"] = hashlib.sha1(jpeg(1)).hexdigest()
        second["query"]["pages"] = [page for page in pages if page["pageid"] in (1, 3, 5, 6)]
        text = json.dumps(second if query.get("gsroffset") == "50" else first)
        for host in ("upload.wikimedia.org", "thumb.wikimedia.org"):
            text = text.replace(f"https://{host}", base)
        return json_answer(text.encode())

    commons = "/wikipedia/commons"
    pictures = {
        f"{commons}/thumb/a/a5/Windmill_in_Kent.jpg/960px-Windmill_in_Kent.jpg": jpeg(5),
        f"{commons}/thumb/f/fa/Windmill%2C_tall.jpg/960px-Windmill%2C_tall.jpg": jpeg(250),
        f"{commons}/thumb/a/a11/Third_mill.jpg/960px-Third_mill.jpg": jpeg(17),
        f"{commons}/a/a1/Small.jpg": jpeg(1),
        f"{commons}/thumb/a/a3/Plan.tif/lossy-page1-700px-Plan.tif.jpg": jpeg(3),
    }
    routes: dict[str, Answer] = {path: served(data) for path, data in pictures.items()}
    routes["/robots.txt"] = robots("/w/", f"{commons}/thumb/f/")
    with web_server(ApiRoutes(routes, {"/w/api.php": answer})) as server:
        base = server.url
        request = request_for("wikimedia", server.url, "windmill", "red maple", limit=4)
        crawled = run_crawl(tmp_path_factory.mktemp("wikimedia"), request)
        return Result(crawled, list(server.log), server.url)


def test_wikimedia_is_asked_with_all_keys_of_the_continuation(wikimedia: Result) -> None:
    queries = [parse_qs(urlsplit(asked.path).query) for asked in asked_of(wikimedia.log, "/w/api.php")]

    # Both are asked at once, and either may arrive first.
    assert sorted(query["gsrsearch"][0] for query in queries[:2]) == [
        'filetype:bitmap "red maple"',
        "filetype:bitmap windmill",
    ]
    further = [query for query in queries if "gsroffset" in query]
    assert further
    assert all((query["gsroffset"], query["continue"]) == (["50"], ["gsroffset||"]) for query in further)


def test_wikimedias_pictures_are_taken_scaled_and_small_originals_with_their_digest(wikimedia: Result) -> None:
    scaled, small, plan = (
        wikimedia.records[f"/wikipedia/commons/{path}"]
        for path in (
            "thumb/a/a5/Windmill_in_Kent.jpg/960px-Windmill_in_Kent.jpg",
            "a/a1/Small.jpg",
            "thumb/a/a3/Plan.tif/lossy-page1-700px-Plan.tif.jpg",
        )
    )

    assert {record.outcome for record in (scaled, small, plan)} == {Outcome.FETCHED}
    assert (scaled.source, scaled.source_id) == ("wikimedia", "5")
    assert (scaled.rendition, scaled.source_hash) == ("960 px", None)
    assert (small.rendition, small.source_hash) == ("original", f"sha1:{hashlib.sha1(jpeg(1)).hexdigest()}")
    assert small.sha256 == hashlib.sha256(jpeg(1)).hexdigest()
    assert (plan.rendition, plan.source_hash) == ("700 px", None)
    assert scaled.license is not None
    assert (scaled.license.id, scaled.license.declared_by) == ("CC-BY-SA-4.0", "wikimedia")
    assert (scaled.created, scaled.creator) == ("2014-05-02", "Ann Miller")
    assert scaled.attribution == "Ann Miller, CC BY-SA 4.0, via Wikimedia Commons"


def test_what_matched_and_where_stays_with_a_picture(wikimedia: Result) -> None:
    path = "/wikipedia/commons/thumb/a/a5/Windmill_in_Kent.jpg/960px-Windmill_in_Kent.jpg"
    matches = wikimedia.records[path].matches

    assert [(match.keyword, match.fields) for match in matches] == [
        ("windmill", ("title", "caption", "tags", "file_name"))
    ]


def test_the_robots_of_the_media_host_hold(wikimedia: Result) -> None:
    closed = wikimedia.records["/wikipedia/commons/thumb/f/fa/Windmill%2C_tall.jpg/960px-Windmill%2C_tall.jpg"]

    assert (closed.outcome, closed.reason) == (Outcome.REFUSED, Reason.ROBOTS)
    assert not [path for path in wikimedia.picture_paths if "/thumb/f/" in path]
    assert wikimedia.crawled.report.fetched == 4
    assert wikimedia.crawled.report.finished == "limit"
