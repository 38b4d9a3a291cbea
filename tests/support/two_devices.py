"""Run by itself: splits the processor into two TensorFlow devices, dreams in several ways, and prints what came of it.

TensorFlow takes its devices once for a process, so a test cannot do this in its own.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from typing import Any

import pytest

from dream.runtime import configure
from tests.support.dreaming import dream_all, pictures_of, requests_of, set_off, small_recipe
from tests.support.tiny_network import tiny_network

DEVICES = ["/CPU:0", "/CPU:1"]
SIZES = [(40, 56), (31, 64), (40, 56), (24, 24), (56, 40), (31, 64), (48, 48), (33, 35), (40, 56), (64, 31)]


def outcomes_of(tiny: Any, sizes: list[tuple[int, int]] = SIZES, **options: Any) -> dict[str, Any]:
    """For each picture its digest and device, or its error."""
    outcomes = dream_all(pictures_of(*sizes), small_recipe(), tiny, **options)
    return {
        key: {
            "digest": outcome.image is not None and hashlib.sha256(outcome.image.tobytes()).hexdigest(),
            "device": outcome.facts and outcome.facts["device_name"],
            "batch": outcome.facts and outcome.facts["batch"],
            "error": outcome.error and f"{type(outcome.error).__name__}: {outcome.error}",
        }
        for key, outcome in sorted(outcomes.items())
    }


def fails_on(broken: dict[str, int], error: Exception, calls: dict[str, int], *, after_seconds: float = 0) -> Any:
    """A fault of the devices named, after so many calls of the compiled loop on each; they may take long to fail."""
    lock = threading.Lock()

    def fault(_images: Any, _pixels: int, device: str | None) -> None:
        name = str(device)[-5:]
        with lock:
            calls[name] = calls.get(name, 0) + 1
            gone = name in broken and calls[name] > broken[name]
        if gone:
            time.sleep(after_seconds)
            raise error
        # As long as a step of a large picture, so that both devices get their turn.
        time.sleep(0.01)

    return fault


def with_fault(fault: Any, run: Any) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        set_off(patch, fault)
        return run()


def stopped_by_the_listener(tiny: Any) -> dict[str, Any]:
    class Enough(Exception):
        pass

    def listen(progress: Any) -> None:
        if progress.done > 0.2:
            raise Enough

    try:
        outcomes_of(tiny, devices=DEVICES, on_progress=listen)
    except Enough:
        return {"raised": True, "threads": working()}
    return {"raised": False, "threads": working()}


def closed_while_results_wait(tiny: Any) -> dict[str, Any]:
    from dream.batches import render_all

    outcomes = render_all(requests_of(pictures_of(*[(16, 16)] * 40)), small_recipe(steps=1), tiny, devices=DEVICES)
    first = next(outcomes)
    time.sleep(1.0)
    outcomes.close()
    return {"first": first.error is None, "threads": working()}


def unlike(tiny: Any) -> dict[str, Any]:
    """The second device climbs with four pictures at once, the first with one."""
    from dream.profiles import Variant

    def choose(_recipe: Any, _objective: Any, _network: Any, device: str) -> Variant:
        return Variant(batch=4 if device.endswith("1") else 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dream.batches.choose_variant", choose)
        set_off(patch, lambda *_: time.sleep(0.01))
        return outcomes_of(tiny, [(40, 56)] * 16, devices=DEVICES, profile="fast")


def progress(tiny: Any) -> list[float]:
    told: list[float] = []
    outcomes_of(tiny, devices=DEVICES, on_progress=lambda one: told.append(one.done))
    return told


def working() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(("device-", "load"))]


def main() -> None:
    configure()
    import tensorflow as tf

    part = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [part, part])
    tiny = tiny_network()
    lost = tf.errors.UnavailableError(None, None, "the device is gone")
    internal = tf.errors.InternalError(None, None, "it broke")
    calls: dict[str, dict[str, int]] = {name: {} for name in ("both", "one gone", "late", "all gone")}
    found = {
        "alone": outcomes_of(tiny),
        "one": outcomes_of(tiny, devices=DEVICES[1:]),
        "both": with_fault(fails_on({}, lost, calls["both"]), lambda: outcomes_of(tiny, devices=DEVICES)),
        "one gone": with_fault(
            fails_on({"CPU:1": 4}, lost, calls["one gone"]), lambda: outcomes_of(tiny, devices=DEVICES)
        ),
        # With two pictures, the first device has long had nothing left to take when the second one's comes back.
        "late": with_fault(
            fails_on({"CPU:1": 0}, internal, calls["late"], after_seconds=1.0),
            lambda: outcomes_of(tiny, SIZES[:2], devices=DEVICES),
        ),
        "all gone": with_fault(
            fails_on({"CPU:0": 8, "CPU:1": 8}, lost, calls["all gone"]),
            lambda: outcomes_of(tiny, devices=DEVICES),
        ),
        "unlike": unlike(tiny),
        "stopped": stopped_by_the_listener(tiny),
        "closed": closed_while_results_wait(tiny),
        "progress": progress(tiny),
        "calls": calls,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
