"""Browse: the catalog as a gallery in the web browser, read only, nothing loaded from elsewhere."""
