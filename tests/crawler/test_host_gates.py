"""The gates of all hosts of a crawl: what answers say, what is told, and what goes to the catalog."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crawler.hosts import gates as host_gates
from crawler.hosts.gates import MAX_CRAWL_DELAY_SECONDS, MAX_HOSTS_TOLD, OTHERS, HostGates
from crawler.sources.base import Manners
from pipeline.catalog.engine import open_catalog
from pipeline.catalog.host_rules import HostBudget, Standing
from pipeline.catalog.hosts import HostCall, HostLedger, Look
from pipeline.errors import CatalogBusy, Reason
from tests.support import plain_sql

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
URL = "https://example.org/a.jpg"
LOCAL = "http://127.0.0.1:8000/a.jpg"
LEFT = "; 1 request(s) there were left for a run after that"


def gates_with(ledger: HostLedger | None = None, **changes: object) -> HostGates:
    values = {"delay_seconds": 0.0, "concurrency": 2, "deadline_seconds": 1000.0, **changes}
    return HostGates(ledger or HostLedger(clock=lambda: BEGAN), **values)  # type: ignore[arg-type]  # a test's shorthand


async def ask(gates: HostGates, url: str, status: int = 200, /, **headers: str) -> str | Standing:
    answer = await gates.enter(url)
    if isinstance(answer, str):
        gates.leave(url, answer)
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        gates.answered(url, status, named, size_bytes=100)
    return answer


def budget_of(gates: HostGates, url: str) -> HostBudget:
    async def look() -> HostBudget:
        return (await gates._budgets.ask(Look(gates.gate(url).name))).budget

    return asyncio.run(look())


@pytest.mark.parametrize(
    ("status", "headers", "seconds", "reason", "cooldowns"),
    [
        (429, {"Retry_After": "90"}, 90, "too_many_requests", 1),
        (429, {"Retry_After": "0"}, 5, "too_many_requests", 1),
        (429, {}, 5, "too_many_requests", 1),
        (503, {"Retry_After": "90"}, 90, "too_many_requests", 1),
        (503, {}, 5, "too_many_requests", 1),
        (429, {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "7200"}, 7200, "quota", 1),
        (200, {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "50"}, 50, "too_many_requests", 0),
        (200, {"X_RateLimit_Remaining": "1", "X_RateLimit_Reset": "50"}, 0, None, 0),
        (200, {"Retry_After": "90"}, 0, None, 0),
        (404, {}, 0, None, 0),
        (500, {}, 0, None, 0),
    ],
)
def test_an_answer_tells_how_long_its_host_is_left_alone(
    status: int, headers: dict[str, str], seconds: int, reason: str | None, cooldowns: int
) -> None:
    gates = gates_with()
    asyncio.run(ask(gates, URL, status, **headers))

    budget = budget_of(gates, URL)

    assert budget.cooldown_until == (BEGAN + seconds if seconds else 0)
    assert (budget.cooldown_reason, budget.cooldowns) == (reason, cooldowns)


def test_a_robots_txt_that_is_not_served_closes_its_host_and_pauses_nothing() -> None:
    gates = gates_with()
    asyncio.run(ask(gates, "https://example.org/robots.txt", 503))

    assert budget_of(gates, URL).cooldown_until == 0


def test_requests_of_a_day_are_counted_as_the_host_counts_them() -> None:
    gates = gates_with()
    headers: dict[str, str] = {
        "X_RateLimit_Limit_anon_sustained": "200/day",
        "X_RateLimit_Available_anon_sustained": "1",
    }

    async def three() -> list[str | Standing]:
        return [await ask(gates, URL, **headers), await ask(gates, URL), await ask(gates, URL)]

    *_, last = asyncio.run(three())

    assert isinstance(last, Standing)
    assert (last.reason, last.until) == (Reason.QUOTA, datetime(2026, 1, 3, tzinfo=UTC).timestamp())
    assert gates.warnings() == (f"example.org allows no more requests until 2026-01-03 00:00 UTC{LEFT}",)


def test_the_rules_of_a_source_hold_for_its_hosts() -> None:
    gates = gates_with(rules={"example.org": Manners(0.0, concurrency=1, daily=1)})

    async def two() -> list[str | Standing]:
        return [await ask(gates, URL), await ask(gates, URL)]

    granted, refused = asyncio.run(two())

    assert isinstance(granted, str)
    assert isinstance(refused, Standing)


def test_the_crawl_as_a_whole_has_a_limit_too() -> None:
    gates = gates_with(concurrency=2)

    async def many() -> int:
        tasks = [asyncio.create_task(gates.enter(f"https://{name}.example/")) for name in "abcdefg"]
        await asyncio.sleep(0.01)
        inside = sum(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        return inside

    assert asyncio.run(many()) == 4


def test_crawl_delay_is_kept_to_a_most_and_given_up_when_it_is_gone() -> None:
    gates = gates_with()

    async def told(seconds: float) -> None:
        gates.slow_down(URL, seconds)

    asyncio.run(told(10_000))
    assert budget_of(gates, URL).delay_seconds == MAX_CRAWL_DELAY_SECONDS
    gates.gate(URL).budget = budget_of(gates, URL)
    asyncio.run(told(0))
    assert budget_of(gates, URL).delay_seconds == 0


def test_figures_and_lines_tell_of_each_host() -> None:
    gates = gates_with()

    async def some() -> None:
        await ask(gates, URL)
        await ask(gates, URL, 429, Retry_After="600")
        await ask(gates, URL)
        await ask(gates, LOCAL, 404)
        await gates.enter(LOCAL)

    asyncio.run(some())

    assert gates.statistics() == {
        "example.org": {
            "requests": 2,
            "answers": 2,
            "bytes": 200,
            "waited_seconds": 0.0,
            "status": 429,
            "cooldown_until": "2026-01-02T03:14:05+00:00",
        },
        "127.0.0.1:8000": {
            "requests": 2,
            "answers": 1,
            "bytes": 100,
            "waited_seconds": 0.0,
            "status": 404,
            "cooldown_until": None,
        },
    }
    assert gates.lines() == (
        "example.org: 0 under way, 2 done, left alone for 600 s",
        "127.0.0.1:8000: 1 under way, 1 done",
    )
    assert gates.warnings() == (f"example.org asks to be left alone until 2026-01-02 03:15 UTC{LEFT}",)


def test_very_many_hosts_are_added_up_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_gates, "_MAX_GATES", 150)
    gates = gates_with()

    async def many() -> None:
        for number in range(400):
            await ask(gates, f"https://host{number}.example/")

    asyncio.run(many())
    figures = gates.statistics()

    assert len(gates._gates) <= 150
    assert len(figures) == MAX_HOSTS_TOLD + 1
    assert figures[OTHERS]["requests"] == 400 - MAX_HOSTS_TOLD
    assert figures[OTHERS]["bytes"] == 100 * (400 - MAX_HOSTS_TOLD)


def changes(path: Path) -> int:
    return int(plain_sql.rows(path, "SELECT count(*) FROM host")[0][0])


def test_a_host_on_this_machine_costs_the_catalog_nothing_until_it_asks_to_be_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    with open_catalog(path) as catalog:
        done: list[Sequence[HostCall]] = []

        class Watched(HostLedger):
            def do(self, calls: Sequence[HostCall]) -> list[Standing]:
                done.append(calls)
                return super().do(calls)

        gates = gates_with(Watched(catalog, clock=lambda: BEGAN))

        async def many() -> None:
            for _ in range(20):
                await ask(gates, LOCAL)

        asyncio.run(many())
        assert [len(calls) for calls in done] == [1]  # one look at what earlier crawls left
        assert changes(path) == 0

        asyncio.run(ask(gates, LOCAL, 429, Retry_After="600"))
        gates.finish()
        assert changes(path) == 1

        later = gates_with(HostLedger(catalog, clock=lambda: BEGAN + 60))
        answer = asyncio.run(ask(later, LOCAL))
        later.finish()

    assert isinstance(answer, Standing)
    assert answer.until == BEGAN + 600


def test_every_request_to_another_host_is_in_the_catalog_and_its_place_comes_back(tmp_path: Path) -> None:
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog:
        gates = gates_with(HostLedger(catalog, clock=lambda: BEGAN), concurrency=4)

        async def several() -> None:
            await asyncio.gather(*(ask(gates, URL) for _ in range(8)))

        asyncio.run(several())
        gates.finish()
        with catalog.read() as uow:
            assert uow.hosts.get("example.org").requests == 8
            assert uow.hosts.lease_holders() == []


def test_a_catalog_that_cannot_be_used_is_told_once_and_the_crawl_goes_on() -> None:
    class Locked(HostLedger):
        is_shared = True

        def drop_leases(self) -> None:
            raise CatalogBusy("the catalog is locked")

    told: list[str] = []
    gates = gates_with(Locked(clock=lambda: BEGAN), on_trouble=told.append)

    async def several() -> list[str | Standing]:
        return [await ask(gates, URL) for _ in range(3)]

    answers = asyncio.run(several())

    assert all(isinstance(answer, str) for answer in answers)
    assert len(told) == 1
    assert told[0].startswith("the catalog is locked")
