"""What can go wrong in the pipeline, named after what the caller does next.

PipelineError
├── WorkspaceUnusable   stop: the folder cannot be written; make room, or choose another
│   └── CatalogUnreachable  retry: the catalog's server does not answer, or does not let us in
├── CatalogTooNew       stop: a newer dreamcrawl made this catalog; upgrade
├── CatalogBusy         retry: another process held the write lock for too long
├── CatalogRefused      ask again: a text or number is none that the database can keep
├── InboxUnusable       stop: the hand-off folder is damaged or still being written
├── StoreCorrupt        stop: bytes do not have the digest they are filed under; run verify
├── KeysUnusable        stop: keys to sign with cannot be read, do not fit together or are out of date
├── NotFound            ask again: no such item, dream, run or file
│   └── Withdrawn       let it be: its site asks not to use it
├── SettingsInvalid     ask again: a setting has a value it cannot have
└── UsageError          ask again: an argument means nothing here

A picture that cannot be used is not an exception that travels: decoding raises `ImageRejected`, and ingest turns
it into a rejection in its report.
"""

from __future__ import annotations

from enum import StrEnum


class Objection(StrEnum):
    """Why a picture that was kept is not dreamed on."""

    WITHDRAWN = "withdrawn"
    NO_DERIVATIVES = "no_derivatives"
    LICENSE_UNKNOWN = "license_unknown"
    LICENSES_CLASH = "licenses_clash"


class Reason(StrEnum):
    """Why a candidate picture was not fetched or not kept. The values are stored, so they never change meaning."""

    # Not fetched.
    ROBOTS = "robots"  # robots.txt closes the address, or could not be read (5xx)
    OPT_OUT = "opt_out"  # asked not to be used by machines: X-Robots-Tag, meta robots, TDMRep, ai.txt, Content-Usage
    ADDRESS_FORBIDDEN = "address_forbidden"  # not a public address, or a scheme or port that is not crawled
    TOO_MANY_REQUESTS = "too_many_requests"  # 429, or 503 with a wait longer than this crawl's time
    HTTP_CLIENT_ERROR = "http_4xx"
    HTTP_SERVER_ERROR = "http_5xx"
    DNS = "dns"
    TLS = "tls"
    TIMEOUT = "timeout"
    CONNECTION = "connection"  # refused, reset or cut short
    TOO_MANY_REDIRECTS = "too_many_redirects"
    UNREADABLE = "unreadable"  # a file of the user's that cannot be opened
    QUOTA = "quota"  # the host's requests for today are used up
    # Ruled out by what was asked for.
    LICENSE = "license"
    ASPECT = "aspect"  # not of the shape asked for
    TOO_LARGE = "too_large"  # more pixels than asked for
    DATE = "date"
    MATURE = "mature"
    EXCLUDED = "excluded"  # an excluded keyword stands in its texts
    # Fetched (in whole or in part), not kept.
    EMPTY = "empty"
    TOO_MANY_BYTES = "too_many_bytes"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_SMALL = "too_small"
    NOT_AN_IMAGE = "not_an_image"
    FORMAT_NOT_ALLOWED = "format_not_allowed"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    DECODE_LIMIT = "decode_limit"  # decoding took too long, too much memory, or brought the decoder down
    WRONG_HASH = "wrong_hash"  # not the bytes that the source announced

    @property
    def is_transient(self) -> bool:
        """Whether the same request may well succeed another day, so that a later run tries again."""
        return self in _TRANSIENT


_TRANSIENT = frozenset(
    {
        Reason.TOO_MANY_REQUESTS,
        Reason.HTTP_SERVER_ERROR,
        Reason.DNS,
        Reason.TLS,
        Reason.TIMEOUT,
        Reason.CONNECTION,
        Reason.UNREADABLE,
        Reason.QUOTA,
    }
)


class PipelineError(Exception):
    """Base of every error a caller of this package may see; its text is fit for a user."""


class WorkspaceUnusable(PipelineError):
    """The workspace cannot be created, read or written."""


class CatalogUnreachable(WorkspaceUnusable):
    """The server that keeps the catalog does not answer, does not let us in, or has let the connection go."""


class CatalogTooNew(PipelineError):
    """The catalog's schema was made by a newer version of dreamcrawl."""


class CatalogBusy(PipelineError):
    """Another process kept the catalog locked past the time limit."""


class CatalogRefused(PipelineError):
    """A text or a number is of a kind or size that the database cannot keep; nothing was changed."""


class InboxUnusable(PipelineError):
    """A hand-off folder is damaged, sealed already, or still being written by a living process."""


class StoreCorrupt(PipelineError):
    """A stored file does not have the digest it is filed under, or is missing."""


class KeysUnusable(PipelineError):
    """Keys to sign with, or certificates to trust, cannot be read, do not fit together or are out of date."""


class NotPermitted(PipelineError):
    """A picture's licence does not let it be dreamed on."""


class NotFound(PipelineError):
    """There is no item, derivation, run or file of that name."""


class Withdrawn(NotFound):
    """There is such a picture, but its site asks not to use it."""


class SettingsInvalid(PipelineError):
    """A setting has a value that it cannot have."""


class UsageError(PipelineError):
    """An argument means nothing here; the message offers what would."""


class ImageRejected(PipelineError):
    """These bytes are not a picture that can be kept; `reason` is the typed cause."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
