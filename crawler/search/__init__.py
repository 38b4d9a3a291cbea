"""Search: what a crawl does next, from what it has seen so far."""
