"""Which duplicates are found, and which pictures are taken for duplicates: ours, ImageHash, imagededup and PDQ.

    python benchmarks/duplicates.py [--half report|choose] [--only ours,phash64] [--no-tools] [--scale 1000000] [--json]

The bundled photographs are edited in some fifty ways, and so are plain pictures - flats, slopes, clouds, pages, charts,
a starry sky - that are easily taken for one another. Every file is looked up among all others. Recall: of an edit of a
photograph, whether it is found to be a duplicate of its original. False pairs: of different pictures, among all pairs
of all files. Thresholds of ours were chosen on one half of the photographs (--half choose); what is reported are the
other half, and plain pictures that are not among those. The others have the thresholds that they come with, or that
their authors name.

- phash64:     imagehash.phash, 64 bits, up to 10
- phash256:    imagehash.phash(hash_size=16), up to 48
- imagededup:  PHash as it comes, up to 10
- pdq:         pdqhash, up to 31 and a quality of 50 or more
- imagededup cnn: MobileNetV3, cosine from 0.9; only if it is named by --only, as its weights are fetched
- ours, near:  what is linked without asking; ours, review: what is linked or shown to a person

Then how a search grows with the catalog (--scale): memory, time to be ready, one new picture against all.

imagededup and pdqhash are installed by pip into a folder of their own (--tools, kept for the next time), if possible.
What was made of the files is kept, too (--cache), until code, photographs or libraries change; --fresh makes it anew.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from duplicates_edits import EDITS
from duplicates_files import Cache, File, key_of, key_of_files, key_of_tiers, make_files
from duplicates_judges import Score, by_cosine, by_distance, judge_ours, judge_phash
from duplicates_scale import scale
from duplicates_tiers import tiers_of
from duplicates_tools import TOOLS, run_tool, tools_python

PHASH = {"phash64": ("phash64 @10", 10), "phash256": ("phash256 @48", 48)}
CLASSES = {
    "copies and metadata": ("copy", "metadata"),
    "format, quality, size, tone": ("format", "quality", "size", "tone"),
    "watermark, border, small crop": ("watermark", "border", "small crop"),
    "caption, rotation": ("caption", "rotation"),
    "large crop, turn, mirror": ("large crop", "turn", "mirror"),
}
Say = Callable[[str], None]


def main() -> None:
    """Make the files, let every contender judge, print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("report", "choose"), default="report")
    parser.add_argument("--only", help="names of contenders, with commas; scale: none of them")
    parser.add_argument("--tools", type=Path, default=ROOT / ".venv" / "bench-duplicates-tools")
    parser.add_argument("--no-tools", action="store_true")
    parser.add_argument("--cache", type=Path, default=ROOT / ".venv" / "bench-duplicates-cache")
    parser.add_argument("--fresh", action="store_true", help="make everything anew")
    parser.add_argument("--scale", type=int, default=1_000_000, help="pictures in the largest catalog; 0: leave it out")
    parser.add_argument("--verbose", action="store_true", help="name false pairs")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.fresh:
        shutil.rmtree(arguments.cache, ignore_errors=True)
    say: Say = (lambda _line: None) if arguments.json else (lambda line: print(line, flush=True))
    only = arguments.only.split(",") if arguments.only else ["phash64", "phash256", *TOOLS, "ours"]
    python, found = None, []
    if not arguments.no_tools and (arguments.scale or any(name.split()[0] in TOOLS for name in only)):
        python, found = tools_python(arguments.tools)
    report: dict[str, Any] = {}
    if only != ["scale"]:
        tools = [name for name in only if name.split()[0] in found]
        scores = accuracy(arguments.half, only, tools, python, Cache(arguments.cache), say)
        if arguments.verbose:
            for name, score in scores.items():
                say(f"\n{name}: " + "; ".join(score.examples))
        report["accuracy"] = {name: as_json(score) for name, score in scores.items()}
    if arguments.scale:
        report["scale"] = scale(arguments.scale, python if "imagededup" in found else None, say)
    if arguments.json:
        print(json.dumps(report, indent=1))


