"""Which duplicates are found, and which pictures are taken for duplicates: ours, ImageHash, imagededup and PDQ.

    python benchmarks/duplicates.py [--half report|choose] [--only ours,phash64] [--no-tools] [--scale 1000000] [--json]

The bundled photographs are edited in some fifty ways, and so are plain pictures - flats, slopes, clouds, pages, charts,
a starry sky - that are easily taken for one another. Each contender says of each pair of all those files whether it is
a duplicate. Recall: of an edit, whether it is found to be a duplicate of its original. False pairs: of different
pictures, among all pairs of all files. Thresholds of ours were chosen on one half of the photographs (--half choose);
what is reported are the other half, and drawings that are not among those. The others have the thresholds that they
come with, or that their authors name.

- phash64:     imagehash.phash, 64 bits, up to 10
- phash256:    imagehash.phash(hash_size=16), up to 48
- imagededup:  PHash as it comes, up to 10
- imagededup cnn: MobileNetV3, cosine from 0.9, where its weights can be had
- pdq:         pdqhash, up to 31 and a quality of 50 or more
- ours, near:  what is linked without asking; ours, review: what is linked or shown to a person

Then how a search grows with the catalog (--scale): memory, time to be ready, one new picture against all.

imagededup and pdqhash are installed by pip into a folder of their own (--tools, kept for the next time), if possible.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from duplicates_pictures import (  # noqa: E402  # the path comes first
    EDITS,
    drawn_pictures,
    more_plain_pictures,
    photographs,
    plain_pictures,
)

TOOLS = ("imagededup==0.3.3.post2", "pdqhash==0.2.8")
CLASSES = {
    "copies and metadata": ("copy", "metadata"),
    "format, quality, size, tone": ("format", "quality", "size", "tone"),
    "watermark, border, small crop": ("watermark", "border", "small crop"),
    "caption, rotation": ("caption", "rotation"),
    "large crop, turn, mirror": ("large crop", "turn", "mirror"),
}
_EXAMPLES = 30


@dataclass(frozen=True)
class File:
    """An edit of a picture.

    Attributes:
        picture: Number of the picture.
        is_photo: Whether it is a photograph.
    """

    picture: int
    name: str
    is_photo: bool
    kind: str
    edit: str
    data: bytes


@dataclass
class Score:
    """What a contender found.

    Attributes:
        recall: Kind of edit -> (found, of photographs).
        false_pairs: Pairs of files of different pictures that it takes for duplicates.
        of_photos: Those of two photographs.
        examples: Some false pairs, and the pairs of pictures with most of them.
        true_pairs: Pairs of an original and an edit, of photographs and plain pictures, that it finds.
        ms: CPU milliseconds to sign one file, decoding left out.
    """

    recall: dict[str, tuple[int, int]]
    false_pairs: int
    of_photos: int
    true_pairs: int
    ms: float
    examples: list[str]


def main() -> None:
    """Make the files, let every contender judge, print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("report", "choose"), default="report")
    parser.add_argument("--only", help="names of contenders, with commas")
    parser.add_argument("--tools", type=Path, default=ROOT / ".venv" / "bench-duplicates-tools")
    parser.add_argument("--no-tools", action="store_true")
    parser.add_argument("--scale", type=int, default=1_000_000, help="pictures in the largest catalog; 0: leave it out")
    parser.add_argument("--verbose", action="store_true", help="name false pairs")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker)
        return
    report: dict[str, Any] = {}
    say = (lambda _line: None) if arguments.json else (lambda line: print(line, flush=True))
    only = arguments.only.split(",") if arguments.only else None
    if only != ["scale"]:
        report["accuracy"] = accuracy(arguments, only, say)
    if arguments.scale:
        report["scale"] = scale(arguments.scale, say)
    if arguments.json:
        print(json.dumps(report, indent=1))


