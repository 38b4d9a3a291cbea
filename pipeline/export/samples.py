"""One sample of an export: what its JSON, its text and its line of credit say. No I/O but the catalog's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.catalog import export_queries
from pipeline.catalog.engine import Catalog
from pipeline.catalog.values import Derivation, Item, ItemKeyword, Sighting
from pipeline.licenses import UNKNOWN, License, license_on_record, strictest
from pipeline.provenance.attribution import (
    credit_dream,
    credit_original,
    credited_to,
    input_ids,
    inputs_on_record,
    license_address,
    license_of,
    licenses_of_inputs,
)
from pipeline.provenance.permission import permission_on_record
from pipeline.provenance.sharing import PRIVATE, Sharing, public_url, sharing_of, web_address

SUFFIXES = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/gif": "gif"}
"""Media type -> ending of the picture's file."""

SHARD_DIGITS = 5
"""Of a shard's name; img2dataset's default."""


@dataclass(frozen=True)
class Credit:
    """The row of a picture in the list of attributions.

    Attributes:
        line: All of it in one sentence.
        share_alike: Whether what is made of the picture must carry its licence.
        may_be_shared: Whether the picture may be passed on.
    """

    title: str
    creator: str
    creator_url: str
    source: str
    license: License
    license_url: str
    share_alike: bool
    may_be_shared: bool
    line: str


@dataclass(frozen=True)
class Sample:
    """One picture with what is said of it.

    Attributes:
        key: Its name in the export, the same for its picture, text and JSON.
        suffix: Of the picture's file, without a dot.
        caption: The text beside it.
        about: The JSON beside it.
        sha256: Digest of the stored file.
        size_bytes: Of the stored file.
    """

    key: str
    suffix: str
    caption: str
    about: Mapping[str, Any]
    sha256: str
    size_bytes: int
    credit: Credit

    def text(self) -> bytes:
        """The content of its text file."""
        return self.caption.encode("utf-8", errors="replace")

    def json(self) -> bytes:
        """The content of its JSON file, laid out as img2dataset does."""
        return json.dumps(self.about, indent=4, ensure_ascii=False).encode("utf-8", errors="replace")


def shard_name(number: int) -> str:
    """The name of a shard, counted from 0."""
    return f"{number:0{SHARD_DIGITS}d}"


def key_of(shard: int, place: int, *, shard_size: int) -> str:
    """The name of a sample: the shard's number and the place in it, by the rule of img2dataset.

    The place has as many digits as the size of a shard asks for, so that keys are in order and tell the shard.
    """
    digits = len(str(shard_size - 1)) if shard_size > 1 else 0
    return f"{shard * 10**digits + place:0{SHARD_DIGITS + digits}d}"


def samples_of(catalog: Catalog, entries: Sequence[tuple[int, int]], *, keys: Sequence[str]) -> list[Sample]:
    """The samples of one shard; where a picture, guide or mask was withdrawn since it was chosen there is none."""
    item_ids = [item_id for item_id, _ in entries]
    with catalog.read() as uow:
        session = uow.session
        items = export_queries.items(session, item_ids)
        sightings = export_queries.sightings(session, item_ids)
        keywords = export_queries.keywords(session, item_ids)
        dreams = export_queries.derivations(session, [dream_id for _, dream_id in entries if dream_id])
        inputs = export_queries.items(session, input_ids(dreams.values()))
        digests = [item.blob_sha256 for item in items.values()] + [dream.blob_sha256 for dream in dreams.values()]
        blobs = export_queries.blobs(session, digests)
    samples = []
    for key, (item_id, dream_id) in zip(keys, entries, strict=True):
        item, dream = items.get(item_id), dreams.get(dream_id)
        parts = [item, *(inputs.get(each) for each in input_ids([dream] if dream else []))]
        if item is None or any(each and each.withdrawn_at for each in parts) or (dream_id and dream is None):
            continue
        blob = blobs[dream.blob_sha256 if dream else item.blob_sha256]
        seen = sightings.get(item_id, [])
        caption = next(filter(None, [*(each.caption for each in seen), item.title, *(each.alt for each in seen)]), "")
        about = _about(key, item, seen, caption=caption, media_type=blob.media_type, keywords=keywords.get(item_id, []))
        if dream is not None:
            about |= _altered(item, dream, inputs, credit=credit_dream(item, seen, dream))
        samples.append(
            Sample(
                key=key,
                suffix=SUFFIXES.get(blob.media_type, "bin"),
                caption=caption,
                about=about,
                sha256=blob.sha256,
                size_bytes=blob.size_bytes,
                credit=_credit(item, seen, dream, inputs),
            )
        )
    return samples


def digest_of(samples: Sequence[Sample], *, layout: str) -> str:
    """A digest over all that decides the content of a shard.

    layout: Its format, and the version of that.
    """
    digest = hashlib.sha256(layout.encode())
    for sample in samples:
        digest.update(f"\n{sample.key} {sample.suffix} {sample.sha256}\n".encode())
        digest.update(sample.text() + b"\n" + sample.json())
    return digest.hexdigest()


