"""Does `paper-octave` improve on `paper-multi` as the paper says, and does our default improve on `paper-octave`?

    python benchmarks/dream_quality.py [--photos 14] [--side 320] [--look menagerie] [--json]

Wang and Dong (2022) name three problems of their dreams: rough and noisy, of low resolution, with a texture that is the
same in all parts; their octaves are to lessen them. Every look dreams on the same photographs, with efficientnet_lite0
and its real weights, and `dream.quality` measures the results (docs/quality.md has the formulas). The objective is the
one that paper-octave climbs, on the finished picture at its full size, eight bits, after all resizing. Operations are
counted from the layers and the octaves, not timed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

PHOTOS = ROOT / "crawler" / "sample_site" / "photos"
NETWORK = "efficientnet_lite0"
# People, animals, buildings, still life, landscape; quiet and busy, sharp and grainy.
SUBJECTS = (
    "astronaut",
    "chelsea",
    "coffee",
    "arc_de_triomphe",
    "chameleon",
    "crocodile",
    "dam-551713",
    "fish-33f1e4",
    "igloo",
    "koala",
    "lemur",
    "parthenon",
    "scarlet_macaw",
    "great_wall",
)

Picture = np.ndarray


@dataclass(frozen=True)
class Aspect:
    """One figure of a dream, what it is called, and which way is better."""

    label: str
    value: Callable[[dict[str, float]], float]
    higher_is_better: bool


ASPECTS = (
    Aspect("objective of paper-octave", lambda row: row["objective"], higher_is_better=True),
    Aspect("noise (roughness)", lambda row: row["noise"], higher_is_better=False),
    Aspect("sharpness (resolution)", lambda row: row["sharpness"], higher_is_better=True),
    Aspect("texture sameness over places", lambda row: row["texture_sameness"], higher_is_better=False),
    Aspect("texture variety over scales", lambda row: row["texture_variety"], higher_is_better=True),
    Aspect("structure kept (SSIM)", lambda row: row["structure"], higher_is_better=True),
)


def main() -> None:
    """Dream, measure, and print which look is better in what, and on how many of the photographs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=len(SUBJECTS), help=f"the first so many of {len(SUBJECTS)}")
    parser.add_argument("--side", type=int, default=320, help="the longer side of the photographs, in pixels")
    parser.add_argument("--look", default="menagerie", help="what is held against paper-octave")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    report = compare(arguments.look, subjects=SUBJECTS[: arguments.photos], side=arguments.side)
    if arguments.json:
        print(json.dumps(report, indent=1))
    else:
        show(report)


def compare(look: str, *, subjects: Sequence[str], side: int) -> dict[str, Any]:
    """The figures of every look on every photograph."""
    from dream.networks import load_network
    from dream.presets import preset
    from dream.render import render

    pictures = [photograph(subject, side) for subject in subjects]
    with tempfile.TemporaryDirectory() as weights:
        network = load_network(NETWORK, weights_folder=Path(weights))
    objective = objective_of(preset("paper-octave", NETWORK), network)
    looks = {}
    for name in dict.fromkeys(["paper-multi", "paper-octave", look]):
        recipe = preset(name, NETWORK)
        dreams = render(pictures, recipe, network, on_progress=progress(name)).images
        looks[name] = {
            "operations": operations(recipe, network, pictures),
            "pictures": [figures(*pair, objective) for pair in zip(dreams, pictures, strict=True)],
        }
    return {"side": side, "subjects": list(subjects), "look": look, "looks": looks}


def figures(dream: Picture, source: Picture, objective: Callable[[Picture], float]) -> dict[str, float]:
    """The measures of one dream, and the objective on it."""
    from dream.quality import measure

    return {**measure(dream, source).to_json(), "objective": objective(dream)}


def photograph(subject: str, side: int) -> Picture:
    """uint8, its longer side at `side` pixels."""
    from PIL import Image

    (file,) = (path for path in sorted(PHOTOS.iterdir()) if path.name.startswith(subject))
    with Image.open(file) as image:
        picture = image.convert("RGB")
        factor = side / max(picture.size)
        size = (round(picture.width * factor), round(picture.height * factor))
        return np.asarray(picture.resize(size, Image.Resampling.LANCZOS))


