"""The last step of the spider's finds: bytes unchanged, and their record, into the inbox."""

from __future__ import annotations

import asyncio
from typing import Any, Self

from scrapy.crawler import Crawler

from crawler.finds import Find
from crawler.session import Session
from pipeline.errors import WorkspaceUnusable


class InboxPipeline:
    """Writes each find in a thread, so that a slow disk does not hold up the network."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """For one crawl."""
        return cls(crawler)

    async def process_item(self, item: Find) -> Find:
        """Write the find; a disk that takes no more ends the crawl, which keeps what it has."""
        spider: Any = self._crawler.spider
        session: Session = spider.session
        try:
            await asyncio.to_thread(session.add, item)
        except WorkspaceUnusable as error:
            session.warn(str(error))
            engine: Any = self._crawler.engine
            # Not awaited: the engine waits for this very item before it closes.
            asyncio.get_running_loop().create_task(engine.close_spider_async(reason="disk"))
        finally:
            spider.written()
        return item
