"""The file of the TDM Reservation Protocol (TDMRep, W3C community group, final report of 10 May 2024, section 6.2)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from crawler.consent.objections import TDMREP, Objection
from crawler.consent.paths import PathPattern, path_of

MAX_BYTES = 2**20
_MAX_RULES = 10_000


@dataclass(frozen=True)
class _Rule:
    pattern: PathPattern
    location: str
    reserved: bool
    policy: str | None


@dataclass(frozen=True)
class TdmFile:
    """A tdmrep.json that was read, or that is not there.

    Attributes:
        url: Its address.
        rules: In its order.
    """

    url: str
    rules: tuple[_Rule, ...] = ()

    def objection(self, url: str) -> Objection | None:
        """The reservation of what lies at an address, or None. The first rule that matches counts."""
        path = path_of(url)
        rule = next((rule for rule in self.rules if rule.pattern.matches(path)), None)
        if rule is None or not rule.reserved:
            return None
        return Objection(TDMREP, reservation(rule.policy, location=rule.location), self.url)


def read_tdm_file(status: int, body: bytes, url: str) -> TdmFile:
    """What the answer to a request for tdmrep.json says; nothing where it is missing or cannot be understood."""
    if not 200 <= status < 300 or len(body) > MAX_BYTES:
        return TdmFile(url)
    try:
        data = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return TdmFile(url)
    return TdmFile(url, tuple(_rules(data)))


def reservation(policy: str | None, *, location: str | None = None) -> str:
    """A reservation in words: what is reserved, and where its policy can be read."""
    text = "tdm-reservation: 1" + (f" for {location[:80]}" if location else "")
    return f"{text}; tdm-policy: {policy}" if policy else text


def is_reserved(value: object) -> bool | None:
    """What a value of `tdm-reservation` says; None for a protocol error, which counts as unset."""
    text = str(int(value)) if isinstance(value, bool) else str(value).strip()
    return {"1": True, "0": False}.get(text)


def _rules(data: Any) -> Iterator[_Rule]:
    # A single rule without its brackets is against the letter, but no doubt about what is meant.
    entries = [data] if isinstance(data, dict) else data
    if not isinstance(entries, list):
        return
    for entry in entries[:_MAX_RULES]:
        if not isinstance(entry, dict):
            continue
        location, reserved, policy = entry.get("location"), entry.get("tdm-reservation"), entry.get("tdm-policy")
        if not isinstance(location, str) or not location.strip() or (says := is_reserved(reserved)) is None:
            continue
        location = location.strip()
        yield _Rule(PathPattern(location), location, says, policy if isinstance(policy, str) and policy else None)
