"""Similar pictures: is what the network takes for alike alike, which copies does it know, and what does it cost.

    python benchmarks/similar.py [--only likeness,edits,time,scale] [--scale 100000] [--queries 50] [--json]

- likeness: of each bundled photograph the five nearest others; how many of them share a keyword with it that six or
  more photographs have. Beside: a histogram of 512 colours (intersection), and chance.
- edits: each photograph edited as in benchmarks/duplicates.py. Found: the cosine reaches the bound from which pairs are
  listed for review. Nearest: no other photograph is nearer than the original. The bound was chosen on the photographs
  of even number; what is told are those of odd number, and false pairs among all.
- time: one photograph decoded and described, in batches as `dreamcrawl features` has them.
- scale: one picture against made-up vectors, exact, by numpy and by faiss, where that is installed: in turn. Both must
  give the same answers. Ratios are of the least CPU time, which what else runs on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from duplicates_edits import EDITS

from crawler.sample_site.photos import Photo, load_photos, photo_path
from dream.feature_algorithms import DEFAULT_FEATURES
from pipeline.duplicates.vector_index import FAISS_FROM, FlatIndex, VectorIndex
from pipeline.duplicates.vectors import as_kept, pack
from pipeline.extract import TOGETHER
from pipeline.images import squeezed

NEAREST = 5
FEW = 6  # photographs that a keyword must have to count
COLOURS = 8  # levels a channel
Vectors = NDArray[np.float32]


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="likeness,edits,time,scale")
    parser.add_argument("--scale", type=int, default=100_000, help="vectors in the larger index")
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    parts = given.only.split(",")
    report: dict[str, Any] = {"algorithm": DEFAULT_FEATURES.name}
    if {"likeness", "edits", "time"} & set(parts):
        network, photos = Network(), load_photos()
        files = [photo_path(photo.file).read_bytes() for photo in photos]
        vectors = network.describe(files)
        if "likeness" in parts:
            report["likeness"] = likeness(photos, files, vectors)
        if "edits" in parts:
            report["edits"] = edits(network, files, vectors)
        if "time" in parts:
            report["time"] = cost(network, files)
    if "scale" in parts:
        report["scale"] = [scale(count, given.queries) for count in (given.scale // 10, given.scale)]
    if given.json:
        print(json.dumps(report, indent=2))


def say(line: str) -> None:
    """One line, while it runs."""
    print(line, file=sys.stderr, flush=True)


class Network:
    """The frozen network, as the product uses it."""

    def __init__(self) -> None:
        from dream.networks import load_network

        with tempfile.TemporaryDirectory() as folder:
            self.network = load_network(DEFAULT_FEATURES.network, weights_folder=Path(folder), offline=True)

    def vectors(self, pictures: list[NDArray[np.uint8]]) -> Vectors:
        """Of pictures that are squeezed already; as the catalog would give them back."""
        from dream.feature_vectors import feature_vectors

        parts = [
            feature_vectors(np.stack(pictures[start : start + TOGETHER]), DEFAULT_FEATURES, self.network)
            for start in range(0, len(pictures), TOGETHER)
        ]
        return as_kept(np.concatenate(parts))

    def describe(self, files: list[bytes]) -> Vectors:
        """The vectors of picture files."""
        return self.vectors([squeezed(data, side=DEFAULT_FEATURES.side) for data in files])


def likeness(photos: list[Photo], files: list[bytes], vectors: Vectors) -> dict[str, Any]:
    """How many of the nearest share a keyword, over all photographs with a keyword that counts."""
    numbers = Counter(keyword for photo in photos for keyword in photo.keywords)
    shared = [{keyword for keyword in photo.keywords if numbers[keyword] >= FEW} for photo in photos]
    alike = np.array([[bool(one & other) for other in shared] for one in shared])
    np.fill_diagonal(alike, val=False)
    asked = np.flatnonzero(alike.any(axis=1))
    colours = np.stack([histogram(data) for data in files])
    found = {
        DEFAULT_FEATURES.name: precision(vectors @ vectors.T, alike, asked),
        "colour histogram": precision(np.minimum(colours[:, None], colours[None]).sum(axis=-1), alike, asked),
        "chance": float(alike[asked].sum(axis=1).mean() / (len(photos) - 1)),
    }
    say(f"mean precision at {NEAREST}, {len(asked)} of {len(photos)} photographs")
    ours = found[DEFAULT_FEATURES.name]
    for name, value in found.items():
        say(f"  {name:24}{value:8.3f}   ours / this: {ours / value:.2f}")
    return found


def histogram(data: bytes) -> NDArray[np.float64]:
    """Shares of 512 colours."""
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) // (256 // COLOURS)
    places = pixels.reshape(-1, 3).astype(np.int64) @ np.array([COLOURS**2, COLOURS, 1])
    return np.bincount(places, minlength=COLOURS**3) / len(places)


def precision(likenesses: NDArray[Any], alike: NDArray[np.bool_], asked: NDArray[np.intp]) -> float:
    """Mean share of pictures that are alike among the nearest, itself left out."""
    ranked = np.array(likenesses, np.float64)
    np.fill_diagonal(ranked, -np.inf)
    nearest = np.argsort(-ranked, axis=1, kind="stable")[:, :NEAREST]
    return float(np.mean([alike[one, nearest[one]].mean() for one in asked]))


def edits(network: Network, files: list[bytes], vectors: Vectors) -> dict[str, Any]:
    """For each kind of edit, how many reach the bound, and of how many the original is the nearest."""
    bound = DEFAULT_FEATURES.alike_cosine
    random = np.random.default_rng(1)
    originals = [Image.open(io.BytesIO(data)).convert("RGB") for data in files]
    between = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    result: dict[str, Any] = {"bound": bound, "highest_of_different": float(between.max())}
    result["false_pairs"] = int(np.sum(between >= bound))
    told: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for kind, changes in EDITS.items():
        for change in changes.values():
            edited = network.describe([change(original, random) for original in originals])
            against = edited @ vectors.T
            own = np.diagonal(against)
            others = np.where(np.eye(len(own), dtype=bool), -2, against)
            result["false_pairs"] += int(np.sum(others >= bound))
            told[kind]["found"] += (own >= bound)[1::2].tolist()
            told[kind]["found by the half that chose"] += (own >= bound)[::2].tolist()
            told[kind]["nearest"] += (own > others.max(axis=1))[1::2].tolist()
            told[kind]["cosine"] += own[1::2].tolist()
            result["highest_of_different"] = max(result["highest_of_different"], float(others.max()))
    columns = f"{'found':>8}{'chosen on':>11}{'nearest':>9}{'median':>8}{'lowest':>8}"
    say(f"\n{f'edits, cosine from {bound}':32}{columns}")
    result["kinds"] = {}
    for kind, values in told.items():
        row = {name: statistics.fmean(each) for name, each in values.items() if name != "cosine"}
        row |= {"median": statistics.median(values["cosine"]), "lowest": min(values["cosine"])}
        result["kinds"][kind] = row
        say(
            f"  {kind:30}{row['found']:8.3f}{row['found by the half that chose']:11.3f}{row['nearest']:9.3f}"
            f"{row['median']:8.3f}{row['lowest']:8.3f}"
        )
    pairs = (len(files) * (len(files) - 1)) // 2 + sum(len(each) for each in EDITS.values()) * len(files) * (
        len(files) - 1
    )
    say(
        f"  false pairs: {result['false_pairs']} of {pairs}; the highest cosine of two different photographs, edited "
        f"or not: {result['highest_of_different']:.3f}"
    )
    return result


def cost(network: Network, files: list[bytes]) -> dict[str, float]:
    """Milliseconds for one photograph, best of three rounds."""
    pictures = [squeezed(data, side=DEFAULT_FEATURES.side) for data in files]

    def ms(work: Any) -> tuple[float, float]:
        best = (float("inf"), float("inf"))
        for _ in range(3):
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            spent = time.perf_counter() - wall, time.process_time() - cpu
            best = min(best, (spent[0] / len(files) * 1e3, spent[1] / len(files) * 1e3))
        return best

    decode = ms(lambda: [squeezed(data, side=DEFAULT_FEATURES.side) for data in files])
    describe = ms(lambda: network.vectors(pictures))
    spent = f"{decode[1]:.1f} ms CPU to decode, {describe[1]:.1f} ms CPU to describe ({describe[0]:.1f} ms)"
    say(f"\none photograph: {spent}")
    return {"decode_cpu_ms": decode[1], "describe_ms": describe[0], "describe_cpu_ms": describe[1]}


def scale(count: int, queries: int) -> dict[str, Any]:
    """Load time, memory and query time of each index over so many vectors."""
    random = np.random.default_rng(2)
    length = DEFAULT_FEATURES.length
    centres = random.normal(size=(200, length)).astype(np.float32)
    indexes: dict[str, VectorIndex] = {"numpy": FlatIndex(length)}
    try:
        from pipeline.duplicates.faiss_index import FaissIndex

        indexes["faiss"] = FaissIndex(length)
    except ImportError:
        say("faiss is not installed: pip install dreamcrawl[similar]")
    loading = dict.fromkeys(indexes, 0.0)
    for index in indexes.values():
        index.reserve(count)
    for start in range(0, count, 2000):
        rows = centres[random.integers(0, 200, 2000)] + random.normal(0, 0.8, (2000, length)).astype(np.float32)
        packed = b"".join(pack(rows / np.linalg.norm(rows, axis=1, keepdims=True)))
        for name, index in indexes.items():
            begun = time.perf_counter()
            index.extend(range(start, start + 2000), packed)
            loading[name] += time.perf_counter() - begun
    asked = as_kept(centres[:queries] / np.linalg.norm(centres[:queries], axis=1, keepdims=True))
    spent: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for query in asked:
        answers = []
        for name, index in indexes.items():
            wall, cpu = time.perf_counter(), time.process_time()
            answers.append(index.nearest(query, 20))
            spent[name].append(((time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3))
        assert answers[1:] in ([], [answers[0]]), "the two do not agree"
    result: dict[str, Any] = {"vectors": count}
    say(f"\n{count} vectors of {length}; dreamcrawl takes faiss from {FAISS_FROM}")
    for name, index in indexes.items():
        wall, cpu = statistics.median(each[0] for each in spent[name]), min(each[1] for each in spent[name])
        result[name] = {"load_s": loading[name], "bytes_each": index.memory_bytes / count, "ms": wall, "cpu_ms": cpu}
        ratio = cpu / result["numpy"]["cpu_ms"]
        say(
            f"  {name}: {loading[name]:.2f} s to load, {index.memory_bytes / count:.0f} bytes each, a query "
            f"{cpu:.2f} ms CPU ({wall:.2f} ms at the median), {ratio:.2f} of numpy's"
        )
    return result


if __name__ == "__main__":
    main()
