"""A request in the user's own words: the keywords found in it, shown, changed and agreed to."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from flows.commands.common import ExitCode, ShownError, output, print_json, print_table

if TYPE_CHECKING:
    from crawler.language.keyword_extraction import Extraction
    from flows.asked import Asked

_SEPARATORS = re.compile(r"[,;，、；\n]")  # noqa: RUF001  # lists in Chinese and Japanese
_QUOTES = "\"'“”„«»「」"
_PROMPT = "Enter to go on; or type what to collect instead, with commas (-word: without)"


@dataclass(frozen=True)
class Request:
    """What was agreed to.

    Attributes:
        language: ISO 639-1, as found in the text or named.
    """

    keywords: tuple[str, ...]
    exclusions: tuple[str, ...]
    language: str


def agreed_request(
    text: str,
    asked: Callable[[tuple[str, ...], tuple[str, ...]], Asked],
    *,
    language: str | None,
    yes: bool,
    as_json: bool,
) -> tuple[Request, Asked]:
    """The keywords and exclusions of a text, once the user agrees; on a terminal they can be typed anew.

    Args:
        text: What the user wrote.
        asked: Makes of keywords and exclusions what is asked for, or raises what is wrong with it.
        language: Of the text; None to find it.
        yes: Agrees beforehand.
        as_json: Whether results are printed as JSON: then nobody is asked.

    Raises:
        ShownError: Nobody can be asked, and `yes` is not said.
        KeywordInvalid: Nothing to look for in the text.
    """
    from crawler.language.keyword_extraction import extract_keywords

    found = extract_keywords(text, language=language)
    request = Request(found.keywords, found.exclusions, found.language)
    # What is wrong with the other options is told before anything is asked.
    wanted = asked(request.keywords, request.exclusions)
    if yes:
        if not as_json:
            _show(request)
        return request, wanted
    if as_json or not sys.stdin.isatty():
        if as_json:
            print_json(_as_json(found))
        else:
            _show(request)
        raise ShownError(
            f"to go on with these, say --yes; or, with your other options: {_command(wanted)}", ExitCode.USAGE
        )
    return _discuss(request, wanted, asked)


def _discuss(
    request: Request, wanted: Asked, asked: Callable[[tuple[str, ...], tuple[str, ...]], Asked]
) -> tuple[Request, Asked]:
    from crawler.errors import KeywordInvalid

    while True:
        _show(request)
        try:
            typed = typer.prompt(_PROMPT, default="", show_default=False)
        except typer.Abort:
            raise KeyboardInterrupt from None
        if not typed.strip():
            return request, wanted
        keywords, exclusions = parse_edit(typed)
        if not keywords:
            output().print("at least one keyword is needed\n", style="yellow")
            continue
        try:
            wanted = asked(keywords, exclusions)
            request = Request(wanted.keywords, exclusions, request.language)
        except (KeywordInvalid, ShownError) as error:
            output().print(f"{error}\n", style="yellow", markup=False)


def parse_edit(typed: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keywords and exclusions of a line such as `calm lake, maple, -people`."""
    keywords: list[str] = []
    exclusions: list[str] = []
    for part in _SEPARATORS.split(typed):
        word = part.strip()
        target = exclusions if word.startswith(("-", "−")) else keywords  # noqa: RUF001  # also the minus sign itself
        if word := word.lstrip("-− ").strip(_QUOTES).strip():  # noqa: RUF001  # likewise
            target.append(word)
    return tuple(keywords), tuple(exclusions)


def _show(request: Request) -> None:
    rows = [("keywords", ", ".join(request.keywords))]
    if request.exclusions:
        rows.append(("without", ", ".join(request.exclusions)))
    rows.append(("language", request.language))
    print_table(("", ""), rows)
    output().print()


def _as_json(found: Extraction) -> dict[str, object]:
    return {"keywords": list(found.keywords), "exclusions": list(found.exclusions), "language": found.language}


def _command(wanted: Asked) -> str:
    """The command with the same keywords, for those who want to change them."""
    unwanted = [part for word in wanted.exclusions for part in ("--not", word)]
    sources = [part for source in wanted.sources for part in ("--source", source)]
    return shlex.join(["dreamcrawl", "run", *wanted.keywords, *unwanted, *sources])
