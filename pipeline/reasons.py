"""Why pictures were not taken, in words for people, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pipeline.errors import Reason

REFUSED, FILTERED, POSTPONED, FAILED, REJECTED = "refused", "filtered", "postponed", "failed", "rejected"


@dataclass(frozen=True)
class Explained:
    """One reason.

    Attributes:
        outcomes: What a crawl calls such a candidate; of several the first, where there were any.
        meaning: In plain words.
        advice: What to do to get such pictures, or why nothing is to be done.
    """

    outcomes: tuple[str, ...]
    meaning: str
    advice: str


_LATER = "`dreamcrawl crawl --retry-failed` asks again"
_NOTHING = "nothing: that is their site's decision, and it is asked again each time"

EXPLAINED: Mapping[str, Explained] = MappingProxyType(
    {
        Reason.ROBOTS: Explained((REFUSED,), "robots.txt closes the address, or could not be read", _NOTHING),
        Reason.OPT_OUT: Explained((REFUSED,), "its site asks machines not to use it", _NOTHING),
        Reason.ADDRESS_FORBIDDEN: Explained(
            (REFUSED,),
            "not a public address, or a scheme or port that is not crawled",
            "nothing, for safety; a site of your own is crawled when it is the --source",
        ),
        Reason.TOO_MANY_REQUESTS: Explained(
            (POSTPONED, FAILED), "its host asks to be left alone for a while", "run the same command again after that"
        ),
        Reason.QUOTA: Explained(
            (POSTPONED, FAILED),
            "its host's requests for today are used up",
            "run the same command again tomorrow; a key may allow more (`dreamcrawl sources`)",
        ),
        Reason.HTTP_CLIENT_ERROR: Explained(
            (FAILED,), "the server does not have it, or does not give it (HTTP 4xx)", f"mostly gone; {_LATER}"
        ),
        Reason.HTTP_SERVER_ERROR: Explained((FAILED,), "the server failed (HTTP 5xx)", _LATER),
        Reason.DNS: Explained((FAILED,), "there is no such host, or its name server does not answer", _LATER),
        Reason.TLS: Explained(
            (FAILED,), "no secure connection: the certificate does not hold", f"its owner must; {_LATER}"
        ),
        Reason.TIMEOUT: Explained((FAILED,), "no answer in time", _LATER),
        Reason.CONNECTION: Explained((FAILED,), "the connection was refused, reset or cut short", _LATER),
        Reason.TOO_MANY_REDIRECTS: Explained((FAILED,), "it moves in circles", _LATER),
        Reason.UNREADABLE: Explained((FAILED,), "a file of yours that cannot be opened", f"see its rights; {_LATER}"),
        Reason.LICENSE: Explained(
            (FILTERED,), "its licence is not one of those asked for", "`--license any` takes them; see docs/crawling.md"
        ),
        Reason.ASPECT: Explained((FILTERED,), "not of the shape asked for", "another `--aspect` or `--orientation`"),
        Reason.TOO_LARGE: Explained((FILTERED,), "more pixels than asked for", "another `--max-megapixels`"),
        Reason.DATE: Explained((FILTERED,), "not from the time asked for", "another `--since` or `--until`"),
        Reason.MATURE: Explained((FILTERED,), "its source marks it as unfit for everybody", "`--mature` takes them"),
        Reason.EXCLUDED: Explained((FILTERED,), "an excluded word stands in its texts", "leave that `--not` away"),
        Reason.TOO_SMALL: Explained(
            (FILTERED,),
            "smaller than asked for, or than can be kept",
            "another `--min-width` or `--min-height`, or the setting ingest.min_side",
        ),
        Reason.TOO_MANY_PIXELS: Explained(
            (FILTERED, FAILED), "more pixels than can be kept", "the setting ingest.max_pixels"
        ),
        Reason.FORMAT_NOT_ALLOWED: Explained(
            (FILTERED, FAILED), "a format that was not asked for, or cannot be kept", "JPEG, PNG, WebP and GIF are kept"
        ),
        Reason.EMPTY: Explained((FAILED,), "no bytes", _LATER),
        Reason.TOO_MANY_BYTES: Explained(
            (FAILED, FILTERED), "a larger file than can be kept", "the setting crawl.max_image_bytes"
        ),
        Reason.NOT_AN_IMAGE: Explained((FAILED,), "no picture: a page or something else", "nothing"),
        Reason.TRUNCATED: Explained((FAILED,), "the file is cut short", f"it may be so at its source; {_LATER}"),
        Reason.CORRUPT: Explained((FAILED,), "the file is damaged", "nothing"),
        Reason.DECODE_LIMIT: Explained(
            (FAILED,),
            "decoding took too long or too much memory",
            "the settings ingest.decode_seconds, ingest.decode_memory_mb",
        ),
        Reason.WRONG_HASH: Explained((FAILED,), "not the bytes that its source announced", _LATER),
    }
)
"""Reason -> what it means; one for each of `pipeline.errors.Reason`."""

_UNKNOWN = Explained((FAILED,), "", "")


def explained(reason: str) -> Explained:
    """What a stored reason means; empty words for one of a later version."""
    return EXPLAINED.get(reason, _UNKNOWN)


def outcome_of(reason: str, there_are: Collection[str]) -> str:
    """What a crawl called the candidates with a reason, when it had outcomes of these kinds."""
    outcomes = explained(reason).outcomes
    return next((outcome for outcome in outcomes if outcome in there_are), outcomes[0])
