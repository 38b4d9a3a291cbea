"""Language: from what a user writes to keywords and exclusions, in some thirty languages."""
