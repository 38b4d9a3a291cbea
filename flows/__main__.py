"""The `dreamcrawl` command, also as `python -m flows`."""

from __future__ import annotations

import io
import sys

_INTERRUPTED = 130  # as `flows.commands.common.ExitCode` says, which takes a while to load


def main() -> None:
    """Run the command line; Ctrl-C while it still loads is no traceback either."""
    for stream in (sys.stdout, sys.stderr):
        # Where the terminal has no letter for it, as in the locale C of some systems, its number is better than an end.
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() != "utf-8":
            stream.reconfigure(errors="backslashreplace")
    try:
        from flows.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("dreamcrawl: interrupted; nothing was begun\n")
        sys.exit(_INTERRUPTED)
    except SystemExit as ending:
        # What comes at Typer itself, as while it reads the arguments, ends it without a word.
        if isinstance(getattr(ending.__context__, "__cause__", None), KeyboardInterrupt):
            sys.stderr.write("dreamcrawl: interrupted; run the same command again\n")
        raise


if __name__ == "__main__":
    main()
