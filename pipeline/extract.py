"""Extract: what a network makes of each picture, once, recorded; for finding similar ones. No TensorFlow here.

The features of some pictures, and the pairs of pictures that are much alike, are written in one transaction: a run that
was killed goes on where it stopped, and what several processes write at once is compared all with all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.catalog.engine import Catalog
from pipeline.catalog.values import Item
from pipeline.duplicates.similar import Similar, SimilarSearch
from pipeline.duplicates.vectors import FeatureAlgorithm, Vectors, as_kept, pack
from pipeline.errors import ImageRejected, NotFound, StoreCorrupt, Withdrawn
from pipeline.images import ImageLimits, read_file, squeezed
from pipeline.store import Store

TOGETHER = 16
"""Pictures that go through the network at once, and are recorded at once: other writers wait for that long."""

_DECODERS = 2  # more would wait for the network
_ITEMS_LISTED = 200
# Of one picture, the most alike: among a thousand pictures of one series each is like all others.
_MOST_PAIRS = 8
_Waiting: TypeAlias = tuple[int, Future[NDArray[np.uint8]]]


class Extractor(Protocol):
    """Whatever makes vectors of pictures."""

    @property
    def algorithm(self) -> FeatureAlgorithm:
        """What decides the vectors; asking for it loads nothing."""
        ...

    def vectors(self, pictures: NDArray[np.uint8]) -> Vectors:
        """The vectors of pictures, uint8, shape (count, side, side, 3), sRGB, each squeezed to that square.

        What it raises concerns all of them: weights that cannot be had.
        """
        ...


@dataclass(frozen=True)
class ExtractReport:
    """What a run came to.

    Attributes:
        described: Pictures whose features were recorded.
        failed: (item id, why) of pictures whose file is lost or cannot be decoded.
        pairs: Pairs that are much alike and were listed for review.
        forgotten: Features that were deleted, as their pictures were withdrawn.
    """

    described: int
    failed: tuple[tuple[int, str], ...]
    pairs: int
    forgotten: int


def extract_features(
    catalog: Catalog,
    store: Store,
    extractor: Extractor,
    *,
    search: SimilarSearch | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> ExtractReport:
    """Record the features of every picture that has none and was not withdrawn.

    May be killed at any moment and called again; several may run at once, and then share no work but lose none.

    Args:
        catalog: Whose items.
        store: Where their files are.
        extractor: Makes the vectors.
        search: One that is loaded already.
        on_progress: Called with the number of pictures done and of all of them.

    Raises:
        CatalogBusy: Another process kept the catalog locked for too long.
        Exception: What the extractor raises.
    """
    work = _Extracting(catalog, store, extractor, search or SimilarSearch(extractor.algorithm))
    with catalog.write() as uow:
        forgotten = uow.features.forget_withdrawn()
    with catalog.read() as uow:
        total = uow.features.count_missing(extractor.algorithm.name)
        if total:
            work.search.sync(uow)  # now, while nobody waits for us to end writing
    if total and on_progress is not None:
        on_progress(0, total)  # the network takes seconds to load
    for done in work.run():
        if on_progress is not None:
            on_progress(min(done, total), total)
    return ExtractReport(work.described, tuple(work.failed), work.pairs, forgotten)


def extract_item(
    catalog: Catalog, store: Store, extractor: Extractor, item_id: int, *, search: SimilarSearch
) -> Vectors | None:
    """Record the features of one picture, unless they are on record.

    Where the catalog was opened to be read only, they are given instead: a vector, shape (length,).

    Raises:
        NotFound: There is no such item.
        Withdrawn: Its site asks not to use it.
        StoreCorrupt: Its file is lost or altered.
        ImageRejected: It cannot be decoded.
        Exception: What the extractor raises.
    """
    with catalog.read() as uow:
        item = uow.items.get(item_id)
        known = uow.features.of_item(item_id, extractor.algorithm.name) is not None
        if item is not None and not known:
            search.sync(uow)  # now, while nobody waits for us to end writing
    if item is None:
        raise NotFound(f"there is no item i{item_id}; `dreamcrawl items` lists them")
    if item.withdrawn_at is not None:
        raise Withdrawn(f"i{item_id} was withdrawn on {item.withdrawn_at:%Y-%m-%d}: {item.withdrawn_reason}")
    if known:
        return None
    work = _Extracting(catalog, store, extractor, search)
    picture = work.load(item)
    if catalog.is_read_only:
        vector: Vectors = _vectors(extractor, [picture])[0]
        return vector
    work.record([item_id], [picture])
    return None


def vector_of_file(path: Path, extractor: Extractor, *, limits: ImageLimits) -> Vectors:
    """The vector, shape (length,), of a picture file of the user's own.

    Raises:
        NotFound: There is no such file.
        ImageRejected: It is no picture, or one that is not taken; with the file's name.
        Exception: What the extractor raises.
    """
    data = read_file(path, max_bytes=limits.max_bytes)
    try:
        picture = squeezed(data, side=extractor.algorithm.side, limits=limits)
    except ImageRejected as error:
        raise ImageRejected(error.reason, f"{path}: {error}") from error
    vector: Vectors = _vectors(extractor, [picture])[0]
    return vector


@dataclass
class _Extracting:
    """One run: what it works with, and its counts so far."""

    catalog: Catalog
    store: Store
    extractor: Extractor
    search: SimilarSearch
    described: int = 0
    pairs: int = 0
    failed: list[tuple[int, str]] = field(default_factory=list)

    def run(self) -> Iterator[int]:
        """Does all there is to do, and says after each step how many pictures are done."""
        done = 0
        with ThreadPoolExecutor(_DECODERS, thread_name_prefix="decode") as decoders:
            waiting: deque[_Waiting] = deque()
            try:
                for item in self._items():
                    waiting.append((item.id, decoders.submit(self.load, item)))
                    if len(waiting) == 2 * TOGETHER:  # half of them are decoded while the others are computed
                        done += self._take(waiting)
                        yield done
                while waiting:
                    done += self._take(waiting)
                    yield done
            finally:
                decoders.shutdown(wait=True, cancel_futures=True)

    def load(self, item: Item) -> NDArray[np.uint8]:
        """The picture as the extractor wants it; called on another thread."""
        return squeezed(self.store.read(item.blob_sha256), side=self.extractor.algorithm.side)

    def record(self, item_ids: Sequence[int], pictures: Sequence[NDArray[np.uint8]]) -> None:
        """Compute vectors, compare them with all others, and write rows and pairs together."""
        algorithm = self.extractor.algorithm
        vectors = _vectors(self.extractor, pictures)
        beside = _alike_beside(item_ids, vectors, algorithm.alike_cosine)
        with self.catalog.write() as uow:
            # Before the rows are added: should they not come to be, the search must not have loaded them.
            others = self.search.alike(uow, vectors, algorithm.alike_cosine)
            for item_id, packed, found, near in zip(item_ids, pack(vectors), others, beside, strict=True):
                if not uow.features.add(item_id, algorithm=algorithm.name, vector=packed):
                    continue  # another process was faster, and has listed its pairs
                self.described += 1
                alike = sorted((each for each in [*found, *near] if each.item_id != item_id), key=_most_alike_first)
                for other in alike[:_MOST_PAIRS]:
                    self.pairs += uow.features.list_for_review(
                        item_id, other.item_id, algorithm=algorithm.name, cosine=other.cosine
                    )

    def _items(self) -> Iterator[Item]:
        last_id = 0
        while True:
            with self.catalog.read() as uow:
                items = uow.features.missing(self.extractor.algorithm.name, after_id=last_id, limit=_ITEMS_LISTED)
            if not items:
                return
            yield from items
            last_id = items[-1].id

    def _take(self, waiting: deque[_Waiting]) -> int:
        """Records the first ones that wait; how many these were, with those that failed."""
        taken = [waiting.popleft() for _ in range(min(TOGETHER, len(waiting)))]
        item_ids, pictures = [], []
        for item_id, loading in taken:
            try:
                pictures.append(loading.result())
            except (ImageRejected, StoreCorrupt) as problem:
                self.failed.append((item_id, str(problem)))
            else:
                item_ids.append(item_id)
        if item_ids:
            self.record(item_ids, pictures)
        return len(taken)


def _vectors(extractor: Extractor, pictures: Sequence[NDArray[np.uint8]]) -> Vectors:
    vectors = extractor.vectors(np.stack(pictures))
    expected = (len(pictures), extractor.algorithm.length)
    if vectors.shape != expected or not np.isfinite(vectors).all():
        raise ValueError(f"the extractor gave vectors of shape {vectors.shape}, expected finite ones of {expected}")
    return vectors


def _alike_beside(item_ids: Sequence[int], vectors: Vectors, least_cosine: float) -> list[list[Similar]]:
    """For each item those of the same batch that are alike."""
    kept = as_kept(vectors).astype(np.float64)
    cosines = kept @ kept.T
    return [
        [
            Similar(item_id, float(cosine))
            for item_id, cosine in zip(item_ids, row, strict=True)
            if cosine >= least_cosine
        ]
        for row in cosines
    ]


def _most_alike_first(similar: Similar) -> tuple[float, int]:
    return -similar.cosine, similar.item_id
