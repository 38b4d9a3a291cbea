"""What a source is: a name, an argument, and a pure reading of what comes from there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from crawler.errors import SourceError
from crawler.filters import Filters
from crawler.items import ImageItem, ParsedPage
from crawler.urls import canonical_url, is_loopback


class WebSource(ABC):
    """A source of pages. It requests nothing itself: the spider does, and hands every page to `parse`."""

    name: ClassVar[str]

    def __init__(self, argument: str) -> None:
        """Keep the argument.

        Raises:
            SourceError: It means nothing to this source.
        """
        self.argument = argument

    @property
    @abstractmethod
    def start_url(self) -> str:
        """Where to begin; the operator named it, so it may be any host and port."""

    @abstractmethod
    def follows(self, url: str) -> bool:
        """Whether a link from one of the source's pages leads to another of its pages."""

    @abstractmethod
    def parse(self, url: str, html: str) -> ParsedPage:
        """Pictures and links of a page, both with canonical addresses; `url` is its address after redirects."""

    def moved(self, url: str) -> None:  # noqa: B027  # a source whose start page never moves has nothing to do
        """Told once, when the start page answered from another address than `start_url`."""

    def second_start_url(self) -> str | None:
        """Where to begin instead when the start page cannot be had or read; None where there is no other place."""
        return None

    def max_bytes_of(self, url: str) -> int | None:  # noqa: ARG002  # most sources have pages of one kind
        """The most that the page at an address may have, in bytes; None for what pages usually may."""
        return None

    def text_of(self, url: str, body: bytes) -> str | None:  # noqa: ARG002  # most sources have texts only
        """The text of an answer that this source unpacks itself; None for others, which are read as their type says.

        Raises:
            ValueError: It cannot be unpacked; the message completes a sentence that begins with its address.
        """
        return None


@dataclass(frozen=True)
class LocalPicture:
    """A file of the user's, described but not read.

    Attributes:
        item: What is said about it; `image_url` is its file URI.
        path: Where it is.
    """

    item: ImageItem
    path: Path


class FileSource(ABC):
    """A source of the user's own files. Nothing is requested over a network."""

    name: ClassVar[str]

    def __init__(self, argument: str) -> None:
        """Keep the argument.

        Raises:
            SourceError: It means nothing to this source, or there is nothing to take.
        """
        self.argument = argument

    @abstractmethod
    def pictures(self) -> Iterator[LocalPicture]:
        """Every picture, in a fixed order."""


@dataclass(frozen=True)
class Manners:
    """How often a host may be asked, by its own published rules.

    Attributes:
        delay_seconds: Least time between two requests.
        concurrency: Most requests at once.
        daily: Most requests in one day (UTC); None when there is no such rule.
    """

    delay_seconds: float
    concurrency: int = 1
    daily: int | None = None


@dataclass(frozen=True)
class ApiRequest:
    """One request to an API; always a GET.

    Attributes:
        url: Address with its query, without secrets.
        keyword: The keyword that it searches for; empty when everything is taken.
        state: What `parse` must know beyond the answer, such as the page number; JSON values.
        secret: Header or query parameter -> name in `CrawlRequest.credentials`; put in just before sending, so that no
            log, record or message holds a key. A name that begins with `?` is a query parameter.
        body_limit: Longer answers are refused, in bytes.
    """

    url: str
    keyword: str = ""
    state: Mapping[str, object] = field(default_factory=dict)
    secret: Mapping[str, str] = field(default_factory=dict)
    body_limit: int = 8 * 2**20


@dataclass(frozen=True)
class ApiAnswer:
    """What one answer gives.

    Attributes:
        items: Pictures, best first.
        requests: What to ask next, in order.
        notes: Lines for the user, such as a warning that the API itself sent.
    """

    items: tuple[ImageItem, ...] = ()
    requests: tuple[ApiRequest, ...] = ()
    notes: tuple[str, ...] = ()


class ApiProblem(Exception):
    """The API answered, and says that it cannot serve this request; the text is fit for a user.

    Attributes:
        retry_after_seconds: When it wants to be asked again; None when it does not tell.
        is_final: Whether nothing more can be had from this source in this crawl, such as for a key that it refuses.
    """

    def __init__(self, text: str, *, retry_after_seconds: float | None = None, is_final: bool = False) -> None:
        super().__init__(text)
        self.retry_after_seconds = retry_after_seconds
        self.is_final = is_final


