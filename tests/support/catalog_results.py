"""What is in a workspace in the end, read by plain SQL and from its files, so that two can be compared."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from pipeline.catalog.engine import catalog_url
from pipeline.store import Store


@dataclass(frozen=True)
class Result:
    """Pictures are called by the digest of their pixels, as ids tell who came first.

    Attributes:
        opinions: Tags and stars of every picture; those that once stood for others have more than they were given.
    """

    items: dict[str, tuple[Any, ...]]
    sightings: Counter[tuple[Any, ...]]
    groups: dict[str, frozenset[str]]
    pairs: dict[frozenset[str], tuple[Any, ...]]
    of_representatives: dict[str, tuple[Any, ...]]
    fetches: dict[str, tuple[Any, ...]]
    dreams: Counter[tuple[Any, ...]]
    originals: dict[str, tuple[Any, ...]]
    stored_originals: frozenset[str]
    copies: frozenset[str]
    opinions: dict[str, tuple[Any, ...]] = field(compare=False)


def read_result(root: Path, address: str) -> Result:
    engine = sa.create_engine(catalog_url(address), poolclass=NullPool)
    with engine.connect() as open_connection:

        def rows(query: str) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in open_connection.execute(sa.text(query))]

        picture = dict(rows("SELECT id, pixel_sha256 FROM item"))
        near = {first: second for first, second in rows("SELECT id, near_duplicate_of_id FROM item") if second}
        tags = {
            each: sorted(tag for (tag,) in rows(f"SELECT tag FROM item_tag WHERE item_id = {each}")) for each in picture
        }
        stars = dict(rows("SELECT item_id, stars FROM item_rating"))
        keywords = {
            each: sorted(rows(f"SELECT keyword, score FROM item_keyword WHERE item_id = {each}")) for each in picture
        }
        items = rows(
            "SELECT pixel_sha256, title, creator, license_id, withdrawn_at IS NULL, withdrawn_reason FROM item"
        )
        blobs = rows("SELECT sha256, size_bytes, media_type, removed_at IS NULL FROM blob")
        sightings = rows("SELECT item_id, image_url, page_url, blob_sha256 FROM sighting")
        fetches = rows('SELECT image_url, item_id, state, reason, sha256, attempts FROM "fetch"')
        pairs = rows("SELECT first_id, second_id, tier, decision, decided_by FROM duplicate_pair")
        dreams = rows(
            "SELECT item_id, key, pixel_sha256, preset, network, recipe_sha256, weights_sha256, file_name"
            " FROM derivation"
        )
        waiting = rows("SELECT item_id FROM search_due")
    engine.dispose()
    assert waiting == []
    stored = frozenset(Store(root / "store").digests())
    assert stored == {sha256 for sha256, _, _, is_there in blobs if is_there}
    originals = {sha256 for *_, sha256 in sightings}
    return Result(
        items={digest: (*said, at is None, why) for digest, *said, at, why in items},
        sightings=Counter((picture[item_id], *rest) for item_id, *rest in sightings),
        groups={
            picture[centre]: frozenset(picture[each] for each, other in near.items() if other == centre)
            for centre in set(near.values())
        },
        pairs={frozenset((picture[first], picture[second])): tuple(rest) for first, second, *rest in pairs},
        of_representatives={
            picture[each]: (tags[each], stars.get(each), keywords[each]) for each in picture if each not in near
        },
        fetches={url: (item_id and picture[item_id], *rest) for url, item_id, *rest in fetches},
        dreams=Counter((picture[item_id], *rest) for item_id, *rest in dreams),
        originals={row[0]: row[1:] for row in blobs if row[0] in originals},
        stored_originals=stored & originals,
        opinions={picture[each]: (tags[each], stars.get(each)) for each in picture},
        copies=frozenset(path.name for path in (root / "dreams").iterdir()),
    )
