"""The pages: each reads, turns what was read into views, and fills a template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from pipeline.browse import readers, views
from pipeline.browse.rendering import Render
from pipeline.browse.state import View, read_reason, read_view
from pipeline.catalog.engine import Catalog
from pipeline.duplicates.similar import SimilarSearch
from pipeline.provenance import attribution
from pipeline.provenance.permission import Permission, part_of, permission_on_record, permission_to_dream
from pipeline.provenance.sharing import sharing_of
from pipeline.public_ids import parse_id

_METHODS = ["GET", "HEAD"]
# The large picture of an item's page, in CSS pixels.
_STAGE_WIDTH, _STAGE_HEIGHT = 1120, 720
_MOST_ENLARGED = 2.5


class Pages:
    """The pages of one catalog's gallery."""

    def __init__(self, catalog: Catalog, render: Render, search: SimilarSearch | None = None) -> None:
        self._catalog = catalog
        self._render = render
        self._search = search

    def router(self) -> APIRouter:
        """The routes of every page."""
        router = APIRouter()
        router.add_api_route("/", self.gallery, methods=_METHODS)
        router.add_api_route("/items/{item_id}", self.item, methods=_METHODS)
        router.add_api_route("/dreams/{dream_id}", self.dream, methods=_METHODS)
        router.add_api_route("/duplicates", self.duplicates, methods=_METHODS)
        router.add_api_route("/runs", self.runs, methods=_METHODS)
        router.add_api_route("/runs/{run_id}", self.run, methods=_METHODS)
        return router

    def gallery(self, request: Request) -> Response:
        """The grid of pictures."""
        view = read_view(request.query_params)
        read = readers.read_gallery(self._catalog, view)
        page = read.page
        return self._render(
            "gallery.html",
            view=view,
            page=page,
            facets=read.facets,
            range=views.range_text(page),
            menus=views.menus(view, read.facets),
            sort_menu=views.sort_menu(view),
            chips=views.chips(view),
            clear_url=View(sort=view.sort, per_page=view.per_page).url(),
            first_url=view.at().url() if view.after or view.before else None,
            previous_url=view.at(before=page.previous).url() if page.previous else None,
            next_url=view.at(after=page.next).url() if page.next else None,
            near_url=view.with_filter(near_duplicates=not view.wanted.near_duplicates).url(),
        )

    def item(self, request: Request, item_id: str) -> Response:
        """One picture and its dreams."""
        view = read_view(request.query_params)
        asked = request.query_params.get("dream", "")
        chosen = parse_id(asked, "d") if asked else None
        read = readers.read_item(self._catalog, parse_id(item_id, "i"), view, dream_id=chosen, search=self._search)
        item, dream = read.item, read.shown
        frame = dream or item
        license_ = attribution.license_of(item)
        around = view.at()
        return self._render(
            "item.html",
            view=view,
            read=read,
            item=item,
            dream=dream,
            stage=views.staged(
                frame.width,
                frame.height,
                most_width=_STAGE_WIDTH,
                most_height=_STAGE_HEIGHT,
                most_enlarged=_MOST_ENLARGED,
            ),
            alt=_alt(read),
            license=license_,
            license_url=attribution.license_address(item),
            permissions=attribution.permissions(license_),
            credit=attribution.credit_original(item, read.sightings),
            sharing=_sharing(read),
            responsibility=attribution.responsibility_of(dream) if dream else None,
            may_dream=isinstance(permission_to_dream([part_of(item, read.sightings)]), Permission),
            dream_credit=attribution.credit_dream(item, read.sightings, dream) if dream else None,
            recipe_rows=views.flat_rows(dream.recipe) if dream else (),
            manifest=dream.manifest if dream else None,
            octaves=views.sizes_text(_told(dream.manifest, "render", "octave_sizes")) if dream else "",
            versions=_told(dream.manifest, "render", "versions") if dream else None,
            device=_told(dream.manifest, "render", "device") if dream else None,
            network_license=_told(dream.manifest, "network", "license") if dream else None,
            back_url=view.url(),
            previous_url=around.url(f"/items/i{read.previous}") if read.previous else None,
            next_url=around.url(f"/items/i{read.next}") if read.next else None,
        )

    def dream(self, dream_id: str) -> Response:
        """The picture's page, with this dream chosen."""
        dream = readers.read_dream(self._catalog, parse_id(dream_id, "d"))
        return RedirectResponse(f"/items/i{dream.item_id}?dream=d{dream.id}", status_code=302)

    def duplicates(self, request: Request) -> Response:
        """The pairs that wait for a person."""
        after = request.query_params.get("after", "")
        read = readers.read_pairs(self._catalog, after=parse_id(after, "") if after else 0)
        return self._render("duplicates.html", read=read, first=not after)

    def runs(self, request: Request) -> Response:
        """What was run."""
        before = request.query_params.get("before", "")
        read = readers.read_runs(self._catalog, before=parse_id(before, "r") if before else None)
        return self._render("runs.html", read=read, first=not before)

    def run(self, request: Request, run_id: str) -> Response:
        """One run and its funnel."""
        reason = read_reason(request.query_params)
        after = request.query_params.get("after", "")
        number = parse_id(run_id, "r")
        read = readers.read_run(self._catalog, number, reason=reason, after=parse_id(after, "") if after else None)
        warnings = read.run.counters.get("warnings", [])
        return self._render(
            "run.html",
            read=read,
            run=read.run,
            bars=views.funnel(read.run.counters, read.breakdown),
            parameters=views.flat_rows(dict(read.run.parameters)),
            warnings=[str(each) for each in warnings] if isinstance(warnings, list | tuple) else [],
            all_url=View().with_filter(run_id=number, near_duplicates=True).url(),
            view=View().with_filter(run_id=number, near_duplicates=True),
            first=not after,
        )


def _alt(read: readers.ItemRead) -> str:
    """What the picture shows, as the page it was found on says it."""
    said = next((each.alt for each in read.sightings if each.alt), None)
    return said or read.item.title or f"picture i{read.item.id}"


def _sharing(read: readers.ItemRead) -> str | None:
    """On what terms the dream may be passed on by what is known today: a licence may have been doubted since."""
    if read.shown is None:
        return None
    licenses = [attribution.license_of(read.item), *attribution.licenses_of_inputs(read.shown, read.inputs)]
    return sharing_of(*licenses, permission=permission_on_record(read.shown.manifest)).note


def _told(manifest: Mapping[str, Any], part: str, name: str) -> Any:
    """One value of a manifest; None where it has none."""
    values = manifest.get(part)
    return values.get(name) if isinstance(values, Mapping) else None
