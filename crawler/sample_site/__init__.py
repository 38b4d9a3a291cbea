"""A small website of real photographs, to try everything out without a network.

`build_site` writes it, `serve_site` serves it on loopback; `SiteSummary` says what a crawl of it must find.
"""

from __future__ import annotations

from crawler.sample_site.build import SiteSummary, build_site
from crawler.sample_site.plan import KeywordCounts, Kind, LicenseForm, SitePicture
from crawler.sample_site.serve import AccessLogEntry, RunningSite, serve_site

__all__ = [
    "AccessLogEntry",
    "KeywordCounts",
    "Kind",
    "LicenseForm",
    "RunningSite",
    "SitePicture",
    "SiteSummary",
    "build_site",
    "serve_site",
]
