"""Signatures of items, pairs that may be the same picture, and what people decided about them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, or_, select, update

from pipeline.catalog.duplicate_values import (
    DIFFERENT,
    NEAR,
    REVIEW,
    SAME,
    SIMILAR,
    DuplicatePair,
    Fingerprint,
    NewPair,
)
from pipeline.catalog.repositories.base import Repository, chunks, now
from pipeline.catalog.tables import DuplicatePairRow, FeatureRow, FingerprintRow, ItemRow, SignatureRow
from pipeline.catalog.upserts import insert_for_id, insert_or_update, table_of
from pipeline.catalog.values import Item, columns_of

_FINGERPRINT = table_of(FingerprintRow)
_SIGNATURE = table_of(SignatureRow)
_PAIR = table_of(DuplicatePairRow)
_ITEM = table_of(ItemRow)
_FEATURE = table_of(FeatureRow)
_USABLE = _ITEM.c.withdrawn_at.is_(None)
_SOME = 1000  # to look at all of a million takes a second


def _usable_pairs() -> tuple[Select[Any], ColumnElement[bool]]:
    """Pairs of which neither item is withdrawn; and that the two of a pair stand in different groups."""
    first, second = _ITEM.alias(), _ITEM.alias()
    # Outer joins though there always are such items: else SQLite begins with all items, and sorts all their pairs.
    pairs = _PAIR.outerjoin(first, first.c.id == _PAIR.c.first_id).outerjoin(second, second.c.id == _PAIR.c.second_id)
    usable = select(_PAIR).select_from(pairs).where(first.c.withdrawn_at.is_(None), second.c.withdrawn_at.is_(None))
    one = func.coalesce(first.c.near_duplicate_of_id, first.c.id)
    other = func.coalesce(second.c.near_duplicate_of_id, second.c.id)
    return usable, one != other


class Duplicates(Repository):
    """What is known of items that are the same picture."""

    def sign(
        self, item_id: int, *, algorithm: str, hashes: Mapping[str, bytes], views: bytes, searched: bool
    ) -> dict[str, int]:
        """Record an item's signature, in place of one of another algorithm; the ids of the hashes that are new.

        hashes: Algorithm -> 32 bytes; empty for a picture too plain for one. A hash that is on record stays.
        views: The thumbnails, packed.
        searched: Whether the item's duplicates have been looked for with it.
        """
        values = {"item_id": item_id, "algorithm": algorithm, "views": views, "searched": searched}
        insert_or_update(self._session, SignatureRow, values, unique=("item_id",), update=values)
        rows = {name: {"item_id": item_id, "algorithm": name, "bits": bits} for name, bits in hashes.items()}
        ids = {name: insert_for_id(self._session, FingerprintRow, row) for name, row in rows.items()}
        return {name: one for name, one in ids.items() if one is not None}

    def forget(self, item_id: int) -> None:
        """Delete an item's hashes, thumbnails and features, as when its bytes are removed; pairs and decisions stay."""
        for table in (_FINGERPRINT, _SIGNATURE, _FEATURE):
            self._session.execute(delete(table).where(table.c.item_id == item_id))

    def remembered(self, *, withdrawn_until: datetime, after_id: int = 0, limit: int | None = None) -> list[int]:
        """Ids of the items withdrawn by then of which there are hashes, thumbnails or features; lowest first."""
        known = [exists().where(table.c.item_id == _ITEM.c.id) for table in (_FINGERPRINT, _SIGNATURE, _FEATURE)]
        query = select(_ITEM.c.id).where(_ITEM.c.withdrawn_at <= withdrawn_until, _ITEM.c.id > after_id, or_(*known))
        return [int(one) for one in self._session.execute(query.order_by(_ITEM.c.id).limit(limit)).scalars()]

    def hashes_after(self, fingerprint_id: int, algorithms: Sequence[str]) -> Iterator[tuple[list[int], bytes]]:
        """Every hash above an id, by id, in batches: ids, and the hashes of 32 bytes one after the other.

        Asked within a transaction that writes, nothing below the last id can appear later.
        """
        query = select(_FINGERPRINT.c.id, _FINGERPRINT.c.bits).where(_FINGERPRINT.c.algorithm.in_(algorithms))
        return self._joined(query, _FINGERPRINT.c.id, above=fingerprint_id)

    def count_hashes_after(self, fingerprint_id: int) -> int:
        """How many hashes there are above an id, of any algorithm."""
        query = select(func.count()).select_from(_FINGERPRINT).where(_FINGERPRINT.c.id > fingerprint_id)
        return int(self._session.execute(query).scalar_one())

    def fingerprints(self, fingerprint_ids: Sequence[int]) -> dict[int, Fingerprint]:
        """Those of these hashes that are still on record, by id."""
        found: dict[int, Fingerprint] = {}
        for batch in chunks(dict.fromkeys(fingerprint_ids)):
            query = select(_FINGERPRINT.c.id, _FINGERPRINT.c.item_id, _FINGERPRINT.c.algorithm)
            found |= {one.id: one for one in self._all(Fingerprint, query.where(_FINGERPRINT.c.id.in_(batch)))}
        return found

    def entries_of(self, item_ids: Sequence[int], algorithms: Sequence[str]) -> dict[int, Fingerprint]:
        """The hashes of these items, by id."""
        found: dict[int, Fingerprint] = {}
        for batch in chunks(dict.fromkeys(item_ids)):
            query = select(_FINGERPRINT.c.id, _FINGERPRINT.c.item_id, _FINGERPRINT.c.algorithm).where(
                _FINGERPRINT.c.item_id.in_(batch), _FINGERPRINT.c.algorithm.in_(algorithms)
            )
            found |= {one.id: one for one in self._all(Fingerprint, query)}
        return found

    def hashes_of(self, item_id: int, algorithms: Sequence[str]) -> dict[str, bytes]:
        """Algorithm -> an item's hash."""
        query = select(_FINGERPRINT.c.algorithm, _FINGERPRINT.c.bits).where(
            _FINGERPRINT.c.item_id == item_id, _FINGERPRINT.c.algorithm.in_(algorithms)
        )
        return {str(algorithm): bytes(bits) for algorithm, bits in self._session.execute(query)}

    def views(self, item_ids: Sequence[int], algorithm: str) -> dict[int, bytes]:
        """Item id -> its packed thumbnails, of those that are signed."""
        found: dict[int, bytes] = {}
        for batch in chunks(dict.fromkeys(item_ids)):
            query = select(_SIGNATURE.c.item_id, _SIGNATURE.c.views).where(
                _SIGNATURE.c.item_id.in_(batch), _SIGNATURE.c.algorithm == algorithm
            )
            found |= {int(item_id): bytes(views) for item_id, views in self._session.execute(query)}
        return found

    def unsigned(self, algorithm: str, *, after_id: int = 0, limit: int = 100) -> list[Item]:
        """Items without a signature of this algorithm that may be used, by id."""
        signed = exists().where(_SIGNATURE.c.item_id == _ITEM.c.id, _SIGNATURE.c.algorithm == algorithm)
        query = select(_ITEM).where(_ITEM.c.id > after_id, _USABLE, ~signed).order_by(_ITEM.c.id).limit(limit)
        return self._all(Item, query)

    def some_unsearched(self, algorithm: str) -> bool:
        """Whether any of the oldest or of the newest items was never compared with the others by such a signature.

        Those of an earlier version are the oldest, and are signed and compared from the first one on.
        """
        for order in (_ITEM.c.id, _ITEM.c.id.desc()):
            some = select(_ITEM.c.id).where(_USABLE).order_by(order).limit(_SOME).subquery()
            is_some = _SIGNATURE.c.item_id == some.c.id
            done = exists().where(is_some, _SIGNATURE.c.algorithm == algorithm, _SIGNATURE.c.searched)
            if self._session.execute(select(some.c.id).where(~done).limit(1)).first() is not None:
                return True
        return False

    def unsearched(self, algorithm: str, *, after_id: int = 0, limit: int = 100) -> list[int]:
        """Ids of items that are signed, but whose duplicates nobody has looked for; lowest first."""
        query = select(_SIGNATURE.c.item_id).where(
            _SIGNATURE.c.item_id > after_id, _SIGNATURE.c.searched.is_(False), _SIGNATURE.c.algorithm == algorithm
        )
        return [int(one) for one in self._session.execute(query.order_by(_SIGNATURE.c.item_id).limit(limit)).scalars()]

    def mark_searched(self, item_id: int) -> None:
        """An item's duplicates have been looked for."""
        self._session.execute(update(_SIGNATURE).where(_SIGNATURE.c.item_id == item_id).values(searched=True))

    def search_again(self, item_ids: Sequence[int]) -> None:
        """The duplicates of these items, as far as they are signed, have to be looked for once more."""
        for batch in chunks(dict.fromkeys(item_ids)):
            self._session.execute(update(_SIGNATURE).where(_SIGNATURE.c.item_id.in_(batch)).values(searched=False))

    def record(self, pair: NewPair) -> None:
        """Record what was found about a pair; a decision that is on record stays."""
        found = {**columns_of(pair), "evidence": dict(pair.evidence), "found_at": now()}
        insert_or_update(
            self._session,
            DuplicatePairRow,
            {**found, "decision": None, "decided_by": None, "decided_at": None},
            unique=("first_id", "second_id"),
            update={name: value for name, value in found.items() if name not in ("first_id", "second_id")},
        )

    def decide(self, first_id: int, second_id: int, decision: str, *, by: str) -> None:
        """Record what a person decided about two items, in place of what was decided before.

        decision: same or different.
        """
        assert decision in (SAME, DIFFERENT)
        low, high = sorted((first_id, second_id))
        decided = {"decision": decision, "decided_by": by, "decided_at": now()}
        found = dict.fromkeys(("tier", "relation", "distance", "algorithm", "evidence", "found_at"))
        insert_or_update(
            self._session,
            DuplicatePairRow,
            {"first_id": low, "second_id": high, **found, **decided},
            unique=("first_id", "second_id"),
            update=decided,
        )

    def pair(self, first_id: int, second_id: int) -> DuplicatePair | None:
        """What is known of two items, or None."""
        low, high = sorted((first_id, second_id))
        return self._one(DuplicatePair, select(_PAIR).where(_PAIR.c.first_id == low, _PAIR.c.second_id == high))

    def pairs(
        self, *, tier: str | None = None, undecided: bool = False, after_id: int = 0, limit: int = 100
    ) -> list[DuplicatePair]:
        """Pairs by id, none of whose items is withdrawn.

        tier: Only such pairs; without one, those that are merely similar are given only once they are decided.
        undecided: Only those that wait for a person: nobody has decided, and the two are not linked; or they were said
            to be the same and are not linked, as that contradicts another decision.
        """
        if undecided:
            return self._waiting(tier, after_id, limit)
        is_known = or_(_PAIR.c.tier.is_(None), _PAIR.c.tier != SIMILAR, _PAIR.c.decision.is_not(None))
        usable, _ = _usable_pairs()
        query = usable.where(_PAIR.c.id > after_id, is_known if tier is None else _PAIR.c.tier == tier)
        return self._all(DuplicatePair, query.order_by(_PAIR.c.id).limit(limit))

    def _waiting(self, tier: str | None, after_id: int, limit: int) -> list[DuplicatePair]:
        """Those that wait for a person.

        Each kind is a stretch of the index on decisions and tiers, in which pairs stand by id. Nearly all near ones
        are linked, and passed by; so these come last, and are gone through only as far as the others reach.
        """
        said = _PAIR.c.decision == SAME if tier is None else and_(_PAIR.c.decision == SAME, _PAIR.c.tier == tier)
        tiers = (REVIEW, NEAR) if tier is None else (tier,)
        usable, stand_apart = _usable_pairs()
        found: list[DuplicatePair] = []
        for kind in (said, *(and_(_PAIR.c.decision.is_(None), _PAIR.c.tier == each) for each in tiers)):
            query = usable.where(_PAIR.c.id > after_id, kind, stand_apart)
            if len(found) == limit:
                query = query.where(_PAIR.c.id < found[-1].id)
            found += self._all(DuplicatePair, query.order_by(_PAIR.c.id).limit(limit))
            found = sorted(found, key=lambda pair: pair.id)[:limit]
        return found

    def pairs_among(self, item_ids: Collection[int]) -> list[DuplicatePair]:
        """What is known of every two of these items."""
        ids = set(item_ids)
        found: list[DuplicatePair] = []
        for batch in chunks(sorted(ids)):
            query = select(_PAIR).where(_PAIR.c.first_id.in_(batch)).order_by(_PAIR.c.first_id, _PAIR.c.second_id)
            found += [pair for pair in self._all(DuplicatePair, query) if pair.second_id in ids]
        return found

    def pairs_of(self, item_id: int) -> list[DuplicatePair]:
        """What is known of an item and any other, by id."""
        query = select(_PAIR).where(or_(_PAIR.c.first_id == item_id, _PAIR.c.second_id == item_id))
        return self._all(DuplicatePair, query.order_by(_PAIR.c.id))

    def decided(self, item_id: int, decision: str) -> set[int]:
        """The items about which a person decided that they are the same as this one, or different from it."""
        query = select(_PAIR.c.first_id, _PAIR.c.second_id).where(
            or_(_PAIR.c.first_id == item_id, _PAIR.c.second_id == item_id), _PAIR.c.decision == decision
        )
        return {int(first) + int(second) - item_id for first, second in self._session.execute(query)}

    def any_decided(self, item_ids: Collection[int], decision: str) -> bool:
        """Whether a person decided so about any of these items and another one."""
        for batch in chunks(sorted(item_ids)):
            either = or_(_PAIR.c.first_id.in_(batch), _PAIR.c.second_id.in_(batch))
            if self._session.execute(select(_PAIR.c.id).where(either, _PAIR.c.decision == decision).limit(1)).first():
                return True
        return False

    def representatives_among(self, item_ids: Sequence[int]) -> set[int]:
        """Those of these items that are near to no other and not withdrawn."""
        found: set[int] = set()
        for batch in chunks(dict.fromkeys(item_ids)):
            query = select(_ITEM.c.id).where(_ITEM.c.id.in_(batch), _ITEM.c.near_duplicate_of_id.is_(None), _USABLE)
            found |= {int(item_id) for item_id in self._session.execute(query).scalars()}
        return found

    def members(self, representative_id: int) -> list[Item]:
        """The items that are linked to a representative, by id."""
        query = select(_ITEM).where(_ITEM.c.near_duplicate_of_id == representative_id)
        return self._all(Item, query.order_by(_ITEM.c.id))

    def group_ids(self, *, after_id: int = 0, limit: int | None = 100) -> list[int]:
        """Ids of the representatives with members that are not withdrawn, lowest first."""
        member = _ITEM.alias()
        query = select(_ITEM.c.id).where(
            and_(_ITEM.c.id > after_id, _ITEM.c.near_duplicate_of_id.is_(None)),
            exists().where(member.c.near_duplicate_of_id == _ITEM.c.id, member.c.withdrawn_at.is_(None)),
        )
        return [int(one) for one in self._session.execute(query.order_by(_ITEM.c.id).limit(limit)).scalars()]

    def hidden_group_ids(self) -> list[int]:
        """The same of those that are withdrawn themselves, so that nothing shows their members."""
        member = _ITEM.alias()
        query = select(_ITEM.c.id).where(
            ~_USABLE, exists().where(member.c.near_duplicate_of_id == _ITEM.c.id, member.c.withdrawn_at.is_(None))
        )
        return [int(one) for one in self._session.execute(query.order_by(_ITEM.c.id)).scalars()]

    def link(self, item_id: int, representative_id: int | None, *, distance: int | None = None) -> None:
        """Link an item to the representative of its star, or to none.

        distance: Differing bits; None when a person linked them and none are known.
        """
        self._session.execute(
            update(_ITEM)
            .where(_ITEM.c.id == item_id)
            .values(near_duplicate_of_id=representative_id, near_duplicate_distance=distance)
        )
