"""The contenders of the benchmark of duplicates: what each takes for a duplicate of what, and how that is scored."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from duplicates_files import File
from duplicates_tiers import Pair
from numpy.typing import NDArray

from pipeline.duplicates.tiers import Tier

_EXAMPLES = 40
Row = Callable[[int], NDArray[np.bool_]]
"""Position of a file -> which files it is taken for a duplicate of."""


@dataclass
class Score:
    """What a contender found.

    Attributes:
        found: (kind, edit) -> edits of photographs that are found to be duplicates of their original, of all.
        true_pairs: (kind, edit) -> the same of photographs and plain pictures, those found.
        false_pairs: Pairs of files of different pictures that it takes for duplicates.
        false_of: (kind, edit) -> those of them that a file of this edit is in.
        of_photos: False pairs of two photographs.
        ms: CPU milliseconds to sign a file, decoding left out.
        examples: Some false pairs, and the pairs of pictures with most of them.
    """

    found: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    true_pairs: dict[tuple[str, str], int] = field(default_factory=dict)
    false_pairs: int = 0
    false_of: Counter[tuple[str, str]] = field(default_factory=Counter)
    of_photos: int = 0
    ms: float = 0.0
    examples: list[str] = field(default_factory=list)

    def recall(self, kinds: Sequence[str], edit: str | None = None) -> float:
        """Of photographs, of some kinds of edits, or of one edit of a kind."""
        wanted = [one for key, one in self.found.items() if key[0] in kinds and edit in (None, key[1])]
        return sum(found for found, _ in wanted) / sum(count for _, count in wanted)

    def precision(self, edit: tuple[str, str] | None = None) -> float:
        """Pairs of original and edit that are found, of these and all false pairs of any two files; NaN without any.

        edit: Of one edit: its pairs with the originals, and the false pairs that a file of it is in.
        """
        right = sum(self.true_pairs.values()) if edit is None else self.true_pairs[edit]
        wrong = self.false_pairs if edit is None else self.false_of[edit]
        return right / (right + wrong) if right + wrong else math.nan


def scored(files: Sequence[File], row: Row, ms: float = 0.0, *, own_bytes: bool = True) -> Score:
    """Ask of every file what it is a duplicate of.

    own_bytes: Whether the same bytes are the same picture, as they are for everybody.
    """
    pictures = np.array([file.picture for file in files])
    is_photo = np.array([file.is_photo for file in files])
    originals = {file.picture: at for at, file in enumerate(files) if file.kind == "copy"}
    score = Score(ms=ms)
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    right: Counter[tuple[str, str]] = Counter()
    kinds: Counter[str] = Counter()
    wrong: set[Pair] = set()
    for at, file in enumerate(files):
        found = row(at)
        original = originals[file.picture]
        is_found = bool(found[original]) or (own_bytes and file.digest == files[original].digest)
        right[file.kind, file.edit] += is_found and file.kind != "copy"
        if file.is_photo:
            counts[file.kind, file.edit][0] += is_found
            counts[file.kind, file.edit][1] += 1
        wrong |= {
            (min(at, int(other)), max(at, int(other))) for other in np.flatnonzero(found & (pictures != file.picture))
        }
    for first, second in sorted(wrong):
        one, other = files[first], files[second]
        score.of_photos += bool(is_photo[first] and is_photo[second])
        score.false_of.update({(one.kind, one.edit), (other.kind, other.edit)})
        kinds[f"{one.name} = {other.name}"] += 1
        if len(score.examples) < _EXAMPLES:
            score.examples.append(f"{one.name} ({one.edit}) = {other.name} ({other.edit})")
    score.false_pairs = len(wrong)
    score.true_pairs = dict(right)
    score.examples += [f"{pair}: {count}" for pair, count in kinds.most_common(_EXAMPLES)]
    score.found = {key: (found_count, count) for key, (found_count, count) in counts.items()}
    return score


def by_distance(
    files: Sequence[File],
    hashes: NDArray[np.uint8],
    radius: int,
    ms: float,
    usable: NDArray[np.bool_] | None = None,
) -> Score:
    """Duplicates are what is at most so many bits away; hashes: uint8, shape (files, 8 or 32)."""
    usable = np.ones(len(files), bool) if usable is None else usable
    words = np.ascontiguousarray(hashes).view(np.uint64).T  # uint8 would take eight times as long

    def row(at: int) -> NDArray[np.bool_]:
        distances = sum(np.bitwise_count(word ^ word[at]).astype(np.int64) for word in words)
        return (distances <= radius) & usable & usable[at]

    return scored(files, row, ms)


def by_cosine(files: Sequence[File], features: NDArray[np.float32], least: float, ms: float) -> Score:
    """Duplicates are what has so large a cosine; features: float32, shape (files, features)."""
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    return scored(files, lambda at: features @ features[at] >= least, ms)


def judge_phash(files: Sequence[File], name: str, radius: int) -> Score:
    """ImageHash on the decoded pictures; name: `phash64` or `phash256`."""
    hashes = np.frombuffer(b"".join(getattr(file, name) for file in files), np.uint8).reshape(len(files), -1)
    return by_distance(files, hashes, radius, mean_ms(files, name))


def judge_ours(files: Sequence[File], tiers: Mapping[Pair, Tier]) -> dict[str, Score]:
    """The four tiers, each with all that is surer; the same pixels need no looking."""
    digests = np.unique([file.digest for file in files], return_inverse=True)[1]
    pixels = np.unique([file.pixels for file in files], return_inverse=True)[1]
    found: dict[Tier, dict[int, list[int]]] = {Tier.NEAR: defaultdict(list), Tier.REVIEW: defaultdict(list)}
    for (at, other), tier in tiers.items():
        for wanted in (Tier.NEAR, Tier.REVIEW) if tier is Tier.NEAR else (Tier.REVIEW,):
            found[wanted][at].append(other)

    def row(at: int, tier: Tier) -> NDArray[np.bool_]:
        equal: NDArray[np.bool_] = pixels == pixels[at]
        equal[found[tier][at]] = True
        return equal

    ms = mean_ms(files, "ours")
    return {
        "ours, bytes": scored(files, lambda at: digests == digests[at], ms),
        "ours, pixels": scored(files, lambda at: pixels == pixels[at], ms),
        "ours, near": scored(files, lambda at: row(at, Tier.NEAR), ms),
        "ours, review": scored(files, lambda at: row(at, Tier.REVIEW), ms),
    }


def mean_ms(files: Sequence[File], name: str) -> float:
    """CPU milliseconds that a contender takes to sign a file."""
    return 1000 * sum(file.seconds[name] for file in files) / len(files)
