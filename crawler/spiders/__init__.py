"""The spider: there is one, for every source."""
