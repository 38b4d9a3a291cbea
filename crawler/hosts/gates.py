"""The gates of all hosts of one crawl: one's turn, what answers say of later ones, and what there is to tell."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from crawler.hosts.budgets import HostBudgets
from crawler.hosts.gate import MAX_PAUSE_SECONDS, HostGate
from crawler.hosts.limits import host_key, is_own_machine, limits_for
from crawler.hosts.rate_headers import read_rate_headers, retry_after_seconds
from crawler.sources.base import Manners
from pipeline.catalog.host_rules import Standing
from pipeline.catalog.hosts import CoolDown, HostLedger, KeepDelay, KeepQuota, Succeeded
from pipeline.catalog.processes import this_process
from pipeline.errors import Reason

MAX_CRAWL_DELAY_SECONDS = 30.0
"""A longer Crawl-delay is no longer politeness but a closed door; it is kept to this."""

MAX_HOSTS_TOLD = 100
"""Hosts with figures of their own in a report; the others are added up."""

OTHERS = "(others)"

_MAX_GATES = 1024
_MAX_LINES = 8
_ROBOTS_PATH = "/robots.txt"

Headers = Iterable[tuple[str, str]]


class HostGates:
    """All that decides when a request may go out. For one event loop, but `lines` and the like for any thread."""

    def __init__(
        self,
        ledger: HostLedger | None = None,
        *,
        delay_seconds: float,
        concurrency: int,
        deadline_seconds: float,
        rules: Mapping[str, Manners] | None = None,
        on_trouble: Callable[[str], None] = lambda _line: None,
    ) -> None:
        """The gates of one crawl.

        Args:
            ledger: Where budgets are kept; None to keep them for this crawl alone.
            delay_seconds: Least time between two requests to a host, as the operator set it.
            concurrency: Most requests at once to a host, likewise; twice as many to all hosts together.
            deadline_seconds: How long the crawl may take from now on.
            rules: Host -> the rules of the source, which may only make it slower.
            on_trouble: Told one line when the ledger cannot be used.
        """
        ledger = ledger or HostLedger()
        self._clock = ledger.clock
        self._budgets = HostBudgets(ledger, on_trouble=on_trouble)
        self._delay_seconds = delay_seconds
        self._concurrency = concurrency
        self._deadline = time.monotonic() + deadline_seconds
        self._rules = rules or {}
        self._process = this_process()
        self._gates: dict[str, HostGate] = {}
        self._former = {"requests": 0, "answers": 0, "bytes": 0, "waited_seconds": 0.0}
        self._postponed: dict[str, int] = {}
        self._room = asyncio.Semaphore(2 * concurrency)
        self._is_closed = False

    def gate(self, url: str) -> HostGate:
        """The gate of the host of an address."""
        key = host_key(url)
        if key not in self._gates:
            if len(self._gates) >= _MAX_GATES:
                self._forget_idle()
            limits = limits_for(
                key, delay_seconds=self._delay_seconds, concurrency=self._concurrency, rules=self._rules
            )
            if not is_own_machine(key):
                self._budgets.share(key)
            self._gates[key] = HostGate(key, limits, budgets=self._budgets, clock=self._clock, process=self._process)
            if self._is_closed:
                self._gates[key].close()
        return self._gates[key]

    async def enter(self, url: str, *, priority: int = 0) -> str | Standing:
        """Wait for the host's and the crawl's turn; see `HostGate.enter`."""
        gate = self.gate(url)
        answer = await gate.enter(self._most_seconds, priority=priority)
        if isinstance(answer, str):
            await self._room.acquire()
        elif answer.reason is not None:
            self._postponed[gate.name] = self._postponed.get(gate.name, 0) + 1
        return answer

    def leave(self, url: str, lease: str) -> None:
        """Give the turn back."""
        self._room.release()
        self.gate(url).leave(lease)

    def answered(self, url: str, status: int, headers: Headers, *, size_bytes: int) -> None:
        """Heed what an answer says about further requests."""
        gate, headers = self.gate(url), list(headers)
        gate.statistics.answers += 1
        gate.statistics.bytes += size_bytes
        gate.statistics.status = status
        note = read_rate_headers(headers, now=self._clock())
        if note is not None and note.daily is not None and self._limits_change(gate, note.daily):
            self._budgets.tell(KeepQuota(gate.name, *note.daily))
        asked = _retry_after(headers) if status in (429, 503) else None
        # One page that is not served is told by 503 too, and robots.txt, where it is, closes the host anyhow.
        if status == 429 or asked is not None or (status == 503 and not url.endswith(_ROBOTS_PATH)):
            seconds, reason = asked, Reason.TOO_MANY_REQUESTS
            if not seconds and note is not None and note.pause_seconds:
                seconds, reason = note.pause_seconds, note.reason
            self._budgets.tell(CoolDown(gate.name, seconds, reason), gate.cooled)
            return
        if status < 500:
            gate.succeeded()
            if gate.budget.cooldowns:
                self._budgets.tell(Succeeded(gate.name))
        if note is not None and note.pause_seconds:
            self._budgets.tell(CoolDown(gate.name, note.pause_seconds, note.reason, is_refusal=False))

    def slow_down(self, url: str, delay_seconds: float) -> None:
        """Keep to the host's Crawl-delay, one request at a time; 0 when it has none, or no more."""
        gate = self.gate(url)
        seconds = min(delay_seconds, MAX_CRAWL_DELAY_SECONDS)
        if seconds != gate.budget.delay_seconds:
            self._budgets.tell(KeepDelay(gate.name, seconds))

    def close(self) -> None:
        """Let nobody in any more; those who wait are told."""
        self._is_closed = True
        for gate in self._gates.values():
            gate.close()

    def finish(self) -> None:
        """Write down what is left, once the event loop is no longer at work."""
        self._budgets.close()

    def statistics(self) -> dict[str, dict[str, Any]]:
        """Host -> requests, answers, bytes, seconds waited, last status, and until when it is to be left alone."""
        gates = sorted(self._gates.copy().values(), key=lambda gate: (gate.parked is None, -gate.statistics.requests))
        told = {gate.name: _figures(gate, now=self._clock()) for gate in gates[:MAX_HOSTS_TOLD]}
        rest = dict(self._former)
        for gate in gates[MAX_HOSTS_TOLD:]:
            _add(rest, gate)
        if rest["requests"]:
            told[OTHERS] = {**rest, "waited_seconds": round(rest["waited_seconds"], 3)}
        return told

    def lines(self) -> tuple[str, ...]:
        """One line for each host that is spoken to now."""
        busy = [gate for gate in list(self._gates.values()) if not gate.is_idle or gate.parked is not None]
        return tuple(_line(gate, now=self._clock()) for gate in busy[:_MAX_LINES])

    def warnings(self) -> tuple[str, ...]:
        """One line for each host that was not asked to the end, with the moment to come back."""
        return tuple(
            f"{host} {_wish(standing)}; {count} request(s) there were left for a run after that"
            for host, count in self._postponed.items()
            if (gate := self._gates.get(host)) is not None and (standing := gate.parked) is not None
        )

    def _most_seconds(self) -> float:
        return min(MAX_PAUSE_SECONDS, self._deadline - time.monotonic())

    def _limits_change(self, gate: HostGate, daily: tuple[int, int]) -> bool:
        return daily != (gate.budget.quota_limit, gate.budget.quota_used)

    def _forget_idle(self) -> None:
        """Budgets outlive their gates; a list of a million hosts must not fill the memory."""
        now = self._clock()
        for name, gate in list(self._gates.items()):
            if gate.is_idle and gate.parked is None and gate.budget.cooldown_until <= now:
                _add(self._former, gate)
                del self._gates[name]


