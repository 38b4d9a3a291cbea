"""What cannot be written is told, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from crawler.pictures.inbox_sink import MOST_AT_ONCE, InboxSink
from pipeline.errors import PipelineError, WorkspaceUnusable


@pytest.mark.parametrize("error", [WorkspaceUnusable("full"), PipelineError("other"), ValueError("a fault of ours")])
def test_whatever_a_write_raises_is_told_once_and_all_who_wait_go_on(error: Exception) -> None:
    written: list[list[Any]] = []
    told: list[Exception] = []

    def write(finds: Sequence[Any]) -> None:
        if written:
            raise error
        written.append(list(finds))

    async def crawl() -> None:
        sink = InboxSink(write, on_unusable=told.append)
        finds: list[Any] = list(range(3 * MOST_AT_ONCE))
        await asyncio.wait_for(asyncio.gather(*map(sink.put, finds)), 30)
        await asyncio.wait_for(sink.put(finds[0]), 30)

    asyncio.run(crawl())

    assert written == [list(range(MOST_AT_ONCE))]
    assert told == [error]
