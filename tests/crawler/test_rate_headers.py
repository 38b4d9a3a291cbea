from __future__ import annotations

from datetime import UTC, datetime

import pytest

from crawler.hosts.rate_headers import RateNote, read_rate_headers, retry_after_seconds
from pipeline.errors import Reason

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TO_MIDNIGHT = 20 * 3600 + 55 * 60 + 55.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Fri, 02 Jan 2026 03:05:05 GMT", 60.0),
        ("Fri, 02 Jan 2026 03:00:00 GMT", 0.0),
        ("9" * 400, float("inf")),
        ("Fri, 02 Jan 99999 03:00:00 GMT", None),
        ("\u0663", None),
        ("-5", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_seconds_and_as_a_date(value: str | None, expected: float | None) -> None:
    assert retry_after_seconds(value, now=NOW) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Content-Type": "image/png"}, None),
        # As api.nasa.gov sends them.
        ({"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "998"}, RateNote()),
        ({"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "0"}, RateNote(60.0)),
        # As api.openverse.org sends them.
        (
            {
                "X-RateLimit-Limit-anon_burst": "20/min",
                "X-RateLimit-Available-anon_burst": "0",
                "X-RateLimit-Limit-anon_sustained": "200/day",
                "X-RateLimit-Available-anon_sustained": "150",
            },
            RateNote(60.0, daily=(200, 50)),
        ),
        (
            {"x-ratelimit-limit-anon_sustained": "200/day", "x-ratelimit-available-anon_sustained": "0"},
            RateNote(TO_MIDNIGHT, Reason.QUOTA, (200, 200)),
        ),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30"}, RateNote(30.0)),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW.timestamp()) + 90)}, RateNote(90.0)),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "7200"}, RateNote(7200.0, Reason.QUOTA)),
        ({"X-RateLimit-Remaining": "5", "X-RateLimit-Reset": "7200"}, RateNote()),
        ({"X-RateLimit-Limit": "many", "X-RateLimit-Remaining": "-1"}, RateNote()),
        ({"X-RateLimit-Limit": "200/day", "X-RateLimit-Remaining": "9" * 5000}, RateNote()),
    ],
)
def test_rate_limits_are_read_as_far_as_they_tell(headers: dict[str, str], expected: RateNote | None) -> None:
    assert read_rate_headers(headers.items(), now=NOW.timestamp()) == expected
