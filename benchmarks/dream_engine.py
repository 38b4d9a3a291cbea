"""Our dream engine against the loops that people copy, at one recipe, on photographs of mixed sizes.

    python benchmarks/dream_engine.py [--photos 12] [--steps 8] [--rounds 3] [--growth] [--large] [--json]

Every contender is a process of its own with its own settings, and the pictures go round: one for this, the same for
the next. The network is InceptionV3 up to mixed5 with random weights, which decide neither time nor comparability.

- eager:         a GradientTape in plain Python (how the paper's experiments ran)
- keras:         the Keras example: a compiled step, called from Python, retraced for every size
- tutorial:      the TensorFlow tutorial: a compiled loop over pictures of any size, TensorFlow's own settings
- tutorial, oneDNN / no oneDNN: the same with the oneDNN kernels on or off, of which TensorFlow chooses by the processor
- torch:         a plain PyTorch loop with channels-last, where torch is installed
- ours:          dream.batches, profile exact
- ours fast:     dream.batches, profile fast

Before anything is timed, one step's gradient of ours is held against a tape on the Keras model (cosine), and after it
the final objectives. Seconds are those of the step loop and what surrounds it, without loading the network.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = ROOT / "crawler" / "sample_site" / "photos"
SOURCES = [str(ROOT), str(ROOT / "benchmarks"), *filter(None, [os.environ.get("PYTHONPATH")])]
STEP_SIZE = 0.01
# The longer side of every picture, as `dream --max-side` would make them: mostly one shape, some tall, some odd.
SIDE = 320

ENVIRONMENTS: dict[str, dict[str, str]] = {
    "eager": {},
    "keras": {},
    "tutorial": {},
    "tutorial, oneDNN": {"TF_ENABLE_ONEDNN_OPTS": "1"},
    "tutorial, no oneDNN": {"TF_ENABLE_ONEDNN_OPTS": "0"},
    "torch": {},
    "ours": {},
    "ours fast": {},
}


def main() -> None:
    """Run the contenders side by side and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=12)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="names of contenders, with commas")
    parser.add_argument("--growth", action="store_true", help="also: growth over picture size and number of pictures")
    parser.add_argument("--large", action="store_true", help="also: memory for a picture of 6000 x 4000 pixels")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        serve(arguments.worker)
        return
    names = arguments.only.split(",") if arguments.only else list(ENVIRONMENTS)
    report = compare(names, photos=arguments.photos, steps=arguments.steps, rounds=arguments.rounds)
    if not arguments.json:
        show(report)
    if arguments.growth:
        report["growth"] = growth(steps=arguments.steps)
        if not arguments.json:
            print(*report["growth"]["lines"], sep="\n", flush=True)
    if arguments.large:
        report["large"] = large()
        if not arguments.json:
            show_large(report["large"])
    if arguments.json:
        print(json.dumps(report, indent=1))


def compare(names: list[str], *, photos: int, steps: int, rounds: int) -> dict[str, Any]:
    """Every contender on every picture, in turn."""
    workers = {name: Worker(name) for name in names}
    try:
        ready = {name: worker.ask({"do": "start", "photos": photos}) for name, worker in workers.items()}
        workers = {name: worker for name, worker in workers.items() if ready[name].get("ready")}
        rate, samples = [], {name: [] for name in workers}
        first: dict[str, float] = {name: ready[name]["first_picture_seconds"] for name in workers}
        check = workers["ours"].ask({"do": "check"}) if "ours" in workers else {}
        for _ in range(rounds):
            for name, worker in workers.items():
                rate.append(matrix_product_rate())
                samples[name].append(worker.ask({"do": "run", "steps": steps}))
        loops = step_loops(workers["ours"], rounds=rounds) if "ours" in workers else {}
        operations = ready["ours"]["operations_per_step"] if "ours" in workers else None
        return {
            "photos": photos,
            "steps": steps,
            "rounds": rounds,
            "cpus": os.cpu_count(),
            "matrix_product_gflops": statistics.median(rate),
            "gradient_cosine": check.get("cosine"),
            "operations_per_step": operations,
            "step_loops": loops,
            "contenders": {name: summary(samples[name], first[name], photos) for name in workers},
            "left_out": {name: answer["why"] for name, answer in ready.items() if not answer.get("ready")},
        }
    finally:
        for worker in workers.values():
            worker.close()