def _about(
    key: str,
    item: Item,
    sightings: Sequence[Sighting],
    *,
    caption: str,
    media_type: str,
    keywords: Sequence[ItemKeyword],
) -> dict[str, Any]:
    """img2dataset's fields first, under its names, then what it does not know of."""
    first = _first(sightings)
    license_ = license_of(item)
    consents = [dict(each.consent) for each in sightings if each.consent]
    return {
        "caption": caption,
        "url": _address(first.image_url) if first else None,
        "key": key,
        "status": "success",
        "error_message": None,
        "width": item.width,
        "height": item.height,
        "original_width": item.width,
        "original_height": item.height,
        "sha256": item.blob_sha256,
        "pixel_sha256": item.pixel_sha256,
        "media_type": media_type,
        "item": f"i{item.id}",
        "page_url": _source(item, sightings),
        "title": item.title,
        "alt": next(filter(None, (each.alt for each in sightings)), None),
        "creator": item.creator,
        "creator_url": web_address(next(filter(None, (each.creator_url for each in sightings)), None)),
        "license": license_.id,
        "license_name": license_.name,
        "license_url": license_address(item),
        "attribution": credit_original(item, sightings),
        "source": first.source if first else None,
        "source_id": first.source_id if first else None,
        "created": next(filter(None, (each.made_at for each in sightings)), None),
        "rendition": first.rendition if first else None,
        "tags": list(dict.fromkeys(tag for each in sightings for tag in each.tags)),
        "keywords": [{"keyword": k.keyword, "fields": list(k.fields), "score": k.score} for k in keywords],
        "consent": max(consents, key=lambda each: str(each.get("checked_at", ""))) if consents else None,
        "near_duplicate_of": f"i{item.near_duplicate_of_id}" if item.near_duplicate_of_id else None,
    }


def _altered(item: Item, dream: Derivation, inputs: Mapping[int, Item], *, credit: str) -> dict[str, Any]:
    """What a dream's JSON says otherwise than its source's, and how it was made."""
    manifest = dream.manifest
    permission, sharing = permission_on_record(manifest), _sharing(item, dream, inputs)
    render = manifest.get("render")
    return {
        "width": dream.width,
        "height": dream.height,
        "original_width": dream.width,
        "original_height": dream.height,
        "sha256": dream.blob_sha256,
        "pixel_sha256": dream.pixel_sha256,
        "attribution": credit,
        "derivation": {
            "id": f"d{dream.id}",
            "key": dream.key,
            "source": {
                "item": f"i{item.id}",
                "sha256": item.blob_sha256,
                "pixel_sha256": item.pixel_sha256,
                "width": item.width,
                "height": item.height,
            },
            "inputs": [dict(each) for each in inputs_on_record(manifest)],
            "preset": dream.preset,
            "recipe": dict(dream.recipe),
            "recipe_sha256": dream.recipe_sha256,
            "network": dream.network,
            "weights_sha256": dream.weights_sha256,
            "engine_version": manifest.get("engine_version"),
            "profile": manifest.get("profile"),
            "seed": render.get("seed") if isinstance(render, Mapping) else None,
            "jitter_sha256": render.get("jitter_sha256") if isinstance(render, Mapping) else None,
            "manifest_sha256": dream.manifest_sha256,
            "permission": permission.to_json() if permission else None,
            "sharing": sharing.to_json(),
        },
        **_license_fields(item, _license_of_dream(item, dream, inputs)),
    }


def _license_fields(item: Item, license_: License) -> dict[str, Any]:
    """The licence of a dream in the fields of its original's."""
    address = license_address(item) if license_ == license_of(item) else license_.url
    return {"license": license_.id, "license_name": license_.name, "license_url": address}


def _license_of_dream(item: Item, dream: Derivation, inputs: Mapping[int, Item]) -> License:
    """The one that it must carry; where its maker may choose, the strictest that one of its parts is under.

    A guide may forbid commercial use, or be share-alike, where the original does not and is not.
    """
    sharing = _sharing(item, dream, inputs)
    if sharing.license_id is not None:
        return license_on_record(sharing.license_id, sharing.license_url)
    return strictest([license_of(item), *licenses_of_inputs(dream, inputs)])


def _sharing(item: Item, dream: Derivation, inputs: Mapping[int, Item]) -> Sharing:
    """The terms of a dream by what is known of its parts today."""
    parts = licenses_of_inputs(dream, inputs)
    return sharing_of(license_of(item), *parts, permission=permission_on_record(dream.manifest))


def _credit(item: Item, sightings: Sequence[Sighting], dream: Derivation | None, inputs: Mapping[int, Item]) -> Credit:
    license_, license_url = license_of(item), license_address(item)
    creator_url = web_address(next(filter(None, (each.creator_url for each in sightings)), None))
    line = credit_original(item, sightings) if dream is None else credit_dream(item, sightings, dream)
    may_be_shared = license_.id != UNKNOWN
    if dream is not None:
        license_ = _license_of_dream(item, dream, inputs)
        license_url = _license_fields(item, license_)["license_url"]
        may_be_shared = _sharing(item, dream, inputs).terms != PRIVATE
    return Credit(
        title=item.title or "",
        creator=item.creator or "",
        creator_url=creator_url or "",
        source=_source(item, sightings) or "",
        license=license_,
        license_url=license_url or "",
        share_alike=license_.share_alike,
        may_be_shared=may_be_shared,
        line=line,
    )


def _source(item: Item, sightings: Sequence[Sighting]) -> str | None:
    """The page that the picture is credited to."""
    credited = credited_to(item, sightings)
    return _address(credited.page_url) if credited else None


def _address(url: str) -> str | None:
    """An address as it may leave this machine; None for one that leads nowhere, such as a script."""
    return public_url(web_address(url) or url) if web_address(url) or url.startswith("file:") else None


def _first(sightings: Sequence[Sighting]) -> Sighting | None:
    return next((each for each in sightings if each.relation == "first"), sightings[0] if sightings else None)