def objective_of(recipe: Any, network: Any) -> Callable[[Picture], float]:
    """The objective of a recipe on a finished picture, uint8: the sum over its layers of their mean activations."""
    import tensorflow as tf

    layers = [term.layer for term in recipe.objective]
    activations = network.activations(layers)
    signature = [tf.TensorSpec([1, None, None, 3], tf.float32)]

    @tf.function(input_signature=signature, autograph=False)  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def value(image: Any) -> Any:
        return tf.add_n([tf.reduce_mean(activation) for activation in activations(image).values()])

    return lambda picture: float(value(picture[None].astype(np.float32) / 255))


def operations(recipe: Any, network: Any, pictures: Sequence[Picture]) -> float:
    """Floating-point operations of a look on all the pictures."""
    from dream.objectives import layers_needed, smallest_side
    from dream.schedule import plan_cost

    layers = layers_needed(recipe.objective, network)
    return plan_cost(
        [(picture.shape[0], picture.shape[1]) for picture in pictures],
        recipe,
        floor=smallest_side(recipe.objective, network),
        macs_per_pixel=max(network.layer(layer).macs_per_pixel for layer in layers),
    ).operations


def progress(name: str) -> Callable[[float], None]:
    """Tells how far a look is, where somebody watches."""

    def tell(done: float) -> None:
        if sys.stderr.isatty():
            print(f"\r{name}: {done:4.0%}", end="" if done < 1 else "\n", file=sys.stderr, flush=True)

    return tell


def show(report: dict[str, Any]) -> None:
    """The report for people."""
    looks, own = report["looks"], report["look"]
    count = len(report["subjects"])
    print(f"{count} photographs, longer side {report['side']} pixels, {NETWORK}; medians")
    line("", list(looks))
    for aspect in ASPECTS:
        medians = [statistics.median(map(aspect.value, look["pictures"])) for look in looks.values()]
        line(aspect.label, [f"{value:.3f}" for value in medians], "more" if aspect.higher_is_better else "less")
    for label, name in (("warmth (b*)", "warmth"), ("saturation (chroma)", "saturation")):
        medians = [statistics.median(row[name] for row in look["pictures"]) for look in looks.values()]
        line(label, [f"{value:+.3f}" for value in medians])
    whole = looks["paper-octave"]["operations"]
    line("operations, paper-octave = 1", [f"{look['operations'] / whole:.3f}" for look in looks.values()])
    contest(looks, "paper-octave", "paper-multi")
    if own not in {"paper-octave", "paper-multi"}:
        contest(looks, own, "paper-octave")


def line(label: str, values: Sequence[str], better: str = "") -> None:
    """One line of the table."""
    print(f"{label:30}{''.join(f'{value:>14}' for value in values)}{f'   {better} is better' if better else ''}")


def contest(looks: dict[str, Any], first: str, second: str) -> None:
    """On how many photographs, and by how much, the first look is better than the second."""
    ratio = looks[second]["operations"] / looks[first]["operations"]
    times = f"1/{ratio:.1f}" if ratio > 1 else f"{1 / ratio:.1f} times"
    print(f"\n{first} against {second}, at {times} of its operations:")
    for aspect in ASPECTS:
        pairs = [
            (aspect.value(a), aspect.value(b))
            for a, b in zip(looks[first]["pictures"], looks[second]["pictures"], strict=True)
        ]
        better = sum(a > b if aspect.higher_is_better else a < b for a, b in pairs)
        ratios = [a / b for a, b in pairs if b]
        verdict = "better" if better == len(pairs) else "worse" if better == 0 else "mixed"
        print(
            f"  {aspect.label:30}{verdict:8}on {better:2} of {len(pairs)}   "
            f"ratio: median {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}"
        )


if __name__ == "__main__":
    main()