def accuracy(arguments: argparse.Namespace, only: list[str] | None, say: Callable[[str], None]) -> dict[str, Any]:
    """Recall and false pairs of every contender."""
    files = make_files(arguments.half)
    photos = len({file.picture for file in files if file.is_photo})
    plain = len({file.picture for file in files if not file.is_photo})
    say(f"half '{arguments.half}': {photos} photographs and {plain} plain pictures, {len(files)} files")
    python = None if arguments.no_tools else tools_python(arguments.tools)
    scores: dict[str, Score] = {}
    for name, contender in contenders(python).items():
        if only is None or name.split(",")[0] in only:
            scores |= contender(files)
    say(f"{len(files) * (len(files) - 1) // 2:,} pairs of files\n")
    names = list(scores)
    say(f"{'recall of photographs':32}" + "".join(f"{name:>16}" for name in names))
    for kind in EDITS:
        say(f"  {kind:30}" + "".join(f"{_share(scores[name], (kind,)):16.3f}" for name in names))
    for title, kinds in CLASSES.items():
        say(f"{title:32}" + "".join(f"{_share(scores[name], kinds):16.3f}" for name in names))
    say(f"{'false pairs':32}" + "".join(f"{scores[name].false_pairs:16}" for name in names))
    say(f"{'  of two photographs':32}" + "".join(f"{scores[name].of_photos:16}" for name in names))
    say(f"{'precision, see below':32}" + "".join(f"{_precision(scores[name]):16.4f}" for name in names))
    say(f"{'CPU ms to sign a file':32}" + "".join(f"{scores[name].ms:16.2f}" for name in names))
    say("precision: pairs of an original and its edit that are found, of these and all false pairs of any two files")
    if arguments.verbose:
        for name in names:
            say(f"\n{name}: " + "; ".join(scores[name].examples[:40]))
    return {name: vars(score) for name, score in scores.items()}


def make_files(half: str) -> list[File]:
    """Every edit of every other photograph and of the plain pictures; the seed of an edit is its name."""
    photos = [one for at, one in enumerate(photographs().items()) if at % 2 == (0 if half == "choose" else 1)]
    plain = plain_pictures() | more_plain_pictures()
    plain |= drawn_pictures(23 if half == "choose" else 101)
    files = []
    for number, (name, picture) in enumerate([*photos, *plain.items()]):
        for kind, edits in EDITS.items():
            for edit, make in edits.items():
                random = np.random.default_rng(zlib.crc32(f"{name}/{kind}/{edit}".encode()))
                files.append(File(number, name, number < len(photos), kind, edit, make(picture, random)))
    return files


def contenders(python: Path | None) -> dict[str, Callable[[list[File]], dict[str, Score]]]:
    """Name -> what judges."""
    found: dict[str, Callable[[list[File]], dict[str, Score]]] = {
        "phash64": lambda files: {"phash64 @10": judge_phash(files, 8, 10)},
        "phash256": lambda files: {"phash256 @48": judge_phash(files, 16, 48)},
    }
    if python is not None:
        for name in ("imagededup", "pdq", "imagededup cnn"):
            found[name] = lambda files, name=name: judge_tool(files, python, name)
    found["ours"] = judge_ours
    return found


def judge_phash(files: list[File], side: int, radius: int) -> Score:
    """ImageHash on the decoded pictures."""
    import imagehash
    from PIL import Image

    hashes, seconds = [], 0.0
    for file in files:
        image = Image.open(io.BytesIO(file.data)).convert("RGB")
        started = time.process_time()
        hashes.append(np.packbits(imagehash.phash(image, hash_size=side).hash))
        seconds += time.process_time() - started
    return by_distance(files, np.array(hashes), radius, seconds)


