"""Pictures: from a candidate that a source shows, through its first bytes, to a find in the inbox."""