def step_loops(worker: Worker, *, rounds: int) -> dict[str, Any]:
    """Our step loop alone, against a matrix product before and after each: GFLOP/s, and the median of the ratios."""
    ways = {
        "a single picture": (1, 1),
        "pictures two by two, side by side": (1, 2),
        "four in one call": (4, 1),
        "four, two calls of two side by side": (2, 2),
    }
    found: dict[str, Any] = {}
    for name, (batch, beside) in ways.items():
        rates, ratios = [], []
        before = matrix_product_rate()
        for _ in range(rounds + 2):
            rate = worker.ask({"do": "loop", "batch": batch, "beside": beside})["gflops"]
            after = matrix_product_rate()
            rates.append(rate)
            ratios.append(2 * rate / (before + after))
            before = after
        found[name] = {"gflops": statistics.median(rates), "of_matrix_product": statistics.median(ratios)}
    return found


def summary(samples: list[dict[str, Any]], first: float, photos: int) -> dict[str, Any]:
    """The medians of one contender's rounds."""
    return {
        "seconds_per_picture": statistics.median(sample["wall"] for sample in samples) / photos,
        "cpu_seconds_per_picture": statistics.median(sample["cpu"] for sample in samples) / photos,
        "objectives": samples[-1]["objectives"],
        "first_picture_seconds": first,
        "peak_mib": max(sample["peak_mib"] for sample in samples),
    }


def show(report: dict[str, Any]) -> None:
    """The report for people."""
    gemm = report["matrix_product_gflops"]
    per_picture = (report["operations_per_step"] or 0) * report["steps"] / report["photos"]
    print(
        f"{report['photos']} photographs of mixed sizes, {report['steps']} steps each, {report['cpus']} processors, "
        f"InceptionV3 to mixed3 and mixed5, median of {report['rounds']} rounds"
    )
    print(f"float32 matrix product in the same run: {gemm:.0f} GFLOP/s")
    if report["gradient_cosine"] is not None:
        print(f"one step's gradient, ours against a tape on the Keras model: cosine {report['gradient_cosine']:.7f}")
    for way, loop in report["step_loops"].items():
        print(
            f"our step loop, {way}: {loop['gflops']:.0f} GFLOP/s, {loop['of_matrix_product']:.0%} of the matrix product"
        )
    ours = report["contenders"].get("ours")
    heads = ("s/picture", "CPU s", "GFLOP/s", "of matmul", "peak MiB", "first s")
    print(f"{'':20}{''.join(f'{head:>11}' for head in heads)}  CPU, ours = 1")
    for name, row in report["contenders"].items():
        gflops = per_picture / row["seconds_per_picture"] / 1e9
        ratio = row["cpu_seconds_per_picture"] / ours["cpu_seconds_per_picture"] if ours else float("nan")
        fast = report["contenders"].get("ours fast")
        over_fast = (
            f", fast = 1: {row['cpu_seconds_per_picture'] / fast['cpu_seconds_per_picture']:.2f}" if fast else ""
        )
        print(
            f"{name:20}{row['seconds_per_picture']:11.3f}{row['cpu_seconds_per_picture']:11.3f}{gflops:11.1f}"
            f"{gflops / gemm:11.0%}{row['peak_mib']:11.0f}{row['first_picture_seconds']:11.1f}  {ratio:.2f}{over_fast}"
        )
    if report["operations_per_step"]:
        # What no loop of these convolutions can pass: every operation at the rate of the product, and nothing beside.
        least = per_picture / (gemm / report["cpus"]) / 1e9
        ratios = ", ".join(
            f"{name} {row['cpu_seconds_per_picture'] / least:.2f}" for name, row in report["contenders"].items()
        )
        print(f"at the full rate of the matrix product a picture would take {least:.3f} CPU s; in these: {ratios}")
    if ours:
        reference = np.array(ours["objectives"])
        for name, row in report["contenders"].items():
            if name == "ours":
                continue
            off = np.abs(np.array(row["objectives"]) / reference - 1).max()
            print(f"final objective, {name} against ours: at most {off:.2%} apart")
    for name, why in report["left_out"].items():
        print(f"{name}: left out, {why}")
    sys.stdout.flush()