class ApiSource(ABC):
    """A source that searches by itself. It requests nothing: `begin` and `parse` say what to ask, and read the answers.

    robots.txt is not asked about the API's own addresses, which are made for programs; it is about every picture.

    Attributes:
        title: Name for people.
        homepage: Address for people.
        terms: Where the rules of its use stand.
        manners: Of the API's own host.
        media_manners: Host -> manners, for hosts that its pictures lie on and that have rules of their own.
        credential: Name in `CrawlRequest.credentials` of the key that it takes; None when it takes none.
        credential_required: Whether it answers nobody without.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    homepage: ClassVar[str]
    terms: ClassVar[str]
    manners: ClassVar[Manners]
    media_manners: ClassVar[Mapping[str, Manners]] = {}
    credential: ClassVar[str | None] = None
    credential_required: ClassVar[bool] = False
    default_base: ClassVar[str]

    def __init__(self, argument: str) -> None:
        """Keep the argument: the address of a server with the same API, or nothing for the usual one.

        Raises:
            SourceError: It is no web address.
        """
        self.argument = argument.strip()
        self.base = api_base(self.name, self.argument or self.default_base)

    @abstractmethod
    def begin(self, keywords: Sequence[str], filters: Filters, *, has_credential: bool) -> Sequence[ApiRequest]:
        """The first requests, one or more for each keyword. A query that the API caps is split, so as to get beyond.

        Args:
            keywords: At least one.
            filters: As many as the API can apply become part of the query; the others are applied to its answers.
            has_credential: Whether the operator gave a key.

        Raises:
            SourceError: The API cannot search for this.
        """

    @abstractmethod
    def parse(self, request: ApiRequest, answer: bytes, *, status: int = 200) -> ApiAnswer:
        """Pictures, and what to ask next. Pure.

        Raises:
            ApiProblem: The API reports an error.
            ValueError: The answer is not what it should be.
        """


class ListSource(ABC):
    """A source that is a list of addresses on the user's machine; the pictures are requested over the network."""

    name: ClassVar[str]

    def __init__(self, argument: str) -> None:
        """Keep the argument.

        Raises:
            SourceError: It means nothing to this source, or the list cannot be read.
        """
        self.argument = argument

    @abstractmethod
    def items(self) -> Iterator[ImageItem]:
        """Every picture, in a fixed order, read as it goes: a list may have millions of lines.

        Raises:
            SourceError: The list cannot be read on.
        """

    def remarks(self) -> Sequence[str]:
        """Lines for the user about what was read so far, such as how much of it was of no use."""
        return ()


Source = WebSource | FileSource | ApiSource | ListSource


def site_address(name: str, argument: str) -> str:
    """The canonical address of a site that the user named.

    Raises:
        SourceError: Not a web address, or one with a user name or password.
    """
    # A path is not taken for a host.
    text = argument if argument.startswith(("/", ".")) or not argument else _with_scheme(argument)
    try:
        if urlsplit(text).username is not None:
            raise SourceError(f"{name}={argument}: an address with a user name or password is not crawled")
        return canonical_url(text)
    except ValueError as error:
        raise SourceError(
            f"{name}={argument} is not a web address; give one such as {name}=https://example.org/"
        ) from error


def api_base(name: str, text: str) -> str:
    """The canonical address of an API's server, without a slash at its end.

    Raises:
        SourceError: Not a web address, or one with a user name or password.
    """
    text = _with_scheme(text)
    try:
        if urlsplit(text).username is not None:
            raise SourceError(f"{name}={text}: an address with a user name or password is not used")
        return canonical_url(text).rstrip("/")
    except ValueError as error:
        raise SourceError(f"{name}={text} is not a web address; leave it away for the usual server") from error


def _with_scheme(text: str) -> str:
    """An address as typed, with https in front where it has no scheme; http for this machine."""
    if "://" in text:
        return text
    is_here = is_loopback(text.partition("/")[0].partition(":")[0])
    return f"{'http' if is_here else 'https'}://{text}"