def accuracy(
    half: str, only: Sequence[str], tools: Sequence[str], python: Path | None, cache: Cache, say: Say
) -> dict[str, Score]:
    """Recall and false pairs of every contender."""
    started = time.monotonic()
    files, answers = answers_of(half, tools, python, cache)
    photos = len({file.picture for file in files if file.is_photo})
    plain = len({file.picture for file in files if not file.is_photo})
    say(f"half '{half}': {photos} photographs and {plain} plain pictures, {len(files)} files")
    scores = {title: judge_phash(files, name, radius) for name, (title, radius) in PHASH.items() if name in only}
    for name, answer in answers.items():
        values, ms = answer["values"], 1000 * float(answer["seconds"])
        if name == "imagededup cnn":
            scores["imagededup cnn"] = by_cosine(files, values, 0.9, ms)
        else:
            title, radius = ("pdq @31", 31) if name == "pdq" else ("imagededup @10", 10)
            scores[title] = by_distance(files, values, radius, ms, answer["usable"])
    ours: dict[str, Score] = {}
    if "ours" in only:
        ours = judge_ours(files, cache.get(f"tiers-{half}", key_of_tiers(half), lambda: tiers_of(files)))
        scores |= {name: ours[name] for name in ("ours, near", "ours, review")}
    say(f"{len(files) * (len(files) - 1) // 2:,} pairs of files, {time.monotonic() - started:.0f} s\n")
    say_contenders(scores, say)
    if ours:
        say_edits(ours, say)
    return scores | ours


def answers_of(
    half: str, tools: Sequence[str], python: Path | None, cache: Cache
) -> tuple[list[File], dict[str, dict[str, Any]]]:
    """The files of a half, and what the tools make of them."""
    key = key_of_files(half)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = cache.get(f"files-{half}", key, lambda: make_files(half, folder if tools else None))
        answers: dict[str, dict[str, Any]] = {}
        for tool in tools:

            def answer(tool: str = tool) -> dict[str, Any]:
                if not any(folder.iterdir()):
                    make_files(half, folder)
                assert python is not None
                return run_tool(python, f"{tool}:{folder}")

            try:
                own_key = key_of([key, TOOLS[tool.split()[0]]], ())
                answers[tool] = cache.get(f"{tool.replace(' ', '-')}-{half}", own_key, answer)
            except RuntimeError as error:
                print(error, file=sys.stderr)
    return files, answers


def say_contenders(scores: dict[str, Score], say: Say) -> None:
    """Print a column for every contender."""
    say(f"{'recall of photographs':32}" + "".join(f"{name:>16}" for name in scores))
    for kind in EDITS:
        say(f"  {kind:30}" + "".join(f"{score.recall((kind,)):16.3f}" for score in scores.values()))
    for title, kinds in CLASSES.items():
        say(f"{title:32}" + "".join(f"{score.recall(kinds):16.3f}" for score in scores.values()))
    say(f"{'false pairs':32}" + "".join(f"{score.false_pairs:16}" for score in scores.values()))
    say(f"{'  of two photographs':32}" + "".join(f"{score.of_photos:16}" for score in scores.values()))
    say(f"{'precision':32}" + "".join(f"{score.precision():16.4f}" for score in scores.values()))
    say(f"{'CPU ms to sign a file':32}" + "".join(f"{score.ms:16.2f}" for score in scores.values()))
    say("precision: pairs of an original and its edit that are found, of these and all false pairs of any two files")


def say_edits(tiers: dict[str, Score], say: Say) -> None:
    """Print a line for every edit: recall of each tier, precision of those that could be wrong."""
    say("\nours, by edit; each tier with all that is surer")
    say(f"{'':36}{'recall':>10}{'':30}{'precision':>10}")
    say(f"{'':36}" + "".join(f"{name:>10}" for name in ("bytes", "pixels", "near", "review", "near", "review")))
    for kind, edits in EDITS.items():
        for edit in edits:
            line = f"{kind + ': ' + edit:36}" + "".join(f"{one.recall((kind,), edit):10.3f}" for one in tiers.values())
            precision = [tiers[name].precision((kind, edit)) for name in ("ours, near", "ours, review")]
            say(line + "".join(f"{'-':>10}" if math.isnan(one) else f"{one:10.4f}" for one in precision))
    say("precision: of the pairs with this edit's original, and all false pairs that a file of this edit is in")


def as_json(score: Score) -> dict[str, Any]:
    """A score with names for keys."""
    named: dict[str, Any] = dict(vars(score))
    for name in ("found", "true_pairs", "false_of"):
        named[name] = {f"{kind}: {edit}": value for (kind, edit), value in named[name].items()}
    return named


if __name__ == "__main__":
    main()
