"""A ledger that fails, however it does, leaves the crawl with budgets of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from crawler.hosts.budgets import HostBudgets
from pipeline.catalog.host_rules import HostLimits, Standing
from pipeline.catalog.hosts import HostCall, HostLedger, Take
from pipeline.errors import CatalogBusy


class Failing(HostLedger):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    @property
    def is_shared(self) -> bool:
        return True

    def drop_leases(self) -> None:
        raise self._error

    def do(self, calls: Sequence[HostCall]) -> list[Standing]:
        assert calls
        raise self._error


@pytest.mark.parametrize("error", [CatalogBusy("locked"), RuntimeError("value too long for a column")])
def test_who_asks_gets_an_answer_when_the_ledger_fails(error: Exception) -> None:
    told: list[str] = []

    async def crawl() -> list[Any]:
        budgets = HostBudgets(Failing(error), on_trouble=told.append)
        budgets.share("example.org")
        takes = [Take("example.org", HostLimits(0.0, 9), f"lease-{number}") for number in range(3)]
        answers = [await asyncio.wait_for(budgets.ask(take), 30) for take in takes]
        budgets.close()
        return answers

    assert [standing.granted for standing in asyncio.run(crawl())] == [True] * 3
    assert len(told) == 1
    assert str(error) in told[0]
