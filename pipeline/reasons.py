"""Why pictures were not taken, in words for people, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pipeline.errors import Objection, Reason

REFUSED, FILTERED, POSTPONED, FAILED, REJECTED = "refused", "filtered", "postponed", "failed", "rejected"
NOT_DREAMED = "not dreamed on"


@dataclass(frozen=True)
class Explained:
    """One reason.

    Attributes:
        outcomes: What a crawl calls such a candidate; of several the first, where there were any.
        label: In few words, for a list.
        meaning: In plain words.
        advice: What to do to get such pictures, or why nothing is to be done.
    """

    outcomes: tuple[str, ...]
    label: str
    meaning: str
    advice: str


_LATER = "`dreamcrawl crawl --retry-failed` asks again"
_AS_IT_IS = "it came like this, and is not asked for again; a file of your own can be mended and collected anew"
_NOTHING = "nothing: that is their site's decision, and it is asked again each time"

EXPLAINED: Mapping[str, Explained] = MappingProxyType(
    {
        Reason.ROBOTS: Explained(
            (REFUSED,), "closed by robots.txt", "robots.txt closes the address, or could not be read", _NOTHING
        ),
        Reason.OPT_OUT: Explained((REFUSED,), "asked not to be used", "its site asks machines not to use it", _NOTHING),
        Reason.ADDRESS_FORBIDDEN: Explained(
            (REFUSED,),
            "address not crawled",
            "not a public address, or a scheme or port that is not crawled",
            "nothing, for safety; a site of your own is crawled when it is the --source",
        ),
        Reason.TOO_MANY_REQUESTS: Explained(
            (POSTPONED, FAILED),
            "host wants a pause",
            "its host asks to be left alone for a while",
            "run the same command again after that",
        ),
        Reason.QUOTA: Explained(
            (POSTPONED, FAILED),
            "quota used up",
            "its host's requests for today are used up",
            "run the same command again tomorrow; a key may allow more (`dreamcrawl sources`)",
        ),
        Reason.HTTP_CLIENT_ERROR: Explained(
            (FAILED,),
            "not there (HTTP 4xx)",
            "the server does not have it, or does not give it (HTTP 4xx)",
            f"mostly gone; {_LATER}",
        ),
        Reason.HTTP_SERVER_ERROR: Explained(
            (FAILED,), "server error (HTTP 5xx)", "the server failed (HTTP 5xx)", _LATER
        ),
        Reason.DNS: Explained(
            (FAILED,), "no such host", "there is no such host, or its name server does not answer", _LATER
        ),
        Reason.TLS: Explained(
            (FAILED,),
            "no secure connection",
            "no secure connection: the certificate does not hold",
            f"its owner must; {_LATER}",
        ),
        Reason.TIMEOUT: Explained((FAILED,), "no answer in time", "no answer in time", _LATER),
        Reason.CONNECTION: Explained(
            (FAILED,), "connection broken", "the connection was refused, reset or cut short", _LATER
        ),
        Reason.TOO_MANY_REDIRECTS: Explained((FAILED,), "too many redirects", "it moves in circles", _LATER),
        Reason.UNREADABLE: Explained(
            (FAILED,),
            "cannot be read",
            "it could not be read: a file that cannot be opened, or too little memory",
            f"see its rights; {_LATER}",
        ),
        Reason.LICENSE: Explained(
            (FILTERED,),
            "another licence",
            "its licence is not one of those asked for",
            "`--license any` takes them; see docs/crawling.md",
        ),
        Reason.ASPECT: Explained(
            (FILTERED,), "another shape", "not of the shape asked for", "another `--aspect` or `--orientation`"
        ),
        Reason.TOO_LARGE: Explained(
            (FILTERED,), "larger than asked for", "more pixels than asked for", "another `--max-megapixels`"
        ),
        Reason.DATE: Explained(
            (FILTERED,), "another time", "not from the time asked for", "another `--since` or `--until`"
        ),
        Reason.MATURE: Explained(
            (FILTERED,), "unfit for everybody", "its source marks it as unfit for everybody", "`--mature` takes them"
        ),
        Reason.EXCLUDED: Explained(
            (FILTERED,), "an excluded word", "an excluded word stands in its texts", "leave that `--not` away"
        ),
        Reason.TOO_SMALL: Explained(
            (FILTERED,),
            "too small",
            "smaller than asked for, or than can be kept",
            "another `--min-width` or `--min-height`, or the setting ingest.min_side",
        ),
        Reason.TOO_MANY_PIXELS: Explained(
            (FILTERED, FAILED), "too many pixels", "more pixels than can be kept", "the setting ingest.max_pixels"
        ),
        Reason.FORMAT_NOT_ALLOWED: Explained(
            (FILTERED, FAILED),
            "another format",
            "a format that was not asked for, or cannot be kept",
            "JPEG, PNG, WebP and GIF are kept",
        ),
        Reason.EMPTY: Explained((FAILED,), "empty", "no bytes", _LATER),
        Reason.TOO_MANY_BYTES: Explained(
            (FAILED, FILTERED), "too many bytes", "a larger file than can be kept", "the setting crawl.max_image_bytes"
        ),
        Reason.NOT_AN_IMAGE: Explained((FAILED,), "not a picture", "no picture: a page or something else", "nothing"),
        Reason.TRUNCATED: Explained(
            (FAILED,), "cut short", "the file is cut short", f"it may be so at its source; {_LATER}"
        ),
        Reason.CORRUPT: Explained((FAILED,), "damaged", "the file is damaged", "nothing"),
        Reason.DECODE_LIMIT: Explained(
            (FAILED,),
            "too long to decode",
            "decoding took too long or too much memory",
            "the settings ingest.decode_seconds, ingest.decode_memory_mb",
        ),
        Reason.WRONG_HASH: Explained(
            (FAILED,), "other bytes than announced", "not the bytes that its source announced", _LATER
        ),
    }
)
"""Reason -> what it means; one for each of `pipeline.errors.Reason`."""

_WORDS = 'to take responsibility for it, say why: --responsibility "I have the photographer\'s permission, ..."'

OBJECTIONS: Mapping[str, Explained] = MappingProxyType(
    {
        Objection.WITHDRAWN: Explained((NOT_DREAMED,), "withdrawn since", "withdrawn by its site since", "nothing"),
        Objection.NO_DERIVATIVES: Explained(
            (NOT_DREAMED,),
            "no adapted pictures permitted",
            "its licence does not permit adapted pictures, which dreams are",
            _WORDS,
        ),
        Objection.LICENSE_UNKNOWN: Explained(
            (NOT_DREAMED,),
            "licence unknown",
            "no licence that can be read, so that nothing permits an adapted picture",
            f"collect licensed ones with --require-license; {_WORDS}",
        ),
        Objection.LICENSES_CLASH: Explained(
            (NOT_DREAMED,),
            "licences that cannot be kept together",
            "the licences of the picture and of a guide or mask cannot be kept together",
            f"another guide or mask; {_WORDS}",
        ),
    }
)
"""Reason -> why a picture that was kept is not dreamed on; one for each of `pipeline.errors.Objection`."""

_UNKNOWN = Explained((FAILED,), "", "", "")


def explained(reason: str) -> Explained:
    """What a stored reason means; empty words for one of a later version."""
    return EXPLAINED.get(reason, _UNKNOWN)


def explained_objection(reason: str) -> Explained:
    """What a stored reason for no dream means; empty words for one of a later version."""
    return OBJECTIONS.get(reason, Explained((NOT_DREAMED,), "", "", ""))


def advice_for(told: Explained, outcome: str) -> str:
    """What to do about candidates with a reason that came to this end."""
    return told.advice.replace(_LATER, _AS_IT_IS) if outcome == REJECTED else told.advice


def outcome_of(reason: str, there_are: Collection[str]) -> str:
    """What a crawl called the candidates with a reason, when it had outcomes of these kinds."""
    outcomes = explained(reason).outcomes
    return next((outcome for outcome in outcomes if outcome in there_are), outcomes[0])
