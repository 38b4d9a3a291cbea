"""What the worker processes of `pipeline.ingest.examining` run; imported there only, with all that it will need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

# Loaded now, while no memory limit holds and no picture waits: Pillow loads them when it first needs them.
from PIL import GifImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin  # noqa: F401

from pipeline.errors import ImageRejected
from pipeline.images import ImageLimits
from pipeline.ingest.validation import examine


def run(options: Mapping[str, Any], data: bytes) -> dict[str, Any]:
    """Examine one picture.

    options: The fields of `ImageLimits`.
    Gives the fields of `Examined`, bytes in hexadecimal; or `{"rejected": reason, "detail": ...}`.
    """
    try:
        examined = examine(data, ImageLimits(**options))
    except ImageRejected as error:
        return {"rejected": error.reason.value, "detail": error.detail}
    values = asdict(examined)
    values["signature"] = {name: None if value is None else value.hex() for name, value in values["signature"].items()}
    return values
