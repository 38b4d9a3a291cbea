"""Budgets of hosts: the rules on plain values, in memory, in one catalog, and in a catalog that processes share."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.catalog.engine import open_catalog
from pipeline.catalog.host_rules import LEASE_SECONDS, HostBudget, HostLimits, cooled, succeeded
from pipeline.catalog.hosts import (
    CoolDown,
    GiveBack,
    HostLedger,
    KeepDelay,
    KeepQuota,
    Look,
    Succeeded,
    Take,
)
from pipeline.errors import Reason

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
MIDNIGHT = datetime(2026, 1, 3, tzinfo=UTC).timestamp()
HOST = "example.org"
ONE_A_SECOND = HostLimits(1.0, 1)

ASKER = """
import json, sys, time
from pipeline.catalog.engine import open_catalog
from pipeline.catalog.host_rules import HostLimits
from pipeline.catalog.hosts import GiveBack, HostLedger, Take
path, name, delay, concurrency, wanted = sys.argv[1], sys.argv[2], *map(float, sys.argv[3:])
granted = []
with open_catalog(path) as catalog:
    ledger = HostLedger(catalog)
    while len(granted) < wanted:
        lease = f"{name}-{len(granted)}"
        standing = ledger.do([Take("example.org", HostLimits(delay, int(concurrency)), lease)])[0]
        if standing.granted:
            granted.append([standing.budget.next_at - delay, standing.budget.requests])
            ledger.do([GiveBack("example.org", lease)])
        else:
            time.sleep(max(0.0, standing.until - time.time()))
