"""Why a run has so few pictures: each reason in words, with what to do about it, and the hosts it has to do with."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows.funnel import Funnel
from pipeline.reasons import (
    FAILED,
    FILTERED,
    NOT_DREAMED,
    POSTPONED,
    REFUSED,
    REJECTED,
    Explained,
    advice_for,
    explained,
    explained_objection,
)

if TYPE_CHECKING:
    from pipeline.catalog.values import Rejection, Run

RETRY_COMMAND = "dreamcrawl crawl --retry-failed"


@dataclass(frozen=True)
class Example:
    """One candidate that was not taken."""

    url: str
    detail: str


@dataclass(frozen=True)
class Cause:
    """One reason of one run.

    Attributes:
        outcome: refused, filtered, postponed, failed, rejected or not dreamed on.
        meaning: In plain words; `advice`: what to do about it.
    """

    reason: str
    outcome: str
    count: int
    meaning: str
    advice: str
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """All of one run.

    Attributes:
        causes: The most frequent first.
        hints: Lines about the run as a whole.
        come_back: When the last of the hosts that want to be left alone may be asked again, UTC; None for now.
        commands: What to run next.
    """

    causes: tuple[Cause, ...]
    hints: tuple[str, ...]
    come_back: dt.datetime | None
    commands: tuple[str, ...]


def explain(run: Run, *, examples_of: Callable[[str, str], Sequence[Rejection]], now: dt.datetime) -> Explanation:
    """Why a run has what it has.

    Args:
        run: As the catalog has it.
        examples_of: Gives some of the run's candidates of a stage (crawl, ingest) and with a reason.
        now: This moment.
    """
    funnel = Funnel.from_json(run.counters)
    kept = funnel.crawl.get("examples", {})
    causes = [
        _cause(reason, count, outcome, _of_rows(examples_of("crawl", reason)) or _of_crawl(kept.get(reason)))
        for outcome in (REFUSED, FILTERED, POSTPONED, FAILED)
        for reason, count in funnel.reasons_of(outcome).items()
    ]
    causes += [
        _cause(reason, count, REJECTED, _of_rows(examples_of("ingest", reason)))
        for reason, count in funnel.ingest_reasons().items()
    ]
    causes += [
        _cause(reason, count, NOT_DREAMED, (), told=explained_objection(reason))
        for reason, count in funnel.dream_reasons.items()
    ]
    causes.sort(key=lambda cause: (-cause.count, cause.reason))
    come_back = _come_back(funnel.crawl.get("hosts", {}), now=now)
    return Explanation(tuple(causes), tuple(_hints(run, funnel)), come_back, tuple(_commands(funnel)))


def _cause(
    reason: str, count: int, outcome: str, examples: tuple[Example, ...], *, told: Explained | None = None
) -> Cause:
    told = told or explained(reason)
    return Cause(reason, outcome, count, told.meaning, advice_for(told, outcome), examples)


def _of_rows(rows: Sequence[Rejection]) -> tuple[Example, ...]:
    return tuple(Example(each.image_url, each.detail) for each in rows)


def _of_crawl(examples: Sequence[Sequence[str]] | None) -> tuple[Example, ...]:
    return tuple(Example(*example) for example in examples or () if len(example) == 2)


def _hints(run: Run, funnel: Funnel) -> list[str]:
    hints: list[str] = []
    crawl = funnel.crawl
    if not crawl:
        return hints
    limit = run.parameters.get("limit")
    if crawl.get("finished") == "limit":
        hints.append(f"it ended at its limit of {limit} pictures; a larger --limit takes more")
    elif crawl.get("finished") == "deadline":
        hints.append("its time was up (crawl.deadline_seconds); the same command again goes on from there")
    elif crawl.get("finished") == "interrupted":
        hints.append("it was stopped; the same command again goes on from there")
    if funnel.found == 0:
        where = f"{crawl.get('pages', 0)} pages or answers were read"
        hints.append(f"nothing matched the keywords: {where}; try other words, or several with the plural")
    elif funnel.known and not funnel.fetched:
        hints.append("all that was found is known from earlier runs; --only-new does not count them to the limit")
    return hints


def _come_back(hosts: Mapping[str, Any], *, now: dt.datetime) -> dt.datetime | None:
    moments = []
    for figures in hosts.values():
        try:
            moment = dt.datetime.fromisoformat(str(figures.get("cooldown_until")))
        except (AttributeError, ValueError):
            continue
        if moment.tzinfo is not None and moment > now:
            moments.append(moment)
    return max(moments, default=None)


def _commands(funnel: Funnel) -> list[str]:
    return [RETRY_COMMAND] if funnel.failed or funnel.postponed else []
