"""What the `meta` tags of a page say about the use of the pictures on it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from crawler.consent.headers import ABOUT_PICTURES, OPT_OUTS
from crawler.consent.objections import META_ROBOTS, PRODUCT_TOKEN, TDMREP, Objection
from crawler.consent.tdmrep import is_reserved, reservation


def words_of_directive(content: str) -> list[str]:
    """The words of a `content` of `meta robots`, in lower case."""
    return re.split(r"[\s,]+", content.strip().lower())


def meta_objection(tags: Iterable[tuple[str, str]], *, where: str) -> Objection | None:
    """Why a page forbids the use of its pictures, or None.

    Args:
        tags: Name and content of each `meta` tag.
        where: Address of the page.
    """
    named = [(name.strip().lower(), content.strip()) for name, content in tags]
    for name, content in named:
        refusing = {"robots": ABOUT_PICTURES, PRODUCT_TOKEN: OPT_OUTS}.get(name, frozenset())
        for word in words_of_directive(content) if refusing else ():
            if word in refusing:
                return Objection(META_ROBOTS, f"meta {name}: {word}", where)
    if any(name == "tdm-reservation" and is_reserved(content) for name, content in named):
        policy = next((content for name, content in named if name == "tdm-policy" and content), None)
        return Objection(TDMREP, f"meta {reservation(policy)}", where)
    return None
