"""The options of everything that crawls - run, crawl, collect, schedule add - and what they come to."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, get_type_hints

import typer

from flows.asked import Asked
from flows.commands.common import ExitCode, ShownError
from flows.commands.crawl_filters import (
    filters_for,
    parse_aspect,
    parse_date,
    parse_formats,
    parse_orientation,
)
from flows.commands.licenses import LICENSE_WORDS, parse_license
from flows.wiring import Environment

_FILTERS = "Which pictures"
_LARGEST = 2**31 - 1  # of the limits that a catalog on PostgreSQL keeps

KeywordsArgument = Annotated[
    list[str] | None,
    typer.Argument(help="What to collect; put phrases in quotes.", metavar="KEYWORD", show_default=False),
]
AllOption = Annotated[bool, typer.Option("--all", help="Take every picture; no keyword needed.")]


def _filter(*names: str, help: str, **settings: Any) -> Any:  # noqa: A002  # Typer's word
    return typer.Option(*names, help=help, show_default=False, rich_help_panel=_FILTERS, **settings)


@dataclass(frozen=True)
class CrawlOptions:
    """What the command line says of a crawl, beside the keywords."""

    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            "-s",
            help="Where from: openverse, wikimedia, website=URL, folder=PATH, ...; `dreamcrawl sources` lists them. "
            "May be given several times: each is asked for an even share of --limit.",
            metavar="NAME[=ARG]",
            show_default=False,
        ),
    ] = None
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "-n",
            min=1,
            max=_LARGEST,
            help="Most pictures to collect, those of earlier runs included.",
            show_default="50",
        ),
    ] = None
    unwanted: Annotated[
        list[str] | None,
        _filter("--not", metavar="WORD", help="Leave out pictures of which this is said; may be given several times."),
    ] = None
    license: Annotated[
        str | None,
        _filter(
            "--license",
            metavar="LICENCE",
            help="adaptable (the usual): its licence permits adaptations, or none is declared; commercial: that, and"
            f" commercial use. All words: {LICENSE_WORDS}.",
        ),
    ] = None
    require_license: Annotated[
        bool | None,
        _filter(
            "--require-license/--no-require-license",
            help="Leave out pictures without a licence that can be read; with --no-require-license, take them.",
        ),
    ] = None
    min_width: Annotated[int | None, _filter("--min-width", min=0, metavar="PIXELS", help="Least width.")] = None
    min_height: Annotated[int | None, _filter("--min-height", min=0, metavar="PIXELS", help="Least height.")] = None
    max_megapixels: Annotated[
        float | None, _filter("--max-megapixels", min=0, metavar="NUMBER", help="Most millions of pixels.")
    ] = None
    orientation: Annotated[
        str | None, _filter("--orientation", metavar="SHAPE", help="Only landscape, portrait or square pictures.")
    ] = None
    aspect: Annotated[
        str | None,
        _filter(
            "--aspect",
            metavar="MIN:MAX",
            help="Width divided by height, such as 1.2:2 or 4/3:16/9; either may be empty.",
        ),
    ] = None
    format: Annotated[
        str | None, _filter("--format", metavar="LIST", help="Of jpeg, png, webp, gif, with commas between.")
    ] = None
    since: Annotated[
        str | None,
        _filter("--since", metavar="DATE", help="Made or published then or later: 2019, 2019-05 or 2019-05-02."),
    ] = None
    until: Annotated[str | None, _filter("--until", metavar="DATE", help="Made or published then or before.")] = None
    mature: Annotated[
        bool | None, _filter("--mature/--no-mature", help="Take what its source marks as unfit for everybody.")
    ] = None
    only_new: Annotated[
        bool, typer.Option("--only-new", help="Count new pictures only towards --limit, not those of earlier runs.")
    ] = False
    revalidate: Annotated[
        bool, typer.Option("--revalidate", help="Ask for known pictures again, in case they have changed.")
    ] = False
    contact: Annotated[
        str | None,
        typer.Option(
            "--contact", help="Your e-mail or web address, told to every site beyond this machine.", show_default=False
        ),
    ] = None

    def asked(
        self, environment: Environment, keywords: Sequence[str], *, exclusions: Sequence[str] = (), retry: bool = False
    ) -> Asked:
        """What is asked for; settings fill in what was not said.

        Args:
            environment: Of this command.
            keywords: From the command line, or from a request.
            exclusions: From a request; those of `--not` come in addition.
            retry: Whether only what failed before is asked for.

        Raises:
            ShownError: An option that cannot be, or two that cannot be together.
            KeywordInvalid: A keyword or exclusion that can match nothing.
        """
        from crawler.keywords import normalize, parse_keywords

        wanted, unwanted = parse_keywords(keywords), parse_keywords((*exclusions, *(self.unwanted or ())))
        refused = {normalize(word) for word in unwanted}
        if both := [word for word in wanted if normalize(word) in refused]:
            raise ShownError(f"{both[0]!r} is both a keyword and excluded; decide on one", ExitCode.USAGE)
        sources = tuple(dict.fromkeys(self.source or ()))
        return Asked(
            keywords=wanted,
            source=sources[0] if sources else "",
            more_sources=sources[1:],
            limit=self.limit or environment.values.crawl.limit,
            exclusions=unwanted,
            filters=filters_for(
                environment.values.crawl,
                license=None if self.license is None else parse_license(self.license),
                require_license=self.require_license,
                min_width=self.min_width,
                min_height=self.min_height,
                max_megapixels=self.max_megapixels,
                orientation=parse_orientation(self.orientation),
                aspect=parse_aspect(self.aspect),
                formats=parse_formats(self.format),
                since=parse_date("--since", self.since),
                until=parse_date("--until", self.until),
                mature=self.mature,
            ),
            only_new=self.only_new,
            retry_failed=retry,
            revalidate=self.revalidate,
        )


def takes_crawl_options(*, without: Collection[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the options of `CrawlOptions`, in place of its parameter `options`.

    without: Names of options that it has not.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(CrawlOptions, include_extras=True)
        named = [field for field in fields(CrawlOptions) if field.name not in without]
        added = [
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
            )
            for field in named
        ]
        own = inspect.signature(command, eval_str=True)
        before = [each for each in own.parameters.values() if each.kind is not inspect.Parameter.KEYWORD_ONLY]
        after = [each for each in own.parameters.values() if each.kind is inspect.Parameter.KEYWORD_ONLY]
        parameters = [each for each in (*before, *added, *after) if each.name != "options"]

        @functools.wraps(command)
        def wrapper(**given: Any) -> None:
            options = CrawlOptions(**{field.name: given.pop(field.name) for field in named})
            command(**given, options=options)

        # What Typer makes the command line of.
        wrapper.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]  # callables may have it
        wrapper.__annotations__ = {each.name: each.annotation for each in parameters}
        return wrapper

    return decorate


def words_of(keywords: Sequence[str] | None, *, take_all: bool) -> list[str]:
    """The keywords of the command line.

    Raises:
        ShownError: There are none, and not everything is wanted; or both.
    """
    words = [word.strip() for word in keywords or [] if word.strip()]
    if words and take_all:
        raise ShownError("give keywords or --all, not both", ExitCode.USAGE)
    if not words and not take_all:
        raise ShownError("give at least one keyword, or --all to take every picture", ExitCode.USAGE)
    return words
