"""The line that credits a picture: title, author, source, licence; and, for a dream, that and how it was altered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from pipeline.catalog.values import Derivation, Item, Sighting
from pipeline.licenses import UNKNOWN, License, license_on_record
from pipeline.provenance.canonical import cut_text
from pipeline.provenance.permission import Basis, license_of, permission_on_record
from pipeline.provenance.sharing import public_url, web_address

__all__ = ["credit_dream", "credit_original", "license_address", "license_of", "permissions", "responsibility_of"]

MAX_PART_BYTES = 300
"""Of one text of a page in the credit of several pictures."""

_LONGEST_ID = 11  # a letter and ten digits
# Marks that turn the direction of all text after them, past the end of the title that holds them.
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")


def license_address(item: Item) -> str | None:
    """Where the item's licence can be read; a web address or None."""
    return license_of(item).url or web_address(item.license_url)


def credit_original(item: Item, sightings: Sequence[Sighting]) -> str:
    """The credit of an original, in the order that Creative Commons recommends (TASL).

    The credit that its source asks for follows, where it is none of the words before.
    """
    title = f"\u201c{_one_line(item.title)}\u201d" if item.title else f"Untitled picture i{item.id}"
    creator = f" by {_one_line(item.creator)}" if item.creator else ", creator unknown"
    line = f"{title}{creator}{_source(credited_to(item, sightings))}, {_license(item)}."
    given = _one_line(credit_given(sightings))
    return f"{line} Credit as given: {given.removesuffix('.')}." if given and given not in line else line


def credited_to(item: Item, sightings: Sequence[Sighting]) -> Sighting | None:
    """The sighting that is named as a picture's source; None where it was met nowhere.

    The first that declares the licence it has, as a page that says nothing of it would bear out no credit; else the one
    that it came by.
    """
    declaring = (each for each in sightings if each.license_id == item.license_id != UNKNOWN and item.license_id)
    came_by = (each for each in sightings if each.relation == "first")
    return next(chain(declaring, came_by, sightings), None)


def credit_given(sightings: Sequence[Sighting]) -> str:
    """The credit in the words of the first source that asks for one; empty where none does."""
    return next(filter(None, (each.attribution for each in sightings)), "")


def credit_dream(item: Item, sightings: Sequence[Sighting], dream: Derivation) -> str:
    """The credit of a dream: that it is altered, by what, from which original, and with which guides and masks.

    What its maker takes responsibility for stands in it too.
    """
    look = f"preset {dream.preset}, " if dream.preset else ""
    original = credit_original(item, sightings).removesuffix(".")
    line = f"Altered with a neural network by dreamcrawl ({look}network {dream.network}); original: {original}."
    for each in inputs_on_record(dream.manifest):
        line += f" With {credit_input(each)}."
    words = responsibility_of(dream)
    return f"{line} Made on its maker\u2019s own responsibility: \u201c{_one_line(words)}\u201d." if words else line


def credit_input(entry: Mapping[str, Any]) -> str:
    """The credit of a guide or mask, without a full stop, from a dream's record of it.

    Texts of pages are cut one by one, or a long title would push out the licence.
    """
    title = f"\u201c{_short(entry['title'])}\u201d" if entry.get("title") else f"picture {entry.get('item')}"
    creator = f" by {_short(entry['creator'])}" if entry.get("creator") else ", creator unknown"
    page = str(entry.get("page_url") or "")
    if page and len(page.encode()) <= MAX_PART_BYTES:
        creator += f", {page}"
    told = entry.get("license")
    license_ = told if isinstance(told, Mapping) else {}
    is_known = license_.get("id") not in {None, UNKNOWN}
    name = _one_line(str(license_.get("name"))) if is_known else "licence unknown"
    address = web_address(str(license_["url"])) if license_.get("url") else None
    return f"{title}{creator}, {name} ({address})" if address else f"{title}{creator}, {name}"


def inputs_on_record(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The other pictures that had a part in a dream, guides and masks, as its manifest names them."""
    inputs = manifest.get("inputs")
    return [each for each in inputs if isinstance(each, Mapping)] if isinstance(inputs, list | tuple) else []


def input_id(entry: Mapping[str, Any]) -> int:
    """The item that a guide or mask is, from a dream's record of it; 0 where that names none."""
    name = str(entry.get("item", ""))
    return int(name[1:]) if name[1:].isascii() and name[1:].isdecimal() and len(name) < _LONGEST_ID else 0


def input_ids(dreams: Iterable[Derivation]) -> list[int]:
    """The items that guides and masks of these dreams are, each once."""
    found = (input_id(each) for dream in dreams for each in inputs_on_record(dream.manifest))
    return list(dict.fromkeys(item_id for item_id in found if item_id))


def licenses_of_inputs(dream: Derivation, items: Mapping[int, Item]) -> list[License]:
    """The licences of a dream's guides and masks by what is known today, else by its record.

    items: Those of `input_ids`, as far as they are in the catalog.
    """
    found = []
    for entry in inputs_on_record(dream.manifest):
        item = items.get(input_id(entry))
        told = entry.get("license")
        on_record: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
        is_here = item is not None and item.pixel_sha256 == entry.get("pixel_sha256")
        found.append(
            license_of(item)
            if item is not None and is_here
            else license_on_record(str(on_record.get("id")), str(on_record.get("url") or ""))
        )
    return found


def responsibility_of(dream: Derivation) -> str:
    """The words in which its maker took responsibility for a dream; empty where the licences permit it."""
    permission = permission_on_record(dream.manifest)
    return permission.words if permission is not None and permission.basis is Basis.RESPONSIBILITY else ""


def permissions(license_: License) -> tuple[tuple[str, str], ...]:
    """(question, answer) about what a licence lets one do with a picture and its dreams."""
    unknown = "unknown: keep it private"
    adaptation = {True: "yes", False: "no: keep it private", None: unknown}[license_.permits_adaptation]
    rows = [
        ("May be shared as it is", unknown if license_.id == UNKNOWN else "yes"),
        ("May be shared altered", adaptation),
    ]
    if license_.permits_adaptation is not None:
        rows += [
            ("May be sold", "yes" if license_.permits_commercial_use else "no"),
            ("Credit is needed", "yes" if license_.requires_attribution else "no"),
            ("A dream must carry the same licence", "yes" if license_.share_alike else "no"),
        ]
    return tuple(rows)


def _source(sighting: Sighting | None) -> str:
    if sighting is None:
        return ""
    where = web_address(sighting.page_url) or web_address(sighting.image_url)
    # Nobody needs to know in which folder of whose computer a picture lay.
    return f", {public_url(where)}" if where else f", {public_url(sighting.image_url)}"


def _license(item: Item) -> str:
    license_ = license_of(item)
    address = license_address(item)
    name = license_.name if license_.id != UNKNOWN else "licence unknown"
    return f"{name} ({address})" if address else name


def _short(text: Any) -> str:
    return cut_text(_one_line(str(text)), MAX_PART_BYTES)


def _one_line(text: str) -> str:
    return " ".join(_TURNS.sub("", text).split())
