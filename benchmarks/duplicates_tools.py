"""imagededup and PDQ for the benchmark of duplicates, in an environment of their own: what they make of a folder.

Run by path with that environment's Python it does the work; it needs nothing of ours there.
"""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

TOOLS = {"imagededup": "imagededup==0.3.3.post2", "pdq": "pdqhash==0.2.8"}
# imagededup needs PyTorch for its networks even where only its hashes are used.
_PACKAGES = {"imagededup": "imagededup.methods", "pdq": "pdqhash"}


def tools_python(folder: Path) -> tuple[Path, list[str]]:
    """The Python of an environment with the tools, made on the first call, and which of them it has."""
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print("installing imagededup and pdqhash, once: some minutes, 1 to 5 GB", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        for name, release in TOOLS.items():
            done = subprocess.run([str(python), "-m", "pip", "install", "-q", release], check=False)
            if done.returncode != 0:
                print(f"{name} cannot be installed here, and is left out", file=sys.stderr)
        (folder / "ready").touch()
    found = []
    for name, module in _PACKAGES.items():
        done = subprocess.run([str(python), "-c", f"import {module}"], capture_output=True, check=False)
        found += [name] if done.returncode == 0 else []
    return python, found


def run_tool(python: Path, task: str) -> dict[str, Any]:
    """What a tool answers to a task: `imagededup:FOLDER`, `imagededup cnn:FOLDER`, `pdq:FOLDER` or `grow:COUNT`.

    Of a folder: `values` (a row for each file, by name), `usable`, and `seconds`, CPU to sign one, decoding left out.
    Of a count: `seconds` and `cpu_seconds` that imagededup takes to find the duplicates of one new picture.

    Raises:
        RuntimeError: It failed; with the last line that it wrote.
    """
    command = [str(python), str(Path(__file__)), task]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise RuntimeError(f"{task.partition(':')[0]} is left out: {lines[-1] if lines else 'no reason given'}")
    with np.load(io.BytesIO(done.stdout)) as result:
        return {name: result[name] for name in result.files}


def main() -> None:
    """Answer a task; the arrays go to stdout."""
    name, _, argument = sys.argv[1].partition(":")
    # Libraries print; the result must be alone on stdout.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    answer = _grow(int(argument)) if name == "grow" else _sign(name, Path(argument))
    buffer = io.BytesIO()
    np.savez(buffer, **answer)
    out.write(buffer.getvalue())
    out.close()


def _sign(name: str, folder: Path) -> dict[str, Any]:
    from PIL import Image

    signer = {"imagededup": _imagededup, "imagededup cnn": _network, "pdq": _pdq}[name]()
    values, usable, seconds = [], [], 0.0
    for path in sorted(folder.iterdir()):
        rgb = np.asarray(Image.open(path).convert("RGB"))
        started = time.process_time()
        value, is_usable = signer(rgb)
        seconds += time.process_time() - started
        values.append(value)
        usable.append(is_usable)
    return {"values": np.array(values), "usable": np.array(usable), "seconds": seconds / len(values)}


def _imagededup() -> Any:
    from imagededup.methods import PHash

    method = PHash(verbose=False)
    return lambda rgb: (np.frombuffer(bytes.fromhex(method.encode_image(image_array=rgb)), np.uint8), True)


def _network() -> Any:
    from imagededup.methods import CNN

    network = CNN(verbose=False)
    return lambda rgb: (network.encode_image(image_array=rgb)[0], True)


def _pdq() -> Any:
    import pdqhash

    def sign(rgb: Any) -> tuple[Any, bool]:
        bits, quality = pdqhash.compute(rgb)
        return np.packbits(bits.astype(bool)), quality >= 50  # as its authors say

    return sign


def _grow(count: int) -> dict[str, Any]:
    from imagededup.methods import PHash

    digits = np.random.default_rng(1).bytes(8 * (count + 1)).hex()
    hashes = {f"{at}.png": digits[16 * at : 16 * at + 16] for at in range(count + 1)}
    started = time.monotonic()
    PHash(verbose=False).find_duplicates(encoding_map=hashes, max_distance_threshold=10)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "seconds": time.monotonic() - started,
        "cpu_seconds": sum(one.ru_utime + one.ru_stime for one in used),
    }


if __name__ == "__main__":
    main()