print(json.dumps(granted))
"""


class Clock:
    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["memory", "catalog"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[HostLedger, Clock]]:
    clock = Clock()
    if request.param == "memory":
        yield HostLedger(clock=clock), clock
        return
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog:
        yield HostLedger(catalog, clock=clock), clock


def take(ledger: HostLedger, lease: str, limits: HostLimits = ONE_A_SECOND) -> tuple[bool, float, Reason | None]:
    standing = ledger.do([Take(HOST, limits, lease)])[0]
    return standing.granted, standing.until, standing.reason


def test_a_host_is_asked_once_in_each_delay(shared: tuple[HostLedger, Clock]) -> None:
    ledger, clock = shared
    limits = HostLimits(2.0, 9)

    assert take(ledger, "a", limits) == (True, 0.0, None)
    clock.now += 1.5
    assert take(ledger, "b", limits) == (False, BEGAN + 2.0, None)
    clock.now = BEGAN + 2.0
    assert take(ledger, "b", limits) == (True, 0.0, None)
    assert ledger.do([Look(HOST)])[0].budget.requests == 2


def test_places_are_shared_and_come_back(shared: tuple[HostLedger, Clock]) -> None:
    ledger, clock = shared
    limits = HostLimits(0.0, 2)

    assert [take(ledger, lease, limits)[0] for lease in "abc"] == [True, True, False]
    ledger.do([GiveBack(HOST, "a"), GiveBack(HOST, "unknown")])
    clock.now += 1
    assert [take(ledger, lease, limits)[0] for lease in "cd"] == [True, False]


def test_the_leases_of_a_crawl_that_is_gone_run_out(tmp_path: Path) -> None:
    clock = Clock()
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog:
        ledger = HostLedger(catalog, clock=clock)
        assert take(ledger, "of one that is killed")[0]
        clock.now += LEASE_SECONDS - 1
        assert not take(ledger, "b")[0]
        clock.now += 1
        assert take(ledger, "b")[0]


def test_the_leases_of_processes_that_are_gone_are_dropped_at_once(tmp_path: Path) -> None:
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog:
        ledger = HostLedger(catalog)
        with catalog.write() as uow:
            uow.hosts.lease("dead", HOST, process="elsewhere:1:1", expires_at=BEGAN + 1e9)
            uow.hosts.lease("alive", HOST, process="other host:1:1", expires_at=BEGAN + 1e9)
        ledger.do([Take(HOST, HostLimits(0.0, 9), "own")])

        ledger.drop_leases()

        with catalog.read() as uow:
            # Of another host nobody here can tell.
            assert sorted(uow.hosts.lease_holders()) == ["elsewhere:1:1", "other host:1:1"]


def test_a_cool_down_holds_for_all_and_guesses_grow_until_a_success(shared: tuple[HostLedger, Clock]) -> None:
    ledger, clock = shared
    waits = []
    for _ in range(12):
        until = ledger.do([CoolDown(HOST, None)])[0].until
        waits.append(until - clock.now)
        assert take(ledger, "a") == (False, until, Reason.TOO_MANY_REQUESTS)
        clock.now = until

    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]
    ledger.do([Succeeded(HOST)])
    assert ledger.do([CoolDown(HOST, None)])[0].until - clock.now == 5


def test_refusals_of_requests_that_were_under_way_are_one_cool_down() -> None:
    budget = cooled(HostBudget(HOST), 60.0, Reason.TOO_MANY_REQUESTS, now=BEGAN)

    later = cooled(budget, None, Reason.TOO_MANY_REQUESTS, now=BEGAN + 1)
    longer = cooled(later, 90.0, Reason.TOO_MANY_REQUESTS, now=BEGAN + 2)

    assert (later.cooldown_until, later.cooldowns) == (BEGAN + 60, 1)
    assert (longer.cooldown_until, longer.cooldowns) == (BEGAN + 92, 1)
    assert succeeded(longer, now=BEGAN + 3) == longer  # the answer to a request from before
    assert succeeded(longer, now=BEGAN + 93).cooldowns == 0


@pytest.mark.parametrize("seconds", [1e9, float("inf")])
def test_no_host_is_left_alone_for_ever(seconds: float) -> None:
    assert cooled(HostBudget(HOST), seconds, Reason.TOO_MANY_REQUESTS, now=BEGAN).cooldown_until == BEGAN + 86_400


def test_a_day_has_so_many_requests_and_the_next_day_begins_at_midnight(shared: tuple[HostLedger, Clock]) -> None:
    ledger, clock = shared
    limits = HostLimits(0.0, 9, daily=2)

    assert [take(ledger, lease, limits)[0] for lease in "ab"] == [True, True]
    assert take(ledger, "c", limits) == (False, MIDNIGHT, Reason.QUOTA)
    clock.now = MIDNIGHT
    assert take(ledger, "c", limits)[0]


def test_what_a_host_says_of_its_quota_counts_with_what_was_asked(shared: tuple[HostLedger, Clock]) -> None:
    ledger, clock = shared
    ledger.do([KeepQuota(HOST, 200, 199)])

    assert [take(ledger, lease, HostLimits(0.0, 9, daily=10_000))[0] for lease in "ab"] == [True, False]
    clock.now = MIDNIGHT
    assert take(ledger, "b", HostLimits(0.0, 9))[0]
    assert ledger.do([Look(HOST)])[0].budget.quota_limit == 200


def test_crawl_delay_is_kept_makes_it_one_at_a_time_and_ends_when_it_is_gone(
    shared: tuple[HostLedger, Clock],
) -> None:
    ledger, clock = shared
    limits = HostLimits(0.0, 4)
    ledger.do([KeepDelay(HOST, 10.0)])

    assert take(ledger, "a", limits) == (False, BEGAN + 10, None)
    clock.now += 10
    assert take(ledger, "a", limits)[0]
    clock.now += 10
    assert not take(ledger, "b", limits)[0]
    ledger.do([KeepDelay(HOST, 0.0)])
    assert [take(ledger, lease, limits)[0] for lease in "bc"] == [True, True]


def test_a_clock_that_was_set_back_holds_nothing_up(shared: tuple[HostLedger, Clock]) -> None:
    ledger, clock = shared
    take(ledger, "a")
    ledger.do([GiveBack(HOST, "a"), CoolDown(HOST, 60.0)])

    clock.now -= 3 * 86_400

    assert take(ledger, "b")[0]


def test_calls_that_are_done_together_see_one_another(shared: tuple[HostLedger, Clock]) -> None:
    ledger, _ = shared
    limits = HostLimits(1.0, 9)

    done = ledger.do([Take(HOST, limits, "a"), Take(HOST, limits, "b"), Take("other.example", limits, "c")])

    assert [standing.granted for standing in done] == [True, False, True]


def test_a_budget_is_in_the_catalog_as_it_is_in_memory(tmp_path: Path) -> None:
    full = HostBudget(HOST, 1.5, 2.5, "quota", 3, 4.5, "2026-01-02", 5, 6, 7)
    with open_catalog(tmp_path / "catalog.sqlite3") as catalog:
        with catalog.write() as uow:
            uow.hosts.put(replace(full, requests=1))
            uow.hosts.put(full)
        with catalog.read() as uow:
            assert (uow.hosts.get(HOST), uow.hosts.get("b")) == (full, HostBudget("b"))


def test_two_processes_never_take_the_same_moment_nor_lose_a_request(tmp_path: Path) -> None:
    path, delay, each = tmp_path / "catalog.sqlite3", 0.02, 25
    open_catalog(path).close()
    arguments = [str(delay), "1", str(each)]
    askers = [
        subprocess.Popen([sys.executable, "-c", ASKER, str(path), name, *arguments], stdout=subprocess.PIPE)
        for name in ("one", "other")
    ]

    granted = sorted(entry for asker in askers for entry in json.loads(asker.communicate(timeout=60)[0]))

    moments = [moment for moment, _ in granted]
    assert [requests for _, requests in granted] == list(range(1, 2 * each + 1))
    assert all(later - earlier >= delay - 1e-6 for earlier, later in itertools.pairwise(moments))


def test_the_module_is_light_to_import() -> None:
    script = "import pipeline.catalog.hosts, sys; print(int('sqlalchemy' in sys.modules or 'numpy' in sys.modules))"

    assert subprocess.run([sys.executable, "-c", script], check=True, capture_output=True).stdout.strip() == b"0"
