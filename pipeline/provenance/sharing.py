"""What the source's licence means for the dream made from it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from pipeline.licenses import License


@dataclass(frozen=True)
class Sharing:
    """On what terms a dream may be passed on.

    Attributes:
        terms: `free`, `attribution`, `share-alike`, `non-commercial`, `non-commercial-share-alike` or `private`.
        note: The same in a sentence.
        license_id: The licence that the dream itself must carry, or None when its maker may choose.
        license_url: Address of that licence.
    """

    terms: str
    note: str
    license_id: str | None = None
    license_url: str | None = None

    def to_json(self) -> dict[str, str | None]:
        """This value as JSON values."""
        return {
            "terms": self.terms,
            "note": self.note,
            "license_id": self.license_id,
            "license_url": self.license_url,
        }


def sharing_of(license: License) -> Sharing:  # noqa: A002 - the field's word; the builtin is an interactive help
    """The terms for a picture adapted from one under this licence."""
    if license.permits_adaptation is None:
        return Sharing("private", "licence unknown: keep this picture private")
    if not license.permits_adaptation:
        return Sharing("private", f"{license.name} does not permit sharing an adapted picture: keep it private")
    words = []
    if license.requires_attribution:
        words.append("name the creator, the source and the licence, and say that the picture was altered")
    if license.permits_commercial_use is False:
        words.append("do not use it commercially")
    if license.share_alike:
        words.append(f"share it under {license.name}")
    note = "; ".join(words) if words else f"{license.name}: no conditions"
    if license.share_alike:
        terms = "share-alike" if license.permits_commercial_use else "non-commercial-share-alike"
        return Sharing(terms, note, license.id, license.url)
    if license.permits_commercial_use is False:
        return Sharing("non-commercial", note)
    return Sharing("attribution" if license.requires_attribution else "free", note)


def public_url(url: str) -> str:
    """The address as it may leave this machine: of a `file:` address only the last name, and never a password.

    A picture that is passed on should not say in which folders of whose computer it was made.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme.lower() == "file":
            return "file:" + unquote(parts.path).replace("\\", "/").rstrip("/").rpartition("/")[2]
        if "@" in parts.netloc:
            kept = SplitResult(parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, parts.fragment)
            return urlunsplit(kept)
    except ValueError:
        return ""
    return url


def web_address(url: str | None) -> str | None:
    """The address when it leads to the web, else None: pages declare `javascript:` and other things as well."""
    if url is None:
        return None
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return None
    return url.strip() if parts.scheme.lower() in {"http", "https"} and parts.hostname else None
