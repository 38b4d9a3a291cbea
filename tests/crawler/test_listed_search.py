"""What a search of an API or a list asks for, when, and in which order it reads what comes."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from crawler.errors import SourceError
from crawler.filters import Filters
from crawler.items import ImageItem
from crawler.job import CrawlRequest
from crawler.pictures.finds import Find, RecordMaker
from crawler.pictures.queue import FetchImage
from crawler.search.listed import ListedSearch, ListedStep, ReadApi
from crawler.sources.base import ApiAnswer, ApiProblem, ApiRequest, ApiSource, ListSource, Manners
from pipeline.errors import Reason
from pipeline.records import DeclaredLicense, Outcome
from tests.support.crawls import EmptyLedger, request_for

CC0 = DeclaredLicense("CC0-1.0", None, "fake")


def item(name: str, **changes: Any) -> ImageItem:
    return ImageItem(f"https://example.org/{name}.jpg", "https://example.org/", **{"license": CC0, **changes})


class FakeApi(ApiSource):
    """Three pages of two pictures for each keyword; an answer is its pictures' names, or what goes wrong with it."""

    name = "fake"
    title = homepage = terms = ""
    manners = Manners(0.0)
    credential = "fake"
    default_base = "https://api.example.org"

    def begin(self, keywords: Sequence[str], filters: Filters, *, has_credential: bool) -> Sequence[ApiRequest]:
        self.begun = (tuple(keywords), filters, has_credential)
        if "nothing" in keywords:
            raise SourceError("cannot search for nothing")
        return [self._request(keyword, 1) for keyword in keywords]

    def parse(self, request: ApiRequest, answer: bytes, *, status: int = 200) -> ApiAnswer:
        said = json.loads(answer)
        if "problem" in said:
            raise ApiProblem("no", **said["problem"])
        page = int(str(request.state["page"]))
        return ApiAnswer(
            tuple(item(name, found_by=request.keyword, **said.get("with", {})) for name in said["pictures"]),
            (self._request(request.keyword, page + 1),) if page < 3 else (),
            tuple(said.get("notes", ())) + (() if status == 200 else (f"status {status}",)),
        )

    def _request(self, keyword: str, page: int) -> ApiRequest:
        return ApiRequest(f"{self.base}/{keyword}/{page}", keyword, {"page": page})


class TwoAtOnce(FakeApi):
    manners = Manners(0.0, concurrency=2)


@dataclass
class Notes:
    read: int = 0
    failed: list[str] = field(default_factory=list)
    start_errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def page_read(self, host: str) -> None:
        assert host == "fake"
        self.read += 1

    def page_failed(self, line: str) -> None:
        self.failed.append(line)

    def start_failed(self, line: str) -> None:
        self.start_errors.append(line)

    def warn(self, line: str) -> None:
        self.warnings.append(line)


class Driver:
    """Carries out the steps by hand."""

    def __init__(self, source: ApiSource | ListSource, *keywords: str, **changes: Any) -> None:
        self.notes = Notes()
        self.request: CrawlRequest = request_for("fake", "", *keywords, **changes)
        records = RecordMaker("fake", "")
        self.search = ListedSearch(source, self.request, records=records, ledger=EmptyLedger(), notes=self.notes)
        self.asked: list[ReadApi] = []
        self.images: list[FetchImage] = []
        self.finds: list[Find] = []

    def begin(self) -> None:
        self.take(self.search.begin())

    def take(self, steps: list[ListedStep]) -> None:
        for step in steps:
            if isinstance(step, ReadApi):
                self.asked.append(step)
            elif isinstance(step, FetchImage):
                self.images.append(step)
            else:
                assert isinstance(step, Find)
                self.finds.append(step)

    @property
    def urls(self) -> list[str]:
        """What was asked of the API, without its base."""
        return [step.request.url.removeprefix("https://api.example.org/") for step in self.asked]

    @property
    def names(self) -> list[str]:
        """The pictures asked for, in order."""
        return [step.candidate.item.image_url.removeprefix("https://example.org/")[:-4] for step in self.images]

    def answer(self, number: int, *pictures: str, **said: Any) -> None:
        status = said.pop("status", 200)
        body = json.dumps({"pictures": pictures, **said}).encode()
        self.take(self.search.answered(self.asked[number].number, body, status))

    def settle(self, position: int, sha256: str | None = "0" * 64) -> None:
        candidate = self.images[position].candidate
        self.take(self.search.image_settled(candidate, sha256, counts=sha256 is not None))


