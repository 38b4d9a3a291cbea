"""Whether a picture may be dreamed on: the one place that makes yes or no of licences.

A dream is an adaptation, so every picture that has a part in it - the original, guides, masks - must be one that may
be adapted: its licence permits that, or it is a file of the user's own, who is then taken to have the rights. What is
under ND, or without a licence that can be read, is dreamed on only when the user takes responsibility in words, which
are kept with the dream. Licences that each want the dream for themselves are refused in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pipeline.catalog.values import Item, Sighting
from pipeline.errors import Objection
from pipeline.license_choices import is_chosen
from pipeline.licenses import License, joint_terms, license_on_record

if TYPE_CHECKING:
    from pipeline.catalog.unit_of_work import UnitOfWork

OWN_SOURCES = frozenset({"folder", "file"})
"""Sources of the user's own files: a folder that is collected, and files given to a command."""


class Basis(StrEnum):
    """On what grounds a picture was dreamed on."""

    LICENSE = "license"
    OWN_FILE = "own-file"
    RESPONSIBILITY = "responsibility"


@dataclass(frozen=True)
class Part:
    """A picture that has a part in a dream.

    Attributes:
        name: Public id.
        is_own: Whether it was taken from the user's own files, and met nowhere else.
    """

    name: str
    license: License
    is_own: bool = False


@dataclass(frozen=True)
class Permission:
    """That a dream may be made.

    Attributes:
        words: In which the user took responsibility; empty on other grounds.
    """

    basis: Basis
    words: str = ""

    def to_json(self) -> dict[str, str]:
        """This value as JSON values."""
        return {"basis": self.basis.value} | ({"words": self.words} if self.words else {})


@dataclass(frozen=True)
class Refusal:
    """That a dream may not be made, and why, in a line."""

    objection: Objection
    line: str


def permission_to_dream(parts: Sequence[Part], responsibility: str = "") -> Permission | Refusal:
    """Whether a dream may be made of these pictures.

    parts: The original first, then guides and masks.
    responsibility: The user's words, or nothing; only what is needed is recorded.
    """
    refusal = _refusal(parts)
    if refusal is None:
        is_own = any(part.is_own and part.license.permits_adaptation is None for part in parts)
        return Permission(Basis.OWN_FILE if is_own else Basis.LICENSE)
    return Permission(Basis.RESPONSIBILITY, responsibility) if responsibility else refusal


def part_of(item: Item, sightings: Sequence[Sighting]) -> Part:
    """An item as a part of a dream; one that was met elsewhere as well is not taken to be the user's own.

    sightings: All of the item's; needed only where its licence is unknown.
    """
    is_own = bool(sightings) and all(each.source in OWN_SOURCES for each in sightings)
    return Part(f"i{item.id}", license_of(item), is_own)


def parts_of(uow: UnitOfWork, items: Sequence[Item]) -> tuple[Part, ...]:
    """Items as parts of a dream; where each was met is looked up only where that matters."""

    def part(item: Item) -> Part:
        is_known = license_of(item).permits_adaptation is not None
        return part_of(item, () if is_known else uow.sightings.of_item(item.id))

    return tuple(part(item) for item in items)


def permitted_copy(uow: UnitOfWork, item: Item, inputs: Sequence[Item]) -> str:
    """Which near duplicate of an item may be dreamed on where that itself may not, in words to follow the reason.

    Nothing where none may. Whether the licence of a copy is that of the other file is for the user to judge.
    """
    for each in uow.items.near_to(item.id):
        if isinstance(permission_to_dream(parts_of(uow, (each, *inputs))), Permission):
            terms = license_of(each)
            named = terms.name if terms.permits_adaptation else "your own file"
            return f"; i{each.id}, near to it, may be ({named}): dreamcrawl dream --item i{each.id}"
    return ""


def to_dream_on(uow: UnitOfWork, item: Item, responsibility: str = "", *, license: str | None = None) -> Item | None:  # noqa: A002  # as the option
    """Which picture of the group that an item stands for is dreamed on; None where none is under the licence asked for.

    The item itself, or the nearest near duplicate that may be dreamed on where it may not; where none may, the item, so
    that its refusal is told.

    Args:
        uow: Where the group is looked up.
        item: One that stands for itself and its near duplicates.
        responsibility: The user's words, or nothing.
        license: As `pipeline.license_choices` has it; None for any.
    """

    def is_asked_for(each: Item) -> bool:
        return license is None or is_chosen(license_of(each), license)

    def may_be(each: Item, words: str = "") -> bool:
        return isinstance(permission_to_dream(parts_of(uow, (each,)), words), Permission)

    if is_asked_for(item) and may_be(item, responsibility):
        return item
    copies = (each for each in uow.items.near_to(item.id) if is_asked_for(each) and may_be(each))
    return next(copies, item if is_asked_for(item) else None)


def stands_in_for(uow: UnitOfWork, item: Item, inputs: Sequence[Item]) -> str:
    """In a line, in place of which picture a near duplicate is dreamed on; nothing where that one may be, too."""
    if item.near_duplicate_of_id is None or (front := uow.items.get(item.near_duplicate_of_id)) is None:
        return ""
    refusal = permission_to_dream(parts_of(uow, (front, *inputs)))
    if isinstance(refusal, Permission):
        return ""
    return f"in place of i{front.id}, which it is near to: {refusal.line}; whether both are one work is yours to judge"


def permission_on_record(manifest: Mapping[str, Any]) -> Permission | None:
    """On what grounds a dream was made, as its record says; None of one made before that was recorded."""
    told = manifest.get("permission")
    basis = str(told.get("basis")) if isinstance(told, Mapping) else ""
    if not isinstance(told, Mapping) or basis not in set(Basis):
        return None
    return Permission(Basis(basis), str(told.get("words") or ""))


def license_of(item: Item) -> License:
    """What the item's licence permits, and its deed as declared; an absent one is unknown."""
    return license_on_record(item.license_id, item.license_url)


def _refusal(parts: Sequence[Part]) -> Refusal | None:
    whose = {part.name: f" of {part.name}, a guide or mask," for part in parts[1:]}
    for part in parts:
        permits = part.license.permits_adaptation
        if permits is False:
            line = f"{part.license.name}{whose.get(part.name, '')} does not permit adapted pictures"
            return Refusal(Objection.NO_DERIVATIVES, line)
        if permits is None and not part.is_own:
            line = f"the licence{whose.get(part.name, '')} is unknown, so that nothing permits an adapted picture"
            return Refusal(Objection.LICENSE_UNKNOWN, line)
    licenses = [part.license for part in parts if part.license.permits_adaptation]
    if licenses and joint_terms(licenses) is None:
        names = " and ".join(dict.fromkeys(license_.name for license_ in licenses))
        return Refusal(Objection.LICENSES_CLASH, f"no licence could be given to a dream made under {names} together")
    return None
