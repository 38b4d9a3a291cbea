"""The way of finds into the inbox: in a thread, as many at once as have come, so that the disk is waited for less."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from crawler.pictures.finds import Find

MOST_AT_ONCE = 32


class InboxSink:
    """Writes finds in the order in which they came.

    Once something could not be written, nothing more is: the crawl ends, and what is left counts as never found.
    """

    def __init__(self, write: Callable[[Sequence[Find]], None], *, on_unusable: Callable[[Exception], None]) -> None:
        """Finds go to `write`, which is called in a thread; what it raises, as for a full disk, to `on_unusable`."""
        self._write = write
        self._on_unusable = on_unusable
        self._waiting: list[tuple[Find, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._is_broken = False

    async def put(self, find: Find) -> None:
        """Gives back once the find is safely on disk, or cannot be."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((find, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        await done

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                try:
                    if not self._is_broken:
                        await asyncio.to_thread(self._write, [find for find, _ in batch])
                except Exception as error:  # noqa: BLE001  # whatever it was: those who wait must be told
                    self._is_broken = True
                    self._on_unusable(error)
                finally:
                    for _, done in batch:
                        if not done.done():
                            done.set_result(None)
        finally:
            self._writer = None