def test_the_keywords_take_turns() -> None:
    crawl = Driver(FakeApi(""), "mill", "boat", "tree")
    crawl.begin()
    for number in itertools.count():
        if number == len(crawl.asked):
            break
        crawl.answer(number, f"p{number}")

    assert crawl.urls == [f"{keyword}/{page}" for page in (1, 2, 3) for keyword in ("mill", "boat", "tree")]
    assert crawl.names == [f"p{number}" for number in range(9)]
    assert crawl.notes.read == 9


def test_a_keyword_that_has_ended_leaves_its_turn_to_the_others() -> None:
    crawl = Driver(FakeApi(""), "mill", "boat")
    crawl.begin()
    crawl.answer(0, problem={})
    for number in range(1, 4):
        crawl.answer(number, f"p{number}")

    assert crawl.urls == ["mill/1", "boat/1", "boat/2", "boat/3"]


def test_answers_are_read_in_the_order_in_which_they_were_asked_for() -> None:
    crawl = Driver(TwoAtOnce(""), "mill", "boat")
    crawl.begin()
    assert crawl.urls == ["mill/1", "boat/1"]

    crawl.answer(1, "late1", "late2")
    assert crawl.names == []

    crawl.answer(0, "first")
    assert crawl.names == ["first", "late1", "late2"]


def test_an_answer_that_never_comes_holds_nothing_up() -> None:
    crawl = Driver(TwoAtOnce(""), "mill", "boat")
    crawl.begin()
    crawl.answer(1, "boat1")

    crawl.take(crawl.search.unanswered(crawl.asked[0].number, "no answer in 30 seconds"))

    assert crawl.names == ["boat1"]
    assert crawl.notes.failed == ["https://api.example.org/mill/1: no answer in 30 seconds"]


def test_no_more_is_asked_at_once_than_the_manners_permit() -> None:
    crawl = Driver(TwoAtOnce(""), "a", "b", "c", "d")
    crawl.begin()

    assert crawl.urls == ["a/1", "b/1"]


def test_nothing_is_asked_while_there_are_pictures_enough_in_line() -> None:
    crawl = Driver(FakeApi(""), "mill", limit=3)
    crawl.begin()
    crawl.answer(0, "a", "b", "c", "d")
    assert crawl.names == ["a", "b", "c"]
    assert crawl.urls == ["mill/1"]

    crawl.settle(0, None)
    assert crawl.names == ["a", "b", "c", "d"]
    assert crawl.urls == ["mill/1"]

    crawl.settle(1, None)
    assert crawl.urls == ["mill/1", "mill/2"]


def test_a_full_crawl_asks_for_nothing_more() -> None:
    crawl = Driver(TwoAtOnce(""), "mill", "boat", limit=1)
    crawl.begin()
    crawl.answer(0, "a")
    crawl.settle(0)

    assert crawl.search.is_full
    crawl.answer(1, "b")
    assert (crawl.names, len(crawl.asked)) == (["a"], 2)


def test_a_problem_that_passes_is_tried_three_times_after_the_pause_asked_for() -> None:
    crawl = Driver(FakeApi(""), "mill", "boat")
    crawl.begin()
    for number in range(3):
        crawl.answer(number, problem={"retry_after_seconds": 7.0})

    assert crawl.urls == ["mill/1", "mill/1", "mill/1", "boat/1"]
    assert [step.wait_seconds for step in crawl.asked] == [0.0, 7.0, 7.0, 0.0]
    assert crawl.notes.failed == ["https://api.example.org/mill/1: no"]
    assert crawl.notes.start_errors == crawl.notes.failed


def test_a_problem_that_has_passed_leaves_no_trace() -> None:
    crawl = Driver(FakeApi(""), "mill")
    crawl.begin()
    crawl.answer(0, problem={"retry_after_seconds": 1.0})
    crawl.answer(1, "a")

    assert crawl.urls == ["mill/1", "mill/1", "mill/2"]
    assert (crawl.names, crawl.notes.failed, crawl.notes.start_errors) == (["a"], [], [])


def test_a_final_problem_ends_all_asking_and_keeps_what_there_is() -> None:
    crawl = Driver(TwoAtOnce(""), "mill", "boat", "tree")
    crawl.begin()
    crawl.answer(0, "a")
    crawl.answer(1, problem={"is_final": True, "retry_after_seconds": 5.0})
    crawl.answer(2, "b")

    # What was under way is still read, but nothing that it leads to is asked for.
    assert crawl.urls == ["mill/1", "boat/1", "tree/1"]
    assert crawl.names == ["a", "b"]
    assert crawl.notes.failed == ["https://api.example.org/boat/1: no"]
    assert crawl.notes.start_errors == []


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"pictures": 7}', b"\xff"])
def test_an_answer_that_breaks_the_reader_is_only_one(body: bytes) -> None:
    crawl = Driver(FakeApi(""), "mill", "boat")
    crawl.begin()
    crawl.take(crawl.search.answered(crawl.asked[0].number, body, 200))
    crawl.answer(1, "a")

    assert crawl.names == ["a"]
    assert len(crawl.notes.failed) == 1
    assert "could not be understood" in crawl.notes.failed[0]


