"""What a transaction of the catalog is for: an execution option of its connection, which the hooks of `engine` read."""

MODE = "dreamcrawl_mode"
WRITE, READ = "write", "read"
WAIT = "dreamcrawl_wait"
"""Another such option: for how many seconds it waits for the lock, where that is not as long as usual."""