def judge_tool(files: list[File], python: Path, name: str) -> dict[str, Score]:
    """A contender in the tools' environment; nothing where it does not run."""
    with tempfile.TemporaryDirectory() as folder:
        for number, file in enumerate(files):
            Path(folder, f"{number:06}").write_bytes(file.data)
        command = [str(python), __file__, "--worker", f"{name}:{folder}"]
        done = subprocess.run(
            command,
            capture_output=True,
            check=False,
            # The worker needs nothing of ours, and no weights are waited for where there is no way to them.
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        print(f"{name} is left out: {lines[-1] if lines else 'no reason given'}", file=sys.stderr)
        return {}
    with np.load(io.BytesIO(done.stdout)) as result:
        values, usable, seconds = result["values"], result["usable"], float(result["seconds"])
    if name == "imagededup cnn":
        return {"imagededup cnn": by_cosine(files, values, 0.9, seconds)}
    title, radius = ("pdq @31", 31) if name == "pdq" else ("imagededup @10", 10)
    return {title: by_distance(files, values, radius, seconds, usable)}


def by_distance(
    files: list[File],
    hashes: NDArray[np.uint8],
    radius: int,
    seconds: float,
    usable: NDArray[np.bool_] | None = None,
) -> Score:
    """Duplicates are what is at most so many bits away."""
    usable = np.ones(len(files), bool) if usable is None else usable

    def row(at: int) -> NDArray[np.bool_]:
        distances = np.bitwise_count(hashes ^ hashes[at]).sum(axis=1, dtype=np.int64)
        return (distances <= radius) & usable & usable[at]

    return scored(files, row, seconds)


def by_cosine(files: list[File], features: NDArray[np.float32], least: float, seconds: float) -> Score:
    """Duplicates are what has so large a cosine."""
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    return scored(files, lambda at: features @ features[at] >= least, seconds)


def scored(files: list[File], row: Callable[[int], NDArray[np.bool_]], seconds: float) -> Score:
    """row: What a file is a duplicate of, by its number."""
    pictures = np.array([file.picture for file in files])
    is_photo = np.array([file.is_photo for file in files])
    digests = [hashlib.sha256(file.data).digest() for file in files]
    score = Score({}, 0, 0, 0, 1000 * seconds / len(files), [])
    originals = {file.picture: at for at, file in enumerate(files) if file.kind == "copy"}
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    kinds: Counter[str] = Counter()
    for at, file in enumerate(files):
        found = row(at)
        # The same bytes are the same picture for everybody.
        is_found = bool(found[originals[file.picture]]) or digests[at] == digests[originals[file.picture]]
        score.true_pairs += is_found and file.kind != "copy"
        if file.is_photo:
            counts[file.kind][0] += is_found
            counts[file.kind][1] += 1
        others = np.flatnonzero(found & (pictures != file.picture))
        for other in others[others > at]:
            score.false_pairs += 1
            score.of_photos += bool(is_photo[at] and is_photo[other])
            that = files[int(other)]
            kinds[f"{file.name} = {that.name}"] += 1
            if len(score.examples) < _EXAMPLES:
                score.examples.append(f"{file.name} ({file.edit}) = {that.name} ({that.edit})")
    score.examples += [f"{pair}: {count}" for pair, count in kinds.most_common(_EXAMPLES)]
    score.recall = {kind: (found_count, count) for kind, (found_count, count) in counts.items()}
    return score


def judge_ours(files: list[File]) -> dict[str, Score]:
    """Signatures, the index, the comparing and the tiers, as a catalog uses them; pixels that are equal are equal."""
    from pipeline.duplicates.hashes import TURNS
    from pipeline.duplicates.index import HashIndex
    from pipeline.duplicates.signatures import sign, views_of
    from pipeline.duplicates.tiers import REVIEW_DISTANCE, TURNED_DISTANCE, Tier, tier_of
    from pipeline.duplicates.verification import verify
    from pipeline.fingerprints import pixel_sha256
    from pipeline.images import decode

    signatures, pixels, seconds = [], [], 0.0
    for file in files:
        rgb = decode(file.data).rgb
        started = time.process_time()
        signatures.append(sign(rgb))
        seconds += time.process_time() - started
        pixels.append(pixel_sha256(rgb))
    views = [views_of(one.views) for one in signatures]
    entries = [(at, view, bits) for at, one in enumerate(signatures) for view, bits in enumerate(one.hashes.values())]
    index = HashIndex()
    index.extend(range(len(entries)), b"".join(bits for _, _, bits in entries))
    originals = {file.picture: at for at, file in enumerate(files) if file.kind == "copy"}
    tiers: dict[tuple[int, int], Tier] = {}
    for at, view, bits in entries:
        for hit in index.within(bits, REVIEW_DISTANCE, turned_radius=TURNED_DISTANCE):
            other, other_view, _ = entries[hit.entry_id]
            pair = (min(at, other), max(at, other))
            same = files[at].picture == files[other].picture
            # Of one picture only edits against their original are asked for; of different ones, all.
            if other <= at or tiers.get(pair) is Tier.NEAR or (same and at != originals[files[at].picture]):
                continue
            first, second = (
                views[at][min(view, len(views[at]) - 1)],
                views[other][min(other_view, len(views[other]) - 1)],
            )
            evidence = verify(first, second, TURNS[hit.turn])
            tier = None if evidence is None else tier_of(evidence, turn=TURNS[hit.turn], distance=hit.distance)
            if tier is not None and tiers.get(pair) is not Tier.NEAR:
                tiers[pair] = tier
    found: dict[Tier, dict[int, list[int]]] = {Tier.NEAR: defaultdict(list), Tier.REVIEW: defaultdict(list)}
    for (first_at, second_at), tier in tiers.items():
        for wanted in (Tier.NEAR, Tier.REVIEW) if tier is Tier.NEAR else (Tier.REVIEW,):
            found[wanted][first_at].append(second_at)
            found[wanted][second_at].append(first_at)
    digests = np.array(pixels)

    def row(at: int, tier: Tier) -> NDArray[np.bool_]:
        equal: NDArray[np.bool_] = digests == digests[at]
        equal[found[tier][at]] = True
        return equal

    return {
        "ours, near": scored(files, lambda at: row(at, Tier.NEAR), seconds),
        "ours, review": scored(files, lambda at: row(at, Tier.REVIEW), seconds),
    }


def scale(most: int, say: Callable[[str], None]) -> dict[str, Any]:
    """How a search grows: a catalog with hashes at random, and one new picture at a time."""
    from pipeline.catalog.engine import open_catalog
    from pipeline.duplicates.search import DuplicateSearch
    from pipeline.duplicates.signatures import sign

    photos = [np.asarray(image) for image in list(photographs().values())[:20]]
    rows = {}
    say("\none new picture against a catalog (SQLite); hashes at random, one picture in ten with two of them; CPU time")
    titles = (("pictures", 10), ("hashes", 10), ("ready s", 10), ("bytes/picture", 15), ("sign ms", 10))
    say("".join(f"{title:>{width}}" for title, width in (*titles, ("search ms", 11), ("most", 8))))
    for count in sorted({max(1000, most // 100), max(1000, most // 10), most}):
        with tempfile.TemporaryDirectory() as folder, open_catalog(Path(folder) / "catalog.sqlite3") as catalog:
            hashes = fill_catalog(Path(folder) / "catalog.sqlite3", count)
            search = DuplicateSearch()
            started, cpu = time.monotonic(), time.process_time()
            with catalog.read() as uow:
                search.sync(uow)
            ready, ready_cpu = time.monotonic() - started, time.process_time() - cpu
            signing, searching = [], []
            for rgb in photos:
                started = time.process_time()
                signature = sign(rgb)
                signed = time.process_time()
                with catalog.read() as uow:
                    search.matches(uow, signature.hashes, signature.views)
                signing.append(1000 * (signed - started))
                searching.append(1000 * (time.process_time() - signed))
        each = search.memory_bytes / count
        median, worst = statistics.median(searching), max(searching)
        say(
            f"{count:10}{hashes:10}{ready_cpu:10.2f}{each:15.1f}{statistics.median(signing):10.2f}{median:11.2f}{worst:8.2f}"
        )
        rows[str(count)] = {
            "hashes": hashes,
            "ready_seconds": ready,
            "ready_cpu_seconds": ready_cpu,
            "bytes_per_picture": each,
            "sign_ms": statistics.median(signing),
            "search_ms": median,
        }
    say(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    return rows


def fill_catalog(path: Path, count: int) -> int:
    """Write items with hashes at random; how many hashes. Below the catalog, which would take half an hour."""
    import sqlite3

    from pipeline.duplicates.search import ALGORITHMS

    random = np.random.default_rng(1)
    written = 0
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    for start in range(1, count + 1, 50_000):
        ids = range(start, min(start + 50_000, count + 1))
        bits = random.bytes(64 * len(ids))
        rows = [(item, ALGORITHMS[0], bits[64 * at : 64 * at + 32]) for at, item in enumerate(ids)]
        rows += [
            (item, ALGORITHMS[1], bits[64 * at + 32 : 64 * at + 64]) for at, item in enumerate(ids) if item % 10 == 0
        ]
        connection.executemany("INSERT INTO fingerprint(item_id, algorithm, bits) VALUES (?, ?, ?)", rows)
        written += len(rows)
    connection.commit()
    connection.close()
    return written


def work(task: str) -> None:
    """In the tools' environment: hashes or features of the files of a folder, to stdout."""
    name, _, folder = task.partition(":")
    paths = sorted(Path(folder).iterdir())
    usable = np.ones(len(paths), bool)
    # Libraries print; the result must be alone on stdout.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    from PIL import Image

    images = (np.asarray(Image.open(path).convert("RGB")) for path in paths)
    values: list[Any] = []
    seconds = 0.0
    if name == "pdq":
        import pdqhash

        for at, rgb in enumerate(images):
            started = time.process_time()
            bits, quality = pdqhash.compute(rgb)
            seconds += time.process_time() - started
            values.append(np.packbits(bits.astype(bool)))
            usable[at] = quality >= 50
    elif name == "imagededup":
        from imagededup.methods import PHash

        method = PHash(verbose=False)
        for rgb in images:
            started = time.process_time()
            values.append(np.frombuffer(bytes.fromhex(method.encode_image(image_array=rgb)), np.uint8))
            seconds += time.process_time() - started
    else:
        from imagededup.methods import CNN

        network = CNN(verbose=False)
        for rgb in images:
            started = time.process_time()
            values.append(network.encode_image(image_array=rgb)[0])
            seconds += time.process_time() - started
    buffer = io.BytesIO()
    np.savez(buffer, values=np.array(values), usable=usable, seconds=seconds)
    out.write(buffer.getvalue())
    out.close()


def tools_python(folder: Path) -> Path | None:
    """The Python of an environment with the other tools, made on the first call; None where that fails."""
    python = folder / "bin" / "python"
    if (folder / "ready").exists():
        return python
    print("installing imagededup and pdqhash, once: some minutes, 5 GB", file=sys.stderr, flush=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *TOOLS], check=True)
    except subprocess.CalledProcessError as error:
        print(f"imagededup and pdqhash are left out: {error}", file=sys.stderr)
        return None
    (folder / "ready").touch()
    return python


def _share(score: Score, kinds: tuple[str, ...]) -> float:
    found = sum(score.recall[kind][0] for kind in kinds)
    return found / sum(score.recall[kind][1] for kind in kinds)


def _precision(score: Score) -> float:
    return score.true_pairs / max(1, score.true_pairs + score.false_pairs)


if __name__ == "__main__":
    main()
