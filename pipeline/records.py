"""What the stages hand to one another: frozen values with a JSON round trip. No I/O here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from pipeline.errors import Reason

CRAWL_RECORD_VERSION = 2
NO_RULE = "none"
NOT_READ = "not read"


class Outcome(StrEnum):
    """What became of one candidate picture during a crawl."""

    FETCHED = "fetched"  # its bytes lie in the inbox
    KNOWN = "known"  # the ledger has it already; nothing was requested
    REFUSED = "refused"  # not requested, for a reason of consent or safety
    FILTERED = "filtered"  # ruled out by what was asked for: licence, size, shape, date, ...
    POSTPONED = "postponed"  # its host wants to be left alone for now; not an attempt, the next run asks again
    FAILED = "failed"  # requested, and no usable answer came


@dataclass(frozen=True)
class DeclaredLicense:
    """A licence as a page or file declares it.

    Attributes:
        id: SPDX id, `PDM-1.0` or `unknown` (declared, but not one we can read).
        url: Address of the licence, when declared or implied by the id.
        declared_by: Where it stood: `rel=license`, `schema.org`, `open-graph`, `xmp`, `exif`.
        text: The words found there, cut to 500 characters.
    """

    id: str
    url: str | None
    declared_by: str
    text: str = ""


@dataclass(frozen=True)
class Consent:
    """What a site says about the use of one picture by machines, and where and when it was read.

    Attributes:
        allowed: Whether it may be used here.
        rule: The convention that decided: `robots.txt`, `X-Robots-Tag`, `TDMRep`, `ai.txt`, `Content-Usage`,
            `meta robots`; `none` when nothing speaks against it, `not read` when robots.txt could not be read.
        value: The rule's own words, cut to 200 characters.
        where: Address of the file, page or response that holds them; empty for `none`.
        checked_at: UTC, ISO 8601.
        checked: The conventions that were looked at.
        in_headers: Whether the words came with the picture itself, so that only another request for it can tell
            whether they still hold.
    """

    allowed: bool
    rule: str
    value: str = ""
    where: str = ""
    checked_at: str = ""
    checked: tuple[str, ...] = ()
    in_headers: bool = False

    @property
    def is_opt_out(self) -> bool:
        """Whether the site itself said no; a robots.txt that could not be read says nothing."""
        return not self.allowed and self.rule not in (NO_RULE, NOT_READ)

    @property
    def saw_headers(self) -> bool:
        """Whether the headers of the picture's own answer were read."""
        return "X-Robots-Tag" in self.checked


@dataclass(frozen=True)
class HttpFacts:
    """What the server said with the bytes.

    Attributes:
        final_url: Address after redirects.
        status: HTTP status code.
        redirects: The addresses passed through, oldest first.
        content_type: As the server names it, or None.
        etag: Entity tag, or None.
        last_modified: As sent, or None.
    """

    final_url: str
    status: int
    redirects: tuple[str, ...] = ()
    content_type: str | None = None
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class KeywordMatch:
    """Which keyword matched, and where.

    Attributes:
        keyword: As the user wrote it.
        fields: The fields it stood in, strongest first: `title`, `caption`, `alt`, `tags`, `file_name`, `page_title`;
            `search` when only the source's own search found it by this keyword.
        score: Sum of the fields' weights, in 0-1.
    """

    keyword: str
    fields: tuple[str, ...]
    score: float


@dataclass(frozen=True)
class CrawlRecord:
    """One candidate picture of one crawl: the line that goes into the inbox.

    Attributes:
        outcome: What became of it.
        source: Name of the source, as in `--source NAME=ARG`.
        source_argument: The part after `=`.
        image_url: Canonical address of the bytes; `file:` for a user's own file.
        page_url: The page or folder it was found on.
        found_at: UTC, ISO 8601.
        matches: The keywords that matched; empty when everything was taken.
        sha256: Digest of the bytes in the inbox, for FETCHED; of the known bytes, where the ledger has it, for KNOWN.
        size_bytes: Length of the bytes; None without bytes.
        reason: For REFUSED and FAILED.
        detail: One line about the reason, for people.
        license: None when none is declared.
        source_id: The source's own name for the picture, or None.
        source_hash: Digest of the bytes as the source announces it, `sha1:<hex>` or `md5:<hex>`, or None.
        created: When it was made or published, ISO 8601 as far as known (`2019`, `2019-05-02`), or None.
        attribution: The line of credit that the source asks for, or None.
        rendition: `original`, or which smaller version was taken, such as `960 px`; empty when not known.
        width: In pixels, as the source or the first bytes tell; None when not known.
        height: In pixels, likewise.
        media_type: Likewise, such as `image/jpeg`.
        consent: What the site says about its use; None for the user's own files.
    """

    outcome: Outcome
    source: str
    source_argument: str
    image_url: str
    page_url: str
    found_at: str
    matches: tuple[KeywordMatch, ...] = ()
    title: str | None = None
    alt: str | None = None
    caption: str | None = None
    tags: tuple[str, ...] = ()
    creator: str | None = None
    creator_url: str | None = None
    license: DeclaredLicense | None = None
    http: HttpFacts | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    reason: Reason | None = None
    detail: str = ""
    source_id: str | None = None
    source_hash: str | None = None
    created: str | None = None
    attribution: str | None = None
    rendition: str = ""
    width: int | None = None
    height: int | None = None
    media_type: str | None = None
    consent: Consent | None = None
    version: int = CRAWL_RECORD_VERSION

    def to_json(self) -> dict[str, Any]:
        """This record as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The record that `to_json` gave.

        Raises:
            ValueError: A field is missing, unknown, or the record has a newer version.
        """
        try:
            values = dict(data)
            if values.get("version", 0) > CRAWL_RECORD_VERSION:
                raise ValueError(f"crawl record version {values['version']} is newer than {CRAWL_RECORD_VERSION}")
            values["outcome"] = Outcome(values["outcome"])
            values["matches"] = tuple(
                KeywordMatch(m["keyword"], tuple(m["fields"]), float(m["score"])) for m in values.get("matches", ())
            )
            values["tags"] = tuple(values.get("tags", ()))
            if values.get("license") is not None:
                values["license"] = DeclaredLicense(**values["license"])
            if values.get("http") is not None:
                http = dict(values["http"])
                http["redirects"] = tuple(http.get("redirects", ()))
                values["http"] = HttpFacts(**http)
            if values.get("reason") is not None:
                values["reason"] = Reason(values["reason"])
            if values.get("consent") is not None:
                consent = dict(values["consent"])
                values["consent"] = Consent(**{**consent, "checked": tuple(consent.get("checked", ()))})
            return cls(**values)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a crawl record: {error}") from error


