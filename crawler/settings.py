"""Scrapy's settings, polite and safe: each line here replaces a default that is neither.

The constants hold for any use of Scrapy in this project, `scrapy shell` included; `settings_for` adds what one crawl
decides.
"""

from __future__ import annotations

from typing import Any

from crawler.job import DEFAULT_MAX_IMAGE_BYTES, CrawlRequest
from crawler.network.addresses import AddressPolicy

MAX_PAGE_BYTES = 8 * 2**20

BOT_NAME = "dreamcrawl"
SPIDER_MODULES = ["crawler.spiders"]
NEWSPIDER_MODULE = "crawler.spiders"
USER_AGENT = "dreamcrawl/0"

# Safety. A proxy would do the resolving for us, past the address guard, so none is used.
TWISTED_DNS_RESOLVER = "crawler.network.resolver.GuardedResolver"
DOWNLOAD_HANDLERS = {
    "http": "crawler.network.connections.GuardedDownloadHandler",
    "https": "crawler.network.connections.GuardedDownloadHandler",
    "data": None,
    "file": None,
    "ftp": None,
    "s3": None,
}
DOWNLOAD_VERIFY_CERTIFICATES = True
DOWNLOAD_MAXSIZE = DEFAULT_MAX_IMAGE_BYTES
DOWNLOAD_WARNSIZE = 0
DOWNLOAD_TIMEOUT = 30
DNS_TIMEOUT = 10
COOKIES_ENABLED = False
HTTPPROXY_ENABLED = False
METAREFRESH_ENABLED = False
TELNETCONSOLE_ENABLED = False
REMOTE_CONTROL_ENABLED = False
REDIRECT_MAX_TIMES = 5

# Manners, which are `crawler.hosts.gates`'s. Scrapy's own limits stay open: a request that waits counts as active.
ROBOTSTXT_OBEY = False  # ours instead, which takes an unreadable robots.txt as closed
RETRY_ENABLED = False  # ours instead, which waits, and heeds Retry-After
CONCURRENT_REQUESTS = 1024
CONCURRENT_REQUESTS_PER_DOMAIN = 64
DOWNLOAD_DELAY = 0
DREAMCRAWL_CONCURRENCY_PER_HOST = 4
DREAMCRAWL_DELAY_SECONDS = 0.25
DREAMCRAWL_DEADLINE_SECONDS = 3600.0
CONCURRENT_ITEMS = 1  # of one response: a picture is written before the other pages that show it

DOWNLOADER_MIDDLEWARES = {
    "crawler.network.middlewares.AddressMiddleware": 50,
    "crawler.network.consent_gate.ConsentGateMiddleware": 100,
    "crawler.network.middlewares.KnownMiddleware": 150,
    "crawler.network.retries.RetryMiddleware": 550,
    # After redirects, and once bodies are unpacked: 590 is Scrapy's HttpCompressionMiddleware.
    "crawler.network.page_cache.PageCacheMiddleware": 585,
    "crawler.network.middlewares.RedirectMiddleware": 600,
    "crawler.hosts.middleware.HostMiddleware": 1000,
    "scrapy.downloadermiddlewares.offsite.OffsiteMiddleware": None,
    "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
    "scrapy.downloadermiddlewares.retry.RetryMiddleware": None,
    "scrapy.downloadermiddlewares.redirect.RedirectMiddleware": None,
    "scrapy.downloadermiddlewares.httpauth.HttpAuthMiddleware": None,
}
EXTENSIONS = {"crawler.pictures.early_abort.EarlyAbort": 500}

# Order: pages in the order found, not the last first.
SCHEDULER_MEMORY_QUEUE = "scrapy.squeues.FifoMemoryQueue"

LOG_LEVEL = "WARNING"
LOGSTATS_INTERVAL = 0
STATS_DUMP = False
# Ours: what the address middleware and the resolver read.
DREAMCRAWL_ADDRESS_POLICY = AddressPolicy()
# Folder of `crawler.network.page_cache`; empty: pages are not kept.
DREAMCRAWL_PAGE_CACHE = ""


def constants() -> dict[str, Any]:
    """The settings above."""
    return {name: value for name, value in globals().items() if name.isupper()}


def settings_for(request: CrawlRequest, policy: AddressPolicy, *, page_cache: str | None = None) -> dict[str, Any]:
    """All settings of one crawl.

    Args:
        request: What was asked for.
        policy: The addresses that may be reached.
        page_cache: Folder of the pages of earlier crawls, or None.
    """
    return {
        **constants(),
        "USER_AGENT": request.user_agent,
        "DREAMCRAWL_CONCURRENCY_PER_HOST": request.concurrency_per_host,
        "DREAMCRAWL_DELAY_SECONDS": request.delay_seconds,
        "DOWNLOAD_TIMEOUT": request.timeout_seconds,
        "DOWNLOAD_MAXSIZE": max(request.max_image_bytes, MAX_PAGE_BYTES),
        "DREAMCRAWL_ADDRESS_POLICY": policy,
        "DREAMCRAWL_PAGE_CACHE": page_cache or "",
        "DREAMCRAWL_DEADLINE_SECONDS": request.deadline_seconds,
    }
