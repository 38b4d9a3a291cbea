"""What a server says about how often it wants to be asked: Retry-After and X-RateLimit. Pure.

X-RateLimit is no standard. Read are: a limit as a bare number or with its period (`200/day`), what remains of it
(`Remaining`, or `Available`), and when it is full again (`Reset`: seconds to wait, or seconds since 1970); each with or
without a suffix that tells several limits of one server apart, as in `X-RateLimit-Limit-anon_burst`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pipeline.catalog.host_rules import next_day
from pipeline.errors import Reason

_HEADER = re.compile(r"x-ratelimit-(limit|remaining|available|reset)(.*)", re.IGNORECASE)
_LIMIT = re.compile(r"(\d{1,12})(?:\s*/\s*(sec|min|hour|day|s|m|h|d))?", re.IGNORECASE)
_PERIODS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
# A number beyond this is a moment, not a time to wait.
_MOMENTS_FROM = 1e8
# A limit whose period is not told is most often one of a minute.
_UNKNOWN_PERIOD_SECONDS = 60.0
_LONG_SECONDS = 3600.0


@dataclass(frozen=True)
class RateNote:
    """What the headers of one answer say.

    Attributes:
        pause_seconds: How long nothing should be asked, because a limit is used up; None when none is.
        reason: QUOTA when that is a matter of hours, else TOO_MANY_REQUESTS.
        daily: Requests allowed in a day, and counted so far; None when it is not told.
    """

    pause_seconds: float | None = None
    reason: Reason = Reason.TOO_MANY_REQUESTS
    daily: tuple[int, int] | None = None


def retry_after_seconds(value: str | None, *, now: datetime) -> float | None:
    """The pause that a Retry-After header asks for: seconds, or a date; None when it says nothing readable."""
    text = (value or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, (moment - now).total_seconds())
    except (ValueError, IndexError, OverflowError):
        return None


def read_rate_headers(headers: Iterable[tuple[str, str]], *, now: float) -> RateNote | None:
    """What the X-RateLimit headers say; None when there are none.

    Args:
        headers: Names and values.
        now: Seconds since 1970.
    """
    groups: dict[str, dict[str, str]] = {}
    for name, value in headers:
        if found := _HEADER.fullmatch(name):
            kind, suffix = found[1].lower(), found[2].lower()
            groups.setdefault(suffix, {})["remaining" if kind == "available" else kind] = value.strip()
    if not groups:
        return None
    pause: float | None = None
    daily: tuple[int, int] | None = None
    for group in groups.values():
        allowed, period = _limit(group.get("limit", ""))
        remaining = _number(group.get("remaining", ""))
        if remaining is None:
            continue
        if allowed is not None and period == _PERIODS["d"] and (daily is None or allowed < daily[0]):
            daily = (allowed, max(0, allowed - remaining))
        if remaining == 0:
            pause = max(pause or 0.0, _until_full(group, period, now=now))
    reason = Reason.QUOTA if pause is not None and pause > _LONG_SECONDS else Reason.TOO_MANY_REQUESTS
    return RateNote(pause, reason, daily)


def _until_full(group: Mapping[str, str], period: float | None, *, now: float) -> float:
    reset = _number(group.get("reset", ""))
    if reset is not None:
        return max(0.0, reset - now) if reset >= _MOMENTS_FROM else float(reset)
    if period == _PERIODS["d"]:
        return next_day(now) - now
    return period or _UNKNOWN_PERIOD_SECONDS


def _limit(text: str) -> tuple[int | None, float | None]:
    found = _LIMIT.match(text)
    if not found:
        return None, None
    return int(found[1]), _PERIODS[found[2][0].lower()] if found[2] else None


def _number(text: str) -> int | None:
    digits = text.partition(".")[0]
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= 15 else None