@dataclass(frozen=True)
class CrawlReport:
    """What a crawl did, over candidates: found = known + refused + filtered + postponed + failed + fetched.

    Attributes:
        inbox: Path of the sealed inbox folder.
        finished: `done`, `limit`, `deadline` or `interrupted`: why it ended.
        reasons: Reason -> how many, over refused, filtered, postponed and failed.
        bytes_fetched: Sum of the sizes of the pictures fetched.
        bytes_received: Of every response's body, pages and what was broken off included.
        bytes_saved: Of pictures whose download was broken off, or that were not asked for, as far as their sizes are
            known.
        requests: Sent, robots.txt and redirects included.
        hosts: Host -> its counts: requests, bytes, seconds waited, and what it said last.
        warnings: Lines for the user, such as a start page that did not answer.
    """

    inbox: str
    found: int = 0
    fetched: int = 0
    known: int = 0
    refused: int = 0
    filtered: int = 0
    postponed: int = 0
    failed: int = 0
    pages: int = 0
    bytes_fetched: int = 0
    bytes_received: int = 0
    bytes_saved: int = 0
    requests: int = 0
    hosts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seconds: float = 0.0
    finished: str = "done"
    reasons: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class IngestReport:
    """What ingest made of one or several inboxes: fetched = accepted + exact + near + rejected.

    Attributes:
        accepted: New items that are near to no other.
        exact_duplicates: Pictures with the bytes or the pixels of an item already there; each became a sighting.
        near_duplicates: New items linked to the item that they resemble.
        known: Candidates that the crawl skipped because the ledger had them.
        rejected: Pictures that could not be kept.
        reasons: Reason -> how many, over rejected.
        item_ids: Every item that these inboxes sighted, near duplicates left out, in the order first met.
    """

    fetched: int = 0
    accepted: int = 0
    exact_duplicates: int = 0
    near_duplicates: int = 0
    known: int = 0
    rejected: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    item_ids: tuple[int, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class StylizeProgress:
    """How far stylizing has come.

    Attributes:
        done: 0-1, of all the pictures; of those to be rendered, by the work each takes.
        seconds_left: None until there is a rate to tell it from.
        total: How many pictures were asked for.
        item_id: The picture at hand.
        made: Dreams made so far.
        already: Found finished so far.
        failed: Could not be dreamed so far.
    """

    done: float
    seconds_left: float | None
    total: int
    item_id: int
    made: int
    already: int
    failed: int


@dataclass(frozen=True)
class StylizeReport:
    """What the dream stage did.

    Attributes:
        made: Derivations made now.
        already: Derivations found finished, and not made again.
        failed: (item id, one line) for each picture that could not be dreamed.
        skipped: (item id, one line) for each picture that may not be dreamed on: withdrawn, or for its licence.
        skip_reasons: Reason -> how many, over skipped; values of `pipeline.errors.Objection`.
        derivation_ids: All of made and already, in the order of the items.
        stand_ins: (item id, one line) for each picture that is dreamed on now in place of the one that stands for it
            and may not be.
    """

    made: int = 0
    already: int = 0
    failed: tuple[tuple[int, str], ...] = ()
    skipped: tuple[tuple[int, str], ...] = ()
    skip_reasons: Mapping[str, int] = field(default_factory=dict)
    derivation_ids: tuple[int, ...] = ()
    seconds: float = 0.0
    stand_ins: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Check:
    """One thing that verification compared.

    Attributes:
        subject: What was checked: `i12`, `d3` or a file name.
        name: Such as `stored bytes`, `pixels`, `manifest`, `embedded record`, `sidecar`.
        ok: Whether it holds.
        expected: The value on record, in short.
        found: The value recomputed, in short.
        path: The file concerned, or None.
        skipped: Whether it could not be checked here, which is no failure.
    """

    subject: str
    name: str
    ok: bool
    expected: str = ""
    found: str = ""
    path: str | None = None
    skipped: bool = False


@dataclass(frozen=True)
class VerifyReport:
    """All checks of one verification."""

    checks: tuple[Check, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return all(check.ok for check in self.checks)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Each subject once, in order."""
        return tuple(dict.fromkeys(check.subject for check in self.checks))

    @property
    def failed_subjects(self) -> tuple[str, ...]:
        """Each subject with a check that does not hold."""
        return tuple(dict.fromkeys(check.subject for check in self.checks if not check.ok))

    @property
    def skipped(self) -> tuple[Check, ...]:
        """What could not be checked here."""
        return tuple(check for check in self.checks if check.skipped)
