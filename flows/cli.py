"""The command line: one application, whose commands load what they need when they run."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.commands import (
    collect,
    dreams,
    duplicates,
    export,
    gallery,
    keys,
    looks,
    networks,
    opinions,
    provenance,
    runs,
    schedules,
    similar,
    sources,
    upkeep,
)

app = typer.Typer(
    name="dreamcrawl",
    help="Collect pictures by keyword, keep each one once, dream on them, and prove how every dream was made.",
    epilog="First of all: dreamcrawl demo, then dreamcrawl browse. "
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done in part, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    collect,
    sources,
    dreams,
    provenance,
    looks,
    gallery,
    duplicates,
    similar,
    opinions,
    runs,
    export,
    networks,
    keys,
    schedules,
    upkeep,
):
    module.register(app)

# Thirty commands in one list would be a wall.
_PANELS = {
    "Collect": ("demo", "run", "collect", "crawl", "ingest", "sources", "runs", "schedule"),
    "Dream": ("dream", "presets", "recipe", "compare", "networks"),
    "Look, choose and pass on": ("browse", "items", "tag", "rate", "duplicates", "features", "similar", "export"),
    "Prove": ("verify", "replay", "export-provenance", "keys"),
    "Workspace": ("status", "config", "fsck", "backup", "restore", "gc"),
}


def _arrange() -> None:
    """Put every command into its panel of the help."""
    panel_of = {name: panel for panel, names in _PANELS.items() for name in names}
    for command in app.registered_commands:
        assert command.callback is not None
        command.rich_help_panel = panel_of[command.name or command.callback.__name__]
    for group in app.registered_groups:
        group.rich_help_panel = panel_of[str(group.name)]


_arrange()


def _print_version(wanted: bool) -> None:
    if wanted:
        from flows.wiring import software_version

        print(f"dreamcrawl {software_version()}")  # noqa: T201 - this is the output
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[  # its callback ends the command before any other is looked for
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Collect pictures by keyword, keep each one once, dream on them, and prove how every dream was made."""


def main() -> None:
    """The `dreamcrawl` command."""
    app()


if __name__ == "__main__":
    main()
