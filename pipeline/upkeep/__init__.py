"""Keeping a workspace whole: check and mend it, back it up and restore it, and let go of what was withdrawn."""
