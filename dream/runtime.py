"""TensorFlow made ready for repeatable dreams, and what a replay must know of the machine."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dream.errors import DreamError


@lru_cache(maxsize=1)
def configure() -> None:
    """Settles TensorFlow for this process, once: deterministic operations, float32 throughout, GPU memory as needed.

    Called by whatever needs TensorFlow here, before anything else does. The oneDNN kernels are on unless
    TF_ENABLE_ONEDNN_OPTS says otherwise: TensorFlow's own choice depends on the processor, and with it the pixels;
    for the small networks that dreams like, they are two to three times as fast.

    Raises:
        DreamError: Keras already runs on another backend than TensorFlow.
    """
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if "tensorflow" not in sys.modules:
        # TensorFlow reads these once, when it loads.
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if not _wants_messages():
        # Each look of a sheet is compiled anew, of which TensorFlow warns as of a loop gone wrong.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
    # TensorFlow brings a SQLite of its own, without FTS5, which Python's module would take if it were loaded later.
    import sqlite3  # noqa: F401

    with _native_messages_dropped():
        import keras
        import tensorflow as tf

        # Looks for devices, which reports a machine without a GPU as an error.
        gpus = tf.config.list_physical_devices("GPU")
    if keras.backend.backend() != "tensorflow":
        raise DreamError(
            f"Keras runs on {keras.backend.backend()}, dreams need TensorFlow; set KERAS_BACKEND=tensorflow"
        )
    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    for gpu in gpus:
        try:
            tf.config.experimental.set_memory_growth(gpu, True)  # the function's own signature
        except RuntimeError:
            # The program that dream is part of has used the GPU already, and keeps the memory policy it chose.
            continue


@contextlib.contextmanager
def _native_messages_dropped() -> Iterator[None]:
    """Sends what native code writes to standard error nowhere.

    On every start TensorFlow's libraries write, before any log level counts, that there is no GPU. Errors of the
    import itself are exceptions, and come through. TF_CPP_MIN_LOG_LEVEL below 2 asks to see everything.
    """
    if _wants_messages():
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _wants_messages() -> bool:
    return os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3") in {"0", "1"}


def environment() -> dict[str, Any]:
    """Versions, device and switches that can change a pixel, as JSON values."""
    configure()
    import keras
    import numpy as np
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return {
        "device": tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU") if gpus else "CPU",
        "machine": platform.machine(),
        "cpu": _cpu_name(),
        "dtype": "float32",
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
            "dream": _own_version(),
        },
        "platform": sys.platform,
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        "deterministic": True,
        "tensor_float_32": bool(tf.config.experimental.tensor_float_32_execution_enabled()),
        "threads": {
            "intra_op": tf.config.threading.get_intra_op_parallelism_threads(),
            "inter_op": tf.config.threading.get_inter_op_parallelism_threads(),
            "cpus": os.cpu_count(),
        },
    }


def _cpu_name() -> str:
    """The processor's model name where the system tells it, else its kind."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _own_version() -> str:
    try:
        return version("dreamcrawl")
    except PackageNotFoundError:
        return "unknown"
