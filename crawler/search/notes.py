"""Who is told how a search goes."""

from __future__ import annotations

from typing import Protocol


class Notes(Protocol):
    """What a search tells beside its steps."""

    def page_read(self, host: str) -> None:
        """One page, or answer of an API, was read."""

    def page_failed(self, line: str) -> None:
        """One page could not be read."""

    def start_failed(self, line: str) -> None:
        """The start page, or an API's first answer, could not be read."""

    def warn(self, line: str) -> None:
        """A line for the user."""