def parking(host: str, standing: Standing) -> str:
    """One line for people about a host that is not asked again in this crawl."""
    return f"{host} {_wish(standing)}"


def _wish(standing: Standing) -> str:
    # Rounded up: whoever comes at the minute that is told must not come too early.
    moment = datetime.fromtimestamp(math.ceil(standing.until / 60) * 60, UTC)
    wish = "allows no more requests" if standing.reason is Reason.QUOTA else "asks to be left alone"
    return f"{wish} until {moment:%Y-%m-%d %H:%M} UTC"


def _retry_after(headers: Headers) -> float | None:
    value = next((value for name, value in headers if name.lower() == "retry-after"), None)
    return retry_after_seconds(value, now=datetime.now(UTC))


def _figures(gate: HostGate, *, now: float) -> dict[str, Any]:
    done = gate.statistics
    until = gate.parked.until if gate.parked is not None else gate.budget.cooldown_until
    return {
        "requests": done.requests,
        "answers": done.answers,
        "bytes": done.bytes,
        "waited_seconds": round(done.waited_seconds, 3),
        "status": done.status,
        "cooldown_until": datetime.fromtimestamp(until, UTC).isoformat() if until > now else None,
    }


def _add(total: dict[str, Any], gate: HostGate) -> None:
    for name in total:
        total[name] += getattr(gate.statistics, name)


def _line(gate: HostGate, *, now: float) -> str:
    parts = [f"{gate.active} under way", f"{gate.statistics.answers} done"]
    if gate.parked is not None:
        parts.append(f"left alone for {max(0.0, gate.parked.until - now):.0f} s")
    elif gate.wait_seconds >= 1:
        parts.append(f"waits {gate.wait_seconds:.0f} s")
    return f"{gate.name}: {', '.join(parts)}"
