"""What the source's licence means for the dream made from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from pipeline.licenses import License, joint_terms
from pipeline.provenance.permission import Basis, Permission

PRIVATE = "private"
"""The terms of a dream that is not to be passed on."""


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


def sharing_of(*licenses: License, permission: Permission | None = None) -> Sharing:
    """The terms for a picture adapted from one under this licence, or from several.

    licenses: Of the original, then of guides and masks.
    permission: On what grounds it was made; None when that is not known.
    """
    terms = joint_terms(licenses) if all(each.permits_adaptation for each in licenses) else None
    if terms is None:
        return Sharing(PRIVATE, _why_private(licenses, permission))
    words = []
    if terms.requires_attribution:
        words.append("name the creator, the source and the licence, and say that the picture was altered")
    if not terms.permits_commercial_use:
        words.append("do not use it commercially")
    if terms.license is not None:
        words.append(f"share it under {terms.license.name}")
    note = "; ".join(words) if words else f"{licenses[0].name}: no conditions"
    if terms.license is not None:
        name = "share-alike" if terms.permits_commercial_use else "non-commercial-share-alike"
        return Sharing(name, note, terms.license.id, terms.license.url)
    if not terms.permits_commercial_use:
        return Sharing("non-commercial", note)
    return Sharing("attribution" if terms.requires_attribution else "free", note)


def _why_private(licenses: Sequence[License], permission: Permission | None) -> str:
    forbidding = next((each for each in licenses if each.permits_adaptation is False), None)
    if permission is not None and permission.basis is Basis.OWN_FILE:
        return "made of a file of its maker's own that names no licence: whether to pass it on is its maker's to decide"
    if forbidding is not None:
        why = f"{forbidding.name} does not permit sharing an adapted picture: keep it private"
    elif any(each.permits_adaptation is None for each in licenses):
        why = "licence unknown: keep this picture private"
    else:
        names = " and ".join(dict.fromkeys(each.name for each in licenses))
        why = f"no licence can be given to a picture made under {names} together: keep it private"
    if permission is not None and permission.basis is Basis.RESPONSIBILITY:
        why += f"; made on its maker's own responsibility: \u201c{permission.words}\u201d"
    return why


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
