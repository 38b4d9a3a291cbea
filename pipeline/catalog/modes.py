"""What a transaction of the catalog is for: an execution option of its connection, which the hooks of `engine` read."""

MODE = "dreamcrawl_mode"
WRITE, READ = "write", "read"
