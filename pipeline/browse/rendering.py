"""The template environment: escaping always on, and the few functions that templates call."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.browse import views
from pipeline.browse.media import DEFAULT_SIDE
from pipeline.provenance.sharing import web_address

_HERE = Path(__file__).parent
STATIC_FILES = {
    "gallery.css": "text/css; charset=utf-8",
    "gallery.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
Render = Callable[..., Response]


def read_static() -> dict[str, bytes]:
    """The gallery's own style, script and icon, by name."""
    return {name: (_HERE / "static" / name).read_bytes() for name in STATIC_FILES}


def make_renderer(title: str, static: dict[str, bytes]) -> Render:
    """A function from a template's name, its values and `status_code` to the answer.

    title: Of the gallery, shown on every page.
    """
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    digests = {name: hashlib.sha256(data).hexdigest()[:12] for name, data in static.items()}
    environment.globals.update(
        gallery_title=title,
        static_url=lambda name: f"/static/{name}?v={digests[name]}",
        thumb_url=_thumb_url,
        fitted=views.fitted,
        ratio_class=views.ratio_class,
    )
    environment.filters.update(
        web=web_address,
        address=views.address_text,
        number=views.number_text,
        count=views.count_text,
        filesize=views.bytes_text,
        moment=views.moment_text,
        duration=views.seconds_text,
        license=views.license_label,
        reason=views.reason_text,
        indented=_indented,
    )

    def render(template: str, *, status_code: int = 200, **values: Any) -> Response:
        page = environment.get_template(template).render(**values)
        # Runs and dreams arrive at any time: ask again, but let the browser keep the page for Back.
        return HTMLResponse(page, status_code=status_code, headers={"Cache-Control": "no-cache"})

    return render


def _thumb_url(sha256: str, side: int = DEFAULT_SIDE) -> str:
    return f"/media/thumb/{sha256}?side={side}"


def _indented(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
