"""Runs one crawl in a child process with a deadline, and gives its report. What the rest of the program calls."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crawler import errors as crawl_errors
from crawler.errors import ContactMissing, CrawlProcessFailed, SiteUnreachable
from crawler.job import CrawlProgress, CrawlRequest, Job
from crawler.keywords import parse_keywords
from crawler.network.secrets import without_secrets
from crawler.sources import make_source
from crawler.sources.base import ApiSource, FileSource, ListSource, Source, WebSource
from crawler.supervised import ChildEnd, run_child
from crawler.urls import host_and_port, is_loopback
from pipeline import errors as pipeline_errors
from pipeline.inbox import discard, read_inbox, recover
from pipeline.records import CrawlReport

__all__ = ["CrawlProgress", "CrawlRequest", "check_request", "crawl"]

_CONTACT = re.compile(r"[\x21-\x7e]+@[\x21-\x7e]+|https?://[\x21-\x7e]+")
_NOT_IN_CONTACT = frozenset('()<>"\\')


def crawl(
    request: CrawlRequest,
    *,
    inbox_parent: Path,
    crawl_id: str,
    about: Mapping[str, Any],
    catalog: str | None,
    page_cache: Path | None = None,
    on_progress: Callable[[CrawlProgress], None] | None = None,
) -> CrawlReport:
    """Crawl into a new, sealed inbox `inbox_parent / crawl_id`.

    Ctrl-C ends the crawl and seals what it has, and is then raised again: whoever called us is to stop as well, and
    the inbox waits for the next run.

    Args:
        request: What to look for, where, and with which manners.
        inbox_parent: The workspace's inbox folder.
        crawl_id: Name of the inbox; unique for ever.
        about: What ingest should know, as JSON values; source, keywords and start time are added.
        catalog: Path or address of the catalog, whose ledger says what needs no request; None for none.
        page_cache: Folder of the pages of earlier crawls, which are sent again only if they changed; None for none.
        on_progress: Called several times a second, in the caller's thread.

    Raises:
        UnknownSource: There is no such source.
        SourceError: The source cannot take its argument, or cannot search for this, such as for want of a key.
        KeywordInvalid: A keyword can match nothing.
        ContactMissing: The site is not one's own machine, and no usable contact is given.
        SiteUnreachable: The start page could not be had, and nothing was found; no inbox is left.
        CrawlProcessFailed: The child died and left nothing.
        InboxUnusable: There is an inbox of this name.
        WorkspaceUnusable: The inbox cannot be written.
        CatalogTooNew: A newer version made the catalog.
        KeyboardInterrupt: Ctrl-C was pressed; the inbox is sealed.
    """
    request = check_request(request)
    facts = {
        "source": f"{request.source}={request.argument}",
        "keywords": list(request.keywords),
        "started_at": datetime.now(UTC).isoformat(),
        **about,
    }
    inbox_parent = inbox_parent.absolute()
    path = inbox_parent / crawl_id
    if path.exists():
        raise pipeline_errors.InboxUnusable(f"there is an inbox {path} already; a crawl id is used once")
    pages = None if page_cache is None else str(page_cache.absolute())
    job = Job(request, str(inbox_parent), crawl_id, facts, catalog, pages)
    end = run_child(job, on_progress=on_progress)
    end.last_words = without_secrets(end.last_words, request.credentials)
    try:
        return _report(path, end)
    finally:
        if end.raise_after is not None:
            raise end.raise_after


def check_request(request: CrawlRequest) -> CrawlRequest:
    """The request with its keywords in order, once all that can be known to be wrong without the network is ruled out.

    Raises:
        UnknownSource: There is no such source.
        SourceError: The source cannot take its argument, or cannot search for this, such as for want of a key.
        KeywordInvalid: A keyword can match nothing.
        ContactMissing: The site is not one's own machine, and no usable contact is given.
    """
    request = dataclasses.replace(request, keywords=parse_keywords(request.keywords))
    # Those of earlier crawls are not asked of their sources; where they lie is known once the ledger is read.
    source = None if request.retry_failed else make_source(request.source, request.argument)
    _check_contact(request, source)
    if isinstance(source, ApiSource):
        source.begin(request.keywords, request.filters, has_credential=source.credential in request.credentials)
    return request


def _report(path: Path, end: ChildEnd) -> CrawlReport:
    if end.error_kind is not None:
        raise _error(end.error_kind, end.error_text)
    if not (path / "inbox.json").is_file():
        raise CrawlProcessFailed(f"the crawl's process ended ({end.how}) before it began:\n{end.last_words}")
    if (path / "sealed.json").is_file():
        report = read_inbox(path).report
    else:
        warnings = (f"the crawl's process ended unexpectedly ({end.how}); what it had is kept",)
        report = recover(
            path,
            finished=end.finished,
            pages=end.progress.pages,
            bytes_received=end.progress.bytes_received,
            seconds=end.progress.seconds,
            warnings=() if end.was_stopped else warnings,
        )
        if not end.was_stopped and report.found == 0:
            discard(path)
            raise CrawlProcessFailed(f"the crawl's process ended ({end.how}) with nothing:\n{end.last_words}")
    if report.found == 0 and end.start_error is not None:
        discard(path)
        raise SiteUnreachable(f"nothing could be crawled. {end.start_error}")
    return report


def _error(kind: str, text: str) -> Exception:
    known = getattr(pipeline_errors, kind, None) or getattr(crawl_errors, kind, None)
    if isinstance(known, type) and issubclass(known, pipeline_errors.PipelineError):
        return known(text)
    return CrawlProcessFailed(f"{kind}: {text}")


def _check_contact(request: CrawlRequest, source: Source | None) -> None:
    if request.contact is not None and (
        not _CONTACT.fullmatch(request.contact) or _NOT_IN_CONTACT & set(request.contact)
    ):
        raise ContactMissing(
            f"contact {request.contact!r} is neither an e-mail address nor a web address; "
            "correct --contact or the setting `contact` (DREAMCRAWL_CONTACT)"
        )
    if source is None or isinstance(source, FileSource) or request.contact is not None:
        return
    if isinstance(source, ListSource):
        raise ContactMissing(
            "the sites on the list must be able to reach whoever crawls them: give your e-mail address or web page "
            "with --contact, `contact` in dreamcrawl.toml, or DREAMCRAWL_CONTACT"
        )
    host, _port = host_and_port(source.start_url if isinstance(source, WebSource) else source.base)
    if not is_loopback(host):
        raise ContactMissing(
            f"{host} is not this machine, and a site must be able to reach whoever crawls it: give your e-mail address "
            "or web page with --contact, `contact` in dreamcrawl.toml, or DREAMCRAWL_CONTACT"
        )
