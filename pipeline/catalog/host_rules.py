"""How often one host may be asked: the rules, on plain values. No I/O, no clock.

Moments are seconds since 1970 (UTC), as processes and machines share them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache

from pipeline.errors import Reason

FIRST_GUESS_SECONDS = 5.0
"""A host that says "too many requests" but not until when is left alone for this long, then twice as long, ..."""

MAX_GUESS_SECONDS = 3600.0
"""Such guesses grow no further."""

MAX_COOLDOWN_SECONDS = 86_400.0
"""A host that asks for more is asked once a day all the same: nobody would notice a slip of the pen."""

MAX_DELAY_SECONDS = 3600.0
"""Longest time between two requests."""

LEASE_SECONDS = 120.0
"""A request that takes longer no longer counts as under way; so a crawl that was killed holds nothing up for long."""

LOOK_AGAIN_SECONDS = 0.25
"""How soon to ask again when other crawls have all of a host's requests under way."""


_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class HostLimits:
    """What one crawl allows itself at a host.

    Attributes:
        delay_seconds: Least time between two requests.
        concurrency: Most requests at once.
        daily: Most requests in one UTC day; None for any.
    """

    delay_seconds: float
    concurrency: int
    daily: int | None = None


@dataclass(frozen=True)
class HostBudget:
    """What is kept of a host, for all crawls.

    Attributes:
        name: Lower case, with the port where it is not the scheme's own.
        next_at: The first moment that no request has taken yet.
        cooldown_until: No request before.
        cooldown_reason: Value of a `Reason`, of the last cool-down.
        cooldowns: How many in a row, with no success in between.
        delay_seconds: Crawl-delay, as last read; 0 for none.
        quota_day: The UTC day that `quota_used` counts, ISO 8601.
        quota_limit: Most requests a day, as the host itself says; None when it does not.
        requests: Sent, over all time.
    """

    name: str
    next_at: float = 0.0
    cooldown_until: float = 0.0
    cooldown_reason: str | None = None
    cooldowns: int = 0
    delay_seconds: float = 0.0
    quota_day: str | None = None
    quota_used: int = 0
    quota_limit: int | None = None
    requests: int = 0


@dataclass(frozen=True)
class Standing:
    """How a host stands.

    Attributes:
        granted: Whether a request may go out now; it is counted already.
        until: When not granted, the moment to ask again.
        reason: TOO_MANY_REQUESTS or QUOTA when the host is to be left alone until then; None for an ordinary turn.
    """

    budget: HostBudget
    granted: bool = False
    until: float = 0.0
    reason: Reason | None = None


def admit(budget: HostBudget, limits: HostLimits, *, under_way: int, now: float) -> Standing:
    """Whether a request may go out now; when it may, the budget given back has it counted.

    Args:
        budget: As kept.
        limits: What the crawl that asks allows itself.
        under_way: Requests of all crawls that are under way at the host.
        now: This moment.
    """
    budget = _on(budget, now)
    if now < budget.cooldown_until <= now + MAX_COOLDOWN_SECONDS:  # beyond that, a clock was set back
        reason = Reason.QUOTA if budget.cooldown_reason == Reason.QUOTA.value else Reason.TOO_MANY_REQUESTS
        return Standing(budget, until=budget.cooldown_until, reason=reason)
    daily = min((most for most in (limits.daily, budget.quota_limit) if most is not None), default=None)
    if daily is not None and budget.quota_used >= daily:
        return Standing(budget, until=next_day(now), reason=Reason.QUOTA)
    if now < budget.next_at <= now + MAX_DELAY_SECONDS:
        return Standing(budget, until=budget.next_at)
    # Crawl-delay means one request after the other.
    if under_way >= (1 if budget.delay_seconds else limits.concurrency):
        return Standing(budget, until=now + LOOK_AGAIN_SECONDS)
    delay = min(max(limits.delay_seconds, budget.delay_seconds), MAX_DELAY_SECONDS)
    counted = replace(budget, next_at=now + delay, quota_used=budget.quota_used + 1, requests=budget.requests + 1)
    return Standing(counted, granted=True)


def cooled(
    budget: HostBudget, seconds: float | None, reason: Reason, *, now: float, is_refusal: bool = True
) -> HostBudget:
    """The budget of a host that wants to be left alone.

    Args:
        budget: As kept.
        seconds: For how long; None when it does not say.
        reason: TOO_MANY_REQUESTS or QUOTA.
        now: This moment.
        is_refusal: Whether it refused a request, and did not merely announce that the next would be one too many.
    """
    if seconds is not None:
        seconds = min(seconds, MAX_COOLDOWN_SECONDS)
    if now < budget.cooldown_until <= now + MAX_COOLDOWN_SECONDS:
        # Requests that were under way when it began are refused too; that is no further cool-down.
        until = max(budget.cooldown_until, now + (seconds or 0.0))
        return replace(budget, cooldown_until=until)
    if not seconds:
        seconds = min(FIRST_GUESS_SECONDS * 2.0 ** min(budget.cooldowns, 30), MAX_GUESS_SECONDS)
    return replace(
        budget,
        cooldown_until=now + seconds,
        cooldown_reason=reason.value,
        cooldowns=budget.cooldowns + is_refusal,
    )


def succeeded(budget: HostBudget, *, now: float) -> HostBudget:
    """The budget of a host that answered as it should."""
    # An answer within a cool-down is to a request from before it.
    return budget if budget.cooldown_until > now else replace(budget, cooldowns=0)


def told_quota(budget: HostBudget, limit: int, used: int, *, now: float) -> HostBudget:
    """The budget of a host that says how many requests it allows in a day, and how many it has counted."""
    budget = _on(budget, now)
    return replace(budget, quota_limit=limit, quota_used=max(used, budget.quota_used))


def next_day(now: float) -> float:
    """The first moment of the next UTC day."""
    return (now // _DAY_SECONDS + 1) * _DAY_SECONDS


@lru_cache(maxsize=2)
def _day(number: int) -> str:
    return datetime.fromtimestamp(number * _DAY_SECONDS, UTC).date().isoformat()


def _on(budget: HostBudget, now: float) -> HostBudget:
    day = _day(int(now // _DAY_SECONDS))
    return budget if budget.quota_day == day else replace(budget, quota_day=day, quota_used=0)
