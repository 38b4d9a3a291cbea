"""Seconds for a step of gradient ascent: ours, against two loops people copy from tutorials, on the same network.

The same picture, network, layers, normalization and step size for all three, interleaved over several rounds:

- eager:    a GradientTape round the Keras model, run step by step in Python (how the paper's experiments were run);
- compiled: the same tape inside one tf.function over all steps (how the TensorFlow DeepDream tutorial does it);
- ours:     dream.ascent.

    python benchmarks/dream_step.py [--side 384] [--steps 10] [--rounds 5]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np


def main() -> None:
    """Time the three in turn, and print the medians and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=384)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    from dream.ascent import compile_ascent
    from dream.networks import load_network
    from dream.presets import preset

    with tempfile.TemporaryDirectory() as folder:
        network = load_network("efficientnet_lite0", weights_folder=Path(folder), offline=True)
    import tensorflow as tf

    recipe = preset("paper-multi", "efficientnet_lite0")
    layers = [term.layer for term in recipe.objective]
    image = tf.constant(np.random.default_rng(0).random((1, arguments.side, arguments.side, 3), dtype=np.float32))
    outputs = [network.model.get_layer(name).output for name in layers]
    model = tf.keras.Model(network.model.inputs, outputs)
    scale, offset = network.card.input_scale, network.card.input_offset

    def tutorial_step(pixels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            activations = model(pixels * scale + offset, training=False)
            loss = tf.add_n([tf.reduce_mean(activation) for activation in activations])
        gradient = tape.gradient(loss, pixels)
        gradient /= tf.math.reduce_std(gradient) + 1e-8
        return tf.clip_by_value(pixels + gradient * 0.005, 0.0, 1.0)

    def eager() -> None:
        pixels = image
        for _ in range(arguments.steps):
            pixels = tutorial_step(pixels)
        pixels.numpy()

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3]), tf.TensorSpec([], tf.int32)])
    def compiled_loop(pixels: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
        for _ in tf.range(steps):
            pixels = tutorial_step(pixels)
        return pixels

    ascent = compile_ascent(network, recipe.objective, recipe.normalization, clip_each_step=True)
    no_shift = np.zeros((arguments.steps, 2), np.int32)

    def ours() -> None:
        ascent.climb(image, no_shift, step_size=0.005, on_steps=lambda _: None).images.numpy()

    contenders: dict[str, Callable[[], object]] = {
        "eager": eager,
        "compiled": lambda: compiled_loop(image, tf.constant(arguments.steps)).numpy(),
        "ours": ours,
    }
    print(
        f"{arguments.side}x{arguments.side}, {', '.join(layers)} of efficientnet_lite0, {arguments.steps} steps a run"
    )
    compare(contenders, rounds=arguments.rounds, steps=arguments.steps)


def compare(contenders: dict[str, Callable[[], object]], *, rounds: int, steps: int) -> None:
    """Run each in turn, several times, and print its median and its ratio to ours."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for run in contenders.values():
        run()  # tracing and first allocations are not what is compared
    for _ in range(rounds):
        for name, run in contenders.items():
            started = time.perf_counter()
            run()
            seconds[name].append((time.perf_counter() - started) / steps)
    reference = statistics.median(seconds["ours"])
    for name, samples in seconds.items():
        median = statistics.median(samples)
        print(
            f"{name:9} {median * 1000:8.1f} ms a step  (min {min(samples) * 1000:.1f}, max {max(samples) * 1000:.1f})"
            f"  {median / reference:.2f} times ours"
        )


if __name__ == "__main__":
    main()