def test_the_status_reaches_the_source_and_its_notes_the_user() -> None:
    crawl = Driver(FakeApi(""), "mill")
    crawl.begin()
    crawl.answer(0, "a", notes=["one parameter was dropped"], status=203)

    assert crawl.notes.warnings == ["one parameter was dropped", "status 203"]


def test_the_source_is_told_the_keywords_the_filters_and_whether_there_is_a_key() -> None:
    source, filters = FakeApi(""), Filters(min_width=800)
    Driver(source, "mill", filters=filters, credentials={"other": "x"}).begin()
    assert source.begun == (("mill",), filters, False)

    Driver(source, "mill", filters=filters, credentials={"fake": "x"}).begin()
    assert source.begun == (("mill",), filters, True)

    with pytest.raises(SourceError, match="cannot search"):
        Driver(source, "nothing").begin()


def test_of_an_api_only_pictures_with_a_licence_that_fits_are_taken() -> None:
    crawl = Driver(FakeApi(""), "mill")
    crawl.begin()
    crawl.answer(0, "none", **{"with": {"license": None}})
    crawl.answer(1, "good")
    api_images = crawl.names

    listed = Driver(FakeList([item("none", license=None, title="mill")]), "mill")
    listed.begin()

    assert api_images == ["good"]
    assert [(find.record.outcome, find.record.reason) for find in crawl.finds] == [(Outcome.FILTERED, Reason.LICENSE)]
    assert listed.names == ["none"]


def test_a_match_that_only_the_search_tells_of_is_worth_less_than_one_in_any_text() -> None:
    crawl = Driver(FakeApi(""), "mill", "boat")
    crawl.begin()
    crawl.answer(0, "a", **{"with": {"title": "A boat by the water"}})

    [mill, boat] = sorted(crawl.images[0].candidate.matches, key=lambda match: match.score)
    assert (mill.keyword, mill.fields) == ("mill", ("search",))
    assert (boat.keyword, boat.fields) == ("boat", ("title",))
    assert 0 < mill.score < 0.05


def test_an_excluded_word_keeps_a_picture_out_that_the_search_brought() -> None:
    crawl = Driver(FakeApi(""), "mill", exclusions=("people",))
    crawl.begin()
    crawl.answer(0, "a", **{"with": {"title": "People at the mill"}})
    crawl.answer(1, "b", **{"with": {"title": "The mill"}})

    assert crawl.names == ["b"]


def test_a_picture_that_two_queries_bring_is_fetched_once() -> None:
    crawl = Driver(FakeApi(""), "mill", "boat")
    crawl.begin()
    crawl.answer(0, "a", "b")
    crawl.answer(1, "b", "a", "c")

    assert crawl.names == ["a", "b", "c"]


class FakeList(ListSource):
    """A list that counts how far it was read."""

    name = "fake"

    def __init__(self, items: Sequence[ImageItem] | None = None) -> None:
        super().__init__("list.txt")
        self._items = items
        self.read = 0

    def items(self) -> Iterator[ImageItem]:
        endless = (item(f"{number}", title="mill") for number in itertools.count())
        for each in endless if self._items is None else self._items:
            self.read += 1
            yield each


def test_a_list_is_read_no_further_than_pictures_are_wanted() -> None:
    source = FakeList()
    crawl = Driver(source, "mill", limit=100)
    crawl.begin()
    assert crawl.names == [str(number) for number in range(100)]
    assert source.read < 200

    before = source.read
    for position in range(50):
        crawl.settle(position)
    assert source.read == before

    for position in range(50, 100):
        crawl.settle(position, None)
    assert crawl.names == [str(number) for number in range(150)]
    for position in range(100, 150):
        crawl.settle(position)
    assert crawl.search.is_full
    assert source.read < 250


def test_of_a_list_only_what_matches_is_taken_and_all_without_keywords() -> None:
    items: Mapping[str, str] = {"a": "mill", "b": "boat", "c": "Windmills and mills"}
    listed = [item(name, title=title) for name, title in items.items()]

    some, every = Driver(FakeList(listed), "mill"), Driver(FakeList(listed))
    some.begin()
    every.begin()

    assert some.names == ["a", "c"]
    assert every.names == ["a", "b", "c"]
    assert dataclasses.replace(some.request, keywords=()) == every.request
