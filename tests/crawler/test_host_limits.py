from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import pytest

from crawler.filters import Filters
from crawler.hosts.limits import host_key, limits_for, rules_of
from crawler.sources.base import ApiAnswer, ApiRequest, ApiSource, Manners
from pipeline.catalog.host_rules import HostLimits


class Museum(ApiSource):
    name = "museum"
    title = homepage = terms = ""
    manners = Manners(1.0, concurrency=1, daily=200)
    media_manners: ClassVar[Mapping[str, Manners]] = {"images.museum.example": Manners(0.1, concurrency=3)}
    default_base = "https://api.museum.example/v1"

    def begin(self, keywords: Sequence[str], filters: Filters, *, has_credential: bool) -> Sequence[ApiRequest]:  # noqa: ARG002  # the base's
        return ()

    def parse(self, request: ApiRequest, answer: bytes, *, status: int = 200) -> ApiAnswer:  # noqa: ARG002  # the base's
        return ApiAnswer()


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://Example.org/a", "example.org"),
        ("http://example.org:80/a", "example.org"),
        ("http://example.org:443/a", "example.org"),
        ("https://example.org:8443/a", "example.org:8443"),
        ("http://[::1]:8000/a", "[::1]:8000"),
        ("http://example.org:99999/", "example.org:99999"),
    ],
)
def test_a_host_has_one_name_for_the_ports_of_the_web(url: str, key: str) -> None:
    assert host_key(url) == key


@pytest.mark.parametrize(
    ("host", "delay", "concurrency", "expected"),
    [
        ("example.org", 0.25, 4, HostLimits(0.25, 4)),
        ("upload.wikimedia.org", 0.25, 4, HostLimits(0.25, 2)),
        ("upload.wikimedia.org", 3.0, 1, HostLimits(3.0, 1)),
        ("api.museum.example", 0.25, 4, HostLimits(1.0, 1, 200)),
        ("api.museum.example", 5.0, 4, HostLimits(5.0, 1, 200)),
        ("images.museum.example", 0.0, 8, HostLimits(0.1, 3)),
        ("localhost:8000", 2.0, 4, HostLimits(0.0, 4)),
        ("[::1]:8000", 2.0, 4, HostLimits(0.0, 4)),
        ("127.0.0.1", 2.0, 4, HostLimits(0.0, 4)),
    ],
)
def test_the_operator_may_only_be_more_patient_than_the_rules(
    host: str, delay: float, concurrency: int, expected: HostLimits
) -> None:
    rules = rules_of([Museum("")])

    assert limits_for(host, delay_seconds=delay, concurrency=concurrency, rules=rules) == expected


def test_of_several_rules_for_one_host_the_strictest_hold() -> None:
    class Archive(Museum):
        manners = Manners(0.5, concurrency=8, daily=50)

    for order in ([Museum(""), Archive("")], [Archive(""), Museum("")]):
        assert rules_of(order)["api.museum.example"] == Manners(1.0, 1, 50)
