"""Routes of a test's web server that answer by query parameters, as APIs do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

from tests.support.web_server import Answer, Route


class ApiRoutes(dict[str, Route]):
    """Routes by path, of which some are told the query of each request to them."""

    def __init__(self, routes: Mapping[str, Route], apis: Mapping[str, Callable[[dict[str, str]], Answer]]) -> None:
        super().__init__(routes)
        self._apis = apis

    def get(self, path: str, default: Route | None = None) -> Route | None:  # type: ignore[override]  # of one kind
        """The route for a path with its query."""
        bare, _, query = path.partition("?")
        if bare in self._apis:
            return self._apis[bare](dict(parse_qsl(query)))
        return super().get(path, default)


def json_answer(body: bytes, **changes: object) -> Answer:
    """JSON, as bytes already."""
    return Answer(body, content_type="application/json", **changes)  # type: ignore[arg-type]  # a test's shorthand