def show_large(large: dict[str, Any]) -> None:
    """What the large picture took."""
    print(
        f"6000x4000, {large['look']} with one step an octave, {large['tiles']} tiles in the largest: "
        f"peak {large['peak_gib']:.2f} GiB, {large['seconds']:.0f} s"
    )


def matrix_product_rate(side: int = 1536) -> float:
    """GFLOP/s of a float32 matrix product by NumPy's BLAS, on all processors: the best of a few."""
    generator = np.random.Generator(np.random.PCG64(0))
    a, b = (generator.random((side, side), dtype=np.float32) for _ in range(2))
    best = float("inf")
    for _ in range(4):
        started = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - started)
    return float(2 * side**3 / best / 1e9)


def growth(*, steps: int) -> dict[str, Any]:
    """How cost grows with pixels and with pictures: exponents of a power law, which is 1 where it is linear."""
    worker = Worker("ours")
    try:
        worker.ask({"do": "start", "photos": 1})
        sizes = [(192, 256), (384, 512), (768, 1024), (1536, 2048)]
        by_size = [worker.ask({"do": "size", "size": size, "steps": max(2, steps // 2)})["cpu"] for size in sizes]
        counts = [2, 4, 8, 16]
        by_count = [worker.ask({"do": "count", "count": count, "steps": steps})["cpu"] for count in counts]
    finally:
        worker.close()
    pixels = [height * width for height, width in sizes]
    size_exponent = exponent(pixels, by_size)
    count_exponent = exponent(counts, by_count)
    return {
        "size_exponent": size_exponent,
        "count_exponent": count_exponent,
        "lines": [
            *(
                f"{w}x{h}: {cpu:.2f} CPU s, {cpu / (h * w) * 1e6:.2f} per megapixel"
                for (h, w), cpu in zip(sizes, by_size, strict=True)
            ),
            f"growth over pixels: exponent {size_exponent:.3f}",
            *(
                f"{count} pictures: {cpu:.2f} CPU s, {cpu / count:.2f} each"
                for count, cpu in zip(counts, by_count, strict=True)
            ),
            f"growth over pictures: exponent {count_exponent:.3f}",
        ],
    }


def large() -> dict[str, Any]:
    """The memory that our default look takes on 24 megapixels, in a process of its own."""
    worker = Worker("large")
    try:
        return worker.ask({"do": "start", "photos": 1})
    finally:
        worker.close()


def exponent(sizes: list[int], costs: list[float]) -> float:
    """The slope of log cost over log size, by least squares."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


class Worker:
    """A contender in a process of its own; asked and answering in lines of JSON."""

    def __init__(self, name: str) -> None:
        settings = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), "--worker", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if not os.environ.get("BENCH_DEBUG") else None,
            text=True,
            cwd=ROOT,
            env=settings
            | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": os.pathsep.join(SOURCES)}
            | ENVIRONMENTS.get(name, {}),
        )

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """One question, one answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(question), file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise RuntimeError(f"a contender ended with {self._process.wait()}; BENCH_DEBUG=1 shows why")

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()


def serve(name: str) -> None:
    """The contender `name`, answering until its input ends."""
    contender: Any = None
    for line in sys.stdin:
        question = json.loads(line)
        if question["do"] == "start":
            contender, answer = start(name, question["photos"])
        else:
            answer = contender.check() if question["do"] == "check" else work(contender, question)
        print(json.dumps(answer), flush=True)


def start(name: str, photos: int) -> tuple[Any, dict[str, Any]]:
    """The contender, ready, and what it says about that."""
    if name == "large":
        return None, dream_large()
    try:
        contender = Ours(name, photos) if name.startswith("ours") else Peer(name, photos)
    except ImportError as error:
        return None, {"ready": False, "why": str(error)}
    return contender, {"ready": True, **contender.first()}


def work(contender: Any, question: dict[str, Any]) -> dict[str, Any]:
    """A timed run over the contender's pictures, or over one of another size, or over many alike."""
    pictures = contender.pictures
    if question["do"] == "loop":
        return {"gflops": contender.loop(question["batch"], beside=question["beside"])}
    if question["do"] == "size":
        pictures = [enlarged(pictures[0], question["size"])]
        contender.run(pictures, 1)
    elif question["do"] == "count":
        pictures = pictures[:1] * question["count"]
    return timed(contender, lambda: contender.run(pictures, question["steps"]))


def timed(contender: Any, run: Any) -> dict[str, Any]:
    """Wall and CPU seconds of a run, what it gave, and the most memory the process ever had."""
    wall, cpu = time.perf_counter(), time.process_time()
    finals = run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "wall": wall,
        "cpu": cpu,
        "objectives": contender.objectives(finals),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def photographs(count: int) -> list[np.ndarray]:
    """uint8 pictures from all over the collection, each in its own shape."""
    from PIL import Image

    files = sorted(path for path in PHOTOS.iterdir() if path.suffix in {".webp", ".jpg", ".png"})
    pictures = []
    for index in range(count):
        with Image.open(files[index * len(files) // count % len(files)]) as image:
            picture = image.convert("RGB")
            factor = SIDE / max(picture.size)
            size = (round(picture.width * factor), round(picture.height * factor))
            pictures.append(np.asarray(picture.resize(size, Image.Resampling.LANCZOS)))
    return pictures


def enlarged(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture at another (height, width)."""
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize((size[1], size[0]), Image.Resampling.BICUBIC))


def dream_large() -> dict[str, Any]:
    """Our default look on 6000 x 4000 pixels, with one step in each octave: memory is the same for more of them."""
    import tempfile

    from dream.networks import load_network
    from dream.presets import DEFAULT_PRESET, preset
    from dream.render import render

    with tempfile.TemporaryDirectory() as weights:
        network = load_network("efficientnet_lite0", weights_folder=Path(weights))
    recipe = preset(DEFAULT_PRESET, "efficientnet_lite0").with_changes(steps=1, final_steps=1)
    picture = enlarged(photographs(1)[0], (4000, 6000))
    started = time.perf_counter()
    (facts,) = render([picture], recipe, network).facts
    return {
        "look": DEFAULT_PRESET,
        "tiles": (facts["tiles"][-1] or {"count": 1})["count"],
        "seconds": time.perf_counter() - started,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


class Peer:
    """One of the published loops."""

    def __init__(self, name: str, photos: int) -> None:
        import peers

        self._started = time.perf_counter()
        self._peers = peers
        self.pictures = photographs(photos)
        if name == "torch":
            import torch  # noqa: F401  # says at once where it is not installed
        make = {"eager": peers.eager, "keras": peers.keras_example, "torch": peers.torch_loop}
        self._model = peers.inception()
        self._climb = make.get(name, peers.tutorial)(self._model)

    def first(self) -> dict[str, Any]:
        """Seconds from nothing to the first picture, loading included."""
        self.run(self.pictures[:1], 1)
        seconds = time.perf_counter() - self._started
        self.run(self.pictures, 1)  # traces of every size, where a contender makes some
        return {"first_picture_seconds": seconds}

    def run(self, pictures: list[np.ndarray], steps: int) -> list[np.ndarray]:
        """The pictures after the steps, uint8."""
        return [self._dream(picture, steps) for picture in pictures]

    def _dream(self, picture: np.ndarray, steps: int) -> np.ndarray:
        dreamt = self._climb(picture.astype(np.float32) / 127.5 - 1, steps, STEP_SIZE)
        return np.rint((dreamt + 1) * 127.5).astype(np.uint8)

    def objectives(self, pictures: list[np.ndarray]) -> list[float]:
        """The objective on each picture."""
        found: list[float] = self._peers.objectives(self._model, pictures)
        return found


class Ours:
    """Our engine, through the door that the pipeline uses."""

    def __init__(self, name: str, photos: int) -> None:
        self._started = time.perf_counter()
        from dream.runtime import configure

        configure()
        import peers

        from dream.networks.cards import network_card
        from dream.networks.inception_v3 import canonical_names
        from dream.networks.keras_body import keras_network

        self.pictures = photographs(photos)
        self._profile = "fast" if name.endswith("fast") else "exact"
        self._model = peers.inception()
        self._network = keras_network(network_card("inception_v3"), self._model, canonical_names(self._model))
        self._peers = peers

    def first(self) -> dict[str, Any]:
        """Seconds from nothing to the first picture, loading and compiling included."""
        self.run(self.pictures[:1], 1)
        seconds = time.perf_counter() - self._started
        self.run(self.pictures, 1)
        sizes = [picture.shape[:2] for picture in self.pictures]
        counted = {size: self._peers.operations(*size) for size in set(sizes)}
        return {"first_picture_seconds": seconds, "operations_per_step": float(sum(counted[size] for size in sizes))}

    def check(self) -> dict[str, Any]:
        """The cosine between one step of ours, undone, and the gradient of a tape on the Keras model."""
        from dream.ascent import compile_ascent

        picture = self.pictures[0].astype(np.float32)[None] / 255
        recipe = self._recipe(1).with_changes(clip="end")
        climb = compile_ascent(self._network, recipe, recipe.objective).climb(picture, np.zeros((1, 2), np.int32))
        step = (climb.images.numpy() - picture)[0].astype(np.float64)
        expected = self._peers.gradient(self._model, picture[0] * 2 - 1).astype(np.float64)
        return {"cosine": float(np.sum(step * expected) / np.linalg.norm(step) / np.linalg.norm(expected))}

    def loop(self, batch: int, *, beside: int, steps: int = 8) -> float:
        """GFLOP/s of the compiled loop alone, over pictures of 320 x 240: so many in a call, so many calls at once."""
        from dream.ascent import compile_ascent

        picture = enlarged(self.pictures[0], (240, 320)).astype(np.float32)[None] / 255
        images, recipe = np.repeat(picture, batch, axis=0), self._recipe(steps)
        ascent = compile_ascent(self._network, recipe, recipe.objective)
        ascent.climb(images, np.zeros((1, 2), np.int32))
        turns = 4 // batch  # of each caller, so that those that begin together count for little
        operations = float(self._peers.operations(240, 320)) * batch * steps * turns * beside

        def climb() -> None:
            for _ in range(turns):
                ascent.climb(images, np.zeros((steps, 2), np.int32))

        started = time.perf_counter()
        with ThreadPoolExecutor(beside) as callers:
            for call in [callers.submit(climb) for _ in range(beside)]:
                call.result()
        return operations / (time.perf_counter() - started) / 1e9

    def run(self, pictures: list[np.ndarray], steps: int) -> list[np.ndarray]:
        """The pictures after the steps, uint8."""
        from dream.batches import Request, render_all

        requests = [
            Request(str(index), (picture.shape[0], picture.shape[1]), lambda picture=picture: picture)
            for index, picture in enumerate(pictures)
        ]
        found: dict[str, np.ndarray] = {}
        for outcome in render_all(requests, self._recipe(steps), self._network, profile=self._profile):
            if outcome.error is not None:
                raise outcome.error
            found[outcome.key] = outcome.image
        return [found[request.key] for request in requests]

    def objectives(self, pictures: list[np.ndarray]) -> list[float]:
        """The objective on each picture."""
        found: list[float] = self._peers.objectives(self._model, pictures)
        return found

    def _recipe(self, steps: int) -> Any:
        from dream.recipes import Clip, ExponentOctaves, Normalization, Recipe, Reduction, ValueRange
        from dream.terms import LayerTerm

        return Recipe(
            objective=tuple(LayerTerm(layer=name, reduction=Reduction.MEAN) for name in self._peers.LAYERS),
            octaves=ExponentOctaves(scale=1.3, exponents=(0,)),
            steps=steps,
            step_size=STEP_SIZE,
            value_range=ValueRange.SYMMETRIC,
            normalization=Normalization.STD,
            clip=Clip.STEP,
        )


if __name__ == "__main__":
    main()
