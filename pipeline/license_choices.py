"""Which licences a user asks for: one vocabulary for all commands and settings that take `--license`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from functools import cache

from pipeline.license_texts import license_from_text
from pipeline.licenses import UNKNOWN, License, every_license, kind_of, license_by_id, unported

ANY, SHAREABLE, ADAPTABLE, COMMERCIAL = "any", "shareable", "adaptable", "commercial"

GROUPS: Mapping[str, str] = {
    SHAREABLE: "may be passed on",
    ADAPTABLE: "may be passed on altered, as a dream is",
    COMMERCIAL: "the same, and for money",
    UNKNOWN: "no licence that can be read",
    ANY: "whatever its licence",
}
"""What may be asked for instead of a licence, and what is said of a picture then."""

_MOST_PROPOSED = 4


def license_choice(text: str) -> str:
    """One of `GROUPS`, a kind of licence (`CC-BY`), or the id of one (`CC-BY-4.0`), from what a user wrote.

    Raises:
        ValueError: It is none; the message names what comes near.
    """
    wanted = " ".join(text.split())
    if (exact := _names().get(_dashed(wanted))) is not None:
        return exact
    for words in (wanted, wanted.upper()):
        if (found := license_from_text(words)) is None:
            continue
        # What is asked for of one country only must not come to mean all of them.
        if found.url is not None and found != license_by_id(found.id):
            raise ValueError(
                f"{found.name} has no id of its own and is kept as {found.id}, the licence that it was made from: "
                f"ask for {found.id}; got {text!r}"
            )
        return found.id
    near = difflib.get_close_matches(_dashed(wanted), _names(), n=_MOST_PROPOSED)
    proposed = f"; did you mean {' or '.join(_names()[each] for each in near)}?" if near else ""
    raise ValueError(
        f"a licence is {', '.join(GROUPS)}, or one such as CC-BY (every version), CC-BY-4.0 or CC0-1.0; "
        f"got {text!r}{proposed}"
    )


def is_chosen(license_: License, choice: str, *, altered: bool = False) -> bool:
    """Whether a picture under this licence is one of those asked for.

    A kind stands for all versions, and an id without a country for the licences made from it as well.

    Args:
        license_: The picture's.
        choice: As `license_choice` gives it.
        altered: Whether what is asked about is an altered picture: `shareable` then means that this may be passed on.
    """
    if choice in GROUPS:
        permits_adaptation = license_.permits_adaptation is True
        return {
            ANY: True,
            UNKNOWN: license_.id == UNKNOWN,
            # Unaltered, a picture may be passed on under every licence that is known here.
            SHAREABLE: permits_adaptation if altered else license_.id != UNKNOWN,
            ADAPTABLE: permits_adaptation,
            COMMERCIAL: permits_adaptation and license_.permits_commercial_use is True,
        }[choice]
    names = {license_.id, unported(license_).id, kind_of(license_)}
    return license_.id != UNKNOWN and choice.lower() in {each.lower() for each in names}


@cache
def chosen_licenses(choice: str) -> tuple[License, ...]:
    """Every licence known here that is asked for; empty for `unknown`."""
    return tuple(each for each in every_license() if is_chosen(each, choice))


def chosen_kinds(choice: str) -> frozenset[str]:
    """The kinds of these licences, such as `CC-BY-SA`: sources that search know no versions."""
    return frozenset(kind_of(each) for each in chosen_licenses(choice))


def choice_in_words(choice: str) -> str:
    """What is asked for, as the end of "its licence is not ..."."""
    return {
        SHAREABLE: "one that is known",
        ADAPTABLE: "one that permits adaptations",
        COMMERCIAL: "one that permits commercial adaptations",
        UNKNOWN: "unknown",
    }.get(choice, choice)


@cache
def _names() -> Mapping[str, str]:
    """All that may be asked for, by its form in small letters."""
    kinds = sorted({kind_of(each) for each in every_license()})
    return {each.lower(): each for each in (*GROUPS, *kinds, *(one.id for one in every_license()))}


def _dashed(text: str) -> str:
    return re.sub(r"[\s_]+", "-", text.lower())
