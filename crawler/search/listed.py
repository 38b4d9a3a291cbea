"""What a crawl of a searching API, or of a list of addresses, does next. No I/O.

Answers are read in the order in which they were asked for, whichever comes first, and the keywords take turns; so the
same answers give the same pictures. Nothing is asked for while there are pictures enough in line: APIs count requests.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from crawler.errors import SourceError
from crawler.items import ImageItem
from crawler.job import CrawlRequest
from crawler.known import LedgerView
from crawler.pictures.candidates import Candidate
from crawler.pictures.finds import Find, RecordMaker
from crawler.pictures.queue import PictureQueue, PictureStep
from crawler.search.notes import Notes
from crawler.sources.base import ApiAnswer, ApiProblem, ApiRequest, ApiSource, ListSource

MAX_TRIES = 3
_LISTED_AT_ONCE = 64
# Pictures that are left out need no request, and a list may have a million of them.
_MOST_STEPS = 512


@dataclass(frozen=True)
class ReadApi:
    """Ask an API, and tell `answered` or `unanswered` with the same number.

    Attributes:
        wait_seconds: How long to leave its host alone before.
    """

    number: int
    request: ApiRequest
    wait_seconds: float = 0.0


ListedStep = ReadApi | PictureStep


@dataclass
class _Asked:
    request: ApiRequest
    tries: int = 1
    answer: tuple[bytes, int] | str | None = None


class ListedSearch:
    """One crawl of an API or a list, as a machine without clock or network."""

    def __init__(
        self,
        source: ApiSource | ListSource | Iterable[Candidate],
        request: CrawlRequest,
        *,
        records: RecordMaker,
        ledger: LedgerView,
        notes: Notes,
    ) -> None:
        """For a source, or for candidates that are known already, such as those that failed before."""
        self._request = request
        self._notes = notes
        self._api = source if isinstance(source, ApiSource) else None
        if self._api is not None:
            request = dataclasses.replace(request, filters=request.filters.requiring_license())
        self._queue = PictureQueue(request, records=records, ledger=ledger)
        self._list = source if isinstance(source, ListSource) else None
        self._candidates = _candidates(source, self._queue)
        self._lines: dict[str, deque[ApiRequest]] = {}
        self._asked: dict[int, _Asked] = {}
        self._count = 0
        self._answers = 0
        self._is_over = False

    @property
    def is_full(self) -> bool:
        """Whether as many pictures are collected as were asked for: there are no more steps."""
        return self._queue.is_full

    def begin(self) -> list[ListedStep]:
        """The first steps.

        Raises:
            SourceError: The API cannot search for this.
        """
        if self._api is not None:
            has_credential = (self._api.credential or "") in self._request.credentials
            first = self._api.begin(self._request.keywords, self._request.filters, has_credential=has_credential)
            self._put(first)
        return self._steps()

    def answered(self, number: int, body: bytes, status: int) -> list[ListedStep]:
        """An answer came, whatever its status."""
        self._asked[number].answer = (body, status)
        return self._steps()

    def unanswered(self, number: int, why: str) -> list[ListedStep]:
        """No answer came."""
        self._asked[number].answer = why
        return self._steps()

    def image_settled(self, candidate: Candidate, sha256: str | None, *, counts: bool) -> list[ListedStep]:
        """A picture was fetched or is known, or (None) was not; its own find is recorded already."""
        return [*self._queue.settle(candidate, sha256, counts=counts), *self._steps()]

    def waiting(self) -> int:
        """How many pictures are in line."""
        return self._queue.candidates.waiting

    def nothing_under_way(self) -> list[ListedStep]:
        """All steps are done: a list may go on after many pictures that needed no request."""
        return [] if self.is_full else self._steps()

    def _steps(self) -> list[ListedStep]:
        steps: list[ListedStep] = []
        while not self.is_full and self._asked and (head := next(iter(self._asked.items())))[1].answer is not None:
            steps += self._read(*head)
        steps += self._queue.next()
        while self._api is None and len(steps) < _MOST_STEPS and self._queue.wants_more and not self.is_full:
            batch = self._batch()
            if not batch:
                break
            steps += self._queue.offer(batch)
            steps += self._queue.next()
        if self.is_full:
            self._tell_remarks()
        steps += self._ask()
        return steps

    def _batch(self) -> list[Candidate]:
        """The next pictures of a list; none once it has ended, or cannot be read on, which is told."""
        batch: list[Candidate] = []
        try:
            batch.extend(islice(self._candidates, _LISTED_AT_ONCE))
        except SourceError as error:
            self._notes.page_failed(str(error))
        if len(batch) < _LISTED_AT_ONCE:
            self._tell_remarks()
        return batch

    def _tell_remarks(self) -> None:
        if self._list is not None:
            for line in self._list.remarks():
                self._notes.warn(line)
        self._list = None

    def _read(self, number: int, asked: _Asked) -> list[ListedStep]:
        assert self._api is not None
        assert asked.answer is not None
        if isinstance(asked.answer, str):
            return self._failed(number, asked.answer)
        body, status = asked.answer
        try:
            answer = self._api.parse(asked.request, body, status=status)
        except ApiProblem as problem:
            if problem.is_final:
                self._is_over = True
            elif problem.retry_after_seconds is not None and asked.tries < MAX_TRIES:
                asked.tries, asked.answer = asked.tries + 1, None
                return [ReadApi(number, asked.request, problem.retry_after_seconds)]
            return self._failed(number, str(problem))
        except Exception as error:  # noqa: BLE001  # answers are hostile, and one that breaks the parser is only one
            return self._failed(number, f"could not be understood: {error!r}")
        del self._asked[number]
        self._answers += 1
        self._notes.page_read(self._api.name)
        return list(self._take(answer))

    def _take(self, answer: ApiAnswer) -> list[Find]:
        for note in answer.notes:
            self._notes.warn(note)
        self._put(answer.requests)
        return self._queue.offer(_matching(answer.items, self._queue))

    def _failed(self, number: int, why: str) -> list[ListedStep]:
        assert self._api is not None
        request = self._asked.pop(number).request
        line = f"{request.url}: {why}"
        if self._answers == 0:
            self._notes.start_failed(line)
        self._notes.page_failed(line)
        return []

    def _put(self, requests: Iterable[ApiRequest]) -> None:
        for request in requests:
            self._lines.setdefault(request.keyword, deque()).append(request)

    def _ask(self) -> Iterator[ReadApi]:
        if self._api is None or self.is_full or self._is_over:
            return
        while self._lines and len(self._asked) < self._api.manners.concurrency and self._queue.wants_more:
            # The keyword whose turn it is goes to the end of the row.
            keyword = next(iter(self._lines))
            line = self._lines.pop(keyword)
            request = line.popleft()
            if line:
                self._lines[keyword] = line
            self._count += 1
            self._asked[self._count] = _Asked(request)
            yield ReadApi(self._count, request)


def _matching(items: Iterable[ImageItem], queue: PictureQueue) -> Iterator[Candidate]:
    for item in items:
        if (matches := queue.match(item)) is not None:
            yield Candidate(item, matches)


def _candidates(source: ApiSource | ListSource | Iterable[Candidate], queue: PictureQueue) -> Iterator[Candidate]:
    if isinstance(source, ApiSource):
        return iter(())
    if isinstance(source, ListSource):
        return _matching(source.items(), queue)
    return iter(source)
