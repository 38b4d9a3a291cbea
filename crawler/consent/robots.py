"""robots.txt by RFC 9309, with `Crawl-delay` and the `Content-Usage` lines of the IETF's AI Preferences drafts.

A reader of our own, because a verdict names the line that it rests on, which Scrapy's parser does not tell; that one
also takes a group for `crawl` as one for `dreamcrawl`, and does not know `Content-Usage`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from crawler.consent.content_usage import refused_use
from crawler.consent.objections import CONTENT_USAGE, PRODUCT_TOKEN, ROBOTS_TXT, Objection
from crawler.consent.paths import PathPattern, path_of
from pipeline.records import NOT_READ

MAX_BYTES = 500 * 2**10
"""As much of a file as is read: what RFC 9309, section 2.5, asks for at least. The rest of a longer one is ignored."""

_TOKEN = re.compile(r"[A-Za-z_-]+")
_USER_AGENT = frozenset({"user-agent", "useragent", "user agent"})
_DISALLOW = frozenset({"disallow", "dissallow", "dissalow", "disalow", "diasllow", "disallaw"})
_USAGE = frozenset({"content-usage", "content-signal"})
_RULES = _DISALLOW | _USAGE | {"allow"}


@dataclass(frozen=True)
class Rule:
    """One `Allow` or `Disallow` line."""

    pattern: PathPattern
    allows: bool
    line: str


@dataclass(frozen=True)
class UsageRule:
    """One `Content-Usage` line; `refused` is its member that refuses a use which concerns us."""

    pattern: PathPattern
    refused: str | None
    line: str


@dataclass
class Group:
    """What a file says to one robot, or (`*`) to those it does not name."""

    rules: list[Rule] = field(default_factory=list)
    usages: list[UsageRule] = field(default_factory=list)
    crawl_delay_seconds: float | None = None

    def take(self, key: str, value: str, line: str, *, lower: bool) -> None:
        """Take in a line that belongs to it; one with another key means nothing here."""
        if key in _USAGE:
            self.usages.append(_usage_rule(value, line, lower=lower))
        elif key in _RULES and value:
            self.rules.append(Rule(PathPattern(value, lower=lower), key == "allow", line))
        elif key == "crawl-delay":
            self.crawl_delay_seconds = _seconds(value) or self.crawl_delay_seconds

    def sort(self) -> None:
        """The most specific rule first; of two equal ones that which allows (RFC 9309, section 2.2.2)."""
        self.rules.sort(key=lambda rule: (-rule.pattern.length, not rule.allows))
        self.usages.sort(key=lambda rule: -rule.pattern.length)

    def closing_line(self, path: str) -> str | None:
        """The line that closes a path, or None."""
        rule = next((rule for rule in self.rules if rule.pattern.matches(path)), None)
        return None if rule is None or rule.allows else rule.line

    def refusing_line(self, path: str) -> str | None:
        """The line that refuses a use of what lies at a path, or None; of equal paths every line counts."""
        longest = 0
        for rule in self.usages:
            if rule.pattern.length < longest:
                break
            if rule.pattern.matches(path):
                if rule.refused is not None:
                    return rule.line
                longest = rule.pattern.length
        return None


@dataclass(frozen=True)
class RobotsVerdict:
    """What robots.txt of one origin allows.

    Attributes:
        url: Its address.
        group: What it says to us; None when everything or nothing is allowed.
        closed: Why nothing is allowed, or None.
    """

    url: str
    group: Group | None = None
    closed: str | None = None

    @property
    def crawl_delay_seconds(self) -> float | None:
        """The least time between two requests that it asks for, or None."""
        return self.group.crawl_delay_seconds if self.group is not None else None

    def objection(self, url: str) -> Objection | None:
        """Why an address must not be requested, or None."""
        if self.closed is not None:
            return Objection(NOT_READ, self.closed, self.url)
        line = self.group.closing_line(path_of(url)) if self.group is not None else None
        return None if line is None else Objection(ROBOTS_TXT, line, self.url)

    def usage_objection(self, url: str) -> Objection | None:
        """Why what lies at an address must not be used, though it may be requested; or None."""
        line = self.group.refusing_line(path_of(url)) if self.group is not None else None
        return None if line is None else Objection(CONTENT_USAGE, line, self.url)


def read_robots(status: int, body: bytes, url: str) -> RobotsVerdict:
    """The verdict from the answer to a request for robots.txt.

    A 4xx means that there are no rules, but 429 and all else that is not a 2xx means that they are not known, and
    then nothing is allowed (RFC 9309, section 2.3.1).
    """
    if 200 <= status < 300:
        return RobotsVerdict(url, group_for(parse_groups(text_of(body))))
    if 400 <= status < 500 and status != 429:
        return RobotsVerdict(url)
    return RobotsVerdict(url, closed=f"robots.txt could not be read: HTTP {status}")


def text_of(body: bytes) -> str:
    """The text of a file of lines; one that is too long is cut after its last whole line within the limit."""
    if len(body) > MAX_BYTES:
        cut = body[:MAX_BYTES]
        body = cut[: max(cut.rfind(b"\n"), cut.rfind(b"\r")) + 1]
    return body.decode("utf-8-sig", errors="replace")


def group_for(groups: dict[str, Group]) -> Group | None:
    """The group that is meant for us: by our name, else the one for all."""
    return groups.get(PRODUCT_TOKEN, groups.get("*"))


def parse_groups(text: str, *, lower: bool = False) -> dict[str, Group]:
    """The groups of a file by product token in lower case; those for the same token are one.

    lower: Whether paths are compared without regard to case.
    """
    groups: dict[str, Group] = {}
    current: list[Group] = []
    in_head = False  # among the User-agent lines that a group begins with
    for key, value, line in _lines(text):
        if key in _USER_AGENT:
            current = current if in_head else []
            in_head = True
            if (token := _product_token(value)) is not None:
                current.append(groups.setdefault(token, Group()))
            continue
        # Crawl-delay is no rule of the standard, so it must not end the list of robots that a group is for.
        in_head = in_head and key not in _RULES
        for group in current:
            group.take(key, value, line, lower=lower)
    for group in groups.values():
        group.sort()
    return groups


def _lines(text: str) -> Iterator[tuple[str, str, str]]:
    """(key in lower case, value, line without its comment) of each line that has both."""
    # Only CR and LF end a line; `splitlines` knows more of them.
    for raw in re.split(r"[\r\n]+", text):
        line = raw.partition("#")[0].strip()
        key, colon, value = line.partition(":")
        if colon:
            yield key.strip().lower(), value.strip(), line


def _product_token(value: str) -> str | None:
    """`DreamCrawl/1.0` -> `dreamcrawl`; None for what names nobody."""
    if value.startswith("*"):
        return "*"
    match = _TOKEN.match(value)
    return match[0].lower() if match else None


def _usage_rule(value: str, line: str, *, lower: bool) -> UsageRule:
    path, preferences = "/", value
    if value.startswith(("/", "*")):
        path, _, preferences = value.replace("\t", " ").partition(" ")
    return UsageRule(PathPattern(path, lower=lower), refused_use(preferences), line)


def _seconds(value: str) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if 0 < seconds < 1e9 else None
