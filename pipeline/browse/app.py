"""The gallery as a web application: pages, JSON, pictures, and answers for what goes wrong. Reads only."""

from __future__ import annotations

import logging
from http import HTTPStatus
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from pipeline.browse.api import Api
from pipeline.browse.media import Thumbnails, media_router
from pipeline.browse.pages import Pages
from pipeline.browse.rendering import STATIC_FILES, Render, make_renderer, read_static
from pipeline.browse.security import SECURITY_HEADERS, Guard
from pipeline.catalog.engine import Catalog
from pipeline.duplicates.similar import SimilarSearch
from pipeline.errors import (
    CatalogBusy,
    CatalogRefused,
    CatalogUnreachable,
    NotFound,
    PipelineError,
    UsageError,
    Withdrawn,
)
from pipeline.store import Store

_logger = logging.getLogger(__name__)


def create_app(
    *,
    catalog: Catalog,
    store: Store,
    thumbnails: Path,
    title: str = "dreamcrawl",
    host: str = "127.0.0.1",
    search: SimilarSearch | None = None,
) -> FastAPI:
    """The gallery of one catalog.

    catalog: Stays open as long as the application serves; it is only read.
    thumbnails: Folder for the thumbnail cache, made on first use.
    title: Of the gallery, such as the workspace's name.
    host: The address that the application is bound to; requests under other names are refused.
    search: Finds the similar pictures of an item's page; None to show none.
    """
    app = FastAPI(title=title, openapi_url=None, docs_url=None, redoc_url=None)
    static = read_static()
    render = make_renderer(title, static)
    app.include_router(Pages(catalog, render, search).router())
    app.include_router(Api(catalog, search).router())
    app.include_router(media_router(catalog=catalog, store=store, thumbnails=Thumbnails(thumbnails, store)))
    _add_static(app, static)
    _add_error_pages(app, render)
    app.add_middleware(Guard, host=host)
    return app


def _add_static(app: FastAPI, static: dict[str, bytes]) -> None:
    @app.api_route("/static/{name}", methods=["GET", "HEAD"])
    def static_file(name: str) -> Response:
        if name not in static:
            raise NotFound(f"there is no file {name[:80]!r}")
        # Links carry a digest of the content, so a new version has a new address.
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(static[name], media_type=STATIC_FILES[name], headers=headers)


def _add_error_pages(app: FastAPI, render: Render) -> None:
    def answer(request: Request, status: int, message: str, headers: dict[str, str] | None = None) -> Response:
        if request.url.path.startswith("/api/"):
            response: Response = JSONResponse({"error": message}, status_code=status)
        else:
            response = render("error.html", status_code=status, status=status, message=message)
        # The answer to an unexpected error does not pass through the guard.
        response.headers.update({**SECURITY_HEADERS, **(headers or {})})
        return response

    @app.exception_handler(PipelineError)
    def pipeline_error(request: Request, error: PipelineError) -> Response:
        status = _status_of(error)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _logger.warning("%s: %s", request.url.path, error)
        return answer(request, status, _sentence(str(error)))

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == HTTPStatus.NOT_FOUND:
            return answer(request, HTTPStatus.NOT_FOUND, "There is no such page.")
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            message = "The gallery only shows; nothing can be changed here. The dreamcrawl commands do that."
            return answer(request, HTTPStatus.METHOD_NOT_ALLOWED, message, {"Allow": "GET, HEAD"})
        return answer(request, error.status_code, _sentence(str(error.detail)))

    @app.exception_handler(RequestValidationError)
    def validation_error(request: Request, _error: RequestValidationError) -> Response:
        return answer(request, HTTPStatus.BAD_REQUEST, "A value in the address is not of the right kind.")

    @app.exception_handler(Exception)
    def unexpected(request: Request, _error: Exception) -> Response:
        # The traceback goes to the log of whoever runs the server, never onto the page.
        message = "Something went wrong in the gallery itself; its log says what."
        return answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, message)


def _status_of(error: PipelineError) -> HTTPStatus:
    if isinstance(error, Withdrawn):
        return HTTPStatus.GONE
    if isinstance(error, NotFound):
        return HTTPStatus.NOT_FOUND
    if isinstance(error, UsageError | CatalogRefused):
        return HTTPStatus.BAD_REQUEST
    if isinstance(error, CatalogBusy | CatalogUnreachable):
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.INTERNAL_SERVER_ERROR


def _sentence(text: str) -> str:
    text = text.strip().removesuffix(".")
    return f"{text[:1].upper()}{text[1:]}."
