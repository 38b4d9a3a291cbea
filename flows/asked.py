"""What a user asks a crawl for: from the command line, through a flow, into the run's row; JSON all the way."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from crawler.filters import Filters


@dataclass(frozen=True)
class Asked:
    """One crawl as asked for. Keys of APIs are no part of it: they stay in the settings.

    Attributes:
        keywords: What to collect; none takes everything that the source has.
        source: `NAME=ARGUMENT`, or `NAME` for a source that takes none; empty for `retry_failed`.
        more_sources: Further ones, in turn.
        limit: Most pictures to collect, of all sources; those of earlier runs count, unless `only_new`.
        exclusions: What must not be said of a picture.
        filters: What else a picture must be like.
        only_new: Whether `limit` counts new pictures only.
        retry_failed: Whether only what failed in earlier runs is asked for again.
        revalidate: Whether known pictures are asked for again.
    """

    keywords: tuple[str, ...] = ()
    source: str = ""
    limit: int = 50
    exclusions: tuple[str, ...] = ()
    filters: Filters = field(default_factory=Filters)
    only_new: bool = False
    retry_failed: bool = False
    revalidate: bool = False
    more_sources: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """All of them, in turn."""
        return (self.source, *self.more_sources) if self.source else ()

    def options(self) -> dict[str, Any]:
        """All but keywords, first source and limit, as JSON values; what is as usual is left out."""
        usual = Asked()
        values: dict[str, Any] = {}
        if self.more_sources:
            values["more_sources"] = list(self.more_sources)
        if self.exclusions:
            values["exclusions"] = list(self.exclusions)
        if chosen := chosen_filters(self.filters):
            values["filters"] = chosen
        for name in ("only_new", "retry_failed", "revalidate"):
            if getattr(self, name) != getattr(usual, name):
                values[name] = getattr(self, name)
        return values

    def with_options(self, options: Mapping[str, Any]) -> Self:
        """This, with what `options` gave."""
        values = {name: options[name] for name in ("only_new", "retry_failed", "revalidate") if name in options}
        chosen = {**options.get("filters", {})}
        if "formats" in chosen:
            chosen["formats"] = tuple(chosen["formats"])
        return dataclasses.replace(
            self,
            exclusions=tuple(options.get("exclusions", ())),
            filters=Filters(**chosen),
            more_sources=tuple(options.get("more_sources", ())),
            **values,
        )


def chosen_filters(filters: Filters) -> dict[str, Any]:
    """The filters that are not as usual, as JSON values."""
    usual = dataclasses.asdict(Filters())
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in dataclasses.asdict(filters).items()
        if value != usual[name]
    }
