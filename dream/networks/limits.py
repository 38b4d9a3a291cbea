"""How much of a file that came from anywhere is ever taken in."""

MOST_BYTES = 1 << 31
"""Of all files of one network, and of all arrays in one."""
