"""Crawl: from keywords to an inbox of original pictures. The only home of Scrapy."""
