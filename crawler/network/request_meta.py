"""What a request of ours carries in its meta, for those that it passes on its way, and what they leave there."""

API = "dreamcrawl_api"
"""It asks an API, which is made for programs."""

STAYS_ON_SITE = "dreamcrawl_stays_on_site"
"""No redirect may lead it to another site."""

KEPT_PAGE = "dreamcrawl_kept_page"
"""It asks for a page that may be known from an earlier crawl."""

KNOWN = "dreamcrawl_known"
"""It asks whether a picture that is known may still be kept; it is never sent."""

CANDIDATE = "dreamcrawl_candidate"
"""It asks for a picture."""

CHECKED = "dreamcrawl_checked"
"""Of a picture: the conventions that its site's files were read for."""

ARRIVAL = "dreamcrawl_arrival"
"""Of a picture: what of it has come."""

ABORTED = "dreamcrawl_aborted"
"""Of a picture: why its download was ended."""

MAX_BYTES = "download_maxsize"
"""Scrapy's own: where to stop."""
